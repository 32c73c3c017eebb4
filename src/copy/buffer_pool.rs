//! The buffer pool: reuses the memory of batches and blocks.
//!
//! The system zeroes fresh memory page by page before its first use. That took a fifth of this
//! program's time in the copy.

use crate::control::lock;
use bytes::{Bytes, BytesMut};
use std::sync::Mutex;

#[derive(Debug)]
pub(crate) struct BufferPool {
    unused: Mutex<Vec<BytesMut>>,
    /// The capacity of a new buffer in bytes, unless more is needed. A buffer that fits all chunks
    /// never grows; its unused part takes no memory.
    default_capacity: usize,
    /// The limit of the capacity of all unused buffers.
    max_retained: usize,
}

impl BufferPool {
    pub(crate) fn new(default_capacity: u64, max_retained: u64) -> Self {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            unused: Mutex::default(),
            default_capacity: size(default_capacity),
            max_retained: size(max_retained),
        }
    }

    pub(crate) fn take(&self, bytes: usize) -> BytesMut {
        let mut unused = lock(&self.unused);
        match unused.iter().rposition(|buffer| buffer.capacity() >= bytes) {
            Some(index) => unused.swap_remove(index),
            None => BytesMut::with_capacity(bytes.max(self.default_capacity)),
        }
    }

    /// Keeps a buffer for later, within the limit.
    pub(crate) fn put(&self, buffer: BytesMut) {
        let mut unused = lock(&self.unused);
        let retained: usize = unused.iter().map(BytesMut::capacity).sum();
        if retained + buffer.capacity() <= self.max_retained {
            unused.push(buffer);
        }
    }

    /// Keeps the memory of a finished block where nobody else holds it.
    pub(crate) fn put_frozen(&self, data: Bytes) {
        if let Ok(buffer) = data.try_into_mut() {
            self.put(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reused_and_no_more_than_allowed_is_kept() {
        let pool = BufferPool::new(600, 1000);
        let mut buffer = pool.take(10);
        buffer.extend_from_slice(b"row");
        let address = buffer.as_ptr();
        pool.put_frozen(buffer.freeze());
        pool.put(BytesMut::with_capacity(600));
        assert_eq!(lock(&pool.unused).len(), 1);
        assert_eq!(pool.take(700).capacity(), 700);
        let reused = pool.take(500);
        assert_eq!((reused.as_ptr(), reused.capacity()), (address, 600));
        assert_eq!(lock(&pool.unused).len(), 0);
    }
}

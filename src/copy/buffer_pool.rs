//! Spares: the memory of batches and blocks that are done with, for those to come.
//!
//! Memory that is fresh from the system has to be zeroed page by page before its first use, which
//! took a fifth of this program's time in the copy.

use bytes::{Bytes, BytesMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers that wait for their next use.
#[derive(Debug)]
pub(crate) struct BufferPool {
    kept: Mutex<Vec<BytesMut>>,
    /// The capacity of a buffer in bytes, unless more is needed: one that fits all chunks is never
    /// outgrown. What is not used of it takes no memory.
    usual: usize,
    /// Bytes that may wait.
    most: usize,
}

impl BufferPool {
    /// None yet; buffers will usually hold `usual` bytes, and at most `most` bytes are ever kept.
    pub(crate) fn new(usual: u64, most: u64) -> Self {
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { kept: Mutex::default(), usual: size(usual), most: size(most) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<BytesMut>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer with room for `bytes` bytes.
    pub(crate) fn take(&self, bytes: usize) -> BytesMut {
        let mut kept = self.lock();
        match kept.iter().rposition(|buffer| buffer.capacity() >= bytes) {
            Some(place) => kept.swap_remove(place),
            None => BytesMut::with_capacity(bytes.max(self.usual)),
        }
    }

    /// Keeps a buffer for later if there is room for it.
    pub(crate) fn put(&self, buffer: BytesMut) {
        let mut kept = self.lock();
        let held: usize = kept.iter().map(BytesMut::capacity).sum();
        if held + buffer.capacity() <= self.most {
            kept.push(buffer);
        }
    }

    /// Keeps the memory of a finished stream if nobody else holds it.
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
    fn memory_is_used_again_and_never_more_kept_than_allowed() {
        let spares = BufferPool::new(600, 1000);
        let mut buffer = spares.take(10);
        buffer.extend_from_slice(b"row");
        let place = buffer.as_ptr();
        spares.put_frozen(buffer.freeze());
        spares.put(BytesMut::with_capacity(600));
        assert_eq!(spares.lock().len(), 1);
        assert_eq!(spares.take(700).capacity(), 700);
        let retry = spares.take(500);
        assert_eq!((retry.as_ptr(), retry.capacity()), (place, 600));
        assert_eq!(spares.lock().len(), 0);
    }
}

//! A block: a chunk's rows as one complete binary COPY stream, with row count and digest.

use crate::codec::digest::Digest;
use bytes::{Bytes, BytesMut};

/// The header of every binary COPY stream: signature, flags, no extension.
/// Source: the PostgreSQL manual on COPY, "Binary Format".
pub(crate) const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// The trailer of the stream: a field count of -1.
pub(crate) const TRAILER: [u8; 2] = [0xff, 0xff];

/// An encoded chunk. It is self-contained, so that any connection can write it, also twice.
#[derive(Debug, Clone)]
pub struct Block {
    /// The index of the table in the plan.
    pub(crate) table: usize,
    /// The number of the chunk in its table.
    pub(crate) chunk: u32,
    /// Row count and sum of row hashes.
    pub(crate) digest: Digest,
    /// The COPY stream.
    pub data: Bytes,
}

/// A COPY stream under construction.
#[derive(Debug)]
pub(crate) struct StreamBuilder {
    data: BytesMut,
}

impl StreamBuilder {
    /// Bytes of a stream outside its tuples.
    pub(crate) const FRAME: usize = HEADER.len() + TRAILER.len();

    /// A stream with room for `bytes` bytes, in the memory of `spare`, whose content is discarded.
    pub(crate) fn new(mut spare: BytesMut, bytes: usize) -> Self {
        spare.clear();
        spare.reserve(bytes);
        spare.extend_from_slice(&HEADER);
        Self { data: spare }
    }

    /// The buffer to which tuples are appended.
    #[inline]
    pub(crate) fn tuples(&mut self) -> &mut BytesMut {
        &mut self.data
    }

    /// The finished stream.
    pub(crate) fn finish(mut self) -> Bytes {
        self.data.extend_from_slice(&TRAILER);
        self.data.freeze()
    }
}

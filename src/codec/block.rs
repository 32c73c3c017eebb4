//! A block: a chunk's rows as one complete binary COPY stream, with row count and digest.

use crate::codec::digest::Digest;
use bytes::{Bytes, BytesMut};

/// The head of every binary COPY stream: signature, flags, no extension.
/// Source: the PostgreSQL manual on COPY, "Binary Format".
pub(crate) const HEADER: [u8; 19] = *b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What ends it: a field count of -1.
pub(crate) const TRAILER: [u8; 2] = [0xff, 0xff];

/// A chunk, encoded: self-contained, so that any connection can write it, and write it again.
#[derive(Debug, Clone)]
pub struct Block {
    /// Which table (its place in the plan).
    pub(crate) table: usize,
    /// Which chunk of the table.
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
    /// Bytes of a stream that are no tuples.
    pub(crate) const FRAME: usize = HEADER.len() + TRAILER.len();

    /// A stream with room for `bytes` bytes in all, in the memory of `spare`, whose content is
    /// thrown away.
    pub(crate) fn new(mut spare: BytesMut, bytes: usize) -> Self {
        spare.clear();
        spare.reserve(bytes);
        spare.extend_from_slice(&HEADER);
        Self { data: spare }
    }

    /// Where tuples are appended.
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

//! Fields of a tuple: a length word and the bytes. The parts that several types share.

use crate::codec::fidelity::Misfit;
use bytes::{BufMut, BytesMut};

/// The largest field that the server takes. Its limit on a value is 1 GB with the length word, and
/// the message of a row must stay below that as well.
/// Source: `MaxAllocSize` in PostgreSQL's memutils.h.
pub(crate) const MAX_FIELD: usize = 0x3fff_ffff - 64;

/// Appends NULL.
#[inline(always)]
pub(crate) fn put_null(out: &mut BytesMut) {
    out.extend_from_slice(&[0xff; 4]);
}

/// Appends a field of a fixed size.
#[inline]
pub(crate) fn put_fixed<const N: usize>(out: &mut BytesMut, bytes: [u8; N]) {
    out.reserve(4 + N);
    out.put_i32(N as i32);
    out.put_slice(&bytes);
}

/// Appends a field of any size.
#[inline]
pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a field of eight bytes, the most frequent kind, in one step.
#[inline]
pub(crate) fn put_i64_field(out: &mut BytesMut, [a, b, c, d, e, f, g, h]: [u8; 8]) {
    out.extend_from_slice(&[0, 0, 0, 8, a, b, c, d, e, f, g, h]);
}

/// Checks that bytes are text for PostgreSQL: UTF-8 without NUL.
#[inline(always)]
pub(crate) fn check_text(bytes: &[u8]) -> Result<(), Misfit> {
    // Most text is short ASCII: one test of each eight bytes is enough.
    if is_plain(bytes) && bytes.len() <= MAX_FIELD { Ok(()) } else { check_any_text(bytes) }
}

/// The bytes are ASCII without NUL.
#[inline(always)]
fn is_plain(bytes: &[u8]) -> bool {
    // The highest bit of a byte, or of the byte less one, is set if the byte is not plain. A byte
    // of 0 borrows from its neighbour, which does not matter: the 0 itself is already found.
    let odd = |word: u64| word | word.wrapping_sub(0x0101_0101_0101_0101);
    let (words, rest) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | odd(u64::from_be_bytes(*word)));
    // The last eight bytes again, or all bytes of a shorter text.
    let last = match bytes.last_chunk::<8>() {
        Some(last) => odd(u64::from_be_bytes(*last)),
        None => rest.iter().fold(0, |found, &byte| {
            found | u64::from(byte | byte.wrapping_sub(1)).wrapping_mul(0x0101_0101_0101_0101)
        }),
    };
    (found | last) & 0x8080_8080_8080_8080 == 0
}

#[inline(never)]
fn check_any_text(bytes: &[u8]) -> Result<(), Misfit> {
    if memchr::memchr(0, bytes).is_some() {
        return Err(Misfit::NulInText);
    }
    if simdutf8::basic::from_utf8(bytes).is_err() {
        return Err(Misfit::InvalidText);
    }
    if bytes.len() > MAX_FIELD {
        return Err(Misfit::TooLarge);
    }
    Ok(())
}

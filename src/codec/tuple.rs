//! Reading tuples: rows in PostgreSQL's binary COPY format.

/// The item at the start of some bytes of a COPY stream, after its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextField {
    /// A tuple of this many bytes.
    Tuple(usize),
    /// The end of the stream.
    End,
    /// The beginning of a tuple; more bytes are needed.
    Part,
}

/// Identifies the item at the start of `bytes`.
#[inline]
pub(crate) fn next(bytes: &[u8]) -> NextField {
    let Some((count, _)) = bytes.split_first_chunk::<2>() else { return NextField::Part };
    let Ok(count) = u16::try_from(i16::from_be_bytes(*count)) else { return NextField::End };
    let mut at = 2;
    for _ in 0..count {
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else {
            return NextField::Part;
        };
        at += 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
    }
    if at <= bytes.len() { NextField::Tuple(at) } else { NextField::Part }
}

/// A field: its bytes, or the reason why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    Null,
    /// A value that does not fit its column ([`UNFIT`]).
    Unfit,
    /// A value.
    Bytes(&'a [u8]),
}

/// The length word of a value that could not be encoded. No server sends it, so a tuple with such a
/// field equals no other tuple.
pub(crate) const UNFIT: i32 = -2;

/// The fields of a tuple, in order.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// The fields of `tuple`.
#[inline]
pub fn fields(tuple: &[u8]) -> Fields<'_> {
    Fields { rest: tuple.get(2..).unwrap_or_default() }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        let Ok(bytes) = usize::try_from(length) else {
            self.rest = rest;
            return Some(if length == UNFIT { Field::Unfit } else { Field::Null });
        };
        let (bytes, rest) = rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(Field::Bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_read_field_by_field_to_its_end() {
        let tuple = [0, 3, 0, 0, 0, 2, b'a', b'b', 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(next(&tuple), NextField::Tuple(tuple.len()));
        let all: Vec<Field<'_>> = fields(&tuple).collect();
        assert_eq!(all, [Field::Bytes(b"ab"), Field::Null, Field::Bytes(b"")]);
        for cut in 0..tuple.len() {
            assert_eq!(next(&tuple[..cut]), NextField::Part, "{cut}");
        }
        assert_eq!(next(&[0xff, 0xff]), NextField::End);
        assert_eq!(fields(&[0, 1, 0xff, 0xff, 0xff, 0xfe]).next(), Some(Field::Unfit));
    }
}

//! `uuid`: text in SQLite, sixteen bytes in PostgreSQL.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_fixed;
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;

/// The mark of a byte that is not a hexadecimal digit in [`NIBBLES`].
const NO_DIGIT: u8 = 0x80;
/// The mark of an upper-case digit in [`NIBBLES`].
const UPPER: u8 = 0x40;

/// The value of every byte as a hexadecimal digit, with the two marks above.
const NIBBLES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        let lower = b"0123456789abcdef"[digit];
        table[lower as usize] = digit as u8;
        if digit > 9 {
            table[lower.to_ascii_uppercase() as usize] = digit as u8 | UPPER;
        }
        digit += 1;
    }
    table
};

/// The indexes of the digit pairs in the canonical text.
const DIGIT_INDEXES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

pub(crate) fn encode(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    const INVALID: Misfit = Misfit::NotValid(ColumnType::Uuid);
    let SqliteValue::Text(text) = value else { return Err(INVALID) };
    let (bytes, canonical) = parse(text).ok_or(INVALID)?;
    put_fixed(out, bytes);
    Ok(Fidelity::exact_if(canonical))
}

/// Reads a UUID in any spelling that PostgreSQL's `uuid_in` reads: digits of either case, with
/// or without braces around all of it, and with or without a hyphen after each group of four.
/// The second value: the text is canonical, as [`format()`] writes it (lower case, hyphens as
/// 8-4-4-4-12). `None` for any other text.
pub fn parse(text: &[u8]) -> Option<([u8; 16], bool)> {
    match <&[u8; 36]>::try_from(text) {
        Ok(usual) if [8, 13, 18, 23].iter().all(|at| usual[*at] == b'-') => {
            let mut bytes = [0; 16];
            let mut marks = 0;
            for (byte, at) in bytes.iter_mut().zip(DIGIT_INDEXES) {
                *byte = pair(usual[at], usual[at + 1], &mut marks);
            }
            (marks & NO_DIGIT == 0).then_some((bytes, marks & UPPER == 0))
        }
        _ => Some((parse_unusual(text)?, false)),
    }
}

/// Reads the spellings that are not 8-4-4-4-12.
fn parse_unusual(text: &[u8]) -> Option<[u8; 16]> {
    let mut rest = match text.strip_prefix(b"{") {
        Some(rest) => rest.strip_suffix(b"}")?,
        None => text,
    };
    let mut bytes = [0; 16];
    let mut marks = 0;
    for (index, byte) in bytes.iter_mut().enumerate() {
        if index > 0 && index % 2 == 0 {
            rest = rest.strip_prefix(b"-").unwrap_or(rest);
        }
        let [high, low, after @ ..] = rest else { return None };
        *byte = pair(*high, *low, &mut marks);
        rest = after;
    }
    (marks & NO_DIGIT == 0 && rest.is_empty()).then_some(bytes)
}

/// The byte of two digits. Their marks are added to `marks`.
fn pair(high: u8, low: u8, marks: &mut u8) -> u8 {
    let (high, low) = (NIBBLES[usize::from(high)], NIBBLES[usize::from(low)]);
    *marks |= high | low;
    high << 4 | low & 0x0F
}

/// Writes a UUID as PostgreSQL prints it: lower case, 8-4-4-4-12.
pub fn format(bytes: [u8; 16], out: &mut Vec<u8>) {
    let mut text = [b'-'; 36];
    for (byte, at) in bytes.iter().zip(DIGIT_INDEXES) {
        text[at] = b"0123456789abcdef"[usize::from(byte >> 4)];
        text[at + 1] = b"0123456789abcdef"[usize::from(byte & 0x0F)];
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::test_cases::{same_cases, texts};
    use proptest::prelude::*;

    const BYTES: [u8; 16] = 0xA0EE_BC99_9C0B_4EF8_BB6D_6BB9_BD38_0A11_u128.to_be_bytes();

    #[test]
    fn only_lower_case_with_the_usual_hyphens_is_canonical() {
        // PostgreSQL 15 reads every one of these.
        for (text, canonical) in [
            ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", true),
            ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", false),
            ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380A11", false),
            ("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", false),
            ("a0eebc999c0b4ef8bb6d6bb9bd380a11", false),
            ("a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", false),
            ("{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", false),
        ] {
            assert_eq!(parse(text.as_bytes()), Some((BYTES, canonical)), "{text}");
        }
    }

    #[test]
    fn a_text_that_postgresql_refuses_is_refused() {
        for text in ["", " a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"].into_iter().chain(texts(&[
            "{}|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g|a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-",
            "-a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0-eebc99-9c0b-4ef8-bb6d-6bb9bd380a11|{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}|{{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}}",
        ])) {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(same_cases())]

        #[test]
        fn a_uuid_reads_back_as_it_prints(bytes: [u8; 16]) {
            let mut text = Vec::new();
            format(bytes, &mut text);
            prop_assert_eq!(parse(&text), Some((bytes, true)));
        }
    }
}

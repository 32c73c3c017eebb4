//! UUIDs between text and their sixteen bytes, which are also PostgreSQL's wire form.

/// Marks a byte that is no hexadecimal digit in [`NIBBLES`].
const NO_DIGIT: u8 = 0x80;
/// Marks an upper-case digit in [`NIBBLES`].
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

/// Reads a UUID in any spelling that PostgreSQL's `uuid_in` takes: digits of either case, with
/// or without braces around all of it, and with or without a hyphen after each group of four.
/// With it: whether the text is exactly what [`format`] writes for the value (lower case,
/// hyphens as 8-4-4-4-12). `None` where it is no UUID.
#[must_use]
pub fn parse(text: &[u8]) -> Option<([u8; 16], bool)> {
    let inner = match text.strip_prefix(b"{") {
        Some(rest) => rest.strip_suffix(b"}")?,
        None => text,
    };
    let mut bytes = [0; 16];
    let (mut marks, mut hyphens, mut at) = (0, 0_u32, 0);
    for (index, byte) in bytes.iter_mut().enumerate() {
        if index > 0 && index % 2 == 0 && inner.get(at) == Some(&b'-') {
            hyphens |= 1 << index;
            at += 1;
        }
        let (high, low) = (*inner.get(at)?, *inner.get(at + 1)?);
        let (high, low) = (NIBBLES[usize::from(high)], NIBBLES[usize::from(low)]);
        marks |= high | low;
        *byte = high << 4 | low & 0x0F;
        at += 2;
    }
    let canonical =
        marks & UPPER == 0 && hyphens == 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10 && text.len() == 36;
    (marks & NO_DIGIT == 0 && at == inner.len()).then_some((bytes, canonical))
}

/// Writes a UUID as PostgreSQL prints it: lower case, 8-4-4-4-12.
pub fn format(bytes: [u8; 16], out: &mut Vec<u8>) {
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = b"0123456789abcdef"[usize::from(byte >> 4)];
        text[at + 1] = b"0123456789abcdef"[usize::from(byte & 0x0F)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

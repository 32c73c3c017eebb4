//! Numerics: PostgreSQL's binary form of a decimal number.
//!
//! Four big-endian words (the count of groups, the weight, the sign, the display scale), then
//! groups of four decimal digits, each a word below 10,000. The value is the sum of
//! `group[i] * 10000^(weight - i)`; the display scale is the number of digits that are printed
//! after the point. This is what `numeric_send` writes and `numeric_recv` reads
//! (`src/backend/utils/adt/numeric.c`).

use crate::codec::types::decimal::{Decimal, MAX_FRACTION_DIGITS};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
/// The display scale that `numeric_send` gives an infinity: a bit of its sign, read as scale.
const INFINITY_SCALE: u16 = 0x20;
/// Appends an integer. `scale` is the scale of a `numeric(p,s)` column, which the server gives
/// to every value in it; without one the display scale is 0.
pub fn encode_integer(value: i64, scale: Option<u16>, out: &mut Vec<u8>) {
    let mut groups = [0; 5];
    let (mut first, mut rest) = (groups.len(), value.unsigned_abs());
    while rest > 0 {
        first -= 1;
        groups[first] = (rest % 10_000) as u16;
        rest /= 10_000;
    }
    let weight = (groups.len() - first).saturating_sub(1) as u16;
    let zeros = groups[first..].iter().rev().take_while(|group| **group == 0).count();
    let groups = &groups[first..groups.len() - zeros];
    let sign = if value < 0 { NEGATIVE } else { POSITIVE };
    write_header([groups.len() as u16, weight, sign, scale.unwrap_or(0)], out);
    for group in groups {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

/// Appends a real by way of its shortest round-trip decimal. Without a `scale` the display
/// scale is that decimal's count of digits after the point. `None`, and nothing written, where
/// a given `scale` has too few digits for it or it is an infinity, which no `numeric(p,s)`
/// holds. A numeric has no negative zero: the sign of -0.0 is lost.
pub fn encode_real(value: f64, scale: Option<u16>, out: &mut Vec<u8>) -> Option<()> {
    if value.is_finite() {
        let mut buffer = zmij::Buffer::new();
        let decimal = Decimal::parse(buffer.format_finite(value).as_bytes())?;
        // Not the scale as written: the text of 1 is "1.0".
        let shown = decimal.digits()?.fraction;
        return encode(&decimal, scale.unwrap_or(shown as u16), out);
    }
    if value.is_nan() {
        write_header([0, 0, NAN, 0], out);
    } else if scale.is_some() {
        return None;
    } else {
        let sign = if value > 0.0 { INFINITY } else { MINUS_INFINITY };
        write_header([0, 0, sign, INFINITY_SCALE], out);
    }
    Some(())
}

/// Appends a decimal text, `[+-]digits[.digits][e[+-]digits]`. Without a `scale` the display
/// scale is the count of digits after the point that the text has. `None`, and nothing written,
/// where it is something else, has more digits than PostgreSQL holds, or needs more digits
/// after the point than a given `scale` has.
pub fn encode_decimal(text: &[u8], scale: Option<u16>, out: &mut Vec<u8>) -> Option<()> {
    let decimal = Decimal::parse(text)?;
    let scale = match scale {
        Some(scale) => scale,
        None => decimal.own_scale()?,
    };
    encode(&decimal, scale, out)
}

/// Appends the decimal text of a binary numeric as PostgreSQL prints it: as many digits after
/// the point as the display scale says, `NaN`, `Infinity`, `-Infinity`. `None`, and nothing
/// written, where the bytes are no numeric that a server sends.
pub fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let wire = NumericHeader::parse(bytes)?;
    match wire.sign {
        NAN => out.extend_from_slice(b"NaN"),
        INFINITY => out.extend_from_slice(b"Infinity"),
        MINUS_INFINITY => out.extend_from_slice(b"-Infinity"),
        sign => {
            if sign == NEGATIVE {
                out.push(b'-');
            }
            write_decimal(&wire, out);
        }
    }
    Some(())
}

/// Appends the one form that all spellings of a number share, for hashing: no zero groups at
/// either end and the smallest display scale that shows every digit, so that 1, 1.0 and 1.00
/// are the same bytes. `None`, and nothing written, where [`decode`] would refuse.
pub fn canonical(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let wire = NumericHeader::parse(bytes)?;
    let count = (wire.groups.len() / 2) as u16;
    write_header([count, wire.weight as u16, wire.sign, wire.needed_scale()], out);
    out.extend_from_slice(wire.groups);
    Some(())
}

/// Appends the binary form of a decimal with a display scale; `None`, and nothing written, where that
/// would hide digits or PostgreSQL does not hold them.
fn encode(decimal: &Decimal<'_>, scale: u16, out: &mut Vec<u8>) -> Option<()> {
    if decimal.digits()?.fraction > u32::from(scale) {
        return None;
    }
    if decimal.is_zero() {
        write_header([0, 0, POSITIVE, scale], out);
        return Some(());
    }
    let weight = (decimal.point - 1).div_euclid(4);
    // The first group lacks as many leading digits as the point is off a multiple of four.
    let mut filled = ((weight + 1) * 4 - decimal.point) as usize;
    let significant = decimal.integer.len() + decimal.fraction.len();
    let groups = (filled + significant).div_ceil(4);
    let sign = if decimal.negative { NEGATIVE } else { POSITIVE };
    write_header([groups as u16, weight as u16, sign, scale], out);
    let mut group = 0_u16;
    for part in [decimal.integer, decimal.fraction] {
        for digit in part {
            group = group * 10 + u16::from(digit - b'0');
            filled += 1;
            if filled == 4 {
                out.extend_from_slice(&group.to_be_bytes());
                (group, filled) = (0, 0);
            }
        }
    }
    if filled > 0 {
        group *= [1, 1_000, 100, 10][filled];
        out.extend_from_slice(&group.to_be_bytes());
    }
    Some(())
}

fn write_header(words: [u16; 4], out: &mut Vec<u8>) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// A binary numeric taken apart.
struct NumericHeader<'a> {
    /// The groups, two bytes each, without zero groups at either end.
    groups: &'a [u8],
    /// The weight of the first of them; 0 where there are none.
    weight: i16,
    sign: u16,
    /// The display scale; 0 for what is not finite.
    scale: u16,
}

impl<'a> NumericHeader<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [n1, n2, w1, w2, s1, s2, d1, d2, groups @ ..] = bytes else { return None };
        let count = usize::from(u16::from_be_bytes([*n1, *n2]));
        let weight = i16::from_be_bytes([*w1, *w2]);
        let sign = u16::from_be_bytes([*s1, *s2]);
        let scale = u16::from_be_bytes([*d1, *d2]);
        if groups.len() != count * 2 || i64::from(scale) > MAX_FRACTION_DIGITS {
            return None;
        }
        match sign {
            POSITIVE | NEGATIVE => {}
            NAN | INFINITY | MINUS_INFINITY if count == 0 => {
                return Some(Self { groups, weight: 0, sign, scale: 0 });
            }
            _ => return None,
        }
        if words(groups).any(|group| group > 9_999) {
            return None;
        }
        let leading = words(groups).take_while(|group| *group == 0).count();
        let groups = &groups[leading * 2..];
        let trailing = words(groups).rev().take_while(|group| *group == 0).count();
        let groups = &groups[..groups.len() - trailing * 2];
        let (weight, sign) = match groups {
            [] => (0, POSITIVE),
            _ => (i16::try_from(i64::from(weight) - leading as i64).ok()?, sign),
        };
        let wire = Self { groups, weight, sign, scale };
        (wire.needed_scale() <= scale).then_some(wire)
    }

    /// The digits after the point that are needed to show the value; past all scales
    /// (`u16::MAX`) where a weight is too low for any.
    fn needed_scale(&self) -> u16 {
        let Some(last) = words(self.groups).next_back() else { return 0 };
        let places = (self.groups.len() / 2) as i64 - 1 - i64::from(self.weight);
        let zeros = (1..4).take_while(|power| last % 10_u16.pow(*power) == 0).count() as i64;
        u16::try_from((places * 4 - zeros).max(0)).unwrap_or(u16::MAX)
    }
}

/// The big-endian words of a slice.
fn words(bytes: &[u8]) -> impl DoubleEndedIterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]))
}

/// Writes the magnitude of a finite numeric.
fn write_decimal(wire: &NumericHeader<'_>, out: &mut Vec<u8>) {
    let mut groups = words(wire.groups);
    let before = i64::from(wire.weight) + 1;
    if before > 0 {
        // The first group is not zero; that of zero itself is missing.
        let first = digits_of(groups.next().unwrap_or(0));
        let zeros = first[..3].iter().take_while(|digit| **digit == b'0').count();
        out.extend_from_slice(&first[zeros..]);
        for _ in 1..before {
            out.extend_from_slice(&digits_of(groups.next().unwrap_or(0)));
        }
    } else {
        out.push(b'0');
    }
    if wire.scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(wire.scale);
        // Groups of zeros that a low weight leaves out; the scale reaches beyond them.
        out.resize(out.len() + (-before).max(0) as usize * 4, b'0');
        while out.len() < end {
            out.extend_from_slice(&digits_of(groups.next().unwrap_or(0)));
        }
        out.truncate(end);
    }
}

/// The four digits of a group.
fn digits_of(group: u16) -> [u8; 4] {
    [group / 1_000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| b'0' + digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(pair).collect()
    }

    fn decimal(text: &str, scale: Option<u16>) -> Option<String> {
        let mut out = Vec::new();
        encode_decimal(text.as_bytes(), scale, &mut out).map(|()| hex(&out))
    }

    fn decoded(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        decode(bytes, &mut out)?;
        String::from_utf8(out).ok()
    }

    /// Decimal texts, PostgreSQL 15's numeric_send of them, and how it prints that.
    const SENT: [(&str, &str, &str); 17] = [
        ("0", "0000000000000000", "0"),
        ("-0.00", "0000000000000002", "0.00"),
        ("1", "00010000000000000001", "1"),
        ("-1", "00010000400000000001", "-1"),
        ("10000", "00010001000000000001", "10000"),
        ("12345678", "000200010000000004d2162e", "12345678"),
        ("0.0001", "0001ffff000000040001", "0.0001"),
        ("0.00012", "0002ffff00000005000107d0", "0.00012"),
        ("-12345.6789", "0003000140000004000109291a85", "-12345.6789"),
        ("1.50e1", "0001000000000001000f", "15.0"),
        ("12e-3", "0001ffff000000030078", "0.012"),
        ("1e20", "00010005000000000001", "100000000000000000000"),
        ("99990000", "0001000100000000270f", "99990000"),
        (
            "123456789012345678901234567890.0012300",
            "000a000700000007000c0d801ed204d2162e23340d801ed2000c0bb8",
            "123456789012345678901234567890.0012300",
        ),
        ("1e-20", "0001fffb000000140001", "0.00000000000000000001"),
        ("-9223372036854775808", "0005000440000000039a0d2c0170156516b0", "-9223372036854775808"),
        ("-100000000", "00010002400000000001", "-100000000"),
    ];

    #[test]
    fn a_decimal_is_sent_as_postgresql_sends_it() {
        for (text, sent, printed) in SENT {
            assert_eq!(decimal(text, None).as_deref(), Some(sent), "{text}");
            assert_eq!(decoded(&bytes(sent)).as_deref(), Some(printed));
        }
        for (sent, printed) in [
            ("00000000c0000000", "NaN"),
            ("00000000d0000020", "Infinity"),
            ("00000000f0000020", "-Infinity"),
        ] {
            assert_eq!(decoded(&bytes(sent)).as_deref(), Some(printed));
        }
    }

    #[test]
    fn a_required_scale_is_shown_and_never_rounded_to() {
        // From PostgreSQL 15, as numeric(30,4).
        for (text, sent) in [
            ("0", "0000000000000004"),
            ("5", "00010000000000040005"),
            ("-2.5", "000200004000000400021388"),
            ("100", "00010000000000040064"),
            ("0.0001", "0001ffff000000040001"),
            ("0.00010000", "0001ffff000000040001"),
        ] {
            assert_eq!(decimal(text, Some(4)).as_deref(), Some(sent), "{text}");
        }
        assert_eq!(decimal("0.00001", Some(4)), None);
        let mut out = Vec::new();
        encode_integer(5, Some(4), &mut out);
        assert_eq!(hex(&out), "00010000000000040005");
        assert_eq!(encode_real(0.125, Some(2), &mut out), None);
        assert_eq!(encode_real(f64::INFINITY, Some(2), &mut out), None);
        assert_eq!(out.len(), 10);
    }

    #[test]
    fn integers_are_sent_as_their_decimals() {
        let mut values = vec![0, i64::MIN, i64::MAX];
        for power in 0..19 {
            let ten = 10_i64.pow(power);
            values.extend([ten, -ten, ten - 1, ten + 1]);
        }
        for value in values {
            let mut out = Vec::new();
            encode_integer(value, None, &mut out);
            assert_eq!(Some(hex(&out)), decimal(&value.to_string(), None), "{value}");
        }
    }

    #[test]
    fn a_real_is_its_shortest_decimal() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (-19.99, "-19.99"),
            (1e22, "10000000000000000000000"),
            (1.5e-7, "0.00000015"),
            (f64::MAX, "17976931348623157e292"),
            (5e-324, "5e-324"),
            (2.225_073_858_507_201e-308, "2.225073858507201e-308"),
        ] {
            let mut out = Vec::new();
            encode_real(value, None, &mut out).unwrap();
            assert_eq!(Some(hex(&out)), decimal(text, None), "{value:e}");
        }
        for (value, sent) in [
            (f64::NAN, "00000000c0000000"),
            (f64::INFINITY, "00000000d0000020"),
            (f64::NEG_INFINITY, "00000000f0000020"),
        ] {
            let mut out = Vec::new();
            encode_real(value, None, &mut out).unwrap();
            assert_eq!(hex(&out), sent);
        }
    }

    #[test]
    fn what_is_no_decimal_or_beyond_postgresqls_digits_is_none() {
        for text in [
            "",
            "-",
            "+-1",
            ".5",
            "5.",
            "1.e5",
            "e5",
            "1e",
            "1e+",
            "1e5.5",
            " 1",
            "1 ",
            "0x10",
            "1_000",
            "NaN",
            "1e131072",
            "1e-16384",
            "0e-16384",
            "1e1073741823",
            "0e1073741823",
            "1e99999999999999999999",
        ] {
            assert_eq!(decimal(text, None), None, "{text}");
        }
        let (integer, fraction) = ("9".repeat(131_072), "9".repeat(16_383));
        let longest = format!("{integer}.{fraction}");
        let sent = bytes(&decimal(&longest, None).unwrap());
        assert_eq!(decoded(&sent), Some(longest));
        assert_eq!(decimal(&format!("{integer}9"), None), None);
        assert_eq!(decimal(&format!("0.{fraction}9"), None), None);
        assert!(decimal("0e200000", None).is_some());
    }

    #[test]
    fn all_spellings_of_a_number_have_one_canonical_form() {
        let canonical_of = |sent: &[u8]| {
            let mut out = Vec::new();
            canonical(sent, &mut out).map(|()| hex(&out))
        };
        for (texts, form) in [
            (["1", "1.0", "1.000000", "100e-2"], "00010000000000000001"),
            (["0", "-0", "0.00", "0e-9"], "0000000000000000"),
            (["1.5", "1.50", "1.50000", "15e-1"], "000200000000000100011388"),
        ] {
            for text in texts {
                let sent = bytes(&decimal(text, None).unwrap());
                assert_eq!(canonical_of(&sent).as_deref(), Some(form), "{text}");
            }
        }
        // Zero groups at both ends, which a server does not send but would take.
        let padded = bytes("00040001400000080000000500000000");
        assert_eq!(canonical_of(&padded).as_deref(), Some("00010000400000000005"));
        assert_eq!(canonical_of(&bytes("00000000d0000020")).as_deref(), Some("00000000d0000000"));
    }

    #[test]
    fn bytes_that_are_no_numeric_are_refused() {
        for hex in [
            "",
            "00000000000000",
            "000000000000000000",
            "0001000000000000",
            "00010000000000002710",
            "0000000080000000",
            "00010000c00000000001",
            // A display scale past the limit, and one that hides digits.
            "0000000000004000",
            "0001ffff000000030001",
            "00018000000000040001",
        ] {
            assert_eq!(decoded(&bytes(hex)), None, "{hex}");
        }
    }

    proptest! {
        #![proptest_config(crate::codec::test_cases::same_cases())]

        #[test]
        fn a_plain_decimal_reads_back_as_it_was(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{0,30}[1-9])?") {
            prop_assume!(text != "-0");
            let sent = bytes(&decimal(&text, None).unwrap());
            prop_assert_eq!(decoded(&sent), Some(text));
        }

        #[test]
        fn a_real_comes_back_and_is_spelt_as_the_standard_library_spells_it(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let mut out = Vec::new();
            encode_real(value, None, &mut out).unwrap();
            let text = decoded(&out).unwrap();
            let back = text.parse::<f64>().unwrap();
            // The one thing that is lost is the sign of zero.
            prop_assert!(back.to_bits() == bits || back == 0.0);
            prop_assert_eq!(Some(hex(&out)), decimal(&format!("{value:e}"), None));
        }

        #[test]
        fn scale_does_not_change_the_canonical_form(units: i64, scale in 0_u16..20, more in 0_u16..20) {
            let text = format!("{units}e-{scale}");
            let forms = [None, Some(scale + more)].map(|scale| {
                let (mut sent, mut form) = (Vec::new(), Vec::new());
                encode_decimal(text.as_bytes(), scale, &mut sent).unwrap();
                canonical(&sent, &mut form).unwrap();
                form
            });
            prop_assert_eq!(&forms[0], &forms[1]);
        }

        #[test]
        fn garbage_is_refused_without_harm(garbage in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 2, 0x27, 0x40, 0xC0, 0xD0, 0xFF]), 0..24)) {
            let (mut text, mut form) = (Vec::new(), Vec::new());
            let read = decode(&garbage, &mut text);
            prop_assert_eq!(read, canonical(&garbage, &mut form));
            prop_assert!(read.is_some() || text.is_empty() && form.is_empty());
        }
    }
}

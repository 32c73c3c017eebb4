use super::*;
use crate::codec::test_cases::{hex, same_cases, texts};
use proptest::prelude::*;

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

/// The numerics that are not decimals, and how PostgreSQL prints them.
const SPECIAL: [(&str, &str); 3] = [
    ("00000000c0000000", "NaN"),
    ("00000000d0000020", "Infinity"),
    ("00000000f0000020", "-Infinity"),
];

#[test]
fn a_decimal_is_sent_as_postgresql_sends_it() {
    for (text, sent, printed) in SENT {
        assert_eq!(decimal(text, None).as_deref(), Some(sent), "{text}");
        assert_eq!(decoded(&bytes(sent)).as_deref(), Some(printed));
    }
    for (sent, printed) in SPECIAL {
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
    for (value, (sent, _)) in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().zip(SPECIAL)
    {
        let mut out = Vec::new();
        encode_real(value, None, &mut out).unwrap();
        assert_eq!(hex(&out), sent);
    }
}

#[test]
fn another_text_or_too_many_digits_are_refused() {
    for text in ["", " 1", "1 "].into_iter().chain(texts(&[
        "-|+-1|.5|5.|1.e5|e5|1e|1e+|1e5.5|0x10|1_000|NaN|1e131072|1e-16384|0e-16384",
        "1e1073741823|0e1073741823|1e99999999999999999999",
    ])) {
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
fn malformed_numerics_are_refused() {
    for hex in texts(&[
        "",
        "00000000000000|000000000000000000|0001000000000000|00010000000000002710",
        "0000000080000000|00010000c00000000001",
        // A display scale past the limit, and one that hides digits.
        "0000000000004000|0001ffff000000030001|00018000000000040001",
    ]) {
        assert_eq!(decoded(&bytes(hex)), None, "{hex}");
    }
}

proptest! {
    #![proptest_config(same_cases())]

    #[test]
    fn a_plain_decimal_reads_back_as_it_was(text in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{0,30}[1-9])?") {
        prop_assume!(text != "-0");
        let sent = bytes(&decimal(&text, None).unwrap());
        prop_assert_eq!(decoded(&sent), Some(text));
    }

    #[test]
    fn a_real_comes_back_and_has_the_standard_library_s_decimal(bits: u64) {
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

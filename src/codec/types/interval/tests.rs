use super::*;
use crate::codec::test_cases::{hex, same_cases, texts};
use proptest::prelude::*;

fn printed(text: &str) -> Option<String> {
    let mut out = Vec::new();
    Interval::parse(text.as_bytes())?.write_text(&mut out);
    String::from_utf8(out).ok()
}

#[test]
fn an_interval_is_sent_as_postgresql_sends_it() {
    // From PostgreSQL 15's interval_send.
    for (text, sent) in [
        ("00:00:00", "00000000000000000000000000000000"),
        ("1 year 2 mons 3 days 04:05:06.789", "000000036c97ca88000000030000000e"),
        ("-1 years +1 day -00:00:01", "fffffffffff0bdc000000001fffffff4"),
    ] {
        let mut out = BytesMut::new();
        assert_eq!(encode(SqliteValue::Text(text.as_bytes()), &mut out), Ok(Fidelity::Exact));
        assert_eq!(hex(&out[4..]), sent, "{text}");
        let mut back = Vec::new();
        assert_eq!(decode(&out[4..], &mut back), Some(()));
        assert_eq!(back, text.as_bytes());
    }
}

#[test]
fn a_text_is_read_as_postgresql_reads_it() {
    for (text, expected) in [
        ("1 mon", "1 mon"),
        ("@ 1 minute 2 secs ago", "-00:01:02"),
        ("1h30m", "01:30:00"),
        ("90 min", "01:30:00"),
        ("1 day, 4:05:06", "1 day 04:05:06"),
        ("1.5 days", "1 day 12:00:00"),
        ("1.5 years", "1 year 6 mons"),
        ("2 WEEKS", "14 days"),
        ("-1 days +02:03", "-1 days +02:03:00"),
        ("P1Y2M3DT4H5M6.7S", "1 year 2 mons 3 days 04:05:06.7"),
        ("P0001-02-03T04:05:06", "1 year 2 mons 3 days 04:05:06"),
        ("PT36H", "36:00:00"),
        ("P4.5M", "4 mons 15 days"),
        ("PT86400.001S", "24:00:00.001"),
        ("0.1 months", "3 days"),
        ("- 1 day, +02:00", "-1 days +02:00:00"),
        ("1 day,2 hours", "1 day 02:00:00"),
        ("P-1M", "-1 mons"),
        ("13 months", "1 year 1 mon"),
    ] {
        assert_eq!(printed(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_text_whose_value_is_not_certain_is_refused() {
    for text in ["", " "].into_iter().chain(texts(&[
        "@|ago|5|1 2|1-2|1 day 1 day|1 sec 04:05:06|04:05:06 1 day|04:60|04:05:60|1.1234567 s",
        "1 fortnight|infinity|P|PT|P1|P1DT|p1d|P1Y1Y|1.00001 weeks|1 s 1.5|\u{e9}",
        // PostgreSQL calculates these with doubles: 4 mons 2 days 24:00:00 and so on.
        "P4.1M|P296866.1D|P-2582210.001D|1.5.5 days|1 day ago ago|1 mon days|3000000000 days",
        "9223372036854775808 us|178956970 years 7 mons 2147483647 days 2562047788:00:54.775807",
    ])) {
        assert_eq!(printed(text), None, "{text}");
    }
    for field in [&[0; 15][..], &[0; 17]] {
        assert_eq!(decode(field, &mut Vec::new()), None);
    }
    assert_eq!(decode(&INFINITIES[0].to_binary(), &mut Vec::new()), None);
}

proptest! {
    #![proptest_config(same_cases())]

    #[test]
    fn an_interval_reads_back_as_it_prints(months: i32, days: i32, micros: i64, shift in 0_u32..63) {
        let interval = Interval { months: months >> (shift / 2), days: days >> (shift / 2), micros: micros >> shift };
        let mut out = Vec::new();
        interval.write_text(&mut out);
        prop_assert_eq!(Interval::parse(&out), Some(interval));
        prop_assert_eq!(Interval::from_binary(&interval.to_binary()), Some(interval));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[-+@0-9a-zPTYMWDHS:., ]{0,40}") {
        let _ = Interval::parse(text.as_bytes());
    }
}

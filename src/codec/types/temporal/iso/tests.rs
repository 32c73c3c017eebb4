use super::*;
use crate::codec::test_cases::{same_cases, texts};
use proptest::prelude::*;

fn printed(micros: i64, zoned: bool) -> String {
    let mut out = Vec::new();
    format_timestamp(micros, zoned, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_canonical_timestamp_is_postgresqls_number_and_prints_as_itself() {
    // Numbers from PostgreSQL 15's timestamp_send.
    for (text, micros) in [
        ("0001-01-01 00:00:00", -63_082_281_600_000_000),
        ("0001-02-28 23:59:59", -63_077_184_001_000_000),
        ("1582-10-15 00:00:00", -13_165_977_600_000_000),
        ("1899-12-31 23:59:59.999999", -3_155_673_600_000_001),
        ("1900-02-28 12:00:00", -3_150_619_200_000_000),
        ("1900-03-01 00:00:00", -3_150_576_000_000_000),
        ("1969-12-31 23:59:59", -946_684_801_000_000),
        ("1970-01-01 00:00:00", -946_684_800_000_000),
        ("1999-12-31 23:59:59.999999", -1),
        ("2000-01-01 00:00:00", 0),
        ("2000-02-29 01:02:03.4", 5_101_323_400_000),
        ("2024-02-29 06:07:08.090807", 762_502_028_090_807),
        ("2038-01-19 03:14:08", 1_200_798_848_000_000),
        ("2100-02-28 23:00:00.000001", 3_160_854_000_000_001),
        ("9999-12-31 23:59:59.999999", 252_455_615_999_999_999),
    ] {
        let mut expected = Timestamp { micros, zoned: false, canonical: true, nanos_lost: false };
        assert_eq!(parse_timestamp(text.as_bytes()), Some(expected), "{text}");
        assert_eq!(printed(micros, false), text);
        let zoned = format!("{text}+00:00");
        expected.zoned = true;
        assert_eq!(parse_timestamp(zoned.as_bytes()), Some(expected), "{zoned}");
        assert_eq!(printed(micros, true), zoned);
    }
}

#[test]
fn a_zone_moves_a_timestamp_to_utc() {
    // Numbers from PostgreSQL 15's timestamptz_send.
    for (text, micros) in [
        ("2024-03-31 02:30:00+02:00", 765_160_200_000_000),
        ("2024-03-31T02:30Z", 765_167_400_000_000),
        ("2024-03-31 02:30:00 z", 765_167_400_000_000),
        ("2024-03-31 02:30:00.5-0730", 765_194_400_500_000),
        ("2024-03-31 02:30:00.123456789 +15:59:59", 765_109_801_123_457),
        ("2024-03-31 02:30 -03", 765_178_200_000_000),
        ("0001-01-01 15:00:00+15:00", -63_082_281_600_000_000),
    ] {
        let read = parse_timestamp(text.as_bytes()).unwrap();
        assert_eq!((read.micros, read.zoned, read.canonical), (micros, true, false), "{text}");
    }
}

#[test]
fn another_spelling_of_a_timestamp_is_not_canonical() {
    for text in texts(&[
        "2000-01-01|2000-01-01T00:00:00|2000-01-01 00:00|2000-01-01 00:00:00.0",
        "2000-01-01 00:00:00.000000|2000-01-01 00:00:00.0000000|2000-01-01 00:00:00Z",
        "2000-01-01 00:00:00 +00:00|2000-01-01 00:00:00-00:00|2000-01-01 00:00:00+00",
        "2000-01-01 00:00:00+0000|2000-01-01 00:00:00+00:00:00|2000-01-01 01:00:00+01:00",
    ]) {
        let read = parse_timestamp(text.as_bytes()).unwrap();
        assert_eq!((read.micros, read.canonical, read.nanos_lost), (0, false, false), "{text}");
    }
}

#[test]
fn digits_past_microseconds_are_rounded_and_carry() {
    for (text, micros, lost) in [
        ("2000-01-01 00:00:00.0000004999", 0, true),
        ("2000-01-01 00:00:00.0000005", 1, true),
        ("2000-01-01 00:00:00.1234560", 123_456, false),
        ("1999-12-31 23:59:59.9999995", 0, true),
        ("1999-12-31 23:59:59.9999994", -1, true),
    ] {
        let read = parse_timestamp(text.as_bytes()).unwrap();
        assert_eq!((read.micros, read.nanos_lost, read.canonical), (micros, lost, false));
    }
    assert_eq!(parse_timestamp(b"9999-12-31 23:59:59.9999995"), None);
    let time = parse_time(b"23:59:58.9999996").unwrap();
    assert_eq!((time.micros, time.nanos_lost, time.canonical), (DAY - SECOND, true, false));
    assert_eq!(parse_time(b"23:59:59.9999995"), None);
}

#[test]
fn other_texts_are_refused_as_timestamps() {
    for text in ["", " 2000-01-01", "2000-01-01 "].into_iter().chain(texts(&[
        "2000-01-01 00:00:00 ",
        "0|2000|2000-1-01|2000-01-1|20000101|0000-01-01|-001-01-01|10000-01-01|2000-00-01",
        "2000-13-01|2000-01-00|2000-01-32|2000-04-31|1900-02-29|2023-02-29",
        "2000-01-01T|2000-01-01t00:00|2000-01-01  00:00|2000-01-01 0:00|2000-01-01 24:00:00",
        "2000-01-01 00:60:00|2000-01-01 00:00:60|2000-01-01 00:00:|2000-01-01 00:00:0",
        "2000-01-01 00:00.5|2000-01-01 00:00:00.|2000-01-01 00:00:00,5|2000-01-01 00:00:00  Z",
        "2000-01-01 00:00:00 UTC|2000-01-01 00:00:00ZZ|2000-01-01 00:00:00+|2000-01-01 00:00:00+1",
        "2000-01-01 00:00:00+123|2000-01-01 00:00:00+16|2000-01-01 00:00:00+00:60",
        "2000-01-01 00:00:00+00:00:60|2000-01-01 00:00:00+000000|2000-01-01 00:00:00 +0000 UTC",
        "2000-01-01Z|2000-01-01+00:00|0001-01-01 00:59:59+01:00|9999-12-31 23:00:00-01:00",
    ])) {
        assert_eq!(parse_timestamp(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_date_is_postgresqls_count_of_days() {
    // Numbers from PostgreSQL 15's date_send.
    for (text, days) in [
        ("0001-01-01", -730_119),
        ("0004-02-29", -728_965),
        ("1899-12-31", -36_525),
        ("1900-02-28", -36_466),
        ("1900-03-01", -36_465),
        ("1999-12-31", -1),
        ("2000-02-29", 59),
        ("2000-03-01", 60),
        ("2023-01-31", 8_431),
        ("2023-04-30", 8_520),
        ("2024-02-29", 8_825),
        ("2024-12-31", 9_131),
        ("9999-12-31", 2_921_939),
    ] {
        assert_eq!(parse_date(text.as_bytes()), Some(days), "{text}");
    }
    assert_eq!(parse_date(b"2000-01-01 00:00:00"), None);
}

#[test]
fn every_day_of_the_ten_thousand_years_reads_back() {
    let mut text = Vec::new();
    for days in FIRST_DAY..=LAST_DAY {
        text.clear();
        format_date(days, &mut text).unwrap();
        assert_eq!(parse_date(&text), Some(days));
    }
}

#[test]
fn a_value_without_iso_text_is_not_printed() {
    let mut out = Vec::new();
    let first = i64::from(FIRST_DAY) * DAY;
    let end = (i64::from(LAST_DAY) + 1) * DAY;
    for micros in [i64::MIN, first - 1, end, i64::MAX] {
        assert_eq!(format_timestamp(micros, true, &mut out), None);
    }
    for days in [i32::MIN, FIRST_DAY - 1, LAST_DAY + 1, i32::MAX] {
        assert_eq!(format_date(days, &mut out), None);
    }
    for micros in [i64::MIN, -1, DAY, i64::MAX] {
        assert_eq!(format_time(micros, &mut out), None);
    }
    assert!(out.is_empty());
}

#[test]
fn a_time_has_no_date_and_no_zone() {
    let time = |text: &str| parse_time(text.as_bytes()).map(|t| (t.micros, t.canonical));
    assert_eq!(time("00:00:00"), Some((0, true)));
    assert_eq!(time("23:59:59.999999"), Some((DAY - 1, true)));
    assert_eq!(time("01:02"), Some((3_720_000_000, false)));
    assert_eq!(time("01:02:03.50"), Some((3_723_500_000, false)));
    for text in ["24:00:00", "23:60", "1:02", "01:02:03Z", "01:02:03 ", "2000-01-01 01:02", ""] {
        assert_eq!(time(text), None, "{text}");
    }
}

proptest! {
    #![proptest_config(same_cases())]

    #[test]
    fn a_timestamp_reads_back_as_it_prints(
        micros in i64::from(FIRST_DAY) * DAY..(i64::from(LAST_DAY) + 1) * DAY,
        unit in prop::sample::select(vec![1, 1_000, SECOND]),
        zoned: bool,
    ) {
        let micros = micros / unit * unit;
        let expected = Timestamp { micros, zoned, canonical: true, nanos_lost: false };
        prop_assert_eq!(parse_timestamp(printed(micros, zoned).as_bytes()), Some(expected));
    }

    #[test]
    fn canonical_means_that_the_same_text_is_printed(
        text in "(0001|1999|2024|9999)-(02-28|12-31)[ T](00|23):59(:59(\\.[09]{1,8})?)?( ?(Z|[+-]00(:?00|:30)?))?",
    ) {
        if let Some(read) = parse_timestamp(text.as_bytes()) {
            prop_assert_eq!(read.canonical, printed(read.micros, read.zoned) == text);
        }
    }

    #[test]
    fn a_time_reads_back_as_it_prints(micros in 0..DAY) {
        let mut text = Vec::new();
        format_time(micros, &mut text).unwrap();
        let expected = Time { micros, canonical: true, nanos_lost: false };
        prop_assert_eq!(parse_time(&text), Some(expected));
    }
}

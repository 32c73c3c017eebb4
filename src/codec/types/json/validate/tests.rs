use super::*;
use crate::codec::test_cases::{same_cases, texts};
use proptest::prelude::*;

fn facts(text: &str) -> Option<Facts> {
    validate(text.as_bytes())
}

#[test]
fn a_text_that_postgresql_reads_as_json_is_valid() {
    for text in texts(&[
        " \t\r\n1 \n",
        "0|-0|10.25e+7|1E-999999|true|null|\"\"",
        "\"\u{7f} é 😀 \\\" \\\\ \\/ \\b\\f\\n\\r\\t \\u00e9 \\uABCD\"|{}|[ ]",
        "[{}, [], {\"a\" : [1, 2]}, \"b\"]|{\"a\":1,\"a\":2}",
    ]) {
        assert!(facts(text).is_some(), "{text}");
    }
}

#[test]
fn a_text_that_postgresql_refuses_is_not_valid() {
    for text in ["", " "].into_iter().chain(texts(&[
        "01|-|-a|1.|.5|+1|1e|1e+|1.2.3|1a|0x1|NaN|Infinity|nul|nullx|True|truefalse|1 2|'a'",
        "/**/1|\u{feff}1|1\u{a0}|\u{b}1|[|]|{|[1,]|[,1]|[1 2]|[}|{]|[1]]|{,}|{a:1}|{1:1}|\"\t\"",
        "\"\u{1f}\"|\"a long string with a \n in it\"|[1}",
        r#"{"a":1,}|{"a"}|{"a":}|{"a" 1}|"|"\|"\"|"\x"|"\u"|"\u12"|"\u12G4"|["a":1]|{"a":1]"#,
    ])) {
        assert_eq!(facts(text), None, "{text}");
    }
}

#[test]
fn json_that_jsonb_or_an_operator_refuses_is_flagged() {
    let flags = |text: &str| {
        let facts = facts(text).unwrap();
        (facts.nul_escape, facts.bad_surrogates, facts.huge_number)
    };
    assert_eq!(flags(r#"{"a": "\u0001\\u0000"}"#), (false, false, false));
    assert_eq!(flags(r#"{"a\u0000": 1}"#), (true, false, false));
    assert_eq!(flags(r#""\ud83d\ude00 \uD83D\uDE00""#), (false, false, false));
    for text in texts(&[
        r#""\ud83d"|"\ude00"|"\ud83d\ud83d\ude00"|"\ud83dx\ude00"|"\ud83d\n\ude00""#,
        r#""\ud83d\u0041"|["\ud83d", "\ude00"]"#,
    ]) {
        assert_eq!(flags(text), (false, true, false), "{text}");
    }
    assert_eq!(flags("[1e131071, 1e-16383, 0e-16383]"), (false, false, false));
    for text in ["1e131072", "-1e-16384", "0e-16384", "1e99999999999"] {
        assert_eq!(flags(text), (false, false, true), "{text}");
    }
    assert_eq!(flags(&"1".repeat(131_072)), (false, false, false));
    assert_eq!(flags(&"1".repeat(131_073)), (false, false, true));
}

#[test]
fn depth_counts_the_arrays_and_objects_around_a_value() {
    let depth = |text: &str| facts(text).unwrap().depth;
    assert_eq!(depth("1"), 0);
    assert_eq!(depth("[]"), 1);
    assert_eq!(depth("[[], {\"a\": [1]}, []]"), 3);
}

/// Arrays and objects around a zero: an object at each third level, so that no two words of bits
/// are equal.
fn nested(levels: usize) -> String {
    let mut text = String::new();
    for level in 0..levels {
        text.push_str(if level.is_multiple_of(3) { "{\"\":" } else { "[" });
    }
    text.push('0');
    for level in (0..levels).rev() {
        text.push(if level.is_multiple_of(3) { '}' } else { ']' });
    }
    text
}

#[test]
fn a_million_levels_need_no_stack() {
    assert_eq!(facts(&nested(1_000_000)).map(|facts| facts.depth), Some(1_000_000));
}

#[test]
fn a_closing_bracket_must_match_at_every_level() {
    let text = nested(400).into_bytes();
    assert!(validate(&text).is_some());
    for at in text.len() - 400..text.len() {
        let mut wrong = text.clone();
        wrong[at] = if wrong[at] == b'}' { b']' } else { b'}' };
        assert_eq!(validate(&wrong), None, "{at}");
    }
}

proptest! {
    #![proptest_config(same_cases())]

    #[test]
    fn serde_json_agrees(text in "[\\[\\]{},:\"a\\\\u01eE.+\\- \n-]{0,12}") {
        let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&text);
        prop_assert_eq!(facts(&text).is_some(), parsed.is_ok());
    }

    #[test]
    fn the_end_of_plain_bytes_is_found_at_every_index(
        plain in "[ !#-\\[\\]-~é😀]{0,30}",
        stop in prop::sample::select(vec!['"', '\\', '\0', '\u{1f}', '\n']),
    ) {
        let text = format!("{plain}{stop}and the rest");
        prop_assert_eq!(plain_length(text.as_bytes()), plain.len());
    }
}

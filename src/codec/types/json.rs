//! JSON: whether a text is one, as PostgreSQL's `json` input understands it, and what stands in
//! its way into `jsonb`.
//!
//! The grammar is RFC 8259's, to the letter. There is no recursion: nesting costs one bit a
//! level, so that no depth of it can overflow the stack. (The server does recurse and refuses
//! some thousands of levels; [`Facts::depth`] is for that limit.)

use crate::codec::types::decimal;

/// The longest number that `jsonb` surely holds, in bytes: fewer digits than either side of a
/// numeric's point takes. Anything longer, or with an exponent, is looked at closely.
const PLAIN_NUMBER: usize = 16_000;

/// What is known of a text that is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Arrays and objects around the innermost value; 0 for a scalar.
    pub(crate) depth: u32,
    /// A string or key holds the escape `\u0000`, which `json` keeps as it is and `jsonb`, like
    /// every function that takes the string out, refuses.
    pub(crate) nul_escape: bool,
    /// An escape names half of a surrogate pair without the other: the same.
    pub(crate) bad_surrogates: bool,
    /// A number is beyond what a numeric holds: the same.
    pub(crate) huge_number: bool,
}

/// Reads a text, which must be valid UTF-8, to its end. `None` where it is not JSON.
pub fn validate(text: &[u8]) -> Option<Facts> {
    let mut reader = Reader { text, at: 0, facts: Facts::default() };
    let mut nesting = Nesting::default();
    loop {
        // A value starts here.
        match reader.next_token()? {
            b'"' => reader.string()?,
            b't' => reader.literal(b"rue")?,
            b'f' => reader.literal(b"alse")?,
            b'n' => reader.literal(b"ull")?,
            first @ (b'-' | b'0'..=b'9') => reader.number(first)?,
            open @ (b'[' | b'{') => {
                nesting.push(open == b'{');
                reader.facts.depth = reader.facts.depth.max(nesting.depth);
                let empty = reader.peek_token()? == if open == b'{' { b'}' } else { b']' };
                if !empty {
                    if open == b'{' {
                        reader.key()?;
                    }
                    continue;
                }
            }
            _ => return None,
        }
        // A value has ended, or an empty array or object is about to.
        loop {
            if nesting.depth == 0 {
                return reader.peek_token().is_none().then_some(reader.facts);
            }
            match (reader.next_token()?, nesting.in_object) {
                (b',', true) => {
                    reader.key()?;
                    break;
                }
                (b',', false) => break,
                (b'}', true) | (b']', false) => nesting.pop(),
                _ => return None,
            }
        }
    }
}

/// Where a reading of a text is.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    facts: Facts,
}

impl Reader<'_> {
    /// The next byte that is no white space, which stays.
    fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// The next byte that is no white space, taken.
    fn next_token(&mut self) -> Option<u8> {
        let byte = self.peek_token();
        self.at += 1;
        byte
    }

    /// The next byte, taken.
    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn literal(&mut self, rest: &[u8]) -> Option<()> {
        let end = self.at + rest.len();
        (self.text.get(self.at..end)? == rest).then(|| self.at = end)
    }

    /// A key and its colon.
    fn key(&mut self) -> Option<()> {
        (self.next_token()? == b'"').then_some(())?;
        self.string()?;
        (self.next_token()? == b':').then_some(())
    }

    /// A number, of which `first` is taken.
    fn number(&mut self, first: u8) -> Option<()> {
        let start = self.at - 1;
        let lead = if first == b'-' { self.next()? } else { first };
        match lead {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        let exponent = matches!(self.text.get(self.at), Some(b'e' | b'E'));
        if exponent {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        if exponent || self.at - start > PLAIN_NUMBER {
            let number = self.text.get(start..self.at)?;
            self.facts.huge_number |= !decimal::holds(number);
        }
        Some(())
    }

    /// Digits, at least one.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_digits();
        (self.at > start).then_some(())
    }

    fn skip_digits(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    /// A string, of which the opening quote is taken.
    fn string(&mut self) -> Option<()> {
        // The last escape was the first half of a surrogate pair.
        let mut half = false;
        loop {
            let plain = plain_length(self.text.get(self.at..)?);
            self.at += plain;
            let unit = match self.next()? {
                b'"' => {
                    self.facts.bad_surrogates |= half;
                    return Some(());
                }
                b'\\' => self.escape()?,
                // A control character, which must not stand in a string as it is.
                _ => return None,
            };
            let second = (0xDC00..0xE000).contains(&unit);
            self.facts.bad_surrogates |= if second { !half || plain > 0 } else { half };
            self.facts.nul_escape |= unit == 0;
            half = (0xD800..0xDC00).contains(&unit);
        }
    }

    /// An escape, of which the backslash is taken: the code unit of a `\u`, and of the others
    /// their letter, which no question asked of a code unit is true of.
    fn escape(&mut self) -> Option<u32> {
        match self.next()? {
            letter @ (b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                Some(u32::from(letter))
            }
            b'u' => {
                let mut unit = 0;
                for _ in 0..4 {
                    unit = unit * 16 + char::from(self.next()?).to_digit(16)?;
                }
                Some(unit)
            }
            _ => None,
        }
    }
}

/// The bytes at the front of `text` that mean themselves in a string: no quote, no backslash,
/// no control character. Eight are looked at together, because most bytes of JSON are in
/// strings.
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The usual tests on words: true of a word if one of its bytes is below `limit`, or equal.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS != 0;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, _) = text.as_chunks::<8>();
    let expect_integer = words
        .iter()
        .map(|word| u64::from_be_bytes(*word))
        .take_while(|word| !below(*word, 0x20) && !equal(*word, b'"') && !equal(*word, b'\\'))
        .count();
    let rest = &text[expect_integer * 8..];
    expect_integer * 8
        + rest.iter().take_while(|byte| **byte >= 0x20 && !matches!(byte, b'"' | b'\\')).count()
}

/// The arrays and objects that are open, one bit each.
#[derive(Default)]
struct Nesting {
    depth: u32,
    /// The innermost one is an object.
    in_object: bool,
    /// The bits of those around it, the innermost lowest, up to the last full word.
    near: u64,
    /// Full words of bits, outermost first: none, and no allocation, up to 64 levels.
    far: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.far.push(self.near);
        }
        self.near = self.near << 1 | u64::from(self.in_object);
        self.in_object = object;
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.in_object = self.near & 1 == 1;
        self.near >>= 1;
        self.depth -= 1;
        if self.depth > 0
            && self.depth.is_multiple_of(64)
            && let Some(word) = self.far.pop()
        {
            self.near = word;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(text: &str) -> Option<Facts> {
        validate(text.as_bytes())
    }

    #[test]
    fn what_postgresqls_json_takes_is_json() {
        for text in [
            "0",
            "-0",
            " \t\r\n1 \n",
            "10.25e+7",
            "1E-999999",
            "true",
            "null",
            "\"\"",
            "\"\u{7f} é 😀 \\\" \\\\ \\/ \\b\\f\\n\\r\\t \\u00e9 \\uABCD\"",
            "{}",
            "[ ]",
            "[{}, [], {\"a\" : [1, 2]}, \"b\"]",
            "{\"a\":1,\"a\":2}",
        ] {
            assert!(facts(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_postgresqls_json_refuses_is_not() {
        for text in [
            "",
            " ",
            "01",
            "-",
            "-a",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "1.2.3",
            "1a",
            "0x1",
            "NaN",
            "Infinity",
            "nul",
            "nullx",
            "True",
            "truefalse",
            "1 2",
            "'a'",
            "/**/1",
            "\u{feff}1",
            "1\u{a0}",
            "\u{b}1",
            "[",
            "]",
            "{",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[}",
            "{]",
            "[1]]",
            "{\"a\":1,}",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\" 1}",
            "{a:1}",
            "{1:1}",
            "\"",
            "\"\\",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u\"",
            "\"\\u12\"",
            "\"\\u12G4\"",
            "\"\t\"",
            "\"\u{1f}\"",
            "\"a long string with a \n in it\"",
            "[\"a\":1]",
            "{\"a\":1]",
            "[1}",
        ] {
            assert_eq!(facts(text), None, "{text}");
        }
    }

    #[test]
    fn what_only_jsonb_refuses_is_told() {
        let told = |text: &str| {
            let facts = facts(text).unwrap();
            (facts.nul_escape, facts.bad_surrogates, facts.huge_number)
        };
        assert_eq!(told(r#"{"a": "\u0001\\u0000"}"#), (false, false, false));
        assert_eq!(told(r#"{"a\u0000": 1}"#), (true, false, false));
        assert_eq!(told(r#""\ud83d\ude00 \uD83D\uDE00""#), (false, false, false));
        for text in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83d\ud83d\ude00""#,
            r#""\ud83dx\ude00""#,
            r#""\ud83d\n\ude00""#,
            r#""\ud83d\u0041""#,
            r#"["\ud83d", "\ude00"]"#,
        ] {
            assert_eq!(told(text), (false, true, false), "{text}");
        }
        assert_eq!(told("[1e131071, 1e-16383, 0e-16383]"), (false, false, false));
        for text in ["1e131072", "-1e-16384", "0e-16384", "1e99999999999"] {
            assert_eq!(told(text), (false, false, true), "{text}");
        }
        assert_eq!(told(&"1".repeat(131_072)), (false, false, false));
        assert_eq!(told(&"1".repeat(131_073)), (false, false, true));
    }

    #[test]
    fn depth_counts_the_arrays_and_objects_around_a_value() {
        let depth = |text: &str| facts(text).unwrap().depth;
        assert_eq!(depth("1"), 0);
        assert_eq!(depth("[]"), 1);
        assert_eq!(depth("[[], {\"a\": [1]}, []]"), 3);
    }

    /// Arrays and objects around a zero; objects where the level is a multiple of three, so
    /// that no two words of bits agree.
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
    fn what_opened_at_any_level_closes_as_the_same() {
        let text = nested(400).into_bytes();
        assert!(validate(&text).is_some());
        for at in text.len() - 400..text.len() {
            let mut wrong = text.clone();
            wrong[at] = if wrong[at] == b'}' { b']' } else { b'}' };
            assert_eq!(validate(&wrong), None, "{at}");
        }
    }

    proptest! {
        #![proptest_config(crate::codec::test_cases::same_cases())]

        #[test]
        fn serde_json_agrees_on_what_is_json(text in "[\\[\\]{},:\"a\\\\u01eE.+\\- \n-]{0,12}") {
            let parsed = serde_json::from_str::<serde::de::IgnoredAny>(&text);
            prop_assert_eq!(facts(&text).is_some(), parsed.is_ok());
        }

        #[test]
        fn a_stop_is_found_wherever_it_stands(
            plain in "[ !#-\\[\\]-~é😀]{0,30}",
            stop in prop::sample::select(vec!['"', '\\', '\0', '\u{1f}', '\n']),
        ) {
            let text = format!("{plain}{stop}and the rest");
            prop_assert_eq!(plain_length(text.as_bytes()), plain.len());
        }
    }
}

//! The canonical form of `jsonb`: one form for all texts with the same value.
//!
//! For a repeated name the server keeps the last value. It does not keep the order of members or
//! the white space, and stores numbers as `numeric`. The canonical form has a tag for each kind,
//! lengths before contents, and members in the order of their names' bytes.

use crate::codec::types::numeric;
use std::collections::BTreeMap;

/// A text with deeper nesting is compared byte by byte. Such a text is never sent.
const MAX_DEPTH: u32 = 4_000;

/// Appends the canonical form of a `jsonb` field: a version byte and a JSON text. `None`, with any
/// bytes appended, for a malformed field.
pub(crate) fn canonical(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (1, text) = field.split_first().map(|(version, text)| (*version, text))? else {
        return None;
    };
    let mut scanner = Scanner { text, at: 0 };
    scanner.value(out, 0)?;
    scanner.space();
    (scanner.at == text.len()).then_some(())
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                out.push(b's');
                with_length(out, |out| self.string(out))
            }
            b'-' | b'0'..=b'9' => self.number(out),
            _ => {
                let word = [b"true".as_slice(), b"false", b"null"]
                    .into_iter()
                    .find(|word| self.text[self.at..].starts_with(word))?;
                self.at += word.len();
                out.push(word[0]);
                Some(())
            }
        }
    }

    /// Reads an array or object from its opening bracket to `close`, each element with `read`.
    #[inline]
    fn list(&mut self, close: u8, mut read: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            read(self)?;
            self.space();
            match self.take()? {
                b',' => {}
                byte => return (byte == close).then_some(()),
            }
        }
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        out.push(b'[');
        self.list(b']', |scanner| scanner.value(out, depth + 1))?;
        out.push(b']');
        Some(())
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: u32) -> Option<()> {
        let mut members: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        self.list(b'}', |scanner| {
            let (mut name, mut value) = (Vec::new(), Vec::new());
            scanner.space();
            scanner.string(&mut name)?;
            scanner.space();
            if scanner.take()? != b':' {
                return None;
            }
            scanner.value(&mut value, depth + 1)?;
            members.insert(name, value);
            Some(())
        })?;
        out.push(b'{');
        for (name, value) in members {
            with_length(out, |out| {
                out.extend_from_slice(&name);
                Some(())
            })?;
            out.extend_from_slice(&value);
        }
        out.push(b'}');
        Some(())
    }

    fn number(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        out.push(b'd');
        let mut wire = Vec::with_capacity(24);
        let known = numeric::encode_decimal(text, None, &mut wire);
        with_length(out, |out| match known {
            Some(()) => numeric::canonical(&wire, out),
            None => {
                out.extend_from_slice(text);
                Some(())
            }
        })
    }

    /// Appends the characters of a string without its quotes and escapes.
    fn string(&mut self, out: &mut Vec<u8>) -> Option<()> {
        if self.take()? != b'"' {
            return None;
        }
        loop {
            let rest = &self.text[self.at..];
            let plain = memchr::memchr2(b'"', b'\\', rest)?;
            out.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            if rest[plain] == b'"' {
                return Some(());
            }
            match self.take()? {
                b'b' => out.push(8),
                b'f' => out.push(12),
                b'n' => out.push(b'\n'),
                b'r' => out.push(b'\r'),
                b't' => out.push(b'\t'),
                b'u' => {
                    let character = self.escaped()?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                other => out.push(other),
            }
        }
    }

    /// The character of `\uXXXX`, or of the pair that it begins.
    fn escaped(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if (self.take()?, self.take()?) != (b'\\', b'u') {
            return None;
        }
        let second = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// Appends what `write` appends, with its length before it.
fn with_length(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = u32::try_from(out.len() - start - 4).ok()?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::test_cases::texts;

    fn form(text: &str) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        canonical(&[&[1], text.as_bytes()].concat(), &mut out).map(|()| out)
    }

    #[test]
    fn texts_of_the_same_value_have_one_canonical_form() {
        for (one, other) in [
            (r#"{"b":1,"a":[1.0,true]}"#, r#" {"a" : [ 1, true ], "b": 1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
            ("1e2", "100"),
            ("-0", "0"),
            (r#""\u00e9\ud83d\ude00\/\n""#, "\"é😀/\\n\""),
            ("[]", "[ ]"),
        ] {
            assert!(form(one).is_some(), "{one}");
            assert_eq!(form(one), form(other), "{one} {other}");
        }
    }

    #[test]
    fn texts_of_different_values_have_different_forms() {
        let texts: Vec<&str> = texts(&[
            r#"1|"1"|[1]|[[1]]|[1,1]|{}|[]|null|"null"|""|{"a":1}|{"b":1}|{"a":"1"}|[{},1]|[{"a":1}]"#,
        ])
        .collect();
        for (at, one) in texts.iter().enumerate() {
            for other in &texts[..at] {
                assert_ne!(form(one), form(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn invalid_json_has_no_canonical_form() {
        for text in ["", "{", "[1", "\"a", "{\"a\"}", "1 2", "tru", r#""\ud800""#] {
            assert_eq!(form(text), None, "{text}");
        }
        assert_eq!(canonical(b"\x02{}", &mut Vec::new()), None);
    }
}

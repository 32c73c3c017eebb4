//! Validation of JSON as PostgreSQL's `json` reads it, with the facts that matter for `jsonb`.
//!
//! The grammar is exactly that of RFC 8259. Nesting costs one bit per level and no recursion, so no
//! depth can overflow the stack. The server is recursive and refuses some thousands of levels;
//! [`Facts::depth`] is for that limit.

use crate::codec::types::numeric::decimal;

/// The longest number, in bytes, that `jsonb` always holds: it has fewer digits than a numeric can
/// have on either side of the point. A longer number, or one with an exponent, is parsed.
const PLAIN_NUMBER: usize = 16_000;

/// The facts about a valid JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// Arrays and objects around the innermost value; 0 for a scalar.
    pub(crate) depth: u32,
    /// A string or key has the escape `\u0000`. `json` keeps it; `jsonb` and every operator that
    /// reads the document, such as `->>`, refuse it.
    pub(crate) nul_escape: bool,
    /// An escape is one half of a surrogate pair: the same applies.
    pub(crate) bad_surrogates: bool,
    /// A number is too large for a numeric: `jsonb` refuses it, `json` and its operators do not.
    pub(crate) huge_number: bool,
}

/// Validates a text, which must be valid UTF-8. `None` if it is not JSON.
pub fn validate(text: &[u8]) -> Option<Facts> {
    let mut scanner = Scanner { text, at: 0, facts: Facts::default() };
    let mut nesting = Nesting::default();
    loop {
        // A value starts here.
        match scanner.next_token()? {
            b'"' => scanner.string()?,
            b't' => scanner.literal(b"rue")?,
            b'f' => scanner.literal(b"alse")?,
            b'n' => scanner.literal(b"ull")?,
            first @ (b'-' | b'0'..=b'9') => scanner.number(first)?,
            open @ (b'[' | b'{') => {
                nesting.push(open == b'{');
                scanner.facts.depth = scanner.facts.depth.max(nesting.depth);
                let empty = scanner.peek_token()? == if open == b'{' { b'}' } else { b']' };
                if !empty {
                    if open == b'{' {
                        scanner.key()?;
                    }
                    continue;
                }
            }
            _ => return None,
        }
        // A value has ended, or an empty array or object is about to.
        loop {
            if nesting.depth == 0 {
                return scanner.peek_token().is_none().then_some(scanner.facts);
            }
            match (scanner.next_token()?, nesting.in_object) {
                (b',', true) => {
                    scanner.key()?;
                    break;
                }
                (b',', false) => break,
                (b'}', true) | (b']', false) => nesting.pop(),
                _ => return None,
            }
        }
    }
}

/// A position in a text.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    facts: Facts,
}

impl Scanner<'_> {
    /// The next byte that is not white space. It is not taken.
    fn peek_token(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Takes the next byte that is not white space.
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

    /// Reads the rest of a number after its first byte.
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

    /// Reads the rest of a string after its opening quote.
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
                // A control character, which a string may contain only as an escape.
                _ => return None,
            };
            let second = (0xDC00..0xE000).contains(&unit);
            self.facts.bad_surrogates |= if second { !half || plain > 0 } else { half };
            self.facts.nul_escape |= unit == 0;
            half = (0xD800..0xDC00).contains(&unit);
        }
    }

    /// Reads the rest of an escape after its backslash: the code unit of a `\u`, or the letter of any
    /// other escape, which is neither zero nor a surrogate.
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

/// The number of bytes before the first quote, backslash or control character. Eight bytes are
/// tested at once, because most bytes of JSON are in strings.
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The usual tests on words: one of the bytes is below `limit`, or equal to `byte`.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS != 0;
    let equal = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, _) = text.as_chunks::<8>();
    let whole = words
        .iter()
        .map(|word| u64::from_be_bytes(*word))
        .take_while(|word| !below(*word, 0x20) && !equal(*word, b'"') && !equal(*word, b'\\'))
        .count();
    let rest = &text[whole * 8..];
    whole * 8
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
mod tests;

//! JSON: whether a text is one, as PostgreSQL's `json` input understands it, and what stands in
//! its way into `jsonb`.
//!
//! The grammar is RFC 8259's, to the letter. There is no recursion: nesting costs one bit a
//! level, so that no depth of it can overflow the stack. (The server does recurse and refuses
//! some thousands of levels; [`Facts::depth`] is for that limit.)

use crate::codec::types::numeric::decimal;

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
mod tests;

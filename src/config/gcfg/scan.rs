//! The scanner: it splits a text into headers and entries, in one pass and line by line. The syntax
//! rules are those of the Go library.

use crate::config::gcfg::{Entry, Gcfg, Header, Position, error};
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::Path;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use zeroize::Zeroizing;

/// The byte order mark that some editors put before UTF-8 text.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl Gcfg {
    /// Parses `bytes`, the content of the file `name`.
    pub fn parse(name: &Path, bytes: &[u8]) -> Result<Self> {
        let valid = |end: usize| std::str::from_utf8(&bytes[..end]).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|cause| {
            let before = valid(cause.valid_up_to());
            error(name, position(before, before.len()), "illegal UTF-8 encoding")
        })?;
        if let Some(at) = text.find('\0') {
            return Err(error(name, position(text, at), "illegal character NUL"));
        }
        let mut scanner = Scanner { name, text, at: 0, headers: Vec::new(), entries: Vec::new() };
        scanner.take(BYTE_ORDER_MARK);
        scanner.lines()?;
        let Scanner { headers, entries, .. } = scanner;
        let text = Zeroizing::new(text.to_owned());
        Ok(Self { name: name.to_owned(), text, headers, entries })
    }

    /// `file:line:column` of the value of an entry, for messages.
    pub(crate) fn position_of_value(&self, entry: &Entry) -> String {
        let Position { line, column } = position(&self.text, entry.range.start);
        format!("{}:{line}:{column}", self.name.display())
    }
}

struct Scanner<'a> {
    name: &'a Path,
    text: &'a str,
    at: usize,
    headers: Vec<Header>,
    entries: Vec<Entry>,
}

impl Scanner<'_> {
    fn lines(&mut self) -> Result<()> {
        loop {
            self.skip_white();
            match self.peek() {
                None => return Ok(()),
                Some('\n' | '#' | ';') => {}
                Some('[') => self.header()?,
                Some(c) if is_letter(c) => self.entry()?,
                Some(_) => {
                    return Err(self.wrong("expected section header or variable declaration"));
                }
            }
            self.end_of_line()?;
        }
    }

    /// Scans a header: `[name]` or `[name "subsection"]`.
    fn header(&mut self) -> Result<()> {
        self.take('[');
        self.skip_white();
        let section = self.name();
        if section.is_empty() {
            return Err(self.wrong("expected section name"));
        }
        self.skip_white();
        let subsection = if self.peek() == Some('"') { Some(self.subsection()?) } else { None };
        self.skip_white();
        if !self.take(']') {
            return Err(self.wrong(match subsection {
                Some(_) => "expected right bracket",
                None => "expected subsection name or right bracket",
            }));
        }
        let rest = &self.text[self.at..];
        let end = self.at + rest.find('\n').unwrap_or(rest.len());
        // A carriage return is a part of the newline.
        let end = end - usize::from(self.text[self.at..end].ends_with('\r'));
        self.headers.push(Header { section, subsection, end });
        Ok(())
    }

    /// Scans the quoted name of a subsection. The only escapes in it are `\\` and `\"`.
    fn subsection(&mut self) -> Result<String> {
        let start = self.at;
        self.take('"');
        let mut subsection = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None | Some('\n') => return Err(self.wrong_at(start, "string not terminated")),
                Some('"') => break,
                Some('\\') => match self.next() {
                    Some(c @ ('\\' | '"')) => subsection.push(c),
                    _ => return Err(self.wrong_at(at, "unknown escape sequence")),
                },
                Some(c) => subsection.push(c),
            }
        }
        if subsection.is_empty() {
            return Err(self.wrong_at(start, "empty subsection name"));
        }
        Ok(subsection)
    }

    /// Scans an entry: `key` or `key = value`.
    fn entry(&mut self) -> Result<()> {
        let start = self.at;
        let key = self.name();
        let Some(header) = self.headers.last() else {
            return Err(self.wrong_at(start, "expected section header"));
        };
        let (section, subsection) = (header.section.clone(), header.subsection.clone());
        let after_key = self.at;
        self.skip_white();
        let (value, range, cut) = match self.peek() {
            None | Some('\n' | '#' | ';') => (None, after_key..after_key, false),
            Some('=') => {
                self.take('=');
                let after_sign = self.at;
                self.skip_white();
                let (value, range) = self.value()?;
                // The range of an empty value is directly after the sign: an edit inserts there.
                let range = if range.is_empty() { after_sign..after_sign } else { range };
                let cut = !range.is_empty()
                    && range.end == self.at
                    && matches!(self.peek(), Some('#' | ';'));
                (Some(value), range, cut)
            }
            Some(_) => return Err(self.wrong("expected '='")),
        };
        let position = position(self.text, start);
        self.entries.push(Entry { section, subsection, key, value, position, cut, range });
        Ok(())
    }

    /// Scans a value up to the end of its line or a comment. Returns it with its range in the
    /// text. The range excludes white space around the value.
    fn value(&mut self) -> Result<(Zeroizing<String>, Range<usize>)> {
        let start = self.at;
        // The full capacity is allocated at once. A buffer that grows would leave a part of a
        // password in freed memory.
        let rest = self.text.len() - start;
        let mut value = Zeroizing::new(String::with_capacity(rest.min(64 << 10)));
        // The ends of the value and of its range, without trailing white space.
        let (mut kept, mut end) = (0, start);
        let mut quoted = false;
        while let Some(c) = self.peek() {
            if !quoted && matches!(c, '\n' | '#' | ';') {
                break;
            }
            let at = self.at;
            self.next();
            match c {
                '\n' => return Err(self.wrong_at(start, "string not terminated")),
                '"' => quoted = !quoted,
                '\\' if quoted => match self.next() {
                    Some(c @ ('\\' | '"')) => value.push(c),
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    _ => return Err(self.wrong_at(at, "unknown escape sequence")),
                },
                '\\' => {
                    self.take('\r');
                    match self.next() {
                        Some('"') if self.text[..self.at].ends_with("\\\"") => value.push('"'),
                        Some('\n') => {}
                        _ => {
                            let why = "unquoted '\\' must be followed by '\"' or a new line";
                            return Err(self.wrong_at(at, why));
                        }
                    }
                }
                '\r' => {}
                c => value.push(c),
            }
            if quoted || !is_white(c) {
                (kept, end) = (value.len(), self.at);
            }
        }
        if quoted {
            return Err(self.wrong_at(start, "string not terminated"));
        }
        value.truncate(kept);
        Ok((value, start..end))
    }

    /// Skips white space and a comment up to the end of the line or of the file.
    fn end_of_line(&mut self) -> Result<()> {
        self.skip_white();
        if let Some('#' | ';') = self.peek() {
            let rest = &self.text[self.at..];
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
        match self.next() {
            None | Some('\n') => Ok(()),
            Some(c) => {
                Err(self.wrong_at(self.at - c.len_utf8(), "expected end of line or comment"))
            }
        }
    }

    /// Scans a name: a letter, then letters, digits and hyphens. The name is empty if the first
    /// character is not a letter.
    fn name(&mut self) -> String {
        let rest = &self.text[self.at..];
        if !rest.starts_with(is_letter) {
            return String::new();
        }
        let end = rest.find(|c| !is_letter(c) && !is_digit(c) && c != '-').unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn skip_white(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(is_white).len();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn wrong(&self, message: &str) -> Error {
        self.wrong_at(self.at, message)
    }

    fn wrong_at(&self, at: usize, message: &str) -> Error {
        error(self.name, position(self.text, at), message)
    }
}

fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// Whether `c` is a letter for Go's `unicode.IsLetter`: the categories Lu, Ll, Lt, Lm and Lo.
fn is_letter(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Letter
}

/// Whether `c` is a digit for Go's `unicode.IsDigit`: the category Nd.
fn is_digit(c: char) -> bool {
    c.general_category() == GeneralCategory::DecimalNumber
}

/// The position of the byte `at`. A byte order mark does not count, because the Go library removes
/// it before parsing.
fn position(text: &str, at: usize) -> Position {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let mark = if line_start == 0 && before.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len_utf8()
    } else {
        0
    };
    let line = before.matches('\n').count() + 1;
    Position { line, column: before.len() - line_start - mark + 1 }
}

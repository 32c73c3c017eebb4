//! The tokens of an expression that the server prints.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// An unquoted word, in lower case.
    Word(String),
    /// A name in double quotes, unquoted.
    Quoted(String),
    /// A string literal, unquoted and unescaped.
    Text(String),
    Number(String),
    /// An operator, bracket, comma or dot.
    Sign(String),
}

impl Token {
    /// Whether it is this keyword (in upper case) or sign.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Self::Word(word) => word.eq_ignore_ascii_case(text),
            Self::Sign(sign) => sign == text,
            _ => false,
        }
    }
}

/// The characters of operators (PostgreSQL's manual, "Operators").
const OPERATOR: &str = "+-*/<>=~!@#%^&|`?";

/// Splits a text into tokens; `None` if the server does not print such text.
pub(crate) fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            _ if first.is_whitespace() => {
                rest = &rest[first.len_utf8()..];
                continue;
            }
            '"' => quoted(rest, '"', false).map(|(name, n)| (Token::Quoted(name), n))?,
            '\'' => quoted(rest, '\'', false).map(|(text, n)| (Token::Text(text), n))?,
            'E' if rest[1..].starts_with('\'') => {
                let (text, length) = quoted(&rest[1..], '\'', true)?;
                (Token::Text(text), length + 1)
            }
            'B' | 'X' if rest[1..].starts_with('\'') => return None,
            '0'..='9' => {
                let length = number(rest);
                (Token::Number(rest[..length].to_owned()), length)
            }
            _ if first.is_alphabetic() || first == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$');
                let length = end.unwrap_or(rest.len());
                (Token::Word(rest[..length].to_lowercase()), length)
            }
            ':' if rest.starts_with("::") => (Token::Sign("::".to_owned()), 2),
            '(' | ')' | '[' | ']' | ',' | '.' => (Token::Sign(first.to_string()), 1),
            _ if OPERATOR.contains(first) => {
                let length = rest.find(|c| !OPERATOR.contains(c)).unwrap_or(rest.len());
                (Token::Sign(rest[..length].to_owned()), length)
            }
            _ => return None,
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    Some(tokens)
}

/// The length of the number at the start of `text`.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'0'..=b'9' | b'.' => at += 1,
            b'e' | b'E' if matches!(bytes.get(at + 1), Some(b'0'..=b'9' | b'+' | b'-')) => at += 2,
            _ => break,
        }
    }
    at
}

/// The text between quotes, and the length including the quotes. The server prints no other escape
/// than a doubled backslash.
fn quoted(text: &str, quote: char, escapes: bool) -> Option<(String, usize)> {
    let mut inner = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == quote {
            if !text[at + 1..].starts_with(quote) {
                return Some((inner, at + 1));
            }
            characters.next();
        } else if character == '\\' && escapes {
            characters.next().filter(|(_, next)| *next == '\\')?;
        }
        inner.push(character);
    }
    None
}

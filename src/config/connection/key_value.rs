//! The parser of `key=value key='value with spaces'` texts, with libpq's quoting.

use crate::config::connection::settings::{Origin, Settings, is_key};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// Parses the whole text into `settings`.
pub(crate) fn read(text: &str, settings: &mut Settings) -> Result<()> {
    let mut rest = text.trim_ascii_start();
    let mut before = None;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let key = &rest[..end];
        let Some(after) = rest[end..].trim_ascii_start().strip_prefix('=') else {
            return Err(malformed("a key without a value", None, before));
        };
        let (value, after) = read_value(after.trim_ascii_start()).ok_or_else(|| {
            malformed("a quoted value without its closing quote", Some(key), before)
        })?;
        if !settings.put(key, &value, Origin::Text)? {
            return Err(malformed("an unknown key", Some(key), before));
        }
        before = Some(key);
        rest = after.trim_ascii_start();
    }
    Ok(())
}

/// Parses a value and returns it with the rest of the text; `None` if a quote is not closed.
fn read_value(text: &str) -> Option<(Zeroizing<String>, &str)> {
    let quoted = text.starts_with('\'');
    let text = text.strip_prefix('\'').unwrap_or(text);
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_ascii_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}

/// The error of an invalid text. It names the invalid key or the key before it. After a password
/// it names only known keys, because other text may be a part of the password.
fn malformed(what: &str, key: Option<&str>, before: Option<&str>) -> Error {
    let follows_a_password = matches!(before, Some("password" | "sslpassword"));
    let cause = match (key, before) {
        (Some(key), _) if !follows_a_password || is_key(key) => format!("{what}: `{key}`"),
        (_, Some(before)) => format!("{what}, after `{before}`"),
        (_, None) => format!("{what}, at the start"),
    };
    Error::refused("invalid PostgreSQL connection string").caused_by(cause).hint(
        "quote a value that contains spaces: key='a value'; in quotes write \\' for ' and \\\\ for \\",
    )
}

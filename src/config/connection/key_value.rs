//! The parser of `key=value key='value with spaces'` texts, with libpq's quoting.

use crate::config::connection::settings::{Origin, Settings, is_key, similar_key};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

/// Parses the whole text into `settings`.
pub(crate) fn read(text: &str, settings: &mut Settings) -> Result<()> {
    let mut rest = text.trim_ascii_start();
    let mut before = None;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let key = &rest[..end];
        let malformed = |what: &str, key: Option<&str>| {
            let at = text[..text.len() - rest.len()].chars().count() + 1;
            malformed(what, key, at, before)
        };
        let Some(after) = rest[end..].trim_ascii_start().strip_prefix('=') else {
            return Err(malformed("a key without a value", None));
        };
        let (value, after) = read_value(after.trim_ascii_start())
            .ok_or_else(|| malformed("a quoted value without its closing quote", Some(key)))?;
        if !settings.put(key, &value, Origin::Text)? {
            return Err(malformed("an unknown key", Some(key)));
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

/// The error of an invalid text. It names the invalid key, or the character where it is and the
/// key before it. A key is named only if it is known or resembles a known one, and after a password
/// only if it is known: other text may be a part of a password.
fn malformed(what: &str, key: Option<&str>, at: usize, before: Option<&str>) -> Error {
    let follows_a_password = matches!(before, Some("password" | "sslpassword"));
    let similar = |key: &&str| !follows_a_password && similar_key(key).is_some();
    let cause = match (key.filter(|key| is_key(key) || similar(key)), before) {
        (Some(key), _) if is_key(key) => format!("{what}: `{key}`"),
        (Some(key), _) => {
            let known = similar_key(key).unwrap_or_default();
            format!("{what}: `{key}`; did you mean `{known}`?")
        }
        (None, Some(before)) => format!("{what} at character {at}, after `{before}`"),
        (None, None) => format!("{what} at character {at}"),
    };
    Error::refused("invalid PostgreSQL connection string").caused_by(cause).hint(
        "quote a value that contains spaces: key='a value'; in quotes write \\' for ' and \\\\ for \\",
    )
}

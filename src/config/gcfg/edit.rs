//! The editor: one value of a file changed in place, every other byte as it was.

use crate::config::gcfg::{Gcfg, same};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

impl Gcfg {
    /// The file's text with `key` of `section` (without a subsection) set to `value`. The entry
    /// that counts is changed where it stands; a key that is not there becomes the first line of
    /// its section, and a section that is not there is added at the end.
    ///
    /// # Errors
    /// Refused where gcfg cannot hold the value: it has no form for NUL and carriage return.
    pub(crate) fn with_value(
        &self,
        section: &str,
        key: &str,
        value: &str,
    ) -> Result<Zeroizing<String>> {
        if value.contains(['\0', '\r']) {
            return Err(Error::refused(format!(
                "the value of {section}.{key} cannot be written: it holds a zero byte or a \
                 carriage return"
            )));
        }
        let text = self.text.as_str();
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if let Some(entry) = self.entries(section, key).next_back() {
            let old = &text[entry.place.clone()];
            let new = match (&entry.value, old) {
                (None, _) => format!(" = {}", written(value, false)),
                (Some(_), "") => format!(" {}", written(value, false)),
                (Some(_), old) => written(value, old.starts_with('"')),
            };
            return Ok(splice(text, entry.place.start, entry.place.end, &new));
        }
        let header = self
            .headers
            .iter()
            .rfind(|header| header.subsection.is_none() && same(&header.section, section));
        let line = format!("{key} = {}", written(value, false));
        Ok(match header {
            Some(header) => splice(text, header.end, header.end, &format!("{newline}{line}")),
            None => {
                let before = match text {
                    "" => "",
                    text if text.ends_with('\n') => newline,
                    _ => &newline.repeat(2),
                };
                let added = format!("{before}[{section}]{newline}{line}{newline}");
                splice(text, text.len(), text.len(), &added)
            }
        })
    }
}

/// `text` with `new` in the place of the bytes from `start` to `end`.
fn splice(text: &str, start: usize, end: usize, new: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(text.len() + new.len()));
    whole.push_str(&text[..start]);
    whole.push_str(new);
    whole.push_str(&text[end..]);
    whole
}

/// `value` as gcfg reads it back: bare where that is possible, unless quotes were there.
fn written(value: &str, quoted: bool) -> String {
    let special = |c: char| matches!(c, '"' | '\\' | '#' | ';' | '\n');
    let bare =
        !value.is_empty() && !value.contains(special) && value.trim_matches([' ', '\t']) == value;
    if bare && !quoted {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '"' | '\\' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

//! The editor: it changes one value of a file and no other byte.

use crate::config::gcfg::{Gcfg, same};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

impl Gcfg {
    /// The file's text with `key` of `section` (without a subsection) set to `value`. The entry
    /// that counts is changed in place. A missing key becomes the first line of its section. A
    /// missing section is added at the end. Refused if the value contains NUL or a carriage return,
    /// which gcfg cannot represent.
    pub(crate) fn with_value(
        &self,
        section: &str,
        key: &str,
        value: &str,
    ) -> Result<Zeroizing<String>> {
        if value.contains(['\0', '\r']) {
            return Err(Error::refused(format!(
                "cannot write the value of {section}.{key}: it contains a zero byte or a carriage \
                 return"
            )));
        }
        let text = self.text.as_str();
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        if let Some(entry) = self.entries(section, key).next_back() {
            let old = &text[entry.range.clone()];
            let new = match (&entry.value, old) {
                (None, _) => format!(" = {}", written(value, false)),
                (Some(_), "") => format!(" {}", written(value, false)),
                (Some(_), old) => written(value, old.starts_with('"')),
            };
            return Ok(splice(text, entry.range.start, entry.range.end, &new));
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

/// Replaces the bytes of `text` from `start` to `end` with `new`.
fn splice(text: &str, start: usize, end: usize, new: &str) -> Zeroizing<String> {
    let mut whole = Zeroizing::new(String::with_capacity(text.len() + new.len()));
    whole.push_str(&text[..start]);
    whole.push_str(new);
    whole.push_str(&text[end..]);
    whole
}

/// Formats `value` for gcfg. It is quoted if `quoted` is set or if the value requires quotes.
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

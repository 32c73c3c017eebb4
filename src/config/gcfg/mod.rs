//! gcfg, the format of both products' configuration files. The rules are those of the products'
//! Go library (`go-gcfg/gcfg` 1.2.3):
//!
//! - Sections of one name are merged.
//! - The last of several values counts.
//! - Names are case-insensitive, and `-` equals `_` in them.
//!
//! Each entry has its range in the text, so that an edit changes one value and no other byte.
//! Errors have the library's format `file:line:column: message`. No error shows a value, because
//! it may be a password.

pub(crate) mod edit;
pub(crate) mod scan;
#[cfg(test)]
mod tests;

use crate::config::environment::Environment;
use crate::error::{Error, Result};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A parsed configuration file. `Debug` shows only its name.
pub struct Gcfg {
    /// The file's name as given.
    pub(crate) name: PathBuf,
    text: Zeroizing<String>,
    headers: Vec<Header>,
    entries: Vec<Entry>,
}

/// A position in a file. Both numbers begin at 1. Columns count bytes, as in the Go library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    /// The number of the byte in the line.
    pub(crate) column: usize,
}

/// The header of a section.
struct Header {
    section: String,
    subsection: Option<String>,
    /// The offset of the end of its line, before the newline.
    end: usize,
}

/// A key of a section with its value. There is no `Debug`, because the value may be a password.
pub(crate) struct Entry {
    section: String,
    subsection: Option<String>,
    key: String,
    value: Option<Zeroizing<String>>,
    /// The position of the key.
    pub(crate) position: Position,
    /// Whether a comment follows the value without white space. The `#` or `;` may then have been
    /// intended as a part of the value.
    pub(crate) cut: bool,
    /// The range of the written value in the text. For a key without a value the range is empty
    /// and directly after the key.
    range: Range<usize>,
}

impl Gcfg {
    /// Reads the file at `path`. Refused if the file cannot be read or is not valid gcfg.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map(Zeroizing::new).map_err(|cause| {
            let shown = path.display();
            Error::refused(format!("cannot read the configuration file {shown}"))
                .caused_by(cause)
                .hint("check its path and permissions, or name another file with --config FILE")
        })?;
        Self::parse(path, &bytes)
    }

    /// The entries of `key` in `section` without a subsection, in the order of the file.
    pub(crate) fn entries<'a, 'n>(
        &'a self,
        section: &'n str,
        key: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'a, 'n> {
        self.entries.iter().filter(move |entry| {
            entry.subsection.is_none() && same(&entry.section, section) && same(&entry.key, key)
        })
    }

    /// The entry that counts: the last one. Refused if an entry of that name has no value. Only a
    /// switch may have no value.
    pub(crate) fn text(&self, section: &str, key: &str) -> Result<Option<&Entry>> {
        if let Some(blank) = self.entries(section, key).find(|entry| entry.value.is_none()) {
            return Err(self.error(blank.position, "missing value: write KEY = VALUE"));
        }
        Ok(self.entries(section, key).next_back())
    }

    /// The value of a switch. A switch without a value is on. Refused if a value is not a valid
    /// word for a switch.
    pub(crate) fn switch(&self, section: &str, key: &str) -> Result<Option<bool>> {
        let mut value = None;
        for entry in self.entries(section, key) {
            value = match &entry.value {
                None => Some(true),
                Some(text) => Some(switch(text).ok_or_else(|| {
                    self.error(entry.position, "expected true, yes, on, 1, false, no, off or 0")
                })?),
            };
        }
        Ok(value)
    }

    /// The error of invalid text at `position`.
    pub(crate) fn error(&self, position: Position, message: &str) -> Error {
        error(&self.name, position, message)
    }
}

impl fmt::Debug for Gcfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gcfg").field(&self.name).finish()
    }
}

impl Entry {
    /// The value; `None` if the key has no value.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_ref().map(|value| value.as_str())
    }
}

/// Parses the word of a switch. Case is ignored.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The variable that overrides a key, with its value; `None` if it is not set or empty. Its name
/// is prefix, section and key in upper case, joined by `_`, with `_` for `-`.
pub(crate) fn overriding<'a>(
    environment: &'a Environment,
    prefix: &str,
    section: &str,
    key: &str,
) -> Option<(String, &'a str)> {
    let name = format!("{prefix}_{section}_{key}").to_uppercase().replace('-', "_");
    let value = environment.get(&name)?;
    Some((name, value))
}

/// Whether the name in a file equals the wanted name.
fn same(in_file: &str, wanted: &str) -> bool {
    in_file.replace('-', "_").to_lowercase() == wanted.to_lowercase()
}

fn error(name: &Path, position: Position, message: &str) -> Error {
    let Position { line, column } = position;
    Error::refused(format!("{}:{line}:{column}: {message}", name.display()))
        .hint("fix the configuration file; the product would refuse it, too")
}

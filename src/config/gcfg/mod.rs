//! gcfg: the format of both products' configuration files, read as the Go library of that name
//! (`go-gcfg/gcfg` 1.2.3) reads it, with the place of everything.
//!
//! Sections repeat and add up, the last of several values wins, names are case-blind and `-`
//! stands for `_` in them. A file is kept with its text, so that one value can be changed and
//! every other byte stays. Errors read `file:line:column: message`, as the library's do, and
//! never show a value: it may be a password.

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

/// A configuration file that was read. `Debug` shows its name only.
pub struct Gcfg {
    name: PathBuf,
    text: Zeroizing<String>,
    headers: Vec<Header>,
    entries: Vec<Entry>,
}

/// Where something stands in a file, both numbers from 1; columns count bytes, as the Go library
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The line.
    pub(crate) line: usize,
    /// The byte in the line.
    pub(crate) column: usize,
}

/// The header of a section.
struct Header {
    section: String,
    subsection: Option<String>,
    /// Where its line ends, before the end of line.
    end: usize,
}

/// A key of a section. No `Debug`: the value may be a password.
pub(crate) struct Entry {
    section: String,
    subsection: Option<String>,
    key: String,
    value: Option<Zeroizing<String>>,
    /// Where the key stands.
    pub(crate) position: Position,
    /// A comment begins right behind the value, without white space between them: as likely as
    /// not the value was meant to hold the `#` or `;`.
    pub(crate) cut: bool,
    /// Where the value stands in the text as it is written there; of a blank key an empty place
    /// right behind the key.
    place: Range<usize>,
}

impl Gcfg {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Refused where it cannot be read, with the path, or is not gcfg, with the position.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map(Zeroizing::new).map_err(|cause| {
            let shown = path.display();
            Error::refused(format!("the configuration file {shown} cannot be read"))
                .caused_by(cause)
                .hint("check the path and who may read it; --config FILE names another one")
        })?;
        Self::parse(path, &bytes)
    }

    /// Reads `bytes` as the content of a file named `name`.
    pub fn parse(name: &Path, bytes: &[u8]) -> Result<Self> {
        scan::scan(name, bytes)
    }

    /// The file's name as it was given.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// All keys of a name in a section without a subsection, in their order.
    pub(crate) fn entries<'a, 'n>(
        &'a self,
        section: &'n str,
        key: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'a Entry> + use<'a, 'n> {
        self.entries.iter().filter(move |entry| {
            entry.subsection.is_none() && same(&entry.section, section) && same(&entry.key, key)
        })
    }

    /// The entry whose value counts: the last one.
    ///
    /// # Errors
    /// Refused, with the position, where any entry of that name is blank: only a switch can be.
    pub(crate) fn text(&self, section: &str, key: &str) -> Result<Option<&Entry>> {
        if let Some(blank) = self.entries(section, key).find(|entry| entry.value.is_none()) {
            return Err(self.error(blank.position, "a value is missing: write KEY = VALUE"));
        }
        Ok(self.entries(section, key).next_back())
    }

    /// The value of a switch: blank means yes.
    ///
    /// # Errors
    /// Refused, with the position, where a value is no switch.
    pub(crate) fn switch(&self, section: &str, key: &str) -> Result<Option<bool>> {
        let mut value = None;
        for entry in self.entries(section, key) {
            value = match &entry.value {
                None => Some(true),
                Some(text) => Some(switch(text).ok_or_else(|| {
                    self.error(entry.position, "a switch is true, yes, on, 1, false, no, off or 0")
                })?),
            };
        }
        Ok(value)
    }

    /// The refusal of what stands at `position`.
    pub(crate) fn error(&self, position: Position, message: &str) -> Error {
        error(&self.name, position, message)
    }

    /// `file:line` of an entry, for messages.
    pub(crate) fn place_of(&self, entry: &Entry) -> String {
        format!("{}:{}", self.name.display(), entry.position.line)
    }
}

impl fmt::Debug for Gcfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gcfg").field(&self.name).finish()
    }
}

impl Entry {
    /// The value; of a blank key none.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_ref().map(|value| value.as_str())
    }
}

/// Reads a switch's word, in any case.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// The name of the variable that overrides a key, and its value where it is set to something:
/// prefix, section and key in upper case, joined by `_`, with `_` for `-`.
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

/// Whether a name of a file is the one that is meant.
fn same(in_file: &str, wanted: &str) -> bool {
    in_file.replace('-', "_").to_lowercase() == wanted.to_lowercase()
}

fn error(name: &Path, position: Position, message: &str) -> Error {
    let Position { line, column } = position;
    Error::refused(format!("{}:{line}:{column}: {message}", name.display()))
        .hint("mend the configuration file; the product would refuse it as well")
}

//! The password file: `host:port:database:user:password` lines
//! (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).

use crate::config::secret::Secret;
use crate::error::{Error, Result};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use zeroize::Zeroizing;

pub(crate) struct PasswordFile {
    pub(crate) path: PathBuf,
    /// `None` if there is no such file.
    pub(crate) text: Option<Zeroizing<String>>,
}

impl PasswordFile {
    /// Reads the file. A missing file and one that is not a regular file count as empty:
    /// `/dev/null` usually disables the password file.
    ///
    /// Refused if the file cannot be read, or if its group or others have access to it.
    pub(crate) fn read(path: PathBuf) -> Result<Self> {
        let shown = path.display();
        let failed = |error| {
            Error::refused(format!("cannot read the password file {shown}")).caused_by(error)
        };
        match std::fs::metadata(&path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Self { path, text: None });
            }
            Err(error) => return Err(failed(error)),
            Ok(metadata) if !metadata.is_file() => return Ok(Self { path, text: None }),
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                return Err(Error::refused(format!(
                    "the password file {shown} can be read by its group or by others"
                ))
                .hint(format!("chmod 600 {shown}")));
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        Ok(Self { path, text: Some(Zeroizing::new(text)) })
    }

    /// The password of the first line that matches.
    pub(crate) fn find(&self, host: &str, port: u16, dbname: &str, user: &str) -> Option<Secret> {
        let port = port.to_string();
        self.text.as_ref()?.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let mut rest = line;
            for wanted in [host, &port, dbname, user] {
                rest = after_field(rest, wanted)?;
            }
            let mut password = String::with_capacity(rest.len());
            let mut characters = rest.chars();
            while let Some(c) = characters.next() {
                password.extend(if c == '\\' { characters.next() } else { Some(c) });
            }
            (!password.is_empty()).then(|| Secret::new(password))
        })
    }
}

/// The text after the first field of `line` and its colon, if the field is `*` or `wanted`. A
/// backslash escapes the next character.
fn after_field<'a>(line: &'a str, wanted: &str) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix("*:") {
        return Some(rest);
    }
    let mut wanted = wanted.chars();
    let mut characters = line.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            ':' => return wanted.next().is_none().then(|| &line[at + 1..]),
            '\\' if characters.next().map(|(_, c)| c) != wanted.next() => return None,
            '\\' => {}
            c if Some(c) != wanted.next() => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str, host: &str, user: &str) -> Option<String> {
        let text = Some(Zeroizing::new(text.to_owned()));
        let file = PasswordFile { path: PathBuf::new(), text };
        file.find(host, 5432, "app", user).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn the_first_line_that_fits_gives_the_password() {
        let text = "# h:5432:app:u:comment\nother:*:*:*:no\nh:5433:*:*:port\nh:*:app:u:yes\n*:*:*:*:late\n";
        assert_eq!(find(text, "h", "u").as_deref(), Some("yes"));
        assert_eq!(find(text, "h", "v").as_deref(), Some("late"));
        assert_eq!(find("h:5432:app:u\n", "h", "u"), None);
        assert_eq!(find("h:5432:app:u:\n", "h", "u"), None);
        assert_eq!(find("hh:5432:app:u:x\nh", "h", "u"), None);
    }

    #[test]
    fn a_backslash_takes_colons_and_backslashes_as_they_are() {
        assert_eq!(
            find("\\:\\:1:*:*:*:pa\\:ss\\\\w:d\r\n", "::1", "u").as_deref(),
            Some("pa:ss\\w:d")
        );
    }
}

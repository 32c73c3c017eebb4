//! The values of --from and --to.

use crate::cli::output::redact::is_secret;
use crate::config::connection::settings::is_similar;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::options::location::Location;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A location, or the name of a provider whose location is in a product's configuration.
pub(crate) enum LocationArg {
    At(Location),
    Provider(&'static str),
}

impl LocationArg {
    /// Parses the value of `flag`.
    pub(crate) fn parse(flag: &str, value: &OsStr) -> Result<Self> {
        let text = value.to_str();
        match text {
            Some("sqlite3" | "sqlite") => return Ok(Self::Provider("sqlite3")),
            Some("pgx" | "postgres") => return Ok(Self::Provider("pgx")),
            Some(text) if is_postgres(text) => {
                return Ok(Self::At(Location::Postgres(Secret::new(text.to_owned()))));
            }
            _ => {}
        }
        let wrong = |why: &str| {
            Error::usage(format!("{flag}: {why}"))
                .hint("a location is PATH, sqlite:PATH, postgres://... or 'host=... dbname=...'")
        };
        if let Some(scheme) = text.and_then(scheme).filter(|scheme| !scheme.starts_with("sqlite")) {
            // Another text before "://" may be a part of a password.
            let is_known = SCHEMES.iter().any(|known| is_similar(scheme, known));
            let shown = if is_known { format!("{scheme}://") } else { "this scheme".to_owned() };
            return Err(wrong(&format!("{shown} is not supported")));
        }
        if text.is_some_and(may_have_secret) {
            return Err(wrong("neither an existing file nor a connection to PostgreSQL")
                .hint("if it is the path of a new file, write sqlite:PATH"));
        }
        let bytes = value.as_bytes();
        match bytes.strip_prefix(b"sqlite:").unwrap_or(bytes) {
            b"" => Err(wrong("the location is empty")),
            path => Ok(Self::At(Location::Sqlite(PathBuf::from(OsStr::from_bytes(path))))),
        }
    }

    pub(crate) fn location(&self) -> Option<&Location> {
        if let Self::At(location) = self { Some(location) } else { None }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Self::At(Location::Sqlite(_)) | Self::Provider("sqlite3"))
    }
}

/// The scheme of a text that looks like a URL.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let letters =
        scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:".contains(&byte));
    (!scheme.is_empty() && letters).then_some(scheme)
}

/// The schemes that may be shown, also mistyped.
const SCHEMES: [&str; 8] =
    ["postgres", "postgresql", "jdbc:postgresql", "sqlite", "mysql", "mariadb", "https", "file"];

/// Whether a text that is no existing file may have a password: as `user:password@host`, or in pairs
/// such as `Server=h;pw=p`. An error of a path would show it.
fn may_have_secret(text: &str) -> bool {
    let has_credentials = text.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'));
    let keys = keys(text);
    let has_pairs =
        keys.len() > 1 || leads(text, &keys) || (text.contains(';') && text.contains('='));
    (has_credentials || has_pairs) && !text.starts_with("sqlite:") && !Path::new(text).exists()
}

/// The keys that distinguish a `key=value` string from a path with an equals sign: those that name
/// a server or a database (PostgreSQL's manual, "Parameter Key Words" of libpq).
const SERVER_KEYS: [&str; 7] =
    ["host", "hostaddr", "port", "dbname", "user", "service", "servicefile"];

/// True for a URL, and for a `key=value` string: one that begins with a word and an equals sign and
/// contains one of [`SERVER_KEYS`], in any case. A text with the key of a secret also counts: an
/// error of the connection string shows no value, an error of a path does.
fn is_postgres(text: &str) -> bool {
    if text.starts_with("sqlite:") {
        return false;
    }
    if let Some(scheme) = scheme(text) {
        return ["postgres", "postgresql"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours));
    }
    let keys = keys(text);
    let leads = leads(text, &keys);
    let names_server = |key: &str| SERVER_KEYS.iter().any(|known| key.eq_ignore_ascii_case(known));
    keys.iter().any(|(_, key)| is_secret(key) || (leads && names_server(key)))
}

/// The words before equals signs, each with its start.
fn keys(text: &str) -> Vec<(usize, &str)> {
    let key_before = |at: usize| {
        let before = text[..at].trim_end();
        let start = before.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '_').len();
        let free =
            before[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || c == ';');
        (free && start < before.len()).then_some((start, &before[start..]))
    };
    text.match_indices('=').filter_map(|(at, _)| key_before(at)).collect()
}

/// Whether the text begins with the first of its keys.
fn leads(text: &str, keys: &[(usize, &str)]) -> bool {
    keys.first().is_some_and(|(start, _)| text[..*start].trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_or_pairs_that_name_a_server_are_postgresql_and_all_else_is_a_path() {
        for text in [
            "postgres://u@h/d",
            "postgresql:///d?host=/tmp",
            "POSTGRES://h",
            "host=h dbname=d",
            " dbname = d user = u",
            "sslmode=require host=h",
            "Host=h;Username=u;Password=p",
            "Server=h;User Id=u;Password=p",
            "User Id=u;Pwd=p",
            "HOST=h",
            "password=p sslmode=require",
            "pasword=p",
        ] {
            assert!(is_postgres(text), "{text}");
        }
        for text in [
            "app.db",
            "a=b.db",
            "./host=x",
            "dir/dbname=x",
            "é=1 host",
            "=",
            "postgres.db",
            "sqlite:my password=x.db",
        ] {
            assert!(!is_postgres(text), "{text}");
        }
    }

    #[test]
    fn a_text_with_a_possible_password_is_shown_only_if_it_is_the_path_of_a_file() {
        for text in [
            "u:hunter2@h/d",
            ":hunter2@h/d",
            "//u:hunter2@h/d",
            "postgres//u:hunter2@h/d",
            "postgres:/u:hunter2@h/d",
            "Server=h;uid=u;pin=hunter2",
            "server=h pin=hunter2",
            "/x;pin=hunter2",
            "pin=hunter2",
            "a=b.db",
        ] {
            let error = LocationArg::parse("--to", OsStr::new(text)).map(|_| ()).unwrap_err();
            assert!(!format!("{error} {:?}", error.hints()).contains("hunter2"), "{text}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("u:x@y;a=b.db");
        std::fs::write(&file, "").unwrap();
        let user = Path::new("/home/me@corp/app.db");
        for path in [file.as_path(), user, Path::new("./a=b.db"), Path::new("sqlite:a=b.db")] {
            assert!(LocationArg::parse("--to", path.as_os_str()).is_ok(), "{}", path.display());
        }
    }
}

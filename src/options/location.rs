//! The data sets of a run and the locations of their databases.

use crate::config::connection::Defaults;
use crate::config::secret::Secret;
use std::fmt;
use std::path::{Path, PathBuf};

/// One pair of source and target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataSet {
    /// Its name: a product's, or the SQLite file's name.
    pub(crate) name: String,
    /// Where the rows come from.
    pub(crate) source: Location,
    /// Where the rows go.
    pub(crate) target: Location,
    /// The defaults of the PostgreSQL location, such as the password of a configuration file.
    pub(crate) defaults: Defaults,
    /// The permissions of a SQLite file that the run creates.
    pub(crate) file_mode: u32,
}

/// The default permissions of a new SQLite file: its owner and the owner's group may read it.
pub(crate) const FILE_MODE: u32 = 0o640;

/// The location of a database.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database: a URL or a `key=value` string, not yet parsed. It may hold a
    /// password.
    Postgres(Secret),
}

impl Location {
    /// The file of a SQLite database.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_a_location_hides_its_password() {
        let location = Location::Postgres(Secret::new("postgres://u:hunter2@h/db".to_owned()));
        assert_eq!(format!("{location:?}"), "Postgres(..)");
    }
}

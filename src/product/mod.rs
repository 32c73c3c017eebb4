//! Posit's products: their configuration, data sets, services and permissions. [`spec`] describes a
//! product as data, and [`products`] is the table of the products.

pub(crate) mod data_sets;
pub(crate) mod detect;
pub(crate) mod next_steps;
pub(crate) mod passwords;
pub(crate) mod permissions;
pub(crate) mod products;
pub(crate) mod provider;
pub(crate) mod settings;
pub(crate) mod spec;
pub(crate) mod sqlite_file;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

/// A kind of database, as in `Database.Provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Provider {
    /// Reads a value of `Database.Provider`, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Sqlite, Self::Postgres]
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text))
    }

    /// The value of `Database.Provider`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sqlite => Self::Postgres,
            Self::Postgres => Self::Sqlite,
        }
    }
}

/// A folder that replaces `/` in the absolute paths of defaults and configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Root(pub(crate) Option<PathBuf>);

impl Root {
    /// `path` below the root.
    pub(crate) fn at(&self, path: &Path) -> PathBuf {
        match (&self.0, path.strip_prefix("/")) {
            (Some(root), Ok(below)) => root.join(below),
            _ => path.to_owned(),
        }
    }
}

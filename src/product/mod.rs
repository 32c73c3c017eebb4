//! The two products whose own command this is: Posit Connect and Posit Package Manager. What
//! their documentation says of files, keys, groups and services is written down here, and
//! nowhere else.

pub(crate) mod data_sets;
pub(crate) mod detect;
pub(crate) mod next_steps;
pub(crate) mod passwords;
pub(crate) mod permissions;
pub(crate) mod provider;
pub(crate) mod service;
pub(crate) mod settings;
pub(crate) mod sqlite_file;

use std::fmt;
use std::path::{Path, PathBuf};

/// A product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    /// Posit Connect, formerly RStudio Connect.
    Connect,
    /// Posit Package Manager, formerly RStudio Package Manager.
    PackageManager,
}

/// A kind of database, as `Database.Provider` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Product {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Connect, Self::PackageManager];

    /// The word of `--product`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::PackageManager => "package-manager",
        }
    }

    /// The name that its service, its system user and its folders have in common.
    pub(crate) fn system_name(self) -> &'static str {
        match self {
            Self::Connect => "rstudio-connect",
            Self::PackageManager => "rstudio-pm",
        }
    }

    /// Its configuration file.
    pub(crate) fn config(self) -> PathBuf {
        let name = self.system_name();
        PathBuf::from(format!("/etc/{name}/{name}.gcfg"))
    }

    /// `Server.DataDir` where it is not set.
    pub(crate) fn data_dir(self) -> PathBuf {
        Path::new("/var/lib").join(self.system_name())
    }

    /// What the names of the variables begin with that override settings.
    pub(crate) fn variables(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::PackageManager => "PACKAGEMANAGER",
        }
    }

    /// The names of its data sets.
    pub(crate) fn data_sets(self) -> [&'static str; 2] {
        match self {
            Self::Connect => ["core", "instrumentation"],
            Self::PackageManager => ["main", "usage"],
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "Connect",
            Self::PackageManager => "Package Manager",
        })
    }
}

impl Provider {
    /// Reads a value of `Database.Provider`, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Sqlite, Self::Postgres]
            .into_iter()
            .find(|one| one.as_str().eq_ignore_ascii_case(text))
    }

    /// The word of `Database.Provider`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sqlite => Self::Postgres,
            Self::Postgres => Self::Sqlite,
        }
    }
}

/// A folder that stands in for `/` before every absolute path of defaults and configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Root(pub(crate) Option<PathBuf>);

impl Root {
    /// Where `path` is.
    pub(crate) fn at(&self, path: &Path) -> PathBuf {
        match (&self.0, path.strip_prefix("/")) {
            (Some(root), Ok(below)) => root.join(below),
            _ => path.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_stands_before_absolute_paths_only() {
        let root = Root(Some("/r".into()));
        assert_eq!(root.at(Path::new("/etc/x")), Path::new("/r/etc/x"));
        assert_eq!(root.at(Path::new("x")), Path::new("x"));
        assert_eq!(Root::default().at(Path::new("/etc/x")), Path::new("/etc/x"));
    }

    #[test]
    fn a_provider_is_read_in_any_case() {
        assert_eq!(Provider::parse("PostGres"), Some(Provider::Postgres));
        assert_eq!(Provider::parse("SQLite"), Some(Provider::Sqlite));
        assert_eq!(Provider::parse("pgx"), None);
    }
}

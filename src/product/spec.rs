//! What a product's documentation says about its files, keys, users and services, as data.

use crate::config::connection::SslMode;
use crate::error::{Error, Result};
use crate::options::service::Service;
use crate::product::Root;
use std::fmt;
use std::path::Path;

#[derive(Debug, PartialEq)]
pub(crate) struct ProductSpec {
    /// Its displayed name.
    pub(crate) name: &'static str,
    /// The value of `--product`.
    pub(crate) word: &'static str,
    /// The common name of its systemd unit, its user and its folders.
    pub(crate) system_name: &'static str,
    /// Its configuration file.
    pub(crate) config: &'static str,
    /// The default of `Server.DataDir`.
    pub(crate) data_dir: &'static str,
    /// The prefix of the environment variables that override settings.
    pub(crate) variable_prefix: &'static str,
    /// Its data sets, the main one first.
    pub(crate) data_sets: &'static [DataSetSpec],
    /// The default `sslmode` of its PostgreSQL URLs.
    pub(crate) sslmode: SslMode,
    /// The default database name of its PostgreSQL URLs.
    pub(crate) dbname: Option<&'static str>,
    /// The permissions of a new SQLite file.
    pub(crate) file_mode: u32,
    /// The variable that may hold the key of encrypted passwords.
    pub(crate) key_variable: Option<&'static str>,
    /// The possible locations of the key file, in the order in which they are tried.
    pub(crate) key_files: &'static [KeyFile],
    /// The permissions of the key file.
    pub(crate) key_file_mode: u32,
    /// Who may migrate its databases.
    pub(crate) permitted: Permitted,
    /// The application names and roles of its sessions on a server.
    pub(crate) session_names: &'static [&'static str],
    /// A socket that accepts connections while its service runs.
    pub(crate) socket: Option<&'static str>,
    /// Whether it supports a migration from PostgreSQL to SQLite.
    pub(crate) supports_sqlite_target: bool,
    /// The last of the next steps after a migration to PostgreSQL.
    pub(crate) after_to_postgres: &'static str,
    /// The last of the next steps after a migration to SQLite.
    pub(crate) after_to_sqlite: &'static str,
}

#[derive(Debug, PartialEq)]
pub(crate) struct DataSetSpec {
    pub(crate) name: &'static str,
    /// The flag that names its SQLite file.
    pub(crate) flag: &'static str,
    /// The setting with the folder of its SQLite file, which replaces `SQLite.Dir`.
    pub(crate) folder: Option<(&'static str, &'static str)>,
    /// The name of its SQLite file.
    pub(crate) file: &'static str,
    /// Whether the documentation leaves the file name open, so that the folder is searched.
    pub(crate) search: bool,
    /// The part of a file name that tells its SQLite file from those of other data sets.
    pub(crate) file_mark: Option<&'static str>,
    /// The keys in the section `Postgres` that may hold its URL; the first one with a value counts.
    pub(crate) url_keys: &'static [&'static str],
    /// The keys in the section `Postgres` that may hold its password, likewise.
    pub(crate) password_keys: &'static [&'static str],
    /// The setting that enables an optional data set.
    pub(crate) enabled_by: Option<(&'static str, &'static str)>,
}

/// A possible location of a key file.
#[derive(Debug, PartialEq)]
pub(crate) enum KeyFile {
    /// In the folder that a setting names; by default in the folder of the SQLite files.
    InFolder { section: &'static str, key: &'static str, file: &'static str },
    /// In the folder of the SQLite files.
    InSqliteDir { file: &'static str },
    /// The file that a setting names; by default in the data folder.
    Setting { section: &'static str, key: &'static str, file: &'static str },
}

/// Who may migrate a product's databases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Permitted {
    /// Only root.
    Root,
    /// Root and the members of the group under which the service runs.
    ServiceGroup,
}

impl ProductSpec {
    /// The data set called `name`. Errors: a usage error if there is none.
    pub(crate) fn data_set(&self, name: &str) -> Result<&DataSetSpec> {
        self.data_sets.iter().find(|data_set| data_set.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.data_sets.iter().map(|data_set| data_set.name).collect();
            Error::usage(format!("{self} has no data set \"{name}\""))
                .hint(format!("--data takes {}", names.join(" or ")))
        })
    }

    /// The service, with its socket below `root`.
    pub(crate) fn service(&self, root: &Root) -> Service {
        Service {
            unit: self.system_name.to_owned(),
            socket: self.socket.map(|path| root.at(Path::new(path))),
            session_names: self.session_names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    /// The command that starts the service.
    pub(crate) fn start_command(&self) -> String {
        format!("systemctl start {}", self.system_name)
    }
}

impl fmt::Display for ProductSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

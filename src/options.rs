//! What a run is asked to do: decided and checked, and free of how it was typed.

use crate::codec::encoding::Encoding;
use crate::config::connection::Defaults;
use crate::config::secret::Secret;
use crate::control::deadline::Deadline;
use crate::control::sizing::ResourceLimits;
use crate::run::service_check::ServiceCheck;
use serde::{Serialize, Serializer};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

/// Everything a run is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// The source/target pairs, at least one.
    pub(crate) data_sets: Vec<DataSet>,
    /// The schema of the PostgreSQL database; `None` means the first of the search path.
    pub(crate) schema: Option<String>,
    /// Only tables that one of these glob patterns matches; empty means all.
    pub(crate) tables: Vec<String>,
    /// Without the tables that one of these glob patterns matches.
    pub(crate) exclude: Vec<String>,
    /// Column types that the user has fixed, each column at most once.
    pub(crate) casts: Vec<TypeOverride>,
    /// What becomes of values that the target cannot hold.
    pub(crate) on_misfit: OnMisfit,
    /// Everything that would only be listed refuses the run.
    pub(crate) strict: bool,
    /// Every conversion that cannot be undone refuses the run.
    pub(crate) exact: bool,
    /// Drop what stands in the way in the target schema.
    pub(crate) drop_all: bool,
    /// Throw away what an earlier run made, and do everything anew.
    pub(crate) restart: bool,
    /// Remove the ledger after a good verdict.
    pub(crate) drop_ledger: bool,
    /// How long a lost connection is tried for again; zero means not at all.
    pub(crate) retry_for: Duration,
    /// Create the target database where it does not exist.
    pub(crate) create_database: bool,
    /// Reader threads; `None` means as many as suit the machine.
    pub(crate) readers: Option<usize>,
    /// Writer connections; `None` means as many as suit the machine.
    pub(crate) writers: Option<usize>,
    /// The memory budget for rows in flight, in bytes; `None` means the default.
    pub(crate) memory: Option<u64>,
    /// The most bytes of a chunk on the way into PostgreSQL; `None` means the default.
    pub(crate) chunk_bytes: Option<u64>,
    /// Bytes that may be written in a second, by all writers together; `None` means no limit.
    pub(crate) max_rate: Option<u64>,
    /// Where private copies and spilled data go; `None` means the system's temporary folder.
    pub(crate) temp_dir: Option<PathBuf>,
    /// What is verified, and when.
    pub(crate) verify: Verify,
    /// At most this many differences are told for each table.
    pub(crate) max_differences: u32,
    /// Differences are told with the values themselves.
    pub(crate) show_values: bool,
    /// What is watched while the run is at work.
    pub(crate) service_check: ServiceCheck,
    /// The folder that receives a copy of the SQLite sources before anything is written.
    pub(crate) backup: Option<PathBuf>,
    /// When the run must be over.
    pub(crate) deadline: Option<Deadline>,
    /// It is begun although it would not be over by then.
    pub(crate) allow_late: bool,
    /// What the user should know of what was asked for.
    pub(crate) warnings: Vec<String>,
}

impl Options {
    /// The limits that were set for threads, memory and rate.
    pub(crate) fn resource_limits(&self) -> ResourceLimits {
        let Self { readers, writers, memory, chunk_bytes, max_rate, .. } = *self;
        ResourceLimits { readers, writers, memory, chunk_bytes, max_rate }
    }

    /// What a run of `data_sets` does when nothing else is said.
    pub(crate) fn new(data_sets: Vec<DataSet>) -> Self {
        Self {
            data_sets,
            schema: None,
            tables: Vec::new(),
            exclude: Vec::new(),
            casts: Vec::new(),
            on_misfit: OnMisfit::Refuse,
            strict: false,
            exact: false,
            drop_all: false,
            restart: false,
            drop_ledger: false,
            retry_for: Duration::ZERO,
            create_database: false,
            readers: None,
            writers: None,
            memory: None,
            chunk_bytes: None,
            max_rate: None,
            temp_dir: None,
            verify: Verify::AfterCopy(Depth::Full),
            max_differences: 0,
            show_values: false,
            service_check: ServiceCheck::default(),
            backup: None,
            deadline: None,
            allow_late: false,
            warnings: Vec::new(),
        }
    }

    /// What shapes a plan, by the flags' names: a run that goes on with a plan needs the same.
    pub(crate) fn plan_options(&self) -> BTreeMap<String, serde_json::Value> {
        let (on_misfit, reject_file) = match &self.on_misfit {
            OnMisfit::Refuse => ("refuse", None),
            OnMisfit::Widen => ("widen", None),
            // The same file, wherever one stands.
            OnMisfit::Reject { file } => {
                let file = absolute(file).unwrap_or_else(|_| file.clone());
                ("reject", Some(file.to_string_lossy().into_owned()))
            }
        };
        let flags = [
            ("--tables", json!(self.tables)),
            ("--exclude", json!(self.exclude)),
            ("--cast", json!(self.casts)),
            ("--on-misfit", json!(on_misfit)),
            ("--reject-file", json!(reject_file)),
            ("--strict", json!(self.strict)),
            ("--exact", json!(self.exact)),
        ];
        flags.into_iter().map(|(flag, value)| (flag.to_owned(), value)).collect()
    }
}

/// One source/target pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataSet {
    /// Its name: a product's, or the SQLite file's name.
    pub(crate) name: String,
    /// Where the rows come from.
    pub(crate) source: Location,
    /// Where they go.
    pub(crate) target: Location,
    /// What completes the PostgreSQL location: the password of a configuration, and the like.
    pub(crate) defaults: Defaults,
    /// Who may read a SQLite file that is made where there is none, as `chmod` counts.
    pub(crate) file_mode: u32,
}

/// Who may read a new SQLite file when nothing else is said: its owner, and the owner's group.
pub(crate) const FILE_MODE: u32 = 0o640;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database: a URL or a `key=value` string, not yet parsed. May hold a password,
    /// so it is kept as a secret.
    Postgres(Secret),
}

impl Location {
    /// The file, of a SQLite database.
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

/// What becomes of values that the target cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OnMisfit {
    /// The plan refuses.
    Refuse,
    /// The column takes a wider type.
    Widen,
    /// The rows are left out of the target.
    Reject {
        /// The SQLite file that receives them; it must not exist yet.
        file: PathBuf,
    },
}

/// What is verified, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Everything that was copied, after the copy.
    AfterCopy(Depth),
    /// What is there; nothing is written.
    Only(Depth),
    /// Nothing: the verdict stays "not verified".
    No,
}

/// How deep a verification looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Row counts.
    Rows,
    /// Every value.
    Full,
}

/// A column type that the user has fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TypeOverride {
    /// The table's name in the source.
    pub(crate) table: String,
    /// The column's name.
    pub(crate) column: String,
    /// The type it gets.
    #[serde(serialize_with = "as_text")]
    pub(crate) to: Encoding,
}

fn as_text<S: Serializer>(encoding: &Encoding, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_does_not_tell_its_password_when_debugged() {
        let location = Location::Postgres(Secret::new("postgres://u:hunter2@h/db".to_owned()));
        assert_eq!(format!("{location:?}"), "Postgres(..)");
    }
}

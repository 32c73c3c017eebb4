//! The request for a measurement, and the options of a run that follow from it.

use crate::bench::generate::Rows;
use crate::bench::server::Server;
use crate::bench::space::BYTES_PER_ROW;
use crate::config::secret::Secret;
use crate::control::sizing::cores;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, FILE_MODE, Location};
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::options::run_options::RunOptions;
use std::path::{Path, PathBuf};

/// The most connections that the server's limit is measured with.
const MAX_CONNECTIONS: usize = 16;

/// What to measure, and how.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The rows.
    pub(crate) subject: Subject,
    /// The connection string of the target; `None` starts a private server.
    pub(crate) target: Option<Secret>,
    /// The name of the scratch schema.
    pub(crate) schema: String,
    /// How often each thing is measured, at least once.
    pub(crate) rounds: usize,
    /// Skips the sweep and the servers with other settings.
    pub(crate) quick: bool,
    /// Patterns of the tables to move; empty means all.
    pub(crate) tables: Vec<String>,
    /// Patterns of the tables not to move.
    pub(crate) exclude: Vec<String>,
    /// An empty folder for temporary files, which is removed afterwards.
    pub(crate) folder: PathBuf,
}

/// The rows that are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A generated usage database.
    Generated {
        /// The number of rows.
        rows: Rows,
        /// The seed of the generator.
        seed: u64,
    },
    /// The user's own file.
    File(PathBuf),
}

impl Request {
    /// The size of the source file in bytes; an estimate if it is generated.
    pub(crate) fn file_bytes(&self) -> Result<u64> {
        match &self.subject {
            Subject::Generated { rows, .. } => Ok(rows.get() * BYTES_PER_ROW),
            Subject::File(path) => match std::fs::metadata(path) {
                Ok(found) => Ok(found.len()),
                Err(error) => {
                    Err(Error::refused(format!("cannot open {}", path.display())).caused_by(error))
                }
            },
        }
    }

    pub(crate) fn is_generated(&self) -> bool {
        matches!(self.subject, Subject::Generated { .. })
    }

    /// The options of a run from `path` into `server`; without a server, for checks of the source.
    pub(crate) fn options(&self, path: &Path, server: Option<&Server>) -> RunOptions {
        let data_set = DataSet {
            name: "bench".to_owned(),
            source: Location::Sqlite(path.to_owned()),
            target: Location::Postgres(
                server.map_or_else(|| Secret::new(String::new()), |server| server.url.clone()),
            ),
            defaults: Default::default(),
            file_mode: FILE_MODE,
        };
        RunOptions {
            plan: PlanOptions {
                schema: Some(self.schema.clone()),
                tables: self.tables.clone(),
                exclude: self.exclude.clone(),
                on_misfit: OnMisfit::Widen,
                ..PlanOptions::default()
            },
            temp_dir: Some(self.folder.clone()),
            ..RunOptions::new(vec![data_set])
        }
    }
}

/// The numbers of connections that the server's limit is measured with: powers of two, up to
/// twice the number of cores.
pub(crate) fn connections() -> Vec<usize> {
    let max = (2 * cores()).min(MAX_CONNECTIONS);
    std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|n| *n <= max).collect()
}

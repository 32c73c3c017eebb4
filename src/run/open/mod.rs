//! Opening both databases of a data set and locking the source.

pub(crate) mod source_sessions;
pub(crate) mod to_postgres;
pub(crate) mod to_sqlite;

use crate::error::Result;
use crate::options::run_options::RunOptions;
use crate::sqlite::source::open::{Source, SourceOptions};
use std::path::Path;

/// Opens a SQLite database for reading.
pub(crate) fn open_source(file: &Path, options: &RunOptions) -> Result<Source> {
    let defaults = SourceOptions::default();
    Source::open(file, &SourceOptions { temp_dir: options.temp_dir.clone(), ..defaults })
}

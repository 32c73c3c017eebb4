//! PostgreSQL to SQLite.

mod faults;
mod file_properties;
mod inheritance;
mod kept;
mod large_objects;
mod losses;
mod memory;
mod returned;
mod round_trip;
mod schema;
mod stale_logs;
mod types;

use crate::harness::{Database, migrate, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// A folder and the name of a SQLite file in it, which may be missing.
pub(crate) struct Target {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Target {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("back.db");
        Self { folder, path }
    }

    /// The names of all files in the folder.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Runs `migrate database --from DATABASE --to FILE ARGUMENTS`.
pub(crate) fn back(database: &Database, file: &Path, arguments: &[&str]) -> Output {
    let to = file.to_str().unwrap();
    let mut all = vec!["database", "--from", &database.url, "--to", to];
    all.extend(arguments);
    migrate(all)
}

/// The same, with the report as data; the run has to end with `code`.
pub(crate) fn back_report(
    database: &Database,
    file: &Path,
    arguments: &[&str],
    code: i32,
) -> Value {
    let json = tempfile::NamedTempFile::new().unwrap();
    let mut all = vec!["--json", json.path().to_str().unwrap()];
    all.extend(arguments);
    let output = back(database, file, &all);
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    serde_json::from_slice(&std::fs::read(json.path()).unwrap()).unwrap()
}

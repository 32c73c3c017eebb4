//! The integrity check of a new file, in parts that several connections share.
//!
//! One part is the file without index entries: structure, every page used once, the free list. Each
//! other part is a table: every row in every index, NOT NULL, CHECKs. Together they equal one
//! `PRAGMA integrity_check`.

use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::sqlite::write::bulk_insert::{self, interruptible, open_unshared};
use rusqlite::{Connection, Params};
use std::path::Path;

/// Faults reported per part.
const MAX_FAULTS: u32 = 5;

/// A part of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The whole file.
    File,
    /// A table with its indexes.
    Table(String),
}

/// A connection that runs the check.
pub(crate) struct Checker {
    connection: Connection,
}

impl Checker {
    /// Opens the file at `path`, with `cache` bytes of its pages in memory.
    pub(crate) fn open(path: &Path, cache: u64) -> Result<Self> {
        // Not opened read-only, because SQLite would then not check CHECKs.
        let connection = open_unshared(path, cache, "PRAGMA query_only = ON");
        let what = "cannot open the new database to check it";
        Ok(Self { connection: connection.map_err(|error| bulk_insert::failed(what, error))? })
    }

    /// All parts, with SQLite's own tables.
    pub(crate) fn parts(&self) -> Result<Vec<Part>> {
        let tables = self.column("SELECT name FROM sqlite_schema WHERE type = 'table'", [])?;
        let mut parts: Vec<Part> = tables.into_iter().map(Part::Table).collect();
        parts.push(Part::File);
        Ok(parts)
    }

    /// Checks one part. Ends early when `cancel` is cancelled.
    pub(crate) fn part(&self, part: &Part, cancel: &CancelScope) -> Result<()> {
        let check = || match part {
            Part::File => self.column("SELECT * FROM pragma_quick_check LIMIT ?1", [MAX_FAULTS]),
            Part::Table(name) => {
                let sql = "SELECT * FROM pragma_integrity_check(?1) LIMIT ?2";
                self.column(sql, (name, MAX_FAULTS))
            }
        };
        let found = interruptible(&self.connection, cancel, check)?;
        if found == ["ok"] {
            return Ok(());
        }
        let error = Error::failed("the integrity check of the new database failed");
        Err(found.into_iter().fold(error, Error::caused_by))
    }

    fn column(&self, sql: &str, parameters: impl Params) -> Result<Vec<String>> {
        let read = || -> rusqlite::Result<Vec<String>> {
            self.connection.prepare(sql)?.query_map(parameters, |row| row.get(0))?.collect()
        };
        read().map_err(|error| bulk_insert::failed("cannot check the new database", error))
    }
}

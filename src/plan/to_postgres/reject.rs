//! The reject file: the rows that the target cannot hold, in a SQLite database of their own.
//!
//! Each of its tables has the columns of the source's table, with the same declared types, and
//! two more: where the row was, and why it was left out.

use crate::codec::fidelity::Misfit;
use crate::codec::row_batch::RowBatch;
use crate::error::{Error, Result};
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::plan::to_postgres::source_checks;
use crate::schema::names::quote;
use crate::sqlite::source::connection::SourceConnection;
use crate::sqlite::write::bulk_insert::Bound;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// An open reject file.
pub(crate) struct RejectFile {
    connection: Connection,
}

impl RejectFile {
    /// Creates the file, readable by its owner only.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let what = || format!("cannot create the reject file {}", path.display());
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(
            |error| {
                let refused = Error::refused(what()).caused_by(&error);
                if error.kind() == std::io::ErrorKind::AlreadyExists {
                    refused.hint("move it away, or name another one with --reject-file")
                } else {
                    refused
                }
            },
        )?;
        Self::begin(path)
    }

    /// Opens the file of a run that is continued; where it was moved away, it is made again.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path.symlink_metadata().is_err() {
            return Self::create(path);
        }
        Self::begin(path)
    }

    fn begin(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.execute_batch("BEGIN")?;
            Ok(connection)
        };
        let what = || format!("cannot open the reject file {}", path.display());
        Ok(Self { connection: open().map_err(|error| Error::failed(what()).caused_by(error))? })
    }

    /// Takes a table out: a run that began its data set anew had written it.
    pub(crate) fn forget(&self, table: &str) -> Result<()> {
        let sql = format!("DROP TABLE IF EXISTS {}", quote(table));
        self.connection.execute_batch(&sql).map_err(failed)
    }

    /// Whether the rows of a table are in the file.
    fn has(&self, table: &PlannedTable<ToPostgres>) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
        self.connection.query_row(sql, [&table.name], |row| row.get(0)).map_err(failed)
    }

    /// Makes room for the rows of a table.
    fn add_table(&self, table: &PlannedTable<ToPostgres>) -> Result<()> {
        let mut columns: Vec<String> = table
            .columns
            .iter()
            .map(|c| format!("{} {}", quote(&c.name), type_of(&c.declared)))
            .collect();
        columns.push("\"migrate place\" INTEGER".to_owned());
        columns.push("\"migrate reason\" TEXT".to_owned());
        let sql = format!("CREATE TABLE {} ({})", quote(&table.name), columns.join(", "));
        self.connection.execute_batch(&sql).map_err(failed)
    }

    /// Adds one row; `batch` holds just that row, with the table's columns in order.
    fn add(
        &self,
        table: &PlannedTable<ToPostgres>,
        place: i64,
        reason: &str,
        batch: &RowBatch,
    ) -> Result<()> {
        let places: Vec<String> = (1..=table.columns.len() + 2).map(|i| format!("?{i}")).collect();
        let sql = format!("INSERT INTO {} VALUES ({})", quote(&table.name), places.join(","));
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        for (number, raw) in batch.values().enumerate() {
            statement.raw_bind_parameter(number + 1, Bound(raw)).map_err(failed)?;
        }
        statement.raw_bind_parameter(table.columns.len() + 1, place).map_err(failed)?;
        statement.raw_bind_parameter(table.columns.len() + 2, reason).map_err(failed)?;
        statement.raw_execute().map_err(failed)?;
        Ok(())
    }

    /// Makes all rows durable.
    pub(crate) fn finish(self) -> Result<()> {
        self.connection.execute_batch("COMMIT").map_err(failed)
    }
}

/// A declared type as it can stand in a definition: parts that are no plain words are left away,
/// as they say nothing to SQLite.
fn type_of(declared: &str) -> String {
    declared
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '(' | ')' | ','))
        .collect()
}

fn failed(error: rusqlite::Error) -> Error {
    Error::failed("cannot write the reject file").caused_by(error)
}

/// The reason of a rejected row, in words.
pub(crate) fn reason(column: Option<&str>, misfit: Misfit) -> String {
    match column {
        Some(column) => format!("column {}: {misfit}", quote(column)),
        None => misfit.to_string(),
    }
}

/// Refuses a reject file that exists: it may hold what somebody still needs.
pub(crate) fn refuse_existing(options: &PlanOptions) -> Result<()> {
    match &options.on_misfit {
        OnMisfit::Reject { file } if file.symlink_metadata().is_ok() => {
            Err(Error::refused(format!("the reject file {} exists", file.display()))
                .hint("move it away, or name another one with --reject-file"))
        }
        _ => Ok(()),
    }
}

/// Adds the rows that a plan leaves out. A table with such rows sends all its columns, so its
/// layout is the judge here as it is in the copy. The rows of one data set stand in the file as a
/// whole or not at all; those of one that `is_continued` may be there.
///
/// # Errors
/// The source cannot be read, or the file not be written.
pub(crate) fn add_rows(
    file: &RejectFile,
    plan: &Plan<ToPostgres>,
    connection: &SourceConnection,
    is_continued: bool,
) -> Result<()> {
    for table in plan.tables.iter().filter(|table| !table.rejected.is_empty()) {
        if is_continued && file.has(table)? {
            continue;
        }
        file.add_table(table)?;
        source_checks::unsendable(
            connection,
            &table.read.query,
            &table.read.layout,
            |at, column, misfit, row| {
                let column = column.map(|place| table.columns[place].name.as_str());
                file.add(table, at, &reason(column, misfit), row)
            },
        )?;
    }
    Ok(())
}

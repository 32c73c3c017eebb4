//! The reject file: a SQLite database with the rows that the target cannot hold.
//!
//! Its tables have the columns of the source's tables with the same declared types, and two more:
//! the row's rowid or number, and the reason.

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
use crate::sqlite::write::stale_log;
use rusqlite::{Connection, OpenFlags};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// An open reject file.
pub(crate) struct RejectFile {
    connection: Connection,
}

impl RejectFile {
    /// Creates the file, for its owner only.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        stale_log::refuse(path, false, Error::refused)?;
        let what = || format!("cannot create the reject file {}", path.display());
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        file.map_err(|error| {
            let refused = Error::refused(what()).caused_by(&error);
            match error.kind() {
                ErrorKind::AlreadyExists => {
                    refused.hint("move it, or name another file with --reject-file")
                }
                _ => refused,
            }
        })?;
        Self::begin(path)
    }

    /// Opens the file of an interrupted run, or creates it again if it was moved.
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

    /// Whether the file has the table `name`.
    fn has(&self, name: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
        self.connection.query_row(sql, [name], |row| row.get(0)).map_err(failed)
    }

    /// Creates the table `name` for the rows of `table`. It replaces that of an earlier run, because its
    /// data set starts from scratch.
    fn add_table(&self, name: &str, table: &PlannedTable<ToPostgres>) -> Result<()> {
        let mut columns: Vec<String> = table
            .columns
            .iter()
            .map(|c| format!("{} {}", quote(&c.name), type_of(&c.declared)))
            .collect();
        for (name, declared) in [("migrate place", "INTEGER"), ("migrate reason", "TEXT")] {
            columns.push(format!("{} {declared}", quote(&free_name(name, table))));
        }
        let (name, columns) = (quote(name), columns.join(", "));
        let sql = format!("DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns})");
        self.connection.execute_batch(&sql).map_err(failed)
    }

    /// Adds one row to the table `name`. `batch` holds that row only, with the columns of `table` in
    /// order.
    fn add(
        &self,
        name: &str,
        table: &PlannedTable<ToPostgres>,
        row: i64,
        reason: &str,
        batch: &RowBatch,
    ) -> Result<()> {
        let parameters: Vec<String> =
            (1..=table.columns.len() + 2).map(|i| format!("?{i}")).collect();
        let sql = format!("INSERT INTO {} VALUES ({})", quote(name), parameters.join(","));
        let mut statement = self.connection.prepare_cached(&sql).map_err(failed)?;
        for (number, raw) in batch.values().enumerate() {
            statement.raw_bind_parameter(number + 1, Bound(raw)).map_err(failed)?;
        }
        statement.raw_bind_parameter(table.columns.len() + 1, row).map_err(failed)?;
        statement.raw_bind_parameter(table.columns.len() + 2, reason).map_err(failed)?;
        statement.raw_execute().map_err(failed)?;
        Ok(())
    }

    /// Makes all rows durable.
    pub(crate) fn finish(self) -> Result<()> {
        self.connection.execute_batch("COMMIT").map_err(failed)
    }
}

/// `name`, or a longer name if a column of `table` has it.
fn free_name(name: &str, table: &PlannedTable<ToPostgres>) -> String {
    let mut name = name.to_owned();
    while table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(&name)) {
        name.push('_');
    }
    name
}

/// A declared type without the characters that could end a definition. SQLite ignores them.
fn type_of(declared: &str) -> String {
    declared
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '(' | ')' | ','))
        .collect()
}

fn failed(error: rusqlite::Error) -> Error {
    Error::failed("cannot write the reject file").caused_by(error)
}

/// The text of the reason for a rejected row.
pub(crate) fn reason(column: Option<&str>, misfit: Misfit) -> String {
    match column {
        Some(column) => format!("column {}: {misfit}", quote(column)),
        None => misfit.to_string(),
    }
}

/// Refuses an existing reject file, because its rows may still be needed, and a stale log next to a
/// new one.
pub(crate) fn refuse_existing(options: &PlanOptions) -> Result<()> {
    match &options.on_misfit {
        OnMisfit::Reject { file } if file.symlink_metadata().is_ok() => {
            Err(Error::refused(format!("the reject file {} already exists", file.display()))
                .hint("move it, or name another file with --reject-file"))
        }
        OnMisfit::Reject { file } => stale_log::refuse(file, false, Error::refused),
        _ => Ok(()),
    }
}

/// Adds the rows that a plan rejects, to tables whose names begin with `prefix`. A table with such rows sends all its columns, so that the
/// layout decides here as it does in the copy. The file has all rows of a data set or none; a
/// resumed run may find its own.
pub(crate) fn add_rows(
    file: &RejectFile,
    plan: &Plan<ToPostgres>,
    prefix: &str,
    connection: &SourceConnection,
    is_resumed: bool,
) -> Result<()> {
    for table in plan.tables.iter().filter(|table| !table.rejected.is_empty()) {
        let name = format!("{prefix}{}", table.name);
        if is_resumed && file.has(&name)? {
            continue;
        }
        file.add_table(&name, table)?;
        source_checks::unsendable(
            connection,
            &table.read.query,
            &table.read.layout,
            |at, column, misfit, row| {
                let column = column.map(|index| table.columns[index].name.as_str());
                file.add(&name, table, at, &reason(column, misfit), row)
            },
        )?;
    }
    Ok(())
}

//! SQLite's insert limit: one thread inserts values from memory with prepared statements into a new
//! file without a journal, in one transaction.

use crate::bench::measure::cpu_of_thread;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::schema::names::quote;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement};
use std::path::Path;
use std::time::Instant;

/// Rows in memory at a time: few enough for the processor's cache.
const BUFFERED_ROWS: usize = 4096;

/// The cost of filling a file, without reading the values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Filled {
    /// The inserted rows.
    pub(crate) rows: u64,
    /// Wall-clock seconds of the inserts and the commit.
    pub seconds: f64,
    /// Processor seconds of the inserts and the commit.
    pub(crate) cpu: f64,
}

/// Creates the tables of `source` without indexes in the new file `path`, and fills them with the
/// same rows. The file stays.
///
/// # Errors
/// One of the databases failed, for example because a definition needs a function of the
/// application; or `cancel` was cancelled.
pub fn fill(source: &Connection, path: &Path, cancel: &CancelScope) -> Result<Filled> {
    let what = "cannot fill a new SQLite file";
    filled(source, path, cancel)
        .map_err(|error| Error::failed(what).caused_by(error))
        .and_then(|filled| filled.ok_or_else(Error::interrupted))
}

fn filled(
    source: &Connection,
    path: &Path,
    cancel: &CancelScope,
) -> rusqlite::Result<Option<Filled>> {
    // Without URI support, so that a path may start with "file:".
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let target = Connection::open_with_flags(path, flags)?;
    target.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA foreign_keys = OFF; PRAGMA cache_size = -65536;",
    )?;
    let tables = tables(source)?;
    for (_, definition) in &tables {
        target.execute_batch(definition)?;
    }
    target.execute_batch("BEGIN")?;
    let mut filled = Filled::default();
    for (name, _) in tables {
        let columns = columns(source, &name)?;
        let mut select =
            source.prepare(&format!("SELECT {} FROM {}", columns.join(", "), quote(&name)))?;
        let parameters = vec!["?"; columns.len()].join(", ");
        let insert =
            format!("INSERT INTO {} ({}) VALUES ({parameters})", quote(&name), columns.join(", "));
        let mut insert = target.prepare(&insert)?;
        if !fill_table(&mut select, &mut insert, columns.len(), &mut filled, cancel)? {
            return Ok(None);
        }
    }
    timed(&mut filled, || target.execute_batch("COMMIT"))?;
    Ok(Some(filled))
}

/// Fills one table. Returns false if it was stopped.
fn fill_table(
    select: &mut Statement<'_>,
    insert: &mut Statement<'_>,
    width: usize,
    filled: &mut Filled,
    cancel: &CancelScope,
) -> rusqlite::Result<bool> {
    let mut ready: Vec<Value> = Vec::new();
    let mut rows = select.query([])?;
    let mut at_end = false;
    while !at_end {
        if cancel.is_cancelled() {
            return Ok(false);
        }
        ready.clear();
        while ready.len() < BUFFERED_ROWS * width && !at_end {
            match rows.next()? {
                Some(row) => {
                    for index in 0..width {
                        ready.push(owned(row.get_ref(index)?));
                    }
                }
                None => at_end = true,
            }
        }
        timed(filled, || {
            for row in ready.chunks_exact(width) {
                for (index, value) in row.iter().enumerate() {
                    insert.raw_bind_parameter(index + 1, value)?;
                }
                insert.raw_execute()?;
            }
            Ok(())
        })?;
        filled.rows += (ready.len() / width) as u64;
    }
    Ok(true)
}

/// Does `work` and adds its cost.
fn timed(filled: &mut Filled, work: impl FnOnce() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let (started, cpu) = (Instant::now(), cpu_of_thread());
    work()?;
    filled.seconds += started.elapsed().as_secs_f64();
    filled.cpu += cpu_of_thread() - cpu;
    Ok(())
}

/// An owned value. Text that is not UTF-8 becomes a blob of the same bytes.
fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(bytes.to_vec()),
        },
    }
}

/// The tables of a database with their definitions, without SQLite's own and virtual tables.
pub fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let sql = "SELECT name, sql FROM sqlite_schema \
               WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut statement = connection.prepare(sql)?;
    let tables = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    tables.collect()
}

/// The quoted names of the columns that are not generated.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement =
        connection.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0")?;
    let names = statement.query_map([table], |row| row.get::<_, String>(0))?;
    names.map(|name| name.map(|name| quote(&name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_file_has_the_same_rows_without_the_indexes() {
        let folder = tempfile::tempdir().unwrap();
        let source = Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE \"a b\" (id INTEGER PRIMARY KEY AUTOINCREMENT, \"x\"\"y\" TEXT,
                       n AS (id * 2) STORED, m REAL CHECK (m < 2));
                   CREATE INDEX i ON \"a b\" (m);
                   CREATE TABLE k (a TEXT, b BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID;
                   WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
                   INSERT INTO \"a b\" SELECT i * 3, 'text ' || i, 1.5 FROM n;
                   INSERT INTO k VALUES ('x', x'00'), ('y', x'');";
        source.execute_batch(sql).unwrap();
        let path = folder.path().join("new.db");
        let filled = fill(&source, &path, &CancelScope::default()).unwrap();
        assert_eq!(filled.rows, 10_001);
        assert!(filled.seconds > 0.0 && filled.cpu > 0.0, "{filled:?}");
        let new = Connection::open(&path).unwrap();
        for sum in [
            "SELECT count(*) || total(id) || total(n) || max(\"x\"\"y\") FROM \"a b\"",
            "SELECT group_concat(a || hex(b)) FROM k",
            "SELECT seq FROM sqlite_sequence",
        ] {
            let ask = |connection: &Connection| {
                connection.query_row(sum, [], |row| row.get::<_, Value>(0)).unwrap()
            };
            assert_eq!(ask(&new), ask(&source), "{sum}");
        }
        let indexes = "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        assert_eq!(new.query_row(indexes, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn a_cancelled_generator_ends() {
        let folder = tempfile::tempdir().unwrap();
        let source = Connection::open_in_memory().unwrap();
        source.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
        let cancel = CancelScope::default();
        cancel.cancel();
        let filled = fill(&source, &folder.path().join("new.db"), &cancel);
        assert!(filled.unwrap_err().is_interrupted());
    }
}

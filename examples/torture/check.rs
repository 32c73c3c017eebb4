//! The check at the end of a round: queries to both databases.

use crate::Outcome;
use crate::control::Control;
use crate::source::{CONSTRAINTS, INDEXES, TABLES, TableText};
use postgres::Client;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a session may outlive its program.
const SESSION_GRACE: Duration = Duration::from_secs(10);

/// The SHA-256 of a file.
pub fn sha256(path: &Path) -> Outcome<Vec<u8>> {
    Ok(Sha256::digest(fs::read(path)?).to_vec())
}

/// The names of the files in a folder.
pub fn files(folder: &Path) -> Outcome<Vec<String>> {
    let entries = fs::read_dir(folder)?;
    let name = |entry: std::io::Result<fs::DirEntry>| -> Outcome<String> {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    let mut names = entries.map(name).collect::<Outcome<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// Whether a file next to a database in WAL mode has no content: an empty log, or the log's index.
pub fn is_empty_log(folder: &Path, name: &str) -> bool {
    let is_empty = |name: &str| fs::metadata(folder.join(name)).is_ok_and(|file| file.len() == 0);
    match name.strip_suffix("-shm") {
        Some(database) => is_empty(&format!("{database}-wal")),
        None => name.ends_with("-wal") && is_empty(name),
    }
}

/// Compares every row of both sides, as each database prints it, and checks indexes, constraints and the
/// ledger.
pub fn check_all(control: &Control, database: &str, source: &Path) -> Outcome<()> {
    let mut client = control.connect(database)?;
    // A copy, so that nothing is left next to the source.
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.db");
    fs::copy(source, &copy)?;
    let connection = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mut total = 0;
    for table in &TABLES {
        total += rows(&connection, &mut client, table)?;
    }
    let count =
        |client: &mut Client, sql: &str| -> Outcome<i64> { Ok(client.query_one(sql, &[])?.get(0)) };
    let expect = |what: &str, found: i64, expected: i64| -> Outcome<()> {
        if found == expected {
            return Ok(());
        }
        Err(format!("{what}: {found} instead of {expected}").into())
    };
    let indexes = "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid \
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname <> 'migrate_ledger'";
    expect("indexes", count(&mut client, indexes)?, INDEXES)?;
    let invalid = format!("{indexes} AND NOT (i.indisvalid AND i.indisready)");
    expect("invalid indexes", count(&mut client, &invalid)?, 0)?;
    let constraints = "SELECT count(*) FROM pg_constraint WHERE contype IN ('p', 'u', 'f', 'c') \
        AND connamespace = 'public'::regnamespace AND conrelid <> 'migrate_ledger'::regclass \
        AND convalidated";
    expect("valid constraints", count(&mut client, constraints)?, CONSTRAINTS)?;
    let ledger = "SELECT count(*) FROM migrate_ledger WHERE chunk <= 0";
    expect("rows of the ledger without chunks", count(&mut client, ledger)?, 1)?;
    let chunks = "SELECT sum(row_count)::bigint FROM migrate_ledger WHERE chunk > 0";
    expect("rows of the ledger's chunks", count(&mut client, chunks)?, total)?;
    let summed = "SELECT sum((t.value ->> 'rows')::bigint)::bigint FROM migrate_ledger, \
        json_each(detail::json -> 'tables') t WHERE detail::json ->> 'state' = 'verified'";
    let summed: Option<i64> = client.query_one(summed, &[])?.get(0);
    expect("rows by the ledger", summed.unwrap_or(-1), total)?;
    check_sessions(&mut client)
}

/// Compares the rows of a table; returns their number.
fn rows(connection: &Connection, client: &mut Client, table: &TableText) -> Outcome<i64> {
    let name = table.name;
    let mut statement = connection.prepare(&format!("SELECT {} FROM {name}", table.sqlite))?;
    let expected = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut expected: Vec<String> = expected.collect::<Result<_, _>>()?;
    let sql = format!("SELECT {} FROM {name}", table.postgres);
    let arrived = client.query(&sql, &[])?;
    let mut arrived: Vec<String> = arrived.iter().map(|row| row.get(0)).collect();
    expected.sort_unstable();
    arrived.sort_unstable();
    if expected != arrived {
        let (expected, arrived) = (expected.len(), arrived.len());
        return Err(
            format!("table {name}: {arrived} rows instead of {expected}, or other values").into()
        );
    }
    Ok(expected.len() as i64)
}

/// Checks that no lock and no session of the program is left.
fn check_sessions(client: &mut Client) -> Outcome<()> {
    let started = Instant::now();
    let sql = "SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND pid <> pg_backend_pid() AND backend_type = 'client backend') + \
        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
        (SELECT oid FROM pg_database WHERE datname = current_database()))";
    loop {
        let left: i64 = client.query_one(sql, &[])?.get(0);
        if left == 0 {
            return Ok(());
        }
        if started.elapsed() > SESSION_GRACE {
            return Err(format!("{left} sessions and locks are left").into());
        }
        sleep(Duration::from_millis(20));
    }
}

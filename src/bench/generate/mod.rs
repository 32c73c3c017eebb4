//! The generator: a SQLite database of any size that resembles the usage data of a product. A seed
//! gives the same data on every machine.
//!
//! Ten tables with skewed keys, gaps in the ids, BLOBs, JSON, dates with and without a zone, NULLs
//! and non-ASCII text; nine valid foreign keys and eighteen indexes. A row has about 115 bytes of
//! binary COPY on average.

pub(crate) mod random;
pub(crate) mod tables;
pub(crate) mod text;
pub(crate) mod words;
pub(crate) mod writer;

use crate::bench::generate::random::Random;
use crate::bench::generate::writer::Writer;
use crate::error::{Error, Result};
use crate::sqlite::write::stale_log;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

/// The tables, parents before children.
const SCHEMA: &str = include_str!("schema.sql");

/// The indexes, built after the rows.
const INDEXES: &str = include_str!("indexes.sql");

/// A number of rows, written as `100000`, `100k`, `12.5M` or `1G`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rows(u64);

impl Rows {
    /// The minimum, so that every table has a row.
    pub(crate) const MIN_ROWS: u64 = 100;
    /// The maximum, below the range of the 32-bit random numbers.
    pub(crate) const MAX_ROWS: u64 = 4_000_000_000;

    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Rows {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not a number of rows such as 100000, 250k or 12.5M");
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
            Some(b'g' | b'G') => (&text[..text.len() - 1], 1_000_000_000_u64),
            _ => (text, 1),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let mut rows =
            whole.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)?;
        let mut unit = unit;
        for digit in part.chars() {
            let digit = digit.to_digit(10).ok_or_else(wrong)?;
            if unit % 10 != 0 {
                return Err(wrong());
            }
            unit /= 10;
            rows += u64::from(digit) * unit;
        }
        if !(Self::MIN_ROWS..=Self::MAX_ROWS).contains(&rows) {
            return Err(format!(
                "{rows} rows: give a number from {} to {}",
                Self::MIN_ROWS,
                Self::MAX_ROWS
            ));
        }
        Ok(Self(rows))
    }
}

/// The summary of a generated file.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    /// The tables with their rows, in order of creation.
    pub(crate) tables: Vec<(&'static str, u64)>,
    /// The number of indexes, without those of keys.
    pub(crate) indexes: usize,
    /// The size of the file in bytes.
    pub(crate) bytes: u64,
    /// The seconds for the rows, without the indexes.
    pub(crate) seconds: f64,
}

/// Generates the file `path` with `rows` rows in all tables; the same `rows` and `seed` give the same
/// data. `progress` is called with the current step and the number of rows so far, and ends the work
/// by returning false.
///
/// The file is built without journal and sync, and left in SQLite's default rollback mode. Errors:
/// the file exists or cannot be written, or `progress` ended the work. An unfinished file is removed.
pub(crate) fn generate(
    path: &Path,
    rows: Rows,
    seed: u64,
    progress: &mut dyn FnMut(&str, u64) -> bool,
) -> Result<Summary> {
    stale_log::refuse(path, false, Error::refused)?;
    OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| {
        let error = Error::refused(format!("cannot create {}", path.display())).caused_by(&e);
        match e.kind() {
            std::io::ErrorKind::AlreadyExists => error
                .hint("remove the file, or give another one: existing files are not overwritten"),
            _ => error,
        }
    })?;
    let built = build(path, rows.0, seed, progress)
        .map_err(|e| e.context(format!("cannot generate {}", path.display())));
    if built.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(path);
    }
    built
}

fn build(
    path: &Path,
    rows: u64,
    seed: u64,
    progress: &mut dyn FnMut(&str, u64) -> bool,
) -> Result<Summary> {
    let shown = |e: rusqlite::Error| match e.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Error::interrupted(),
        _ => Error::failed(e.to_string()),
    };
    // Without URI support, so that a path may start with "file:".
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(shown)?;
    connection
        .execute_batch(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             PRAGMA locking_mode = EXCLUSIVE; PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -65536; PRAGMA threads = 2; BEGIN;",
        )
        .map_err(shown)?;
    connection.execute_batch(SCHEMA).map_err(shown)?;
    let started = Instant::now();
    let mut writer = Writer::new(&connection, Random::new(seed), progress);
    let tables = tables::fill(&mut writer, rows).map_err(shown)?;
    connection.execute_batch("COMMIT").map_err(shown)?;
    let seconds = started.elapsed().as_secs_f64();
    let mut indexes = 0;
    for statement in INDEXES.split_terminator(";\n") {
        let name = statement.split_whitespace().skip_while(|word| *word != "INDEX").nth(1);
        if !progress(&format!("index {}", name.unwrap_or_default()), rows) {
            return Err(Error::interrupted());
        }
        connection.execute_batch(statement).map_err(shown)?;
        indexes += 1;
    }
    connection
        .execute_batch("PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = DELETE;")
        .map_err(shown)?;
    connection.close().map_err(|(_, e)| shown(e))?;
    let found = fs::metadata(path)
        .map_err(|e| Error::failed("cannot read the size of the file").caused_by(e))?;
    Ok(Summary { tables, indexes, bytes: found.len(), seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::types::FromSql;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// A generated file in a new folder, and its name.
    fn generated(rows: u64, seed: u64) -> (TempDir, PathBuf, Summary) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let summary = generate(&path, Rows(rows), seed, &mut |_, _| true).unwrap();
        (folder, path, summary)
    }

    fn opened(rows: u64, seed: u64) -> (TempDir, Connection, Summary) {
        let (folder, path, summary) = generated(rows, seed);
        (folder, Connection::open(path).unwrap(), summary)
    }

    fn value<T: FromSql>(connection: &Connection, sql: &str) -> T {
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn number(connection: &Connection, sql: &str) -> i64 {
        value(connection, sql)
    }

    #[test]
    fn numbers_of_rows_are_parsed_with_their_units() {
        assert_eq!("100000".parse(), Ok(Rows(100_000)));
        assert_eq!("250k".parse(), Ok(Rows(250_000)));
        assert_eq!("1M".parse(), Ok(Rows(1_000_000)));
        assert_eq!("12.572M".parse(), Ok(Rows(12_572_000)));
        for wrong in ["", "M", "-5", "1e6", "1.5", "1.2345k", "99", "5G", "99999999999999999999G"] {
            wrong.parse::<Rows>().unwrap_err();
        }
    }

    #[test]
    fn a_seed_determines_the_file() {
        let (_folder_a, a, of_a) = generated(5_000, 1);
        let (_folder_b, b, of_b) = generated(5_000, 1);
        let (_folder_c, c, _) = generated(5_000, 2);
        assert_eq!((of_a.tables, of_a.bytes), (of_b.tables, of_b.bytes));
        assert!(fs::read(&a).unwrap() == fs::read(&b).unwrap());
        assert!(fs::read(&a).unwrap() != fs::read(&c).unwrap());
    }

    /// A change of this hash makes earlier measurements incomparable.
    #[test]
    fn the_rows_of_a_seed_never_change() {
        let (_folder, connection, summary) = opened(2_000, 1);
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for (table, _) in &summary.tables {
            let mut all = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let width = all.column_count();
            let mut rows = all.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                for column in 0..width {
                    hash.update(format!("{:?}", row.get_ref(column).unwrap()).as_bytes());
                }
            }
        }
        assert_eq!(hash.digest(), 8_453_583_000_650_734_173);
    }

    #[test]
    fn all_rows_exist_and_every_foreign_key_is_valid() {
        for rows in [Rows::MIN_ROWS, 20_000] {
            let (_folder, connection, summary) = opened(rows, 3);
            assert_eq!(summary.tables.len(), 10);
            assert_eq!(summary.indexes, 18);
            assert_eq!(summary.tables.iter().map(|(_, n)| n).sum::<u64>(), rows);
            for (table, rows) in &summary.tables {
                let counted = number(&connection, &format!("SELECT count(*) FROM {table}"));
                assert_eq!(counted as u64, *rows, "{table}");
            }
            assert_eq!(number(&connection, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
            let keys = "SELECT count(*) FROM sqlite_schema s, pragma_foreign_key_list(s.name)";
            assert_eq!(number(&connection, keys), 9);
            assert_eq!(value::<String>(&connection, "PRAGMA integrity_check"), "ok");
        }
    }

    #[test]
    fn the_generated_file_has_gaps_and_a_sequence_ahead_of_its_ids() {
        let (_folder, connection, _) = opened(20_000, 4);
        assert_eq!(value::<String>(&connection, "PRAGMA journal_mode"), "delete");
        assert_eq!(number(&connection, "PRAGMA page_size"), 4096);
        assert!(number(&connection, "SELECT max(id) - count(*) FROM downloads") > 0);
        let ahead = "SELECT seq - (SELECT max(id) FROM audit_events) FROM sqlite_sequence
                     WHERE name = 'audit_events'";
        assert!(number(&connection, ahead) > 0);
        assert_eq!(number(&connection, "SELECT count(*) FROM sqlite_sequence"), 9);
    }

    /// The sum over all values of what they take in binary COPY, with the field's length word.
    #[test]
    fn a_row_takes_about_115_bytes_of_binary_copy() {
        let (_folder, connection, summary) = opened(100_000, 5);
        let mut bytes = 0;
        for (table, rows) in &summary.tables {
            let mut columns =
                connection.prepare("SELECT name, type FROM pragma_table_info(?1)").unwrap();
            let columns: Vec<(String, String)> = columns
                .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            bytes += 2 * i64::try_from(*rows).unwrap();
            for (name, declared) in columns {
                let width = match declared.as_str() {
                    "INTEGER" | "REAL" | "DATETIME" | "TIMESTAMP" => "8",
                    "DATE" => "4",
                    "BOOLEAN" => "1",
                    "UUID" | "GUID" => "16",
                    _ => "length(CAST(value AS BLOB))",
                }
                .replace("value", &name);
                let sum = format!(
                    "SELECT sum(4 + CASE WHEN {name} IS NULL THEN 0 ELSE {width} END) FROM {table}"
                );
                bytes += number(&connection, &sum);
            }
        }
        let average = bytes as f64 / 100_000.0;
        assert!((110.0..120.0).contains(&average), "{average}");
    }

    #[test]
    fn an_interrupted_benchmark_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        for last in ["downloads", "index users_guid"] {
            let mut steps = Vec::new();
            let mut progress = |what: &str, _| {
                steps.push(what.to_owned());
                what != last
            };
            let error = generate(&path, Rows(2_000), 0, &mut progress).unwrap_err();
            assert!(error.is_interrupted(), "{error}");
            assert_eq!(steps.last().map(String::as_str), Some(last));
            assert!(!path.exists());
        }
    }

    #[test]
    fn an_existing_file_is_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        fs::write(&path, "precious").unwrap();
        let error = generate(&path, Rows(100), 0, &mut |_, _| true).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Refused);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}

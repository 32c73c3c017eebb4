//! Rows from pages equal the rows that SQLite reads.

use crate::codec::row_batch::RowBatch;
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::RowAddress;
use crate::sqlite::read::collector::BatchBuilder;
use crate::sqlite::read::query::{TableQuery, TextEncoding};
use crate::sqlite::source::connection::SourceConnection;
use crate::sqlite::source::open::{Source, SourceOptions};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// A database in its own folder, created by `sql`.
fn database(sql: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.db");
    Connection::open(&path).expect("opens").execute_batch(sql).expect("runs");
    (folder, path)
}

fn open(path: &Path) -> Source {
    Source::open(path, &SourceOptions::default()).expect("a source")
}

fn query(table: &str, key: &str, columns: &[&str]) -> TableQuery {
    TableQuery {
        table: table.to_owned(),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        address: RowAddress::Integer { column: key.to_owned() },
        encoding: TextEncoding::Utf8,
    }
}

/// The rows of a range as text that shows every bit, and whether they came from pages.
fn rows(reader: &SourceConnection, query: &TableQuery, keys: (i64, i64)) -> (Vec<String>, bool) {
    let collect = query.collect().expect("an integer key");
    let (first, last) = keys;
    let mut found = Vec::new();
    let mut next = first;
    loop {
        // Small, so that the scan is resumed at many keys.
        let builder = BatchBuilder::with_keys(query, RowBatch::default(), 3_000);
        let filled = reader.collect(query, &collect, (next, last), builder).expect("reads");
        let mut values = filled.batch.values();
        for _ in 0..filled.batch.rows() {
            let row: Vec<String> = values
                .by_ref()
                .take(query.columns.len() + 1)
                .map(|raw| match raw {
                    SqliteValue::Real(real) => format!("real {:x}", real.to_bits()),
                    SqliteValue::Text(long) | SqliteValue::Blob(long) if long.len() > 100 => {
                        let is_text = matches!(raw, SqliteValue::Text(_));
                        format!("{is_text} {} {:x}", long.len(), xxh3_128(long))
                    }
                    raw => format!("{raw:?}"),
                })
                .collect();
            found.push(row.join(" "));
        }
        match filled.last.and_then(|key| key.checked_add(1)) {
            Some(after) if filled.full && after <= last => next = after,
            _ => break,
        }
    }
    (found, reader.reads_pages_of(&query.table))
}

/// Compares the whole table and many ranges of it. Returns whether pages were read.
fn compare(path: &Path, query: &TableQuery) -> bool {
    let source = open(path);
    let (pages, sqlite) =
        (source.connect_to_pages().expect("opens"), source.connect().expect("opens"));
    let all = rows(&sqlite, query, (i64::MIN, i64::MAX)).0;
    let (from_pages, by_pages) = rows(&pages, query, (i64::MIN, i64::MAX));
    assert_eq!(from_pages, all, "{}", query.table);
    let key = format!("SELECT {} FROM \"{}\"", query.key()[0], query.table);
    let keys: Vec<i64> = sqlite
        .prepare(&key)
        .and_then(|mut keys| keys.query_map([], |row| row.get(0))?.collect())
        .expect("keys");
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..40.min(keys.len()) {
        let mut end = || keys[random.usize(..keys.len())].saturating_add(random.i64(-1..=1));
        let (one, other) = (end(), end());
        let range = (one.min(other), one.max(other));
        assert_eq!(rows(&pages, query, range).0, rows(&sqlite, query, range).0, "{range:?}");
    }
    drop((pages, sqlite));
    source.close().expect("closes");
    by_pages
}

#[test]
fn every_kind_of_value_equals_what_sqlite_reads() {
    let (_folder, path) = database(
        "CREATE TABLE t (a, k INTEGER PRIMARY KEY, r REAL, n NUMERIC, s TEXT, b BLOB, d DOUBLE);
         WITH v(x) AS (VALUES (NULL), (0), (1), (-1), (127), (128), (-128), (-129), (32767), (32768),
           (-32769), (8388607), (8388608), (-8388608), (-8388609), (2147483647), (2147483648),
           (-2147483649), (140737488355327), (140737488355328), (-140737488355328),
           (-140737488355329), (9223372036854775807), (-9223372036854775808), (0.0), (-0.0), (1.5),
           (1e300), (9e999), (-9e999), (3.0), (''), ('é'), ('12'), (x''), (x'00ff'),
           (CAST(x'ff00' AS TEXT)))
         INSERT INTO t (a, r, n, s, b, d) SELECT x, x, x, x, x, x FROM v;
         INSERT INTO t (k, a) VALUES (-9223372036854775808, 'least'), (-5, 'less'),
           (9223372036854775807, 'greatest'), (4611686018427387904, 'far');",
    );
    assert!(compare(&path, &query("t", "k", &["a", "k", "r", "n", "s", "b", "d"])));
    assert!(compare(&path, &query("t", "k", &["d", "a", "k"])), "in another order");
    assert!(compare(&path, &query("t", "k", &["k"])));
    assert!(compare(&path, &query("t", "k", &[])));
}

#[test]
fn rows_of_any_length_are_read_at_every_page_size() {
    for (page_size, count) in [(512, 200), (1024, 200), (4096, 100), (65536, 10)] {
        let (_folder, path) = database(&format!(
            "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum};
             CREATE TABLE t (a TEXT, b BLOB);
             WITH RECURSIVE n(i) AS (SELECT {page_size} - 60 UNION ALL SELECT i + 1 FROM n LIMIT 70)
             INSERT INTO t SELECT substr(hex(randomblob(i / 2 + 1)), 1, i), NULL FROM n;
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {count})
             INSERT INTO t SELECT 'x' || i, randomblob(abs(random()) % ({page_size} * 5)) FROM n;
             INSERT INTO t VALUES ('large', randomblob(300000));
             DELETE FROM t WHERE rowid % 7 = 3;",
            auto_vacuum = if page_size == 1024 { 1 } else { 0 },
        ));
        assert!(compare(&path, &query("t", "rowid", &["a", "b"])), "{page_size}");
    }
}

#[test]
fn deep_trees_with_gaps_are_read_in_any_part() {
    let (_folder, path) = database(
        "PRAGMA page_size = 512;
         CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, u);
         WITH RECURSIVE n(i) AS (SELECT -2000 UNION ALL SELECT i + 1 FROM n LIMIT 20000)
         INSERT INTO t SELECT CASE WHEN i % 3 THEN i * i * sign(i) ELSE i * 1000003 END, 'row ' || i, i
         FROM n WHERE true ON CONFLICT DO NOTHING;
         DELETE FROM t WHERE id BETWEEN 5000 AND 900000;",
    );
    assert!(compare(&path, &query("t", "id", &["x", "u", "id"])));
}

#[test]
fn stored_generated_columns_are_read() {
    let (_folder, path) = database(
        "CREATE TABLE t (a, v AS (a + 1), s REAL AS (a * 2) STORED, r REAL, k INTEGER PRIMARY KEY);
         INSERT INTO t (a, r) VALUES (1, 2), (3.5, 4), ('x', 'y');",
    );
    assert!(compare(&path, &query("t", "k", &["a", "s", "r", "k"])));
    assert!(!compare(&path, &query("t", "k", &["a", "v"])), "SQLite computes virtual columns");
}

#[test]
fn strict_tables_and_unusual_keys_are_read() {
    let (_folder, path) = database(
        "CREATE TABLE s (a ANY, r REAL, i INT, k INTEGER PRIMARY KEY) STRICT;
         INSERT INTO s (a, r, i) VALUES (1, 2, 3), ('x', 4.5, NULL), (x'00', -1, 0);
         CREATE TABLE d (k INTEGER PRIMARY KEY DESC, a);
         INSERT INTO d VALUES (5, 'five'), (NULL, 'none'), (1, 'one');
         CREATE TABLE w (k INTEGER PRIMARY KEY, a) WITHOUT ROWID;
         INSERT INTO w VALUES (5, 'five');",
    );
    assert!(compare(&path, &query("s", "k", &["a", "r", "i", "k"])));
    assert!(compare(&path, &query("d", "rowid", &["k", "a"])));
    assert!(!compare(&path, &query("w", "k", &["a"])));
}

#[test]
fn rows_older_than_a_column_are_left_to_sqlite() {
    let (_folder, path) = database(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1);
         ALTER TABLE t ADD COLUMN b DEFAULT 'added'; INSERT INTO t VALUES (2, 'given');",
    );
    assert!(!compare(&path, &query("t", "rowid", &["a", "b"])));
    assert!(compare(&path, &query("t", "rowid", &["a"])), "the old rows have this field");
}

#[test]
fn a_wal_with_content_is_never_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("t.db");
    let writer = Connection::open(&path).expect("opens");
    writer
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a);
             INSERT INTO t VALUES ('old'); PRAGMA wal_checkpoint(TRUNCATE);",
        )
        .expect("runs");
    assert!(compare(&path, &query("t", "rowid", &["a"])), "an empty WAL changes nothing");
    writer.execute_batch("UPDATE t SET a = 'new'").expect("runs");
    assert!(!compare(&path, &query("t", "rowid", &["a"])));
}

#[test]
fn text_of_another_encoding_is_left_to_sqlite() {
    let (_folder, path) =
        database("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (a); INSERT INTO t VALUES ('é');");
    let query = TableQuery { encoding: TextEncoding::Utf16Le, ..query("t", "rowid", &["a"]) };
    let source = open(&path);
    let reader = source.connect_to_pages().expect("opens");
    let (found, by_pages) = rows(&reader, &query, (1, 1));
    assert_eq!((found.len(), by_pages), (1, false));
}

#[test]
fn damaged_pages_are_left_to_sqlite_and_never_read_where_it_calls_them_malformed() {
    let (_folder, path) = database(
        "PRAGMA page_size = 512; CREATE TABLE t (a, b, c REAL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300)
         INSERT INTO t SELECT i, hex(randomblob(i)), i FROM n;",
    );
    let whole = fs::read(&path).expect("reads");
    let mut random = fastrand::Rng::with_seed(11);
    let query = query("t", "rowid", &["a", "b", "c"]);
    let collect = query.collect().expect("an integer key");
    for _ in 0..300 {
        let mut damaged = whole.clone();
        for _ in 0..random.usize(1..6) {
            // After the first page, which SQLite reads first.
            let offset = random.usize(512..damaged.len());
            damaged[offset] = random.u8(..);
        }
        fs::write(&path, &damaged).expect("writes");
        let source = open(&path);
        let read = |reader: SourceConnection| {
            let builder = BatchBuilder::with_keys(&query, RowBatch::default(), usize::MAX);
            let filled = reader.collect(&query, &collect, (i64::MIN, i64::MAX), builder);
            filled.ok().map(|filled| filled.batch.values().map(|raw| format!("{raw:?}")).collect())
        };
        let from_pages: Option<Vec<String>> = read(source.connect_to_pages().expect("opens"));
        let from_sqlite = read(source.connect().expect("opens"));
        assert_eq!(from_pages, from_sqlite);
        source.close().expect("closes");
    }
}

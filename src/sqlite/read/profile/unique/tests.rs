//! Sound indexes are sound, however they are read, and damaged ones are not.

use super::*;
use crate::control::progress::PhaseProgress;
use crate::sqlite::catalog;
use crate::sqlite::read::profile::column::ColumnProfileSpec;
use crate::sqlite::read::profile::scan::{ProfileOptions, profile};
use crate::sqlite::read::profile::table::TableProfileSpec;
use crate::sqlite::source::open::{Source, SourceOptions};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Every kind of unique index, over values of every kind.
const TABLES: &str = "
    CREATE TABLE n (i INTEGER PRIMARY KEY);
    WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s LIMIT 3000) INSERT INTO n SELECT i FROM s;
    CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT UNIQUE, c TEXT COLLATE NOCASE UNIQUE,
      s TEXT COLLATE RTRIM, r REAL UNIQUE, b BLOB UNIQUE, any UNIQUE, a, d, g AS (a || '/' || d) UNIQUE,
      UNIQUE (a, d), UNIQUE (d DESC, id, c COLLATE BINARY DESC));
    CREATE UNIQUE INDEX t_s ON t (s); CREATE UNIQUE INDEX t_filter ON t (k, id) WHERE a IS NOT NULL;
    CREATE UNIQUE INDEX t_expression ON t (lower(k), length(c)) WHERE id % 3 = 0;
    INSERT INTO t (id, k, c, s, r, b, any, a, d) SELECT i * 7 % 3001, 'key ' || (i * 13 % 3001),
      CASE WHEN i % 9 THEN char(65 + i % 26, 97 + i % 7) || i END, i || substr('  ', i % 3), i / 4.0,
      CAST(i || x'00ff' || i AS BLOB), CASE i % 5 WHEN 0 THEN i WHEN 1 THEN i + 0.5 WHEN 2 THEN 'é' || i
      WHEN 3 THEN zeroblob(i % 40) || i END, CASE WHEN i % 4 THEN i % 50 END, i FROM n;
    UPDATE t SET any = 9007199254740993 WHERE id = 5; UPDATE t SET any = 9007199254740992.0 WHERE id = 6;
    UPDATE t SET c = replace(hex(zeroblob(id / 2)), '0', 'Long') || id WHERE id % 100 = 0;
    CREATE TABLE w (a TEXT COLLATE NOCASE, b INT, c UNIQUE, PRIMARY KEY (b DESC, a)) WITHOUT ROWID;
    INSERT INTO w SELECT 'A' || i, i % 7, i || 'c' FROM n;
    CREATE TABLE m (x, y, PRIMARY KEY (x, y)) WITHOUT ROWID; INSERT INTO m SELECT i % 7, i FROM n;
    CREATE UNIQUE INDEX m_reversed ON m (y, x); CREATE UNIQUE INDEX m_same ON m (x, y);
    CREATE TABLE hidden (rowid, oid, _rowid_ UNIQUE); INSERT INTO hidden SELECT 1, 2, i FROM n;
    CREATE TABLE empty (a UNIQUE, b TEXT PRIMARY KEY);";

fn database(pragmas: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let sql = format!("{pragmas}; BEGIN; {}; COMMIT;", TABLES);
    Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
    (folder, path)
}

/// The profile of each index, by its description.
fn check(path: &Path, threads: usize) -> Result<Vec<(String, IndexProfile)>> {
    let source = Source::open(path, &SourceOptions::default())?;
    let connection = source.connect()?;
    let catalog = catalog::read(&connection)?;
    let encoding = crate::sqlite::read::query::encoding(&connection)?;
    let tables = catalog.schema.tables.iter();
    let specs: Vec<TableProfileSpec> = tables
        .map(|table| {
            let query = TableQuery {
                table: table.name.clone(),
                columns: table.columns.iter().map(|column| column.name.clone()).collect(),
                address: table.address.clone(),
                encoding,
            };
            let unique = catalog.facts[&table.name].unique_indexes.iter();
            let unique = unique.map(|index| UniqueIndexSpec::new(index, &query)).collect();
            let columns = vec![ColumnProfileSpec::default(); query.columns.len()];
            TableProfileSpec { query, columns, unique }
        })
        .collect();
    drop(connection);
    let (progress, cancel) = (PhaseProgress::default(), CancelScope::default());
    let options =
        ProfileOptions { threads, chunk_bytes: 1 << 16, progress: &progress, cancel: &cancel };
    let found = profile(&|| source.connect_to_pages(), &specs, &options);
    source.close().unwrap();
    let found = specs.into_iter().zip(found?).flat_map(|(spec, profile)| {
        spec.unique.into_iter().map(|spec| spec.what).zip(profile.unique)
    });
    Ok(found.collect())
}

#[test]
fn sound_indexes_are_sound_whichever_way_they_are_read() {
    for (pragmas, from_pages) in [
        ("PRAGMA page_size = 512", true),
        ("PRAGMA page_size = 4096", true),
        ("PRAGMA page_size = 65536", true),
        ("PRAGMA encoding = 'UTF-16le'", false),
        ("PRAGMA encoding = 'UTF-16be'; PRAGMA page_size = 1024", false),
    ] {
        let (_folder, path) = database(pragmas);
        for threads in [1, 4] {
            let found = check(&path, threads).unwrap();
            assert_eq!(found.len(), 19, "{found:?}");
            for (what, index) in found {
                assert!(
                    index.is_sound() && index.unreadable.is_none(),
                    "{what} {pragmas} {index:?}"
                );
                let by_pages = !index.is_left_to_sqlite;
                assert!(by_pages || !from_pages, "{what}");
                assert!(what.contains("empty") || index.entries.rows > 100, "{what} {index:?}");
            }
        }
    }
}

#[test]
fn sound_indexes_of_a_database_with_a_wal_are_read_by_sqlite() {
    let (_folder, path) = database("PRAGMA page_size = 1024");
    let user = Connection::open(&path).unwrap();
    let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE other (v)";
    user.execute_batch(sql).unwrap();
    for (what, index) in check(&path, 2).unwrap() {
        assert!(index.is_left_to_sqlite, "{what}");
        assert!(index.is_sound() && index.unreadable.is_none(), "{what} {index:?}");
    }
}

/// The names of the indexes of a table `d` that are not sound after `change`, which they do not see.
fn unsound(change: &str, wal: bool) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let tables = "
        CREATE TABLE d (k TEXT, n, a); INSERT INTO d VALUES ('a', 1, 1), ('b', 2, 1), ('c', 3, NULL), (NULL, NULL, 1);
        CREATE UNIQUE INDEX plain ON d (k); CREATE UNIQUE INDEX folded ON d (k COLLATE NOCASE);
        CREATE UNIQUE INDEX two ON d (n, k DESC); CREATE UNIQUE INDEX filtered ON d (n) WHERE a = 1;
        CREATE UNIQUE INDEX computed ON d (lower(k));
        PRAGMA writable_schema = ON; CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema;
        DELETE FROM sqlite_schema WHERE type = 'index'; PRAGMA writable_schema = RESET;";
    let restore = "; PRAGMA writable_schema = ON; DELETE FROM sqlite_schema; \
        INSERT INTO sqlite_schema SELECT * FROM kept; PRAGMA writable_schema = RESET;";
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&format!("{tables}{change}{restore}")).unwrap();
    if wal {
        let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE x (v)";
        connection.execute_batch(sql).unwrap();
    }
    let found = check(&path, 2).unwrap();
    assert_eq!(found.len(), 5);
    let unsound = found.into_iter().filter(|(_, index)| !index.is_sound());
    let name = |what: String| what.split('"').nth(1).unwrap_or_default().to_owned();
    let mut names: Vec<String> = unsound.map(|(what, _)| name(what)).collect();
    names.sort();
    names
}

#[test]
fn an_index_that_did_not_see_a_change_of_its_keys_is_not_sound() {
    let all = ["computed", "filtered", "folded", "plain", "two"];
    for wal in [false, true] {
        assert_eq!(unsound("", wal), [""; 0]);
        // Duplicates, other new rows, and deleted ones.
        assert_eq!(unsound("INSERT INTO d VALUES ('b', 2, 1)", wal), all);
        assert_eq!(unsound("INSERT INTO d VALUES (NULL, NULL, 1)", wal), all);
        assert_eq!(unsound("DELETE FROM d WHERE k = 'b'", wal), all);
        // A row that a partial index does not have.
        assert_eq!(
            unsound("DELETE FROM d WHERE k = 'c'", wal),
            ["computed", "folded", "plain", "two"]
        );
        assert_eq!(unsound("UPDATE d SET a = 1 WHERE k = 'c'", wal), ["filtered"]);
        // The same number of another storage class.
        assert_eq!(unsound("UPDATE d SET n = 2.0 WHERE n = 2", wal), [""; 0]);
        assert_eq!(unsound("UPDATE d SET n = 2.5 WHERE n = 2", wal), ["filtered", "two"]);
        // Another row with the same key.
        assert_eq!(unsound("UPDATE d SET rowid = 9 WHERE k = 'b'", wal), all);
    }
}

#[test]
fn rows_without_rowid_that_are_not_in_the_order_of_their_keys_are_not_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let sql = "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
        INSERT INTO w VALUES ('key 1', 'v'), ('key 2', 'v'), ('key 3', 'v')";
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let at = whole.windows(5).position(|found| found == b"key 2").unwrap();
    for (key, is_sound) in
        [(b"key 2", true), (b"key 1", false), (b"key 3", false), (b"key 0", false)]
    {
        let mut damaged = whole.clone();
        damaged[at..at + 5].copy_from_slice(key);
        std::fs::write(&path, damaged).unwrap();
        let (_, index) = check(&path, 1).unwrap().remove(0);
        assert_eq!((index.is_sound(), index.keys == index.entries), (is_sound, true), "{key:?}");
    }
}

#[test]
fn damaged_pages_never_make_an_index_seem_sound() {
    let (_folder, path) = database("PRAGMA page_size = 512");
    let whole = std::fs::read(&path).unwrap();
    let sound = check(&path, 1).unwrap();
    let mut random = fastrand::Rng::with_seed(5);
    let mut refused = 0;
    for _ in 0..40 {
        let mut damaged = whole.clone();
        for _ in 0..random.usize(1..6) {
            // After the first pages of the schema.
            let offset = random.usize(30 * 512..damaged.len());
            damaged[offset] = random.u8(..);
        }
        std::fs::write(&path, &damaged).unwrap();
        let Ok(found) = check(&path, 2) else {
            refused += 1;
            continue;
        };
        for ((what, one), (_, before)) in found.iter().zip(&sound) {
            let same = (one.keys, one.entries) == (before.keys, before.entries);
            assert!(same || !one.is_sound() || one.keys != before.keys, "{what}");
        }
    }
    assert!(refused > 0, "{refused}");
}

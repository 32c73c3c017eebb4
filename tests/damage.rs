//! Sources whose b-trees are damaged in ways that SQLite itself does not notice when it reads them.

use crate::harness::{migrate, server, sqlite3_script, text};
use crate::outcome::Target;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const PAGE: usize = 512;

/// A table `t` whose keys are 1 to 5,000, on many pages of 512 bytes.
fn database() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let sql = "PRAGMA page_size = 512; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); \
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) \
        INSERT INTO t SELECT i, 'row ' || i FROM n";
    sqlite3_script(&path, sql);
    (folder, path)
}

/// Gives the row of the stored `key` another one, on its page. Both have two bytes in the file.
fn change_key(path: &Path, key: u16, new: u16) {
    let varint = |key: u16| [0x80 | (key >> 7) as u8, key as u8 & 0x7f];
    let mut bytes = fs::read(path).unwrap();
    let row = format!("row {key}");
    let at = |bytes: &[u8]| {
        let start = bytes.windows(row.len()).position(|found| found == row.as_bytes()).unwrap();
        // Before the text: its length, the key, and a header of three bytes.
        assert_eq!(bytes[start - 5..start - 3], varint(key));
        start - 5
    };
    let at = at(&bytes);
    assert!(at > PAGE);
    bytes[at..at + 2].copy_from_slice(&varint(new));
    fs::write(path, bytes).unwrap();
}

/// Checks that the run ends with exit code 4, and that nothing was written.
fn assert_refused(path: &Path) {
    for flags in [&["--depth=rows"][..], &["--no-verify"], &["--no-verify", "--readers=4"]] {
        let database = server();
        let arguments = [
            "database",
            "--from",
            path.to_str().unwrap(),
            "--to",
            &database.url,
            "--allow-running",
        ];
        let output = migrate(arguments.iter().chain(flags));
        let message = text(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains("table \"t\" is damaged"), "{message}");
        assert!(message.contains("PRAGMA integrity_check"), "{message}");
        assert!(Target::open(&database.url).tables().is_empty());
    }
}

#[test]
fn rows_outside_the_key_order_are_refused_as_damage_also_without_verification() {
    // The last row, the first one of two bytes, and rows in the middle, with a smaller and a larger key.
    for (key, new) in [(5000, 200), (1000, 4900), (2000, 200), (2000, 2001), (3000, 2999)] {
        let (_folder, path) = database();
        change_key(&path, key, new);
        assert_refused(&path);
    }
}

#[test]
fn rows_outside_the_key_order_of_a_database_with_a_wal_are_refused_as_damage() {
    for (key, new) in [(5000, 200), (1000, 4900), (2000, 200)] {
        let (_folder, path) = database();
        change_key(&path, key, new);
        // While the WAL has content, SQLite reads the rows and not the reader of pages.
        let user = rusqlite::Connection::open(&path).unwrap();
        let sql =
            "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE other (v)";
        user.execute_batch(sql).unwrap();
        assert!(fs::metadata(path.with_file_name("app.db-wal")).unwrap().len() > 0);
        assert_refused(&path);
    }
}

#[test]
fn a_row_that_is_longer_than_its_fields_is_refused_as_sqlite_refuses_it() {
    let (_folder, path) = database();
    let mut bytes = fs::read(&path).unwrap();
    let row = b"row 3000";
    let start = bytes.windows(row.len()).position(|found| found == row).unwrap();
    // The serial type of the text: seven characters of the stored eight.
    assert_eq!(bytes[start - 1], 13 + 2 * 8);
    bytes[start - 1] = 13 + 2 * 7;
    fs::write(&path, bytes).unwrap();
    let sqlite = rusqlite::Connection::open(&path).unwrap();
    let read =
        sqlite.query_row("SELECT v FROM t WHERE id = 3000", [], |row| row.get::<_, String>(0));
    assert!(read.unwrap_err().to_string().contains("malformed"));
    drop(sqlite);
    assert_refused(&path);
}

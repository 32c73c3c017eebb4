//! Sources whose b-trees are damaged in ways that SQLite itself does not notice when it reads them, and
//! rows that break the constraints of their tables.

use crate::harness::{migrate, server, sqlite3, sqlite3_script, text};
use crate::outcome::Target;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
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

/// Runs SQL on a database while its indexes `names` are hidden, and then gives each its name in `names`
/// and the table `t` the definition `table`.
fn hide_indexes(path: &Path, names: [&str; 2], sql: &str, table: &str) {
    let [old, new] = names;
    let definition = if new.starts_with("sqlite_autoindex") { "NULL" } else { "sql" };
    sqlite3_script(
        path,
        &format!(
            "PRAGMA writable_schema = ON;
             CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = '{old}';
             DELETE FROM sqlite_schema WHERE name = '{old}'; PRAGMA writable_schema = RESET; {sql};
             PRAGMA writable_schema = ON; INSERT INTO sqlite_schema
               SELECT type, '{new}', tbl_name, rootpage, {definition} FROM kept;
             UPDATE sqlite_schema SET sql = '{table}' WHERE name = 't'; PRAGMA writable_schema = RESET;"
        ),
    );
}

/// A table with the unique index `t_k`, which does not have the changes of `sql`.
fn stale_index(sql: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT NOT NULL, v TEXT)";
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) \
        INSERT INTO t SELECT i, 'key ' || i, 'v' FROM n";
    let other =
        "CREATE TABLE a (x TEXT); CREATE TRIGGER a_insert AFTER INSERT ON a BEGIN SELECT 1; END";
    sqlite3_script(&path, &format!("{table}; {rows}; {other}; CREATE UNIQUE INDEX t_k ON t (k)"));
    hide_indexes(&path, ["t_k", "t_k"], sql, table);
    (folder, path)
}

fn run(command: &str, path: &Path, url: &str, flags: &[&str]) -> Output {
    let arguments = [command, "--from", path.to_str().unwrap(), "--to", url, "--allow-running"];
    migrate(arguments.iter().chain(flags))
}

/// Checks that a run ends with exit code 4 and `messages`, and that nothing was written.
fn assert_refused_with(path: &Path, messages: &[&str]) {
    let database = server();
    for (command, flags) in [
        ("plan", &[][..]),
        ("database", &[]),
        ("database", &["--strict"]),
        ("database", &["--no-verify", "--readers=1"]),
    ] {
        let output = run(command, path, &database.url, flags);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        for expected in messages {
            assert!(message.contains(expected), "{expected}: {message}");
        }
    }
    assert!(Target::open(&database.url).tables().is_empty());
}

#[test]
fn rows_with_equal_keys_that_a_unique_index_lacks_are_refused_as_damage_with_their_rowids() {
    let (_folder, path) =
        stale_index("INSERT INTO t VALUES (3001, 'key 7', 'v'), (3002, 'new', 'v')");
    let damage = "table \"t\", unique index \"t_k\": damaged in the source: it has 3,000 entries for \
        3,002 rows, and 2 rows share 1 key (rowids 7, 3001)";
    assert_refused_with(&path, &["the source is damaged", damage, "PRAGMA integrity_check"]);
    // SQLite reads the index if a WAL has content.
    let user = rusqlite::Connection::open(&path).unwrap();
    let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE other (v)";
    user.execute_batch(sql).unwrap();
    assert_refused_with(&path, &[damage]);
}

#[test]
fn rows_with_equal_primary_keys_are_refused_as_damage_with_their_rowids() {
    for (constraint, described) in [("PRIMARY KEY", "primary key"), ("UNIQUE", "unique key")] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("app.db");
        sqlite3_script(
            &path,
            "CREATE TABLE t (k TEXT NOT NULL, v INT); CREATE UNIQUE INDEX plain ON t (k);
             INSERT INTO t VALUES ('a', 1), ('b', 2);
             CREATE TABLE child (id INTEGER PRIMARY KEY, k TEXT REFERENCES t (k))",
        );
        let table = format!("CREATE TABLE t (k TEXT NOT NULL {constraint}, v INT)");
        let names = ["plain", "sqlite_autoindex_t_1"];
        hide_indexes(&path, names, "INSERT INTO t VALUES ('a', 3)", &table);
        let damage = format!(
            "table \"t\", {described} (\"k\"): damaged in the source: it has 2 entries for 3 rows, and 2 \
             rows share 1 key (rowids 1, 3)"
        );
        assert_refused_with(&path, &[&damage]);
        let database = server();
        let output = run("database", &path, &database.url, &["--allow", "duplicates"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains("match; 3 rows"), "{}", text(&output));
        let mut target = Target::open(&database.url);
        let unique = "SELECT count(*) FROM pg_index WHERE indisunique AND indrelid = 't'::regclass";
        assert_eq!(target.cell(unique), "0");
        // The parent has no unique key, so the foreign key is listed.
        assert!(text(&output).contains("the parent's columns have no unique key"));
        let again = run("database", &path, &database.url, &["--verify"]);
        assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    }
}

#[test]
fn allow_duplicates_builds_an_index_that_is_not_unique_and_lists_it_first() {
    let (_folder, path) =
        stale_index("INSERT INTO t VALUES (3001, 'key 7', 'v'), (3002, 'key 7', 'v')");
    let database = server();
    let strict = run("database", &path, &database.url, &["--allow", "duplicates", "--strict"]);
    assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
    assert!(Target::open(&database.url).tables().is_empty());
    let output = run("database", &path, &database.url, &["--allow=duplicates"]);
    let message = text(&output);
    assert_eq!(output.status.code(), Some(0), "{message}");
    let lost = message
        .find("3 rows share 1 key (rowids 7, 3001, 3002); it becomes an index that is not unique");
    assert!(lost.unwrap() < message.find("a_insert").unwrap(), "{message}");
    let index = "SELECT indisunique::text FROM pg_index WHERE indexrelid = 't_k'::regclass";
    let mut target = Target::open(&database.url);
    assert_eq!(
        (target.cell(index), target.cell("SELECT count(*) FROM t")),
        ("false".into(), "3002".into())
    );
    let again = run("database", &path, &database.url, &["--verify"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
}

#[test]
fn a_unique_index_that_differs_from_its_rows_is_listed_first_as_damage_and_refused_by_strict() {
    for (sql, damage) in [
        ("INSERT INTO t VALUES (3001, 'new', 'v')", "it has 3,000 entries for 3,001 rows"),
        ("DELETE FROM t WHERE id = 9", "it has 3,000 entries for 2,999 rows"),
        ("UPDATE t SET k = 'new' WHERE id = 9", "its entries differ from the rows"),
    ] {
        let (_folder, path) = stale_index(sql);
        let database = server();
        let strict = run("database", &path, &database.url, &["--strict"]);
        assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
        assert!(text(&strict).contains(damage), "{}", text(&strict));
        assert!(Target::open(&database.url).tables().is_empty());
        let output = run("database", &path, &database.url, &[]);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(0), "{message}");
        let damage = format!("damaged in the source: {damage}; PostgreSQL builds it from the rows");
        assert!(message.find(&damage).unwrap() < message.find("a_insert").unwrap(), "{message}");
        let index = "SELECT indisunique::text FROM pg_index WHERE indexrelid = 't_k'::regclass";
        assert_eq!(Target::open(&database.url).cell(index), "true");
    }
}

#[test]
fn a_unique_index_with_a_page_of_zeros_is_listed_as_damage_and_built_from_the_rows() {
    let (_folder, path) = stale_index("SELECT 1");
    zero_a_page_of_the_index(&path);
    let database = server();
    let damage = "unique index \"t_k\": damaged in the source: SQLite calls its pages malformed";
    let strict = run("database", &path, &database.url, &["--strict"]);
    assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
    assert!(text(&strict).contains("SQLite calls its pages malformed"), "{}", text(&strict));
    assert!(Target::open(&database.url).tables().is_empty());
    let output = run("database", &path, &database.url, &[]);
    let message = text(&output);
    assert_eq!(output.status.code(), Some(0), "{message}");
    let listed =
        message.find("SQLite calls its pages malformed; PostgreSQL builds it from the rows");
    assert!(listed.unwrap() < message.find("a_insert").unwrap(), "{message}");
    let index = "SELECT indisunique::text FROM pg_index WHERE indexrelid = 't_k'::regclass";
    assert_eq!(Target::open(&database.url).cell(index), "true");
    // Rows with equal keys are found without the index.
    let (_folder, path) = stale_index("INSERT INTO t VALUES (3001, 'key 7', 'v')");
    zero_a_page_of_the_index(&path);
    let damage = format!("{damage}, and 2 rows share 1 key (rowids 7, 3001)");
    assert_refused_with(&path, &["the source is damaged", &damage, "integrity_check"]);
}

/// Fills the first leaf of the index `t_k` with zeros.
fn zero_a_page_of_the_index(path: &Path) {
    let page: usize =
        sqlite3(path, "SELECT rootpage FROM sqlite_schema WHERE name = 't_k'").parse().unwrap();
    let mut bytes = fs::read(path).unwrap();
    // The root page has the numbers of the leaves: the first cell's first four bytes.
    let root = &bytes[(page - 1) * 4096..page * 4096];
    let cell = usize::from(u16::from_be_bytes([root[12], root[13]]));
    let leaf = u32::from_be_bytes(root[cell..cell + 4].try_into().unwrap()) as usize;
    bytes[(leaf - 1) * 4096..leaf * 4096].fill(0);
    fs::write(path, bytes).unwrap();
}

#[test]
fn rows_that_break_not_null_and_a_check_are_listed_and_refused_by_strict() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    sqlite3_script(
        &path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v REAL CHECK (v >= 0));
         PRAGMA ignore_check_constraints = ON; INSERT INTO t VALUES (1, 'a', 1), (2, NULL, 1), (3, 'c', -1);
         PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'TEXT', 'TEXT NOT NULL')",
    );
    let database = server();
    let strict = run("database", &path, &database.url, &["--strict"]);
    assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
    assert!(Target::open(&database.url).tables().is_empty());
    let output = run("database", &path, &database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for message in [text(&strict), text(&output)] {
        assert!(message.contains("declared NOT NULL, but 1 of its values is NULL"), "{message}");
        assert!(message.contains("1 row breaks it"), "{message}");
    }
}

#[test]
fn an_index_that_the_server_refuses_after_the_copy_makes_a_strict_run_fail() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("app.db");
    // SQLite makes the sum a real number.
    sqlite3_script(
        &path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); CREATE UNIQUE INDEX t_n ON t (n + 1);
         INSERT INTO t VALUES (1, 5), (2, 9223372036854775807)",
    );
    let database = server();
    for (flags, code) in [(&["--strict"][..], 1), (&["--strict"], 1), (&["--restart"], 0)] {
        let output = run("database", &path, &database.url, flags);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(message.contains("the server refuses it: "), "{message}");
    }
}

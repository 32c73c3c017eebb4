//! What a SQLite file has besides its tables: the way to PostgreSQL and back keeps it.

use super::{Target, back, back_report};
use crate::harness::{psql, server, sqlite3, sqlite3_script, text};
use crate::outcome::list;
use crate::source::Source;
use serde_json::Value;

const PRAGMAS: [&str; 5] =
    ["user_version", "application_id", "auto_vacuum", "page_size", "encoding"];

fn properties(file: &std::path::Path) -> Vec<String> {
    PRAGMAS.iter().map(|name| sqlite3(file, &format!("PRAGMA {name}"))).collect()
}

/// A database with the properties that `sql` gives it.
fn source(sql: &str) -> Source {
    Source::of_folder(|path| sqlite3_script(path, sql))
}

fn notes(report: &Value) -> String {
    let notes = list(&report["data_sets"][0]["notes"]).map(|note| note.as_str().unwrap());
    notes.collect::<Vec<_>>().join("\n")
}

#[test]
fn versions_pages_vacuum_mode_and_encoding_come_back_and_the_plans_list_them() {
    let (database, target) = (server(), Target::new());
    let source = source(
        "PRAGMA page_size = 8192; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA encoding = 'UTF-16be'; \
         CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE); \
         CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; \
         INSERT INTO t (name) VALUES ('é'), ('😀'), ('x'); INSERT INTO w VALUES ('\u{ffff}', 1), ('😀', 2); \
         PRAGMA user_version = -42; PRAGMA application_id = 252006674;",
    );
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let listed = "page_size 8192, auto_vacuum 2, encoding UTF-16be, user_version -42, \
                  application_id 252006674";
    assert!(text(&output).contains(listed), "{}", text(&output));
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    assert!(notes(&report).contains(listed), "{report:#}");
    assert_eq!(properties(&target.path), ["-42", "252006674", "2", "8192", "UTF-16be"]);
    assert_eq!(sqlite3(&target.path, "SELECT id, name FROM t ORDER BY id"), "1|é\n2|😀\n3|x");
    assert_eq!(sqlite3(&target.path, "PRAGMA integrity_check"), "ok");
    // One table alone has them, too, without the ledger.
    psql(&database.url, "DROP TABLE migrate_ledger; DROP TABLE w");
    let again = Target::new();
    back_report(&database, &again.path, &["--tables", "t"], 0);
    assert_eq!(properties(&again.path), ["-42", "252006674", "2", "8192", "UTF-16be"]);
}

#[test]
fn a_file_without_properties_of_its_own_keeps_none_and_gets_no_notes() {
    let (database, target) = (server(), Target::new());
    let source = source("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)");
    assert!(!text(&source.migrate(&database.url, &[])).contains("properties"));
    let comments = "SELECT obj_description('t'::regclass, 'pg_class') LIKE '%\"file\"%'";
    assert_eq!(psql(&database.url, comments), "f");
    let report = back_report(&database, &target.path, &[], 0);
    assert!(!notes(&report).contains("properties"), "{report:#}");
    assert_eq!(properties(&target.path), ["0", "0", "0", "4096", "UTF-8"]);
}

#[test]
fn a_collation_of_the_application_is_listed_on_both_ways() {
    let (database, target) = (server(), Target::new());
    // SQLite itself creates no table with a collation that it does not know.
    let source = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, title TEXT COLLATE RTRIM); \
         INSERT INTO t VALUES (1, 'a', 'b'); PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = replace(sql, 'name TEXT', 'name TEXT COLLATE de_DE');",
    );
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let listed = "only the application defines the collation de_DE";
    assert!(text(&output).contains(listed), "{}", text(&output));
    let output = back(&database, &target.path, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains(listed), "{}", text(&output));
    let definitions = sqlite3(&target.path, "SELECT group_concat(sql) FROM sqlite_schema");
    assert!(definitions.contains("\"name\" TEXT,"), "{definitions}");
    assert!(definitions.contains("\"title\" TEXT COLLATE RTRIM"), "{definitions}");
    let strict = back(&database, &target.path, &["--drop-all", "--strict"]);
    assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
}

#[test]
fn properties_of_a_replaced_file_that_the_new_one_does_not_get_are_listed_and_strict_refuses_them()
{
    let (database, target) = (server(), Target::new());
    psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let old = "PRAGMA page_size = 8192; PRAGMA auto_vacuum = FULL; PRAGMA encoding = 'UTF-16le'; \
        CREATE TABLE t (a); PRAGMA user_version = 42; PRAGMA application_id = 7";
    sqlite3_script(&target.path, old);
    let strict = back(&database, &target.path, &["--clean", "--strict"]);
    assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
    let message = "pragma \"user_version\": the replaced file has 42, the new file gets 0";
    assert!(text(&strict).contains(message), "{}", text(&strict));
    let report = back_report(&database, &target.path, &["--clean"], 0);
    let left_out = list(&report["data_sets"][0]["left_out"]);
    let names: Vec<&str> = left_out.map(|left| left["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["auto_vacuum", "encoding", "user_version", "application_id"]);
    assert_eq!(properties(&target.path), ["0", "0", "0", "8192", "UTF-8"]);

    // The values that came from SQLite win.
    let (database, target) = (server(), Target::new());
    let source = source("CREATE TABLE t (a INT); PRAGMA user_version = 1");
    assert_eq!(source.migrate(&database.url, &[]).status.code(), Some(0));
    sqlite3_script(&target.path, "CREATE TABLE t (a); PRAGMA user_version = 99");
    let output = back(&database, &target.path, &["--clean", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("the replaced file has 99, the new file gets 1"));
}

//! Interrupted runs: the source is unchanged, and the ledger says that the target is incomplete.

use crate::harness::{
    Database, migrate, migrate_command, psql, server, sha256, sqlite3_script, text,
};
use crate::waiting::{signal, wait_for_a_chunk, wait_for_a_lock};
use migrate::internals::{CancelScope, Source, SourceOptions, StatementCanceller};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A source of many small chunks, with a write-ahead log.
fn source(folder: &Path) -> PathBuf {
    let path = folder.join("app.db");
    sqlite3_script(
        &path,
        "PRAGMA journal_mode = WAL;
         CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT NOT NULL, body BLOB);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO event SELECT i, 'event ' || i, randomblob(1000) FROM n;
         CREATE INDEX event_what ON event (what);",
    );
    path
}

fn start(source: &Path, database: &Database) -> Child {
    let mut command = migrate_command();
    command.arg("database").arg("--from").arg(source).args(["--to", &database.url]);
    // Little memory makes small chunks, and one writer lets them arrive one by one.
    command.args(["--memory", "16M", "--threads", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The names and digests of all files of the source's folder.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), sha256(&path))).collect();
    files.sort();
    files
}

/// Asserts that a verification finds the target incomplete, and that the next run resumes.
fn assert_half_loaded(source: &Path, database: &Database) {
    let to: [&str; 4] = ["--from", source.to_str().unwrap(), "--to", &database.url];
    let compared = migrate(["database", "--verify"].iter().chain(&to));
    assert_eq!(compared.status.code(), Some(3), "{}", text(&compared));
    assert!(text(&compared).contains("half loaded"), "{}", text(&compared));
    let again = migrate(["database"].iter().chain(&to));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert!(text(&again).contains("resumes the run"), "{}", text(&again));
    let sums = "SELECT count(*), min(id), max(id), sum(length(body)) FROM event";
    assert_eq!(psql(&database.url, sums), "40000|1|40000|40000000");
}

#[test]
fn an_interrupted_run_ends_cleanly_and_the_next_one_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let before = files(folder.path());
    let database = server();
    let child = start(&source, &database);
    wait_for_a_chunk(&database.url);
    let output = interrupt(child);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("paused as requested"), "{}", text(&output));
    assert!(text(&output).contains("the source is unchanged"), "{}", text(&output));
    assert_eq!(files(folder.path()), before);
    assert_half_loaded(&source, &database);
    assert_eq!(files(folder.path()), before);
}

/// Sends SIGINT and waits for the end, which must come soon.
fn interrupt(child: Child) -> std::process::Output {
    signal(&child, "-INT");
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "it took {:?}", since.elapsed());
    output
}

#[test]
fn a_run_that_waits_for_a_lock_of_somebody_else_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let database = server();
    let child = start(&source, &database);
    wait_for_a_chunk(&database.url);
    // Rows may come in under this lock, and no index may be built.
    let mut somebody = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    somebody.batch_execute("BEGIN; LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
    wait_for_a_lock(&database.url);
    let output = interrupt(child);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("paused as requested"), "{}", text(&output));
    drop(somebody);
    assert_half_loaded(&source, &database);
}

#[test]
fn a_statement_of_sqlite_is_interrupted_and_the_next_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    sqlite3_script(&path, "CREATE TABLE t (a)");
    let cancel = CancelScope::default();
    let canceller = StatementCanceller::watch(&cancel);
    let source = Source::open(&path, &SourceOptions::default()).unwrap();
    let interrupter = source.interrupter();
    canceller.add_source_hook(move || interrupter.interrupt());
    let reader = source.connect().unwrap();
    let setter = std::thread::spawn({
        let cancel = cancel.clone();
        move || {
            std::thread::sleep(Duration::from_millis(300));
            cancel.cancel();
        }
    });
    let forever = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT max(i) FROM n";
    let error = reader.query_row(forever, [], |row| row.get::<_, i64>(0)).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::OperationInterrupted));
    setter.join().unwrap();
    drop(canceller);
    assert_eq!(reader.query_row("SELECT 1", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_killed_run_leaves_the_source_alone_and_a_target_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let before = sha256(&source);
    let database = server();
    let mut child = start(&source, &database);
    wait_for_a_chunk(&database.url);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(sha256(&source), before);
    assert_half_loaded(&source, &database);
    assert_eq!(sha256(&source), before);
}

#[test]
fn two_runs_into_one_schema_never_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path());
    let database = server();
    let first = start(&source, &database);
    wait_for_a_chunk(&database.url);
    // The first run waits for this lock to build the index.
    let mut somebody = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    somebody.batch_execute("BEGIN; LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
    wait_for_a_lock(&database.url);
    let other = folder.path().join("other.db");
    sqlite3_script(&other, "CREATE TABLE t (a)");
    let second = migrate([
        "database",
        "--from",
        other.to_str().unwrap(),
        "--to",
        &database.url,
        "--drop-all",
    ]);
    assert_eq!(second.status.code(), Some(4), "{}", text(&second));
    assert!(text(&second).contains("another run"), "{}", text(&second));
    somebody.batch_execute("COMMIT").unwrap();
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

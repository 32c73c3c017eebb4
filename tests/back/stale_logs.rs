//! Logs of other databases next to the target: SQLite would apply them to the new file.

use super::{Target, back, back_report};
use crate::harness::{Database, migrate_command, psql, server, sqlite3, sqlite3_script, text};
use crate::waiting::wait_until;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// The bytes of the WAL or of the journal of a database that has rows.
fn log(suffix: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let old = rusqlite::Connection::open(folder.path().join("old.db")).unwrap();
    let (mode, begin) = if suffix == "-wal" { ("WAL", "") } else { ("DELETE", "BEGIN;") };
    let sql = format!(
        "PRAGMA journal_mode = {mode}; CREATE TABLE old (v); {begin} INSERT INTO old VALUES ('x')"
    );
    old.execute_batch(&sql).unwrap();
    let bytes = fs::read(folder.path().join(format!("old.db{suffix}"))).unwrap();
    assert!(bytes.len() > 500);
    bytes
}

fn next_to(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn filled() -> Database {
    let database = server();
    psql(&database.url, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (7)");
    database
}

#[test]
fn a_stale_log_next_to_a_missing_or_an_empty_target_is_refused_by_name_and_size_and_kept() {
    let database = filled();
    for suffix in ["-wal", "-journal"] {
        for empty in [false, true] {
            let target = Target::new();
            if empty {
                fs::write(&target.path, "").unwrap();
            }
            let (path, bytes) = (next_to(&target.path, suffix), log(suffix));
            fs::write(&path, &bytes).unwrap();
            let files = target.files();
            let named = format!("{} ({} bytes)", path.display(), bytes.len());
            for flags in [&[][..], &["--drop-all"], &["--no-verify"]] {
                let output = back(&database, &target.path, flags);
                assert_eq!(output.status.code(), Some(4), "{}", text(&output));
                // Without the separators of thousands.
                let message = text(&output).replace(',', "");
                assert!(message.contains(&named), "{named}\n{message}");
                assert_eq!(target.files(), files);
                assert_eq!(fs::read(&path).unwrap(), bytes);
            }
            // The hint: the run succeeds once the log is in another folder.
            fs::rename(&path, target.folder.path().join("kept")).unwrap();
            back_report(&database, &target.path, &[], 0);
            assert_eq!(sqlite3(&target.path, "SELECT id FROM t"), "7");
        }
    }
}

/// A run that writes its new file.
fn writing() -> (Database, Target, Child) {
    let (database, target) = (server(), Target::new());
    psql(
        &database.url,
        "CREATE TABLE event (id int, body text); \
        INSERT INTO event SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 20000) g",
    );
    let mut command = migrate_command();
    command.args(["database", "--from", &database.url, "--to"]).arg(&target.path);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let partial = next_to(&target.path, ".migrate-partial");
    wait_until("the run writes", || partial.exists());
    (database, target, child)
}

#[test]
fn a_log_that_appears_during_the_run_keeps_the_new_file_from_its_final_name() {
    let (_database, target, child) = writing();
    let (path, bytes) = (next_to(&target.path, "-wal"), log("-wal"));
    fs::write(&path, &bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("is left from another database"), "{}", text(&output));
    assert_eq!(target.files(), ["back.db-wal"]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_database_that_appears_during_the_run_is_not_replaced() {
    let (_database, target, child) = writing();
    sqlite3_script(&target.path, "CREATE TABLE own (v); INSERT INTO own VALUES (1)");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("was created during the run"), "{}", text(&output));
    assert_eq!(target.files(), ["back.db"]);
    assert_eq!(sqlite3(&target.path, "SELECT v FROM own"), "1");
}

#[test]
fn a_database_whose_journal_has_ended_or_whose_wal_has_rows_is_replaced() {
    let database = filled();
    for mode in ["PERSIST", "WAL"] {
        let target = Target::new();
        let own = rusqlite::Connection::open(&target.path).unwrap();
        let sql =
            format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (v); INSERT INTO t VALUES (1)");
        own.execute_batch(&sql).unwrap();
        // A closed WAL database has no log: this one is copied as a killed process leaves it.
        let killed = Target::new();
        for name in target.files().iter().filter(|name| !name.ends_with("-shm")) {
            fs::copy(target.folder.path().join(name), killed.folder.path().join(name)).unwrap();
        }
        drop(own);
        assert_eq!(killed.files().len(), 2, "a database and its log");
        back_report(&database, &killed.path, &["--drop-all"], 0);
        assert_eq!(sqlite3(&killed.path, "SELECT id FROM t"), "7");
    }
}

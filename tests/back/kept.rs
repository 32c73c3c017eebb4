//! A replaced file is kept.

use super::{Target, back, back_report};
use crate::harness::{Database, migrate_command, psql, server, sqlite3, sqlite3_script, text};
use crate::waiting::wait_until;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

/// A database with one row in `t`, and a file with another one.
fn scenario() -> (Database, Target) {
    let (database, target) = (server(), Target::new());
    psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (2)");
    sqlite3_script(
        &target.path,
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)",
    );
    (database, target)
}

/// The names of the kept files.
fn kept(target: &Target) -> Vec<String> {
    target.files().into_iter().filter(|name| name != "back.db").collect()
}

#[test]
fn a_replaced_file_is_kept_next_to_the_new_one() {
    let (database, target) = scenario();
    fs::set_permissions(&target.path, fs::Permissions::from_mode(0o604)).unwrap();
    let facts = |name: &str| {
        let metadata = fs::metadata(target.folder.path().join(name)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    let (old, inode) = (facts("back.db"), fs::metadata(&target.path).unwrap().ino());
    // The WAL of a process that was killed holds two thirds of the database.
    let user = rusqlite::Connection::open(&target.path).unwrap();
    user.execute_batch("CREATE INDEX i ON t (a); CREATE INDEX j ON t (a)").unwrap();
    let log = target.folder.path().join("back.db-wal");
    let copy = fs::read(&log).unwrap();
    let before = fs::read(&target.path).unwrap();
    drop(user);
    fs::write(&target.path, before).unwrap();
    fs::write(&log, copy).unwrap();
    let output = back(&database, &target.path, &["--clean"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = text(&output);
    let kept = kept(&target);
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    let pattern: String = kept.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(pattern, "back.db.replaced-00000000T000000Z");
    let path = target.folder.path().join(kept);
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert_eq!((facts(kept), facts("back.db")), (old, old));
    assert_eq!(
        (sqlite3(&path, "SELECT a FROM t"), sqlite3(&target.path, "SELECT a FROM t")),
        ("1".to_owned(), "2".to_owned())
    );
    assert_eq!(sqlite3(&path, "PRAGMA journal_mode"), "wal");
    let size = fs::metadata(&path).unwrap().len();
    let size = format!("{},{:03} bytes", size / 1000, size % 1000);
    let report = format!("the replaced file is kept: {}", path.display());
    assert!(output.contains(&report), "{output}");
    assert!(output.contains(&format!("the replaced file ({size}) is kept as")), "{output}");
    let (_, after) = output.split_once(&report).unwrap();
    assert!(!after.contains("TIME"), "the plan's note is not in the report: {after}");
}

#[test]
fn a_run_that_does_not_replace_a_database_keeps_no_second_file() {
    let (database, target) = scenario();
    let user = rusqlite::Connection::open(&target.path).unwrap();
    user.execute_batch("BEGIN IMMEDIATE").unwrap();
    let output = back(&database, &target.path, &["--clean", "--allow-running"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    drop(user);
    assert_eq!(kept(&target), [""; 0]);
    fs::write(&target.path, "").unwrap();
    back_report(&database, &target.path, &[], 0);
    assert_eq!(kept(&target), [""; 0]);
}

#[test]
fn no_keep_removes_a_replaced_file_only_after_a_good_verdict() {
    let (database, target) = scenario();
    let output = back(&database, &target.path, &["--clean", "--no-keep", "--no-verify"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert_eq!(sqlite3(&target.path, "SELECT a FROM t"), "1");
    let output = back(&database, &target.path, &["--clean", "--no-keep", "--depth", "rows"]);
    assert_eq!(output.status.code(), Some(2), "row counts are no proof: {}", text(&output));
    assert_eq!(sqlite3(&target.path, "SELECT a FROM t"), "1");
    let output = back(&database, &target.path, &["--clean", "--no-keep"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(
        text(&output).contains("bytes) is removed after a match (--no-keep)"),
        "the plan says it"
    );
    assert!(text(&output).contains("the replaced file was removed"), "the report says it");
    assert_eq!(sqlite3(&target.path, "SELECT a FROM t"), "2");
    assert_eq!(kept(&target), [""; 0]);
    let to = ["database", "--from", "app.db", "--to", &database.url, "--no-keep"];
    let output = crate::harness::migrate(to);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("--no-keep"), "{}", text(&output));
}

#[test]
fn a_run_that_fails_before_the_rename_leaves_the_old_file_also_with_no_keep() {
    let (database, target) = scenario();
    let old = fs::read(&target.path).unwrap();
    let child = replacing(&database, &target);
    let user = rusqlite::Connection::open(&target.path).unwrap();
    user.execute_batch("BEGIN IMMEDIATE").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    drop(user);
    assert_eq!(target.files(), ["back.db"]);
    assert!(fs::read(&target.path).unwrap() == old, "every byte is unchanged");
}

/// Starts a long run that replaces the file, and returns it once it has checked the file.
fn replacing(database: &Database, target: &Target) -> std::process::Child {
    psql(
        &database.url,
        "CREATE TABLE IF NOT EXISTS event AS \
        SELECT g AS id, repeat(md5(g::text), 30) AS body FROM generate_series(1, 20000) g",
    );
    let mut command = migrate_command();
    command.args(["database", "--from", &database.url, "--to"]).arg(&target.path);
    command.args(["--clean", "--no-keep"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let partial = target.folder.path().join("back.db.migrate-partial");
    wait_until("the run writes", || partial.exists());
    child
}

#[test]
fn no_keep_removes_only_the_file_that_was_checked() {
    let (database, target) = scenario();
    let child = replacing(&database, &target);
    fs::remove_file(&target.path).unwrap();
    sqlite3_script(&target.path, "CREATE TABLE other (a); INSERT INTO other VALUES (5)");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("changed during the run and is kept: "), "{}", text(&output));
    let files = kept(&target);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(sqlite3(&target.folder.path().join(file), "SELECT a FROM other"), "5");

    let (database, target) = scenario();
    let child = replacing(&database, &target);
    sqlite3_script(&target.path, "INSERT INTO t VALUES (7)");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(kept(&target).len(), 1, "it has a row that was added during the run");
}

#[test]
fn a_file_that_cannot_be_kept_is_refused_before_anything_is_written() {
    // Who is not root owns all files that a test creates, and may link to them.
    let protects = fs::read_to_string("/proc/sys/fs/protected_hardlinks").unwrap_or_default();
    let (database, target) = scenario();
    if fs::metadata(&target.path).unwrap().uid() != 0 || protects.trim() != "1" {
        return;
    }
    sqlite3_script(&target.path, "PRAGMA journal_mode = DELETE");
    fs::set_permissions(&target.path, fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::chown(&target.path, Some(65533), None).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command.arg("--bounding-set=-fowner,-dac_override").arg(env!("CARGO_BIN_EXE_migrate"));
    command.args(["database", "--clean", "--from", &database.url, "--to"]).arg(&target.path);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let words = ["cannot keep the replaced file", "hint: run as the owner of the file"];
    assert!(words.iter().all(|word| text(&output).contains(word)), "{}", text(&output));
    assert_eq!(target.files(), ["back.db"]);
}

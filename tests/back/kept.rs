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
    let size = fs::metadata(&target.path).unwrap().len();
    let size = format!("{},{:03} bytes", size / 1000, size % 1000);
    let report = back_report(&database, &target.path, &["--clean"], 0);
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
    let notes = report["data_sets"][0]["notes"].to_string();
    assert!(notes.contains(&format!("the replaced file is kept: {}", path.display())), "{notes}");
    assert!(notes.contains(&format!("the replaced file ({size}) is kept as")), "{notes}");
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
    back_report(&database, &target.path, &["--clean", "--no-keep"], 0);
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
    psql(
        &database.url,
        "CREATE TABLE event (id int, body text); \
        INSERT INTO event SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 20000) g",
    );
    let old = fs::read(&target.path).unwrap();
    let mut command = migrate_command();
    command.args(["database", "--from", &database.url, "--to"]).arg(&target.path);
    command.args(["--clean", "--no-keep"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let partial = target.folder.path().join("back.db.migrate-partial");
    wait_until("the run writes", || partial.exists());
    let user = rusqlite::Connection::open(&target.path).unwrap();
    user.execute_batch("BEGIN IMMEDIATE").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    drop(user);
    assert_eq!(target.files(), ["back.db"]);
    assert!(fs::read(&target.path).unwrap() == old, "every byte is unchanged");
}

//! Faults: no unfinished file gets the target's name, and the next run
//! starts cleanly.

use super::{Target, back, back_report};
use crate::harness::{
    Database, migrate_command, psql, run_psql, server, sqlite3, sqlite3_script, text,
};
use crate::waiting::{signal, wait_until};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A database of some 60 MB.
fn filled() -> Database {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE event (id int PRIMARY KEY, body text); \
        INSERT INTO event SELECT g, repeat(md5(g::text), 30) FROM generate_series(1, 60000) g; \
        CREATE INDEX event_body ON event (md5(body))",
    );
    database
}

fn start(database: &Database, file: &Path) -> Child {
    let mut command = migrate_command();
    command.args(["database", "--from", &database.url, "--to"]).arg(file).args(["--threads", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until rows have come to the partial file.
fn wait_for_rows(target: &Target) {
    let partial = target.folder.path().join("back.db.migrate-partial");
    let size = || std::fs::metadata(&partial).map_or(0, |file| file.len());
    wait_until("rows come", || size() >= 1 << 20);
}

fn assert_starts_again(database: &Database, target: &Target) {
    back_report(database, &target.path, &[], 0);
    assert_eq!(
        sqlite3(&target.path, "SELECT count(*), min(id), max(id) FROM event"),
        "60000|1|60000"
    );
    assert_eq!(target.files(), ["back.db"]);
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let (database, target) = (filled(), Target::new());
    let child = start(&database, &target.path);
    wait_for_rows(&target);
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("interrupted"), "{}", text(&output));
    assert!(!text(&output).contains("--drop-all"), "{}", text(&output));
    assert_eq!(target.files(), Vec::<String>::new());
    assert_starts_again(&database, &target);
}

#[test]
fn a_killed_run_leaves_no_target_and_the_next_one_cleans_up() {
    let (database, target) = (filled(), Target::new());
    let mut child = start(&database, &target.path);
    wait_for_rows(&target);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(target.files(), ["back.db.migrate-partial", "back.db.migrate-run"]);
    assert_starts_again(&database, &target);
}

#[test]
fn a_second_run_into_the_same_file_is_refused() {
    let (database, target) = (filled(), Target::new());
    let child = start(&database, &target.path);
    wait_for_rows(&target);
    let output = back(&database, &target.path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("another run"), "{}", text(&output));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
}

#[test]
fn a_lost_reader_joins_the_snapshot_again() {
    let (database, target) = (filled(), Target::new());
    let mut ender = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    // With little memory the reader is never far ahead of the writer.
    let mut command = migrate_command();
    command.args(["database", "--from", &database.url, "--to"]).arg(&target.path);
    command.args(["--threads", "1", "--memory", "16M"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_rows(&target);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE application_name = 'migrate copy' AND datname = current_database()";
    let ended: i64 = ender.query_one(end, &[]).unwrap().get(0);
    let output = child.wait_with_output().unwrap();
    assert_eq!((ended, output.status.code()), (1, Some(0)), "{}", text(&output));
    let rows = sqlite3(&target.path, "SELECT count(*), min(id), max(id) FROM event");
    assert_eq!(rows, "60000|1|60000");
}

#[test]
fn a_stopped_server_leaves_nothing() {
    let (database, target) = (filled(), Target::new());
    let child = start(&database, &target.path);
    wait_for_rows(&target);
    // All sessions at once, the keeper's with them: as far as the run can see, the server is gone.
    psql(
        &database.url,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE application_name LIKE 'migrate %' AND datname = current_database()",
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(target.files(), Vec::<String>::new());
    assert_starts_again(&database, &target);
}

/// A file system of 8 MB, to be filled.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` if this machine does not allow mounting a tmpfs; prints a note then.
    fn mount() -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(disk.0.path());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(disk);
        }
        // Past the test runner, which keeps what tests print that pass to itself.
        let said = b"NOT TESTED on this machine: a full disk (mounting a tmpfs needs root)\n";
        std::io::stderr().write_all(said).unwrap();
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_full_disk_leaves_no_new_file_and_an_old_target_unchanged() {
    let Some(disk) = SmallDisk::mount() else { return };
    let at = disk.0.path();
    let database = filled();
    let path = at.join("back.db");
    sqlite3_script(&path, "CREATE TABLE event (old); INSERT INTO event VALUES (1)");
    let output = back(&database, &path, &["--drop-all"]);
    let files: Vec<_> = std::fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name()).collect();
    let old = sqlite3(&path, "SELECT old FROM event");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("full"), "{}", text(&output));
    assert_eq!((files, old.as_str()), (vec!["back.db".into()], "1"));
}

#[test]
fn a_half_loaded_source_is_refused() {
    let (database, target) = (server(), Target::new());
    let source = crate::source::Source::of_sql("CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let sql = "UPDATE migrate_ledger SET detail = replace(detail, '\"verified\"', '\"copying\"')";
    assert!(run_psql(&database.url, sql).status.success());
    let output = back(&database, &target.path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("half loaded"), "{}", text(&output));
}

#[test]
fn a_target_that_is_in_use_is_not_replaced() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (2)");
    sqlite3_script(&target.path, "CREATE TABLE t (old)");
    let user = rusqlite::Connection::open(&target.path).unwrap();
    user.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    for (flags, why) in [
        (&["--drop-all"][..], "the database is in use"),
        (&["--drop-all", "--allow-running"], "cannot replace"),
    ] {
        let output = back(&database, &target.path, flags);
        assert_eq!(output.status.code(), Some(4), "{}", text(&output));
        assert!(text(&output).contains(why), "{}", text(&output));
    }
    user.execute_batch("COMMIT").unwrap();
    assert_eq!(sqlite3(&target.path, "SELECT old FROM t"), "1");
    assert_eq!(target.files(), ["back.db"]);
    drop(user);
    back_report(&database, &target.path, &["--drop-all"], 0);
}

#[test]
fn an_interrupt_is_heard_while_the_server_lets_nobody_read() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, "CREATE TABLE event (id int)");
    let mut holder = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE").unwrap();
    let child = start(&database, &target.path);
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'event'::regclass";
    wait_until("the run waits for the table", || psql(&database.url, waiting) == "1");
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("interrupted"), "{}", text(&output));
    assert!(target.files().is_empty());
}

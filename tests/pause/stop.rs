//! Signals.

use super::{assert_paused_and_resumes, source, start, start_into};
use crate::harness::{Database, psql, server, sha256, text};
use crate::waiting::{end, holds, signal, wait_for_a_chunk, wait_for_a_lock, wait_until};
use migrate::internals::{Options, PrivateServer, Shutdown};
use postgres::{Client, NoTls};
use std::path::PathBuf;
use std::process::Child;
use tempfile::TempDir;

/// Slow enough to be interrupted in the middle, with many small chunks.
const SLOWLY: [&str; 2] = ["--max-rate", "1MB/s"];
const ROWS: u32 = 8_000;

/// A run in the middle of its copy.
struct Met {
    _folder: TempDir,
    source: PathBuf,
    database: Database,
    run: Child,
}

impl Met {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path(), ROWS);
        let database = server();
        let run = start(&source, &database, &SLOWLY);
        wait_for_a_chunk(&database.url);
        Self { _folder: folder, source, database, run }
    }
}

#[test]
fn ctrl_c_and_sigterm_commit_what_is_in_flight_and_the_same_command_resumes() {
    for name in ["-INT", "-TERM"] {
        let Met { _folder, source, database, run } = Met::new();
        let before = sha256(&source);
        signal(&run, name);
        let output = end(run);
        let there = psql(&database.url, "SELECT to_char(count(*), 'FM9,990') FROM event");
        let message = format!("error: paused as requested: {there} of 8,000 rows are copied");
        assert!(text(&output).contains(&message), "{message}\n{}", text(&output));
        assert_eq!(psql(&database.url, "SELECT count(*) > 0 FROM event"), "t");
        assert_paused_and_resumes(&output, &source, &database, ROWS);
        assert_eq!(sha256(&source), before);
    }
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let Met { _folder, database, run, .. } = Met::new();
    // Under this lock nothing can be committed, so the first signal has to wait.
    let mut somebody = Client::connect(&database.url, NoTls).unwrap();
    somebody.batch_execute("BEGIN; LOCK TABLE event IN SHARE MODE").unwrap();
    wait_for_a_lock(&database.url);
    signal(&run, "-INT");
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&run, "-INT");
    assert_eq!(end(run).status.code(), Some(130));
}

#[test]
fn a_step_of_the_finish_that_takes_too_long_is_cancelled_and_resumed() {
    let Met { _folder, source, database, run } = Met::new();
    // Rows may come in under this lock, and no index may be built.
    let mut somebody = Client::connect(&database.url, NoTls).unwrap();
    somebody.batch_execute("BEGIN; LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE").unwrap();
    let finishing =
        "SELECT detail::json ->> 'state' = 'finishing' FROM migrate_ledger WHERE chunk = -1";
    wait_until("the finish has begun", || holds(&database.url, finishing));
    wait_for_a_lock(&database.url);
    signal(&run, "-TERM");
    let output = end(run);
    let message = "all 8,000 rows are copied; indexes or constraints are missing";
    assert!(text(&output).contains(message), "{}", text(&output));
    drop(somebody);
    assert_paused_and_resumes(&output, &source, &database, ROWS);
}

#[test]
fn a_stop_in_the_verification_keeps_everything_and_the_next_run_compares() {
    let Met { _folder, source, database, run } = Met::new();
    // Nobody writes down a verdict while this is held.
    let mut somebody = Client::connect(&database.url, NoTls).unwrap();
    somebody
        .batch_execute(
            "SELECT pg_advisory_lock(4711);
             CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF new.detail::json ->> 'state' = 'verified' THEN
                 PERFORM pg_advisory_xact_lock(4711); END IF;
               RETURN new; END $$;
             CREATE TRIGGER wait BEFORE UPDATE ON migrate_ledger FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .unwrap();
    wait_for_a_lock(&database.url);
    signal(&run, "-INT");
    let output = end(run);
    let message = "everything is copied, but the comparison is not complete";
    assert!(text(&output).contains(message), "{}", text(&output));
    let state = "SELECT detail::json ->> 'state' FROM migrate_ledger WHERE chunk = -1";
    assert_eq!(psql(&database.url, state), "not_verified", "it does not look verified");
    drop(somebody);
    psql(&database.url, "DROP FUNCTION wait CASCADE");
    assert_paused_and_resumes(&output, &source, &database, ROWS);
}

#[test]
fn before_the_first_write_a_stop_says_that_nothing_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let database = server();
    // The trial of the definitions waits for this.
    let mut somebody = Client::connect(&database.url, NoTls).unwrap();
    somebody.batch_execute("BEGIN; CREATE TABLE event (a int)").unwrap();
    let run = start(&source, &database, &[]);
    wait_for_a_lock(&database.url);
    signal(&run, "-INT");
    let output = end(run);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("nothing was written"), "{}", text(&output));
    assert!(!text(&output).contains("--restart"), "{}", text(&output));
    drop(somebody);
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(psql(&database.url, tables), "0");
}

#[test]
fn a_stop_ends_the_wait_for_a_server_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let options = Options { durable: false, ..Options::default() };
    let mut private = PrivateServer::start(&options).unwrap();
    let url = private.url("postgres");
    let run = start_into(&source, &url, &SLOWLY);
    wait_for_a_chunk(&url);
    private.shut_down(Shutdown::Immediate).unwrap();
    signal(&run, "-INT");
    let output = end(run);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "nobody knows what is there: {said}");
    assert!(said.contains("the copied rows are unknown"), "{said}");
    private.restart().unwrap();
    let again = end(start_into(&source, &url, &[]));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_eq!(psql(&url, "SELECT count(*) FROM event"), ROWS.to_string());
}

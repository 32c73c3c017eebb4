//! Runs that pause: on a signal, at a deadline; and runs that are held back.

mod deadline;
mod rate;
mod stop;

use crate::harness::{Database, migrate_command, run_psql, sqlite3_script, text};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// However slow the machine is, what is waited for has happened by then.
const LONG: Duration = Duration::from_secs(60);

/// A source of `rows` rows of about 500 bytes.
fn source(folder: &Path, rows: u32) -> PathBuf {
    let path = folder.join("app.db");
    let sql = format!(
        "CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT NOT NULL, body BLOB);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO event SELECT i, 'event ' || i, randomblob(470) FROM n;
         CREATE INDEX event_what ON event (what);"
    );
    sqlite3_script(&path, &sql);
    path
}

/// `migrate database` from the source into the database, with `more` flags.
fn command(source: &Path, url: &str, more: &[&str]) -> Command {
    let mut command = migrate_command();
    command.arg("database").arg("--from").arg(source).args(["--to", url]).args(more);
    command
}

fn start(source: &Path, database: &Database, more: &[&str]) -> Child {
    start_into(source, &database.url, more)
}

fn start_into(source: &Path, url: &str, more: &[&str]) -> Child {
    let mut command = command(source, url, more);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a query answers `t`; a failing one does not.
fn wait_until(database: &Database, sql: &str) {
    wait_until_at(&database.url, sql);
}

fn wait_until_at(url: &str, sql: &str) {
    let started = Instant::now();
    loop {
        let output = run_psql(url, sql);
        if output.status.success() && text(&output).trim() == "t" {
            return;
        }
        assert!(started.elapsed() < LONG, "never true: {sql}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the first chunk is committed.
fn wait_for_a_chunk(database: &Database) {
    wait_until(database, "SELECT count(*) > 0 FROM migrate_ledger WHERE chunk > 0");
}

/// Waits until one of the run's sessions waits for a lock.
fn wait_for_a_lock(database: &Database) {
    let sql = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name LIKE 'migrate %' AND wait_event_type = 'Lock'";
    wait_until(database, sql);
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end; hanging is a failure.
fn end(mut child: Child) -> Output {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > LONG {
            child.kill().unwrap();
            panic!("it hangs: {}", text(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// The pause says what it must, and the command that it gives ends well.
fn assert_paused_and_goes_on(output: &Output, source: &Path, database: &Database, rows: u32) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("error: paused"), "{said}");
    assert!(said.contains("only while the service stays stopped"), "{said}");
    assert!(said.contains("use --restart"), "{said}");
    assert!(said.contains("the source is unchanged"), "{said}");
    let line = said.lines().find_map(|line| line.strip_prefix("hint: to go on, run: ")).unwrap();
    let again = Command::new("sh").arg("-c").arg(line).stdin(Stdio::null()).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{line}\n{}", text(&again));
    assert_complete(source, database, rows);
}

/// Every row is there once, and the ledger says so.
fn assert_complete(source: &Path, database: &Database, rows: u32) {
    use crate::harness::{psql, sqlite3};
    let sums = "count(*), count(DISTINCT id), sum(id), sum(length(body)), sum(length(what))";
    let expected = sqlite3(source, &format!("SELECT {sums} FROM event"));
    assert!(expected.starts_with(&format!("{rows}|{rows}|")), "{expected}");
    assert_eq!(psql(&database.url, &format!("SELECT {sums} FROM event")), expected);
    let state = "SELECT string_agg(detail::json ->> 'state', ' ') FROM migrate_ledger";
    assert_eq!(psql(&database.url, state), "verified");
    let index = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'event_what'::regclass";
    assert_eq!(psql(&database.url, index), "t");
}

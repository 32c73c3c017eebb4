//! Runs that pause on a signal or at a deadline, and runs with a rate limit.

mod deadline;
mod rate;
mod stop;

use crate::harness::{Database, migrate_command, psql, sqlite3, sqlite3_script, text};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

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

/// Asserts the text of a pause, and that the command in it succeeds.
fn assert_paused_and_resumes(output: &Output, source: &Path, database: &Database, rows: u32) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("error: paused"), "{said}");
    assert!(said.contains("resume only while the service is stopped"), "{said}");
    assert!(said.contains("use --restart"), "{said}");
    assert!(said.contains("the source is unchanged"), "{said}");
    let line = said.lines().find_map(|line| line.strip_prefix("hint: to resume, run: ")).unwrap();
    let again = Command::new("sh").arg("-c").arg(line).stdin(Stdio::null()).output().unwrap();
    assert_eq!(again.status.code(), Some(0), "{line}\n{}", text(&again));
    assert_complete(source, database, rows);
}

/// Asserts that every row arrived once, and that the ledger agrees.
fn assert_complete(source: &Path, database: &Database, rows: u32) {
    let sums = "count(*), count(DISTINCT id), sum(id), sum(length(body)), sum(length(what))";
    let expected = sqlite3(source, &format!("SELECT {sums} FROM event"));
    assert!(expected.starts_with(&format!("{rows}|{rows}|")), "{expected}");
    assert_eq!(psql(&database.url, &format!("SELECT {sums} FROM event")), expected);
    let state = "SELECT string_agg(detail::json ->> 'state', ' ') FROM migrate_ledger";
    assert_eq!(psql(&database.url, state), "verified");
    let index = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'event_what'::regclass";
    assert_eq!(psql(&database.url, index), "t");
}

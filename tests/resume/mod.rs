//! Interrupted and resumed runs: nothing is lost, nothing arrives twice, and nothing unfinished counts as
//! complete.

mod attached;
mod changed;
mod done;
mod killed;
mod lost;
mod old_ledger;
mod sessions;

use crate::harness::{
    Database, assert_code, assert_says, migrate_command, psql, sqlite3, sqlite3_script, text,
};
use crate::waiting::{holds, wait_for_a_lock, wait_until};
use postgres::{Client, NoTls};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A SQLite database with a little of everything, and enough rows for a dozen chunks.
struct Source {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Source {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        sqlite3_script(
            &path,
            "CREATE TABLE person (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
             INSERT INTO person (name) VALUES ('ada'), ('grace'), ('barbara');
             CREATE TABLE event (id INTEGER PRIMARY KEY, who INTEGER NOT NULL
               REFERENCES person (id), what TEXT NOT NULL CHECK (length(what) > 3), body BLOB);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
             INSERT INTO event SELECT i, i % 3 + 1, 'event ' || i, randomblob(1000) FROM n;
             CREATE INDEX event_what ON event (what);
             CREATE UNIQUE INDEX event_id_who ON event (who, id);
             CREATE VIEW who AS SELECT name, count(*) AS events FROM person
               JOIN event ON event.who = person.id GROUP BY name;",
        );
        Self { _folder: folder, path }
    }

    /// The command into `url`, with little memory and one writer: small chunks, one by one.
    fn command(&self, url: &str, more: &[&str]) -> Command {
        let mut command = migrate_command();
        command.arg("database").arg("--from").arg(&self.path).args(["--to", url]);
        command.args(["--memory", "16M", "--threads", "1"]).args(more);
        command
    }

    fn start(&self, url: &str, more: &[&str]) -> Child {
        let mut command = self.command(url, more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, url: &str, more: &[&str]) -> Output {
        self.command(url, more).output().unwrap()
    }
}

/// Opens a session on the target that runs `sql` as soon as the tables exist, long before the first row,
/// and keeps its transaction open until it is dropped. A run that drops tables creates the ledger before
/// them, so that the data set's row counts.
fn hold(url: &str, sql: &str) -> Client {
    let mut client = Client::connect(url, NoTls).unwrap();
    let row = "SELECT FROM migrate_ledger WHERE chunk = -1";
    let mut has_row = || client.query(row, &[]).is_ok_and(|rows| !rows.is_empty());
    wait_until("the tables are there", &mut has_row);
    client.batch_execute(&format!("BEGIN; {sql}")).unwrap();
    client
}

/// Stalls the copy at a chunk of the larger table with a row of the same key.
fn hold_the_copy_at(url: &str, chunk: u32) -> Client {
    let row = format!("INSERT INTO migrate_ledger VALUES ('app.db', 'event', {chunk})");
    let client = hold(url, &row);
    wait_for_a_lock(url);
    client
}

fn hold_the_copy(url: &str) -> Client {
    hold_the_copy_at(url, 5)
}

/// Lets rows arrive, but no index of `event` be built.
fn hold_the_finish(url: &str) -> Client {
    let client = hold(url, "LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE");
    wait_for_a_lock(url);
    client
}

/// Stalls the writing of the verdict.
fn hold_the_verdict(url: &str) -> Client {
    let mut client = hold(url, "");
    let row = "SELECT 1 FROM migrate_ledger WHERE chunk = -1 \
               AND detail::json ->> 'state' = 'not_verified' FOR UPDATE";
    wait_until("the rows are all there", || client.query(row, &[]).unwrap().len() == 1);
    wait_for_a_lock(url);
    client
}

/// `kill -9`.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Asserts a good verdict, and by queries to both databases that everything arrived.
fn assert_whole(source: &Source, url: &str, output: &Output) {
    assert_code(output, 0);
    assert_says(output, &["verdict: match; 12,003 rows in 2 tables"]);
    for (ours, theirs) in [
        (
            "SELECT count(*), min(id), max(id), sum(id), sum(length(body)) FROM event",
            "SELECT count(*), min(id), max(id), sum(id), sum(length(body)) FROM event",
        ),
        (
            "SELECT id, who, what, lower(hex(body)) FROM event WHERE id % 97 = 0 ORDER BY id",
            "SELECT id, who, what, encode(body, 'hex') FROM event WHERE id % 97 = 0 ORDER BY id",
        ),
        ("SELECT id, name FROM person ORDER BY id", "SELECT id, name FROM person ORDER BY id"),
        ("SELECT name, events FROM who ORDER BY name", "SELECT * FROM who ORDER BY name"),
    ] {
        assert_eq!(sqlite3(&source.path, ours), psql(url, theirs), "{ours}");
    }
    let built = "SELECT string_agg(relname, ' ' ORDER BY relname COLLATE \"C\") FROM pg_class c \
                 JOIN pg_index i ON i.indexrelid = c.oid WHERE relnamespace = 'public'::regnamespace \
                 AND indisvalid AND relname NOT LIKE 'migrate%'";
    let built = psql(url, built);
    for index in ["event_id_who", "event_pkey", "event_what", "person_pkey"] {
        assert!(built.contains(index), "no {index} in {built}");
    }
    let constraints = "SELECT string_agg(contype::text, '' ORDER BY contype) FROM pg_constraint \
                       WHERE conrelid IN ('event'::regclass, 'person'::regclass) \
                       AND convalidated AND contype <> 'n'";
    assert_eq!(psql(url, constraints), "cfppu");
    assert_eq!(psql(url, "SELECT nextval(pg_get_serial_sequence('person', 'id'))"), "4");
    psql(url, "SELECT setval(pg_get_serial_sequence('person', 'id'), 3)");
    let off = "SELECT count(*) FROM pg_class WHERE reloptions::text LIKE '%autovacuum%'";
    assert_eq!(psql(url, off), "0", "autovacuum has all tables");
    let sum = "SELECT sum((value ->> 'rows')::bigint) \
               FROM migrate_ledger, json_each(detail::json -> 'tables') \
               WHERE detail::json ->> 'state' = 'verified'";
    assert_eq!(psql(url, sum), "12003", "the ledger's sum");
    assert_eq!(
        psql(url, "SELECT count(*) FROM migrate_ledger WHERE chunk <= 0"),
        "1",
        "one row stays"
    );
    let rows = "SELECT sum(row_count) FROM migrate_ledger WHERE chunk > 0";
    assert_eq!(psql(url, rows), "12003", "and those of all chunks");
}

/// Asserts that no session of the program is left in the database, and so none of its locks.
fn assert_nobody_is_left(database: &Database) {
    let ours = "SELECT count(*) = 0 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'migrate %'";
    wait_until("all sessions have ended", || holds(&database.url, ours));
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

//! The other process: this test binary, started again to run SQL on a database, or to run one
//! test as a user without rights.

use super::NOBODY;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, fcntl_lock};
use std::env;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATH: &str = "MIGRATE_TEST_PATH";
const SQL: &str = "MIGRATE_TEST_SQL";

/// Stands for what SQLite does before it deletes a log: it locks the database file alone. Where
/// another process can do that, older versions (3.40) delete the log under a held write lock.
pub(crate) const LOCK_THE_FILE: &str = "lock the file";

/// The text that the other process prints before the result of its SQL.
const OUTCOME: &str = "outcome: ";

/// A process that ran SQL and keeps its connection open.
pub(crate) struct Other {
    child: Child,
    /// `done`, or SQLite's message.
    pub(crate) outcome: String,
}

impl Other {
    /// Starts a process that runs `sql` on the database at `path`, without waiting for locks.
    pub(crate) fn start(path: &Path, sql: &str) -> Self {
        let mut child = again("write_lock::other::sql_runs_in_another_process")
            .env(PATH, path)
            .env(SQL, sql)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut outcomes = lines.filter_map(|line| Some(line.ok()?.strip_prefix(OUTCOME)?.into()));
        let outcome = outcomes.next().unwrap_or_else(|| panic!("the other process said nothing"));
        Self { child, outcome }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets the process close its connection and end, and waits for it.
    pub(crate) fn end(mut self) -> String {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        std::mem::take(&mut self.outcome)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs `sql` on the database at `path` in another process; returns the result.
pub(crate) fn run(path: &Path, sql: &str) -> String {
    Other::start(path, sql).end()
}

/// Runs the test `name` again as a user without rights, for whom [`assigned`] returns `path`.
pub(crate) fn as_nobody(name: &str, path: &Path) {
    let mut command = again(name);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.env(PATH, path).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let erred = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{erred}");
}

/// The path from [`as_nobody`].
pub(crate) fn assigned() -> Option<PathBuf> {
    env::var_os(PATH).map(Into::into)
}

fn again(test: &str) -> Command {
    // By this name the program is found even where its folder is closed to the user.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--nocapture"]).current_dir("/");
    command
}

#[test]
fn sql_runs_in_another_process() {
    if let (Some(path), Ok(sql)) = (assigned(), env::var(SQL)) {
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        let result = if sql == LOCK_THE_FILE {
            let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            let locked = fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive);
            locked.map_err(|_| "database is locked".to_owned())
        } else {
            connection.execute_batch(&sql).map_err(|error| error.to_string())
        };
        eprintln!("{OUTCOME}{}", result.map_or_else(|error| error, |()| "done".to_owned()));
        // Until the parent closes its end or dies.
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let other = Other::start(&path, "CREATE TABLE t AS SELECT 7 AS a");
    assert_ne!(other.pid(), std::process::id());
    assert_eq!(other.end(), "done");
    let a: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT a FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(a, 7);
    assert_eq!(
        run(&path, "SELECT missing"),
        "no such column: missing in SELECT missing at offset 7"
    );
}

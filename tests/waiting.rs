//! Waiting for other programs. A minute is enough on the slowest machine.

use crate::harness::{run_psql, text};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits for `what`.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < LONG, "this did not happen: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Whether `sql` can be answered, with `t`.
pub fn holds(url: &str, sql: &str) -> bool {
    let output = run_psql(url, sql);
    output.status.success() && text(&output).trim() == "t"
}

/// Waits until the first chunk is committed.
pub fn wait_for_a_chunk(url: &str) {
    let sql = "SELECT count(*) > 0 FROM migrate_ledger WHERE chunk > 0";
    wait_until("a chunk is committed", || holds(url, sql));
}

/// Waits until one of the run's sessions waits for a lock.
pub fn wait_for_a_lock(url: &str) {
    let sql = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
               AND datname = current_database() AND application_name LIKE 'migrate %'";
    wait_until("the run waits for a lock", || holds(url, sql));
}

/// Sends a signal, as `kill` names it.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end; fails after a minute.
pub fn end(mut child: Child) -> Output {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > LONG {
            child.kill().unwrap();
            panic!("the program hangs: {}", text(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    child.wait_with_output().unwrap()
}

//! Memory: what rows take that are far larger than the budget.

use super::Target;
use crate::harness::{migrate_command, psql, server, sqlite3, text};
use std::process::{Child, Output, Stdio};

const MIB: u64 = 1 << 20;

/// Waits for the end, and says how much memory was resident at most, in bytes.
fn wait(mut child: Child) -> (Output, u64) {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = kib.map_or(most, |kib| kib * 1024);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    (child.wait_with_output().unwrap(), most)
}

#[test]
fn rows_of_200_megabytes_are_copied_one_by_one() {
    let database = server();
    let large = "decode(repeat('00ff10', 200 * 1024 * 1024 / 3), 'hex')";
    psql(
        &database.url,
        &format!(
            "CREATE TABLE t (id int PRIMARY KEY, b bytea); \
            ALTER TABLE t ALTER b SET STORAGE EXTERNAL; \
            INSERT INTO t VALUES (1, {large}), (2, ''); \
            CREATE TABLE u (b bytea); INSERT INTO u SELECT b FROM t WHERE id = 1; \
            INSERT INTO u SELECT b FROM t WHERE id = 1"
        ),
    );
    let target = Target::new();
    let mut command = migrate_command();
    command.args(["database", "--from", &database.url, "--to"]).arg(&target.path);
    command.args(["--memory", "64M", "--readers", "2", "--no-verify"]);
    // Freed memory counts at once; the allocator would keep it for some time.
    command.env("MIMALLOC_PURGE_DELAY", "0");
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (output, most) = wait(child);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    // The driver's buffer and what it outgrew, the value as SQLite binds it, and as it stores it.
    let ceiling = 64 * MIB + 4 * 200 * MIB;
    assert!((200 * MIB..ceiling).contains(&most), "{} MiB", most / MIB);
    let sums = "SELECT length(b), hex(substr(b, -3)) FROM t ORDER BY id";
    assert_eq!(sqlite3(&target.path, sums), "209715198|00FF10\n0|");
    let same = "SELECT count(*), sum(u.b = t.b) FROM u, t WHERE t.id = 1";
    assert_eq!(sqlite3(&target.path, same), "2|2");
}

#[test]
fn a_verification_has_one_huge_row_in_memory_at_a_time_in_both_directions() {
    const ROW: u64 = 24 * MIB;
    let (first, second, target) = (server(), server(), Target::new());
    for table in ["t", "u"] {
        psql(
            &first.url,
            &format!(
                "CREATE TABLE {table} (id int PRIMARY KEY, b bytea); \
                 ALTER TABLE {table} ALTER b SET STORAGE EXTERNAL; \
                 INSERT INTO {table} SELECT g, decode(repeat('00ff10', {ROW} / 3), 'hex') \
                 FROM generate_series(1, 3) g"
            ),
        );
    }
    let file = target.path.to_str().unwrap();
    for (from, to) in [(first.url.as_str(), file), (file, second.url.as_str())] {
        let mut command = migrate_command();
        command.args(["database", "--from", from, "--to", to]);
        command.args(["--memory", "32M", "--readers", "3", "--writers", "3"]);
        command.env("MIMALLOC_PURGE_DELAY", "0");
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (output, most) = wait(child);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        // One row: what the driver or SQLite has of it, what that and the batch outgrew, our own forms.
        let ceiling = 32 * MIB + 6 * ROW;
        assert!((ROW..ceiling).contains(&most), "from {from}: {} MiB", most / MIB);
    }
    let rows = "SELECT count(*), sum(length(b)) FROM t";
    assert_eq!(psql(&second.url, rows), sqlite3(&target.path, rows));
}

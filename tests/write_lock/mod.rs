//! Sources as other processes, other users and crashes see them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod log_files;
mod other;
mod unreadable;
mod writers;

use migrate::internals::{Source, SourceConnection, SourceOptions};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

/// The user without rights that tests run as where root's rights would hide something.
const NOBODY: u32 = 65_534;

/// A folder with only a database and its log files, and one for private copies.
struct SourceFolder {
    root: TempDir,
    /// The journal mode that the database must not get while it is read.
    other_mode: &'static str,
}

impl SourceFolder {
    /// A database of 1,000 rows that `mode` (a journal mode) leaves behind when it is closed.
    fn new(mode: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        for (folder, mode) in [("source", 0o755), ("temp", 0o777), ("workshop", 0o700)] {
            fs::create_dir(root.path().join(folder)).unwrap();
            fs::set_permissions(root.path().join(folder), Permissions::from_mode(mode)).unwrap();
        }
        let other_mode = if mode == "WAL" { "DELETE" } else { "WAL" };
        let folder = Self { root, other_mode };
        build(&folder.database(), mode);
        folder
    }

    /// A database in WAL mode whose last 1,000 rows are only in a log that a crash left.
    fn with_log() -> Self {
        let folder = Self::new("WAL");
        folder.crash(
            "PRAGMA wal_autocheckpoint = 0; UPDATE t SET a = -a; DELETE FROM t WHERE a < -500",
        );
        folder
    }

    /// A database whose file and journal a crash left in the middle of `sql`.
    fn with_hot_journal() -> Self {
        let folder = Self::new("DELETE");
        let before = folder.inventory();
        folder.crash("PRAGMA cache_size = 2; BEGIN; UPDATE t SET a = 0, b = randomblob(999)");
        assert_ne!(folder.inventory()["app.db"], before["app.db"]);
        folder
    }

    /// Runs `sql` in a copy and replaces the database by the state before its end.
    fn crash(&self, sql: &str) {
        let copy = self.root.path().join("workshop/app.db");
        fs::copy(self.database(), &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        connection.execute_batch(sql).unwrap();
        for suffix in ["", "-journal", "-wal"] {
            let file = self.root.path().join(format!("workshop/app.db{suffix}"));
            if file.exists() {
                fs::copy(file, self.sibling(suffix)).unwrap();
            }
        }
    }

    fn folder(&self) -> PathBuf {
        self.root.path().join("source")
    }

    fn temp(&self) -> PathBuf {
        self.root.path().join("temp")
    }

    fn database(&self) -> PathBuf {
        self.sibling("")
    }

    fn sibling(&self, suffix: &str) -> PathBuf {
        self.folder().join(format!("app.db{suffix}"))
    }

    fn options(&self) -> SourceOptions {
        SourceOptions { temp_dir: Some(self.temp()), lock_wait: Duration::from_millis(300) }
    }

    fn open(&self) -> migrate::Result<Source> {
        Source::open(&self.database(), &self.options())
    }

    /// The names, sizes and hashes of all files in the folder; of a `-shm` the name only.
    fn inventory(&self) -> BTreeMap<String, (usize, u128)> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.folder()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let shm = name.ends_with("-shm");
            let content = if shm { Vec::new() } else { fs::read(entry.path()).unwrap() };
            files.insert(name, (content.len(), xxh3_128(&content)));
        }
        files
    }

    /// Gives everything to the user without rights, with these modes, if we are root.
    fn hand_over(&self, folder: u32, files: u32) {
        let root = rustix::process::geteuid().is_root();
        let mut paths: Vec<(PathBuf, u32)> = fs::read_dir(self.folder())
            .unwrap()
            .map(|entry| (entry.unwrap().path(), files))
            .collect();
        paths.push((self.folder(), folder));
        for (path, mode) in paths {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            if root {
                chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }
}

impl Drop for SourceFolder {
    fn drop(&mut self) {
        // So that it can be removed.
        let _ = fs::set_permissions(self.folder(), Permissions::from_mode(0o755));
    }
}

fn build(path: &Path, mode: &str) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(())).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (a INTEGER, b BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO t SELECT i, randomblob(200) FROM n",
        )
        .unwrap();
}

/// Count and sum of what a reader sees: 1000 and 500,500 as built, 500 and -125,250 with the log.
fn seen(reader: &SourceConnection) -> (i64, i64) {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    reader.query_row("SELECT count(*), sum(a) FROM t", [], row).unwrap()
}

const AS_BUILT: (i64, i64) = (1000, 500_500);
const WITH_LOG: (i64, i64) = (500, -125_250);

//! Other processes that write, or try to, while a source is open.

use super::other::{self, LOCK_THE_FILE, Other};
use super::{AS_BUILT, SourceFolder, WITH_LOG, seen};
use migrate::Kind;
use migrate::internals::Source;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Everything that would change what readers see, or the file that holds it.
const WRITES: [&str; 5] = [
    "INSERT INTO t VALUES (1, x'00')",
    "DELETE FROM t",
    "DROP TABLE t",
    "PRAGMA user_version = 77",
    "VACUUM",
];

fn all_are_locked_out(folder: &SourceFolder, phase: &str) {
    let switch = format!("PRAGMA journal_mode = {}", folder.other_mode);
    for sql in WRITES.into_iter().chain([switch.as_str(), LOCK_THE_FILE]) {
        let outcome = other::run(&folder.database(), sql);
        assert!(outcome.starts_with("database is locked"), "{phase}: {sql}: {outcome}");
    }
}

/// Has others try to write in every phase of a source's life; its readers must see `expected`.
fn keeps_writers_out(folder: &SourceFolder, expected: (i64, i64)) {
    let before = folder.inventory();
    let source = folder.open().unwrap();
    assert!(source.is_write_locked());
    assert_eq!(source.notes(), [""; 0]);
    all_are_locked_out(folder, "before the first reader");
    let first = source.connect().unwrap();
    all_are_locked_out(folder, "with a reader");
    assert_eq!(seen(&first), expected);
    drop(first);
    all_are_locked_out(folder, "after a reader was closed");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(seen(&source.connect().unwrap()), expected));
        }
    });
    all_are_locked_out(folder, "after readers in threads");
    assert_eq!(source.changed().unwrap(), None);
    assert_eq!(source.close().unwrap(), None);
    let mut after = folder.inventory();
    // The others' attempts write and remove journals of their own.
    let journal = String::from("app.db-journal");
    if let Some(was) = before.get(&journal) {
        after.insert(journal, *was);
    }
    assert_eq!(after, before);
    assert_eq!(other::run(&folder.database(), "DELETE FROM t"), "done");
}

#[test]
fn nobody_writes_into_an_open_source_in_a_rollback_mode() {
    for mode in ["DELETE", "TRUNCATE", "PERSIST"] {
        keeps_writers_out(&SourceFolder::new(mode), AS_BUILT);
    }
}

#[test]
fn nobody_writes_into_an_open_source_in_wal_mode() {
    keeps_writers_out(&SourceFolder::new("WAL"), AS_BUILT);
}

#[test]
fn nobody_writes_into_an_open_source_with_a_log_that_a_crash_left() {
    keeps_writers_out(&SourceFolder::with_log(), WITH_LOG);
}

#[test]
fn a_checkpoint_by_others_is_reported_and_leaves_readers_on_their_state() {
    let folder = SourceFolder::with_log();
    let log = fs::read(folder.sibling("-wal")).unwrap();
    let source = folder.open().unwrap();
    let early = source.connect().unwrap();
    for kind in ["PASSIVE", "TRUNCATE", "RESTART"] {
        other::run(&folder.database(), &format!("PRAGMA wal_checkpoint({kind})"));
        assert_eq!(seen(&early), WITH_LOG);
        assert_eq!(seen(&source.connect().unwrap()), WITH_LOG);
    }
    assert_eq!(fs::read(folder.sibling("-wal")).unwrap(), log);
    drop(early);
    let changed = source.close().unwrap().unwrap();
    assert!(changed.contains("checkpoint"), "{changed}");
}

#[test]
fn a_writer_at_work_is_named_and_refused() {
    for (mode, sql) in [
        ("DELETE", "BEGIN IMMEDIATE; DELETE FROM t WHERE a = 1"),
        ("DELETE", "BEGIN EXCLUSIVE"),
        ("WAL", "BEGIN IMMEDIATE"),
        ("WAL", "PRAGMA locking_mode = EXCLUSIVE; DELETE FROM t WHERE a = 1"),
    ] {
        let folder = SourceFolder::new(mode);
        let writer = Other::start(&folder.database(), sql);
        assert_eq!(writer.outcome, "done");
        let error = folder.open().err().unwrap();
        assert_eq!(error.kind(), Kind::Refused);
        let named = format!("process {} (", writer.pid());
        assert!(error.message().contains(&named), "{mode}, {sql}: {error}");
        drop(writer);
    }
}

#[test]
fn a_writer_that_ends_in_time_is_waited_for() {
    for mode in ["DELETE", "WAL"] {
        let folder = SourceFolder::new(mode);
        let writer = Other::start(&folder.database(), "BEGIN IMMEDIATE");
        let mut options = folder.options();
        options.lock_wait = Duration::from_secs(60);
        let begun = Instant::now();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                writer.end();
            });
            Source::open(&folder.database(), &options).unwrap().close().unwrap();
        });
        assert!(begun.elapsed() >= Duration::from_millis(300));
    }
}

#[test]
fn a_write_that_bypasses_the_locks_is_noticed() {
    for mode in ["DELETE", "WAL"] {
        let folder = SourceFolder::new(mode);
        let source = folder.open().unwrap();
        let reader = source.connect().unwrap();
        // As `cp old.db app.db` does, in a process of its own: locks do not hinder it.
        let bytes = fs::read(folder.root.path().join("workshop/../source/app.db")).unwrap();
        overwrite(&folder, &bytes);
        let error = source.changed().unwrap_err();
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.message().contains("another process changed"), "{error}");
        assert!(source.connect().is_err());
        drop(reader);
        assert!(source.close().is_err());
    }
}

fn overwrite(folder: &SourceFolder, bytes: &[u8]) {
    let new = folder.root.path().join("workshop/new.db");
    fs::write(&new, bytes).unwrap();
    let status = std::process::Command::new("cp").arg(&new).arg(folder.database()).status();
    assert!(status.unwrap().success());
}

#[test]
fn a_file_that_replaces_the_source_is_not_read() {
    for mode in ["DELETE", "WAL"] {
        let folder = SourceFolder::new(mode);
        let source = folder.open().unwrap();
        let new = folder.root.path().join("workshop/new.db");
        super::build(&new, mode);
        fs::rename(&new, folder.database()).unwrap();
        assert_eq!(source.connect().err().unwrap().kind(), Kind::Failed);
    }
}

#[test]
fn two_sources_of_one_file_are_refused() {
    let folder = SourceFolder::new("DELETE");
    let link = folder.root.path().join("workshop/link.db");
    fs::hard_link(folder.database(), &link).unwrap();
    let first = folder.open().unwrap();
    for path in [&folder.database(), &link] {
        let error = Source::open(path, &folder.options()).err().unwrap();
        assert!(error.message().contains("already open"), "{error}");
    }
    all_are_locked_out(&folder, "after the refusals");
    drop(first);
    folder.open().unwrap().close().unwrap();
}

#[test]
fn a_reader_keeps_the_fence_up() {
    let folder = SourceFolder::new("WAL");
    let before = folder.inventory();
    let source = folder.open().unwrap();
    let reader = source.connect().unwrap();
    let error = source.close().unwrap_err();
    assert!(error.message().contains("open readers"), "{error}");
    all_are_locked_out(&folder, "with the last reader");
    drop(reader);
    assert_eq!(folder.inventory(), before);
}

#[test]
fn a_reader_can_do_nothing_but_read() {
    let folder = SourceFolder::new("WAL");
    let before = folder.inventory();
    let source = folder.open().unwrap();
    let reader = source.connect().unwrap();
    for sql in [WRITES[0], WRITES[2], "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema"] {
        assert!(reader.execute_batch(sql).is_err(), "{sql}");
    }
    let _ = reader.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    drop(reader);
    source.close().unwrap();
    assert_eq!(folder.inventory(), before);
}

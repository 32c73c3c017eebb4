//! The finish: what comes after the rows. Keys that go on where they were, indexes, foreign keys,
//! statistics, and SQLite's own check of the whole file.

use crate::control::cancel::CancelScope;
use crate::control::progress::PhaseProgress;
use crate::control::sizing::Resources;
use crate::error::{Error, Result};
use crate::plan::to_sqlite::{Plan, PlannedTable};
use crate::report::StepReport;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::write::bulk_insert::FileWriter;
use crate::sqlite::write::integrity_check::{Checker, Part};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// How much longer the check of all tables takes than that of the whole file, as it was measured.
const TIMES_AS_LONG: u64 = 7;

/// What the finish did.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) steps: Vec<StepReport>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// Runs the finish of the file at `path`; `resources` and the bytes of the page `cache` are for what reads
/// it with several connections.
pub(crate) fn run(
    plan: &Plan,
    writer: FileWriter,
    (path, resources, cache): (&Path, &Resources, u64),
    progress: &PhaseProgress,
    stop: &AtomicBool,
) -> Result<Finished> {
    let mut finished = Finished::default();
    let indexes: usize = plan.tables.iter().map(|table| table.indexes.len()).sum();
    progress.total.store((indexes + 3) as u64, Ordering::Relaxed);
    let mut step = |what: &str, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        progress.set_step(what);
        let started = Instant::now();
        work()?;
        let seconds = started.elapsed().as_secs_f64();
        finished.steps.push(StepReport { what: what.to_owned(), seconds });
        progress.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    for table in &plan.tables {
        if let Some(last) = table.sequence {
            writer.set_sequence(&table.ddl.name, last)?;
        }
        for index in &table.indexes {
            let what = format!("cannot build {}", index.what);
            step(&index.what, &mut || {
                writer.interruptible(stop, || writer.run(&what, &index.sql))
            })?;
        }
    }
    let mut orphans = Vec::new();
    step("foreign keys", &mut || {
        orphans = writer.interruptible(stop, || foreign_keys(plan, &writer))?;
        Ok(())
    })?;
    step("statistics", &mut || {
        writer.interruptible(stop, || writer.run("cannot gather statistics", "ANALYZE"))
    })?;
    // It has the file for itself.
    writer.close()?;
    let entries: HashMap<&str, u64> = plan.tables.iter().map(entries).collect();
    step("integrity check", &mut || check(path, &entries, resources.readers, cache, stop))?;
    finished.left_out = orphans;
    Ok(finished)
}

/// A table, and how many entries its tree and those of its indexes have.
fn entries(table: &PlannedTable) -> (&str, u64) {
    let ddl = &table.ddl;
    let trees = 1 + ddl.uniques.len() + table.indexes.len();
    (&ddl.name, table.rows.saturating_mul(trees as u64))
}

/// SQLite's own look at the file, several parts at a time; first the tables with the most `entries`, so
/// that the end of none is waited for alone.
fn check(
    path: &Path,
    entries: &HashMap<&str, u64>,
    threads: usize,
    cache: u64,
    stop: &AtomicBool,
) -> Result<()> {
    let halt = CancelScope::new(stop);
    let cache = cache / threads as u64;
    let mut parts = Checker::open(path, cache)?.parts()?;
    // To look whether an entry is where it should be takes far longer than to read it.
    let all = entries.values().sum::<u64>() / TIMES_AS_LONG;
    parts.sort_by_key(|part| match part {
        Part::File => Reverse(all),
        Part::Table(name) => Reverse(entries.get(name.as_str()).copied().unwrap_or(0)),
    });
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let checker = Checker::open(path, cache)?;
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            checker.part(part, &|| halt.is_cancelled())?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(parts.len()) {
            scope.spawn(|| halt.run_thread("the check of the new file", work));
        }
    });
    halt.end()
}

/// Lists rows without a parent where PostgreSQL has them, too.
fn foreign_keys(plan: &Plan, writer: &FileWriter) -> Result<Vec<LeftOut>> {
    let mut list = Vec::new();
    for table in plan.tables.iter().filter(|table| !table.ddl.foreign_keys.is_empty()) {
        for (number, count) in writer.orphans(&table.ddl.name)? {
            // SQLite numbers them from the last one.
            let place = table.ddl.foreign_keys.len().checked_sub(number + 1);
            let key = place.and_then(|place| table.ddl.foreign_keys.get(place));
            let name = key.and_then(|key| key.name.clone()).unwrap_or_default();
            let known = place.and_then(|place| table.not_valid.get(place)).copied();
            if known != Some(true) {
                return Err(Error::failed(format!(
                    "{count} rows of table {} break the foreign key {}, which they do not in PostgreSQL",
                    quote(&table.name),
                    quote(&name)
                ))
                .hint("leave one of the two tables out with --exclude"));
            }
            let left_out = LeftOut::part(ObjectKind::ForeignKey, &table.name, &name, None);
            let reason = format!("{count} rows have no parent, as in PostgreSQL (NOT VALID)");
            list.push(left_out.because(reason));
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;
    use std::os::unix::fs::FileExt as _;
    use std::path::PathBuf;
    use std::time::Duration;

    /// Three tables with an index each.
    fn file(folder: &Path) -> (PathBuf, Connection) {
        let path = folder.join("new.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = OFF; CREATE TABLE seq (i); WITH RECURSIVE n (i) AS \
                   (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO seq SELECT i FROM n; \
                 CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT); \
                 CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT); \
                 CREATE TABLE c (id INTEGER PRIMARY KEY, t TEXT); \
                 INSERT INTO a SELECT i, 'in a ' || (1000 + i) FROM seq; \
                 INSERT INTO b SELECT i, 'in b ' || (1000 + i) FROM seq; \
                 INSERT INTO c SELECT i, 'in c ' || (1000 + i) FROM seq; \
                 CREATE INDEX ai ON a (t); CREATE INDEX bi ON b (t); CREATE INDEX ci ON c (t)",
            )
            .unwrap();
        (path, connection)
    }

    fn look(path: &Path, threads: usize) -> Result<()> {
        let entries = HashMap::from([("a", 10), ("b", 20), ("c", 30)]);
        check(path, &entries, threads, 1 << 20, &AtomicBool::new(false))
    }

    /// Writes `text` over the `place`th occurrence of `old`, and takes it back after `then`.
    fn with_damage(path: &Path, (old, place): (&str, usize), text: &str, then: impl FnOnce()) {
        let bytes = std::fs::read(path).unwrap();
        let found = bytes.windows(old.len()).enumerate().filter(|(_, at)| *at == old.as_bytes());
        let places: Vec<usize> = found.map(|(place, _)| place).collect();
        assert_eq!(places.len(), 2, "in the table and in the index");
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(text.as_bytes(), places[place] as u64).unwrap();
        then();
        file.write_all_at(old.as_bytes(), places[place] as u64).unwrap();
    }

    #[test]
    fn one_damaged_entry_of_one_index_among_several_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        drop(connection);
        for threads in [1, 2, 9] {
            look(&path, threads).unwrap();
            for place in [0, 1] {
                with_damage(&path, ("in b 1500", place), "in b 150!", || {
                    let error = look(&path, threads).unwrap_err();
                    assert!(error.message().contains("integrity check"), "{error}");
                    assert!(error.to_string().contains("missing from index bi"), "{error}");
                });
            }
        }
        look(&path, 2).unwrap();
    }

    #[test]
    fn a_page_that_nothing_uses_and_a_row_that_breaks_a_check_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        let schema = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'ci'";
        connection.execute_batch(schema).unwrap();
        drop(connection);
        let error = look(&path, 2).unwrap_err();
        assert!(error.to_string().contains("never used"), "{error}");
        let broken = "CREATE TABLE d (x CHECK (x > 0)); PRAGMA ignore_check_constraints = ON; \
                      INSERT INTO d VALUES (0)";
        let other = tempfile::tempdir().unwrap();
        let (path, connection) = file(other.path());
        connection.execute_batch(broken).unwrap();
        drop(connection);
        let error = look(&path, 2).unwrap_err();
        assert!(error.to_string().contains("CHECK constraint failed in d"), "{error}");
    }

    #[test]
    fn a_check_that_takes_long_ends_when_the_run_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        // A minute's work.
        let slow = "PRAGMA ignore_check_constraints = ON; \
                    CREATE TABLE slow (i CHECK (length(hex(zeroblob(10000000 + i))) > 0)); \
                    INSERT INTO slow SELECT s.i FROM seq s, seq t";
        connection.execute_batch(slow).unwrap();
        drop(connection);
        let (stop, started) = (AtomicBool::new(false), Instant::now());
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::park_timeout(Duration::from_millis(300));
                stop.store(true, Ordering::Relaxed);
            });
            check(&path, &HashMap::new(), 2, 1 << 20, &stop)
        });
        assert_eq!(ended.unwrap_err().to_string(), Error::interrupted().to_string());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}

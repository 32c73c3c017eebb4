//! The finish in SQLite: automatic keys, indexes, foreign keys, statistics, and the integrity check.

use crate::control::cancel::CancelScope;
use crate::control::progress::PhaseProgress;
use crate::control::sizing::Resources;
use crate::error::{Error, Result, plural};
use crate::finish::finished::Finished;
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::to_sqlite::model::{Enforced, Restored, ToSqlite};
use crate::plan::to_sqlite::preconditions::orphans;
use crate::report::StepReport;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::sql::ddl::TableDdl;
use crate::sqlite::write::bulk_insert::FileWriter;
use crate::sqlite::write::integrity_check::{Checker, Part};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// The time of the check of all tables, as a multiple of the time of the check of the file, as it
/// was measured.
const TABLES_TO_FILE: u64 = 7;

/// Runs the finish of the file at `path`. The integrity check reads it with several connections,
/// within `resources` and `cache` bytes of page cache.
pub(crate) fn run(
    plan: &Plan<ToSqlite>,
    writer: FileWriter,
    (path, resources, cache): (&Path, &Resources, u64),
    progress: &PhaseProgress,
    cancel: &CancelScope,
) -> Result<Finished> {
    let mut finished = Finished::default();
    let indexes: usize = plan.tables.iter().map(|table| table.indexes.len()).sum();
    let has_lost_checks = |table: &&PlannedTable<ToSqlite>| table.finish.lost_checks > 0;
    let others = plan.objects.restored.len() + plan.tables.iter().filter(has_lost_checks).count();
    progress.total.store((indexes + others + 3) as u64, Ordering::Relaxed);
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
        if let Some(last) = table.finish.sequence {
            writer.set_sequence(&table.ddl.name, last)?;
        }
        for index in &table.indexes {
            let what = format!("cannot build {}", index.what);
            step(&index.what, &mut || {
                writer.interruptible(cancel, || writer.run(&what, &index.sql))
            })?;
        }
    }
    let mut lost = Vec::new();
    for Restored { sql, left_out, .. } in &plan.objects.restored {
        let what = format!("{} {}", left_out.kind.as_str(), quote(&left_out.name));
        step(&what, &mut || {
            let created = writer.interruptible(cancel, || writer.run(&what, sql));
            cancel.check()?;
            if let Err(error) = created {
                let reason = error.causes().first().cloned().unwrap_or_default();
                lost.push(left_out.clone().because(format!("SQLite refuses it: {reason}")));
            }
            Ok(())
        })?;
    }
    for table in plan.tables.iter().filter(has_lost_checks) {
        let what = format!("checks of {}", quote(&table.ddl.name));
        step(&what, &mut || {
            lost.append(&mut writer.interruptible(cancel, || lost_checks(table, &writer))?);
            Ok(())
        })?;
    }
    let mut orphans = Vec::new();
    step("foreign keys", &mut || {
        orphans = writer.interruptible(cancel, || foreign_keys(plan, &writer))?;
        Ok(())
    })?;
    step("statistics", &mut || {
        writer.interruptible(cancel, || writer.run("cannot gather statistics", "ANALYZE"))
    })?;
    // The writer has locked the file.
    writer.close()?;
    let entries: HashMap<&str, u64> = plan.tables.iter().map(entries).collect();
    step("integrity check", &mut || check(path, &entries, resources.readers, cache, cancel))?;
    finished.left_out = lost;
    finished.left_out.append(&mut orphans);
    Ok(finished)
}

/// A table, and the number of entries in its b-tree and those of its indexes.
fn entries(table: &PlannedTable<ToSqlite>) -> (&str, u64) {
    let ddl = &table.ddl;
    let trees = 1 + ddl.uniques.len() + table.indexes.len();
    (&ddl.name, table.rows.saturating_mul(trees as u64))
}

/// SQLite's integrity check, several parts at a time. The tables with the most `entries` come first,
/// so that all threads end at about the same time.
fn check(
    path: &Path,
    entries: &HashMap<&str, u64>,
    threads: usize,
    cache: u64,
    cancel: &CancelScope,
) -> Result<()> {
    let cancel = cancel.child();
    let cache = cache / threads as u64;
    let mut parts = Checker::open(path, cache)?.parts()?;
    // The check of an entry's position takes far longer than reading it.
    let all = entries.values().sum::<u64>() / TABLES_TO_FILE;
    parts.sort_by_key(|part| match part {
        Part::File => Reverse(all),
        Part::Table(name) => Reverse(entries.get(name.as_str()).copied().unwrap_or(0)),
    });
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        let checker = Checker::open(path, cache)?;
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            checker.part(part, &cancel)?;
        }
        Ok(())
    };
    cancel.clone().run_threads(threads.min(parts.len()), "the check of the new file", work)
}

/// Takes the checks that PostgreSQL lacks and that rows break out of a table.
fn lost_checks(table: &PlannedTable<ToSqlite>, writer: &FileWriter) -> Result<Vec<LeftOut>> {
    let mut ddl = TableDdl { original: None, ..table.ddl.clone() };
    let mut broken = Vec::new();
    for check in &table.ddl.checks[table.ddl.checks.len() - table.finish.lost_checks..] {
        let (name, condition) = (check.0.as_deref().unwrap_or_default(), check.1.as_str());
        let sql = format!("SELECT count(*) FROM {} WHERE NOT ({condition})", quote(&ddl.name));
        let count = writer.count("cannot check the rows", &sql)?;
        if count > 0 {
            let left_out = LeftOut::part(ObjectKind::Check, &table.name, name, Some(condition));
            let reason = format!("{} it", plural(count, "row breaks", "rows break"));
            broken.push(left_out.because(reason));
            ddl.checks.retain(|other| other != check);
        }
    }
    if !broken.is_empty() {
        // The rows are not stored in another way.
        writer.replace_definition(&ddl.name, &ddl.create())?;
    }
    Ok(broken)
}

/// The foreign keys with rows without a parent. Only those that are NOT VALID in PostgreSQL may have
/// such rows.
fn foreign_keys(plan: &Plan<ToSqlite>, writer: &FileWriter) -> Result<Vec<LeftOut>> {
    let mut list = Vec::new();
    for table in plan.tables.iter().filter(|table| !table.ddl.foreign_keys.is_empty()) {
        for (number, count) in writer.orphans(&table.ddl.name)? {
            // SQLite numbers foreign keys from the last one.
            let index = table.ddl.foreign_keys.len().checked_sub(number + 1);
            let key = index.and_then(|index| table.ddl.foreign_keys.get(index));
            let name = key.map(|key| key.name.clone().unwrap_or_else(|| key.clause()));
            let name = name.unwrap_or_default();
            let enforced = index.and_then(|index| table.finish.enforced.get(index)).copied();
            let enforced = enforced.unwrap_or(Enforced::Valid);
            if enforced == Enforced::Valid {
                return Err(Error::failed(format!(
                    "table {}: {} the foreign key {}, but not in PostgreSQL",
                    quote(&table.name),
                    plural(count, "row violates", "rows violate"),
                    quote(&name)
                ))
                .hint("exclude one of the two tables with --exclude"));
            }
            let left_out = LeftOut::part(ObjectKind::ForeignKey, &table.name, &name, None);
            // The plan may have listed it.
            if !plan.left_out.iter().any(|left| left.is_same(&left_out)) {
                list.push(left_out.because(orphans(count, enforced)));
            }
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

    fn check_all(path: &Path, threads: usize) -> Result<()> {
        let entries = HashMap::from([("a", 10), ("b", 20), ("c", 30)]);
        check(path, &entries, threads, 1 << 20, &CancelScope::default())
    }

    /// Replaces the occurrence `index` of `old` by `text` while `then` runs.
    fn with_damage(path: &Path, (old, index): (&str, usize), text: &str, then: impl FnOnce()) {
        let bytes = std::fs::read(path).unwrap();
        let found = bytes.windows(old.len()).enumerate().filter(|(_, at)| *at == old.as_bytes());
        let offsets: Vec<usize> = found.map(|(offset, _)| offset).collect();
        assert_eq!(offsets.len(), 2, "in the table and in the index");
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(text.as_bytes(), offsets[index] as u64).unwrap();
        then();
        file.write_all_at(old.as_bytes(), offsets[index] as u64).unwrap();
    }

    #[test]
    fn one_damaged_entry_of_one_of_several_indexes_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        drop(connection);
        for threads in [1, 2, 9] {
            check_all(&path, threads).unwrap();
            for index in [0, 1] {
                with_damage(&path, ("in b 1500", index), "in b 150!", || {
                    let error = check_all(&path, threads).unwrap_err();
                    assert!(error.message().contains("integrity check"), "{error}");
                    assert!(error.to_string().contains("missing from index bi"), "{error}");
                });
            }
        }
        check_all(&path, 2).unwrap();
    }

    #[test]
    fn an_unused_page_and_a_row_that_violates_a_check_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        let schema = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'ci'";
        connection.execute_batch(schema).unwrap();
        drop(connection);
        let error = check_all(&path, 2).unwrap_err();
        assert!(error.to_string().contains("never used"), "{error}");
        let broken = "CREATE TABLE d (x CHECK (x > 0)); PRAGMA ignore_check_constraints = ON; \
                      INSERT INTO d VALUES (0)";
        let other = tempfile::tempdir().unwrap();
        let (path, connection) = file(other.path());
        connection.execute_batch(broken).unwrap();
        drop(connection);
        let error = check_all(&path, 2).unwrap_err();
        assert!(error.to_string().contains("CHECK constraint failed in d"), "{error}");
    }

    #[test]
    fn a_long_check_ends_when_the_run_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (path, connection) = file(folder.path());
        // A minute's work.
        let slow = "PRAGMA ignore_check_constraints = ON; \
                    CREATE TABLE slow (i CHECK (length(hex(zeroblob(10000000 + i))) > 0)); \
                    INSERT INTO slow SELECT s.i FROM seq s, seq t";
        connection.execute_batch(slow).unwrap();
        drop(connection);
        let (cancel, started) = (CancelScope::default(), Instant::now());
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::park_timeout(Duration::from_millis(300));
                cancel.cancel();
            });
            check(&path, &HashMap::new(), 2, 1 << 20, &cancel)
        });
        assert!(ended.unwrap_err().is_interrupted());
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
}

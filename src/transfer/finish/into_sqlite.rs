//! The finish: what comes after the rows. Keys that go on where they were, indexes, foreign keys,
//! statistics, and SQLite's own check of the whole file.

use crate::error::{Error, Result};
use crate::progress::PhaseProgress;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::write::FileWriter;
use crate::transfer::plan::into_sqlite::Plan;
use crate::transfer::report::StepReport;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What the finish did.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) steps: Vec<StepReport>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// Runs the finish.
///
/// # Errors
/// SQLite's, or that the run was stopped.
pub(crate) fn run(
    plan: &Plan,
    writer: &FileWriter,
    progress: &PhaseProgress,
    stop: &AtomicBool,
) -> Result<Finished> {
    let mut finished = Finished::default();
    let indexes: usize = plan.tables.iter().map(|table| table.indexes.len()).sum();
    progress.total.store((indexes + 3) as u64, Ordering::Relaxed);
    let mut step = |what: &str, work: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        progress.set_step(what);
        let started = Instant::now();
        writer.interruptible(stop, work)?;
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
            step(&index.what, &mut || writer.run(&what, &index.sql))?;
        }
    }
    let mut orphans = Vec::new();
    step("foreign keys", &mut || {
        orphans = foreign_keys(plan, writer)?;
        Ok(())
    })?;
    step("statistics", &mut || writer.run("cannot gather statistics", "ANALYZE"))?;
    step("integrity check", &mut || writer.check())?;
    finished.left_out = orphans;
    Ok(finished)
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

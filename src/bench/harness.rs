//! The harness of a measurement: its steps, notes, options and plans.

use crate::bench::generate::{Summary, generate};
use crate::bench::request::{Request, Subject};
use crate::bench::server::Server;
use crate::control::progress::Phase;
use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Result};
use crate::options::run_options::RunOptions;
use crate::plan::to_postgres::inputs::DropScope;
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::env::RunEnv;
use crate::run::open::to_postgres::DataSetOpener;
use crate::sqlite::source::open::Source;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// A running measurement.
pub(crate) struct Bench<'a> {
    pub(crate) request: &'a Request,
    /// The SQLite file.
    pub(crate) path: PathBuf,
    /// The controls of the measurement.
    pub(crate) control: &'a RunControl,
    /// The summary of the generated rows, if rows were generated.
    pub(crate) generated: Option<Summary>,
    /// The source's fingerprint at the first measurement.
    fingerprint: Mutex<Option<Value>>,
    notes: Mutex<Vec<String>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(request: &'a Request, path: PathBuf, control: &'a RunControl) -> Self {
        let (fingerprint, notes) = (Mutex::default(), Mutex::default());
        Self { request, path, control, generated: None, fingerprint, notes }
    }

    /// Does one step of the work and counts it in the progress.
    pub(crate) fn step<T>(&self, label: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.control.cancel.check()?;
        let counters = self.control.progress.phase(Phase::Measure);
        counters.set_step(label);
        let result = work()?;
        counters.done.fetch_add(1, Ordering::Relaxed);
        Ok(result)
    }

    /// Adds a note for the report, once.
    pub(crate) fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// The notes so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The options of a run into `server`.
    pub(crate) fn options(&self, server: &Server) -> RunOptions {
        self.request.options(&self.path, Some(server))
    }

    /// Generates the rows, if the request asks for it.
    pub(crate) fn generate(&mut self) -> Result<()> {
        let Subject::Generated { rows, seed } = self.request.subject else { return Ok(()) };
        let mut is_running = |_: &str, _| !self.control.cancel.is_cancelled();
        let label = "generating a usage database";
        let generated = self.step(label, || generate(&self.path, rows, seed, &mut is_running))?;
        self.generated = Some(generated);
        Ok(())
    }

    /// Opens the source and the target of `options`, plans, and calls `work` with the plan. Errors:
    /// opening, planning or `work` failed, or the source has changed.
    pub(crate) fn planned<T>(
        &self,
        options: &RunOptions,
        work: impl FnOnce(&mut PostgresLoad, &RunEnv<'_>) -> Result<T>,
    ) -> Result<T> {
        let control = self.control.for_part();
        let resources = Resources::choose(&options.limits);
        let canceller = StatementCanceller::watch(&control.cancel);
        let env =
            RunEnv { options, resources: &resources, control: &control, canceller: &canceller };
        let data_set = &options.data_sets[0];
        let opened = DataSetOpener::new(env).open(data_set)?;
        let mut load = PostgresLoad::plan(opened, &DropScope::Nothing, &env)?;
        let result = self.refuse_changed(&load.source).and_then(|()| work(&mut load, &env));
        let closed = load.source.close();
        let result = result?;
        if let Some(changed) = closed? {
            self.note(changed);
        }
        Ok(result)
    }

    /// Refuses a source that has changed since the first measurement.
    fn refuse_changed(&self, source: &Source) -> Result<()> {
        let mut first = self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        let now = json!(source.fingerprint());
        if *first.get_or_insert_with(|| now.clone()) == now {
            return Ok(());
        }
        Err(Error::failed("the source changed while it was measured")
            .hint("stop every process that writes to it, and measure again"))
    }
}

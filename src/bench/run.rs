//! A measurement, from the scratch schema to the report.

use crate::bench::blocks::Blocks;
use crate::bench::generate::{Rows, Summary, generate};
use crate::bench::measure::memory_of_machine;
use crate::bench::report::{Machine, Name, Report, ServerReport, SubjectReport};
use crate::bench::rounds::Rounds;
use crate::bench::server::{Looked, Server};
use crate::bench::space::{BYTES_OF_A_ROW, Need, refuse_lack};
use crate::bench::{settings, sweep};
use crate::config::secret::Secret;
use crate::control::progress::{Phase, Progress};
use crate::control::signals::on_signals;
use crate::control::sizing::{Resources, cores};
use crate::control::statement_cancel::StatementCanceller;
use crate::error::{Error, Kind, Result};
use crate::options::location::{DataSet, FILE_MODE, Location};
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::options::run_options::RunOptions;
use crate::plan::to_postgres::build::DropScope;
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::env::RunEnv;
use crate::run::open::to_postgres::DataSetOpener;
use crate::run::service_check::check_files;
use crate::sqlite::{Source, SourceOptions};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The most connections that a limit is looked for with.
const MAX_CONNECTIONS: usize = 16;

/// What is to be measured, and how.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// What is moved.
    pub(crate) subject: Subject,
    /// Where to: a connection string; `None` means a private server.
    pub(crate) target: Option<Secret>,
    /// The name of the scratch schema.
    pub(crate) schema: String,
    /// How often each thing is measured, at least once.
    pub(crate) rounds: usize,
    /// Without the sweep, and without servers of other settings.
    pub(crate) quick: bool,
    /// Only tables that one of these patterns matches; empty means all.
    pub(crate) tables: Vec<String>,
    /// Without the tables that one of these patterns matches.
    pub(crate) exclude: Vec<String>,
    /// The folder for temporary files, an empty one that goes afterwards.
    pub(crate) folder: PathBuf,
}

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A generated usage database.
    Generated {
        /// How many rows.
        rows: Rows,
        /// Whose rows.
        seed: u64,
    },
    /// The user's own file.
    File(PathBuf),
}

impl Request {
    /// About how many seconds it will take on two cores of a common machine: for each passage of
    /// the rows through a server so much, and so much for what is done around it.
    pub(crate) fn expected_seconds(&self) -> Result<f64> {
        /// Seconds that a million generated rows take from the file into a table.
        const A_MILLION_ROWS: f64 = 1.0;
        /// Seconds for what goes before and after a passage.
        const AROUND: f64 = 0.6;
        /// A whole job, and what one setting is measured with, as passages.
        const WHOLE: usize = 5;
        const SETTING: usize = 4;
        let rows = self.file_bytes()? as f64 / BYTES_OF_A_ROW as f64;
        let limits = connections().len();
        let mut passages = self.rounds * (limits + 3 + WHOLE);
        if !self.quick {
            let servers = if self.target.is_none() { settings::TRIED + 1 } else { 1 };
            passages += sweep::measurements(self.rounds) + self.rounds * servers * SETTING;
        }
        Ok(passages as f64 * (AROUND + A_MILLION_ROWS * rows / 1e6))
    }

    /// The size of the source, as it is or about as it will be.
    fn file_bytes(&self) -> Result<u64> {
        match &self.subject {
            Subject::Generated { rows, .. } => Ok(rows.0 * BYTES_OF_A_ROW),
            Subject::File(path) => match std::fs::metadata(path) {
                Ok(found) => Ok(found.len()),
                Err(error) => {
                    Err(Error::refused(format!("cannot open {}", path.display())).caused_by(error))
                }
            },
        }
    }
}

/// Numbers of connections that a limit is looked for with: powers of two, up to twice the cores.
pub(crate) fn connections() -> Vec<usize> {
    let most = (2 * cores()).min(MAX_CONNECTIONS);
    std::iter::successors(Some(1), |n| Some(2 * n)).take_while(|n| *n <= most).collect()
}

/// Measures.
///
/// # Errors
/// Whatever keeps one of the measurements from being done. Nothing is left then, or the error
/// names what is.
pub(crate) fn run(request: &Request, progress: &Arc<Progress>) -> Result<Report> {
    let stop = on_signals()?;
    progress.enter(Phase::Measure);
    let measured = prepare_and_measure(request, progress, &stop);
    progress.end();
    measured.map_err(|error| {
        let caused_by_stop = error.is_interruption() || error.kind() == Kind::Paused;
        match stop.load(Ordering::Relaxed) && (caused_by_stop || error.is_retryable()) {
            true => error
                .hints()
                .iter()
                .filter(|hint| hint.contains("DROP"))
                .fold(Error::interrupted(), |interrupted, hint| interrupted.hint(hint.clone())),
            false => error,
        }
    })
}

fn prepare_and_measure(
    request: &Request,
    progress: &Arc<Progress>,
    stop: &Arc<AtomicBool>,
) -> Result<Report> {
    let started = Instant::now();
    let bytes = request.file_bytes()?;
    let is_made = matches!(request.subject, Subject::Generated { .. });
    let files = Need::of_files(&request.folder, bytes, is_made);
    refuse_lack(&[files])?;
    let path = match &request.subject {
        Subject::Generated { .. } => request.folder.join("usage.db"),
        Subject::File(path) => {
            // Refused for all the reasons there can be, before anything is begun.
            check_files(&options(request, path, None))?;
            Source::open(path, &SourceOptions::default())?.close()?;
            path.clone()
        }
    };
    let mut bench = Bench {
        request,
        path,
        progress,
        stop,
        fingerprint: Mutex::default(),
        notes: Mutex::default(),
        made: None,
    };
    progress.phase(Phase::Measure).total.store(bench.steps(), Ordering::Relaxed);
    let server = bench.step("starting the server", || match &request.target {
        Some(url) => Server::of(url.clone(), &request.schema),
        None => Server::start(&[], &request.schema),
    })?;
    let server_s = server.folder().map(|folder| Need::of_server(folder, bytes));
    let needs: Vec<Need<'_>> = server_s.into_iter().chain([files]).collect();
    let measured = refuse_lack(&needs)
        .and_then(|()| bench.make_rows())
        .and_then(|()| bench.measure(&server, started));
    match (measured, server.end()) {
        (Ok(report), Ok(())) => Ok(report),
        (Ok(_), Err(left)) => Err(left),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(left)) => {
            let error = error.caused_by(&left);
            Err(left.hints().iter().fold(error, Error::hint))
        }
    }
}

/// What a run of one measurement is asked to do; without a server as far as the source goes.
fn options(request: &Request, path: &Path, server: Option<&Server>) -> RunOptions {
    let data_set = DataSet {
        name: "bench".to_owned(),
        source: Location::Sqlite(path.to_owned()),
        target: Location::Postgres(
            server.map_or_else(|| Secret::new(String::new()), |server| server.url.clone()),
        ),
        defaults: Default::default(),
        file_mode: FILE_MODE,
    };
    RunOptions {
        plan: PlanOptions {
            schema: Some(request.schema.clone()),
            tables: request.tables.clone(),
            exclude: request.exclude.clone(),
            on_misfit: OnMisfit::Widen,
            ..PlanOptions::default()
        },
        temp_dir: Some(request.folder.clone()),
        ..RunOptions::new(vec![data_set])
    }
}

/// A measurement at work.
pub(crate) struct Bench<'a> {
    /// What was asked for.
    pub(crate) request: &'a Request,
    /// The SQLite file.
    pub(crate) path: PathBuf,
    /// Set when it is to end early.
    pub(crate) stop: &'a Arc<AtomicBool>,
    progress: &'a Arc<Progress>,
    /// Of the source, when it was seen first.
    fingerprint: Mutex<Option<Value>>,
    notes: Mutex<Vec<String>>,
    /// What was generated.
    made: Option<Summary>,
}

impl Bench<'_> {
    fn steps(&self) -> u64 {
        let Request { rounds, quick, target, subject, .. } = self.request;
        let is_made = matches!(subject, Subject::Generated { .. });
        let others = match quick {
            true => 0,
            false => sweep::measurements(*rounds) + settings::steps(*rounds, target.is_none()),
        };
        (1 + usize::from(is_made) + 1 + Rounds::steps(*rounds) + others) as u64
    }

    /// Does one step of the work, and tells of it.
    pub(crate) fn step<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        let counters = self.progress.phase(Phase::Measure);
        counters.set_step(what);
        let done = work()?;
        counters.done.fetch_add(1, Ordering::Relaxed);
        Ok(done)
    }

    /// Something that the user should know.
    pub(crate) fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// What a run into `server` is asked to do.
    pub(crate) fn options(&self, server: &Server) -> RunOptions {
        options(self.request, &self.path, Some(server))
    }

    /// Counters for a run of its own.
    pub(crate) fn counters(&self) -> Arc<Progress> {
        Arc::new(self.progress.of_a_part())
    }

    /// Generates the rows, where that was asked for.
    fn make_rows(&mut self) -> Result<()> {
        let Subject::Generated { rows, seed } = self.request.subject else { return Ok(()) };
        let stop = Arc::clone(self.stop);
        let mut goes_on = |_: &str, _| !stop.load(Ordering::Relaxed);
        let what = "generating a usage database";
        self.made = Some(self.step(what, || generate(&self.path, rows, seed, &mut goes_on))?);
        Ok(())
    }

    /// Opens the source and the target of `options`, plans, and does `work` with that.
    ///
    /// # Errors
    /// Either side's; the plan's; those of `work`; or that the source is not what it was.
    pub(crate) fn planned<T>(
        &self,
        options: &RunOptions,
        work: impl FnOnce(&mut PostgresLoad, &RunEnv<'_>) -> Result<T>,
    ) -> Result<T> {
        let (progress, resources) = (self.counters(), Resources::choose(&options.limits));
        let canceller = StatementCanceller::watch(self.stop);
        let is_halted = || self.stop.load(Ordering::Relaxed);
        let env = RunEnv {
            options,
            resources: &resources,
            progress: &progress,
            canceller: &canceller,
            is_halted: &is_halted,
        };
        let data_set = &options.data_sets[0];
        let opened = DataSetOpener::new(options, &canceller, &progress).open(data_set)?;
        let mut loading = PostgresLoad::plan(opened, &DropScope::Nothing, &env)?;
        let done = self.refuse_another(&loading.source).and_then(|()| work(&mut loading, &env));
        let closed = loading.source.close();
        let done = done?;
        if let Some(changed) = closed? {
            self.note(changed);
        }
        Ok(done)
    }

    /// Refuses a source that has changed since it was seen first.
    fn refuse_another(&self, source: &Source) -> Result<()> {
        let mut seen = self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner);
        let now = json!(source.fingerprint());
        if *seen.get_or_insert_with(|| now.clone()) == now {
            return Ok(());
        }
        Err(Error::failed("the source changed while it was measured")
            .hint("stop what writes to it, and measure again"))
    }

    fn measure(&self, server: &Server, started: Instant) -> Result<Report> {
        let looked = server.look()?;
        let options = self.options(server);
        let folder = &self.request.folder;
        let made = self.step("making blocks that are ready to be sent", || {
            self.planned(&options, |loading, env| {
                let subject = (&loading.plan, &loading.source);
                let blocks = Blocks::make(subject, folder, env.resources.readers, self.stop)?;
                Ok((blocks, loading.plan.tables.len(), *env.resources))
            })
        });
        let (blocks, tables, resources) = made?;
        let rounds = Rounds::measure(self, server, &blocks)?;
        let connections = rounds.best_connections();
        let (sweep, settings) = match self.request.quick {
            true => (None, settings::as_they_are(&looked, &rounds)),
            false => (
                Some(sweep::measure(self, server, (blocks.rows(), blocks.bytes()))?),
                settings::measure(self, server, &looked, &blocks, connections, &rounds)?,
            ),
        };
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine { cores: cores(), memory: memory_of_machine()? },
            server: server_report(server, &looked),
            subject: self.subject(tables, &blocks)?,
            rounds: self.request.rounds,
            used: resources,
            stages: rounds.stages(&blocks, &resources),
            limits: rounds.limits(&blocks),
            phases: rounds.phases(),
            server_work: rounds.server_work(&blocks),
            copy_to_limit: rounds.to_limit(Name::Copy),
            whole_to_limit: rounds.to_limit(Name::Whole),
            client_to_server_cpu: rounds.client_to_server_cpu(),
            generator: self.made.as_ref().and_then(|made| rounds.generator(made)),
            bottleneck: rounds.bottleneck(&blocks, &resources, cores())?,
            sweep,
            settings,
            notes: self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            seconds: started.elapsed().as_secs_f64(),
        };
        Ok(report)
    }

    fn subject(&self, tables: usize, blocks: &Blocks) -> Result<SubjectReport> {
        let (path, seed) = match &self.request.subject {
            Subject::Generated { seed, .. } => (None, Some(*seed)),
            Subject::File(path) => (Some(path.display().to_string()), None),
        };
        let file_bytes =
            self.made.as_ref().map_or_else(|| self.request.file_bytes(), |made| Ok(made.bytes))?;
        let (rows, bytes) = (blocks.rows(), blocks.bytes());
        Ok(SubjectReport { path, seed, tables, rows, bytes, file_bytes })
    }
}

fn server_report(server: &Server, looked: &Looked) -> ServerReport {
    ServerReport {
        address: server.connection.display(),
        private: server.is_private(),
        version: looked.version.clone(),
    }
}

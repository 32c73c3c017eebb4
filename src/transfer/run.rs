//! A run, from opening both databases to the report.

use crate::config::connection::Connection;
use crate::database::Writer;
use crate::error::{Error, Result};
use crate::postgres::errors::failed;
use crate::postgres::ledger::{self, Ledger, State};
use crate::postgres::read::Snapshot;
use crate::postgres::target::{advisory_key, drop_all, place};
use crate::postgres::write::{BlockWriter, CopyTarget};
use crate::progress::{Phase, Progress};
use crate::schema::ObjectKind;
use crate::schema::names::{qualify, quote};
use crate::sqlite::read::ChunkReader;
use crate::sqlite::{Source, backup};
use crate::transfer::Planned;
use crate::transfer::copy::{self, Ends, TableStats};
use crate::transfer::finish::{self, Finished};
use crate::transfer::guard::{Moment, look_first};
use crate::transfer::interrupt::{self, Interrupt};
use crate::transfer::open::{Opened, one_more_client, open};
use crate::transfer::options::{DataSet, Depth, OnMisfit, Options, Verify};
use crate::transfer::plan::columns::pin_of;
use crate::transfer::plan::make::{Inputs, make};
use crate::transfer::plan::reject::{self, RejectFile};
use crate::transfer::plan::{Plan, PlannedTable};
use crate::transfer::report::{
    DataSetPlan, DataSetReport, Outcome, PhaseTime, PlanSummary, Report, TableReport, Verdict,
};
use crate::transfer::shared::refuse_shared_names;
use crate::transfer::sizes::Sizes;
use crate::transfer::standing;
use crate::transfer::stop::on_signals;
use crate::transfer::verify::comparison::Comparison;
use crate::transfer::verify::judge::Judged;
use crate::transfer::verify::promises::{self, Omission};
use crate::transfer::verify::subject::Subject;
use crate::transfer::verify::{self, Settings};
use postgres::Client;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How often the copy phase may start over because committed chunks turned out to be missing.
const MOST_ROUNDS: usize = 5;

/// One data set, opened, fenced and planned.
struct Prepared {
    source: Source,
    connection: Connection,
    /// The session that holds the run's lock on the target schema.
    keeper: Client,
    /// What tells the target schema from any other, whatever the connection string is.
    place: String,
    plan: Plan,
    /// What the ledger keeps beside the state, as it becomes known.
    known: serde_json::Map<String, Value>,
}

/// A planned run.
pub struct Run {
    options: Options,
    sets: Vec<Prepared>,
    /// What is only compared.
    comparisons: Vec<(Comparison, Depth)>,
    /// What the user should know beside what the plans say.
    warnings: Vec<String>,
    sizes: Sizes,
    /// Where rows go that the target cannot hold.
    reject_file: Option<PathBuf>,
    /// The user's wish to stop; at work until the run is over.
    interrupt: Interrupt,
    started: Instant,
}

/// Opens and fences the sources, connects to the targets, profiles, and plans.
///
/// # Errors
/// Whatever keeps the run from being planned; nothing has been written then.
pub fn prepare(options: &Options, progress: &Arc<Progress>) -> Result<Run> {
    let stop = on_signals()?;
    prepare_all(options, progress, &stop).map_err(|error| interrupt::told(&stop, error))
}

fn prepare_all(options: &Options, progress: &Arc<Progress>, stop: &Arc<AtomicBool>) -> Result<Run> {
    let started = Instant::now();
    let interrupt = Interrupt::watch(stop);
    let sizes = Sizes::choose(options);
    progress.enter(Phase::Open);
    let mut warnings = look_first(options)?;
    let done = match options.verify {
        Verify::Only(_) => vec![false; options.data_sets.len()],
        _ => standing::done(options)?,
    };
    let (mut sets, mut comparisons, mut locked) = (Vec::new(), Vec::new(), HashSet::new());
    for (data_set, done) in options.data_sets.iter().zip(done) {
        if done {
            warnings.push(format!(
                "{} was copied and verified by an earlier run: it is only compared again",
                data_set.name
            ));
        }
        let (sizes, interrupt, locked) = (&sizes, &interrupt, &mut locked);
        match only_compared(options.verify, done) {
            Some(depth) => {
                let one = Comparison::prepare(data_set, depth, options, interrupt, locked)?;
                comparisons.push((one, depth));
            }
            None => sets.push(prepare_one(data_set, options, sizes, progress, interrupt, locked)?),
        }
    }
    refuse_shared_names(sets.iter().map(|set| (set.place.as_str(), &set.plan)))?;
    for set in &mut sets {
        warnings.extend(set.look(options, Moment::Before)?);
    }
    for (one, _) in &mut comparisons {
        warnings.extend(one.look(options, Moment::Before)?);
    }
    let mut told = HashSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    let reject_file = match &options.on_misfit {
        OnMisfit::Reject { file } => Some(file.clone()),
        _ => None,
    };
    // What could not be found out because it was interrupted is no finding.
    if stop.load(Ordering::Relaxed) {
        return Err(Error::failed("interrupted"));
    }
    let options = options.clone();
    Ok(Run { options, sets, comparisons, warnings, sizes, reject_file, interrupt, started })
}

/// How deep a data set is compared that is not copied, as an earlier run has done it or nothing
/// is to be copied; `None` for one that is copied.
fn only_compared(verify: Verify, done: bool) -> Option<Depth> {
    match verify {
        Verify::Only(depth) => Some(depth),
        Verify::AfterCopy(depth) => done.then_some(depth),
        Verify::No => done.then_some(Depth::Rows),
    }
}

fn prepare_one(
    data_set: &DataSet,
    options: &Options,
    sizes: &Sizes,
    progress: &Progress,
    interrupt: &Interrupt,
    locked: &mut HashSet<String>,
) -> Result<Prepared> {
    let hint = "create the schema, or name another one with options=-csearch_path=NAME";
    let Opened { source, connection, mut keeper, schema } =
        open(data_set, options, interrupt, locked, hint)?;
    let place = place(&mut keeper, &schema)?;
    let inputs = Inputs {
        data_set: &data_set.name,
        source: &source,
        schema: &schema,
        options,
        sizes,
        progress,
        stop: interrupt.stop(),
    };
    let mut plan = make(&inputs, &mut keeper)?;
    plan.notes.extend(source.notes().iter().cloned());
    Ok(Prepared { source, connection, keeper, place, plan, known: serde_json::Map::new() })
}

impl Planned for Run {
    fn summary(&self) -> PlanSummary {
        PlanSummary {
            source: self.source_name(),
            target: self.target_name(),
            data_sets: {
                let sets = self.sets.iter().map(|set| self.summary_of(set));
                let compared = self.comparisons.iter().map(|(one, _)| one.summary());
                compared.chain(sets).collect()
            },
            warnings: self.warnings(),
        }
    }

    fn run(mut self, progress: &Arc<Progress>) -> Outcome {
        let mut reports = Vec::new();
        let result = self.work(progress, &mut reports);
        let result = result.map_err(|error| interrupt::told(self.interrupt.stop(), error));
        let mut warnings = self.warnings();
        let (source, target) = (self.source_name(), self.target_name());
        let sources = self.sets.into_iter().map(|set| set.source);
        for source in sources.chain(self.comparisons.into_iter().map(|(one, _)| one.source)) {
            match source.close() {
                Ok(None) => {}
                Ok(Some(changed)) => warnings.push(changed),
                Err(error) => warnings.push(error.to_string()),
            }
        }
        progress.end();
        let report = Report {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source,
            target,
            data_sets: reports,
            phases: PhaseTime::all(progress),
            seconds: self.started.elapsed().as_secs_f64(),
            warnings,
        };
        Outcome { report, result }
    }
}

impl Run {
    /// Content that does not arrive although nobody asked for that.
    fn warnings(&self) -> Vec<String> {
        let left_out = self.sets.iter().flat_map(|set| &set.plan.left_out);
        let rejected = self.sets.iter().flat_map(|set| &set.plan.tables).filter_map(|table| {
            let rows = Some(table.rows_rejected()).filter(|rows| *rows > 0)?;
            Some(format!("{rows} rows of table {} are left out", quote(&table.name)))
        });
        let left_out = left_out
            .filter(|left| left.kind != ObjectKind::Table || left.rows.is_some())
            .filter_map(|left| {
                let rows = left.rows.filter(|rows| *rows > 0)?;
                Some(format!(
                    "{} {} holds {rows} rows that do not arrive",
                    left.kind.word(),
                    quote(&left.name)
                ))
            })
            .chain(rejected);
        self.warnings.iter().cloned().chain(left_out).collect()
    }

    /// What a data set's plan says. What another data set makes again in the same schema is not
    /// lost.
    fn summary_of(&self, set: &Prepared) -> DataSetPlan {
        let mut summary = set.plan.summary();
        let others = self.sets.iter().filter(|other| other.place == set.place);
        let tables = others.flat_map(|other| &other.plan.tables);
        let made: HashSet<&str> = tables.map(|table| table.ddl.name.as_str()).collect();
        for dropped in &mut summary.drops {
            dropped.comes_back |= made.contains(dropped.name.as_str());
        }
        summary
    }

    fn source_name(&self) -> String {
        let sources = self.sets.iter().map(|set| &set.source);
        let sources = sources.chain(self.comparisons.iter().map(|(one, _)| &one.source));
        let names = sources.map(|source| source.path().display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    fn target_name(&self) -> String {
        let targets = self.sets.iter().map(|set| &set.connection);
        let targets = targets.chain(self.comparisons.iter().map(|(one, _)| &one.connection));
        let mut names: Vec<String> = targets.map(Connection::display).collect();
        names.dedup();
        names.join(", ")
    }

    fn work(&mut self, progress: &Progress, reports: &mut Vec<DataSetReport>) -> Result<()> {
        for (one, depth) in &mut self.comparisons {
            let stop = self.interrupt.stop();
            reports.push(one.run(*depth, &self.options, &self.sizes, progress, stop)?);
        }
        if self.sets.is_empty() {
            return Ok(());
        }
        // The profile may have taken long.
        for set in &mut self.sets {
            set.look(&self.options, Moment::Before)?;
        }
        if let Some(folder) = &self.options.backup {
            let sources: Vec<&Source> = self.sets.iter().map(|set| &set.source).collect();
            let made = backup::back_up(&sources, folder)?;
            let told = made.iter().map(|path| format!("a backup was made: {}", path.display()));
            self.warnings.extend(told);
        }
        progress.enter(Phase::Copy);
        let total: u64 = self.sets.iter().map(|set| set.plan.rows()).sum();
        progress.phase(Phase::Copy).total.store(total, Ordering::Relaxed);
        self.write_rejected()?;
        let mut dropped = HashSet::new();
        for set in &mut self.sets {
            if dropped.insert(set.place.clone()) {
                set.drop_old()?;
            }
        }
        for set in &mut self.sets {
            set.create()?;
            let stats: Vec<TableStats> =
                set.plan.tables.iter().map(|_| TableStats::default()).collect();
            let done = set.fill(&self.sizes, progress, &stats, self.interrupt.stop());
            let finished = done.as_ref().ok().cloned().unwrap_or_default();
            let mut report = set.report(&stats, finished);
            let done = done.and_then(|_| match self.options.verify {
                Verify::AfterCopy(depth) => set.verify(
                    depth,
                    &self.options,
                    &self.sizes,
                    progress,
                    self.interrupt.stop(),
                    &mut report,
                ),
                _ => Ok(()),
            });
            reports.push(report);
            done?;
        }
        Ok(())
    }
}

impl Run {
    /// Writes the rows that are left out to the reject file, before anything else is written.
    fn write_rejected(&self) -> Result<()> {
        let Some(path) = &self.reject_file else { return Ok(()) };
        let file = RejectFile::create(path)?;
        for set in &self.sets {
            reject::add_rows(&file, &set.plan, &set.source.connect()?)?;
        }
        file.finish()
    }
}

impl Prepared {
    /// Asks the guard.
    fn look(&mut self, options: &Options, moment: Moment) -> Result<Vec<String>> {
        let client = (&mut self.keeper, self.connection.user.as_str());
        options.guard.look(moment, Some(self.source.path()), Some(client))
    }

    fn ledger(&self) -> Ledger {
        Ledger::new(&self.plan.schema, &self.plan.data_set)
    }

    fn drop_old(&mut self) -> Result<()> {
        if !self.plan.drop_all {
            return Ok(());
        }
        let what = "cannot drop what is in the target";
        let mut transaction = self.keeper.transaction().map_err(failed(what))?;
        drop_all(&mut transaction, &self.plan.schema, &self.plan.drops)?;
        transaction.commit().map_err(failed(what))
    }

    /// What the data set's row of the ledger says.
    fn detail(&self, state: State) -> Value {
        let mut detail = self.known.clone();
        detail.insert("state".to_owned(), json!(state));
        detail.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        detail.insert("source".to_owned(), json!(self.source.fingerprint()));
        Value::Object(detail)
    }

    /// Keeps in mind for the ledger what a later comparison has to know of this run: what was
    /// left out, and the type that each column was given.
    fn learn(&mut self, finished: &Finished) {
        let left_out = self.plan.left_out.iter().chain(&finished.left_out);
        let left_out: Vec<Omission> = left_out.map(Omission::of).collect();
        let mut rows = serde_json::Map::new();
        let mut types = serde_json::Map::new();
        for table in &self.plan.tables {
            if table.rows_rejected() > 0 {
                rows.insert(table.name.clone(), table.rows_rejected().into());
            }
            let pins = table.columns.iter().map(|column| {
                (column.name.clone(), pin_of(column.decision.cast.form).to_string().into())
            });
            let pins: serde_json::Map<String, Value> = pins.collect();
            types.insert(table.name.clone(), pins.into());
        }
        self.known.insert("left_out".to_owned(), json!(left_out));
        self.known.insert("rows_left_out".to_owned(), rows.into());
        self.known.insert("types".to_owned(), types.into());
    }

    /// Compares the target with the source, and records the verdict.
    fn verify(
        &mut self,
        depth: Depth,
        options: &Options,
        sizes: &Sizes,
        progress: &Progress,
        stop: &AtomicBool,
        report: &mut DataSetReport,
    ) -> Result<()> {
        progress.enter(Phase::Verify);
        self.look(options, Moment::During)?;
        let subjects: Vec<Subject> = self.plan.tables.iter().map(Subject::of_plan).collect();
        let names: Vec<String> = subjects.iter().map(|subject| subject.target.clone()).collect();
        let (connection, key) = (&self.connection, advisory_key(&self.plan.schema));
        let mut snapshot = Snapshot::take(one_more_client(connection, "snapshot", key)?, &names)?;
        let differences = promises::of_plan(snapshot.client(), &self.plan, &report.left_out)?;
        let ledger = (qualify(&self.plan.schema, ledger::TABLE), self.plan.data_set.clone());
        let settings = Settings {
            depth,
            options,
            sizes,
            progress: progress.phase(Phase::Verify),
            stop,
            ledger: Some(ledger),
        };
        let ends = verify::Ends {
            source: &|| self.source.connect(),
            target: &|| one_more_client(connection, "verify", key),
        };
        let compared = verify::compare(&subjects, &mut snapshot, &ends, &settings)?;
        drop(snapshot);
        let judged = Judged::new(&subjects, &compared, differences, depth);
        self.look(options, Moment::During)?;
        judged.tell(report);
        if judged.differs {
            let whole = "the source is unchanged, and the service may be started on it again";
            report.hints.push(whole.to_owned());
        }
        self.known.insert("tables".to_owned(), judged.digests(&subjects));
        self.known
            .insert("depth".to_owned(), json!(if depth == Depth::Full { "full" } else { "rows" }));
        self.set_state(if judged.differs { State::Differs } else { State::Verified })
    }

    /// Creates the tables and records them and the plan's chunks, in one transaction.
    fn create(&mut self) -> Result<()> {
        let ledger = self.ledger();
        let begin = ledger.begin(&self.detail(State::Copying));
        let what = "cannot create the tables in the target";
        let mut transaction = self.keeper.transaction().map_err(failed(what))?;
        transaction.batch_execute(&ledger.create()).map_err(failed(what))?;
        transaction.batch_execute(&begin).map_err(failed(what))?;
        for table in &self.plan.tables {
            let chunks = serde_json::to_value(&table.chunks)
                .map_err(|error| Error::failed("internal error: chunks").caused_by(error))?;
            let what = format!("cannot create table {}", quote(&table.name));
            transaction.batch_execute(&table.ddl.create()).map_err(failed(&what))?;
            transaction
                .batch_execute(&ledger.add_table(&table.qualified(), &table.name, &chunks))
                .map_err(failed(&what))?;
        }
        transaction.commit().map_err(failed(what))
    }

    /// Copies and finishes.
    fn fill(
        &mut self,
        sizes: &Sizes,
        progress: &Progress,
        stats: &[TableStats],
        stop: &AtomicBool,
    ) -> Result<Finished> {
        progress.enter(Phase::Copy);
        self.copy(sizes, progress, stats, stop)?;
        self.set_state(State::Finishing)?;
        progress.enter(Phase::Finish);
        let connection = &self.connection;
        let key = advisory_key(&self.plan.schema);
        let one_more = || one_more_client(connection, "finish", key);
        let finished = finish::run(&self.plan, &one_more, sizes.writers, progress, stop)?;
        // An error here means that the readers may have seen more than one state. A change that
        // they could not see is told when the source is closed.
        self.source.changed()?;
        self.learn(&finished);
        self.set_state(State::NotVerified)?;
        self.keeper
            .batch_execute(&self.ledger().forget_chunks())
            .map_err(failed("cannot tidy the target's ledger"))?;
        Ok(finished)
    }

    /// Copies until the ledger, read after a durable commit, holds every chunk.
    fn copy(
        &mut self,
        sizes: &Sizes,
        progress: &Progress,
        stats: &[TableStats],
        stop: &AtomicBool,
    ) -> Result<()> {
        let ledger = self.ledger();
        let counters = progress.phase(Phase::Copy);
        counters.set_tables(copy::tables_to_watch(&self.plan));
        let targets: Arc<[CopyTarget]> = self
            .plan
            .tables
            .iter()
            .map(|table| CopyTarget {
                table: table.name.clone(),
                copy: table.ddl.copy(&table.sent),
            })
            .collect();
        let key = advisory_key(&self.plan.schema);
        for _ in 0..MOST_ROUNDS {
            let done = ledger.chunks(&mut self.keeper)?;
            if self.plan.tables.iter().all(|table| is_complete(table, done.get(&table.name))) {
                return Ok(());
            }
            let (source, connection) = (&self.source, &self.connection);
            let ends = Ends {
                reader: &|queries| Ok(ChunkReader::new(source.connect_to_pages()?, queries)),
                writer: &|| {
                    let client = one_more_client(connection, "copy", key)?;
                    let writer = BlockWriter::new(client, &ledger, Arc::clone(&targets))?;
                    Ok(Box::new(writer) as Box<dyn Writer>)
                },
            };
            copy::run(&self.plan, &done, &ends, sizes, counters, stats, stop)?;
            // This commit is waited for until it is on the disk, and with it all before it.
            self.set_state(State::Copying)?;
        }
        Err(Error::failed("the target loses what it has committed")
            .hint("look at the server's log; --drop-all throws the half-loaded target away"))
    }

    fn set_state(&mut self, state: State) -> Result<()> {
        let what = "cannot write the target's ledger";
        let sql = self.ledger().set_detail(&self.detail(state));
        let mut transaction = self.keeper.transaction().map_err(failed(what))?;
        transaction
            .batch_execute(&format!("SET LOCAL synchronous_commit = on; {sql}"))
            .map_err(failed(what))?;
        transaction.commit().map_err(failed(what))
    }

    fn report(&self, stats: &[TableStats], finished: Finished) -> DataSetReport {
        let tables = self.plan.tables.iter().zip(stats).map(|(table, stats)| TableReport {
            name: table.name.clone(),
            target_name: table.renamed(),
            rows: stats.rows.load(Ordering::Relaxed),
            bytes: stats.bytes.load(Ordering::Relaxed),
            seconds: stats.seconds(),
            conversions: table.conversions(),
            rows_left_out: table.rows_left_out(),
            verification: None,
        });
        let mut left_out = self.plan.left_out.clone();
        left_out.extend(finished.left_out);
        DataSetReport {
            name: self.plan.data_set.clone(),
            target_schema: self.plan.schema.clone(),
            verdict: Verdict::NotVerified,
            tables: tables.collect(),
            left_out,
            steps: finished.steps,
            notes: self.plan.notes.iter().cloned().chain(self.plan.widened()).collect(),
            differences: Vec::new(),
            hints: Vec::new(),
        }
    }
}

/// Every chunk of the table is in the ledger, with all its rows.
fn is_complete(table: &PlannedTable, done: Option<&std::collections::HashMap<u32, u64>>) -> bool {
    let rows: u64 = done.map_or(0, |done| done.values().sum());
    let chunks = done.map_or(0, std::collections::HashMap::len);
    chunks == table.chunks.len() && rows + table.rows_rejected() == table.rows
}

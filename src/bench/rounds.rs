//! The rounds: each stage alone, the copy and the whole job, one after the other and all of it
//! again, so that what disturbs the machine for a while disturbs all of them.

use crate::bench::bottleneck::decide;
use crate::bench::generate::Summary;
use crate::bench::harness::Bench;
use crate::bench::measure::Cost;
use crate::bench::report::{Bottleneck, Generator, Limit, Name, ServerWork, Stage, median, per};
use crate::bench::request::connections;
use crate::bench::server::{Server, Work};
use crate::bench::stages::blocks::Blocks;
use crate::bench::stages::client;
use crate::bench::stages::copy_limit::{Commit, Load, Unload};
use crate::bench::stages::insert_limit::{Filled, fill};
use crate::control::cancel::CancelScope;
use crate::control::progress::Phase;
use crate::control::sizing::Resources;
use crate::copy::stats::CopyStats;
use crate::error::{Error, Result};
use crate::options::run_options::RunOptions;
use crate::report::{Outcome, PhaseTime, Verdict};
use crate::run::Planned as _;
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::env::RunEnv;
use crate::run::prepare;
use std::collections::HashMap;
use std::fs;

/// What all rounds gave.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    costs: HashMap<Name, Vec<Cost>>,
    /// By the number of connections.
    limits: Vec<(usize, Vec<Cost>)>,
    phases: Vec<Vec<PhaseTime>>,
    work: Vec<Work>,
}

fn stage_label(name: Name) -> &'static str {
    match name {
        Name::Scan => "scan",
        Name::Encode => "encode",
        Name::Hash => "hash",
        Name::Limit => "limit",
        Name::CopyOut => "copy out",
        Name::Insert => "insert",
        Name::Copy => "copy",
        Name::Whole => "whole",
    }
}

/// One round at work.
struct Round<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    blocks: &'a Blocks,
    number: usize,
}

impl Rounds {
    /// The steps of so many rounds.
    pub(crate) fn steps(rounds: usize) -> usize {
        // The limit is measured with each number of connections.
        rounds * (Name::ALL.len() - 1 + connections().len())
    }

    /// Measures.
    ///
    /// # Errors
    /// The first error of any stage; that of SQLite's inserts is only noted.
    pub(crate) fn measure(bench: &Bench<'_>, server: &Server, blocks: &Blocks) -> Result<Self> {
        let options = bench.options(server);
        let mut all = Self {
            limits: connections().into_iter().map(|n| (n, Vec::new())).collect(),
            ..Self::default()
        };
        for number in 1..=bench.request.rounds {
            let round = Round { bench, server, blocks, number };
            bench.planned(&options, |loading, env| round.stages(&mut all, loading, env))?;
            round.whole(&mut all, &options)?;
        }
        Ok(all)
    }

    fn add(&mut self, name: Name, cost: Cost) {
        self.costs.entry(name).or_default().push(cost);
    }

    fn of(&self, name: Name) -> &[Cost] {
        self.costs.get(&name).map_or(&[], Vec::as_slice)
    }

    /// The number of connections over which the server was quickest.
    pub(crate) fn best_connections(&self) -> usize {
        self.best_limit().map_or(1, |(connections, _)| *connections)
    }

    fn best_limit(&self) -> Option<&(usize, Vec<Cost>)> {
        let seconds = |costs: &[Cost]| median(costs.iter().map(|cost| cost.seconds));
        self.limits.iter().min_by(|a, b| seconds(&a.1).total_cmp(&seconds(&b.1)))
    }

    /// The stages, in the order in which they are told.
    pub(crate) fn stages(&self, blocks: &Blocks, used: &Resources) -> Vec<Stage> {
        let size = (blocks.rows(), blocks.bytes());
        let threads = |name| match name {
            Name::Scan | Name::Encode | Name::Hash => used.readers,
            Name::Limit => self.best_connections(),
            Name::CopyOut | Name::Copy | Name::Whole => used.writers,
            Name::Insert => 1,
        };
        let measured = Name::ALL.into_iter().filter_map(|name| {
            let costs = match name {
                Name::Limit => self.best_limit().map_or(&[][..], |(_, costs)| costs),
                _ => self.of(name),
            };
            (!costs.is_empty()).then(|| Stage::of(name, threads(name), size, costs))
        });
        measured.collect()
    }

    /// The limit for each number of connections.
    pub(crate) fn limits(&self, blocks: &Blocks) -> Vec<Limit> {
        let limit = |(connections, costs): &(usize, Vec<Cost>)| {
            let seconds = median(costs.iter().map(|cost| cost.seconds));
            let bytes_per_second = per(blocks.bytes() as f64, seconds);
            Limit { connections: *connections, seconds, bytes_per_second }
        };
        self.limits.iter().map(limit).collect()
    }

    /// The phases of the whole job.
    pub(crate) fn phases(&self) -> Vec<PhaseTime> {
        let seconds_of = |phase| {
            let of_round = |times: &Vec<PhaseTime>| {
                times.iter().find(|time| time.phase == phase).map_or(0.0, |time| time.seconds)
            };
            median(self.phases.iter().map(of_round))
        };
        let times = Phase::ALL.map(|phase| PhaseTime { phase, seconds: seconds_of(phase) });
        times.into_iter().filter(|time| time.seconds > 0.0).collect()
    }

    /// What the server did for a whole job, in the middle.
    pub(crate) fn work(&self) -> Work {
        let middle = |of: fn(&Work) -> Option<u64>| {
            let values: Option<Vec<f64>> =
                self.work.iter().map(|work| of(work).map(|value| value as f64)).collect();
            values.map(|values| median(values.into_iter()).round() as u64)
        };
        let (wal, forced) = (|work: &Work| work.wal_bytes, |work: &Work| work.forced_checkpoints);
        Work { wal_bytes: middle(wal), forced_checkpoints: middle(forced) }
    }

    /// The same, as it is told.
    pub(crate) fn server_work(&self, blocks: &Blocks) -> ServerWork {
        let Work { wal_bytes, forced_checkpoints } = self.work();
        let wal_bytes_per_row = wal_bytes.map(|bytes| per(bytes as f64, blocks.rows() as f64));
        ServerWork { wal_bytes, wal_bytes_per_row, forced_checkpoints }
    }

    /// The best limit's time for that of a stage, each with the limit of its own round.
    pub(crate) fn to_limit(&self, stage: Name) -> f64 {
        let limits = self.best_limit().map_or(&[][..], |(_, costs)| costs);
        let pairs = self.of(stage).iter().zip(limits);
        median(pairs.map(|(stage, limit)| per(limit.seconds, stage.seconds)))
    }

    /// The client's processor time for the server's, in the copy.
    pub(crate) fn client_to_server_cpu(&self) -> Option<f64> {
        let ratio = |cost: &Cost| Some(per(cost.client_cpu, cost.server_cpu?));
        let ratios: Option<Vec<f64>> = self.of(Name::Copy).iter().map(ratio).collect();
        ratios.map(|ratios| median(ratios.into_iter()))
    }

    /// The generator against SQLite's own inserts, where these were measured.
    pub(crate) fn generator(&self, made: &Summary) -> Option<Generator> {
        let rows: u64 = made.tables.iter().map(|(_, rows)| rows).sum();
        let inserts = self.of(Name::Insert);
        let seconds = median(inserts.iter().map(|cost| cost.seconds));
        (!inserts.is_empty() && made.seconds > 0.0).then(|| Generator {
            seconds: made.seconds,
            rows_per_second: per(rows as f64, made.seconds),
            insert_rows_per_second: per(rows as f64, seconds),
            of_the_limit: seconds / made.seconds,
        })
    }

    /// What held the work up.
    pub(crate) fn bottleneck(
        &self,
        blocks: &Blocks,
        used: &Resources,
        cores: usize,
    ) -> Result<Bottleneck> {
        let stages = self.stages(blocks, used);
        let decided = decide(&stages, &self.phases(), used.encoders, cores);
        decided.ok_or_else(|| Error::failed("internal error: a stage was not measured"))
    }
}

impl Round<'_> {
    fn step<T>(&self, name: Name, more: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let (number, rounds) = (self.number, self.bench.request.rounds);
        self.bench.step(&format!("round {number} of {rounds}: {}{more}", stage_label(name)), work)
    }

    fn stages(&self, all: &mut Rounds, loading: &mut PostgresLoad, env: &RunEnv<'_>) -> Result<()> {
        let Self { bench, blocks, server, .. } = self;
        let (meter, threads, cancel) =
            (server.meter(), env.resources.readers, &bench.control.cancel);
        {
            let (plan, subject) = (&loading.plan, (&loading.plan, &loading.source));
            let mut alone = |name, work: &dyn Fn() -> Result<()>| -> Result<()> {
                let ((), cost) = self.step(name, "", || meter.measure(work))?;
                all.add(name, cost);
                Ok(())
            };
            alone(Name::Scan, &|| client::scan(subject, threads, cancel))?;
            alone(Name::Encode, &|| client::encode(subject, threads, cancel))?;
            alone(Name::Hash, &|| client::hash(plan, blocks, threads, cancel))?;
        }
        self.limits(all, loading, env)?;
        self.insert(all, loading)?;
        let cost = self.step(Name::Copy, "", || copy(bench, server, loading, env))?;
        all.add(Name::Copy, cost);
        Ok(())
    }

    /// The server's limits. What the last one loaded is copied out.
    fn limits(&self, all: &mut Rounds, loading: &PostgresLoad, env: &RunEnv<'_>) -> Result<()> {
        let Self { bench, server, blocks, .. } = self;
        let (plan, cancel) = (&loading.plan, &bench.control.cancel);
        for (connections, costs) in &mut all.limits {
            server.scratch.empty()?;
            let more = format!(" over {connections} connections");
            let cost = self.step(Name::Limit, &more, || {
                load(server, loading, blocks, *connections, Commit::Async, cancel)
            })?;
            costs.push(cost);
        }
        let cost = self.step(Name::CopyOut, "", || {
            let unload = Unload::prepare(plan, &server.connection, env.resources.writers)?;
            let (rows, cost) = server.meter().measure(|| unload.run(cancel))?;
            if rows != blocks.rows() {
                let (had, sent) = (rows, blocks.rows());
                return Err(Error::failed(format!(
                    "{had} rows came back of {sent} that were sent"
                )));
            }
            Ok(cost)
        })?;
        all.add(Name::CopyOut, cost);
        server.scratch.empty()
    }

    /// SQLite's limit. A file whose definitions need more than SQLite alone has cannot be made
    /// again: that is noted.
    fn insert(&self, all: &mut Rounds, loading: &PostgresLoad) -> Result<()> {
        let path = self.bench.request.folder.join("new.db");
        let meter = self.server.meter();
        let measured = self.step(Name::Insert, "", || {
            let connection = loading.source.connect()?;
            let filled = meter.measure(|| fill(&connection, &path, &self.bench.control.cancel));
            // Nothing to remove is as good.
            let _ = fs::remove_file(&path);
            Ok(filled)
        })?;
        match measured {
            Ok((Filled { seconds, cpu, .. }, cost)) => {
                let own = Cost { seconds, client_cpu: cpu, server_cpu: None, ..cost };
                all.add(Name::Insert, own);
            }
            Err(error) if error.is_interrupted() => return Err(error),
            Err(error) => {
                let why = error.causes().first().map_or("", String::as_str);
                self.bench.note(format!("SQLite's insert limit was not measured: {why}"));
            }
        }
        Ok(())
    }

    fn whole(&self, all: &mut Rounds, options: &RunOptions) -> Result<()> {
        let Self { bench, server, .. } = self;
        let (report, cost, work) = self.step(Name::Whole, "", || {
            server.settle()?;
            let before = server.work()?;
            let control = bench.control.for_part();
            let (report, cost) = server.meter().measure(|| {
                let run = prepare(options, &control)?;
                let Outcome { report, result } = run.run(&control);
                result.map(|()| report)
            })?;
            Ok((report, cost, server.work()?.since(before)))
        })?;
        if let Some(set) = report.data_sets.iter().find(|set| set.verdict != Verdict::Match) {
            let error = Error::differs("the copy differs from its source");
            return Err(set.differences.iter().fold(error, Error::caused_by));
        }
        report.warnings.iter().for_each(|warning| bench.note(warning.clone()));
        all.add(Name::Whole, cost);
        all.phases.push(report.phases);
        all.work.push(work);
        server.scratch.empty()
    }
}

/// Has the server take the ready blocks into new tables, which stay.
pub(crate) fn load(
    server: &Server,
    loading: &PostgresLoad,
    blocks: &Blocks,
    connections: usize,
    commit: Commit,
    cancel: &CancelScope,
) -> Result<Cost> {
    let load = Load::prepare(&loading.plan, blocks, &server.connection, connections, commit)?;
    server.settle()?;
    server.meter().measure(|| load.run(cancel)).map(|((), cost)| cost)
}

/// The copy alone, into new tables, which are dropped.
pub(crate) fn copy(
    bench: &Bench<'_>,
    server: &Server,
    loading: &mut PostgresLoad,
    env: &RunEnv<'_>,
) -> Result<Cost> {
    let stats = CopyStats::new(loading.plan.tables.len());
    loading.begin(env)?;
    server.settle()?;
    let copied = server.meter().measure(|| loading.copy(env, &stats));
    bench.control.cancel.check()?;
    let ((), cost) = copied?;
    server.scratch.empty()?;
    Ok(cost)
}

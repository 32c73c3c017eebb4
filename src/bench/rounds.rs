//! The rounds: each stage alone, the copy and the whole job, in turns, so that a disturbance of the
//! machine affects all of them.

use crate::bench::bottleneck::decide;
use crate::bench::generate::Summary;
use crate::bench::harness::Bench;
use crate::bench::measure::Cost;
use crate::bench::report::{
    Bottleneck, Generator, Limit, Name, ServerWork, Stage, median, median_if_known, median_seconds,
    per,
};
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
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::env::RunEnv;
use crate::run::{Planned as _, prepare};
use std::collections::HashMap;
use std::fs;

/// The results of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    costs: HashMap<Name, Vec<Cost>>,
    /// The costs by number of connections.
    limits: Vec<(usize, Vec<Cost>)>,
    phases: Vec<Vec<PhaseTime>>,
    work: Vec<Work>,
}

/// A running round.
struct Round<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    blocks: &'a Blocks,
    number: usize,
}

impl Rounds {
    /// The number of steps of `rounds` rounds.
    pub(crate) fn steps(rounds: usize) -> usize {
        // The limit is measured with each number of connections.
        rounds * (Name::TITLES.len() - 1 + connections().len())
    }

    /// Measures. Errors: the first error of a stage. An error of SQLite's inserts becomes a note.
    pub(crate) fn measure(bench: &Bench<'_>, server: &Server, blocks: &Blocks) -> Result<Self> {
        let options = bench.options(server);
        let mut all = Self {
            limits: connections().into_iter().map(|n| (n, Vec::new())).collect(),
            ..Self::default()
        };
        for number in 1..=bench.request.rounds {
            let round = Round { bench, server, blocks, number };
            bench.planned(&options, |load, env| round.stages(&mut all, load, env))?;
            round.whole(&mut all, &options)?;
        }
        Ok(all)
    }

    fn add(&mut self, name: Name, cost: Cost) {
        self.costs.entry(name).or_default().push(cost);
    }

    fn costs(&self, name: Name) -> &[Cost] {
        self.costs.get(&name).map_or(&[], Vec::as_slice)
    }

    /// The number of connections with the fastest limit.
    pub(crate) fn best_connections(&self) -> usize {
        self.best_limit().map_or(1, |(connections, _)| *connections)
    }

    fn best_limit(&self) -> Option<&(usize, Vec<Cost>)> {
        let seconds = |limit: &(_, Vec<Cost>)| median_seconds(&limit.1);
        self.limits.iter().min_by(|a, b| seconds(a).total_cmp(&seconds(b)))
    }

    /// The stages, in the order of the report.
    pub(crate) fn stages(&self, blocks: &Blocks, used: &Resources) -> Vec<Stage> {
        let size = (blocks.rows(), blocks.bytes());
        let threads = |name| match name {
            Name::Scan | Name::Encode | Name::Hash => used.readers,
            Name::Limit => self.best_connections(),
            Name::CopyOut | Name::Copy | Name::Whole => used.writers,
            Name::Insert => 1,
        };
        let measured = Name::TITLES.into_iter().filter_map(|(name, _)| {
            let costs = match name {
                Name::Limit => self.best_limit().map_or(&[][..], |(_, costs)| costs),
                _ => self.costs(name),
            };
            (!costs.is_empty()).then(|| Stage::from_costs(name, threads(name), size, costs))
        });
        measured.collect()
    }

    /// The limit for each number of connections.
    pub(crate) fn limits(&self, blocks: &Blocks) -> Vec<Limit> {
        let limit = |(connections, costs): &(usize, Vec<Cost>)| {
            let seconds = median_seconds(costs);
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

    /// The server's work for a whole job, as medians.
    pub(crate) fn work(&self) -> Work {
        let median_of = |of: fn(&Work) -> Option<u64>| {
            let values = self.work.iter().map(|work| of(work).map(|value| value as f64));
            median_if_known(values).map(|value| value.round() as u64)
        };
        let (wal, forced) = (|work: &Work| work.wal_bytes, |work: &Work| work.forced_checkpoints);
        Work { wal_bytes: median_of(wal), forced_checkpoints: median_of(forced) }
    }

    /// The server's work for the report.
    pub(crate) fn server_work(&self, blocks: &Blocks) -> ServerWork {
        let Work { wal_bytes, forced_checkpoints } = self.work();
        let wal_bytes_per_row = wal_bytes.map(|bytes| per(bytes as f64, blocks.rows() as f64));
        ServerWork { wal_bytes, wal_bytes_per_row, forced_checkpoints }
    }

    /// The speed of a stage relative to the best limit of the same round.
    pub(crate) fn to_limit(&self, stage: Name) -> f64 {
        let limits = self.best_limit().map_or(&[][..], |(_, costs)| costs);
        let pairs = self.costs(stage).iter().zip(limits);
        median(pairs.map(|(stage, limit)| per(limit.seconds, stage.seconds)))
    }

    /// The client's processor time divided by the server's, in the copy.
    pub(crate) fn client_to_server_cpu(&self) -> Option<f64> {
        let ratio = |cost: &Cost| Some(per(cost.client_cpu, cost.server_cpu?));
        median_if_known(self.costs(Name::Copy).iter().map(ratio))
    }

    /// The generator compared with SQLite's inserts, if these were measured.
    pub(crate) fn generator(&self, made: &Summary) -> Option<Generator> {
        let rows: u64 = made.tables.iter().map(|(_, rows)| rows).sum();
        let inserts = self.costs(Name::Insert);
        let seconds = median_seconds(inserts);
        (!inserts.is_empty() && made.seconds > 0.0).then(|| Generator {
            seconds: made.seconds,
            rows_per_second: per(rows as f64, made.seconds),
            insert_rows_per_second: per(rows as f64, seconds),
            of_the_limit: seconds / made.seconds,
        })
    }

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
        self.bench.step(&format!("round {number} of {rounds}: {}{more}", name.title()), work)
    }

    fn stages(&self, all: &mut Rounds, load: &mut PostgresLoad, env: &RunEnv<'_>) -> Result<()> {
        let Self { bench, blocks, server, .. } = self;
        let (threads, cancel) = (env.resources.readers, &bench.control.cancel);
        let subject = (&load.plan, &load.source);
        let mut alone = |name, work: &dyn Fn() -> Result<()>| -> Result<()> {
            let ((), cost) = self.step(name, "", || server.meter().measure(work))?;
            all.add(name, cost);
            Ok(())
        };
        alone(Name::Scan, &|| client::scan(subject, threads, cancel))?;
        alone(Name::Encode, &|| client::encode(subject, threads, cancel))?;
        alone(Name::Hash, &|| client::hash(subject.0, blocks, threads, cancel))?;
        self.limits(all, load, env)?;
        self.insert(all, load)?;
        let cost = self.step(Name::Copy, "", || copy(bench, server, load, env))?;
        all.add(Name::Copy, cost);
        Ok(())
    }

    /// Measures the server's limits. The rows of the last one are copied out.
    fn limits(&self, all: &mut Rounds, load: &PostgresLoad, env: &RunEnv<'_>) -> Result<()> {
        let Self { bench, server, blocks, .. } = self;
        let (plan, cancel) = (&load.plan, &bench.control.cancel);
        for (connections, costs) in &mut all.limits {
            server.scratch.empty()?;
            let more = format!(" over {connections} connections");
            let cost = self.step(Name::Limit, &more, || {
                send(server, load, blocks, *connections, Commit::Async, cancel)
            })?;
            costs.push(cost);
        }
        let cost = self.step(Name::CopyOut, "", || {
            let unload = Unload::prepare(plan, &server.connection, env.resources.writers)?;
            let (rows, cost) = server.meter().measure(|| unload.run(cancel))?;
            let sent = blocks.rows();
            match rows == sent {
                true => Ok(cost),
                false => Err(Error::failed(format!("{rows} of {sent} rows were read back"))),
            }
        })?;
        all.add(Name::CopyOut, cost);
        server.scratch.empty()
    }

    /// Measures SQLite's limit. A schema that needs functions of an application cannot be created
    /// again, which becomes a note.
    fn insert(&self, all: &mut Rounds, load: &PostgresLoad) -> Result<()> {
        let path = self.bench.request.folder.join("new.db");
        let meter = self.server.meter();
        let measured = self.step(Name::Insert, "", || {
            let connection = load.source.connect()?;
            let filled = meter.measure(|| fill(&connection, &path, &self.bench.control.cancel));
            // The file may be missing.
            let _ = fs::remove_file(&path);
            Ok(filled)
        })?;
        match measured {
            Ok((Filled { seconds, cpu: client_cpu, .. }, cost)) => {
                all.add(Name::Insert, Cost { seconds, client_cpu, server_cpu: None, ..cost });
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
            server.checkpoint()?;
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

/// Sends the encoded blocks into new tables, which stay.
pub(crate) fn send(
    server: &Server,
    load: &PostgresLoad,
    blocks: &Blocks,
    connections: usize,
    commit: Commit,
    cancel: &CancelScope,
) -> Result<Cost> {
    let sender = Load::prepare(&load.plan, blocks, &server.connection, connections, commit)?;
    server.checkpoint()?;
    server.meter().measure(|| sender.run(cancel)).map(|((), cost)| cost)
}

/// Measures the copy alone, into new tables, which are dropped.
pub(crate) fn copy(
    bench: &Bench<'_>,
    server: &Server,
    load: &mut PostgresLoad,
    env: &RunEnv<'_>,
) -> Result<Cost> {
    let stats = CopyStats::new(load.plan.tables.len());
    load.begin(env)?;
    server.checkpoint()?;
    let copied = server.meter().measure(|| load.copy(env, &stats));
    bench.control.cancel.check()?;
    let ((), cost) = copied?;
    server.scratch.empty()?;
    Ok(cost)
}

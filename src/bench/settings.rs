//! The server's settings that cost most, and what others would save.
//!
//! A server of our own is set beside others with one setting changed each, and all of them do the
//! same work in turns. Of somebody else's server only what a session may set is tried; of the rest
//! it is told how it stands, and nothing is guessed.

use crate::bench::harness::Bench;
use crate::bench::measure::machine_memory;
use crate::bench::report::{Effect, Setting, Work, median, per};
use crate::bench::rounds::{Rounds, load};
use crate::bench::server::{Server, ServerSettings};
use crate::bench::stages::blocks::Blocks;
use crate::bench::stages::copy_limit::Commit;
use crate::control::progress::Phase;
use crate::copy::stats::CopyStats;
use crate::error::Result;

/// Servers with another setting than the default.
pub(crate) const VARIANTS: usize = 4;

const MIB: u64 = 1 << 20;

/// What a session sets itself.
const OF_A_SESSION: &str = "synchronous_commit";

/// A server with one setting changed, and what the same work took there.
struct Other {
    name: &'static str,
    tried: String,
    server: Server,
    times: Vec<Times>,
}

/// Seconds of the same work on one server, in one round.
#[derive(Debug, Clone, Copy)]
struct Times {
    limit: f64,
    copy: f64,
    finish: f64,
}

/// The steps of measuring settings: with servers of our own, or with somebody else's alone.
pub(crate) fn steps(rounds: usize, is_private: bool) -> usize {
    match is_private {
        // The servers' start, all of them, and the limit with commits that are waited for.
        true => 1 + rounds * (VARIANTS + 2),
        false => rounds,
    }
}

/// The settings as they are, where nothing is to be tried.
pub(crate) fn current(looked: &ServerSettings, rounds: &Rounds) -> Vec<Setting> {
    settings(looked, rounds, Vec::new())
}

/// Measures.
///
/// # Errors
/// The server's, or that everything is to end. A server that does not start with a changed setting
/// is only noted.
pub(crate) fn measure(
    bench: &Bench<'_>,
    server: &Server,
    looked: &ServerSettings,
    blocks: &Blocks,
    connections: usize,
    rounds: &Rounds,
) -> Result<Vec<Setting>> {
    let mut others = match server.is_private() {
        true => bench.step("starting servers with other settings", || start(bench))?,
        false => Vec::new(),
    };
    let (mut own, mut in_flight, mut not_awaited) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=bench.request.rounds {
        let what = |name: &str| format!("settings, round {round}: {name}");
        if server.is_private() {
            let times = || times(bench, server, blocks, connections);
            // In turn, so that neither is always the one that comes first.
            let later = round % 2 == 0;
            if !later {
                own.push(bench.step(&what("as they are"), times)?);
            }
            for Other { name, server, times: taken, .. } in &mut others {
                let times = || self::times(bench, server, blocks, connections);
                taken.push(bench.step(&what(name), times)?);
            }
            if later {
                own.push(bench.step(&what("as they are"), times)?);
            }
        }
        let (with, without) =
            bench.step(&what(OF_A_SESSION), || commits(bench, server, blocks, connections))?;
        in_flight.push(with);
        not_awaited.push(without);
    }
    let mut tried =
        vec![(OF_A_SESSION, "off".to_owned(), vec![effect(Work::Limit, &in_flight, &not_awaited)])];
    for Other { name, tried: value, server, times } in others {
        let of = |of: fn(&Times) -> f64, work| {
            let seconds = |times: &[Times]| times.iter().map(of).collect::<Vec<_>>();
            effect(work, &seconds(&own), &seconds(&times))
        };
        let effects = vec![
            of(|times| times.limit, Work::Limit),
            of(|times| times.copy, Work::Copy),
            of(|times| times.finish, Work::Finish),
        ];
        tried.push((name, value, effects));
        server.end()?;
    }
    Ok(settings(looked, rounds, tried))
}

/// Starts the servers with another setting each.
fn start(bench: &Bench<'_>) -> Result<Vec<Other>> {
    let buffers = format!("{}MB", (machine_memory()? / 4 / MIB).max(128));
    let value = |name, value: &str| (name, value.to_owned());
    let wanted: [Vec<(&str, String)>; VARIANTS] = [
        // The second because the first goes without replicas only.
        vec![value("wal_level", "minimal"), value("max_wal_senders", "0")],
        vec![value("max_wal_size", "16GB")],
        vec![value("shared_buffers", &buffers)],
        vec![value("full_page_writes", "off")],
    ];
    let mut others = Vec::new();
    for all in wanted {
        let Some((name, tried)) = all.first().cloned() else { continue };
        bench.control.cancel.check()?;
        match Server::start(&all, &bench.request.schema) {
            Ok(server) => others.push(Other { name, tried, server, times: Vec::new() }),
            Err(error) => bench.note(format!("{name} = {tried} was not tried: {error}")),
        }
    }
    Ok(others)
}

/// What the same work takes on one server: ready blocks, then the copy and what follows it.
fn times(bench: &Bench<'_>, server: &Server, blocks: &Blocks, connections: usize) -> Result<Times> {
    bench.planned(&bench.options(server), |loading, env| {
        let cancel = &bench.control.cancel;
        let limit = load(server, loading, blocks, connections, Commit::Async, cancel)?;
        server.scratch.empty()?;
        let stats = CopyStats::new(loading.plan.tables.len());
        loading.begin(env)?;
        server.settle()?;
        // The clocks of both phases run while they are at work; so far neither was.
        loading.load(env, &stats)?;
        env.control.progress.end();
        let seconds = |phase| env.control.progress.phase(phase).seconds();
        let (copy, finish) = (seconds(Phase::Copy), seconds(Phase::Finish));
        server.scratch.empty()?;
        Ok(Times { limit: limit.seconds, copy, finish })
    })
}

/// Seconds of the limit with commits that are waited for, and without.
fn commits(
    bench: &Bench<'_>,
    server: &Server,
    blocks: &Blocks,
    connections: usize,
) -> Result<(f64, f64)> {
    bench.planned(&bench.options(server), |loading, _| {
        let with = |commit| -> Result<f64> {
            let cost = load(server, loading, blocks, connections, commit, &bench.control.cancel)?;
            server.scratch.empty()?;
            Ok(cost.seconds)
        };
        Ok((with(Commit::Synced)?, with(Commit::Async)?))
    })
}

fn effect(work: Work, own: &[f64], tried: &[f64]) -> Effect {
    let seconds = |of: &[f64]| median(of.iter().copied());
    let saved = own.iter().zip(tried).map(|(own, tried)| 1.0 - per(*tried, *own));
    Effect {
        work,
        seconds: seconds(own),
        seconds_tried: seconds(tried),
        saves: median(saved),
        noise: spread(own).max(spread(tried)),
    }
}

/// How far apart they are, as a part of their median.
fn spread(seconds: &[f64]) -> f64 {
    let fold = |of: fn(f64, f64) -> f64| seconds.iter().copied().reduce(of).unwrap_or(0.0);
    per(fold(f64::max) - fold(f64::min), median(seconds.iter().copied()))
}

/// A setting that was tried, the value, and what came of it.
type Tried = (&'static str, String, Vec<Effect>);

fn settings(looked: &ServerSettings, rounds: &Rounds, tried: Vec<Tried>) -> Vec<Setting> {
    let mut tried = tried;
    looked
        .values
        .iter()
        .map(|(name, value)| {
            let at = tried.iter().position(|(of, ..)| of == name);
            let (tried, effects) = match at.map(|at| tried.swap_remove(at)) {
                Some((_, tried, effects)) => (Some(tried), effects),
                None => (None, Vec::new()),
            };
            let (name, value) = ((*name).to_owned(), value.clone());
            let advice = advice(&name, rounds);
            Setting { name, value, tried, effects, advice }
        })
        .collect()
}

/// What the user should know before changing it.
fn advice(name: &str, rounds: &Rounds) -> String {
    let text = match name {
        "wal_level" => {
            "minimal spares the log of index builds; it takes max_wal_senders = 0 and a restart, \
             and no replica or archive follows meanwhile"
        }
        "max_wal_size" => return advice_on_wal(rounds),
        "shared_buffers" => "a change takes a restart",
        "full_page_writes" => {
            "off RISKS THE DATA: a crash can leave pages half written; shown for knowledge only"
        }
        "fsync" => "off RISKS THE DATA of the whole server, so it is not tried; leave it on",
        _ => {
            "a copy sets it off for itself, whatever the server says, and makes sure at its end \
             that all is on the disk"
        }
    };
    text.to_owned()
}

fn advice_on_wal(rounds: &Rounds) -> String {
    let work = rounds.work();
    let mut text = match work.forced_checkpoints {
        Some(0) => "no checkpoint was forced while a whole job ran".to_owned(),
        Some(1) => "1 checkpoint was forced while a whole job ran".to_owned(),
        Some(n) => format!("{n} checkpoints were forced while a whole job ran"),
        None => "forced checkpoints cannot be seen here".to_owned(),
    };
    if let Some(wal) = work.wal_bytes {
        text.push_str(&format!(
            ", which wrote {:.1} MB of log: above twice that, none is forced; a change takes a \
             reload",
            wal as f64 / 1e6
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saving_is_the_middle_of_the_rounds_own_savings_beside_the_noise() {
        // The machine was slower in the second round, for both.
        let effect = effect(Work::Copy, &[10.0, 20.0, 11.0], &[8.0, 16.0, 11.0]);
        assert_eq!((effect.seconds, effect.seconds_tried), (11.0, 11.0));
        assert!((effect.saves - 0.2).abs() < 1e-9, "{effect:?}");
        assert!((effect.noise - 10.0 / 11.0).abs() < 1e-9, "{effect:?}");
        assert!((spread(&[9.0, 10.0, 12.0]) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn what_costs_more_saves_less_than_nothing() {
        assert!(effect(Work::Limit, &[1.0], &[1.5]).saves < -0.4);
        assert_eq!(effect(Work::Limit, &[], &[]).saves, 0.0);
    }
}

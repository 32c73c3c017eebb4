//! The server's most important settings, and the effect of other values.
//!
//! A private server is compared with others that have one changed setting each; all do the same
//! work in turns. On a user's server only a setting of the session is changed; the others are
//! reported as they are.

use crate::bench::harness::Bench;
use crate::bench::measure::machine_memory;
use crate::bench::report::{Effect, Setting, Work, median, per};
use crate::bench::rounds::{Rounds, send};
use crate::bench::server::{Server, ServerSettings};
use crate::bench::stages::blocks::Blocks;
use crate::bench::stages::copy_limit::Commit;
use crate::control::progress::Phase;
use crate::copy::stats::CopyStats;
use crate::error::Result;

/// The number of servers with another setting than the default.
pub(crate) const VARIANTS: usize = 4;

const MIB: u64 = 1 << 20;

/// The setting that a session may change.
const SESSION_SETTING: &str = "synchronous_commit";

/// A server with one changed setting, and the times of the work on it.
struct Variant {
    name: &'static str,
    value: String,
    server: Server,
    times: Vec<Times>,
}

/// The work that is timed on each server.
const WORK: [Work; 3] = [Work::Limit, Work::Copy, Work::Finish];

/// The seconds of [`WORK`] on one server in one round.
type Times = [f64; 3];

/// The number of steps: with private servers, or with a user's server alone.
pub(crate) fn steps(rounds: usize, is_private: bool) -> usize {
    match is_private {
        // The start of the servers, each server, and the limit with synchronous commits.
        true => 1 + rounds * (VARIANTS + 2),
        false => rounds,
    }
}

/// The current settings, without measurements.
pub(crate) fn current(settings_of_server: &ServerSettings, rounds: &Rounds) -> Vec<Setting> {
    settings(settings_of_server, rounds, &[])
}

/// Measures. Errors: a measurement failed or was stopped. A server that does not start with a
/// changed setting becomes a note.
pub(crate) fn measure(
    bench: &Bench<'_>,
    server: &Server,
    settings_of_server: &ServerSettings,
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
            // In turns, so that neither always comes first.
            let later = round % 2 == 0;
            if !later {
                own.push(bench.step(&what("unchanged"), times)?);
            }
            for Variant { name, server, times: taken, .. } in &mut others {
                let times = || self::times(bench, server, blocks, connections);
                taken.push(bench.step(&what(name), times)?);
            }
            if later {
                own.push(bench.step(&what("unchanged"), times)?);
            }
        }
        let (with, without) =
            bench.step(&what(SESSION_SETTING), || commits(bench, server, blocks, connections))?;
        in_flight.push(with);
        not_awaited.push(without);
    }
    let session_effects = vec![effect(Work::Limit, &in_flight, &not_awaited)];
    let mut tried = vec![(SESSION_SETTING, "off".to_owned(), session_effects)];
    for Variant { name, value, server, times } in others {
        let of = |times: &[Times], at: usize| times.iter().map(|one| one[at]).collect::<Vec<_>>();
        let effects = WORK.into_iter().enumerate();
        let effects = effects.map(|(at, work)| effect(work, &of(&own, at), &of(&times, at)));
        let effects = effects.collect();
        tried.push((name, value, effects));
        server.end()?;
    }
    Ok(settings(settings_of_server, rounds, &tried))
}

/// Starts the servers with a changed setting each.
fn start(bench: &Bench<'_>) -> Result<Vec<Variant>> {
    let buffers = format!("{}MB", (machine_memory()? / 4 / MIB).max(128));
    let value = |name, value: &str| (name, value.to_owned());
    let changed: [Vec<(&str, String)>; VARIANTS] = [
        // The first value requires the second.
        vec![value("wal_level", "minimal"), value("max_wal_senders", "0")],
        vec![value("max_wal_size", "16GB")],
        vec![value("shared_buffers", &buffers)],
        vec![value("full_page_writes", "off")],
    ];
    let mut others = Vec::new();
    for all in changed {
        let Some((name, tried)) = all.first().cloned() else { continue };
        bench.control.cancel.check()?;
        match Server::start(&all, &bench.request.schema) {
            Ok(server) => others.push(Variant { name, value: tried, server, times: Vec::new() }),
            Err(error) => bench.note(format!("{name} = {tried} was not measured: {error}")),
        }
    }
    Ok(others)
}

/// Does the work on one server: encoded blocks, then the copy and its finish.
fn times(bench: &Bench<'_>, server: &Server, blocks: &Blocks, connections: usize) -> Result<Times> {
    bench.planned(&bench.options(server), |load, env| {
        let cancel = &bench.control.cancel;
        let limit = send(server, load, blocks, connections, Commit::Async, cancel)?;
        server.scratch.empty()?;
        let stats = CopyStats::new(load.plan.tables.len());
        load.begin(env)?;
        server.checkpoint()?;
        load.load(env, &stats)?;
        env.control.progress.end();
        let seconds = |phase| env.control.progress.phase(phase).seconds();
        let (copy, finish) = (seconds(Phase::Copy), seconds(Phase::Finish));
        server.scratch.empty()?;
        Ok([limit.seconds, copy, finish])
    })
}

/// Seconds of the limit with synchronous and with asynchronous commits.
fn commits(
    bench: &Bench<'_>,
    server: &Server,
    blocks: &Blocks,
    connections: usize,
) -> Result<(f64, f64)> {
    bench.planned(&bench.options(server), |load, _| {
        let with = |commit| -> Result<f64> {
            let cost = send(server, load, blocks, connections, commit, &bench.control.cancel)?;
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

/// The spread relative to the median.
fn spread(seconds: &[f64]) -> f64 {
    let fold = |of: fn(f64, f64) -> f64| seconds.iter().copied().reduce(of).unwrap_or(0.0);
    per(fold(f64::max) - fold(f64::min), median(seconds.iter().copied()))
}

/// A changed setting, its value, and the effects.
type Tried = (&'static str, String, Vec<Effect>);

fn settings(settings_of_server: &ServerSettings, rounds: &Rounds, tried: &[Tried]) -> Vec<Setting> {
    let setting = |(name, value): &(&'static str, String)| {
        let found = tried.iter().find(|(of, ..)| of == name);
        Setting {
            name: (*name).to_owned(),
            value: value.clone(),
            tried: found.map(|(_, tried, _)| tried.clone()),
            effects: found.map(|(.., effects)| effects.clone()).unwrap_or_default(),
            advice: advice(name, rounds),
        }
    };
    settings_of_server.values.iter().map(setting).collect()
}

/// Advice on changing a setting.
fn advice(name: &str, rounds: &Rounds) -> String {
    let text = match name {
        "wal_level" => {
            "minimal skips the WAL of index builds; it needs max_wal_senders = 0 and a restart, and \
             interrupts replicas and archives"
        }
        "max_wal_size" => return advice_on_wal(rounds),
        "shared_buffers" => "a change needs a restart",
        "full_page_writes" => {
            "off RISKS THE DATA: a crash can leave torn pages; measured for information only"
        }
        "fsync" => "off RISKS THE DATA of the whole server; not measured, leave it on",
        _ => {
            "a copy turns it off for its own sessions, and makes sure at the end that all rows are \
             on disk"
        }
    };
    text.to_owned()
}

fn advice_on_wal(rounds: &Rounds) -> String {
    let work = rounds.work();
    let mut text = match work.forced_checkpoints {
        Some(0) => "no checkpoint was forced during a whole job".to_owned(),
        Some(1) => "1 checkpoint was forced during a whole job".to_owned(),
        Some(n) => format!("{n} checkpoints were forced during a whole job"),
        None => "forced checkpoints cannot be read".to_owned(),
    };
    if let Some(wal) = work.wal_bytes {
        text.push_str(&format!(
            ", which wrote {:.1} MB of WAL; with a value above twice that none is forced; a change \
             needs a reload",
            wal as f64 / 1e6
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saving_is_the_median_of_the_savings_of_the_rounds() {
        // The machine was slower in the second round, for both.
        let effect = effect(Work::Copy, &[10.0, 20.0, 11.0], &[8.0, 16.0, 11.0]);
        assert_eq!((effect.seconds, effect.seconds_tried), (11.0, 11.0));
        assert!((effect.saves - 0.2).abs() < 1e-9, "{effect:?}");
        assert!((effect.noise - 10.0 / 11.0).abs() < 1e-9, "{effect:?}");
        assert!((spread(&[9.0, 10.0, 12.0]) - 0.3).abs() < 1e-9);
    }

    #[test]
    fn a_slower_value_saves_a_negative_share() {
        assert!(effect(Work::Limit, &[1.0], &[1.5]).saves < -0.4);
        assert_eq!(effect(Work::Limit, &[], &[]).saves, 0.0);
    }
}

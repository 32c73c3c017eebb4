//! Fault tests: runs of the real program are killed, disconnected and stalled, and resumed until they
//! succeed. Then queries to both databases check that every row arrived once. `scripts/torture` builds
//! and starts this program.
//!
//! A round is one source, one target database, and one fault at one moment. Its random numbers come from
//! its seed; only the timing varies.
#![allow(unreachable_pub, missing_docs, reason = "a program has no public items")]

mod check;
mod control;
mod disk;
mod fault;
mod proxy;
mod round;
mod source;
mod table;
mod tool;

use clap::Parser;
use control::Control;
use fault::{Fault, Moment};
use round::Round;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use table::Table;

/// The result of a step; an error fails the round.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The default number of rounds: each fault at each moment.
const ROUNDS: usize = Fault::ALL.len() * Moment::ALL.len();

/// Kills, disconnects and stalls runs at random moments, and checks that every row arrives once.
#[derive(Debug, Parser)]
#[command(name = "scripts/torture")]
struct Arguments {
    /// The program.
    #[arg(long, hide = true)]
    binary: PathBuf,
    /// The seed of the first round; each round adds 1 [default: random].
    #[arg(long)]
    seed: Option<u64>,
    /// The number of rounds [default: each fault at each moment].
    #[arg(long, conflicts_with = "time")]
    rounds: Option<usize>,
    /// Run for this time, such as 10m or 1h.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Only this fault.
    #[arg(long, value_enum)]
    only: Option<Fault>,
    /// Only at this moment.
    #[arg(long, value_enum)]
    at: Option<Moment>,
    /// A few small rounds, to check that it works.
    #[arg(long)]
    smoke: bool,
    /// Print the table at the end as Markdown.
    #[arg(long)]
    markdown: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<jiff::SignedDuration>().map_err(|error| error.to_string())?;
    Duration::try_from(time).map_err(|error| error.to_string())
}

/// The rounds of the smoke test, which take seconds.
const SMOKE: [(Fault, Moment); 7] = [
    (Fault::KillTool, Moment::Copy),
    (Fault::CtrlC, Moment::Copy),
    (Fault::KillTool, Moment::Finish),
    (Fault::Terminate, Moment::Copy),
    (Fault::HoldCommit, Moment::Copy),
    (Fault::Dropped, Moment::Copy),
    (Fault::KillServer, Moment::Verify),
];

/// The fault and the moment of each round.
fn plan(arguments: &Arguments) -> Vec<(Fault, Moment)> {
    if arguments.smoke {
        return SMOKE.to_vec();
    }
    let faults: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|fault| arguments.only.is_none_or(|it| it == *fault))
        .collect();
    let moments = Moment::ALL.into_iter().filter(|at| arguments.at.is_none_or(|it| it == *at));
    moments.flat_map(|moment| faults.iter().map(move |fault| (*fault, moment))).collect()
}

fn main() -> Outcome<ExitCode> {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    let mut out = io::stdout();
    writeln!(out, "seed {seed}")?;
    let plan = plan(&arguments);
    let rounds = match (arguments.time, arguments.rounds, arguments.smoke) {
        (Some(_), ..) => usize::MAX,
        (None, Some(rounds), _) => rounds,
        (None, None, true) => plan.len(),
        (None, None, false) if arguments.only.is_some() => plan.len(),
        (None, None, false) => ROUNDS,
    };
    let started = Instant::now();
    let mut control = Control::start()?;
    let mut table = Table::default();
    let mut failures = 0;
    for number in 0..rounds {
        if arguments.time.is_some_and(|time| started.elapsed() >= time) {
            break;
        }
        let (fault, moment) = plan[number % plan.len()];
        let seed = seed.wrapping_add(number as u64);
        let round =
            Round { binary: &arguments.binary, seed, fault, moment, small: arguments.smoke };
        let ended = round.run(&mut control);
        let result = match &ended {
            Ok(ended) => ended.to_string(),
            Err(error) => format!("FAILED: {error}"),
        };
        writeln!(
            out,
            "{:>4} seed {seed} {} at {}: {result}",
            number + 1,
            fault.as_word(),
            moment.as_word()
        )?;
        if ended.is_err() {
            failures += 1;
            writeln!(
                out,
                "     repeat: scripts/torture --seed {seed} --rounds 1 --only {} --at {}",
                fault.as_word(),
                moment.as_word()
            )?;
            control.renew()?;
        }
        out.flush()?;
        table.add(fault, moment, &ended);
    }
    writeln!(out)?;
    table.write(&mut out, arguments.markdown)?;
    if !disk::can_be_filled() && arguments.only.is_none_or(|it| it == Fault::DiskFull) {
        writeln!(out, "\nNOT TESTED on this machine: a full disk (mounting a tmpfs needs root)")?;
    }
    let rounds = if failures == 1 { "round" } else { "rounds" };
    writeln!(out, "\n{failures} {rounds} failed, in {} s", started.elapsed().as_secs())?;
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! The estimate: how long copy, finish and verification will take, from a sample that went the
//! whole way, and what of that must be kept free so that a deadline can be kept.

pub(crate) mod sample;

use crate::control::deadline::Deadline;
use crate::control::progress::Phase;
use crate::copy::stats::CopyStats;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::report::TimeLimit;
use crate::run::data_set::to_postgres::{PostgresLoad, RunEnv};
use serde::Serialize;

/// Seconds that the phases to come will about take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Copying the rows that are not there yet.
    pub(crate) copy: f64,
    /// Indexes, constraints, statistics.
    pub(crate) finish: f64,
    /// Reading both sides again.
    pub(crate) verify: f64,
    /// What the first is made of: bytes of rows still to be copied.
    #[serde(skip)]
    pub(crate) bytes: u64,
    /// The copy is held back by the rate that was asked for, not by what the databases can do.
    #[serde(skip)]
    pub(crate) held_back: bool,
}

impl Estimate {
    /// Seconds of all phases.
    pub(crate) fn total(&self) -> f64 {
        self.copy + self.finish + self.verify
    }

    /// Both of two data sets, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            copy: self.copy + other.copy,
            finish: self.finish + other.finish,
            verify: self.verify + other.verify,
            bytes: self.bytes + other.bytes,
            held_back: self.held_back || other.held_back,
        }
    }

    /// Seconds that finish and verification need, once so many `bytes` were copied in so many
    /// `seconds`. A copy that turns out slower than the sample was tells of a machine that is
    /// slower at all of it; a quicker one tells nothing, as the work after it is of another kind.
    pub(crate) fn reserve(&self, bytes: u64, seconds: f64) -> f64 {
        let expected = self.copy * bytes as f64 / (self.bytes.max(1)) as f64;
        let settled = seconds >= MIN_SAMPLE_SECS && expected > 0.0 && !self.held_back;
        let slowness = if settled { (seconds / expected).max(1.0) } else { 1.0 };
        (self.finish + self.verify) * slowness
    }
}

/// Before so many seconds of copying its speed is an accident.
const MIN_SAMPLE_SECS: f64 = 5.0;

/// Measures what all data sets will take, one after the other.
///
/// # Errors
/// Refused where they would not be over by the deadline; and those of either side.
pub(crate) fn of_all(
    sets: &mut [PostgresLoad],
    deadline: &Deadline,
    env: &RunEnv<'_>,
) -> Result<TimeLimit> {
    env.control.progress.phase(Phase::Plan).set_step("measuring how long it will take");
    let mut all: Option<Estimate> = None;
    for set in sets {
        let one = set.measure(env)?;
        all = Some(all.map_or(one, |all| all.and(one)));
    }
    let left = deadline.seconds_left();
    match all {
        Some(estimate) if estimate.total() > left && !env.options.allow_late => {
            Err(too_late(&estimate, deadline, left))
        }
        estimate => Ok(TimeLimit { deadline: deadline.to_string(), estimate }),
    }
}

/// The error of a run that would not be over in time.
fn too_late(estimate: &Estimate, deadline: &Deadline, left: f64) -> Error {
    let time = |seconds: f64| format!("{}s", seconds.round());
    Error::refused(format!("the run would not be over by the deadline, {deadline}"))
        .caused_by(format!(
            "it would about take {}: copy {}, finish {}, verification {}; {} are left",
            time(estimate.total()),
            time(estimate.copy),
            time(estimate.finish),
            time(estimate.verify),
            time(left.max(0.0))
        ))
        .hint("give it more time; --depth rows or --no-verify take less of it")
        .hint("--allow-late goes on all the same, and pauses at the deadline")
}

/// What of a deadline concerns the data set at hand.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// When the run must be over.
    pub(crate) deadline: Deadline,
    /// What its phases will take; `None` where nothing is kept free for what comes after the copy.
    pub(crate) estimate: Option<Estimate>,
}

impl Watch {
    /// Watches over the data set whose turn it is; `None` without a deadline.
    pub(crate) fn over(set: &PostgresLoad, options: &Options) -> Option<Self> {
        let deadline = options.deadline.clone()?;
        Some(Self { deadline, estimate: set.estimate.filter(|_| !options.allow_late) })
    }

    /// Whether the run must stop now. While it copies, the time that finish and verification need
    /// is kept free: a copy that is not over by then cannot be finished in time.
    pub(crate) fn is_over(&self, stats: &CopyStats) -> bool {
        let reserve = match (&self.estimate, stats.pace()) {
            (Some(estimate), Some((bytes, seconds))) => estimate.reserve(bytes, seconds),
            _ => 0.0,
        };
        self.deadline.seconds_left() <= reserve
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    const ESTIMATE: Estimate =
        Estimate { copy: 100.0, finish: 50.0, verify: 30.0, bytes: 1000, held_back: false };

    #[test]
    fn a_copy_that_is_slower_than_the_sample_keeps_more_free() {
        let reserves = [(500, 50.0), (500, 25.0), (500, 100.0), (0, 1.0)];
        let reserves = reserves.map(|(bytes, seconds)| ESTIMATE.reserve(bytes, seconds));
        assert_eq!(reserves, [80.0, 80.0, 160.0, 80.0]);
    }

    #[test]
    fn a_copy_that_is_held_back_tells_nothing_of_what_comes_after() {
        let held_back = Estimate { held_back: true, ..ESTIMATE };
        assert!((held_back.reserve(500, 1000.0) - 80.0).abs() < 1e-9);
    }

    #[test]
    fn the_reserve_is_kept_while_copying_and_used_up_afterwards() {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let deadline = Deadline::after("60s", &now).unwrap();
        let over = |is_copying: bool, estimate| {
            let stats = CopyStats::new(0);
            if !is_copying {
                stats.end_copy();
            }
            Watch { deadline: deadline.clone(), estimate }.is_over(&stats)
        };
        assert!(over(true, Some(ESTIMATE)), "80 s are kept free and 60 are left");
        assert!(!over(false, Some(ESTIMATE)));
        assert!(!over(true, None));
    }
}

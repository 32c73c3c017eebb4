//! The estimated time of copy, finish and verification, and the time that a deadline must reserve.

pub(crate) mod sample;

use crate::control::deadline::Deadline;
use crate::copy::stats::CopyStats;
use crate::error::{Error, Result};
use crate::report::{Estimate, TimeLimit};

impl Estimate {
    /// The sum for two data sets, one after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            copy: self.copy + other.copy,
            finish: self.finish + other.finish,
            verify: self.verify + other.verify,
            bytes: self.bytes + other.bytes,
            rate_limited: self.rate_limited || other.rate_limited,
        }
    }

    /// The seconds to reserve for finish and verification, after `bytes` were copied in `seconds`.
    /// A copy slower than the sample means that the machine is slower in all phases. A faster copy
    /// means nothing: the later phases do other work.
    pub(crate) fn reserve(&self, bytes: u64, seconds: f64) -> f64 {
        let expected = self.copy * bytes as f64 / (self.bytes.max(1)) as f64;
        let measured = seconds >= MIN_SAMPLE_SECS && expected > 0.0 && !self.rate_limited;
        let slowness = if measured { (seconds / expected).max(1.0) } else { 1.0 };
        (self.finish + self.verify) * slowness
    }
}

/// The minimum of copying before its speed is used, in seconds.
const MIN_SAMPLE_SECS: f64 = 5.0;

/// The time limit of a run with the estimates of its data sets, which run one after the other.
/// Refused if the run would end after the deadline, unless `allow_late`.
pub(crate) fn check_limit(
    estimates: impl Iterator<Item = Estimate>,
    deadline: &Deadline,
    allow_late: bool,
) -> Result<TimeLimit> {
    let estimate = estimates.reduce(Estimate::and);
    let left = deadline.seconds_left();
    match estimate {
        Some(estimate) if estimate.total() > left && !allow_late => {
            Err(too_late(&estimate, deadline, left))
        }
        estimate => Ok(TimeLimit { deadline: deadline.to_string(), estimate }),
    }
}

/// The refusal of a run that would end after the deadline.
fn too_late(estimate: &Estimate, deadline: &Deadline, left: f64) -> Error {
    let time = |seconds: f64| format!("{} s", seconds.round());
    Error::refused(format!("the run would end after the deadline {deadline}"))
        .caused_by(format!(
            "estimated time {} (copy {}, finish {}, verification {}); time left {}",
            time(estimate.total()),
            time(estimate.copy),
            time(estimate.finish),
            time(estimate.verify),
            time(left.max(0.0))
        ))
        .hint("set a later deadline, or save time with --depth rows or --no-verify")
        .remedy("start anyway and pause at the deadline", &["--allow-late"])
}

/// Whether the run must stop now. While it copies, the time for finish and verification is reserved;
/// without an estimate no time is.
pub(crate) fn is_over(deadline: &Deadline, estimate: Option<Estimate>, stats: &CopyStats) -> bool {
    let reserve = match (estimate, stats.pace()) {
        (Some(estimate), Some((bytes, seconds))) => estimate.reserve(bytes, seconds),
        _ => 0.0,
    };
    deadline.seconds_left() <= reserve
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    const ESTIMATE: Estimate =
        Estimate { copy: 100.0, finish: 50.0, verify: 30.0, bytes: 1000, rate_limited: false };

    #[test]
    fn a_copy_slower_than_the_sample_reserves_more_time() {
        let reserves = [(500, 50.0), (500, 25.0), (500, 100.0), (0, 1.0)];
        let reserves = reserves.map(|(bytes, seconds)| ESTIMATE.reserve(bytes, seconds));
        assert_eq!(reserves, [80.0, 80.0, 160.0, 80.0]);
    }

    #[test]
    fn a_rate_limited_copy_does_not_change_the_reserve() {
        let rate_limited = Estimate { rate_limited: true, ..ESTIMATE };
        assert!((rate_limited.reserve(500, 1000.0) - 80.0).abs() < 1e-9);
    }

    #[test]
    fn time_is_reserved_only_while_copying() {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let deadline = Deadline::after("60s", &now).unwrap();
        let over = |is_copying: bool, estimate| {
            let stats = CopyStats::new(0);
            if !is_copying {
                stats.end_copy();
            }
            is_over(&deadline, estimate, &stats)
        };
        assert!(over(true, Some(ESTIMATE)), "80 s are reserved and 60 s are left");
        assert!(!over(false, Some(ESTIMATE)));
        assert!(!over(true, None));
    }
}

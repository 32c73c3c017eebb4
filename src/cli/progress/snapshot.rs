//! Progress in words: what of how much, how fast, how long still.

use crate::cli::output::format::{bytes, count, escape_for_terminal, time_left};
use crate::control::progress::{Phase, PhaseProgress, Progress, TableProgress};
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

/// Speeds are those of the last seconds: long enough to be steady, short enough to follow.
const WINDOW: f64 = 15.0;
/// Before this many seconds a speed is an accident.
const MIN_SAMPLE_SECS: f64 = 0.5;
/// The most tables that are told about at once.
const TABLES: usize = 4;

/// One look at the counters of the phase at hand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProgressSnapshot {
    phase: Phase,
    done: u64,
    total: u64,
    step: String,
    /// Units a second; `None` while it cannot be told.
    speed: Option<f64>,
    /// Bytes a second.
    byte_speed: Option<f64>,
    /// The tables at work, each as a line.
    pub(crate) tables: Vec<String>,
}

/// Looks at the counters again and again, and remembers enough to tell speeds.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    phase: Option<Phase>,
    /// When (in seconds), units done, bytes.
    looks: VecDeque<(f64, u64, u64)>,
}

impl RateMeter {
    /// Looks at `progress` at `now`, in seconds since any fixed moment.
    pub(crate) fn look(&mut self, progress: &Progress, now: f64) -> ProgressSnapshot {
        let phase = progress.current();
        let counters = progress.phase(phase);
        let (done, total) = (counters.done.load(Relaxed), counters.total.load(Relaxed));
        let moved = counters.bytes.load(Relaxed);
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.looks.clear();
        }
        self.looks.push_back((now, done, moved));
        // The oldest look stays just outside the window, so that the window is always full.
        while self.looks.get(1).is_some_and(|(then, ..)| now - then >= WINDOW) {
            self.looks.pop_front();
        }
        let (then, done_then, moved_then) = self.looks.front().copied().unwrap_or((now, 0, 0));
        let seconds = now - then;
        let speed = |now: u64, then: u64| {
            (seconds >= MIN_SAMPLE_SECS).then(|| now.saturating_sub(then) as f64 / seconds)
        };
        let (speed, byte_speed) = (speed(done, done_then), speed(moved, moved_then));
        let tables = tables_at_work(counters);
        ProgressSnapshot { phase, done, total, step: counters.step(), speed, byte_speed, tables }
    }
}

fn tables_at_work(counters: &PhaseProgress) -> Vec<String> {
    let at_work = |table: &&TableProgress| {
        let done = table.done.load(Relaxed);
        done > 0 && done < table.total
    };
    let line = |table: &TableProgress| {
        // Read again: it may have moved on, even past its total.
        let done = table.done.load(Relaxed).min(table.total);
        let percent = percent(done, table.total);
        format!(
            "{}: {} of {} rows, {percent} %",
            escape_for_terminal(&table.name),
            count(done),
            count(table.total)
        )
    };
    counters.tables().iter().filter(at_work).take(TABLES).map(line).collect()
}

/// Whole percent, rounded down: 100 is said when all is done.
fn percent(done: u64, total: u64) -> u64 {
    if total == 0 { 100 } else { (u128::from(done.min(total)) * 100 / u128::from(total)) as u64 }
}

impl ProgressSnapshot {
    /// Phase, units and speeds, and what is being done just now.
    pub(crate) fn amounts(&self) -> String {
        self.told(None)
    }

    /// The same with the outlook: everything in one line.
    pub(crate) fn line(&self) -> String {
        self.told(self.outlook().as_deref())
    }

    fn told(&self, outlook: Option<&str>) -> String {
        let mut text = self.phase.as_str().to_owned();
        if let Some(amount) = self.amount() {
            text.push_str(&format!(": {amount}"));
        }
        for speed in self.speeds() {
            text.push_str(&format!(", {speed}"));
        }
        if let Some(outlook) = outlook {
            text.push_str(&format!(", {}", outlook.trim_start()));
        }
        if !self.step.is_empty() {
            text.push_str(&format!(": {}", escape_for_terminal(&self.step)));
        }
        text
    }

    /// How much is done and how long it will still take; `None` where the total is not known.
    pub(crate) fn outlook(&self) -> Option<String> {
        if self.total == 0 {
            return None;
        }
        let percent = percent(self.done, self.total);
        Some(match self.seconds_left() {
            Some(seconds) => format!("{percent:>3} %, about {} left", time_left(seconds)),
            None => format!("{percent:>3} %"),
        })
    }

    /// Thousandths done, for a bar; `None` where the total is not known.
    pub(crate) fn thousandths(&self) -> Option<u64> {
        let done = u128::from(self.done.min(self.total)) * 1000;
        done.checked_div(u128::from(self.total)).map(|done| done as u64)
    }

    fn amount(&self) -> Option<String> {
        let (spell, unit): (fn(u64) -> String, _) = match self.phase {
            Phase::Open | Phase::Plan => return None,
            Phase::Profile => (bytes, ""),
            Phase::Copy | Phase::Verify => (count, " rows"),
            Phase::Finish | Phase::Measure => (count, " steps"),
        };
        match (self.done, self.total) {
            (0, 0) => None,
            (done, 0) => Some(format!("{}{unit}", spell(done))),
            (done, total) => Some(format!("{} of {}{unit}", spell(done), spell(total))),
        }
    }

    fn speeds(&self) -> Vec<String> {
        let whole = |speed: Option<f64>| speed.map(|speed| speed.round() as u64).filter(|s| *s > 0);
        let (units, moved) = (whole(self.speed), whole(self.byte_speed));
        let rows = || units.map(|speed| format!("{} rows/s", count(speed)));
        let size = |speed: Option<u64>| speed.map(|speed| format!("{}/s", bytes(speed)));
        match self.phase {
            Phase::Open | Phase::Plan | Phase::Finish | Phase::Measure => Vec::new(),
            Phase::Profile => size(units).into_iter().collect(),
            Phase::Copy | Phase::Verify => rows().into_iter().chain(size(moved)).collect(),
        }
    }

    fn seconds_left(&self) -> Option<f64> {
        // The steps of finishing differ too much from each other to foretell anything.
        let speed = self.speed.filter(|speed| *speed > 0.0 && self.phase != Phase::Finish)?;
        let left = self.total.checked_sub(self.done).filter(|left| *left > 0)?;
        Some(left as f64 / speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn set(progress: &Progress, phase: Phase, done: u64, total: u64, bytes: u64) {
        let counters = progress.phase(phase);
        counters.done.store(done, Relaxed);
        counters.total.store(total, Relaxed);
        counters.bytes.store(bytes, Relaxed);
    }

    #[test]
    fn the_copy_is_told_in_rows_bytes_and_time_left() {
        let (progress, mut gauge) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Copy);
        set(&progress, Phase::Copy, 0, 12_572_000, 0);
        assert_eq!(gauge.look(&progress, 0.0).line(), "copy: 0 of 12,572,000 rows, 0 %");
        set(&progress, Phase::Copy, 1_257_200, 12_572_000, 143_300_000);
        let view = gauge.look(&progress, 10.0);
        assert_eq!(
            view.line(),
            "copy: 1,257,200 of 12,572,000 rows, 125,720 rows/s, 14.3 MB/s, 10 %, about 1m 30s left"
        );
        assert_eq!(view.thousandths(), Some(100));
    }

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let (progress, mut gauge) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Copy);
        for second in 0..100 {
            let done = if second < 50 { 0 } else { (second - 50) * 10 };
            set(&progress, Phase::Copy, done, 1000, 0);
            gauge.look(&progress, second as f64);
        }
        let view = gauge.look(&progress, 99.0);
        assert_eq!(view.line(), "copy: 490 of 1,000 rows, 10 rows/s, 49 %, about 51s left");
    }

    #[test]
    fn every_phase_has_its_units() {
        let (progress, mut gauge) = (Progress::default(), RateMeter::default());
        assert_eq!(gauge.look(&progress, 0.0).line(), "open");
        progress.phase(Phase::Open).set_step("connecting");
        assert_eq!(gauge.look(&progress, 1.0).line(), "open: connecting");
        progress.enter(Phase::Profile);
        set(&progress, Phase::Profile, 5_000_000, 1_647_000_000, 0);
        assert_eq!(gauge.look(&progress, 2.0).line(), "profile: 5.0 MB of 1.65 GB, 0 %");
        progress.enter(Phase::Finish);
        set(&progress, Phase::Finish, 3, 31, 0);
        progress.phase(Phase::Finish).set_step("index \"a\nb\"");
        assert_eq!(
            gauge.look(&progress, 3.0).line(),
            "finish: 3 of 31 steps, 9 %: index \"a\\nb\""
        );
    }

    #[test]
    fn totals_of_zero_and_counts_beyond_the_total_do_no_harm() {
        let (progress, mut gauge) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Verify);
        let view = gauge.look(&progress, 0.0);
        assert_eq!((view.line(), view.thousandths()), ("verify".to_owned(), None));
        set(&progress, Phase::Verify, 12, 0, 0);
        assert_eq!(gauge.look(&progress, 0.1).line(), "verify: 12 rows");
        set(&progress, Phase::Verify, 12, 10, 0);
        let view = gauge.look(&progress, 0.2);
        assert_eq!((view.outlook(), view.thousandths()), (Some("100 %".to_owned()), Some(1000)));
        set(&progress, Phase::Verify, u64::MAX - 1, u64::MAX, 0);
        assert_eq!(gauge.look(&progress, 0.3).thousandths(), Some(999));
    }

    #[test]
    fn only_tables_at_work_are_told_and_only_some() {
        let (progress, mut gauge) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Copy);
        let table = |n: u64| TableProgress {
            name: format!("t\t{n}"),
            total: 2000,
            done: AtomicU64::new([0, 2000, 500, 1999][n as usize % 4]),
        };
        progress.phase(Phase::Copy).set_tables((0..5000).map(table).collect());
        assert_eq!(
            gauge.look(&progress, 0.0).tables,
            [
                "t\\t2: 500 of 2,000 rows, 25 %",
                "t\\t3: 1,999 of 2,000 rows, 99 %",
                "t\\t6: 500 of 2,000 rows, 25 %",
                "t\\t7: 1,999 of 2,000 rows, 99 %"
            ]
        );
    }
}

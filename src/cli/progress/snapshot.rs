//! A snapshot of the progress as text: amounts, speeds, time left.

use crate::cli::output::format::{bytes, escape_for_terminal, time_left};
use crate::control::progress::{Phase, PhaseProgress, Progress, TableProgress};
use crate::error::count;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

/// The seconds over which speeds are measured.
const WINDOW_SECS: f64 = 15.0;
/// A speed over a shorter time is not shown.
const MIN_SAMPLE_SECS: f64 = 0.5;
/// The most tables that are listed.
const MAX_TABLES: usize = 4;

/// The counters of the current phase at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ProgressSnapshot {
    phase: Phase,
    done: u64,
    total: u64,
    step: String,
    /// Units per second; `None` while it is unknown.
    speed: Option<f64>,
    /// Bytes per second.
    byte_speed: Option<f64>,
    /// The active tables, each as a line.
    pub(crate) tables: Vec<String>,
}

/// Samples the counters and computes speeds from the last samples.
#[derive(Debug, Default)]
pub(crate) struct RateMeter {
    phase: Option<Phase>,
    /// Time in seconds, units done, bytes.
    samples: VecDeque<(f64, u64, u64)>,
}

impl RateMeter {
    /// Samples `progress` at `now`, in seconds since any fixed moment.
    pub(crate) fn sample(&mut self, progress: &Progress, now: f64) -> ProgressSnapshot {
        let phase = progress.current();
        let counters = progress.phase(phase);
        let (done, total) = (counters.done.load(Relaxed), counters.total.load(Relaxed));
        let moved = counters.bytes.load(Relaxed);
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            self.samples.clear();
        }
        self.samples.push_back((now, done, moved));
        // The oldest sample stays just outside the window, so that the window is always full.
        while self.samples.get(1).is_some_and(|(then, ..)| now - then >= WINDOW_SECS) {
            self.samples.pop_front();
        }
        let (then, done_then, moved_then) = self.samples.front().copied().unwrap_or((now, 0, 0));
        let seconds = now - then;
        let speed = |now: u64, then: u64| {
            (seconds >= MIN_SAMPLE_SECS).then(|| now.saturating_sub(then) as f64 / seconds)
        };
        let (speed, byte_speed) = (speed(done, done_then), speed(moved, moved_then));
        let tables = active_tables(counters);
        ProgressSnapshot { phase, done, total, step: counters.step(), speed, byte_speed, tables }
    }
}

fn active_tables(counters: &PhaseProgress) -> Vec<String> {
    let is_active = |table: &&TableProgress| {
        let done = table.done.load(Relaxed);
        done > 0 && done < table.total
    };
    let line = |table: &TableProgress| {
        // The counter may have grown since, even beyond the total.
        let done = table.done.load(Relaxed).min(table.total);
        let percent = share(done, table.total, 100).unwrap_or(100);
        format!(
            "{}: {} of {} rows, {percent} %",
            escape_for_terminal(&table.name),
            count(done),
            count(table.total)
        )
    };
    counters.tables().iter().filter(is_active).take(MAX_TABLES).map(line).collect()
}

/// `done` in `parts` of `total`, rounded down: all parts only if everything is done. `None` if the
/// total is unknown.
fn share(done: u64, total: u64, parts: u64) -> Option<u64> {
    let done = u128::from(done.min(total)) * u128::from(parts);
    done.checked_div(u128::from(total)).map(|done| done as u64)
}

impl ProgressSnapshot {
    /// Phase, amounts, speeds, outlook and the current step, in one line.
    pub(crate) fn line(&self) -> String {
        self.format(self.outlook().as_deref())
    }

    /// The same with this outlook, or without one.
    pub(crate) fn format(&self, outlook: Option<&str>) -> String {
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

    /// The percentage and the time left; `None` if the total is unknown.
    pub(crate) fn outlook(&self) -> Option<String> {
        let percent = share(self.done, self.total, 100)?;
        Some(match self.seconds_left() {
            Some(seconds) => format!("{percent:>3} %, about {} left", time_left(seconds)),
            None => format!("{percent:>3} %"),
        })
    }

    /// The thousandths that are done, for a bar; `None` if the total is unknown.
    pub(crate) fn thousandths(&self) -> Option<u64> {
        share(self.done, self.total, 1000)
    }

    fn amount(&self) -> Option<String> {
        let (format, unit): (fn(u64) -> String, _) = match self.phase {
            Phase::Open | Phase::Plan => return None,
            Phase::Profile => (bytes, ""),
            Phase::Copy | Phase::Verify => (count, " rows"),
            Phase::Finish | Phase::Measure => (count, " steps"),
        };
        match (self.done, self.total) {
            (0, 0) => None,
            (done, 0) => Some(format!("{}{unit}", format(done))),
            (done, total) => Some(format!("{} of {}{unit}", format(done), format(total))),
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
        // The steps of the finish differ too much for an estimate.
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
    fn the_copy_is_shown_in_rows_bytes_and_time_left() {
        let (progress, mut meter) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Copy);
        set(&progress, Phase::Copy, 0, 12_572_000, 0);
        assert_eq!(meter.sample(&progress, 0.0).line(), "copy: 0 of 12,572,000 rows, 0 %");
        set(&progress, Phase::Copy, 1_257_200, 12_572_000, 143_300_000);
        let snapshot = meter.sample(&progress, 10.0);
        assert_eq!(
            snapshot.line(),
            "copy: 1,257,200 of 12,572,000 rows, 125,720 rows/s, 14.3 MB/s, 10 %, about 1m 30s left"
        );
        assert_eq!(snapshot.thousandths(), Some(100));
    }

    #[test]
    fn the_speed_is_measured_over_the_last_seconds() {
        let (progress, mut meter) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Copy);
        for second in 0..100 {
            let done = if second < 50 { 0 } else { (second - 50) * 10 };
            set(&progress, Phase::Copy, done, 1000, 0);
            meter.sample(&progress, second as f64);
        }
        let snapshot = meter.sample(&progress, 99.0);
        assert_eq!(snapshot.line(), "copy: 490 of 1,000 rows, 10 rows/s, 49 %, about 51s left");
    }

    #[test]
    fn every_phase_has_its_units() {
        let (progress, mut meter) = (Progress::default(), RateMeter::default());
        assert_eq!(meter.sample(&progress, 0.0).line(), "open");
        progress.phase(Phase::Open).set_step("connecting");
        assert_eq!(meter.sample(&progress, 1.0).line(), "open: connecting");
        progress.enter(Phase::Profile);
        set(&progress, Phase::Profile, 5_000_000, 1_647_000_000, 0);
        assert_eq!(meter.sample(&progress, 2.0).line(), "profile: 5.0 MB of 1.65 GB, 0 %");
        progress.enter(Phase::Finish);
        set(&progress, Phase::Finish, 3, 31, 0);
        progress.phase(Phase::Finish).set_step("index \"a\nb\"");
        assert_eq!(
            meter.sample(&progress, 3.0).line(),
            "finish: 3 of 31 steps, 9 %: index \"a\\nb\""
        );
    }

    #[test]
    fn zero_totals_and_counts_beyond_the_total_are_handled() {
        let (progress, mut meter) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Verify);
        let snapshot = meter.sample(&progress, 0.0);
        assert_eq!((snapshot.line(), snapshot.thousandths()), ("verify".to_owned(), None));
        set(&progress, Phase::Verify, 12, 0, 0);
        assert_eq!(meter.sample(&progress, 0.1).line(), "verify: 12 rows");
        set(&progress, Phase::Verify, 12, 10, 0);
        let snapshot = meter.sample(&progress, 0.2);
        assert_eq!(
            (snapshot.outlook(), snapshot.thousandths()),
            (Some("100 %".to_owned()), Some(1000))
        );
        set(&progress, Phase::Verify, u64::MAX - 1, u64::MAX, 0);
        assert_eq!(meter.sample(&progress, 0.3).thousandths(), Some(999));
    }

    #[test]
    fn a_few_active_tables_are_shown() {
        let (progress, mut meter) = (Progress::default(), RateMeter::default());
        progress.enter(Phase::Copy);
        let table = |n: u64| TableProgress {
            name: format!("t\t{n}"),
            total: 2000,
            done: AtomicU64::new([0, 2000, 500, 1999][n as usize % 4]),
        };
        progress.phase(Phase::Copy).set_tables((0..5000).map(table).collect());
        assert_eq!(
            meter.sample(&progress, 0.0).tables,
            [
                "t\\t2: 500 of 2,000 rows, 25 %",
                "t\\t3: 1,999 of 2,000 rows, 99 %",
                "t\\t6: 500 of 2,000 rows, 25 %",
                "t\\t7: 1,999 of 2,000 rows, 99 %"
            ]
        );
    }
}

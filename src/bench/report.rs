//! The result of a measurement, as data. `cli` prints it as tables or as JSON.

use crate::bench::measure::Cost;
use crate::control::progress::Phase;
use crate::control::sizing::Resources;
use crate::report::PhaseTime;
use serde::Serialize;

/// The result of a measurement.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// The program's version.
    pub(crate) version: String,
    /// The machine that this program ran on.
    pub(crate) machine: Machine,
    pub(crate) server: ServerReport,
    /// The rows.
    pub(crate) subject: SubjectReport,
    /// The number of rounds; figures are medians.
    pub(crate) rounds: usize,
    /// The settings of this program outside the sweep.
    pub(crate) used: Resources,
    /// The stages alone, the copy, and the whole job.
    pub(crate) stages: Vec<Stage>,
    /// The server's limit for each number of connections.
    pub(crate) limits: Vec<Limit>,
    /// The phases of the whole job.
    pub(crate) phases: Vec<PhaseTime>,
    /// What the server did for the whole job.
    pub(crate) server_work: ServerWork,
    /// The speed of the copy relative to the server's limit in the same round; 1 is the best.
    pub(crate) copy_to_limit: f64,
    /// The speed of the whole job relative to the same limit.
    pub(crate) whole_to_limit: f64,
    /// Processor time of this program divided by that of a private server, in the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_to_server_cpu: Option<f64>,
    /// The generator compared with SQLite's limit, if rows were generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generator: Option<Generator>,
    pub(crate) bottleneck: Bottleneck,
    /// The copy with other settings of this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sweep: Option<Sweep>,
    /// The server's most important settings.
    pub(crate) settings: Vec<Setting>,
    /// Notes for the user.
    pub(crate) notes: Vec<String>,
    /// Wall-clock seconds of the whole measurement.
    pub(crate) seconds: f64,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Processors that this program may use.
    pub(crate) cores: usize,
    /// Bytes of memory.
    pub(crate) memory: u64,
}

/// The server that was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ServerReport {
    /// The address, without secrets.
    pub(crate) address: String,
    /// Whether it is a private server, started with default settings on this machine.
    pub(crate) private: bool,
    pub(crate) version: String,
}

/// The rows that were moved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SubjectReport {
    /// The user's file, if the rows are from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The seed, if the rows were generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    pub(crate) tables: usize,
    /// Rows of all tables.
    pub(crate) rows: u64,
    /// Bytes of the rows as binary COPY, the unit of all rates.
    pub(crate) bytes: u64,
    /// The size of the file in bytes.
    pub(crate) file_bytes: u64,
}

/// A measured stage: a part alone, the copy, or the whole job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    Scan,
    Encode,
    Hash,
    /// The server receives encoded blocks over the best number of connections.
    Limit,
    /// The server sends all rows, which are discarded.
    CopyOut,
    Insert,
    Copy,
    Whole,
}

impl Name {
    /// All with their titles, in the order of the report.
    pub(crate) const TITLES: [(Self, &str); 8] = [
        (Self::Scan, "scan: read SQLite as the copy does"),
        (Self::Encode, "scan and encode: build blocks, with hashes"),
        (Self::Hash, "hash: hash the rows of ready blocks"),
        (Self::Limit, "COPY of ready blocks: the server's limit"),
        (Self::CopyOut, "COPY out: read all rows back"),
        (Self::Insert, "SQLite inserts: its limit, one thread"),
        (Self::Copy, "copy: read, encode and write together"),
        (Self::Whole, "whole job: profile to verdict"),
    ];

    pub(crate) fn title(self) -> &'static str {
        Self::TITLES.iter().find(|(name, _)| *name == self).map_or("", |(_, title)| title)
    }
}

/// The result of one stage.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Stage {
    pub(crate) stage: Name,
    /// Threads or connections.
    pub(crate) threads: usize,
    pub(crate) rows: u64,
    /// Bytes of the rows as binary COPY.
    pub(crate) bytes: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    pub(crate) seconds_of_rounds: Vec<f64>,
    pub(crate) rows_per_second: f64,
    pub(crate) bytes_per_second: f64,
    /// Processor seconds of this program.
    pub(crate) client_cpu_seconds: f64,
    /// Processor seconds of a private server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_cpu_seconds: Option<f64>,
    /// The peak resident memory of this program in bytes, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory: Option<u64>,
}

impl Stage {
    /// The medians of the rounds, in which the stage had `rows` and `bytes`.
    pub(crate) fn from_costs(
        stage: Name,
        threads: usize,
        (rows, bytes): (u64, u64),
        costs: &[Cost],
    ) -> Self {
        let seconds = median_seconds(costs);
        Self {
            stage,
            threads,
            rows,
            bytes,
            seconds,
            seconds_of_rounds: costs.iter().map(|cost| cost.seconds).collect(),
            rows_per_second: per(rows as f64, seconds),
            bytes_per_second: per(bytes as f64, seconds),
            client_cpu_seconds: median(costs.iter().map(|cost| cost.client_cpu)),
            server_cpu_seconds: median_if_known(costs.iter().map(|cost| cost.server_cpu)),
            peak_memory: highest_peak(costs),
        }
    }
}

/// The server's limit for a number of connections.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Limit {
    pub(crate) connections: usize,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    pub(crate) bytes_per_second: f64,
}

/// The work of the server, as far as the role may see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct ServerWork {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wal_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wal_bytes_per_row: Option<f64>,
    /// Checkpoints that were forced, not timed; on a shared server, by any session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forced_checkpoints: Option<u64>,
}

/// The speed of the generator, without indexes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Generator {
    pub(crate) seconds: f64,
    pub(crate) rows_per_second: f64,
    /// SQLite's insert rate for the same rows.
    pub(crate) insert_rows_per_second: f64,
    /// The first rate divided by the second.
    pub(crate) of_the_limit: f64,
}

/// The copy with other settings of this program.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sweep {
    /// Each pair of settings, the smallest first.
    pub(crate) cells: Vec<Cell>,
    /// The best pair.
    pub(crate) best: Cell,
}

/// The copy with one number of writers and one chunk size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cell {
    /// The number of writers.
    pub(crate) writers: usize,
    /// The largest chunk in bytes.
    pub(crate) chunk_bytes: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Seconds of each measurement.
    pub(crate) seconds_of_rounds: Vec<f64>,
    pub(crate) rows_per_second: f64,
    pub(crate) bytes_per_second: f64,
    /// The peak resident memory of this program in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory: Option<u64>,
}

/// A setting of the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// The value, as the server shows it.
    pub(crate) value: String,
    /// Another value, if one was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tried: Option<String>,
    /// The effects of the other value.
    pub(crate) effects: Vec<Effect>,
    /// Advice on changing it.
    pub(crate) advice: String,
}

/// The effect of a setting on one kind of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Effect {
    pub(crate) work: Work,
    /// Seconds with the server's value.
    pub(crate) seconds: f64,
    /// Seconds with the other value.
    pub(crate) seconds_tried: f64,
    /// The share of the time that the other value saves, as the median of the rounds; negative if it
    /// costs time.
    pub(crate) saves: f64,
    /// The spread of the rounds relative to their median, the larger one of the two values. A
    /// smaller saving means nothing.
    pub(crate) noise: f64,
}

/// Work that depends on settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Receiving encoded blocks.
    Limit,
    Copy,
    /// Indexes, constraints, statistics.
    Finish,
}

/// The bottleneck of the copy and of the whole job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Bottleneck {
    /// The part that the copy waited for.
    pub(crate) copy: Bound,
    /// The reason, as a sentence.
    pub(crate) copy_reason: String,
    /// The longest phase of the whole job.
    pub(crate) phase: Phase,
    /// Its share, as a sentence.
    pub(crate) phase_reason: String,
}

/// A part that a copy can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    Reading,
    Encoding,
    /// The server's COPY.
    Server,
}

/// The median; 0 without values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => (value + values[middle - 1]) / 2.0,
    }
}

/// The median, if all values are known.
pub(crate) fn median_if_known(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    values.map(|values| median(values.into_iter()))
}

/// The median of the wall-clock seconds.
pub(crate) fn median_seconds(costs: &[Cost]) -> f64 {
    median(costs.iter().map(|cost| cost.seconds))
}

/// The highest peak, if all peaks are known.
pub(crate) fn highest_peak(costs: &[Cost]) -> Option<u64> {
    let peaks: Option<Vec<u64>> = costs.iter().map(|cost| cost.peak_memory).collect();
    peaks.and_then(|peaks| peaks.into_iter().max())
}

/// `amount` per second; 0 without time.
pub(crate) fn per(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_does_not_depend_on_the_order() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn a_stage_has_medians_and_the_highest_peak() {
        let cost = |seconds, peak| Cost {
            seconds,
            client_cpu: seconds / 2.0,
            server_cpu: Some(seconds),
            peak_memory: Some(peak),
        };
        let stage = Stage::from_costs(
            Name::Copy,
            2,
            (100, 1000),
            &[cost(9.0, 5), cost(2.0, 7), cost(4.0, 6)],
        );
        assert_eq!((stage.seconds, stage.rows_per_second), (4.0, 25.0));
        assert_eq!((stage.bytes_per_second, stage.client_cpu_seconds), (250.0, 2.0));
        assert_eq!((stage.server_cpu_seconds, stage.peak_memory), (Some(4.0), Some(7)));
        let unseen = Stage::from_costs(Name::Copy, 2, (1, 1), &[cost(1.0, 1), Cost::default()]);
        assert_eq!((unseen.server_cpu_seconds, unseen.peak_memory), (None, None));
    }
}

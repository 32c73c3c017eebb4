//! What was measured, as data; `cli` prints it as tables or as JSON.

use crate::bench::bottleneck::Bottleneck;
use crate::bench::measure::Cost;
use crate::control::sizing::Sizes;
use crate::report::PhaseTime;
use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// The machine that this program ran on.
    pub machine: Machine,
    /// The server.
    pub server: ServerReport,
    /// What was moved.
    pub subject: SubjectReport,
    /// How often each thing was measured; figures are medians.
    pub rounds: usize,
    /// The settings of this program that were used outside the sweep.
    pub used: Sizes,
    /// Each stage alone, then the copy and the whole job.
    pub stages: Vec<Stage>,
    /// The server's limit for each number of connections.
    pub limits: Vec<Limit>,
    /// The phases of the whole job.
    pub phases: Vec<PhaseTime>,
    /// What the server did for the whole job.
    pub server_work: ServerWork,
    /// The copy against the server's limit, in the same round: 1 is as fast as can be.
    pub copy_to_limit: f64,
    /// The whole job against it.
    pub whole_to_limit: f64,
    /// Processor time of this program for that of the server, in the copy, where that is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_to_server_cpu: Option<f64>,
    /// The generator against SQLite's own limit, where rows were generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// What held the work up.
    pub bottleneck: Bottleneck,
    /// The copy with other settings of this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// The server's settings that cost most.
    pub settings: Vec<Setting>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Wall-clock seconds of all measuring.
    pub seconds: f64,
}

/// A machine.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Processors that this program may use.
    pub cores: usize,
    /// Bytes of memory.
    pub memory: u64,
}

/// The server that was measured.
#[derive(Debug, Clone, Serialize)]
pub struct ServerReport {
    /// Where it is; never with a secret.
    pub address: String,
    /// It was started for this, with its default settings, on this machine.
    pub private: bool,
    /// Its version.
    pub version: String,
}

/// What was moved.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectReport {
    /// The user's file, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The seed of the rows, where they were generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Tables.
    pub tables: usize,
    /// Rows of all tables.
    pub rows: u64,
    /// Their bytes as binary COPY, in which all rates are told.
    pub bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// What is measured alone, and the two that are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Reading the SQLite file as the copy does.
    Scan,
    /// The same, and making blocks of it, with their hashes.
    Encode,
    /// Hashing the rows of blocks.
    Hash,
    /// The server takes ready blocks: its limit, over the best number of connections.
    Limit,
    /// The server sends all rows, which are thrown away.
    CopyOut,
    /// SQLite takes the rows, from one thread.
    Insert,
    /// The copy: reading, encoding and writing together.
    Copy,
    /// The whole job, from the profile to the verdict.
    Whole,
}

impl Name {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Scan,
        Self::Encode,
        Self::Hash,
        Self::Limit,
        Self::CopyOut,
        Self::Insert,
        Self::Copy,
        Self::Whole,
    ];
}

/// One of them.
#[derive(Debug, Clone, Serialize)]
pub struct Stage {
    /// Which.
    pub stage: Name,
    /// Threads or connections that had a part.
    pub threads: usize,
    /// Rows that went through.
    pub rows: u64,
    /// Their bytes as binary COPY.
    pub bytes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Those of each round.
    pub seconds_of_rounds: Vec<f64>,
    /// Rows a second.
    pub rows_per_second: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// Processor seconds of this program.
    pub client_cpu_seconds: f64,
    /// Processor seconds of the server, where it is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cpu_seconds: Option<f64>,
    /// The largest resident set of this program meanwhile, in bytes, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

impl Stage {
    /// What rounds gave: `size` is rows and bytes.
    #[must_use]
    pub fn of(stage: Name, threads: usize, size: (u64, u64), costs: &[Cost]) -> Self {
        let (rows, bytes) = size;
        let seconds = median(costs.iter().map(|cost| cost.seconds));
        let server: Option<Vec<f64>> = costs.iter().map(|cost| cost.server_cpu).collect();
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
            server_cpu_seconds: server.map(|cpu| median(cpu.into_iter())),
            peak_memory: highest_peak(costs),
        }
    }
}

/// The server's limit over some connections.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// Connections.
    pub connections: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
}

/// What the server did, as far as it could be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ServerWork {
    /// Bytes of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_bytes: Option<u64>,
    /// The same for each row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_bytes_per_row: Option<f64>,
    /// Checkpoints that were not due by the clock; anybody's, on a server that others use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced_checkpoints: Option<u64>,
}

/// How fast rows were generated, without their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Generator {
    /// Seconds.
    pub seconds: f64,
    /// Rows a second.
    pub rows_per_second: f64,
    /// SQLite's own rate for the same rows.
    pub insert_rows_per_second: f64,
    /// The one for the other.
    pub of_the_limit: f64,
}

/// The copy with other settings of this program.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sweep {
    /// Each pair of settings, the smallest first.
    pub cells: Vec<Cell>,
    /// The best pair.
    pub best: Cell,
}

/// The copy with one number of writers and one size of chunks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// Connections that write.
    pub writers: usize,
    /// The most bytes of a chunk.
    pub chunk_bytes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Those of each time it was measured.
    pub seconds_of_rounds: Vec<f64>,
    /// Rows a second.
    pub rows_per_second: f64,
    /// Bytes a second.
    pub bytes_per_second: f64,
    /// The largest resident set of this program meanwhile, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

/// A setting of the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value, as the server shows it.
    pub value: String,
    /// The value that was tried, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<String>,
    /// What came of it.
    pub effects: Vec<Effect>,
    /// What the user should know about it.
    pub advice: String,
}

/// What a setting changed of one piece of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// The work.
    pub work: Work,
    /// Seconds with the server's own value.
    pub seconds: f64,
    /// Seconds with the value that was tried.
    pub seconds_tried: f64,
    /// The part of the time that the tried value saved, in the middle of all rounds; less than
    /// nothing where it cost more.
    pub saves: f64,
    /// How far apart the rounds with one value were, as a part of their median, of the value with
    /// which they were further apart: a smaller saving says nothing.
    pub noise: f64,
}

/// Work that settings have a bearing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Taking ready blocks.
    Limit,
    /// The copy.
    Copy,
    /// Indexes, constraints, statistics.
    Finish,
}

/// The middle one; the mean of the two in the middle where they are even in number. 0 of none.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => 0.0,
        (Some(value), 1) => *value,
        (Some(value), _) => (value + values[middle - 1]) / 2.0,
    }
}

/// The highest peak of all, where every one of them could be told.
#[must_use]
pub fn highest_peak(costs: &[Cost]) -> Option<u64> {
    let peaks: Option<Vec<u64>> = costs.iter().map(|cost| cost.peak_memory).collect();
    peaks.and_then(|peaks| peaks.into_iter().max())
}

/// So much a second; 0 where no time went by.
#[must_use]
pub fn per(amount: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_whatever_the_order() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }

    #[test]
    fn a_stage_tells_medians_and_the_highest_peak() {
        let cost = |seconds, peak| Cost {
            seconds,
            client_cpu: seconds / 2.0,
            server_cpu: Some(seconds),
            peak_memory: Some(peak),
        };
        let stage =
            Stage::of(Name::Copy, 2, (100, 1000), &[cost(9.0, 5), cost(2.0, 7), cost(4.0, 6)]);
        assert_eq!((stage.seconds, stage.rows_per_second), (4.0, 25.0));
        assert_eq!((stage.bytes_per_second, stage.client_cpu_seconds), (250.0, 2.0));
        assert_eq!((stage.server_cpu_seconds, stage.peak_memory), (Some(4.0), Some(7)));
        let unseen = Stage::of(Name::Copy, 2, (1, 1), &[cost(1.0, 1), Cost::default()]);
        assert_eq!((unseen.server_cpu_seconds, unseen.peak_memory), (None, None));
    }
}

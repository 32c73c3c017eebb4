//! What was measured, as data; `cli` prints it as tables or as JSON.

use crate::bench::measure::Cost;
use crate::control::progress::Phase;
use crate::control::sizing::Resources;
use crate::report::PhaseTime;
use serde::Serialize;

/// Everything that was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// The program's version.
    pub(crate) version: String,
    /// The machine that this program ran on.
    pub(crate) machine: Machine,
    /// The server.
    pub(crate) server: ServerReport,
    /// What was moved.
    pub(crate) subject: SubjectReport,
    /// How often each thing was measured; figures are medians.
    pub(crate) rounds: usize,
    /// The settings of this program that were used outside the sweep.
    pub(crate) used: Resources,
    /// Each stage alone, then the copy and the whole job.
    pub(crate) stages: Vec<Stage>,
    /// The server's limit for each number of connections.
    pub(crate) limits: Vec<Limit>,
    /// The phases of the whole job.
    pub(crate) phases: Vec<PhaseTime>,
    /// What the server did for the whole job.
    pub(crate) server_work: ServerWork,
    /// The copy against the server's limit, in the same round: 1 is as fast as can be.
    pub(crate) copy_to_limit: f64,
    /// The whole job against it.
    pub(crate) whole_to_limit: f64,
    /// Processor time of this program for that of the server, in the copy, where that is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_to_server_cpu: Option<f64>,
    /// The generator against SQLite's own limit, where rows were generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generator: Option<Generator>,
    /// What held the work up.
    pub(crate) bottleneck: Bottleneck,
    /// The copy with other settings of this program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sweep: Option<Sweep>,
    /// The server's settings that cost most.
    pub(crate) settings: Vec<Setting>,
    /// What the user should know.
    pub(crate) notes: Vec<String>,
    /// Wall-clock seconds of all measuring.
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
    /// Where it is; never with a secret.
    pub(crate) address: String,
    /// It was started for this, with its default settings, on this machine.
    pub(crate) private: bool,
    /// Its version.
    pub(crate) version: String,
}

/// What was moved.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SubjectReport {
    /// The user's file, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// The seed of the rows, where they were generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
    /// Tables.
    pub(crate) tables: usize,
    /// Rows of all tables.
    pub(crate) rows: u64,
    /// Their bytes as binary COPY, in which all rates are told.
    pub(crate) bytes: u64,
    /// Bytes of the file.
    pub(crate) file_bytes: u64,
}

/// What is measured alone, and the two that are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
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
    pub(crate) const ALL: [Self; 8] = [
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
pub(crate) struct Stage {
    /// Which.
    pub(crate) stage: Name,
    /// Threads or connections that had a part.
    pub(crate) threads: usize,
    /// Rows that went through.
    pub(crate) rows: u64,
    /// Their bytes as binary COPY.
    pub(crate) bytes: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Those of each round.
    pub(crate) seconds_of_rounds: Vec<f64>,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
    /// Bytes a second.
    pub(crate) bytes_per_second: f64,
    /// Processor seconds of this program.
    pub(crate) client_cpu_seconds: f64,
    /// Processor seconds of the server, where it is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_cpu_seconds: Option<f64>,
    /// The largest resident set of this program meanwhile, in bytes, where it can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory: Option<u64>,
}

impl Stage {
    /// What rounds gave: `size` is rows and bytes.
    pub(crate) fn of(stage: Name, threads: usize, size: (u64, u64), costs: &[Cost]) -> Self {
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
pub(crate) struct Limit {
    /// Connections.
    pub(crate) connections: usize,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Bytes a second.
    pub(crate) bytes_per_second: f64,
}

/// What the server did, as far as it could be seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct ServerWork {
    /// Bytes of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wal_bytes: Option<u64>,
    /// The same for each row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wal_bytes_per_row: Option<f64>,
    /// Checkpoints that were not due by the clock; anybody's, on a server that others use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) forced_checkpoints: Option<u64>,
}

/// How fast rows were generated, without their indexes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Generator {
    /// Seconds.
    pub(crate) seconds: f64,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
    /// SQLite's own rate for the same rows.
    pub(crate) insert_rows_per_second: f64,
    /// The one for the other.
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

/// The copy with one number of writers and one size of chunks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Cell {
    /// Connections that write.
    pub(crate) writers: usize,
    /// The most bytes of a chunk.
    pub(crate) chunk_bytes: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Those of each time it was measured.
    pub(crate) seconds_of_rounds: Vec<f64>,
    /// Rows a second.
    pub(crate) rows_per_second: f64,
    /// Bytes a second.
    pub(crate) bytes_per_second: f64,
    /// The largest resident set of this program meanwhile, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_memory: Option<u64>,
}

/// A setting of the server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Setting {
    /// Its name.
    pub(crate) name: String,
    /// Its value, as the server shows it.
    pub(crate) value: String,
    /// The value that was tried, where one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tried: Option<String>,
    /// What came of it.
    pub(crate) effects: Vec<Effect>,
    /// What the user should know about it.
    pub(crate) advice: String,
}

/// What a setting changed of one piece of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Effect {
    /// The work.
    pub(crate) work: Work,
    /// Seconds with the server's own value.
    pub(crate) seconds: f64,
    /// Seconds with the value that was tried.
    pub(crate) seconds_tried: f64,
    /// The part of the time that the tried value saved, in the middle of all rounds; less than
    /// nothing where it cost more.
    pub(crate) saves: f64,
    /// How far apart the rounds with one value were, as a part of their median, of the value with
    /// which they were further apart: a smaller saving says nothing.
    pub(crate) noise: f64,
}

/// Work that settings have a bearing on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Taking ready blocks.
    Limit,
    /// The copy.
    Copy,
    /// Indexes, constraints, statistics.
    Finish,
}

/// What held the work up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Bottleneck {
    /// What the copy waited for.
    pub(crate) copy: Bound,
    /// Why that, in a sentence.
    pub(crate) copy_reason: String,
    /// The phase of the whole job that took longest.
    pub(crate) phase: Phase,
    /// How much of it, in a sentence.
    pub(crate) phase_reason: String,
}

/// What a copy can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// Reading the SQLite file.
    Reading,
    /// Encoding.
    Encoding,
    /// The server's COPY.
    Server,
}

/// The middle one; the mean of the two in the middle where they are even in number. 0 of none.
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

/// The highest peak of all, where every one of them could be told.
pub(crate) fn highest_peak(costs: &[Cost]) -> Option<u64> {
    let peaks: Option<Vec<u64>> = costs.iter().map(|cost| cost.peak_memory).collect();
    peaks.and_then(|peaks| peaks.into_iter().max())
}

/// So much a second; 0 where no time went by.
pub(crate) fn per(amount: f64, seconds: f64) -> f64 {
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

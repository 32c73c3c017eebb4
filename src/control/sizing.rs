//! The resources of a run: numbers of threads and connections, sizes of memory and chunks.

use serde::Serialize;
use std::thread::available_parallelism;

const MIB: u64 = 1 << 20;

/// The largest chunk, unless the user sets another size. Blocks of 1 MiB take about a tenth more time
/// than 8 MiB. Larger blocks gain nothing, and a block that is sent again costs more.
const MAX_CHUNK: u64 = 8 * MIB;
/// The smallest chunk: in smaller ones the round trips of the transaction cost time.
pub(crate) const MIN_CHUNK: u64 = 64 * 1024;
/// The largest chunk that the user may set: a chunk is in memory twice, each time in one piece.
pub(crate) const MAX_CHUNK_ASKED: u64 = 256 * MIB;
/// The minimum number of chunks per second under a rate limit.
const CHUNKS_A_SECOND: u64 = 4;
/// The default memory of a run on a machine of up to four cores.
const DEFAULT_MEMORY: u64 = 256 * MIB;
/// The memory for each core beyond four.
const MEMORY_PER_CORE: u64 = 32 * MIB;
/// The divisor of the memory for rows in flight. The rest is for SQLite's page caches, connections
/// and the program itself.
const IN_FLIGHT: u64 = 2;
/// The chunks of each reader and writer that fit into the budget: each can hold two, in two forms.
const CHUNKS_HELD: u64 = 4;
/// The most readers and writers by default: more gained nothing in measurements.
const MAX_THREADS: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Resources {
    /// Threads that read or profile the source.
    pub(crate) readers: usize,
    pub(crate) encoders: usize,
    pub(crate) writers: usize,
    /// Bytes that may be in flight between source and target.
    pub(crate) budget: u64,
    pub(crate) chunk_bytes: u64,
}

/// The limits that the user set; `None` means chosen for this machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResourceLimits {
    pub(crate) readers: Option<usize>,
    pub(crate) writers: Option<usize>,
    pub(crate) memory: Option<u64>,
    pub(crate) chunk_bytes: Option<u64>,
    /// Bytes that may be written per second.
    pub(crate) max_rate: Option<u64>,
}

/// The processors that this program may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(2, usize::from)
}

impl Resources {
    pub(crate) fn choose(limits: &ResourceLimits) -> Self {
        Self::for_cores(cores(), limits)
    }

    fn for_cores(cores: usize, limits: &ResourceLimits) -> Self {
        let ResourceLimits { readers, writers, memory, chunk_bytes: chunk, max_rate } = *limits;
        let readers = readers.unwrap_or(cores.clamp(1, MAX_THREADS));
        let writers = writers.unwrap_or(cores.clamp(2, MAX_THREADS));
        let beyond_four = cores.saturating_sub(4) as u64;
        let held = CHUNKS_HELD * (readers + writers) as u64;
        // Without a memory limit, the memory grows with the size of the chunks.
        let default = DEFAULT_MEMORY + MEMORY_PER_CORE * beyond_four;
        let memory = memory.unwrap_or(default.max(chunk.unwrap_or(0) * held * IN_FLIGHT));
        let budget = memory / IN_FLIGHT;
        let chunk_bytes = (budget / held).clamp(MIN_CHUNK, chunk.unwrap_or(MAX_CHUNK));
        // With a rate limit, chunks are small compared to one second's bytes: the target gets
        // little at a time, and often.
        let largest = max_rate.map_or(u64::MAX, |rate| (rate / CHUNKS_A_SECOND).max(MIN_CHUNK));
        Self {
            readers,
            encoders: readers.div_ceil(2),
            writers,
            budget,
            chunk_bytes: chunk_bytes.min(largest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_in_flight_never_exceed_the_budget_by_the_threads_alone() {
        for cores in [1, 2, 4, 8, 64, 256] {
            let resources = Resources::for_cores(cores, &ResourceLimits::default());
            let held = 4 * resources.chunk_bytes * (resources.readers + resources.writers) as u64;
            assert!(held <= resources.budget, "{cores} cores: {resources:?}");
        }
        let two = Resources::for_cores(2, &ResourceLimits::default());
        assert_eq!((two.readers, two.writers, two.chunk_bytes), (2, 2, 8 * MIB));
    }

    #[test]
    fn memory_grows_with_the_chunks_unless_it_is_set() {
        let resources = |memory, chunk| {
            let limits = ResourceLimits { memory, chunk_bytes: Some(chunk), ..Default::default() };
            let resources = Resources::for_cores(2, &limits);
            (resources.chunk_bytes, resources.budget)
        };
        assert_eq!(resources(None, MIB), (MIB, 128 * MIB));
        assert_eq!(resources(None, 32 * MIB), (32 * MIB, 512 * MIB));
        assert_eq!(resources(Some(256 * MIB), 32 * MIB), (8 * MIB, 128 * MIB));
    }

    #[test]
    fn a_run_with_a_rate_limit_uses_small_chunks() {
        let chunk_bytes = |max_rate| {
            let limits = ResourceLimits { max_rate, ..ResourceLimits::default() };
            Resources::for_cores(2, &limits).chunk_bytes
        };
        assert_eq!(chunk_bytes(Some(4_000_000)), 1_000_000);
        assert_eq!(chunk_bytes(Some(1)), MIN_CHUNK);
        assert_eq!(chunk_bytes(Some(u64::MAX)), 8 * MIB);
        assert_eq!(chunk_bytes(None), 8 * MIB);
    }
}

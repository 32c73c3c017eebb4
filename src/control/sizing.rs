//! How many threads and connections, and how large the pieces they work on.

use serde::Serialize;
use std::thread::available_parallelism;

const MIB: u64 = 1 << 20;

/// The most bytes of a chunk. Blocks of 1 MiB cost about a tenth more time than 8 MiB; larger
/// ones gain nothing and make a resent block dearer.
const MAX_CHUNK: u64 = 8 * MIB;
/// The least: below, the round trips of a chunk's transaction show.
pub(crate) const MIN_CHUNK: u64 = 64 * 1024;
/// The most that may be asked for: a chunk is a COPY stream in one piece of memory, twice.
pub(crate) const MAX_CHUNK_ASKED: u64 = 256 * MIB;
/// Into how many chunks the bytes of a second are cut at least, where there is a limit to them.
const CHUNKS_A_SECOND: u64 = 4;
/// Memory of a run on a machine of up to four cores, when nothing else is said.
const DEFAULT_MEMORY: u64 = 256 * MIB;
/// Memory for each core beyond four.
const MEMORY_PER_CORE: u64 = 32 * MIB;
/// Of the memory, the part that rows in flight may take; the rest is for SQLite's page caches,
/// connections and the program itself.
const IN_FLIGHT: u64 = 2;
/// What the budget has room for, in chunks of each reader and writer: each can hold two, each in
/// two forms.
const CHUNKS_HELD: u64 = 4;
/// Readers and writers beyond this gain nothing that was measured.
const MAX_THREADS: usize = 16;

/// What a run works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Resources {
    /// Threads that read the source; also those that profile it.
    pub(crate) readers: usize,
    /// Threads that encode.
    pub(crate) encoders: usize,
    /// Connections that write to the target.
    pub(crate) writers: usize,
    /// Bytes that may be in flight between source and target.
    pub(crate) budget: u64,
    /// Bytes of a chunk.
    pub(crate) chunk_bytes: u64,
    /// Bytes that may be written in a second; `None` means as many as can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_rate: Option<u64>,
}

/// The resources that the user has set; `None` means as many as suit the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResourceLimits {
    /// Reader threads.
    pub(crate) readers: Option<usize>,
    /// Writer connections.
    pub(crate) writers: Option<usize>,
    /// The memory budget for rows in flight, in bytes.
    pub(crate) memory: Option<u64>,
    /// The maximum size of a chunk into PostgreSQL, in bytes.
    pub(crate) chunk_bytes: Option<u64>,
    /// The maximum of bytes written per second by all writers together; `None` means no limit.
    pub(crate) max_rate: Option<u64>,
}

/// Processors that this program may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(2, usize::from)
}

impl Resources {
    /// Chosen for this machine, where the options do not say otherwise.
    pub(crate) fn choose(limits: &ResourceLimits) -> Self {
        let ResourceLimits { readers, writers, memory, chunk_bytes, max_rate } = *limits;
        Self::for_cores(cores(), readers, writers, memory, chunk_bytes).slowed(max_rate)
    }

    /// With a limit to the bytes written in a second. Chunks are then small beside what a second
    /// allows, so that the target gets little at a time, and often.
    fn slowed(self, max_rate: Option<u64>) -> Self {
        let most = max_rate.map_or(u64::MAX, |rate| rate / CHUNKS_A_SECOND);
        let chunk_bytes = self.chunk_bytes.min(most.max(MIN_CHUNK));
        Self { chunk_bytes, max_rate, ..self }
    }

    fn for_cores(
        cores: usize,
        readers: Option<usize>,
        writers: Option<usize>,
        memory: Option<u64>,
        chunk: Option<u64>,
    ) -> Self {
        let readers = readers.unwrap_or(cores.clamp(1, MAX_THREADS));
        let writers = writers.unwrap_or(cores.clamp(2, MAX_THREADS));
        let beyond_four = cores.saturating_sub(4) as u64;
        let held = CHUNKS_HELD * (readers + writers) as u64;
        // Where the user asks for larger chunks and names no memory, it grows with them.
        let usual = DEFAULT_MEMORY + MEMORY_PER_CORE * beyond_four;
        let memory = memory.unwrap_or(usual.max(chunk.unwrap_or(0) * held * IN_FLIGHT));
        let budget = memory / IN_FLIGHT;
        let chunk_bytes = budget / held;
        Self {
            readers,
            encoders: readers.div_ceil(2),
            writers,
            budget,
            chunk_bytes: chunk_bytes.clamp(MIN_CHUNK, chunk.unwrap_or(MAX_CHUNK)),
            max_rate: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_in_flight_never_exceed_the_budget_by_the_threads_alone() {
        for cores in [1, 2, 4, 8, 64, 256] {
            let resources = Resources::for_cores(cores, None, None, None, None);
            let held = 4 * resources.chunk_bytes * (resources.readers + resources.writers) as u64;
            assert!(held <= resources.budget, "{cores} cores: {resources:?}");
        }
        let two = Resources::for_cores(2, None, None, None, None);
        assert_eq!((two.readers, two.writers, two.chunk_bytes), (2, 2, 8 * MIB));
    }

    #[test]
    fn memory_grows_with_the_chunks_that_are_asked_for_unless_it_is_given() {
        let resources = |memory, chunk| {
            let resources = Resources::for_cores(2, None, None, memory, Some(chunk));
            (resources.chunk_bytes, resources.budget)
        };
        assert_eq!(resources(None, MIB), (MIB, 128 * MIB));
        assert_eq!(resources(None, 32 * MIB), (32 * MIB, 512 * MIB));
        assert_eq!(resources(Some(256 * MIB), 32 * MIB), (8 * MIB, 128 * MIB));
    }

    #[test]
    fn a_slowed_run_takes_small_chunks() {
        let resources = Resources::for_cores(2, None, None, None, None);
        let chunk_bytes = |rate| resources.slowed(rate).chunk_bytes;
        assert_eq!(chunk_bytes(Some(4_000_000)), 1_000_000);
        assert_eq!(chunk_bytes(Some(1)), MIN_CHUNK);
        assert_eq!(chunk_bytes(Some(u64::MAX)), 8 * MIB);
        assert_eq!(chunk_bytes(None), 8 * MIB);
    }
}

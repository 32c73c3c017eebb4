//! The schedule: which chunk is read next, and which writer gets it.
//!
//! Each writer has a lane and keeps to a table of its own, the largest that is left: two
//! connections that extend the same table get in each other's way. Only when no whole table is
//! left do lanes share what remains of the others'. The next chunk goes to the lane with the
//! fewest in flight, so that no writer waits while another has a queue.

use crate::control::POLL_INTERVAL;
use crate::control::cancel::CancelScope;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// The chunks of one table that are to be copied.
#[derive(Debug, Clone)]
pub(crate) struct TableWork {
    /// The table's place in the plan.
    pub(crate) table: usize,
    /// Places of chunks in the table's list.
    pub(crate) chunks: VecDeque<usize>,
    /// Bytes of them.
    pub(crate) bytes: u64,
    /// They can only be read in order, by one reader.
    pub(crate) in_order: bool,
}

/// What a reader is given to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// One chunk.
    Chunk {
        /// The table's place in the plan.
        table: usize,
        /// The chunk's place in the table's list.
        chunk: usize,
        /// The writer that gets it.
        lane: usize,
    },
    /// All chunks of a table, in order.
    InOrder {
        /// The table's place in the plan.
        table: usize,
        /// Places of the chunks that are to be sent.
        chunks: VecDeque<usize>,
        /// The writer that gets them.
        lane: usize,
    },
}

/// Hands out work; shared by readers and writers.
#[derive(Debug)]
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
    /// Chunks of one lane that may be in flight.
    limit: usize,
}

#[derive(Debug)]
struct State {
    /// Tables that no lane has taken, the smallest first.
    waiting: Vec<TableWork>,
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    table: Option<TableWork>,
    in_flight: usize,
}

impl Schedule {
    /// A schedule for `lanes` writers.
    pub(crate) fn new(mut tables: Vec<TableWork>, lanes: usize, limit: usize) -> Self {
        tables.retain(|table| !table.chunks.is_empty());
        tables.sort_by_key(|table| table.bytes);
        let lanes = (0..lanes.max(1)).map(|_| Lane::default()).collect();
        Self {
            state: Mutex::new(State { waiting: tables, lanes }),
            changed: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// The next work; waits while every lane has enough in flight. `None` when there is no more,
    /// or nothing new should be begun.
    pub(crate) fn next(&self, halt: &CancelScope<'_>) -> Option<Work> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if halt.is_stopping() || state.is_empty() {
                return None;
            }
            let lane = (0..state.lanes.len())
                .filter(|&lane| state.lanes[lane].in_flight < self.limit)
                .min_by_key(|&lane| state.lanes[lane].in_flight);
            if let Some(lane) = lane {
                return state.take(lane);
            }
            let waited = self.changed.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next work of one lane, whose worker does one after the other; `None` when there is none.
    pub(crate) fn next_of(&self, lane: usize) -> Option<Work> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).take(lane)
    }

    /// One more chunk of an ordered table is on its way down a lane.
    pub(crate) fn sent(&self, lane: usize) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).lanes[lane].in_flight += 1;
    }

    /// A chunk of a lane is committed.
    pub(crate) fn committed(&self, lane: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lanes[lane].in_flight -= 1;
        self.changed.notify_one();
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lanes.iter().all(|lane| lane.table.is_none())
    }

    /// The next work for `lane`.
    fn take(&mut self, lane: usize) -> Option<Work> {
        if self.lanes[lane].table.is_none() {
            self.lanes[lane].table = self.waiting.pop();
        }
        let from = if self.lanes[lane].table.is_some() { lane } else { self.fullest()? };
        if let Some(TableWork { table, chunks, .. }) =
            self.lanes[from].table.take_if(|table| table.in_order)
        {
            return Some(Work::InOrder { table, chunks, lane });
        }
        let table = self.lanes[from].table.as_mut()?;
        let chunk = table.chunks.pop_front()?;
        let place = table.table;
        if table.chunks.is_empty() {
            self.lanes[from].table = None;
        }
        self.lanes[lane].in_flight += 1;
        Some(Work::Chunk { table: place, chunk, lane })
    }

    /// The lane with the most chunks left.
    fn fullest(&self) -> Option<usize> {
        (0..self.lanes.len())
            .filter(|&lane| self.lanes[lane].table.is_some())
            .max_by_key(|&lane| self.lanes[lane].table.as_ref().map_or(0, |t| t.chunks.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    fn table(table: usize, chunks: usize) -> TableWork {
        let bytes = chunks as u64;
        TableWork { table, chunks: (0..chunks).collect(), bytes, in_order: false }
    }

    #[test]
    fn writers_keep_to_tables_of_their_own_until_only_one_is_left() {
        let stop = AtomicBool::new(false);
        let halt = CancelScope::new(&stop);
        let schedule = Schedule::new(vec![table(0, 1), table(1, 6), table(2, 3)], 2, 1);
        let mut lanes_of: Vec<Vec<usize>> = vec![Vec::new(); 3];
        let mut taken = Vec::new();
        while let Some(Work::Chunk { table, chunk, lane }) = schedule.next(&halt) {
            taken.push((table, chunk));
            lanes_of[table].push(lane);
            if taken.len().is_multiple_of(2) {
                schedule.committed(0);
                schedule.committed(1);
            }
        }
        taken.sort_unstable();
        let all: Vec<(usize, usize)> = [(0, 1), (1, 6), (2, 3)]
            .iter()
            .flat_map(|&(table, chunks)| (0..chunks).map(move |chunk| (table, chunk)))
            .collect();
        assert_eq!(taken, all, "each chunk once");
        assert_eq!(lanes_of[2], [1, 1, 1]);
        assert_eq!(lanes_of[0], [1]);
        assert_eq!(lanes_of[1], [0, 0, 0, 0, 0, 1], "the largest is shared at its end only");
    }

    #[test]
    fn a_table_without_a_key_goes_to_one_reader_whole() {
        let stop = AtomicBool::new(false);
        let halt = CancelScope::new(&stop);
        let work = TableWork { in_order: true, ..table(7, 4) };
        let schedule = Schedule::new(vec![work], 2, 1);
        let chunks = (0..4).collect();
        assert_eq!(schedule.next(&halt), Some(Work::InOrder { table: 7, chunks, lane: 0 }));
        assert_eq!(schedule.next(&halt), None);
    }
}

//! The schedule: which chunk is read next, and which writer gets it.
//!
//! Each writer has a lane and keeps to a table of its own, the largest that is left, because two
//! connections that extend the same table slow each other down. Lanes share tables only when no
//! whole table is left. The next chunk goes to the lane with the fewest chunks in flight, so that no
//! writer waits while another one has a queue.

use crate::control::cancel::CancelScope;
use crate::control::{POLL_INTERVAL, lock};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

/// The chunks to copy of one table.
#[derive(Debug, Clone)]
pub(crate) struct TableWork {
    /// The index of the table in the plan.
    pub(crate) table: usize,
    /// The indexes of the chunks in the table.
    pub(crate) chunks: VecDeque<usize>,
    /// The bytes of these chunks.
    pub(crate) bytes: u64,
    /// The chunks can only be read in order, by one reader.
    pub(crate) in_order: bool,
}

/// One task of a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    Chunk {
        table: usize,
        chunk: usize,
        /// The lane of the writer that gets it.
        lane: usize,
    },
    /// All chunks of a table, in order.
    InOrder {
        table: usize,
        /// The indexes of the chunks to send.
        chunks: VecDeque<usize>,
        /// The lane of the writer that gets them.
        lane: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Schedule {
    state: Mutex<State>,
    changed: Condvar,
    /// The most chunks of one lane in flight.
    max_in_flight: usize,
}

#[derive(Debug)]
struct State {
    /// The tables without a lane, the smallest first.
    waiting: Vec<TableWork>,
    lanes: Vec<Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    table: Option<TableWork>,
    in_flight: usize,
}

impl Schedule {
    pub(crate) fn new(mut tables: Vec<TableWork>, lanes: usize, max_in_flight: usize) -> Self {
        tables.retain(|table| !table.chunks.is_empty());
        tables.sort_by_key(|table| table.bytes);
        let lanes = (0..lanes.max(1)).map(|_| Lane::default()).collect();
        Self {
            state: Mutex::new(State { waiting: tables, lanes }),
            changed: Condvar::new(),
            max_in_flight: max_in_flight.max(1),
        }
    }

    /// The next work. Waits while every lane has enough chunks in flight. `None` if no work is left,
    /// or nothing new should be started.
    pub(crate) fn next(&self, cancel: &CancelScope) -> Option<Work> {
        let mut state = lock(&self.state);
        loop {
            if cancel.is_stopping() || state.is_empty() {
                return None;
            }
            let lane = (0..state.lanes.len())
                .filter(|&lane| state.lanes[lane].in_flight < self.max_in_flight)
                .min_by_key(|&lane| state.lanes[lane].in_flight);
            if let Some(lane) = lane {
                return state.take(lane);
            }
            let waited = self.changed.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next work for a lane whose worker reads and writes itself; `None` if no work is left.
    pub(crate) fn next_for(&self, lane: usize) -> Option<Work> {
        lock(&self.state).take(lane)
    }

    /// Counts one more chunk of a table read in order as in flight in its lane.
    pub(crate) fn sent(&self, lane: usize) {
        lock(&self.state).lanes[lane].in_flight += 1;
    }

    /// Counts a chunk of a lane as committed.
    pub(crate) fn committed(&self, lane: usize) {
        let mut state = lock(&self.state);
        state.lanes[lane].in_flight -= 1;
        self.changed.notify_one();
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lanes.iter().all(|lane| lane.table.is_none())
    }

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
        let index = table.table;
        if table.chunks.is_empty() {
            self.lanes[from].table = None;
        }
        self.lanes[lane].in_flight += 1;
        Some(Work::Chunk { table: index, chunk, lane })
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

    fn table(table: usize, chunks: usize) -> TableWork {
        let bytes = chunks as u64;
        TableWork { table, chunks: (0..chunks).collect(), bytes, in_order: false }
    }

    #[test]
    fn writers_keep_to_tables_of_their_own_until_only_one_is_left() {
        let cancel = CancelScope::default();
        let schedule = Schedule::new(vec![table(0, 1), table(1, 6), table(2, 3)], 2, 1);
        let mut lanes: Vec<Vec<usize>> = vec![Vec::new(); 3];
        let mut taken = Vec::new();
        while let Some(Work::Chunk { table, chunk, lane }) = schedule.next(&cancel) {
            taken.push((table, chunk));
            lanes[table].push(lane);
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
        assert_eq!(lanes[2], [1, 1, 1]);
        assert_eq!(lanes[0], [1]);
        assert_eq!(lanes[1], [0, 0, 0, 0, 0, 1], "only the end of the largest table is shared");
    }

    #[test]
    fn one_reader_gets_all_chunks_of_a_table_without_a_key() {
        let cancel = CancelScope::default();
        let work = TableWork { in_order: true, ..table(7, 4) };
        let schedule = Schedule::new(vec![work], 2, 1);
        let chunks = (0..4).collect();
        assert_eq!(schedule.next(&cancel), Some(Work::InOrder { table: 7, chunks, lane: 0 }));
        assert_eq!(schedule.next(&cancel), None);
    }
}

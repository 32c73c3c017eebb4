//! The memory budget: all bytes of a chunk in flight are drawn from it before the chunk is read.
//!
//! A request is made only by a thread that holds nothing yet, so threads never wait for each other in
//! a circle. Requests are served in their order. A request that is larger than the whole budget
//! passes when nothing else is in flight.

use crate::control::cancel::CancelScope;
use crate::control::{POLL_INTERVAL, lock};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// The budget, shared by all threads of a copy or of a verification.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    total: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    next_ticket: u64,
    serving: u64,
}

/// Bytes taken from a budget. They return to it when the permit is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl MemoryBudget {
    pub(crate) fn new(total: u64) -> Arc<Self> {
        Arc::new(Self { total, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Waits for `bytes`. `None` if nothing new should be started.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64, cancel: &CancelScope) -> Option<Permit> {
        let mut state = lock(&self.state);
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        loop {
            if cancel.is_stopping() {
                return None;
            }
            let fits = state.used + bytes <= self.total || state.used == 0;
            if ticket == state.serving && fits {
                state.serving += 1;
                state.used += bytes;
                self.changed.notify_all();
                return Some(Permit { budget: Arc::clone(self), bytes });
            }
            let waited = self.changed.wait_timeout(state, POLL_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = lock(&self.budget.state);
        state.used -= self.bytes;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_huge_request_passes_alone_and_small_ones_do_not_overtake_it() {
        let cancel = CancelScope::default();
        let budget = MemoryBudget::new(100);
        let small = budget.take(60, &cancel).expect("free");
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let permit = budget.take(1_000, &cancel);
                order.lock().unwrap().push("huge");
                drop(permit);
            });
            while budget.state.lock().unwrap().next_ticket < 2 {
                std::thread::yield_now();
            }
            scope.spawn(|| {
                let permit = budget.take(10, &cancel);
                order.lock().unwrap().push("late");
                drop(permit);
            });
            while budget.state.lock().unwrap().next_ticket < 3 {
                std::thread::yield_now();
            }
            assert!(order.lock().unwrap().is_empty());
            drop(small);
        });
        assert_eq!(*order.lock().unwrap(), ["huge", "late"]);
        assert_eq!(budget.state.lock().unwrap().used, 0);
    }

    #[test]
    fn a_wait_ends_when_the_run_is_stopped() {
        let cancel = CancelScope::default();
        let budget = MemoryBudget::new(1);
        let _held = budget.take(1, &cancel).expect("free");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(1, &cancel).is_none());
            cancel.cancel();
            assert!(waiting.join().unwrap());
        });
    }
}

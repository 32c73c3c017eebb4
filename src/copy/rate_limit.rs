//! The rate: how many bytes may be written in a second, by all writers together.
//!
//! A token bucket that holds nothing in advance: bytes are paid for before they are sent, in the
//! order of asking, so that what was written never exceeds the rate times the seconds since the
//! first.

use crate::control::POLL_INTERVAL;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A limit that writers share.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    bytes_per_second: Option<u64>,
    /// When all bytes that were asked for so far are paid.
    paid: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// A limit of so many bytes a second; `None` is no limit.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, paid: Mutex::new(None) }
    }

    /// Waits until `bytes` may be sent; false as soon as `given_up` says so.
    pub(crate) fn wait(&self, bytes: u64, given_up: impl Fn() -> bool) -> bool {
        let Some(due) = self.due(bytes) else { return true };
        loop {
            if given_up() {
                return false;
            }
            match due.saturating_duration_since(Instant::now()) {
                Duration::ZERO => return true,
                left => std::thread::sleep(left.min(POLL_INTERVAL)),
            }
        }
    }

    /// When `bytes` more are paid.
    fn due(&self, bytes: u64) -> Option<Instant> {
        let rate = self.bytes_per_second?.max(1);
        let price = Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or(FOREVER);
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // Time in which nobody asked is not saved up.
        let begun = paid.map_or(now, |paid| paid.max(now));
        // What lies beyond all clocks is never paid.
        let due = begun.checked_add(price).unwrap_or(begun + FOREVER);
        *paid = Some(due);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn several_writers_together_are_not_quicker_than_the_rate() {
        let rate = RateLimiter::new(Some(1_000_000));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| assert!(rate.wait(10_000, || false))));
            }
        });
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let rate = RateLimiter::new(Some(1_000_000));
        let first = rate.due(1_000).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let now = Instant::now();
        let second = rate.due(1_000).unwrap();
        assert!(second >= now + Duration::from_millis(1) && second > first);
    }

    #[test]
    fn a_wait_ends_when_it_is_given_up() {
        let given_up = AtomicBool::new(false);
        let rate = RateLimiter::new(Some(1));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| rate.wait(u64::MAX, || given_up.load(Ordering::Relaxed)));
            given_up.store(true, Ordering::Relaxed);
            assert!(!waiting.join().unwrap());
        });
        assert!(RateLimiter::new(None).wait(u64::MAX, || true), "without a limit there is no wait");
    }
}

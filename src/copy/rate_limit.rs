//! The rate limit: how many bytes all writers together may write per second.
//!
//! A token bucket without a reserve: bytes are reserved before they are sent, in the order of the
//! requests. So the bytes written never exceed the rate times the seconds since the first.

use crate::control::cancel::CancelScope;
use crate::control::lock;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A time that is longer than any run.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limit, shared by all writers.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    bytes_per_second: Option<u64>,
    /// The time at which all bytes that were reserved so far may have been sent.
    next_free_at: Mutex<Option<Instant>>,
}

impl RateLimiter {
    /// Limits all writers together to `bytes_per_second`; `None` means no limit.
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, next_free_at: Mutex::new(None) }
    }

    /// Waits until `bytes` may be sent. Returns false if the copy is stopping.
    pub(crate) fn wait(&self, bytes: u64, cancel: &CancelScope) -> bool {
        self.reserve(bytes)
            .is_none_or(|at| cancel.sleep(at.saturating_duration_since(Instant::now())))
    }

    /// Reserves `bytes`. Returns the time at which they may be sent.
    fn reserve(&self, bytes: u64) -> Option<Instant> {
        let rate = self.bytes_per_second?.max(1);
        let time = Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or(FOREVER);
        let mut next_free_at = lock(&self.next_free_at);
        let now = Instant::now();
        // Idle time is not saved up.
        let start = next_free_at.map_or(now, |at| at.max(now));
        // A time that no clock can show never comes.
        let end = start.checked_add(time).unwrap_or(start + FOREVER);
        *next_free_at = Some(end);
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_writers_together_do_not_exceed_the_rate() {
        let (rate, cancel) = (RateLimiter::new(Some(1_000_000)), CancelScope::default());
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..5).for_each(|_| assert!(rate.wait(10_000, &cancel))));
            }
        });
        assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let rate = RateLimiter::new(Some(1_000_000));
        let first = rate.reserve(1_000).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let now = Instant::now();
        let second = rate.reserve(1_000).unwrap();
        assert!(second >= now + Duration::from_millis(1) && second > first);
    }

    #[test]
    fn a_wait_ends_when_the_copy_is_cancelled() {
        let (rate, cancel) = (RateLimiter::new(Some(1)), CancelScope::default());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| rate.wait(u64::MAX, &cancel));
            cancel.cancel();
            assert!(!waiting.join().unwrap());
        });
        assert!(RateLimiter::new(None).wait(u64::MAX, &cancel), "without a limit there is no wait");
    }
}

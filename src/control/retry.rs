//! The retry policy: work that lost its connection is repeated until a time limit.
//!
//! The work must be repeatable. Only errors that are marked as retryable are retried.

use crate::control::cancel::CancelScope;
use crate::control::progress::PhaseProgress;
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

/// The wait before the first retry. Each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait: a server that is back is used again within this time.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The step that is shown during a wait.
const RECONNECTING: &str = "connection lost, reconnecting";

/// How long lost connections are retried.
#[derive(Clone, Copy)]
pub(crate) struct RetryPolicy<'a> {
    /// The limit of one outage. Zero means no retry.
    pub(crate) limit: Duration,
    /// The scope that ends the retries.
    pub(crate) cancel: &'a CancelScope,
    /// Where the outage is shown.
    pub(crate) progress: &'a PhaseProgress,
}

#[derive(Debug)]
pub(crate) struct Outage {
    since: Option<Instant>,
    next_wait: Duration,
}

impl Outage {
    fn none() -> Self {
        Self { since: None, next_wait: FIRST_WAIT }
    }

    /// Ends the outage: the server has answered, so a later loss starts a new one.
    pub(crate) fn reset(&mut self) {
        *self = Self::none();
    }
}

impl RetryPolicy<'_> {
    /// Repeats `work` until it succeeds, fails for another reason than a lost connection, or the
    /// outage exceeds the limit. Long work resets the outage itself as soon as the server answers.
    pub(crate) fn retry<T>(&self, mut work: impl FnMut(&mut Outage) -> Result<T>) -> Result<T> {
        let mut outage = Outage::none();
        loop {
            match work(&mut outage) {
                Ok(done) => return Ok(done),
                Err(error) => self.wait(&mut outage, error)?,
            }
        }
    }

    /// Waits before the next attempt, or returns `error` where there is none.
    fn wait(&self, outage: &mut Outage, error: Error) -> Result<()> {
        if !error.is_retryable() || self.limit.is_zero() {
            return Err(error);
        }
        let elapsed = outage.since.get_or_insert_with(Instant::now).elapsed();
        if elapsed >= self.limit {
            return Err(error.hint(format!(
                "the connection was retried for {} s; --retry-for sets the time",
                self.limit.as_secs()
            )));
        }
        let step = self.progress.step();
        self.progress.set_step(RECONNECTING);
        if !self.cancel.sleep(outage.next_wait.min(self.limit - elapsed)) {
            return Err(error);
        }
        outage.next_wait = (outage.next_wait * 2).min(MAX_WAIT);
        self.progress.set_step(if step == RECONNECTING { String::new() } else { step });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> Error {
        Error::failed("cannot write").retryable()
    }

    #[test]
    fn other_errors_than_a_lost_connection_are_not_retried() {
        let (progress, cancel) = (PhaseProgress::default(), CancelScope::default());
        let limit = Duration::from_secs(60);
        let retry_policy = RetryPolicy { limit, cancel: &cancel, progress: &progress };
        let mut times = 0;
        let done: Result<()> = retry_policy.retry(|_| {
            times += 1;
            Err(Error::failed("the disk is full"))
        });
        assert_eq!((done.unwrap_err().message(), times), ("the disk is full", 1));
    }

    #[test]
    fn retries_end_at_the_limit_and_at_once_without_one_or_when_the_run_is_cancelled() {
        let (progress, running) = (PhaseProgress::default(), CancelScope::default());
        let cancelled = CancelScope::default();
        cancelled.cancel();
        let long = Duration::from_secs(600);
        for (limit, cancel) in [
            (Duration::from_millis(120), &running),
            (Duration::ZERO, &running),
            (long, &cancelled),
            (long, &cancelled.draining_child()),
        ] {
            let retry_policy = RetryPolicy { limit, cancel, progress: &progress };
            let since = Instant::now();
            let done: Result<()> = retry_policy.retry(|_| Err(lost()));
            assert!(done.unwrap_err().is_retryable());
            assert!(since.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn a_loss_after_the_end_of_an_outage_starts_a_new_one() {
        let (progress, cancel) = (PhaseProgress::default(), CancelScope::default());
        let limit = Duration::from_millis(150);
        let retry_policy = RetryPolicy { limit, cancel: &cancel, progress: &progress };
        let mut times = 0;
        let done = retry_policy.retry(|outage| {
            times += 1;
            outage.reset();
            if times < 5 { Err(lost()) } else { Ok(()) }
        });
        assert!(done.is_ok(), "each wait alone is shorter than the limit, all together are not");
    }
}

//! A line: one session of a run, made anew when its connection is lost.
//!
//! What a session was doing is done again on the new one, so all work on a line can be repeated.
//! The old session is ended first: the server may not know yet that nobody listens to it.

use crate::control::POLL_INTERVAL;
use crate::control::progress::PhaseProgress;
use crate::error::{Error, Result};
use crate::postgres::connect::backend::Backend;
use std::thread;
use std::time::{Duration, Instant};

/// The first wait before a new attempt; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait: a server that is back is used again within this time.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// What people see while a connection is made anew.
const LOST: &str = "the connection is lost, trying again";

/// How long a lost connection is tried for, and what ends that.
#[derive(Clone, Copy)]
pub(crate) struct RetryPolicy<'a> {
    /// From the loss on; zero means that nothing is tried again.
    pub(crate) limit: Duration,
    /// The run is being stopped.
    pub(crate) is_halted: &'a (dyn Fn() -> bool + Sync),
    /// Where it is told.
    pub(crate) progress: &'a PhaseProgress,
}

/// A connection that was lost and is not known to be back.
#[derive(Debug)]
pub(crate) struct Outage {
    since: Option<Instant>,
    wait: Duration,
}

impl Outage {
    fn none() -> Self {
        Self { since: None, wait: FIRST_WAIT }
    }

    /// The server can be reached again: a later loss is another one.
    pub(crate) fn is_over(&mut self) {
        *self = Self::none();
    }
}

impl RetryPolicy<'_> {
    /// Does `work` until it succeeds or fails for another reason than a lost connection. It says
    /// itself when the trouble is over, or it is when it succeeds.
    ///
    /// # Errors
    /// Its own; of a lost connection once there was no other for so long.
    pub(crate) fn retry<T>(&self, mut work: impl FnMut(&mut Outage) -> Result<T>) -> Result<T> {
        let mut outage = Outage::none();
        loop {
            match work(&mut outage) {
                Ok(done) => return Ok(done),
                Err(error) => self.wait(&mut outage, error)?,
            }
        }
    }

    /// Waits after `error`, if there is a point in that.
    fn wait(&self, outage: &mut Outage, error: Error) -> Result<()> {
        if !error.is_retryable() || self.limit.is_zero() {
            return Err(error);
        }
        let since = *outage.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.limit {
            return Err(error.hint(format!(
                "it was tried again for {} s; --retry-for sets the time",
                self.limit.as_secs()
            )));
        }
        let step = self.progress.step();
        self.progress.set_step(LOST);
        let end = Instant::now() + outage.wait.min(self.limit.saturating_sub(since.elapsed()));
        while Instant::now() < end {
            if (self.is_halted)() {
                return Err(error);
            }
            thread::sleep(POLL_INTERVAL);
        }
        outage.wait = (outage.wait * 2).min(MAX_WAIT);
        self.progress.set_step(if step == LOST { String::new() } else { step });
        Ok(())
    }
}

/// Makes what a line works with, out of a new session; the backend is one to be ended first.
pub(crate) type Open<'a, C> =
    Box<dyn Fn(Option<Backend>) -> Result<(C, Backend)> + Send + Sync + 'a>;

/// The line; `C` is what it works with.
pub(crate) struct Reconnecting<'a, C> {
    open: Open<'a, C>,
    session: Option<(C, Backend)>,
    /// The session that was lost.
    lost: Option<Backend>,
}

impl<'a, C> Reconnecting<'a, C> {
    /// A line whose session is made when it is needed first.
    pub(crate) fn new(open: Open<'a, C>) -> Self {
        Self { open, session: None, lost: None }
    }

    /// A line that has its first session.
    pub(crate) fn over(session: (C, Backend), open: Open<'a, C>) -> Self {
        Self { open, session: Some(session), lost: None }
    }

    /// Ends the session; the next work is done on a new one.
    pub(crate) fn end_session(&mut self) {
        self.session = None;
    }

    /// Does `work` once.
    pub(crate) fn once<T>(&mut self, work: impl FnOnce(&mut C) -> Result<T>) -> Result<T> {
        let (client, backend) = match &mut self.session {
            Some(session) => session,
            none => none.insert((self.open)(self.lost)?),
        };
        self.lost = None;
        let backend = *backend;
        let in_flight = backend.in_flight();
        let done = work(client);
        drop(in_flight);
        if done.as_ref().is_err_and(Error::is_retryable) {
            self.lost = Some(backend);
            self.session = None;
        }
        done
    }

    /// Does `work`, again and again while connections are lost.
    pub(crate) fn run<T>(
        &mut self,
        retry_policy: &RetryPolicy<'_>,
        mut work: impl FnMut(&mut C) -> Result<T>,
    ) -> Result<T> {
        retry_policy.retry(|_| self.once(&mut work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    const NEVER: fn() -> bool = || false;

    fn backend(pid: i32) -> Backend {
        Backend { pid, started: 7 }
    }

    fn gone() -> Error {
        Error::failed("cannot write").retryable()
    }

    #[test]
    fn work_is_done_again_on_a_new_session_and_the_old_one_is_ended_once() {
        let progress = PhaseProgress::default();
        let limit = Duration::from_secs(60);
        let retry_policy = RetryPolicy { limit, is_halted: &NEVER, progress: &progress };
        let (opened, ended) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let open = |lost: Option<Backend>| {
            ended.lock().unwrap().push(lost);
            let number = opened.fetch_add(1, Ordering::Relaxed);
            // The second attempt to connect fails, too.
            if number == 1 { Err(gone()) } else { Ok((number, backend(number as i32))) }
        };
        let mut line = Reconnecting::new(Box::new(open));
        let done =
            line.run(&retry_policy, |session| if *session == 0 { Err(gone()) } else { Ok(()) });
        assert!(done.is_ok());
        assert!(line.run(&retry_policy, |_| Ok(())).is_ok());
        assert_eq!(*ended.lock().unwrap(), [None, Some(backend(0)), Some(backend(0))]);
        assert_eq!(progress.step(), "");
    }

    #[test]
    fn what_is_no_lost_connection_is_not_done_again() {
        let progress = PhaseProgress::default();
        let limit = Duration::from_secs(60);
        let retry_policy = RetryPolicy { limit, is_halted: &NEVER, progress: &progress };
        let mut times = 0;
        let done: Result<()> = retry_policy.retry(|_| {
            times += 1;
            Err(Error::failed("the disk is full"))
        });
        assert_eq!((done.unwrap_err().message(), times), ("the disk is full", 1));
    }

    #[test]
    fn it_ends_after_the_limit_and_at_once_without_one_or_when_the_run_is_stopped() {
        let progress = PhaseProgress::default();
        let always: fn() -> bool = || true;
        let long = Duration::from_secs(600);
        for (limit, is_halted) in
            [(Duration::from_millis(120), NEVER), (Duration::ZERO, NEVER), (long, always)]
        {
            let retry_policy = RetryPolicy { limit, is_halted: &is_halted, progress: &progress };
            let since = Instant::now();
            let done: Result<()> = retry_policy.retry(|_| Err(gone()));
            assert!(done.unwrap_err().is_retryable());
            assert!(since.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn a_loss_after_the_trouble_was_over_is_another_one() {
        let progress = PhaseProgress::default();
        let limit = Duration::from_millis(150);
        let retry_policy = RetryPolicy { limit, is_halted: &NEVER, progress: &progress };
        let mut times = 0;
        let done = retry_policy.retry(|outage| {
            times += 1;
            outage.is_over();
            if times < 5 { Err(gone()) } else { Ok(()) }
        });
        assert!(done.is_ok(), "each wait alone is shorter than the limit, all are not");
    }
}

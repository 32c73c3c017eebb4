//! A line: one session of a run, made anew when its connection is lost.
//!
//! What a session was doing is done again on the new one, so all work on a line can be repeated.
//! The old session is ended first: the server may not know yet that nobody listens to it.

use crate::control::progress::PhaseProgress;
use crate::error::{Error, Result};
use crate::postgres::connect::backend::Backend;
use std::thread;
use std::time::{Duration, Instant};

/// The first wait before a new attempt; each is twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait: a server that is back is used again within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// How often a wait looks whether the run is being stopped.
const LOOK: Duration = Duration::from_millis(50);

/// What people see while a connection is made anew.
const LOST: &str = "the connection is lost, trying again";

/// How long a lost connection is tried for, and what ends that.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// From the loss on; zero means that nothing is tried again.
    pub(crate) limit: Duration,
    /// The run is being stopped.
    pub(crate) is_halted: &'a (dyn Fn() -> bool + Sync),
    /// Where it is told.
    pub(crate) progress: &'a PhaseProgress,
}

/// A connection that was lost and is not known to be back.
#[derive(Debug)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    wait: Duration,
}

impl Trouble {
    fn none() -> Self {
        Self { since: None, wait: FIRST_WAIT }
    }

    /// The server can be reached again: a later loss is another one.
    pub(crate) fn is_over(&mut self) {
        *self = Self::none();
    }
}

impl Patience<'_> {
    /// Does `work` until it succeeds or fails for another reason than a lost connection. It says
    /// itself when the trouble is over, or it is when it succeeds.
    ///
    /// # Errors
    /// Its own; of a lost connection once there was no other for so long.
    pub(crate) fn again<T>(&self, mut work: impl FnMut(&mut Trouble) -> Result<T>) -> Result<T> {
        let mut trouble = Trouble::none();
        loop {
            match work(&mut trouble) {
                Ok(done) => return Ok(done),
                Err(error) => self.wait(&mut trouble, error)?,
            }
        }
    }

    /// Waits after `error`, if there is a point in that.
    fn wait(&self, trouble: &mut Trouble, error: Error) -> Result<()> {
        if !error.is_lost() || self.limit.is_zero() {
            return Err(error);
        }
        let since = *trouble.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.limit {
            return Err(error.hint(format!(
                "it was tried again for {} s; --retry-for sets the time",
                self.limit.as_secs()
            )));
        }
        let step = self.progress.step();
        self.progress.set_step(LOST);
        let end = Instant::now() + trouble.wait.min(self.limit.saturating_sub(since.elapsed()));
        while Instant::now() < end {
            if (self.is_halted)() {
                return Err(error);
            }
            thread::sleep(LOOK);
        }
        trouble.wait = (trouble.wait * 2).min(LONGEST_WAIT);
        self.progress.set_step(if step == LOST { String::new() } else { step });
        Ok(())
    }
}

/// Makes what a line works with, out of a new session; the backend is one to be ended first.
pub(crate) type Open<'a, C> =
    Box<dyn Fn(Option<Backend>) -> Result<(C, Backend)> + Send + Sync + 'a>;

/// The line; `C` is what it works with.
pub(crate) struct Line<'a, C> {
    open: Open<'a, C>,
    session: Option<(C, Backend)>,
    /// The session that was lost.
    lost: Option<Backend>,
}

impl<'a, C> Line<'a, C> {
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
        let awaited = backend.awaited();
        let done = work(client);
        drop(awaited);
        if done.as_ref().is_err_and(Error::is_lost) {
            self.lost = Some(backend);
            self.session = None;
        }
        done
    }

    /// Does `work`, again and again while connections are lost.
    pub(crate) fn run<T>(
        &mut self,
        patience: &Patience<'_>,
        mut work: impl FnMut(&mut C) -> Result<T>,
    ) -> Result<T> {
        patience.again(|_| self.once(&mut work))
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
        Error::failed("cannot write").lost()
    }

    #[test]
    fn work_is_done_again_on_a_new_session_and_the_old_one_is_ended_once() {
        let progress = PhaseProgress::default();
        let limit = Duration::from_secs(60);
        let patience = Patience { limit, is_halted: &NEVER, progress: &progress };
        let (opened, ended) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let open = |lost: Option<Backend>| {
            ended.lock().unwrap().push(lost);
            let number = opened.fetch_add(1, Ordering::Relaxed);
            // The second attempt to connect fails, too.
            if number == 1 { Err(gone()) } else { Ok((number, backend(number as i32))) }
        };
        let mut line = Line::new(Box::new(open));
        let done = line.run(&patience, |session| if *session == 0 { Err(gone()) } else { Ok(()) });
        assert!(done.is_ok());
        assert!(line.run(&patience, |_| Ok(())).is_ok());
        assert_eq!(*ended.lock().unwrap(), [None, Some(backend(0)), Some(backend(0))]);
        assert_eq!(progress.step(), "");
    }

    #[test]
    fn what_is_no_lost_connection_is_not_done_again() {
        let progress = PhaseProgress::default();
        let limit = Duration::from_secs(60);
        let patience = Patience { limit, is_halted: &NEVER, progress: &progress };
        let mut times = 0;
        let done: Result<()> = patience.again(|_| {
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
            let patience = Patience { limit, is_halted: &is_halted, progress: &progress };
            let since = Instant::now();
            let done: Result<()> = patience.again(|_| Err(gone()));
            assert!(done.unwrap_err().is_lost());
            assert!(since.elapsed() < Duration::from_secs(10));
        }
    }

    #[test]
    fn a_loss_after_the_trouble_was_over_is_another_one() {
        let progress = PhaseProgress::default();
        let limit = Duration::from_millis(150);
        let patience = Patience { limit, is_halted: &NEVER, progress: &progress };
        let mut times = 0;
        let done = patience.again(|trouble| {
            times += 1;
            trouble.is_over();
            if times < 5 { Err(gone()) } else { Ok(()) }
        });
        assert!(done.is_ok(), "each wait alone is shorter than the limit, all are not");
    }
}

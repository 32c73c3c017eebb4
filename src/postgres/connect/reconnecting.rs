//! A connection of a run that is replaced when it is lost.
//!
//! All work on it must be repeatable: after a loss it runs again on the new session. The old session
//! is ended first, because the server may not have noticed yet that its client is gone.

use crate::control::retry::RetryPolicy;
use crate::error::{Error, Result};
use crate::postgres::connect::backend::{Backend, InFlight};

/// Opens a session and makes the object that works on it. The backend is a lost one to end first.
pub(crate) type Open<'a, C> =
    Box<dyn Fn(Option<Backend>) -> Result<(C, Backend)> + Send + Sync + 'a>;

/// A connection; `C` is the object that works on it.
pub(crate) struct Reconnecting<'a, C> {
    open: Open<'a, C>,
    in_flight: InFlight,
    session: Option<(C, Backend)>,
    lost: Option<Backend>,
}

impl<'a, C> Reconnecting<'a, C> {
    /// A connection that is opened at its first use.
    pub(crate) fn new(in_flight: &InFlight, open: Open<'a, C>) -> Self {
        Self { open, in_flight: in_flight.clone(), session: None, lost: None }
    }

    /// A connection that has its first session.
    pub(crate) fn with_session(
        session: (C, Backend),
        in_flight: &InFlight,
        open: Open<'a, C>,
    ) -> Self {
        Self { session: Some(session), ..Self::new(in_flight, open) }
    }

    /// Closes the session. The next work opens a new one.
    pub(crate) fn close_session(&mut self) {
        self.session = None;
    }

    pub(crate) fn try_once<T>(&mut self, work: impl FnOnce(&mut C) -> Result<T>) -> Result<T> {
        let (client, backend) = match &mut self.session {
            Some(session) => session,
            none => none.insert((self.open)(self.lost)?),
        };
        self.lost = None;
        let backend = *backend;
        let guard = self.in_flight.enter(backend);
        let done = work(client);
        drop(guard);
        if done.as_ref().is_err_and(Error::is_retryable) {
            self.lost = Some(backend);
            self.session = None;
        }
        done
    }

    /// Runs `work`. If the session was lost, runs it again on a new one, once and without a pause.
    pub(crate) fn try_twice<T>(&mut self, mut work: impl FnMut(&mut C) -> Result<T>) -> Result<T> {
        match self.try_once(&mut work) {
            Err(error) if error.is_retryable() => self.try_once(work),
            done => done,
        }
    }

    /// Runs `work`, and repeats it while connections are lost.
    pub(crate) fn run<T>(
        &mut self,
        retry_policy: &RetryPolicy<'_>,
        mut work: impl FnMut(&mut C) -> Result<T>,
    ) -> Result<T> {
        retry_policy.retry(|_| self.try_once(&mut work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::cancel::CancelScope;
    use crate::control::progress::PhaseProgress;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    fn backend(pid: i32) -> Backend {
        Backend { pid, started: 7 }
    }

    fn lost() -> Error {
        Error::failed("cannot write").retryable()
    }

    #[test]
    fn work_is_repeated_on_a_new_session_and_the_old_one_is_ended_once() {
        let (progress, cancel) = (PhaseProgress::default(), CancelScope::default());
        let limit = Duration::from_secs(60);
        let retry_policy = RetryPolicy { limit, cancel: &cancel, progress: &progress };
        let (opened, ended) = (AtomicU32::new(0), Mutex::new(Vec::new()));
        let open = |lost_backend: Option<Backend>| {
            ended.lock().unwrap().push(lost_backend);
            let number = opened.fetch_add(1, Ordering::Relaxed);
            // The second attempt to connect fails, too.
            if number == 1 { Err(lost()) } else { Ok((number, backend(number as i32))) }
        };
        let in_flight = InFlight::default();
        let mut connection = Reconnecting::new(&in_flight, Box::new(open));
        let done = connection.run(&retry_policy, |session| {
            assert_eq!(in_flight.backends(), [backend(*session as i32)]);
            if *session == 0 { Err(lost()) } else { Ok(()) }
        });
        assert!(done.is_ok());
        assert!(connection.run(&retry_policy, |_| Ok(())).is_ok());
        assert_eq!(*ended.lock().unwrap(), [None, Some(backend(0)), Some(backend(0))]);
        assert_eq!((progress.step(), in_flight.backends()), (String::new(), Vec::new()));
    }
}

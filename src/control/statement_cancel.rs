//! Interrupting: what the databases are busy with ends when the user wants to stop, or when the
//! time is up.
//!
//! Threads look at the stop flag between rows and between chunks, but a single statement can take
//! long: an index over a large table, a check over all rows, a wait for somebody's lock. Such
//! statements are cancelled after a while in which what is in flight may still be committed; those
//! of SQLite at once while nothing is written yet.

use crate::config::connection::Connection;
use crate::control::POLL_INTERVAL;
use crate::error::Error;
use crate::postgres::connect::connect;
use crate::postgres::lease::advisory_lock;
use crate::sqlite::source::interrupter::Interrupter;
use crate::sqlite::source::open::Source;
use postgres::Client;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is in flight may be committed for so long.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// Between two attempts to cancel what still goes on.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// Watches the stop flag until it is dropped.
pub struct StatementCanceller {
    watched: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
}

/// Says whether the time is up.
type IsLate = Box<dyn Fn() -> bool + Send>;

struct Shared {
    stop: Arc<AtomicBool>,
    /// Rows are in flight, or were.
    writes: AtomicBool,
    /// Time was up before anybody wished to stop.
    late: AtomicBool,
    over: AtomicBool,
    is_late: Mutex<Option<IsLate>>,
    sources: Mutex<Vec<Interrupter>>,
    /// Each with the key of the advisory lock that all sessions of the run hold there.
    servers: Mutex<Vec<(Connection, i64)>>,
}

impl StatementCanceller {
    /// Watches `stop`.
    pub fn watch(stop: &Arc<AtomicBool>) -> Self {
        let watched = Arc::new(Shared {
            stop: Arc::clone(stop),
            writes: AtomicBool::new(false),
            late: AtomicBool::new(false),
            over: AtomicBool::new(false),
            is_late: Mutex::default(),
            sources: Mutex::default(),
            servers: Mutex::default(),
        });
        let watcher = {
            let watched = Arc::clone(&watched);
            thread::Builder::new().name("interrupt".to_owned()).spawn(move || watched.run())
        };
        // Without the thread a statement is not interrupted; all else ends as it does.
        Self { watched, watcher: watcher.ok() }
    }

    /// The flag that is watched.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.watched.stop
    }

    /// The run begins to write: from now on what is in flight gets a while to arrive.
    pub(crate) fn begin_writing(&self) {
        self.watched.writes.store(true, Ordering::Relaxed);
    }

    /// The run has begun to write.
    pub(crate) fn writes(&self) -> bool {
        self.watched.writes.load(Ordering::Relaxed)
    }

    /// From now on the run is stopped as soon as `is_late` says so; it is asked some times a
    /// second.
    pub(crate) fn cancel_when(&self, is_late: impl Fn() -> bool + Send + 'static) {
        let mut asked = self.watched.is_late.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = Some(Box::new(is_late));
    }

    /// The run was stopped because the time was up.
    pub(crate) fn is_late(&self) -> bool {
        self.watched.late.load(Ordering::Relaxed)
    }

    /// The error that is told of a run that does not pause and ended with `error`: after the wish to
    /// stop, what that brought about is no news.
    pub(crate) fn told(&self, error: Error) -> Error {
        match (self.stop().load(Ordering::Relaxed), self.is_late()) {
            (false, _) => error,
            (true, false) => Error::interrupted(),
            (true, true) => {
                Error::failed("the time is up, and a run of this direction cannot pause")
            }
        }
    }

    /// Nothing is interrupted any more: what is done now is the end of the run.
    pub(crate) fn disarm(&self) {
        self.watched.over.store(true, Ordering::Relaxed);
    }

    /// From now on the readers of `source` are interrupted.
    pub fn add_source(&self, source: &Source) {
        let mut sources = self.watched.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.push(source.interrupter());
    }

    /// From now on the sessions are cancelled that hold the advisory lock `key`.
    pub(crate) fn add_server(&self, connection: &Connection, key: i64) {
        let mut servers = self.watched.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.push((connection.clone(), key));
    }
}

impl Drop for StatementCanceller {
    fn drop(&mut self) {
        self.watched.over.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // It may wait for a server that does not answer; the program does not wait with it.
            if !self.watched.stop.load(Ordering::Relaxed) {
                drop(watcher.join());
            }
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut stopped: Option<Instant> = None;
        let mut cancelled: Option<Instant> = None;
        while !self.over.load(Ordering::Relaxed) {
            self.look_at_the_clock();
            if self.stop.load(Ordering::Relaxed) {
                let is_over = stopped.get_or_insert_with(Instant::now).elapsed() >= CANCEL_GRACE;
                if is_over || !self.writes.load(Ordering::Relaxed) {
                    self.interrupt_sources();
                }
                let is_due = cancelled.is_none_or(|last| last.elapsed() >= CANCEL_INTERVAL);
                if is_over && is_due {
                    self.cancel_statements();
                    cancelled = Some(Instant::now());
                }
            }
            thread::park_timeout(POLL_INTERVAL);
        }
    }

    fn look_at_the_clock(&self) {
        let is_late = self.is_late.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = is_late.as_ref().is_some_and(|is_late| is_late());
        if is_late && !self.stop.swap(true, Ordering::Relaxed) {
            self.late.store(true, Ordering::Relaxed);
        }
    }

    fn interrupt_sources(&self) {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.iter().for_each(Interrupter::interrupt);
    }

    /// Cancels by a session of its own: so the same way leads to the server as for all others,
    /// and nobody has to keep their tokens.
    fn cancel_statements(&self) {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (connection, key) in servers {
            // A server that lets nobody in now may do so at the next attempt.
            let Ok(mut session) = connect::<Client>(&connection, "cancel") else { continue };
            let _ = advisory_lock::cancel_holders(&mut session.client, key);
        }
    }
}

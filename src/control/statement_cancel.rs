//! Cancels long statements when the run is stopped.
//!
//! Threads check their scope between rows and between chunks, but one statement can take long: an
//! index on a large table, a check of all rows, a wait for a lock of another session. Rows in flight
//! get some time to be committed first. Reads of the source are interrupted at once as long as
//! nothing is written.

use crate::control::cancel::CancelScope;
use crate::control::{POLL_INTERVAL, lock};
use crate::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long rows in flight may take to be committed.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// The time between two attempts to cancel the statements of servers.
const CANCEL_INTERVAL: Duration = Duration::from_secs(1);

/// A thread that cancels statements once its scope is cancelled. It ends when this is dropped.
pub struct StatementCanceller {
    shared: Arc<Shared>,
    watcher: Option<JoinHandle<()>>,
}

type Hook = Arc<dyn Fn() + Send + Sync>;

type IsLate = Box<dyn Fn() -> bool + Send>;

#[derive(Default)]
struct Shared {
    cancel: CancelScope,
    is_writing: AtomicBool,
    /// The time was up before anybody else stopped the run.
    is_late: AtomicBool,
    is_over: AtomicBool,
    deadline: Mutex<Option<IsLate>>,
    source_hooks: Mutex<Vec<Hook>>,
    server_hooks: Mutex<Vec<Hook>>,
}

impl StatementCanceller {
    /// Watches `cancel`.
    pub fn watch(cancel: &CancelScope) -> Self {
        let shared = Arc::new(Shared { cancel: cancel.clone(), ..Shared::default() });
        let watched = Arc::clone(&shared);
        let watcher = thread::Builder::new().name("canceller".to_owned());
        // Without the thread, statements are not cancelled; everything else still ends.
        let watcher = watcher.spawn(move || watched.run()).ok();
        Self { shared, watcher }
    }

    pub(crate) fn scope(&self) -> &CancelScope {
        &self.shared.cancel
    }

    /// Notes that the run starts to write: from now on rows in flight get time to be committed.
    pub(crate) fn begin_writing(&self) {
        self.shared.is_writing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.shared.is_writing.load(Ordering::Relaxed)
    }

    /// Cancels the scope as soon as `is_late` is true. It replaces an earlier deadline, and is
    /// called several times a second.
    pub(crate) fn cancel_when(&self, is_late: impl Fn() -> bool + Send + 'static) {
        *lock(&self.shared.deadline) = Some(Box::new(is_late));
    }

    /// Whether the run was stopped because the time was up.
    pub(crate) fn is_late(&self) -> bool {
        self.shared.is_late.load(Ordering::Relaxed)
    }

    /// The error to report for a run that cannot pause: after a stop, `error` is its consequence.
    pub(crate) fn map_error(&self, error: Error) -> Error {
        match (self.scope().is_cancelled(), self.is_late()) {
            (false, _) => error,
            (true, false) => Error::interrupted(),
            (true, true) => {
                Error::failed("the time is up, and a run into SQLite cannot pause and resume")
            }
        }
    }

    /// Cancels no more statements: those that follow complete the run.
    pub(crate) fn disarm(&self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
    }

    /// Adds a hook that interrupts reads of a source. It must be quick: it is called at each poll,
    /// at once while nothing is written, and later after a grace period.
    pub fn add_source_hook(&self, interrupt: impl Fn() + Send + Sync + 'static) {
        lock(&self.shared.source_hooks).push(Arc::new(interrupt));
    }

    /// Adds a hook that cancels statements on a server. It may take long: it is called once a
    /// second after the grace period.
    pub(crate) fn add_server_hook(&self, cancel: impl Fn() + Send + Sync + 'static) {
        lock(&self.shared.server_hooks).push(Arc::new(cancel));
    }
}

impl Drop for StatementCanceller {
    fn drop(&mut self) {
        self.disarm();
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // After a stop it may wait for a server that does not answer. The program does not.
            if !self.scope().is_cancelled() {
                drop(watcher.join());
            }
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut stopped: Option<Instant> = None;
        let mut last_cancel: Option<Instant> = None;
        while !self.is_over.load(Ordering::Relaxed) {
            self.check_deadline();
            if self.cancel.is_cancelled() {
                let grace_is_over =
                    stopped.get_or_insert_with(Instant::now).elapsed() >= CANCEL_GRACE;
                if grace_is_over || !self.is_writing.load(Ordering::Relaxed) {
                    lock(&self.source_hooks).iter().for_each(|interrupt| interrupt());
                }
                let is_due = last_cancel.is_none_or(|last| last.elapsed() >= CANCEL_INTERVAL);
                if grace_is_over && is_due {
                    // A copy: a hook may take long, and must not keep others from being added.
                    let hooks = lock(&self.server_hooks).clone();
                    hooks.iter().for_each(|cancel| cancel());
                    last_cancel = Some(Instant::now());
                }
            }
            thread::park_timeout(POLL_INTERVAL);
        }
    }

    fn check_deadline(&self) {
        let is_late = lock(&self.deadline).as_ref().is_some_and(|is_late| is_late());
        if is_late && self.cancel.cancel() {
            self.is_late.store(true, Ordering::Relaxed);
        }
    }
}

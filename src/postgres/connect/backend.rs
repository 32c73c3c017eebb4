//! Backends: the server's processes behind sessions.

use crate::control::lock;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// The backend of one session. The process number alone may already belong to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Backend {
    /// The process number on the server's machine.
    pub(crate) pid: i32,
    /// The start time in microseconds since 1970. 0 where the server does not show it: such a
    /// backend is never terminated by this program.
    pub(crate) started: i64,
}

/// How long the server may take to end a backend, in milliseconds.
const TERMINATE_TIMEOUT_MS: u32 = 10_000;

impl Backend {
    /// The backend of a session that nobody has to terminate.
    pub(crate) const NONE: Self = Self { pid: 0, started: 0 };

    /// The statement that terminates the backend where it still exists, and waits for its end.
    pub(crate) fn terminate_sql(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_terminate_backend(pid, {TERMINATE_TIMEOUT_MS}) \
             FROM pg_catalog.pg_stat_activity WHERE pid = {} \
             AND (extract(epoch FROM backend_start) * 1000000)::bigint = {}",
            self.pid, self.started
        )
    }
}

/// The backends of a run that have a statement in flight. Clones share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<BTreeSet<Backend>>>);

/// The time in which one backend has a statement in flight.
pub(crate) struct InFlightGuard<'a> {
    list: &'a InFlight,
    backend: Backend,
}

impl InFlight {
    /// Lists `backend` until the guard is dropped.
    pub(crate) fn enter(&self, backend: Backend) -> InFlightGuard<'_> {
        lock(&self.0).insert(backend);
        InFlightGuard { list: self, backend }
    }

    pub(crate) fn backends(&self) -> Vec<Backend> {
        lock(&self.0).iter().copied().collect()
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        lock(&self.list.0).remove(&self.backend);
    }
}

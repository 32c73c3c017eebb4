//! A backend: the server's process behind one session, known by its number and the moment it
//! began. The number alone may be another's by now.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One of the server's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Backend {
    /// Its process number on the server's machine.
    pub(crate) pid: i32,
    /// When it began, in microseconds since 1970; 0 where the server does not tell, and then it is
    /// never ended by us.
    pub(crate) started: i64,
}

/// How long the server may take to end one, in milliseconds.
const END_LIMIT: u32 = 10_000;

/// Those whose answer somebody in this program waits for.
static IN_FLIGHT: Mutex<BTreeSet<Backend>> = Mutex::new(BTreeSet::new());

fn in_flight() -> MutexGuard<'static, BTreeSet<Backend>> {
    IN_FLIGHT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it lives, a backend's answer is awaited.
pub(crate) struct InFlight(Backend);

impl Drop for InFlight {
    fn drop(&mut self) {
        in_flight().remove(&self.0);
    }
}

impl Backend {
    /// Says that its answer is awaited.
    pub(crate) fn in_flight(self) -> InFlight {
        in_flight().insert(self);
        InFlight(self)
    }

    /// All whose answer is awaited.
    pub(crate) fn all_awaited() -> Vec<Self> {
        in_flight().iter().copied().collect()
    }

    /// Of a session that nobody has to end.
    pub(crate) const NONE: Self = Self { pid: 0, started: 0 };

    /// The statement that ends it, if it is still there, and waits until it is gone.
    pub(crate) fn end(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_terminate_backend(pid, {END_LIMIT}) \
             FROM pg_catalog.pg_stat_activity WHERE pid = {} \
             AND (extract(epoch FROM backend_start) * 1000000)::bigint = {}",
            self.pid, self.started
        )
    }
}

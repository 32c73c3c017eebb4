//! A backend: the server's process behind one session, known by its number and the moment it
//! began. The number alone may be another's by now.

/// One of the server's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backend {
    /// Its process number on the server's machine.
    pub pid: i32,
    /// When it began, in microseconds since 1970.
    pub started: i64,
}

/// How long the server may take to end one, in milliseconds.
const END_LIMIT: u32 = 10_000;

impl Backend {
    /// Of a session that nobody has to end.
    pub const NONE: Self = Self { pid: 0, started: 0 };

    /// The statement that ends it, if it is still there, and waits until it is gone.
    #[must_use]
    pub fn end(&self) -> String {
        format!(
            "SELECT pg_catalog.pg_terminate_backend(pid, {END_LIMIT}) \
             FROM pg_catalog.pg_stat_activity WHERE pid = {} \
             AND (extract(epoch FROM backend_start) * 1000000)::bigint = {}",
            self.pid, self.started
        )
    }
}

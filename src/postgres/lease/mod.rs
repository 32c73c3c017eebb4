//! The lease of a run on its target: advisory locks, run lock, heartbeat, sessions of others.

pub(crate) mod advisory_lock;
pub(crate) mod heartbeat;
pub(crate) mod other_sessions;
pub(crate) mod run_lock;

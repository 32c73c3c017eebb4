//! The lease of a run on its target: advisory locks, heartbeat, other sessions.

pub mod advisory_lock;
pub mod heartbeat;
pub mod other_sessions;
pub mod run_lock;

//! A claim: the right of one run to a schema of the target. It is an advisory lock that all sessions
//! of the run hold in shared mode, and that a starting run must have had alone for a moment.
//!
//! A run that is alive shows it: one of its sessions, the pulse, asks the server something every
//! second, and the server's list of sessions tells when. Where sessions hold the lock and no pulse
//! is felt for a while, their client is dead or out of reach (behind a proxy that keeps their
//! connections open, or on a machine without power), and they are ended. A run that was only
//! asleep meanwhile finds that the ledger names another run, and writes nothing more.

use crate::config::connection::Connection;
use crate::control::POLL_INTERVAL;
use crate::error::{Error, Result};
use crate::postgres::connect::backend::Backend;
use crate::postgres::connect::{Driver, Session, connect};
use crate::postgres::errors::{db_error, describe};
use crate::postgres::lease::advisory_lock;
use crate::postgres::lease::heartbeat::{Heartbeat, PULSE, StallAlarm};
use crate::schema::names::quote;
use postgres::Client;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A run that does not show it for so long is dead: ten beats, as machines can be busy.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the sessions of a dead run may take to end once they are told to.
const END_LIMIT: Duration = Duration::from_secs(30);

/// What tells one run of the program from all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunId(String);

/// Hexadecimal digits of a [`RunId`].
const DIGITS: usize = 16;

impl RunId {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self(format!("{:0DIGITS$x}", fastrand::u64(..)))
    }

    /// The one in the name of a session.
    fn in_name(application: &str) -> Option<Self> {
        let word = application.strip_prefix("migrate ")?.rsplit(' ').next()?;
        let is_one = word.len() == DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_one.then(|| Self(word.to_owned()))
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The claim; the lock goes with the last session.
pub(crate) struct RunLock {
    connection: Connection,
    key: i64,
    run: RunId,
    /// `None` where another claim of this run on the same schema has it.
    _pulse: Option<Heartbeat>,
}

impl RunLock {
    /// Claims `schema` for the run and has `keeper` hold the lock. Ends the sessions of a dead run.
    /// `wait` is called before anything is waited for; the wait ends when `stop` is set.
    pub(crate) fn take(
        keeper: &mut Client,
        connection: &Connection,
        schema: &str,
        run: &RunId,
        (stop, wait): (&AtomicBool, &mut dyn FnMut() -> Result<()>),
        alarm: StallAlarm,
    ) -> Result<Self> {
        let key = advisory_lock::key(schema);
        let mut contest = LockAttempt { keeper, key, schema, stop };
        if !contest.try_lock()? {
            wait()?;
            contest.wait()?;
        }
        let what = "cannot lock the target";
        keeper
            .batch_execute(&advisory_lock::hold(&[key]))
            .and_then(|()| keeper.execute("SELECT pg_catalog.pg_advisory_unlock($1)", &[&key]))
            .map_err(db_error(what))?;
        let ours = Self { connection: connection.clone(), key, run: run.clone(), _pulse: None };
        let pulse = Heartbeat::start(ours, alarm)?;
        let (connection, run) = (connection.clone(), run.clone());
        Ok(Self { connection, key, run, _pulse: Some(pulse) })
    }

    /// The claim of a second data set in a schema that the run has claimed.
    pub(crate) fn share(
        keeper: &mut Client,
        connection: &Connection,
        schema: &str,
        run: &RunId,
    ) -> Result<Self> {
        let key = advisory_lock::key(schema);
        keeper
            .batch_execute(&advisory_lock::hold(&[key]))
            .map_err(db_error("cannot lock the target"))?;
        Ok(Self { connection: connection.clone(), key, run: run.clone(), _pulse: None })
    }

    /// The key of the lock.
    pub(crate) fn key(&self) -> i64 {
        self.key
    }

    /// The run whose claim it is.
    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }

    /// What all sessions connect to.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// One more session of the run. `instead` is a session that was lost: it is ended first, as
    /// what it was doing may still be going on.
    pub(crate) fn session<D: Driver>(
        &self,
        purpose: &str,
        instead: Option<Backend>,
    ) -> Result<Session<D>> {
        let mut session: Session<D> = connect(&self.connection, &purpose_of(purpose, &self.run))?;
        if let Some(old) = instead {
            session
                .client
                .batch_execute(&old.end())
                .map_err(db_error("cannot end a session whose connection was lost"))?;
        }
        session
            .client
            .batch_execute(&advisory_lock::hold(&[self.key]))
            .map_err(db_error("cannot lock the target"))?;
        Ok(session)
    }
}

/// The name by which a session of a run is known, for [`connect`].
pub(crate) fn purpose_of(purpose: &str, run: &RunId) -> String {
    format!("{purpose} {run}")
}

/// A starting run against whoever holds the lock.
struct LockAttempt<'a> {
    keeper: &'a mut Client,
    key: i64,
    schema: &'a str,
    stop: &'a AtomicBool,
}

/// A session that holds the lock.
struct Holder {
    backend: Backend,
    run: RunId,
    /// When it last did something, if it is a pulse.
    beat: Option<i64>,
}

/// What was seen of a run that holds the lock.
struct Seen {
    since: Instant,
    beats: HashMap<Backend, i64>,
}

impl LockAttempt<'_> {
    /// Waits until the lock is had exclusively, and ends the sessions of dead runs for that.
    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut seen: HashMap<RunId, Seen> = HashMap::new();
        while !self.try_lock()? {
            let now = Instant::now();
            let (holders, others) = self.holders()?;
            // A dead one's sessions go by themselves where the server notices.
            if others && now - started >= HEARTBEAT_TIMEOUT {
                return Err(self.at_work("its sessions are not of the kind that may be ended"));
            }
            for holder in &holders {
                let fresh = || Seen { since: now, beats: HashMap::new() };
                let seen = seen.entry(holder.run.clone()).or_insert_with(fresh);
                let Some(beat) = holder.beat else { continue };
                if *seen.beats.entry(holder.backend).or_insert(beat) != beat {
                    return Err(self.at_work("it is alive"));
                }
            }
            for Holder { backend, run, .. } in &holders {
                let silent = seen.get(run).map_or(Duration::ZERO, |seen| seen.since.elapsed());
                if silent >= HEARTBEAT_TIMEOUT + END_LIMIT {
                    return Err(cannot_end(*backend, "it does not end"));
                }
                if silent >= HEARTBEAT_TIMEOUT {
                    let ended = self.keeper.batch_execute(&backend.end());
                    ended.map_err(|error| cannot_end(*backend, &describe(&error)))?;
                }
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn try_lock(&mut self) -> Result<bool> {
        let row = self
            .keeper
            .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&self.key])
            .map_err(db_error("cannot lock the target"))?;
        Ok(row.get(0))
    }

    /// The sessions that hold the lock; and whether there are others, of which nothing is known: of
    /// a run in the other direction, or another role's.
    fn holders(&mut self) -> Result<(Vec<Holder>, bool)> {
        let rows = advisory_lock::holders(self.keeper, self.key)?;
        let holder = |row: &postgres::Row| {
            let (name, changed): (&str, Option<i64>) = (row.get(3), row.get(2));
            let (started, run) = (row.get::<_, Option<i64>>(1)?, RunId::in_name(name)?);
            let is_pulse = name == format!("migrate {}", purpose_of(PULSE, &run));
            let backend = Backend { pid: row.get(0), started };
            Some(Holder { backend, run, beat: changed.filter(|_| is_pulse) })
        };
        let holders: Vec<Holder> = rows.iter().filter_map(holder).collect();
        let others = holders.len() < rows.len();
        Ok((holders, others))
    }

    fn at_work(&self, why: &str) -> Error {
        Error::refused(format!(
            "another run of migrate is at work on schema {} of the target",
            quote(self.schema)
        ))
        .caused_by(why)
        .hint("wait for its end, or end it")
    }
}

fn cannot_end(backend: Backend, why: &str) -> Error {
    Error::refused("a run that is dead has left a session on the target that cannot be ended")
        .caused_by(format!("session {}: {why}", backend.pid))
        .hint(format!(
            "let an administrator of the server run: SELECT pg_terminate_backend({})",
            backend.pid
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_names_its_run_and_others_name_none() {
        let run = RunId::new();
        let name = format!("migrate {}", purpose_of("copy", &run));
        assert!(name.len() < 64, "the server would cut it");
        assert_eq!(RunId::in_name(&name), Some(run));
        for other in ["migrate copy", "migrate", "psql", "x 0123456789abcdef", "migrate 0123"] {
            assert_eq!(RunId::in_name(other), None, "{other}");
        }
    }
}

//! The run lock: the right of one run to write to a schema of the target.
//!
//! It is an advisory lock that all sessions of the run hold in shared mode, and that a starting run
//! must hold exclusively for a moment. A live run shows activity: its heartbeat session queries the
//! server once a second, and `pg_stat_activity` shows when. Where sessions hold the lock without a
//! heartbeat for a while, their client is dead or unreachable (a machine without power, a proxy that
//! keeps connections open), and they are terminated. A run that was only suspended finds another
//! run in the ledger afterwards, and writes nothing more.

use crate::config::connection::Connection;
use crate::control::POLL_INTERVAL;
use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::connect::connect;
use crate::postgres::connect::driver::Driver;
use crate::postgres::connect::session::Session;
use crate::postgres::errors::{db_error, describe};
use crate::postgres::lease::advisory_lock;
use crate::postgres::lease::heartbeat::{self, Heartbeat, StallAlarm};
use crate::schema::names::quote;
use postgres::Client;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use std::{fmt, thread};

/// A run without a heartbeat for this long is dead: ten beats, because machines can be busy.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the sessions of a dead run may take to end after they were terminated.
const TERMINATE_TIMEOUT: Duration = Duration::from_secs(30);

const CANNOT_LOCK: &str = "cannot lock the target";

/// The identity of one run of the program.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RunId(String);

/// The number of hexadecimal digits of a [`RunId`].
const DIGITS: usize = 16;

impl RunId {
    pub(crate) fn new() -> Self {
        Self(format!("{:0DIGITS$x}", fastrand::u64(..)))
    }

    /// The identity in the name of a session.
    fn from_session_name(name: &str) -> Option<Self> {
        let word = name.strip_prefix("migrate ")?.rsplit(' ').next()?;
        let is_id = word.len() == DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| Self(word.to_owned()))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Opens the sessions of one run on one target schema, each of which holds the run's lock.
#[derive(Debug, Clone)]
pub(crate) struct SessionFactory {
    connection: Connection,
    key: i64,
    run: RunId,
    in_flight: InFlight,
}

impl SessionFactory {
    /// The factory of `run` for `schema`. `in_flight` is the run's list of statements in flight.
    pub(crate) fn new(
        connection: &Connection,
        schema: &str,
        run: &RunId,
        in_flight: &InFlight,
    ) -> Self {
        Self {
            connection: connection.clone(),
            key: advisory_lock::key(schema),
            run: run.clone(),
            in_flight: in_flight.clone(),
        }
    }

    /// Opens one more session of the run. A session that was `lost` is terminated first, because its
    /// statement may still run.
    fn open<D: Driver>(&self, purpose: &str, lost: Option<Backend>) -> Result<Session<D>> {
        let mut session: Session<D> = connect(&self.connection, &purpose_of(purpose, &self.run))?;
        if let Some(lost) = lost {
            session
                .client
                .batch_execute(&lost.terminate_sql())
                .map_err(db_error("cannot end a session whose connection was lost"))?;
        }
        hold(&mut session.client, self.key)?;
        Ok(session)
    }
}

/// Takes `key` in shared mode.
fn hold(client: &mut impl Driver, key: i64) -> Result<()> {
    client.batch_execute(&advisory_lock::hold(&[key])).map_err(db_error(CANNOT_LOCK))
}

/// The lock. The server releases it with the last session of the run.
pub(crate) struct RunLock {
    sessions: SessionFactory,
    /// `None` if another lock of this run on the same schema has it.
    _heartbeat: Option<Heartbeat>,
}

impl RunLock {
    /// Locks `schema` and lets `client` hold the lock. The sessions of a dead run are terminated.
    /// `before_wait` is called before the first wait. The wait ends when `cancel` is cancelled.
    pub(crate) fn take(
        client: &mut Client,
        schema: &str,
        sessions: SessionFactory,
        (cancel, before_wait): (&CancelScope, &mut dyn FnMut() -> Result<()>),
        alarm: StallAlarm,
    ) -> Result<Self> {
        let key = sessions.key;
        let mut attempt = LockAttempt { client, key, schema, cancel };
        if !attempt.try_lock()? {
            before_wait()?;
            attempt.wait()?;
        }
        hold(client, key)?;
        client
            .execute("SELECT pg_catalog.pg_advisory_unlock($1)", &[&key])
            .map_err(db_error(CANNOT_LOCK))?;
        let factory = sessions.clone();
        let open = Box::new(move |lost| factory.open(heartbeat::PURPOSE, lost));
        let heartbeat = Heartbeat::start(open, sessions.in_flight.clone(), alarm)?;
        Ok(Self { sessions, _heartbeat: Some(heartbeat) })
    }

    /// The lock of a second data set in a schema that the run has locked already.
    pub(crate) fn share(client: &mut Client, sessions: SessionFactory) -> Result<Self> {
        hold(client, sessions.key)?;
        Ok(Self { sessions, _heartbeat: None })
    }

    pub(crate) fn key(&self) -> i64 {
        self.sessions.key
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.sessions.run
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.sessions.connection
    }

    /// The backends of the run that have a statement in flight.
    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.sessions.in_flight
    }

    /// Opens one more session of the run. A session that was `lost` is terminated first, because its
    /// statement may still run.
    pub(crate) fn session<D: Driver>(
        &self,
        purpose: &str,
        lost: Option<Backend>,
    ) -> Result<Session<D>> {
        self.sessions.open(purpose, lost)
    }
}

/// The purpose in the name of a session of `run`, for [`connect`].
pub(crate) fn purpose_of(purpose: &str, run: &RunId) -> String {
    format!("{purpose} {run}")
}

struct LockAttempt<'a> {
    client: &'a mut Client,
    key: i64,
    schema: &'a str,
    cancel: &'a CancelScope,
}

/// A session that holds the lock.
struct Holder {
    backend: Backend,
    run: RunId,
    /// The time of its last activity, where it is a heartbeat.
    beat: Option<i64>,
}

/// The observations of a run that holds the lock.
struct ObservedRun {
    since: Instant,
    beats: HashMap<Backend, i64>,
}

impl LockAttempt<'_> {
    /// Waits for the exclusive lock, and terminates the sessions of dead runs.
    fn wait(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut runs: HashMap<RunId, ObservedRun> = HashMap::new();
        while !self.try_lock()? {
            let now = Instant::now();
            let (holders, has_unknown) = self.holders()?;
            // The server ends the sessions of a dead client itself where it notices its death.
            if has_unknown && now - started >= HEARTBEAT_TIMEOUT {
                return Err(self.refusal("its sessions cannot be attributed to one run"));
            }
            for holder in &holders {
                let first_seen = || ObservedRun { since: now, beats: HashMap::new() };
                let run = runs.entry(holder.run.clone()).or_insert_with(first_seen);
                let Some(beat) = holder.beat else { continue };
                if *run.beats.entry(holder.backend).or_insert(beat) != beat {
                    return Err(self.refusal("its heartbeat is current"));
                }
            }
            for Holder { backend, run, .. } in &holders {
                let silent = runs.get(run).map_or(Duration::ZERO, |run| run.since.elapsed());
                if silent >= HEARTBEAT_TIMEOUT + TERMINATE_TIMEOUT {
                    return Err(cannot_terminate(*backend, "it does not end"));
                }
                if silent >= HEARTBEAT_TIMEOUT {
                    let ended = self.client.batch_execute(&backend.terminate_sql());
                    ended.map_err(|error| cannot_terminate(*backend, &describe(&error)))?;
                }
            }
            self.cancel.check()?;
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    fn try_lock(&mut self) -> Result<bool> {
        let row = self
            .client
            .query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&self.key])
            .map_err(db_error(CANNOT_LOCK))?;
        Ok(row.get(0))
    }

    /// The sessions that hold the lock, and whether there are others without a run identity: of a
    /// run in the other direction, or of another role.
    fn holders(&mut self) -> Result<(Vec<Holder>, bool)> {
        let rows = advisory_lock::holders(self.client, self.key)?;
        let holder = |row: &postgres::Row| {
            let (name, changed): (&str, Option<i64>) = (row.get(3), row.get(2));
            let run = RunId::from_session_name(name)?;
            let started = row.get::<_, Option<i64>>(1)?;
            let is_heartbeat = name == format!("migrate {}", purpose_of(heartbeat::PURPOSE, &run));
            let backend = Backend { pid: row.get(0), started };
            Some(Holder { backend, run, beat: changed.filter(|_| is_heartbeat) })
        };
        let holders: Vec<Holder> = rows.iter().filter_map(holder).collect();
        let has_unknown = holders.len() < rows.len();
        Ok((holders, has_unknown))
    }

    fn refusal(&self, why: &str) -> Error {
        Error::refused(format!(
            "another run of migrate uses schema {} of the target",
            quote(self.schema)
        ))
        .caused_by(why)
        .hint("wait until it has ended, or stop it")
    }
}

fn cannot_terminate(backend: Backend, why: &str) -> Error {
    Error::refused("a dead run has left a session on the target that cannot be terminated")
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
    fn only_a_session_of_a_run_names_its_run() {
        let run = RunId::new();
        let name = format!("migrate {}", purpose_of("copy", &run));
        assert!(name.len() < 64, "the server would truncate it");
        assert_eq!(RunId::from_session_name(&name), Some(run));
        for other in ["migrate copy", "migrate", "psql", "x 0123456789abcdef", "migrate 0123"] {
            assert_eq!(RunId::from_session_name(other), None, "{other}");
        }
    }
}

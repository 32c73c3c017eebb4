//! The heartbeat of a run: a session that queries the server once a second, which shows that the run
//! is alive.
//!
//! It also detects a server that does not answer. A broken connection is an error wherever it is
//! used. A connection that only stalls, for example behind a proxy that forwards nothing, is no
//! error, and a statement on it waits forever. After the time for which lost connections are
//! retried, a stall is reported in two cases: no new connection is answered; or a backend waits for
//! this program while this program waits for the backend.

use crate::control::lock;
use crate::error::{Error, Result};
use crate::postgres::connect::backend::{Backend, InFlight};
use crate::postgres::connect::session::Session;
use crossbeam_channel::{Receiver, Sender, bounded};
use postgres::Client;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// The purpose in the name of the heartbeat's session. Other runs, of other versions too, search
/// for this name.
pub(crate) const PURPOSE: &str = "pulse";

/// The time between two queries.
const BEAT: Duration = Duration::from_secs(1);

/// Missed beats after which another connection is tried.
const RECONNECT_AFTER: u32 = 5;

/// Beats that may be missed beyond the time for retries: errors, where there are any, come first.
const MAX_MISSED_BEATS: u32 = 10;

/// How long the drop waits for the end of the session.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// What is done about a server that does not answer.
pub(crate) struct StallAlarm {
    /// The flag to set.
    pub(crate) flag: Arc<AtomicBool>,
    /// The time after which it is set, plus [`MAX_MISSED_BEATS`].
    pub(crate) after: Duration,
}

/// Opens the session of the heartbeat. The backend is the one before, to be ended first.
pub(crate) type OpenSession = Box<dyn Fn(Option<Backend>) -> Result<Session> + Send + Sync>;

/// How far a backend has come: when its state changed last, in microseconds since 1970, and the
/// bytes of its COPY.
type Activity = (Option<i64>, Option<i64>);

pub(crate) struct Heartbeat {
    state: Arc<HeartbeatState>,
    watcher: JoinHandle<()>,
    ended: Receiver<()>,
}

struct HeartbeatState {
    open: OpenSession,
    in_flight: InFlight,
    is_over: AtomicBool,
    /// The server has answered since the last beat of the watcher, if only with an error.
    answered: AtomicBool,
    /// For how many beats a backend and this program have waited for each other.
    stalled_beats: AtomicU32,
    /// The number of the thread that queries, of those that were started one after another.
    current: AtomicU32,
    /// That thread, and the backend of its session.
    querying: Mutex<(Option<Thread>, Option<Backend>)>,
}

impl Heartbeat {
    /// Starts the heartbeat with a first session. It watches the backends `in_flight`.
    pub(crate) fn start(open: OpenSession, in_flight: InFlight, alarm: StallAlarm) -> Result<Self> {
        let first = open(None)?;
        let state = Arc::new(HeartbeatState {
            open,
            in_flight,
            is_over: AtomicBool::new(false),
            answered: AtomicBool::new(true),
            stalled_beats: AtomicU32::new(0),
            current: AtomicU32::new(0),
            querying: Mutex::new((None, Some(first.backend))),
        });
        // Nothing is ever sent: the channel disconnects when the last querying thread has ended.
        let (end, ended) = bounded(0);
        state.start_thread(Some(first), end.clone())?;
        let watched = Arc::clone(&state);
        let watcher = thread::Builder::new().name("heartbeat watcher".to_owned());
        let watcher = watcher.spawn(move || watched.watch(&alarm, end)).map_err(no_thread)?;
        Ok(Self { state, watcher, ended })
    }
}

impl Drop for Heartbeat {
    /// Ends the session, but does not wait for a server that does not answer.
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        self.watcher.thread().unpark();
        if let (Some(thread), _) = &*lock(&self.state.querying) {
            thread.unpark();
        }
        let _ = self.ended.recv_timeout(SHUTDOWN_TIMEOUT);
    }
}

impl HeartbeatState {
    /// Starts a thread that queries until the next one is started.
    fn start_thread(self: &Arc<Self>, session: Option<Session>, end: Sender<()>) -> Result<()> {
        let number = self.current.fetch_add(1, Ordering::Relaxed) + 1;
        let state = Arc::clone(self);
        let thread = thread::Builder::new().name("heartbeat".to_owned());
        let thread = thread.spawn(move || {
            state.beat(session, number);
            drop(end);
        });
        lock(&self.querying).0 = Some(thread.map_err(no_thread)?.thread().clone());
        Ok(())
    }

    fn beat(&self, mut session: Option<Session>, number: u32) {
        let mut waiting = HashMap::new();
        let is_current = || self.current.load(Ordering::Relaxed) == number;
        while is_current() && !self.is_over.load(Ordering::Relaxed) {
            let is_alive = |s: &mut Session| self.query(&mut s.client, &mut waiting).is_ok();
            if !session.as_mut().is_some_and(is_alive) {
                let old = lock(&self.querying).1;
                session = (self.open)(old).ok();
                if let (Some(session), true) = (&session, is_current()) {
                    lock(&self.querying).1 = Some(session.backend);
                }
            }
            self.answered.store(true, Ordering::Relaxed);
            thread::park_timeout(BEAT);
        }
    }

    /// Queries the activity of the backends in flight, and counts the beats in which such a backend
    /// only waited for this program.
    fn query(
        &self,
        client: &mut Client,
        waiting: &mut HashMap<Backend, (Activity, u32)>,
    ) -> Result<(), postgres::Error> {
        const SQL: &str = "\
            SELECT a.pid, coalesce((extract(epoch FROM a.backend_start) * 1000000)::bigint, 0), \
              (extract(epoch FROM a.state_change) * 1000000)::bigint, c.bytes_processed \
            FROM pg_catalog.pg_stat_activity a \
            LEFT JOIN pg_catalog.pg_stat_progress_copy c ON c.pid = a.pid \
            WHERE a.pid = ANY ($1) AND a.wait_event_type = 'Client'";
        let in_flight = self.in_flight.backends();
        let pids: Vec<i32> = in_flight.iter().map(|backend| backend.pid).collect();
        let rows = client.query(SQL, &[&pids])?;
        let now: HashMap<Backend, Activity> = rows
            .iter()
            .map(|row| (Backend { pid: row.get(0), started: row.get(1) }, (row.get(2), row.get(3))))
            .collect();
        waiting.retain(|backend, (before, _)| now.get(backend) == Some(before));
        for (backend, activity) in now {
            waiting.entry(backend).or_insert((activity, 0)).1 += 1;
        }
        let longest = waiting.values().map(|(_, beats)| *beats).max().unwrap_or(0);
        self.stalled_beats.store(longest, Ordering::Relaxed);
        Ok(())
    }

    /// Counts beats rather than time: a program that was suspended for a while received nothing in
    /// that time, and the server is not to blame.
    fn watch(self: &Arc<Self>, alarm: &StallAlarm, end: Sender<()>) {
        let limit = u32::try_from(alarm.after.as_secs())
            .unwrap_or(u32::MAX)
            .saturating_add(MAX_MISSED_BEATS);
        let mut missed: u32 = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            thread::park_timeout(BEAT);
            if self.stalled_beats.load(Ordering::Relaxed) >= limit {
                alarm.flag.store(true, Ordering::Relaxed);
            }
            if self.answered.swap(false, Ordering::Relaxed) {
                missed = 0;
                continue;
            }
            missed = missed.saturating_add(1);
            if missed.is_multiple_of(RECONNECT_AFTER) {
                // Without a thread no answer can arrive, which counts as a server's silence, too.
                let _ = self.start_thread(None, end.clone());
            }
            if missed >= limit {
                alarm.flag.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::failed("cannot start a thread").caused_by(error)
}

//! The pulse of a run: a session that asks the server something every second, and so shows it that
//! the run is alive.
//!
//! It also feels whether the server still answers. A connection that is cut is an error wherever it
//! is used; one that only stands still, as behind a proxy that forwards nothing any more, is none,
//! and whoever waits for an answer waits for ever. Where that lasts for as long as a run may try
//! again, it is told to whoever watches the run: no connection, however new, is answered; or a
//! backend waits for us all the time, and we for it.

use crate::control::progress::Progress;
use crate::error::{Error, Result};
use crate::postgres::connect::Session;
use crate::postgres::connect::backend::Backend;
use crate::postgres::lease::run_lock::RunLock;
use crossbeam_channel::{Receiver, Sender, bounded};
use postgres::Client;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

/// The purpose of its session.
pub(crate) const PULSE: &str = "pulse";

/// How often the server is asked.
const BEAT: Duration = Duration::from_secs(1);

/// Beats without an answer after which another connection is tried.
const RENEW_AFTER: u32 = 5;

/// Beats that a server has beyond the time for which the run tries again: errors, where there are
/// any, are told first.
const MAX_MISSED_BEATS: u32 = 10;

/// How long the end of the session is waited for.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Who is told that the server does not answer.
pub(crate) struct StallAlarm {
    /// Whoever looks there.
    pub(crate) progress: Arc<Progress>,
    /// After this time and a little more.
    pub(crate) after: Duration,
}

/// How far a backend has come: when it last began or ended something, in microseconds since 1970,
/// and the bytes of the COPY at hand.
type Progressed = (Option<i64>, Option<i64>);

/// The pulse; it ends when it is dropped.
pub(crate) struct Heartbeat {
    heart: Arc<HeartbeatState>,
    watcher: JoinHandle<()>,
    ended: Receiver<()>,
}

/// What the threads of a pulse share.
struct HeartbeatState {
    claim: RunLock,
    over: AtomicBool,
    /// The server has answered since this was looked at, if only with an error.
    answered: AtomicBool,
    /// For how many beats a backend and this program have waited for each other.
    stalled_beats: AtomicU32,
    /// Which of the threads that were started one after another asks.
    asking: AtomicU32,
    /// It, and the session that it asks over.
    asker: Mutex<(Option<Thread>, Option<Backend>)>,
}

impl Heartbeat {
    /// Starts it, with a first session.
    pub(crate) fn start(claim: RunLock, alarm: StallAlarm) -> Result<Self> {
        let first = claim.session::<Client>(PULSE, None)?;
        let heart = Arc::new(HeartbeatState {
            claim,
            over: AtomicBool::new(false),
            answered: AtomicBool::new(true),
            stalled_beats: AtomicU32::new(0),
            asking: AtomicU32::new(0),
            asker: Mutex::new((None, Some(first.backend))),
        });
        // Nothing is ever sent: the channel is cut off when the last thread that asks has ended.
        let (end, ended) = bounded(0);
        heart.start(Some(first), end.clone())?;
        let watched = Arc::clone(&heart);
        let watcher = thread::Builder::new().name("watch of the pulse".to_owned());
        let watcher = watcher.spawn(move || watched.watch(&alarm, end)).map_err(no_thread)?;
        Ok(Self { heart, watcher, ended })
    }
}

impl Drop for Heartbeat {
    /// Ends the session, unless its server does not answer: the program does not wait for that.
    fn drop(&mut self) {
        self.heart.over.store(true, Ordering::Relaxed);
        self.watcher.thread().unpark();
        if let (Some(asker), _) = &*self.heart.lock() {
            asker.unpark();
        }
        let _ = self.ended.recv_timeout(SHUTDOWN_TIMEOUT);
    }
}

impl HeartbeatState {
    fn lock(&self) -> std::sync::MutexGuard<'_, (Option<Thread>, Option<Backend>)> {
        self.asker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread that asks until another one does.
    fn start(self: &Arc<Self>, session: Option<Session>, end: Sender<()>) -> Result<()> {
        let number = self.asking.fetch_add(1, Ordering::Relaxed) + 1;
        let heart = Arc::clone(self);
        let asker = thread::Builder::new().name("pulse".to_owned());
        let asker = asker.spawn(move || {
            heart.ask(session, number);
            drop(end);
        });
        self.lock().0 = Some(asker.map_err(no_thread)?.thread().clone());
        Ok(())
    }

    fn ask(&self, mut session: Option<Session>, number: u32) {
        let mut waits = HashMap::new();
        let is_asked = || self.asking.load(Ordering::Relaxed) == number;
        while is_asked() && !self.over.load(Ordering::Relaxed) {
            let is_alive = |s: &mut Session| self.listen(&mut s.client, &mut waits).is_ok();
            if !session.as_mut().is_some_and(is_alive) {
                let old = self.lock().1;
                session = self.claim.session(PULSE, old).ok();
                if let (Some(session), true) = (&session, is_asked()) {
                    self.lock().1 = Some(session.backend);
                }
            }
            self.answered.store(true, Ordering::Relaxed);
            thread::park_timeout(BEAT);
        }
    }

    /// Asks the server what it is doing for us, and counts the beats in which a backend whose
    /// answer we wait for has done nothing but to wait for us.
    fn listen(
        &self,
        client: &mut Client,
        waits: &mut HashMap<Backend, (Progressed, u32)>,
    ) -> Result<(), postgres::Error> {
        const SQL: &str = "\
            SELECT a.pid, coalesce((extract(epoch FROM a.backend_start) * 1000000)::bigint, 0), \
              (extract(epoch FROM a.state_change) * 1000000)::bigint, c.bytes_processed \
            FROM pg_catalog.pg_stat_activity a \
            LEFT JOIN pg_catalog.pg_stat_progress_copy c ON c.pid = a.pid \
            WHERE a.pid = ANY ($1) AND a.wait_event_type = 'Client'";
        let in_flight = Backend::all_awaited();
        let pids: Vec<i32> = in_flight.iter().map(|backend| backend.pid).collect();
        let rows = client.query(SQL, &[&pids])?;
        let now: HashMap<Backend, Progressed> = rows
            .iter()
            .map(|row| (Backend { pid: row.get(0), started: row.get(1) }, (row.get(2), row.get(3))))
            .collect();
        waits.retain(|backend, (then, _)| now.get(backend) == Some(then));
        for (backend, progressed) in now {
            waits.entry(backend).or_insert((progressed, 0)).1 += 1;
        }
        let longest = waits.values().map(|(_, beats)| *beats).max().unwrap_or(0);
        self.stalled_beats.store(longest, Ordering::Relaxed);
        Ok(())
    }

    /// Counts beats rather than time: a program that was stopped for a while has heard nothing in
    /// it, and no server is to blame.
    fn watch(self: &Arc<Self>, alarm: &StallAlarm, end: Sender<()>) {
        let limit = u32::try_from(alarm.after.as_secs())
            .unwrap_or(u32::MAX)
            .saturating_add(MAX_MISSED_BEATS);
        let mut silent: u32 = 0;
        while !self.over.load(Ordering::Relaxed) {
            thread::park_timeout(BEAT);
            if self.stalled_beats.load(Ordering::Relaxed) >= limit {
                alarm.progress.set_silent();
            }
            if self.answered.swap(false, Ordering::Relaxed) {
                silent = 0;
                continue;
            }
            silent = silent.saturating_add(1);
            if silent.is_multiple_of(RENEW_AFTER) {
                // Without a thread nothing can be felt, and that is the server's silence, too.
                let _ = self.start(None, end.clone());
            }
            if silent >= limit {
                alarm.progress.set_silent();
            }
        }
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::failed("cannot start a thread").caused_by(error)
}

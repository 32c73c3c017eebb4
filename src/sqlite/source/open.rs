//! A source: a SQLite database that this program never changes and reads in one consistent state.

use crate::error::{Error, Result};
use crate::sqlite::read::btree::{PageFile, PageReader};
use crate::sqlite::source::cleanup::SidecarCleanup;
use crate::sqlite::source::connection::SourceConnection;
use crate::sqlite::source::fingerprint::{Fingerprint, Header, Stats, sibling, stat, unreadable};
use crate::sqlite::source::interrupter::Interrupter;
use crate::sqlite::source::lock_holders;
use crate::sqlite::source::open_file::{OpenFile, ReadMode, WriteLock};
use crate::sqlite::source::open_files::OpenClaim;
use crate::sqlite::source::private_copy::PrivateCopy;
use crate::sqlite::source::write_lock::{self, LockOutcome};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The time between two attempts to open a source that another process is writing to.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Why a source without a write lock could not get one.
const WAL_READ_ONLY: &str = "WAL mode, read-only";

/// How to open a source.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// The folder for a private copy, if one is needed. `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
    /// How long to wait for a writer to finish before the source is refused as locked.
    pub lock_wait: Duration,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { temp_dir: None, lock_wait: Duration::from_secs(5) }
    }
}

/// An open source. Writers are kept out until it and all its connections are closed.
pub struct Source(Arc<OpenFile>);

/// The outcome of one attempt to open a source.
enum Attempt {
    /// Opened, with a note for the user if writers are not kept out.
    Opened(Option<WriteLock>, ReadMode, Option<String>),
    /// Another process is writing.
    Locked,
    /// The files changed during the attempt.
    Changing,
}

impl Source {
    /// Opens the database at `path`; a symbolic link is followed.
    ///
    /// # Errors
    /// Refuses a file that is not a readable SQLite database, one that stays locked for longer
    /// than `options.lock_wait`, one that this process already has open as a source, and one that
    /// needs a private copy if there is no space for it.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        let path = regular_file(path)?;
        let claim = OpenClaim::take(&path)?;
        let deadline = Instant::now() + options.lock_wait;
        loop {
            // Declared first, hence dropped after every connection of this attempt.
            let sidecars = SidecarCleanup::inspect(&path)?;
            let stats = Stats::inspect(&path)?;
            let (fingerprint, header) = Fingerprint::take(&path)?;
            // Opened before any lock is taken, and closed after the last one is released.
            let file = PageFile::open(&path, &header).map(Arc::new);
            let outcome = attempt(&path, &stats, &header, options);
            // The write lock must protect the state that the fingerprint describes.
            let now = Stats::inspect(&path)?;
            let same = stats.file_change(&now).is_none() && !stats.wal_changed(&now);
            let refusal = match outcome {
                attempt if !same => {
                    drop(attempt);
                    changing
                }
                Err(error) => return Err(error),
                Ok(Attempt::Opened(write_lock, read_mode, note)) => {
                    // SQLite refuses some files only when it reads them.
                    read_mode.connect(&path).map_err(|e| write_lock::refusal(&path, &e))?;
                    let same = file.as_ref().is_some_and(|file| file.is(&stats.file));
                    let is_copy = matches!(read_mode, ReadMode::Copy(_));
                    return Ok(Self(Arc::new(OpenFile {
                        write_lock,
                        read_mode,
                        file,
                        pages_are_current: same && !is_copy && !stats.has_wal(),
                        sidecars,
                        path,
                        stats,
                        fingerprint,
                        note,
                        interrupter: Interrupter::default(),
                        claim,
                    })));
                }
                Ok(Attempt::Locked) => locked,
                Ok(Attempt::Changing) => changing,
            };
            if Instant::now() >= deadline {
                return Err(refusal(&path));
            }
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Opens another connection on the state that all connections of this source see. Any thread
    /// may call it at any time.
    ///
    /// # Errors
    /// SQLite cannot open the file, or the source has changed.
    pub fn connect(&self) -> Result<SourceConnection> {
        let file = &self.0;
        let connection = file.read_mode.connect(&file.path);
        let connection = connection.and_then(|new| SourceConnection::new(Arc::clone(file), new));
        let connection = connection.map_err(|e| {
            Error::failed(format!("cannot open another connection to {}", file.path.display()))
                .caused_by(e)
                .hint("stop every other process that uses the source, and run again")
        })?;
        // The path may name another file by now.
        file.changed()?;
        Ok(connection)
    }

    /// Opens a connection that reads rows from the pages of the file where it can.
    pub(crate) fn connect_to_pages(&self) -> Result<SourceConnection> {
        let pages = self.0.file.clone().filter(|_| self.0.pages_are_current);
        Ok(self.connect()?.with_pages(pages.map(PageReader::new)))
    }

    /// The handle that ends the statements of all connections from another thread.
    pub fn interrupter(&self) -> Interrupter {
        self.0.interrupter.clone()
    }

    /// The fingerprint, taken before the write lock and valid under it.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// What the user must know about how this source is read.
    pub fn notes(&self) -> &[String] {
        self.0.note.as_slice()
    }

    /// Whether writers are kept out of the source.
    pub fn is_write_locked(&self) -> bool {
        self.0.write_lock.is_some()
    }

    /// The database file, with all symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What another process changed in the source without changing the state that is read. Call
    /// it before a verdict is given.
    ///
    /// # Errors
    /// Fails if the connections may have read more than one state.
    pub fn changed(&self) -> Result<Option<String>> {
        self.0.changed()
    }

    /// Lets writers in again and removes the sidecar files that reading created. Returns what
    /// [`Source::changed`] returns at that moment.
    ///
    /// # Errors
    /// Like [`Source::changed`]; also if connections are still open or a sidecar file cannot be
    /// removed.
    pub fn close(self) -> Result<Option<String>> {
        let opened = Arc::try_unwrap(self.0)
            .map_err(|_| Error::failed("internal error: the source still has open readers"))?;
        let changed = opened.changed();
        let OpenFile { write_lock, read_mode, file, sidecars, claim, .. } = opened;
        drop((write_lock, read_mode));
        drop(file);
        let removed = sidecars.remove();
        // The claim goes last: the next source of this file must not meet a descriptor of ours.
        drop(sidecars);
        drop(claim);
        removed.and(changed)
    }
}

/// Attempts once to open the database at `path`, which `stats` and `header` describe.
fn attempt(
    path: &Path,
    stats: &Stats,
    header: &Header,
    options: &SourceOptions,
) -> Result<Attempt> {
    let has_journal = stat(&sibling(path, "-journal"))?.is_some_and(|found| found.len() > 0);
    if !has_journal && !stats.has_wal() {
        header.refuse_truncated(path, stats.file.size)?;
    }
    let temp_dir = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    match write_lock::acquire(path, header)? {
        LockOutcome::Acquired(connection, journal_mode) => {
            let lock = WriteLock { _connection: Mutex::new(connection), journal_mode };
            Ok(Attempt::Opened(Some(lock), ReadMode::Direct, None))
        }
        LockOutcome::Busy => Ok(Attempt::Locked),
        // A writer has just ended.
        LockOutcome::HotJournal if !has_journal => Ok(Attempt::Changing),
        LockOutcome::HotJournal => {
            copied(path, &temp_dir, "an interrupted transaction left a journal next to it")
        }
        LockOutcome::NoPermission if has_journal || stats.has_wal() => {
            copied(path, &temp_dir, WAL_READ_ONLY)
        }
        LockOutcome::NoPermission => {
            let note = format!(
                "cannot lock {} against writers ({WAL_READ_ONLY}); the run fails if another \
                 process writes to it",
                path.display()
            );
            Ok(Attempt::Opened(None, ReadMode::Immutable, Some(note)))
        }
    }
}

/// Reads a private copy of the database because of `reason`. The source gets no write lock: other
/// processes would take our lock on the whole file for an active writer, and would read what an
/// interrupted transaction left half done.
fn copied(path: &Path, temp_dir: &Path, reason: &str) -> Result<Attempt> {
    let copy = PrivateCopy::make(path, temp_dir)?;
    let note = format!(
        "cannot lock {} against writers ({reason}); this run reads a private copy in {}, the \
         source stays unchanged",
        path.display(),
        copy.folder().display()
    );
    Ok(Attempt::Opened(None, ReadMode::Copy(copy), Some(note)))
}

/// The real path of a regular file. It opens nothing: opening a FIFO would wait for a writer.
fn regular_file(path: &Path) -> Result<PathBuf> {
    let real = fs::canonicalize(path).map_err(|e| unreadable(path, &e))?;
    let kind = fs::metadata(&real).map_err(|e| unreadable(path, &e))?.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(real),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(Error::refused(format!("{} is {what}, not a database file", path.display()))
        .hint("give the path of the database file"))
}

const STOP_WRITERS: &str =
    "stop the service and any other process that uses the database, and run again";

fn locked(path: &Path) -> Error {
    let who = lock_holders::describe(path).unwrap_or_else(|| "another process".to_owned());
    Error::refused(format!("{} is locked: {who} is writing to it", path.display()))
        .hint(STOP_WRITERS)
}

fn changing(path: &Path) -> Error {
    Error::refused(format!("{} keeps changing while it is being opened", path.display()))
        .hint(STOP_WRITERS)
}

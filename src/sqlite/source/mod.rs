//! A source: a SQLite database opened so that it never changes and all its readers see one
//! state, whatever lies beside it and whatever we may write.
//!
//! In this process nothing but SQLite opens the file, its `-wal` or its `-shm` while a fence
//! holds: closing any descriptor of a file drops every lock that the process has on it.

pub(crate) mod backup;
pub(crate) mod cleanup;
pub(crate) mod fingerprint;
pub(crate) mod lock_holders;
pub(crate) mod open_files;
pub(crate) mod private_copy;
pub(crate) mod write_lock;

use crate::error::{Error, Result};
use crate::sqlite::read::btree::{PageFile, PageReader};
use crate::sqlite::read::collector::{BatchBuilder, Collector};
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::cleanup::SidecarCleanup;
use crate::sqlite::source::fingerprint::{
    Change, Fingerprint, Header, Stats, sibling, stat, unreadable,
};
use crate::sqlite::source::open_files::OpenClaim;
use crate::sqlite::source::private_copy::PrivateCopy;
use crate::sqlite::source::write_lock::{LockOutcome, Mode};
use rusqlite::{Connection, InterruptHandle};
use std::cell::RefCell;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long to sleep between two attempts to open a source that somebody is writing to.
const PAUSE: Duration = Duration::from_millis(50);

/// How to open a source.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// Where a private copy is made if one is needed; the system's temporary folder if `None`.
    pub temp_dir: Option<PathBuf>,
    /// How long to wait for a writer to finish before the source is refused as locked.
    pub lock_wait: Duration,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self { temp_dir: None, lock_wait: Duration::from_secs(5) }
    }
}

/// An open source. Writers are kept out of it until it and all its readers are closed.
pub struct Source(Arc<OpenFile>);

/// One connection to a source, in a transaction of its own on the state that all readers see.
/// It keeps the source open.
pub struct SourceConnection {
    // Closed before the source can be: fields are dropped in this order.
    connection: Connection,
    collector: Collector,
    pages: Option<RefCell<PageReader>>,
    _source: Arc<OpenFile>,
}

/// What a source holds. Fields are dropped in this order: connections first, then our own
/// descriptor of the file and what lies beside it, then the claim.
struct OpenFile {
    fence: Option<Fence>,
    way: ReadMode,
    /// The file itself. Kept as long as anything holds a lock on it, wanted or not.
    file: Option<Arc<PageFile>>,
    /// Its pages alone are the state that readers see.
    plain: bool,
    leftovers: SidecarCleanup,
    path: PathBuf,
    stats: Stats,
    fingerprint: Fingerprint,
    notes: Vec<String>,
    utf16: bool,
    /// Of all readers there ever were; of those that are closed they do nothing.
    interrupter: Interrupter,
    _claim: OpenClaim,
}

/// Ends what the readers of a source are doing, from another thread; does not keep it open.
#[derive(Clone, Default)]
pub struct Interrupter(Arc<Mutex<Vec<InterruptHandle>>>);

impl Interrupter {
    fn lock(&self) -> MutexGuard<'_, Vec<InterruptHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the statements that run now, with an error.
    pub fn interrupt(&self) {
        self.lock().iter().for_each(InterruptHandle::interrupt);
    }
}

/// The transaction that keeps writers out, of a connection that is otherwise unused.
struct Fence {
    _connection: Mutex<Connection>,
    mode: Mode,
}

/// What readers open.
enum ReadMode {
    /// The file itself.
    Direct,
    /// The file itself, without locks.
    Immutable,
    /// A copy.
    Copy(PrivateCopy),
}

/// What came of one attempt to open a source.
enum Attempt {
    OpenFile(Opening),
    /// A writer is at work.
    Locked,
    /// The files changed while they were looked at.
    Changing,
}

/// What an attempt decides of [`OpenFile`].
struct Opening {
    fence: Option<Fence>,
    way: ReadMode,
    notes: Vec<String>,
}

impl Source {
    /// Opens the database at `path`; a symbolic link is followed.
    ///
    /// # Errors
    /// Refuses whatever is no readable SQLite database in a file, one that a writer keeps locked
    /// for longer than `options.lock_wait`, one that this process has open as a source already,
    /// and one that needs a private copy where there is no space for it.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        let path = regular_file(path)?;
        let claim = OpenClaim::take(&path)?;
        let deadline = Instant::now() + options.lock_wait;
        loop {
            // Declared first, hence dropped after every connection of this attempt.
            let leftovers = SidecarCleanup::look(&path)?;
            let stats = Stats::look(&path)?;
            let (fingerprint, header) = Fingerprint::take(&path)?;
            // Before any lock, and closed after the last.
            let file = PageFile::open(&path, &header).map(Arc::new);
            let outcome = attempt(&path, &stats, &header, options);
            // What the fingerprint describes must be what the fence protects.
            let now = Stats::look(&path)?;
            let same = stats.file_change(&now).is_none() && !stats.wal_changed(&now);
            let outcome = if same {
                outcome
            } else {
                drop(outcome);
                Ok(Attempt::Changing)
            };
            let trouble = match outcome? {
                Attempt::OpenFile(Opening { fence, way, notes }) => {
                    let utf16 = is_utf16(&way, &path)?;
                    let same = file.as_ref().is_some_and(|file| file.is(&stats.file));
                    let plain = same && !matches!(way, ReadMode::Copy(_)) && !stats.has_wal();
                    return Ok(Self(Arc::new(OpenFile {
                        fence,
                        way,
                        file,
                        plain,
                        leftovers,
                        path,
                        stats,
                        fingerprint,
                        notes,
                        utf16,
                        interrupter: Interrupter::default(),
                        _claim: claim,
                    })));
                }
                Attempt::Locked => locked,
                Attempt::Changing => changing,
            };
            if Instant::now() >= deadline {
                return Err(trouble(&path));
            }
            thread::sleep(PAUSE);
        }
    }

    /// One more reader on the state that all readers of this source see. May be called from any
    /// thread at any time.
    ///
    /// # Errors
    /// Fails where SQLite does, and where the source is no longer what was opened.
    pub fn connect(&self) -> Result<SourceConnection> {
        let opened = &self.0;
        let failed = |e| {
            Error::failed(format!("cannot open one more reader of {}", opened.path.display()))
                .caused_by(e)
                .hint("make sure that nothing else uses the source, and run again")
        };
        let connection = opened.way.open(&opened.path).map_err(failed)?;
        let collector = Collector::install(&connection).map_err(failed)?;
        opened.interrupter.lock().push(connection.get_interrupt_handle());
        // A path can name another file by now.
        opened.changed()?;
        Ok(SourceConnection { connection, collector, pages: None, _source: Arc::clone(opened) })
    }

    /// The same, for a reader that takes rows from the file's pages itself where it can.
    pub(crate) fn connect_to_pages(&self) -> Result<SourceConnection> {
        let reader = self.connect()?;
        let file = self.0.file.clone().filter(|_| self.0.plain);
        let pages = file.map(|file| RefCell::new(PageReader::new(file)));
        Ok(SourceConnection { pages, ..reader })
    }

    /// What ends the statements of the source's readers from another thread.
    pub fn interrupter(&self) -> Interrupter {
        self.0.interrupter.clone()
    }

    /// The source's fingerprint, taken before the fence and true under it.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.0.fingerprint
    }

    /// What a person should know about the way this source is read.
    pub fn notes(&self) -> &[String] {
        &self.0.notes
    }

    /// Whether writers are kept out of the source.
    pub fn fenced(&self) -> bool {
        self.0.fence.is_some()
    }

    /// Whether the database keeps its text in UTF-16.
    pub fn is_utf16(&self) -> bool {
        self.0.utf16
    }

    /// The database file, with all symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// What somebody else changed in the source without touching the state that the readers
    /// see: a checkpoint of the log, or a change after a private copy was made. To be asked
    /// before a verdict is given.
    ///
    /// # Errors
    /// Fails when the readers may have seen more than one state.
    pub fn changed(&self) -> Result<Option<String>> {
        self.0.changed()
    }

    /// Lets writers in again and removes what reading left beside the file. Says what
    /// [`Source::changed`] would have said last.
    ///
    /// # Errors
    /// Like [`Source::changed`]; also when readers are still open, or something of ours cannot
    /// be removed.
    pub fn close(self) -> Result<Option<String>> {
        let opened = Arc::try_unwrap(self.0)
            .map_err(|_| Error::failed("the source still has open readers"))?;
        let changed = opened.changed();
        let OpenFile { fence, way, file, leftovers, _claim, .. } = opened;
        drop((fence, way));
        drop(file);
        let removed = leftovers.remove();
        // Before the claim: the next source of this file must not meet a descriptor of ours.
        drop(leftovers);
        removed.and(changed)
    }
}

impl SourceConnection {
    /// Fills a batch with the rows of `query` from the first of `keys` to the last, both included,
    /// until it is full. `collect` is the query for the collector.
    pub(crate) fn collect(
        &self,
        query: &TableQuery,
        collect: &str,
        keys: (i64, i64),
        filling: BatchBuilder,
    ) -> rusqlite::Result<BatchBuilder> {
        let from_pages = match &self.pages {
            Some(pages) => pages.borrow_mut().fill(&self.connection, query, keys, filling),
            None => Err(filling),
        };
        from_pages.or_else(|filling| self.collector.fill(&self.connection, collect, keys, filling))
    }
}

#[cfg(test)]
impl SourceConnection {
    /// Rows of this table came from pages so far.
    pub(crate) fn reads_pages_of(&self, table: &str) -> bool {
        self.pages.as_ref().is_some_and(|pages| pages.borrow().reads(table))
    }
}

impl Deref for SourceConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl OpenFile {
    fn changed(&self) -> Result<Option<String>> {
        let shown = self.path.display();
        let torn = |why: String| {
            Error::failed(why).hint(
            "what was read may be of two states: make sure that nothing writes to the source or \
             replaces it, and run again",
        )
        };
        let now = Stats::look(&self.path)
            .map_err(|e| torn(format!("{shown} is no longer there")).caused_by(e))?;
        let copied = matches!(self.way, ReadMode::Copy(_));
        let in_log = self.fence.as_ref().is_some_and(|fence| fence.mode == Mode::Wal);
        let file = self.stats.file_change(&now);
        let wal = self.stats.wal_changed(&now);
        // A checkpoint has something to write only where the log held something, and never
        // makes another file of it.
        let checkpoint = in_log && self.stats.has_wal() && self.stats.same_file(&now);
        let file_torn = file == Some(Change::Content) && !copied && !checkpoint;
        let wal_torn = wal && matches!(self.way, ReadMode::Direct);
        if file_torn || wal_torn {
            return Err(torn(format!("somebody else changed {shown} while it was read")));
        }
        Ok(match file {
            _ if copied && (wal || file == Some(Change::Content)) => Some(format!(
                "somebody else changed {shown} after it was copied; what was read is the state \
                 before"
            )),
            Some(Change::Content) => Some(format!(
                "somebody else wrote a checkpoint of the log into {shown} while it was read; \
                 what was read is one state all the same"
            )),
            Some(Change::Attributes) => Some(format!(
                "somebody else changed owner, mode or links of {shown} while it was read"
            )),
            None if wal => Some(format!(
                "somebody else wrote to the log of {shown}; what was read is the state before"
            )),
            None => None,
        })
    }
}

impl ReadMode {
    fn open(&self, path: &Path) -> rusqlite::Result<Connection> {
        match self {
            Self::Direct => write_lock::open_fenced_reader(path),
            Self::Immutable => write_lock::open_immutable_reader(path),
            Self::Copy(copy) => write_lock::open_fenced_reader(&copy.path()),
        }
    }
}

/// One attempt to open the database at `path`, which `stats` and `header` describe.
fn attempt(
    path: &Path,
    stats: &Stats,
    header: &Header,
    options: &SourceOptions,
) -> Result<Attempt> {
    let journal = sized(&sibling(path, "-journal"))? > 0;
    if !journal && !stats.has_wal() {
        header.refuse_truncated(path, stats.file.size)?;
    }
    let temp_dir = options.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    match write_lock::raise(path, header)? {
        LockOutcome::Fence(connection, mode) => Ok(Attempt::OpenFile(Opening {
            fence: Some(Fence { _connection: Mutex::new(connection), mode }),
            way: ReadMode::Direct,
            notes: Vec::new(),
        })),
        LockOutcome::Busy => Ok(Attempt::Locked),
        // A writer ended just now.
        LockOutcome::HotJournal if !journal => Ok(Attempt::Changing),
        LockOutcome::HotJournal => {
            copied(path, &temp_dir, "the journal of an interrupted transaction lies sibling it")
        }
        LockOutcome::NoPermission if journal || stats.has_wal() => {
            copied(path, &temp_dir, "it is in WAL mode and there is no permission to write to it")
        }
        LockOutcome::NoPermission => Ok(Attempt::OpenFile(Opening {
            fence: None,
            way: ReadMode::Immutable,
            notes: vec![format!(
                "no fence could be had around {}: it is in WAL mode and there is no permission \
                 to write to it; should anybody else write to it, this run fails",
                path.display()
            )],
        })),
    }
}

/// Reads a private copy of the database, because of `why`. There is no fence then: a lock of
/// our own on the whole file would look to others like a writer at work, and they would read
/// what an interrupted transaction left half done.
fn copied(path: &Path, temp_dir: &Path, why: &str) -> Result<Attempt> {
    let copy = PrivateCopy::make(path, temp_dir)?;
    let note = format!(
        "no fence could be had around {}: {why}; a private copy in {} is read, the source stays \
         as it is",
        path.display(),
        copy.folder().display()
    );
    Ok(Attempt::OpenFile(Opening { fence: None, way: ReadMode::Copy(copy), notes: vec![note] }))
}

fn is_utf16(way: &ReadMode, path: &Path) -> Result<bool> {
    way.open(path)
        .and_then(|reader| reader.query_row("PRAGMA encoding", [], |row| row.get::<_, String>(0)))
        .map(|encoding| encoding.starts_with("UTF-16"))
        .map_err(|e| write_lock::refusal(path, &e))
}

/// The real path of what must be an ordinary file. Nothing is opened: opening a FIFO would wait
/// for a writer.
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
    Err(Error::refused(format!("{} is {what}, not a database", path.display()))
        .hint("name the database file itself"))
}

/// The size of the file at `path`; zero where there is none.
fn sized(path: &Path) -> Result<u64> {
    Ok(stat(path)?.map_or(0, |found| found.len()))
}

fn locked(path: &Path) -> Error {
    let who = lock_holders::describe(path).unwrap_or_else(|| "another process".to_owned());
    Error::refused(format!("{} is locked: {who} is writing to it", path.display()))
        .hint("stop the service, or whatever else uses the database, and run again")
}

fn changing(path: &Path) -> Error {
    Error::refused(format!("{} keeps changing while it is opened", path.display()))
        .hint("stop the service, or whatever else uses the database, and run again")
}

//! The state of an open source, shared by its connections: the write lock, the read mode, the
//! fingerprint, and the check that nobody changed the file.

use crate::error::{Error, Result};
use crate::sqlite::read::btree::PageFile;
use crate::sqlite::source::cleanup::SidecarCleanup;
use crate::sqlite::source::fingerprint::{Change, Fingerprint, Stats};
use crate::sqlite::source::interrupter::Interrupter;
use crate::sqlite::source::open_files::OpenClaim;
use crate::sqlite::source::private_copy::PrivateCopy;
use crate::sqlite::source::write_lock::{self, JournalMode};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// An open source file. Fields are dropped in this order: connections first, then our own
/// descriptor of the file, then the sidecar files, then the claim.
pub(crate) struct OpenFile {
    pub(crate) write_lock: Option<WriteLock>,
    pub(crate) read_mode: ReadMode,
    /// Kept for as long as anything holds a lock on the file, even if no page is read from it.
    pub(crate) file: Option<Arc<PageFile>>,
    /// The pages of the file are the state that all connections see: no WAL, no copy.
    pub(crate) pages_are_current: bool,
    pub(crate) sidecars: SidecarCleanup,
    pub(crate) path: PathBuf,
    pub(crate) stats: Stats,
    pub(crate) fingerprint: Fingerprint,
    /// What the user must know about how the source is read.
    pub(crate) note: Option<String>,
    pub(crate) interrupter: Interrupter,
    pub(crate) claim: OpenClaim,
}

/// The write lock: an otherwise unused connection whose transaction keeps writers out.
pub(crate) struct WriteLock {
    pub(crate) _connection: Mutex<Connection>,
    pub(crate) journal_mode: JournalMode,
}

/// What the connections of a source open.
pub(crate) enum ReadMode {
    /// The file itself.
    Direct,
    /// The file itself, without locks.
    Immutable,
    Copy(PrivateCopy),
}

impl ReadMode {
    pub(crate) fn connect(&self, path: &Path) -> rusqlite::Result<Connection> {
        match self {
            Self::Direct => write_lock::open_waiting_reader(path),
            Self::Immutable => write_lock::open_immutable_reader(path),
            Self::Copy(copy) => write_lock::open_waiting_reader(&copy.path()),
        }
    }
}

impl OpenFile {
    /// What another process changed in the source without changing the state that is read: a WAL
    /// checkpoint, file attributes, or a change after a private copy was made. Fails if the
    /// connections may have read more than one state.
    pub(crate) fn changed(&self) -> Result<Option<String>> {
        let shown = self.path.display();
        let inconsistent = |message: String| {
            Error::failed(message).hint(
                "the rows read so far may be inconsistent: stop every process that writes to the \
                 source or replaces it, and run again",
            )
        };
        let now = Stats::inspect(&self.path)
            .map_err(|e| inconsistent(format!("{shown} can no longer be read")).caused_by(e))?;
        let is_copy = matches!(self.read_mode, ReadMode::Copy(_));
        let in_wal_mode =
            self.write_lock.as_ref().is_some_and(|lock| lock.journal_mode == JournalMode::Wal);
        let file = self.stats.file_change(&now);
        let wal_changed = self.stats.wal_changed(&now);
        // A checkpoint writes only if the WAL had content, and it keeps the inode.
        let is_checkpoint = in_wal_mode && self.stats.has_wal() && self.stats.same_file(&now);
        let file_torn = file == Some(Change::Content) && !is_copy && !is_checkpoint;
        let wal_torn = wal_changed && matches!(self.read_mode, ReadMode::Direct);
        if file_torn || wal_torn {
            return Err(inconsistent(format!("another process changed {shown} while it was read")));
        }
        Ok(match file {
            _ if is_copy && (wal_changed || file == Some(Change::Content)) => Some(format!(
                "another process changed {shown} after the private copy was made; this run used \
                 the state before that change"
            )),
            Some(Change::Content) => Some(format!(
                "another process wrote a WAL checkpoint into {shown} while it was read; this run \
                 read one consistent state anyway"
            )),
            Some(Change::Attributes) => Some(format!(
                "another process changed owner, mode or links of {shown} while it was read"
            )),
            None if wal_changed => Some(format!(
                "another process wrote to the WAL of {shown}; this run used the state before that \
                 write"
            )),
            None => None,
        })
    }
}

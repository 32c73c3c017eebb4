//! Leftovers: the `-shm` and the empty `-wal` that reading a database in WAL mode leaves beside
//! it. Those that were not there before are removed at the end.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{sibling, stat, unreadable};
use rustix::fs::{FlockOperation, fcntl_lock};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

/// What lay beside a database before it was opened; dropping it removes what came since, so it
/// must outlive every connection.
pub(crate) struct SidecarCleanup {
    path: PathBuf,
    had_wal: bool,
    had_shm: bool,
}

impl SidecarCleanup {
    /// Remembers what lies beside the database at `path`.
    pub(crate) fn look(path: &Path) -> Result<Self> {
        let had_wal = stat(&sibling(path, "-wal"))?.is_some();
        let had_shm = stat(&sibling(path, "-shm"))?.is_some();
        Ok(Self { path: path.to_owned(), had_wal, had_shm })
    }

    /// Removes what was not there before, unless somebody else uses it by now or wrote to it.
    pub(crate) fn remove(&self) -> Result<()> {
        let (wal, shm) = (sibling(&self.path, "-wal"), sibling(&self.path, "-shm"));
        let new_wal = !self.had_wal && stat(&wal)?.is_some();
        let new_shm = !self.had_shm && stat(&shm)?.is_some();
        if !new_wal && !new_shm {
            return Ok(());
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&self.path)
            .map_err(|e| unreadable(&self.path, &e))?;
        // Every connection to a database in WAL mode keeps a shared lock on its file as long as
        // it lives: who gets the exclusive one is alone, and nobody comes while it is held.
        if fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(());
        }
        if new_wal && stat(&wal)?.is_some_and(|found| found.len() == 0) {
            unlink(&wal)?;
        }
        // Frames that somebody wrote meanwhile keep their index.
        if new_shm && (self.had_wal || stat(&wal)?.is_none()) {
            unlink(&shm)?;
        }
        Ok(())
    }
}

fn unlink(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|e| {
        Error::failed(format!("cannot remove {}", path.display()))
            .caused_by(e)
            .hint("it is empty or rebuilt at will: remove it while nobody uses the database")
    })
}

impl Drop for SidecarCleanup {
    fn drop(&mut self) {
        // Nobody is left to tell; `Source::close` removes them first and reports.
        let _ = self.remove();
    }
}

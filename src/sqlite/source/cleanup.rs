//! Cleanup of the sidecar files: the `-shm` and the empty `-wal` that reading a database in WAL
//! mode creates next to it.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{sibling, stat, unreadable};
use rustix::fs::{FlockOperation, fcntl_lock};
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

/// The sidecar files that existed before a database was opened. Dropping it removes newer ones,
/// so it must outlive every connection.
pub(crate) struct SidecarCleanup {
    path: PathBuf,
    had_wal: bool,
    had_shm: bool,
}

impl SidecarCleanup {
    /// Records which sidecar files the database at `path` has.
    pub(crate) fn inspect(path: &Path) -> Result<Self> {
        let had_wal = stat(&sibling(path, "-wal"))?.is_some();
        let had_shm = stat(&sibling(path, "-shm"))?.is_some();
        Ok(Self { path: path.to_owned(), had_wal, had_shm })
    }

    /// Removes the new sidecar files, unless another process uses the database or wrote to it.
    pub(crate) fn remove(&self) -> Result<()> {
        let (wal, shm) = (sibling(&self.path, "-wal"), sibling(&self.path, "-shm"));
        let new_wal = !self.had_wal && stat(&wal)?.is_some();
        let new_shm = !self.had_shm && stat(&shm)?.is_some();
        if !new_wal && !new_shm {
            return Ok(());
        }
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let file = file.map_err(|e| unreadable(&self.path, &e))?;
        // Every connection to a database in WAL mode holds a shared lock on its file. With the
        // exclusive lock there is no other connection, and none can be opened.
        if fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(());
        }
        if new_wal && stat(&wal)?.is_some_and(|found| found.len() == 0) {
            unlink(&wal)?;
        }
        // Frames that another process wrote meanwhile keep their index.
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
            .hint("the file holds no data: remove it while no process uses the database")
    })
}

impl Drop for SidecarCleanup {
    fn drop(&mut self) {
        // An error cannot be returned here; `Source::close` removes the files first and reports.
        let _ = self.remove();
    }
}

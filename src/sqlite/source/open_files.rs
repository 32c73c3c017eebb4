//! A claim: the right of one source in this process to a file. Two sources of one file would
//! drop each other's locks when they look at it. A file is known by device and inode, whatever
//! path leads to it.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::unreadable;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Given back when dropped.
pub(crate) struct OpenClaim((u64, u64));

/// Device and inode of every file that is open as a source.
static CLAIMS: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

impl OpenClaim {
    /// Claims the file at `path`, or refuses because this process has it open as a source.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
        let place = (metadata.dev(), metadata.ino());
        if CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
            return Ok(Self(place));
        }
        Err(Error::refused(format!("{} is already open as a source", path.display()))
            .hint("two data sets cannot be read from one file at a time"))
    }
}

impl Drop for OpenClaim {
    fn drop(&mut self) {
        CLAIMS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

//! The files that this process has open as sources.
//!
//! Two sources of one file would drop each other's locks when they inspect it. A file is identified
//! by device and inode, not by its path.

use crate::control::lock;
use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::unreadable;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;

/// The right of one source to a file, released on drop.
pub(crate) struct OpenClaim((u64, u64));

/// Device and inode of every file that is open as a source.
static OPEN_FILES: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

impl OpenClaim {
    /// Claims the file at `path`; refuses if this process already has it open as a source.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
        let file = (metadata.dev(), metadata.ino());
        if lock(&OPEN_FILES).insert(file) {
            return Ok(Self(file));
        }
        Err(Error::refused(format!("{} is already open as a source", path.display()))
            .hint("give each data set a source file of its own"))
    }
}

impl Drop for OpenClaim {
    fn drop(&mut self) {
        lock(&OPEN_FILES).remove(&self.0);
    }
}

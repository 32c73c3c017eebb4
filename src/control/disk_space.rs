//! The free space of a file system.

use std::io;
use std::path::Path;

/// The bytes that this process may still write to the file system of `folder`.
pub(crate) fn available(folder: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(folder)?;
    Ok(space.f_bavail * space.f_frsize)
}

//! A backup: a consistent copy of a source as its readers see it, made by SQLite itself and
//! kept for the user.

use crate::control::disk_space::available;
use crate::error::{Error, Result};
use crate::sqlite::Source;
use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How many pages are copied in one step.
const STEP: i32 = 4096;

/// Backs up `sources` into `folder`, each under its own name with the time behind it, readable
/// for their owner only.
///
/// # Errors
/// Refused where the folder is none or has not the space for all of them, or where a file cannot
/// be made; a part of a copy does not stay.
pub(crate) fn back_up(sources: &[&Source], folder: &Path) -> Result<Vec<PathBuf>> {
    let refused = |cause: &dyn std::fmt::Display| {
        Error::refused(format!("no backup can be made in {}", folder.display()))
            .caused_by(cause)
            .hint("name a folder with enough space, or leave out --backup")
    };
    let needed: u64 = sources.iter().map(|source| size(source)).sum();
    let available = available(folder).map_err(|cause| refused(&cause))?;
    if needed > available {
        let why = format!("it takes {needed} bytes, and only {available} are available there");
        return Err(refused(&why));
    }
    let mut made = Vec::new();
    for source in sources {
        let mut name = OsString::from(source.path().file_name().unwrap_or_default());
        name.push(Timestamp::now().strftime(".%Y%m%dT%H%M%S%.6fZ").to_string());
        let path = folder.join(name);
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        new.map_err(|cause| refused(&cause))?;
        if let Err(error) = copy(source, &path) {
            // What cannot be removed either is told by the error that is to come.
            let _ = fs::remove_file(&path);
            return Err(refused(&error));
        }
        made.push(path);
    }
    Ok(made)
}

/// The bytes of a source, its log included.
fn size(source: &Source) -> u64 {
    let fingerprint = source.fingerprint();
    fingerprint.file.size + fingerprint.wal.as_ref().map_or(0, |wal| wal.size)
}

fn copy(source: &Source, path: &Path) -> Result<()> {
    let failed = |cause: rusqlite::Error| Error::failed("SQLite's backup failed").caused_by(cause);
    let reader = source.connect()?;
    let mut target = Connection::open(path).map_err(failed)?;
    let backup = Backup::new(&reader, &mut target).map_err(failed)?;
    loop {
        match backup.step(STEP).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => return Err(Error::failed("SQLite's backup failed").caused_by("a file is locked")),
        }
    }
}

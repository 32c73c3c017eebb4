//! A backup: a consistent copy of a source, made by SQLite's backup API and kept for the user.

use crate::control::disk_space::available;
use crate::error::{Error, Result};
use crate::sqlite::source::open::Source;
use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Pages copied in one step.
const STEP_PAGES: i32 = 4096;

/// Backs up `sources` into `folder`. Each file gets the source's name with the time appended, and
/// only its owner may read it. Refuses if the folder does not exist or lacks the space for all
/// files, or if a file cannot be created. A partial copy is removed.
pub(crate) fn back_up(sources: &[&Source], folder: &Path) -> Result<Vec<PathBuf>> {
    let refused = |cause: &dyn std::fmt::Display| {
        Error::refused(format!("cannot create a backup in {}", folder.display()))
            .caused_by(cause)
            .hint("give a folder with enough space, or run without --backup")
    };
    let needed: u64 = sources.iter().map(|source| size(source)).sum();
    let available = available(folder).map_err(|cause| refused(&cause))?;
    if needed > available {
        let reason =
            format!("the backup takes {needed} bytes, but only {available} bytes are free");
        return Err(refused(&reason));
    }
    let mut created = Vec::new();
    for source in sources {
        let mut name = OsString::from(source.path().file_name().unwrap_or_default());
        name.push(Timestamp::now().strftime(".%Y%m%dT%H%M%S%.6fZ").to_string());
        let path = folder.join(name);
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        new.map_err(|cause| refused(&cause))?;
        if let Err(error) = copy(source, &path) {
            // The error that follows names the folder.
            let _ = fs::remove_file(&path);
            return Err(refused(&error));
        }
        created.push(path);
    }
    Ok(created)
}

/// The bytes of a source and its WAL.
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
        match backup.step(STEP_PAGES).map_err(failed)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            _ => {
                return Err(Error::failed("SQLite's backup failed")
                    .caused_by("a file is locked by another process"));
            }
        }
    }
}

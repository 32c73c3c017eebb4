//! The stored verdict: a file next to a product's SQLite database that a run wrote from PostgreSQL
//! and verified. Switching the provider requires it, and removes it.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{Fingerprint, sibling};
use crate::sqlite::source::open::{Source, SourceOptions};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A good verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredVerdict {
    pub(crate) data_set: String,
    /// The database and schema of its rows.
    pub(crate) source: String,
    /// The fingerprint of the verified file.
    pub(crate) file: Fingerprint,
}

fn path(file: &Path) -> PathBuf {
    sibling(file, ".migrate-verdict")
}

/// The current fingerprint of the database at `file`.
pub(crate) fn fingerprint(file: &Path) -> Result<Fingerprint> {
    let source = Source::open(file, &SourceOptions::default())?;
    let fingerprint = source.fingerprint().clone();
    source.close()?;
    Ok(fingerprint)
}

/// Writes the verdict on the database at `file`, replacing an older one in one step.
pub(crate) fn write(file: &Path, verdict: &StoredVerdict) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Error::failed(format!("cannot store the verdict next to {}", file.display()))
            .caused_by(cause)
    };
    let path = path(file);
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = serde_json::to_vec_pretty(verdict).map_err(|error| failed(error.into()))?;
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    new.write_all(&text).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
    new.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The verdict on the database at `file`, if there is one.
pub(crate) fn read(file: &Path) -> Result<Option<StoredVerdict>> {
    let refused = |cause: &dyn std::fmt::Display| {
        Error::refused(format!("cannot read the verdict next to {}", file.display()))
            .caused_by(cause)
    };
    match fs::read(path(file)) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| refused(&error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(&error)),
    }
}

/// Removes the verdict on the database at `file`, if there is one.
pub(crate) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(path(file)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::failed(format!("cannot remove the verdict next to {}", file.display()))
                .caused_by(error))
        }
        _ => Ok(()),
    }
}

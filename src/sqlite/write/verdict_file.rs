//! The record of a good verdict, beside a product's SQLite file that a run brought back from
//! PostgreSQL: what the switch of the provider asks for, and takes away.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::{Fingerprint, sibling};
use crate::sqlite::source::open::{Source, SourceOptions};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What stands in the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredVerdict {
    /// The data set.
    pub(crate) data_set: String,
    /// Where its rows came from: a database and schema.
    pub(crate) source: String,
    /// The file, as it was verified.
    pub(crate) file: Fingerprint,
}

fn path(file: &Path) -> PathBuf {
    sibling(file, ".migrate-verdict")
}

/// The fingerprint of the database at `file` as it is now.
pub(crate) fn fingerprint(file: &Path) -> Result<Fingerprint> {
    let source = Source::open(file, &SourceOptions::default())?;
    let fingerprint = source.fingerprint().clone();
    source.close()?;
    Ok(fingerprint)
}

/// Writes the record of the database at `file`, in the place of an older one, in one step.
pub(crate) fn write(file: &Path, record: &StoredVerdict) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Error::failed(format!("cannot keep the verdict beside {}", file.display())).caused_by(cause)
    };
    let path = path(file);
    let folder = path.parent().unwrap_or(Path::new("."));
    let text = serde_json::to_vec_pretty(record).map_err(|error| failed(error.into()))?;
    let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    new.write_all(&text).and_then(|()| new.as_file().sync_all()).map_err(failed)?;
    new.persist(&path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The record of the database at `file`; `None` where there is none.
pub(crate) fn read(file: &Path) -> Result<Option<StoredVerdict>> {
    let refused = |cause: &dyn std::fmt::Display| {
        Error::refused(format!("cannot read the verdict beside {}", file.display()))
            .caused_by(cause)
    };
    match fs::read(path(file)) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| refused(&error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(&error)),
    }
}

/// Removes the record of the database at `file`, if there is one.
pub(crate) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(path(file)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::failed(format!("cannot remove the verdict beside {}", file.display()))
                .caused_by(error))
        }
        _ => Ok(()),
    }
}

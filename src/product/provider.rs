//! The switch: `Database.Provider` set in a configuration file in place, so that the service
//! uses the other database from its next start on.

use crate::config::gcfg::Gcfg;
use crate::error::{Error, Result};
use crate::product::Provider;
use crate::product::settings::Settings;
use jiff::Timestamp;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Sets the provider, and returns the backup that was made of the file; `None` where it was set
/// already. Owner, permissions and every other byte of the file stay.
///
/// # Errors
/// Refused where a variable of the environment decides, where the file is not readable, or where
/// it cannot be written; it is then as it was.
pub(crate) fn switch(settings: &Settings, to: Provider) -> Result<Option<PathBuf>> {
    let (section, key) = ("Database", "Provider");
    if let Some((variable, _)) = settings.variable(section, key) {
        return Err(Error::refused(format!(
            "the variable {variable} decides on the provider, and not the configuration file"
        ))
        .hint(format!("set {variable} to {} where the service gets it from", to.as_str())));
    }
    // Read again: since it was read first somebody may have edited it.
    let name = settings.file().name();
    let path = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
    let file = Gcfg::read(&path)?;
    let current = file.text(section, key)?.and_then(|entry| entry.value());
    if current.map_or(Some(Provider::Sqlite), Provider::parse) == Some(to) {
        return Ok(None);
    }
    let text = file.with_value(section, key, to.as_str())?;
    let unwritable = |cause: io::Error| {
        Error::refused(format!("the configuration file {} cannot be changed", path.display()))
            .caused_by(cause)
            .hint("it is as it was; run as root, or set Database.Provider by hand")
    };
    replace(&path, text.as_bytes()).map(Some).map_err(unwritable)
}

/// Replaces the file as a whole, and keeps what it held in a new file beside it.
fn replace(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let metadata = fs::metadata(path)?;
    let mut backup = OsString::from(path);
    backup.push(Timestamp::now().strftime(".%Y%m%dT%H%M%S%.6fZ.bak").to_string());
    let backup = PathBuf::from(backup);
    let old = like(path, &metadata, &fs::read(path)?)?;
    let new = like(path, &metadata, content)?;
    old.persist_noclobber(&backup)?;
    new.persist(path)?;
    // So that the names of both survive a power failure, too. The switch is done by now: where a
    // folder cannot be synced, it holds all the same while the system lives.
    if let Some(folder) = path.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(backup)
}

/// A new file beside `path` with its owner and permissions.
fn like(path: &Path, metadata: &Metadata, content: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".migrate-").tempfile_in(folder)?;
    let made = file.as_file().metadata()?;
    if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    // After the owner, which takes some permissions away.
    file.as_file().set_permissions(metadata.permissions())?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

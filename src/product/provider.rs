//! The switch of the database provider: it sets `Database.Provider` in the configuration file. The
//! service uses the other database after its next start.

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

/// Sets the provider and returns the path of the file's backup; `None` if it was already set.
/// Owner, permissions and every other byte of the file are unchanged. Refused if an environment
/// variable overrides the file, or if the file cannot be read or written. The file is then
/// unchanged.
pub(crate) fn switch(settings: &Settings, to: Provider) -> Result<Option<PathBuf>> {
    let (section, key) = ("Database", "Provider");
    if let Some((variable, _)) = settings.variable(section, key) {
        return Err(Error::refused(format!(
            "the variable {variable} decides on the provider, and not the configuration file"
        ))
        .hint(format!("set {variable} to {} where the service gets it from", to.as_str())));
    }
    // The file is read again, because it may have changed since.
    let name = &settings.file.name;
    let path = fs::canonicalize(name).unwrap_or_else(|_| name.clone());
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

/// Replaces the whole file, and writes its old content to a new file in the same folder.
fn replace(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let metadata = fs::metadata(path)?;
    let mut backup = OsString::from(path);
    backup.push(Timestamp::now().strftime(".%Y%m%dT%H%M%S%.6fZ.bak").to_string());
    let backup = PathBuf::from(backup);
    let old = like(path, &metadata, &fs::read(path)?)?;
    let new = like(path, &metadata, content)?;
    old.persist_noclobber(&backup)?;
    new.persist(path)?;
    // The sync makes both names survive a power failure. The provider is already set, so a folder
    // that cannot be synced is not an error.
    if let Some(folder) = path.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(backup)
}

/// Creates a file in the folder of `path`, with the same owner and permissions.
fn like(path: &Path, metadata: &Metadata, content: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(".migrate-").tempfile_in(folder)?;
    let made = file.as_file().metadata()?;
    if (made.uid(), made.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(file.as_file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    // The permissions are set after the owner, because a change of owner removes some of them.
    file.as_file().set_permissions(metadata.permissions())?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    Ok(file)
}

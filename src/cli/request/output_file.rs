//! Writing a result to a file, all of it or nothing.

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Writes `content` to `path`. A regular file is replaced as a whole, under a symbolic link too;
/// anything else (a device, a FIFO) is written into.
///
/// # Errors
/// The file cannot be written; an older one is then still there.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    write_whole(path, content).map_err(|cause| {
        Error::failed(format!("\"{}\" could not be written", path.display())).caused_by(cause)
    })
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = match fs::metadata(path) {
        Ok(there) if there.is_file() => fs::canonicalize(path)?,
        Ok(_) => return fs::OpenOptions::new().write(true).open(path)?.write_all(content),
        Err(_) => path.to_owned(),
    };
    // The same access as any new file has: the default of a temporary file is the owner only.
    let mut file = tempfile::Builder::new()
        .prefix(".migrate-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(&path))?;
    file.write_all(content)?;
    file.persist(&path)?;
    Ok(())
}

/// Checks before a long run that a result can be written to `path` at its end, and that doing so
/// does not touch one of `databases`: a file of theirs that was overwritten would be a loss
/// without remedy. `flag` is what the user typed.
pub(crate) fn check(flag: &str, path: &Path, databases: &[&Path]) -> Result<()> {
    let shown = path.display();
    if path.as_os_str().is_empty() {
        return Err(Error::usage(format!("{flag} needs the name of a file")));
    }
    if path.is_dir() {
        return Err(Error::usage(format!("{flag}: \"{shown}\" is a folder")));
    }
    if !folder_of(path).is_dir() {
        return Err(Error::usage(format!("{flag}: there is no folder for \"{shown}\"")));
    }
    for database in databases {
        let companions = ["", "-wal", "-shm", "-journal"].map(|ending| {
            let mut name = OsString::from(database);
            name.push(ending);
            PathBuf::from(name)
        });
        if companions.iter().any(|file| same_file(path, file)) {
            let message = format!("{flag}: \"{shown}\" belongs to a database of this run");
            return Err(Error::usage(message).hint("give another file"));
        }
    }
    Ok(())
}

/// Both names lead to one file, or would once it is created.
fn same_file(a: &Path, b: &Path) -> bool {
    if let (Ok(a), Ok(b)) = (fs::metadata(a), fs::metadata(b)) {
        return a.dev() == b.dev() && a.ino() == b.ino();
    }
    let folder = |path| fs::canonicalize(folder_of(path)).ok();
    a.file_name() == b.file_name() && folder(a).is_some() && folder(a) == folder(b)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write(&file, b"a longer first text").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, b"second").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"second");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_device_is_written_into_and_never_replaced() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        use std::io::Read;
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Opened for both, so that neither side waits for the other.
        let mut reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        write(&fifo, b"text").unwrap();
        assert!(!fs::metadata(&fifo).unwrap().is_file());
        let mut text = [0; 4];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"text");
    }

    #[test]
    fn a_failure_names_the_file() {
        let error = write(Path::new("/nowhere/at/all"), b"").unwrap_err();
        assert_eq!(error.message(), "\"/nowhere/at/all\" could not be written");
        assert_eq!(error.causes().len(), 1);
    }

    #[test]
    fn a_file_of_a_database_is_never_an_output() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("app.db");
        fs::write(&database, b"").unwrap();
        let link = folder.path().join("link");
        fs::hard_link(&database, &link).unwrap();
        let wal = folder.path().join("app.db-wal");
        let round = folder.path().join("../").join(folder.path().file_name().unwrap());
        for path in [&database, &link, &wal, &round.join("app.db-journal")] {
            assert!(check("--json", path, &[&database]).is_err(), "{}", path.display());
        }
        assert!(check("--json", &folder.path().join("report"), &[&database]).is_ok());
    }

    #[test]
    fn an_output_needs_a_folder_and_a_name() {
        assert!(check("--json", Path::new(""), &[]).is_err());
        assert!(check("--json", Path::new("/tmp"), &[]).is_err());
        assert!(check("--json", Path::new("/nowhere/at/all"), &[]).is_err());
        assert!(check("--json", Path::new("report.json"), &[]).is_ok());
    }
}

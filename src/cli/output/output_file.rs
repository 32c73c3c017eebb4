//! The destination of a result, and files that are written as a whole or not at all.

use crate::error::{Error, Result};
use crate::sqlite::source::fingerprint::MAGIC;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The destination of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output, and nothing else there.
    Stdout,
    File(PathBuf),
}

impl Output {
    /// The destination that --json names; never one of `files`.
    pub(crate) fn for_json(path: PathBuf, files: &[&Path]) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        check_replaceable("--json", &path, files)?;
        Ok(Self::File(path))
    }
}

/// Writes `content` to `path`. A regular file is replaced as a whole, also through a symbolic link.
/// Anything else (a device, a FIFO) is written to. Errors: the file cannot be written; an existing
/// file is then unchanged.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    write_whole(path, content).map_err(|cause| {
        Error::failed(format!("cannot write \"{}\"", path.display())).caused_by(cause)
    })
}

fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = match fs::metadata(path) {
        Ok(existing) if existing.is_file() => fs::canonicalize(path)?,
        Ok(_) => return fs::OpenOptions::new().write(true).open(path)?.write_all(content),
        Err(_) => path.to_owned(),
    };
    // Temporary files are readable only by their owner; this file gets the usual mode.
    let mut file = tempfile::Builder::new()
        .prefix(".migrate-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder_of(&path))?;
    file.write_all(content)?;
    file.persist(&path)?;
    Ok(())
}

/// As [`check`], and refuses an existing SQLite database, which the result would overwrite.
pub(crate) fn check_replaceable(flag: &str, path: &Path, databases: &[&Path]) -> Result<()> {
    check(flag, path, databases)?;
    let mut start = Vec::with_capacity(MAGIC.len());
    // Only a regular file: reading would empty a FIFO.
    if path.is_file()
        && let Ok(file) = fs::File::open(path)
    {
        let _ = file.take(MAGIC.len() as u64).read_to_end(&mut start);
    }
    if start != MAGIC {
        return Ok(());
    }
    Err(Error::refused(format!("{flag} would overwrite \"{}\"", path.display()))
        .caused_by("the file is a SQLite database")
        .hint("name another file"))
}

/// Checks before a run that its result can be written to `path`, and that `path` is not a file of
/// one of `databases`. `flag` names the argument in the error.
pub(crate) fn check(flag: &str, path: &Path, databases: &[&Path]) -> Result<()> {
    let shown = path.display();
    if path.as_os_str().is_empty() {
        return Err(Error::usage(format!("{flag}: the name of the file is empty")));
    }
    if path.is_dir() {
        return Err(Error::usage(format!("{flag}: \"{shown}\" is a folder")));
    }
    if !folder_of(path).is_dir() {
        return Err(Error::usage(format!("{flag}: the folder of \"{shown}\" does not exist")));
    }
    for database in databases {
        let companions = ["", "-wal", "-shm", "-journal"].map(|ending| {
            let mut name = OsString::from(database);
            name.push(ending);
            PathBuf::from(name)
        });
        if companions.iter().any(|file| same_file(path, file)) {
            let message = format!("{flag}: \"{shown}\" belongs to a database of this run");
            return Err(Error::usage(message).hint("name another file"));
        }
    }
    Ok(())
}

/// True if both paths name the same file, or would name the same new file.
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
    fn a_device_is_written_to_and_never_replaced() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Opened for reading and writing, so that neither side waits for the other.
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
        assert_eq!(error.message(), "cannot write \"/nowhere/at/all\"");
        assert_eq!(error.causes().len(), 1);
    }

    #[test]
    fn a_file_of_a_database_cannot_be_an_output() {
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
    fn a_sqlite_database_is_not_overwritten_by_an_output() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("other.db");
        fs::write(&file, "SQLite format 3\0 and pages").unwrap();
        assert_eq!(
            check_replaceable("--json", &file, &[]).unwrap_err().kind(),
            crate::Kind::Refused
        );
        fs::write(&file, "{}").unwrap();
        assert!(check_replaceable("--json", &file, &[]).is_ok());
    }

    #[test]
    fn an_output_needs_a_folder_and_a_name() {
        assert!(check("--json", Path::new(""), &[]).is_err());
        assert!(check("--json", Path::new("/tmp"), &[]).is_err());
        assert!(check("--json", Path::new("/nowhere/at/all"), &[]).is_err());
        assert!(check("--json", Path::new("report.json"), &[]).is_ok());
    }
}

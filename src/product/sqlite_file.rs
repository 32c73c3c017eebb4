//! Which file in a folder is a product's SQLite database, where the documentation does not name
//! it: the usual name, else the one file with SQLite's header whose name fits.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite database (<https://sqlite.org/fileformat2.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why no file is the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SearchError {
    /// There is none, in words.
    Absent(String),
    /// There may be one, in words: several files fit, or the folder cannot be read.
    Unclear(String),
}

/// Finds the database that is usually named `usual` in `folder`; one whose name holds "usage" is
/// the usage database and no other.
pub(crate) fn find(folder: &Path, usual: &str, is_usage: bool) -> Result<PathBuf, SearchError> {
    let path = folder.join(usual);
    if path.exists() {
        return Ok(path);
    }
    let shown = folder.display();
    let entries = fs::read_dir(folder).map_err(|cause| {
        let why = format!("the folder {shown} cannot be read: {cause}");
        if cause.kind() == ErrorKind::NotFound {
            SearchError::Absent(why)
        } else {
            SearchError::Unclear(why)
        }
    })?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| fits(path, is_usage) && has_header(path))
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(SearchError::Absent(format!("there is no SQLite database {usual} in {shown}"))),
        several => {
            let names: Vec<String> = several
                .iter()
                .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .collect();
            let names = names.join(", ");
            Err(SearchError::Unclear(format!(
                "several files in {shown} may be the database: {names}"
            )))
        }
    }
}

fn fits(path: &Path, is_usage: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.contains("usage") == is_usage
}

fn has_header(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    // Only of ordinary files: opening a FIFO would wait for a writer.
    fs::metadata(path).is_ok_and(|found| found.is_file())
        && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_name_wins_then_the_only_file_that_fits() {
        let folder = tempfile::tempdir().unwrap();
        let put =
            |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        let find = |is_usage| {
            let found = find(folder.path(), "usual.db", is_usage);
            found.map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        };
        put("notes.txt", b"not a database");
        put("usage.db", MAGIC);
        let absent = format!("there is no SQLite database usual.db in {}", folder.path().display());
        assert_eq!(find(false), Err(SearchError::Absent(absent)));
        assert_eq!(find(true), Ok("usage.db".into()));
        put("one.db", MAGIC);
        assert_eq!(find(false), Ok("one.db".into()));
        put("two.db", MAGIC);
        let Err(SearchError::Unclear(why)) = find(false) else { panic!("one was chosen") };
        assert!(why.ends_with("may be the database: one.db, two.db"), "{why}");
        put("usual.db", b"");
        assert_eq!(find(false), Ok("usual.db".into()));
    }
}

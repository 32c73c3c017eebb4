//! The search for a product's SQLite database whose file name the documentation leaves open.

use crate::product::spec::{DataSetSpec, ProductSpec};
use crate::sqlite::write::target_file::KEPT_INFIX;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The first bytes of every SQLite database (<https://sqlite.org/fileformat2.html>, section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Why no file was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SearchError {
    /// There is none; the description.
    Missing(String),
    /// Several files fit, or the folder cannot be read; the description.
    Ambiguous(String),
}

/// Finds the database of `data_set` in `folder`: the usual file name, else the one SQLite file whose
/// name has the mark of the data set and no mark of another one of `product`. A file that a run
/// replaced and kept is ignored.
pub(crate) fn find(
    folder: &Path,
    product: &ProductSpec,
    data_set: &DataSetSpec,
) -> Result<PathBuf, SearchError> {
    let usual = data_set.file;
    let path = folder.join(usual);
    if path.exists() {
        return Ok(path);
    }
    let shown = folder.display();
    let entries = fs::read_dir(folder).map_err(|cause| {
        let why = format!("the folder {shown} cannot be read: {cause}");
        if cause.kind() == ErrorKind::NotFound {
            SearchError::Missing(why)
        } else {
            SearchError::Ambiguous(why)
        }
    })?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| fits(path, product, data_set) && has_header(path))
        .collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(SearchError::Missing(format!("SQLite database {usual} not found in {shown}"))),
        several => {
            let names: Vec<String> = several
                .iter()
                .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .collect();
            let names = names.join(", ");
            Err(SearchError::Ambiguous(format!(
                "several files in {shown} may be the database: {names}"
            )))
        }
    }
}

fn fits(path: &Path, product: &ProductSpec, data_set: &DataSetSpec) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_kept = name.contains(KEPT_INFIX);
    let has_marks = product
        .data_sets
        .iter()
        .filter_map(|one| one.file_mark)
        .all(|mark| name.contains(mark) == (data_set.file_mark == Some(mark)));
    has_marks && !is_kept
}

fn has_header(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    // Only regular files: opening a FIFO would wait for a writer.
    fs::metadata(path).is_ok_and(|found| found.is_file())
        && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok()
        && start == *MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::products::PACKAGE_MANAGER;

    #[test]
    fn the_usual_name_wins_then_the_only_matching_file() {
        let folder = tempfile::tempdir().unwrap();
        let put =
            |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        let find = |is_usage| {
            let data_set = &PACKAGE_MANAGER.data_sets[usize::from(is_usage)];
            let found = find(folder.path(), &PACKAGE_MANAGER, data_set);
            found.map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        };
        put("notes.txt", b"not a database");
        put("usage.db", MAGIC);
        let missing =
            format!("SQLite database rstudio-pm.db not found in {}", folder.path().display());
        assert_eq!(find(false), Err(SearchError::Missing(missing)));
        assert_eq!(find(true), Ok("usage.db".into()));
        put("one.db", MAGIC);
        put("one.db.replaced-20240102T030405Z", MAGIC);
        assert_eq!(find(false), Ok("one.db".into()));
        put("two.db", MAGIC);
        let Err(SearchError::Ambiguous(why)) = find(false) else { panic!("one was chosen") };
        assert!(why.ends_with("may be the database: one.db, two.db"), "{why}");
        put("rstudio-pm.db", b"");
        assert_eq!(find(false), Ok("rstudio-pm.db".into()));
    }
}

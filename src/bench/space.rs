//! Space: what a measurement will take on the disk, asked for before anything is written.

use crate::control::disk_space::available;
use crate::error::{Error, Result};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes of the generated file for each row, with its indexes (measured: 160).
pub(crate) const BYTES_PER_ROW: u64 = 165;

/// A new server of our own, and as much of its log as it keeps anyway.
const SERVER: u64 = 1 << 30;

/// A folder that will be written to, with how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need<'a> {
    /// The folder.
    pub(crate) folder: &'a Path,
    /// Bytes.
    pub(crate) bytes: u64,
}

impl<'a> Need<'a> {
    /// What goes into the temporary folder for a source of `bytes`: ready blocks, a new file, and
    /// the source itself where it `is_made`.
    pub(crate) fn for_files(folder: &'a Path, bytes: u64, is_made: bool) -> Self {
        Self { folder, bytes: bytes * if is_made { 3 } else { 2 } }
    }

    /// What goes into the folder of a server of our own: rows, indexes, and their log.
    pub(crate) fn for_server(folder: &'a Path, bytes: u64) -> Self {
        Self { folder, bytes: bytes * 3 + SERVER }
    }
}

/// Refuses where a file system does not have what all `needs` in it take together.
pub(crate) fn refuse_lack(needs: &[Need<'_>]) -> Result<()> {
    for need in needs {
        let cannot = |error: std::io::Error| {
            let folder = need.folder.display();
            Error::refused(format!("cannot see how much space is left in {folder}"))
                .caused_by(error)
        };
        let device = |folder: &Path| fs::metadata(folder).map(|found| found.dev());
        let own = device(need.folder).map_err(cannot)?;
        let same = needs.iter().filter(|other| device(other.folder).is_ok_and(|it| it == own));
        let needed: u64 = same.map(|other| other.bytes).sum();
        let available = available(need.folder).map_err(cannot)?;
        if needed > available {
            let folder = need.folder.display();
            return Err(Error::refused(format!("there is too little space in {folder}"))
                .caused_by(format!(
                    "measuring takes about {needed} bytes, and {available} are available"
                ))
                .hint("make fewer rows (--rows)")
                .hint("use another folder: --temp-dir for files, TMPDIR for a private server"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_folders_of_one_disk_take_is_added_up() {
        let folder = tempfile::tempdir().unwrap();
        let most = available(folder.path()).unwrap();
        let need = |bytes| Need { folder: folder.path(), bytes };
        refuse_lack(&[need(1), need(1)]).unwrap();
        let error = refuse_lack(&[need(most / 10 * 7), need(most / 10 * 7)]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Refused);
        assert!(error.hints()[1].contains("--temp-dir"), "{error:?}");
    }
}

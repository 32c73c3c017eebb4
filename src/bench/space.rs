//! The disk space of a measurement, checked before the first write.

use crate::control::disk_space::available;
use crate::error::{Error, Result};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Bytes per row of the generated file, with indexes (measured: 160).
pub(crate) const BYTES_PER_ROW: u64 = 165;

/// Bytes of a new private server with its WAL.
pub(crate) const SERVER_BYTES: u64 = 1 << 30;

/// A folder, and the bytes that will be written to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) bytes: u64,
}

/// Refuses if a file system lacks the space for all its `needs`.
pub(crate) fn refuse_lack(needs: &[Need<'_>]) -> Result<()> {
    for need in needs {
        let cannot = |error: std::io::Error| {
            let folder = need.folder.display();
            Error::refused(format!("cannot read the free space in {folder}")).caused_by(error)
        };
        let device = |folder: &Path| fs::metadata(folder).map(|found| found.dev());
        let own = device(need.folder).map_err(cannot)?;
        let same = needs.iter().filter(|other| device(other.folder).is_ok_and(|it| it == own));
        let needed: u64 = same.map(|other| other.bytes).sum();
        let available = available(need.folder).map_err(cannot)?;
        if needed > available {
            let folder = need.folder.display();
            return Err(Error::refused(format!("too little space in {folder}"))
                .caused_by(format!(
                    "the measurement needs about {needed} bytes, but only {available} bytes are free"
                ))
                .hint("generate fewer rows (--rows)")
                .hint("use another folder: --temp-dir for files, TMPDIR for a private server"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_of_folders_on_one_disk_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let free = available(folder.path()).unwrap();
        let need = |bytes| Need { folder: folder.path(), bytes };
        refuse_lack(&[need(1), need(1)]).unwrap();
        let error = refuse_lack(&[need(free / 10 * 7), need(free / 10 * 7)]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Refused);
        assert!(error.hints()[1].contains("--temp-dir"), "{error:?}");
    }
}

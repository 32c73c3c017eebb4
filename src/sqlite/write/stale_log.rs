//! A log that another database left next to the target. SQLite applies a log by its name alone: it
//! would replay the rows of the old database over the pages of the new one.
//!
//! The log is never removed, because it may hold the only copy of committed rows.

use crate::error::{Error, Result, plural};
use crate::sqlite::source::fingerprint::{sibling, stat};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Refuses, with an error of `kind`, if a WAL or a journal with content is next to `path`. If
/// `occupied`, SQLite has just applied the logs of the database at `path`: only a log that it would
/// apply once more counts.
pub(crate) fn refuse(path: &Path, occupied: bool, kind: fn(String) -> Error) -> Result<()> {
    for suffix in ["-wal", "-journal"] {
        let log = sibling(path, suffix);
        let size = stat(&log)?.map_or(0, |found| found.len());
        if size == 0 || (occupied && is_ended(&log)) {
            continue;
        }
        let (log, path) = (log.display(), path.display());
        let size = plural(size, "byte", "bytes");
        return Err(kind(format!("{log} ({size}) is left from another database"))
            .caused_by(format!("SQLite would apply this log to the new {path}"))
            .caused_by("the log may hold the only copy of committed rows")
            .hint(format!(
                "to keep its rows, move {log} to the folder of its database, with the name of that \
                 database before {suffix}, and open the database once with sqlite3"
            ))
            .hint(format!("to keep the log without applying it, move {log} to another folder")));
    }
    Ok(())
}

/// Whether a journal has ended: in the journal mode PERSIST, SQLite overwrites its header with zeros.
fn is_ended(journal: &Path) -> bool {
    let mut first = [1];
    File::open(journal).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == [0]
}

//! The fingerprint: what tells one state of a source's files from another without reading them
//! whole. It is taken before the fence, because closing any descriptor of the source drops the
//! locks that SQLite holds on it in this process (fcntl(2), "Advisory record locking").

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The length of the database header in bytes. This and every offset below is from
/// <https://sqlite.org/fileformat2.html>, sections 1.3 and 4.1.
const HEADER: usize = 100;
/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the two salts stand in the header of a `-wal`.
const SALTS: std::ops::Range<usize> = 16..24;

/// A time as the file system keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Nanoseconds within the second.
    pub(crate) nanoseconds: i64,
}

/// What the file system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// The device it lies on.
    pub(crate) device: u64,
    /// Its number there.
    pub(crate) inode: u64,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When its content was last changed.
    pub(crate) modified: Moment,
    /// When its content or its attributes were last changed.
    pub(crate) changed: Moment,
}

/// The write-ahead log beside a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalState {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its salts in hexadecimal, which every restart of the log changes.
    pub(crate) salts: String,
}

/// A source's files at one moment. Two equal fingerprints mean the same content; the change
/// counter alone would not: a commit in WAL mode and its checkpoint leave it as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The database file.
    pub(crate) file: FileState,
    /// The database header in hexadecimal.
    pub(crate) header: String,
    /// The log; `None` where there is none or an empty one.
    pub wal: Option<WalState>,
}

/// The database header of a file that has one.
pub(crate) struct Header([u8; HEADER]);

/// What the file system says of a source's files. Learning it opens nothing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stats {
    pub(crate) file: FileState,
    /// The log; `None` where there is none or an empty one.
    wal: Option<FileState>,
}

/// How far a file has moved away from an earlier state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Owner, mode or links only.
    Attributes,
    /// Its bytes, or it is another file.
    Content,
}

impl FileState {
    /// What `metadata` says.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: Moment { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() },
            changed: Moment { seconds: metadata.ctime(), nanoseconds: metadata.ctime_nsec() },
        }
    }

    fn change(&self, now: &Self) -> Option<Change> {
        if self == now {
            None
        } else if (Self { changed: now.changed, ..*self }) == *now {
            Some(Change::Attributes)
        } else {
            Some(Change::Content)
        }
    }
}

impl Stats {
    /// What the file system says of the database at `path` now.
    pub(crate) fn look(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
        let wal = stat(&sibling(path, "-wal"))?.filter(|wal| wal.size() > 0);
        Ok(Self { file: FileState::of(&metadata), wal: wal.as_ref().map(FileState::of) })
    }

    /// What happened to the database file since `self`.
    pub(crate) fn file_change(&self, now: &Self) -> Option<Change> {
        self.file.change(&now.file)
    }

    /// Whether the path still names the same file.
    pub(crate) fn same_file(&self, now: &Self) -> bool {
        (self.file.device, self.file.inode) == (now.file.device, now.file.inode)
    }

    /// Whether the log's content changed since `self`. Its attributes do not count: as root
    /// SQLite sets the owner of every log that it opens.
    pub(crate) fn wal_changed(&self, now: &Self) -> bool {
        match (&self.wal, &now.wal) {
            (None, None) => false,
            (Some(was), Some(is)) => was.change(is) == Some(Change::Content),
            _ => true,
        }
    }

    /// Whether there is a log with something in it.
    pub(crate) fn has_wal(&self) -> bool {
        self.wal.is_some()
    }
}

impl Fingerprint {
    /// The fingerprint and the header of the database at `path`.
    ///
    /// # Errors
    /// Refuses what is empty, no SQLite database, or unreadable.
    pub(crate) fn take(path: &Path) -> Result<(Self, Header)> {
        let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let metadata = file.metadata().map_err(|e| unreadable(path, &e))?;
        let header = Header::read(path, &mut file)?;
        let wal_path = sibling(path, "-wal");
        let wal = match stat(&wal_path)?.filter(|wal| wal.size() > 0) {
            Some(found) => Some(WalState::read(&wal_path, found.size())?),
            None => None,
        };
        let fingerprint = Self { file: FileState::of(&metadata), header: hex(&header.0), wal };
        Ok((fingerprint, header))
    }
}

impl WalState {
    fn read(path: &Path, size: u64) -> Result<Self> {
        let mut start = Vec::with_capacity(SALTS.end);
        File::open(path)
            .and_then(|file| file.take(SALTS.end as u64).read_to_end(&mut start))
            .map_err(|e| unreadable(path, &e))?;
        Ok(Self { size, salts: hex(start.get(SALTS).unwrap_or_default()) })
    }
}

impl Header {
    fn read(path: &Path, file: &mut File) -> Result<Self> {
        let mut start = Vec::with_capacity(HEADER);
        file.take(HEADER as u64).read_to_end(&mut start).map_err(|e| unreadable(path, &e))?;
        if start.is_empty() {
            return Err(Error::refused(format!("{} is empty (zero bytes)", path.display())).hint(
                "an empty file is nearly always a wrong path: check where the application keeps \
                 its database",
            ));
        }
        if !start.starts_with(MAGIC) {
            return Err(not_a_database(path));
        }
        match start.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(truncated(path, "it ends within the header")),
        }
    }

    /// Whether the header says that the database is in WAL mode.
    pub(crate) fn is_wal(&self) -> bool {
        self.0[18] == 2 || self.0[19] == 2
    }

    /// Bytes of a page, and how many of them are in use; `None` where they are none that SQLite
    /// allows.
    pub(crate) fn page_sizes(&self) -> Option<(usize, usize)> {
        let page_size = match u16::from_be_bytes([self.0[16], self.0[17]]) {
            1 => 65_536,
            size => usize::from(size),
        };
        let usable = page_size.checked_sub(usize::from(self.0[20]))?;
        (page_size.is_power_of_two() && page_size >= 512 && usable >= 480)
            .then_some((page_size, usable))
    }

    /// Refuses a file of `size` bytes that is shorter than the header says. Only for files
    /// without a journal or a log beside them, which may hold the missing pages.
    pub(crate) fn refuse_truncated(&self, path: &Path, size: u64) -> Result<()> {
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| self.0[at + i]));
        let page_size = match u16::from_be_bytes([self.0[16], self.0[17]]) {
            1 => 65_536,
            n @ 512..=32_768 if n.is_power_of_two() => u64::from(n),
            // A plain first line over enciphered pages looks like this.
            _ => return Err(not_a_database(path)),
        };
        // Versions before 3.7.0 do not keep the page count; whoever wrote last is known by the
        // change counter that stands beside the writer's version.
        let pages = u64::from(word(28));
        if pages > 0 && word(24) == word(92) {
            if size < pages * page_size {
                let should = pages * page_size;
                return Err(truncated(path, &format!("it has {size} bytes of {should}")));
            }
        } else if !size.is_multiple_of(page_size) {
            return Err(truncated(
                path,
                &format!("{size} bytes are no whole pages of {page_size}"),
            ));
        }
        Ok(())
    }
}

/// The file that SQLite keeps beside the database at `path` under its name and `suffix`.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// What the file system says of `path`; `None` where there is nothing.
pub(crate) fn stat(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(unreadable(path, &e)),
    }
}

/// The refusal of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => Error::refused(format!("there is no file {shown}"))
            .hint("check the path; a new database is never created for a source"),
        ErrorKind::PermissionDenied => Error::refused(format!("no permission to read {shown}"))
            .hint("run as the user that owns the database, or as root"),
        _ => Error::refused(format!("cannot read {shown}")).caused_by(error),
    }
}

/// The refusal of a file that SQLite cannot make sense of from its first page on.
pub(crate) fn not_a_database(path: &Path) -> Error {
    Error::refused(format!("{} is not a SQLite database, or an encrypted one", path.display()))
        .hint("an encrypted database (SQLCipher, SEE) must be decrypted into a plain one first")
}

fn truncated(path: &Path, why: &str) -> Error {
    Error::refused(format!("{} is truncated: {why}", path.display()))
        .hint("the copy or download that made it was probably cut short; take a whole one")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of 4 pages of 1024 bytes, written by a version that keeps the page count or not.
    fn header(counted: bool) -> Header {
        let mut bytes = [0; HEADER];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..18].copy_from_slice(&1024_u16.to_be_bytes());
        bytes[24..28].copy_from_slice(&7_u32.to_be_bytes());
        bytes[28..32].copy_from_slice(&4_u32.to_be_bytes());
        bytes[92..96].copy_from_slice(&(if counted { 7_u32 } else { 6 }).to_be_bytes());
        Header(bytes)
    }

    fn verdict(header: &Header, size: u64) -> Option<String> {
        let error = header.refuse_truncated(Path::new("/app.db"), size).err()?;
        Some(error.message().to_owned())
    }

    #[test]
    fn a_file_shorter_than_its_page_count_is_truncated() {
        assert_eq!(verdict(&header(true), 4096), None);
        assert_eq!(verdict(&header(true), 8192), None);
        let message = verdict(&header(true), 3072).unwrap();
        assert_eq!(message, "/app.db is truncated: it has 3072 bytes of 4096");
    }

    #[test]
    fn a_stale_page_count_says_nothing_but_pages_are_whole() {
        assert_eq!(verdict(&header(false), 3072), None);
        assert!(verdict(&header(false), 3073).unwrap().contains("truncated"));
    }

    #[test]
    fn a_page_size_that_none_can_be_is_no_database() {
        for size in [0_u16, 2, 256, 511, 1000, 40_000] {
            let mut odd = header(true);
            odd.0[16..18].copy_from_slice(&size.to_be_bytes());
            assert!(verdict(&odd, 4096).unwrap().contains("not a SQLite database"), "{size}");
        }
        let mut largest = header(true);
        largest.0[16..18].copy_from_slice(&1_u16.to_be_bytes());
        assert_eq!(verdict(&largest, 4 * 65_536), None);
    }

    #[test]
    fn attributes_and_content_are_told_apart() {
        let moment = |seconds| Moment { seconds, nanoseconds: 0 };
        let was =
            FileState { device: 1, inode: 2, size: 3, modified: moment(4), changed: moment(5) };
        assert_eq!(was.change(&was), None);
        assert_eq!(was.change(&FileState { changed: moment(6), ..was }), Some(Change::Attributes));
        let written = FileState { modified: moment(6), changed: moment(6), ..was };
        assert_eq!(was.change(&written), Some(Change::Content));
        assert_eq!(was.change(&FileState { inode: 9, ..was }), Some(Change::Content));
    }

    #[test]
    fn a_fingerprint_survives_its_way_through_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); PRAGMA user_version = 3")
            .unwrap();
        let (fingerprint, header) = Fingerprint::take(&path).unwrap();
        assert!(header.is_wal());
        assert_eq!(fingerprint.header.len(), 200);
        assert_eq!(fingerprint.wal.as_ref().unwrap().salts.len(), 16);
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
    }
}

//! The fingerprint of a source: distinguishes two states of its files without reading them whole.
//!
//! It is taken before the write lock, because closing any descriptor of the source drops the locks
//! that SQLite holds on it in this process (fcntl(2), "Advisory record locking").

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The length of the database header in bytes. This and every offset below is from
/// <https://sqlite.org/fileformat2.html>, sections 1.3 and 4.1.
const HEADER_BYTES: usize = 100;
/// The first bytes of every SQLite database.
pub(crate) const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The two salts in the header of a `-wal`.
const WAL_SALTS: std::ops::Range<usize> = 16..24;

/// A timestamp of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileTime {
    /// Seconds since 1970.
    pub(crate) seconds: i64,
    /// Nanoseconds within the second.
    pub(crate) nanoseconds: i64,
}

/// The identity, size and times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileState {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// When its content was last changed.
    pub(crate) modified: FileTime,
    /// When its content or its attributes were last changed.
    pub(crate) changed: FileTime,
}

/// The write-ahead log (WAL) of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalState {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Its salts in hexadecimal. Every restart of the WAL changes them.
    pub(crate) salts: String,
}

/// The state of a source's files. Equal fingerprints mean equal content. The change counter alone
/// would not: a commit in WAL mode and its checkpoint leave it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The database file.
    pub(crate) file: FileState,
    /// The database header in hexadecimal.
    pub(crate) header: String,
    /// The WAL; `None` if it is missing or empty.
    pub wal: Option<WalState>,
}

/// The header of a database file.
pub(crate) struct Header([u8; HEADER_BYTES]);

/// The file system's data on a source's files. Reading it opens no file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stats {
    pub(crate) file: FileState,
    /// The WAL; `None` if it is missing or empty.
    wal: Option<FileState>,
}

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Owner, mode or links only.
    Attributes,
    /// Its bytes, or the path names another file.
    Content,
}

impl FileState {
    pub(crate) fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: FileTime { seconds: metadata.mtime(), nanoseconds: metadata.mtime_nsec() },
            changed: FileTime { seconds: metadata.ctime(), nanoseconds: metadata.ctime_nsec() },
        }
    }

    /// Whether it is the same file with the same bytes.
    pub(crate) fn same_content(&self, now: &Self) -> bool {
        Self { changed: now.changed, ..*self } == *now
    }

    fn change(&self, now: &Self) -> Option<Change> {
        let change = if self.same_content(now) { Change::Attributes } else { Change::Content };
        (self != now).then_some(change)
    }
}

impl Stats {
    /// Inspects the database at `path`.
    pub(crate) fn inspect(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(|e| unreadable(path, &e))?;
        let wal = stat(&sibling(path, "-wal"))?.filter(|wal| wal.size() > 0);
        Ok(Self {
            file: FileState::from_metadata(&metadata),
            wal: wal.as_ref().map(FileState::from_metadata),
        })
    }

    /// How the database file changed since `self`.
    pub(crate) fn file_change(&self, now: &Self) -> Option<Change> {
        self.file.change(&now.file)
    }

    /// Whether the path still names the same file.
    pub(crate) fn same_file(&self, now: &Self) -> bool {
        (self.file.device, self.file.inode) == (now.file.device, now.file.inode)
    }

    /// Whether the content of the WAL changed since `self`. Its attributes do not count: as root,
    /// SQLite sets the owner of every WAL that it opens.
    pub(crate) fn wal_changed(&self, now: &Self) -> bool {
        match (&self.wal, &now.wal) {
            (None, None) => false,
            (Some(was), Some(is)) => was.change(is) == Some(Change::Content),
            _ => true,
        }
    }

    /// Whether the WAL exists and has content.
    pub(crate) fn has_wal(&self) -> bool {
        self.wal.is_some()
    }
}

impl Fingerprint {
    /// The fingerprint and the header of the database at `path`. Refuses a file that is empty,
    /// unreadable or not a SQLite database.
    pub(crate) fn take(path: &Path) -> Result<(Self, Header)> {
        let mut file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let metadata = file.metadata().map_err(|e| unreadable(path, &e))?;
        let header = Header::read(path, &mut file)?;
        let wal_path = sibling(path, "-wal");
        let wal = stat(&wal_path)?.filter(|wal| wal.size() > 0);
        let wal = wal.map(|wal| WalState::read(&wal_path, wal.size())).transpose()?;
        let file = FileState::from_metadata(&metadata);
        Ok((Self { file, header: hex(&header.0), wal }, header))
    }
}

impl WalState {
    fn read(path: &Path, size: u64) -> Result<Self> {
        let mut start = Vec::with_capacity(WAL_SALTS.end);
        File::open(path)
            .and_then(|file| file.take(WAL_SALTS.end as u64).read_to_end(&mut start))
            .map_err(|e| unreadable(path, &e))?;
        Ok(Self { size, salts: hex(start.get(WAL_SALTS).unwrap_or_default()) })
    }
}

impl Header {
    fn read(path: &Path, file: &mut File) -> Result<Self> {
        let mut start = Vec::with_capacity(HEADER_BYTES);
        file.take(HEADER_BYTES as u64).read_to_end(&mut start).map_err(|e| unreadable(path, &e))?;
        if start.is_empty() {
            return Err(Error::refused(format!("{} is empty (zero bytes)", path.display()))
                .hint("check the path: an empty file is rarely the application's database"));
        }
        if !start.starts_with(MAGIC) {
            return Err(not_a_database(path));
        }
        start.try_into().map(Self).map_err(|_| truncated(path, "it ends inside the header"))
    }

    /// Whether the header says that the database is in WAL mode.
    pub(crate) fn is_wal(&self) -> bool {
        self.0[18] == 2 || self.0[19] == 2
    }

    /// The page size and the usable bytes of a page; `None` if SQLite does not allow them.
    pub(crate) fn page_sizes(&self) -> Option<(usize, usize)> {
        let page_size = decode_page_size([self.0[16], self.0[17]]) as usize;
        let usable = page_size.checked_sub(usize::from(self.0[20]))?;
        (page_size.is_power_of_two() && page_size >= 512 && usable >= 480)
            .then_some((page_size, usable))
    }

    /// The number of pages that the header says, if it says one.
    pub(crate) fn page_count(&self) -> Option<u32> {
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| self.0[at + i]));
        // SQLite before 3.7.0 does not update the page count. The count is valid if the change
        // counter equals the one stored with the version of the last writer.
        Some(word(28)).filter(|pages| *pages > 0 && word(24) == word(92))
    }

    /// Refuses a file of `size` bytes that is shorter than the header says. Use it only without a
    /// journal or WAL, which may hold the missing pages.
    pub(crate) fn refuse_truncated(&self, path: &Path, size: u64) -> Result<()> {
        let page_size = u64::from(decode_page_size([self.0[16], self.0[17]]));
        // A plain first line over encrypted pages has a page size that is not allowed.
        if page_size < 512 || !page_size.is_power_of_two() {
            return Err(not_a_database(path));
        }
        if let Some(pages) = self.page_count() {
            let pages = u64::from(pages);
            if size < pages * page_size {
                let should = pages * page_size;
                return Err(truncated(path, &format!("it has {size} of {should} bytes")));
            }
        } else if !size.is_multiple_of(page_size) {
            let why = "is not a multiple of the page size";
            return Err(truncated(
                path,
                &format!("its size of {size} bytes {why} ({page_size} bytes)"),
            ));
        }
        Ok(())
    }
}

/// The page size from bytes 16 and 17 of the header, where 1 stands for 65,536.
pub(crate) fn decode_page_size(bytes: [u8; 2]) -> u32 {
    match u16::from_be_bytes(bytes) {
        1 => 65_536,
        size => u32::from(size),
    }
}

/// The file next to `path` whose name has `suffix` appended.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The metadata of `path`; `None` if it does not exist.
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
        ErrorKind::NotFound => Error::refused(format!("{shown} does not exist"))
            .hint("check the path; a source must exist"),
        ErrorKind::PermissionDenied => Error::refused(format!("no permission to read {shown}"))
            .hint("run as the owner of the database, or as root"),
        _ => Error::refused(format!("cannot read {shown}")).caused_by(error),
    }
}

/// The refusal of a file whose first page is not one of a SQLite database.
pub(crate) fn not_a_database(path: &Path) -> Error {
    Error::refused(format!("{} is not a SQLite database, or is encrypted", path.display()))
        .hint("decrypt an encrypted database (SQLCipher, SEE) into a plain one first")
}

fn truncated(path: &Path, why: &str) -> Error {
    Error::refused(format!("{} is truncated: {why}", path.display()))
        .hint("copy or download the file again: the last transfer was probably incomplete")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of 4 pages of 1024 bytes, by a version that updates the page count or not.
    fn header(counted: bool) -> Header {
        let mut bytes = [0; HEADER_BYTES];
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
        assert_eq!(message, "/app.db is truncated: it has 3072 of 4096 bytes");
    }

    #[test]
    fn without_a_valid_page_count_only_whole_pages_are_required() {
        assert_eq!(verdict(&header(false), 3072), None);
        assert!(verdict(&header(false), 3073).unwrap().contains("truncated"));
    }

    #[test]
    fn a_file_with_an_invalid_page_size_is_refused_as_not_a_database() {
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
    fn changes_of_attributes_and_of_content_are_distinguished() {
        let time = |seconds| FileTime { seconds, nanoseconds: 0 };
        let was = FileState { device: 1, inode: 2, size: 3, modified: time(4), changed: time(5) };
        assert_eq!(was.change(&was), None);
        assert_eq!(was.change(&FileState { changed: time(6), ..was }), Some(Change::Attributes));
        let written = FileState { modified: time(6), changed: time(6), ..was };
        assert_eq!(was.change(&written), Some(Change::Content));
        assert_eq!(was.change(&FileState { inode: 9, ..was }), Some(Change::Content));
    }

    #[test]
    fn a_fingerprint_survives_a_round_trip_through_json() {
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

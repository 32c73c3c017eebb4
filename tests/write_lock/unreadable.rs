//! Files that are not readable SQLite databases, and unusual files that are.

use super::other::{as_nobody, assigned};
use super::{AS_BUILT, SourceFolder, seen};
use migrate::Kind;
use migrate::internals::{Source, SourceOptions};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

/// Checks that the source at `path` is refused with `words` in the message.
fn refused(path: &Path, words: &str) {
    let error = Source::open(path, &SourceOptions::default()).err().unwrap();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.message().contains(words), "{words}: {error}");
    assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    assert!(!error.hints().is_empty(), "{error}");
}

#[test]
fn a_path_that_is_not_a_file_is_refused_with_its_kind() {
    let folder = SourceFolder::new("DELETE");
    let at = |name| folder.folder().join(name);
    refused(&at("missing.db"), "does not exist");
    refused(&folder.folder(), "is a directory");
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    refused(&at("fifo"), "is a FIFO");
    let _listener = UnixListener::bind(at("socket")).unwrap();
    refused(&at("socket"), "is a socket");
    refused(Path::new("/dev/null"), "is a device");
    std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
    refused(&at("link"), "does not exist");
}

#[test]
fn zero_bytes_are_a_wrong_path() {
    let folder = SourceFolder::new("DELETE");
    fs::write(folder.database(), "").unwrap();
    refused(&folder.database(), "zero bytes");
    let error = folder.open().err().unwrap();
    assert!(error.hints()[0].contains("an empty file is rarely"), "{:?}", error.hints());
}

#[test]
fn garbage_and_encrypted_files_are_no_databases() {
    let folder = SourceFolder::new("DELETE");
    let words = "is not a SQLite database, or is encrypted";
    fs::write(folder.database(), "id,name\n1,one\n").unwrap();
    refused(&folder.database(), words);
    // SQLCipher: a random salt, then pages that look random.
    let noise: Vec<u8> =
        (0_u32..8192).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(folder.database(), &noise).unwrap();
    refused(&folder.database(), words);
    // A plain first line over enciphered pages.
    fs::write(folder.database(), [b"SQLite format 3\0", &noise[16..]].concat()).unwrap();
    refused(&folder.database(), words);
}

#[test]
fn a_truncated_file_is_refused() {
    let folder = SourceFolder::new("DELETE");
    let size = folder.database().metadata().unwrap().len();
    for cut in [1, 4096, size - 4096, size - 50] {
        let file = OpenOptions::new().write(true).open(folder.database()).unwrap();
        file.set_len(size - cut).unwrap();
        refused(&folder.database(), "truncated");
    }
}

#[test]
fn a_corrupted_schema_is_refused_in_words() {
    let folder = SourceFolder::new("DELETE");
    let file = OpenOptions::new().write(true).open(folder.database()).unwrap();
    file.write_all_at(&[0xff; 64], 100).unwrap();
    refused(&folder.database(), "is corrupted");
}

#[test]
fn a_file_of_another_user_is_refused() {
    if let Some(path) = assigned() {
        refused(&path, "no permission to read");
        return;
    }
    let folder = SourceFolder::new("DELETE");
    folder.hand_over(0o755, 0o000);
    as_nobody("write_lock::unreadable::a_file_of_another_user_is_refused", &folder.database());
}

#[test]
fn a_source_in_utf_16_keeps_its_encoding() {
    let folder = SourceFolder::new("DELETE");
    let encoding_of = |source: Source| {
        let reader = source.connect().unwrap();
        reader.query_row("PRAGMA encoding", [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(encoding_of(folder.open().unwrap()), "UTF-8");
    for encoding in ["UTF-16le", "UTF-16be"] {
        let path = folder.folder().join(encoding);
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!("PRAGMA encoding = '{encoding}'; CREATE TABLE t (a)"))
            .unwrap();
        assert_eq!(encoding_of(Source::open(&path, &folder.options()).unwrap()), encoding);
    }
}

#[test]
fn odd_names_are_only_names() {
    let folder = SourceFolder::new("WAL");
    for name in ["file:app.db?mode=rwc", "a b%20#é?immutable=1.db", ":memory:"] {
        let path = folder.folder().join(name);
        fs::copy(folder.database(), &path).unwrap();
        let source = Source::open(&path, &folder.options()).unwrap();
        assert_eq!(seen(&source.connect().unwrap()), AS_BUILT);
    }
}

#[test]
fn the_fingerprint_changes_with_the_content_and_only_then() {
    let folder = SourceFolder::with_log();
    let fingerprint = || folder.open().unwrap().fingerprint().clone();
    let first = fingerprint();
    assert!(first.wal.is_some());
    assert_eq!(fingerprint(), first);
    // A commit and its checkpoint, which leave the change counter as it was.
    super::other::run(&folder.database(), "DELETE FROM t WHERE a = -1");
    assert_ne!(fingerprint(), first);
}

//! Files next to a source, and folders without write permission.

use super::other::{self, as_nobody, assigned};
use super::{AS_BUILT, SourceFolder, WITH_LOG, seen};
use migrate::Kind;
use migrate::internals::{Source, SourceOptions};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Does `work`, which must not change the source's folder.
fn without_change(folder: &SourceFolder, work: impl FnOnce()) {
    let before = folder.inventory();
    work();
    assert_eq!(folder.inventory(), before);
}

/// Opens, reads and closes the source without a change in its folder.
fn read_without_change(folder: &SourceFolder) {
    without_change(folder, || {
        let source = folder.open().unwrap();
        assert_eq!(seen(&source.connect().unwrap()), AS_BUILT);
        source.close().unwrap();
    });
}

/// Runs the test `name` of this file as a user without rights, without a change in the folder.
fn as_nobody_without_change(name: &str, folder: &SourceFolder) {
    let name = format!("write_lock::log_files::{name}");
    without_change(folder, || as_nobody(&name, &folder.database()));
}

#[test]
fn a_hot_journal_is_rolled_back_in_a_private_copy_only() {
    let folder = SourceFolder::with_hot_journal();
    let before = folder.inventory();
    let source = folder.open().unwrap();
    assert_eq!(seen(&source.connect().unwrap()), AS_BUILT);
    assert!(source.notes()[0].contains("journal"), "{:?}", source.notes());

    let copy = fs::read_dir(folder.temp()).unwrap().next().unwrap().unwrap();
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(source.close().unwrap(), None);
    assert_eq!(folder.inventory(), before);
    assert_eq!(fs::read_dir(folder.temp()).unwrap().count(), 0);
}

#[test]
fn others_can_roll_back_a_hot_journal_while_its_copy_is_read() {
    let folder = SourceFolder::with_hot_journal();
    let source = folder.open().unwrap();
    let reader = source.connect().unwrap();
    assert_eq!(other::run(&folder.database(), "SELECT * FROM t"), "done");
    assert!(!folder.sibling("-journal").exists());
    assert_eq!(seen(&reader), AS_BUILT);
    drop(reader);
    let changed = source.close().unwrap().unwrap();
    assert!(changed.contains("after the private copy was made"), "{changed}");
}

#[test]
fn a_journal_that_was_finished_is_not_hot() {
    let zeroed = SourceFolder::new("PERSIST");
    assert!(zeroed.sibling("-journal").metadata().unwrap().len() > 0);
    let empty = SourceFolder::new("TRUNCATE");
    assert_eq!(empty.sibling("-journal").metadata().unwrap().len(), 0);
    for folder in [zeroed, empty] {
        let before = folder.inventory();
        let source = folder.open().unwrap();
        assert_eq!(source.notes(), [""; 0]);
        assert_eq!(seen(&source.connect().unwrap()), AS_BUILT);
        source.close().unwrap();
        assert_eq!(folder.inventory(), before);
    }
}

/// Ends the journal with the name of a super-journal, as a transaction over several files does:
/// the number of the page that is never in a journal, the name, its length, its checksum, and
/// the journal's magic bytes.
fn name_super_journal(journal: &Path, name: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(journal).unwrap();
    let sum: u32 = name.bytes().map(u32::from).sum();
    let never = (0x4000_0000_u32 / 4096 + 1).to_be_bytes();
    let length = u32::try_from(name.len()).unwrap().to_be_bytes();
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for part in [&never[..], name.as_bytes(), &length, &sum.to_be_bytes(), &magic] {
        file.write_all(part).unwrap();
    }
}

#[test]
fn a_transaction_over_several_files_is_rolled_back_while_its_super_journal_exists() {
    let folder = SourceFolder::with_hot_journal();
    let name = folder.sibling("-mj1234569ab");
    name_super_journal(&folder.sibling("-journal"), name.to_str().unwrap());
    fs::write(&name, format!("{}\0", folder.sibling("-journal").display())).unwrap();
    read_without_change(&folder);
}

#[test]
fn a_transaction_over_several_files_is_done_when_its_super_journal_is_gone() {
    let folder = SourceFolder::with_hot_journal();
    let name = folder.sibling("-mj1234569ab");
    name_super_journal(&folder.sibling("-journal"), name.to_str().unwrap());
    let before = folder.inventory();
    // The file is in the middle of its transaction; SQLite considers it committed.
    let source = folder.open().unwrap();
    let zeros = "SELECT count(*) FROM t WHERE a = 0";
    let zeros: i64 = source.connect().unwrap().query_row(zeros, [], |row| row.get(0)).unwrap();
    assert!(zeros > 0);
    source.close().unwrap();
    assert_eq!(folder.inventory(), before);
}

#[test]
fn a_copy_without_a_folder_is_refused() {
    let folder = SourceFolder::with_hot_journal();
    let options =
        SourceOptions { temp_dir: Some(folder.root.path().join("none")), ..folder.options() };
    let error = Source::open(&folder.database(), &options).err().unwrap();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.hints()[0].contains("--temp-dir"), "{:?}", error.hints());
}

#[test]
fn files_next_to_a_source_in_wal_mode_stay() {
    let folder = SourceFolder::new("WAL");
    fs::write(folder.sibling("-wal"), "").unwrap();
    fs::write(folder.sibling("-shm"), "").unwrap();
    read_without_change(&folder);
}

#[test]
fn a_source_that_is_only_dropped_leaves_nothing_either() {
    for folder in [SourceFolder::new("WAL"), SourceFolder::with_log()] {
        without_change(&folder, || drop(folder.open().unwrap()));
    }
}

#[test]
fn leftovers_that_somebody_else_uses_by_now_stay() {
    let folder = SourceFolder::new("WAL");
    let source = folder.open().unwrap();
    let user = other::Other::start(&folder.database(), "SELECT * FROM t");
    source.close().unwrap();
    assert!(folder.sibling("-shm").exists());
    assert_eq!(user.end(), "done");
    assert!(!folder.sibling("-shm").exists());
}

#[test]
fn the_log_of_a_linked_source_is_next_to_the_real_file() {
    let folder = SourceFolder::with_log();
    let link = folder.root.path().join("temp/link.db");
    symlink(folder.database(), &link).unwrap();
    let source = Source::open(&link, &folder.options()).unwrap();
    assert_eq!(seen(&source.connect().unwrap()), WITH_LOG);
    assert_eq!(source.path(), fs::canonicalize(folder.database()).unwrap());
}

/// Opens the source at `path` without write permission, and checks what its readers see.
fn read_where_nothing_can_be_written(path: &Path, expected: (i64, i64)) -> Source {
    let temp_dir = Some(path.parent().unwrap().join("../temp"));
    let source = Source::open(path, &SourceOptions { temp_dir, ..Default::default() }).unwrap();
    for _ in 0..2 {
        assert_eq!(seen(&source.connect().unwrap()), expected);
    }
    source
}

#[test]
fn a_clean_wal_database_in_a_read_only_folder_is_read_in_place() {
    if let Some(path) = assigned() {
        let source = read_where_nothing_can_be_written(&path, AS_BUILT);
        assert!(!source.is_write_locked());
        assert!(source.notes()[0].starts_with("cannot lock"), "{:?}", source.notes());
        assert_eq!(source.close().unwrap(), None);
        return;
    }
    let folder = SourceFolder::new("WAL");
    folder.hand_over(0o555, 0o444);
    as_nobody_without_change(
        "a_clean_wal_database_in_a_read_only_folder_is_read_in_place",
        &folder,
    );
    assert_eq!(fs::read_dir(folder.temp()).unwrap().count(), 0);
}

#[test]
fn a_write_to_a_source_without_a_lock_fails_the_run() {
    if let Some(path) = assigned() {
        let source = read_where_nothing_can_be_written(&path, AS_BUILT);
        fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(other::run(&path, "DELETE FROM t"), "done");
        assert_eq!(source.changed().unwrap_err().kind(), Kind::Failed);
        assert!(source.connect().is_err());
        assert!(source.close().is_err());
        return;
    }
    let folder = SourceFolder::new("WAL");
    folder.hand_over(0o555, 0o444);
    as_nobody(
        "write_lock::log_files::a_write_to_a_source_without_a_lock_fails_the_run",
        &folder.database(),
    );
}

#[test]
fn a_log_in_a_read_only_folder_is_read_from_a_private_copy() {
    if let Some(path) = assigned() {
        let source = read_where_nothing_can_be_written(&path, WITH_LOG);
        assert!(!source.is_write_locked());
        assert!(source.notes()[0].contains("private copy"), "{:?}", source.notes());
        assert_eq!(source.close().unwrap(), None);
        return;
    }
    // With writable files and without.
    for files in [0o444, 0o644] {
        let folder = SourceFolder::with_log();
        folder.hand_over(0o555, files);
        as_nobody_without_change(
            "a_log_in_a_read_only_folder_is_read_from_a_private_copy",
            &folder,
        );
        assert_eq!(fs::read_dir(folder.temp()).unwrap().count(), 0);
    }
}

#[test]
fn a_read_only_file_in_a_writable_folder_gets_no_files_next_to_it() {
    if let Some(path) = assigned() {
        let folder = path.parent().unwrap();
        let count = || fs::read_dir(folder).unwrap().count();
        let before = count();
        let expected = if before == 1 { AS_BUILT } else { WITH_LOG };
        let source = read_where_nothing_can_be_written(&path, expected);
        assert_eq!(count(), before);
        assert!(!source.is_write_locked());
        return;
    }
    for folder in [SourceFolder::new("WAL"), SourceFolder::with_log()] {
        folder.hand_over(0o755, 0o444);
        as_nobody_without_change(
            "a_read_only_file_in_a_writable_folder_gets_no_files_next_to_it",
            &folder,
        );
    }
}

#[test]
fn a_rollback_mode_needs_no_write_permission_for_its_lock() {
    if let Some(path) = assigned() {
        let source = read_where_nothing_can_be_written(&path, AS_BUILT);
        assert!(source.is_write_locked());
        assert_eq!(source.notes(), [""; 0]);
        return;
    }
    let folder = SourceFolder::new("DELETE");
    folder.hand_over(0o555, 0o444);
    as_nobody_without_change("a_rollback_mode_needs_no_write_permission_for_its_lock", &folder);
}

#[test]
fn a_hot_journal_in_a_read_only_folder_is_rolled_back_in_a_copy() {
    if let Some(path) = assigned() {
        let source = read_where_nothing_can_be_written(&path, AS_BUILT);
        assert!(source.notes()[0].contains("private copy"), "{:?}", source.notes());
        return;
    }
    let folder = SourceFolder::with_hot_journal();
    folder.hand_over(0o555, 0o444);
    as_nobody_without_change(
        "a_hot_journal_in_a_read_only_folder_is_rolled_back_in_a_copy",
        &folder,
    );
}

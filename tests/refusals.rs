//! Sources that cannot be read are refused, sources that are hard to read are read as they are;
//! either way they stay untouched.

use crate::harness::server;
use crate::outcome::Target;
use crate::source::Source;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// The run is refused before anything is written; standard error.
fn refused(source: &Source) -> String {
    let database = server();
    let output = source.migrate(&database.url, &[]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{errors}");
    assert!(errors.starts_with("error:"), "{errors}");
    assert!(errors.contains("app.db"), "{errors}");
    assert!(Target::open(&database.url).tables().is_empty());
    errors
}

fn small_database(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO t SELECT i, 'row ' || i FROM n",
        )
        .unwrap();
}

/// Rows of `t` that arrive from `source`.
fn rows_that_arrive(source: &Source) -> String {
    rows_that_arrive_with(source, &[])
}

fn rows_that_arrive_with(source: &Source, arguments: &[&str]) -> String {
    let database = server();
    let output = source.migrate(&database.url, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Target::open(&database.url).cell("SELECT count(*) || ' ' || sum(id) FROM t")
}

#[test]
fn garbage_is_refused() {
    let text = "this is no database, but it is long enough to have a header of 100 bytes. ";
    refused(&Source::of_folder(|path| fs::write(path, text.repeat(100)).unwrap()));
}

#[test]
fn a_possibly_encrypted_database_is_refused() {
    let bytes: Vec<u8> =
        (0..8192_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    refused(&Source::of_folder(|path| fs::write(path, &bytes).unwrap()));
}

#[test]
fn a_truncated_database_is_refused() {
    refused(&Source::of_folder(|path| {
        small_database(path);
        let length = fs::metadata(path).unwrap().len();
        fs::File::options().write(true).open(path).unwrap().set_len(length / 2).unwrap();
    }));
}

#[test]
fn a_header_alone_is_refused() {
    refused(&Source::of_folder(|path| {
        small_database(path);
        fs::File::options().write(true).open(path).unwrap().set_len(100).unwrap();
    }));
}

#[test]
fn a_file_of_zero_bytes_is_refused_as_a_wrong_path() {
    let errors = refused(&Source::of_folder(|path| fs::write(path, "").unwrap()));
    assert!(
        errors.contains("empty") || errors.contains("zero") || errors.contains("0 bytes"),
        "{errors}"
    );
}

#[test]
fn a_directory_is_refused() {
    let errors = refused(&Source::of_folder(|path| fs::create_dir(path).unwrap()));
    assert!(errors.contains("directory"), "{errors}");
}

#[test]
fn a_fifo_is_refused_without_waiting_for_a_writer() {
    refused(&Source::of_folder(|path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }));
}

#[test]
fn a_missing_file_is_refused_and_not_created() {
    refused(&Source::of_folder(|_| ()));
}

#[test]
fn a_database_in_wal_mode_is_read_with_its_wal() {
    let source = Source::of_folder(|path| {
        let elsewhere = TempDir::new().unwrap();
        let made = elsewhere.path().join("app.db");
        small_database(&made);
        let connection = Connection::open(&made).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection
            .execute_batch(
                "PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (9000, 'in the wal')",
            )
            .unwrap();
        for end in ["", "-wal"] {
            fs::copy(format!("{}{end}", made.display()), format!("{}{end}", path.display()))
                .unwrap();
        }
    });
    assert_eq!(rows_that_arrive(&source), "5001 12511500");
}

#[test]
fn a_clean_database_in_wal_mode_is_read_and_leaves_no_file_next_to_it() {
    let source = Source::of_folder(|path| {
        small_database(path);
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("INSERT INTO t VALUES (9000, 'checkpointed')").unwrap();
    });
    assert_eq!(rows_that_arrive(&source), "5001 12511500");
}

#[test]
fn a_wal_database_that_another_process_has_open_is_read_as_it_is_when_that_is_allowed() {
    let mut keeper = None;
    let source = Source::of_folder(|path| {
        small_database(path);
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        connection.execute_batch("INSERT INTO t VALUES (9000, 'in the wal')").unwrap();
        keeper = Some(connection);
    });
    let refused = source.migrate(&server().url, &[]);
    assert_eq!(refused.status.code(), Some(4));
    let rows = rows_that_arrive_with(&source, &["--allow-running"]);
    drop(keeper);
    assert_eq!(rows, "5001 12511500");
}

#[test]
fn a_hot_journal_is_rolled_back_in_a_copy_only() {
    let source = Source::of_folder(|path| {
        let elsewhere = TempDir::new().unwrap();
        let made = elsewhere.path().join("app.db");
        small_database(&made);
        let connection = Connection::open(&made).unwrap();
        // A cache of one page spills the open transaction into the file.
        connection
            .execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE t SET x = 'changed' || id, id = id + 100000")
            .unwrap();
        for end in ["", "-journal"] {
            fs::copy(format!("{}{end}", made.display()), format!("{}{end}", path.display()))
                .unwrap();
        }
    });
    assert_eq!(rows_that_arrive(&source), "5000 12502500");
}

#[test]
fn a_read_only_file_in_a_read_only_folder_is_read() {
    for mode in ["DELETE", "WAL"] {
        let source = Source::of_folder(|path| {
            small_database(path);
            let connection = Connection::open(path).unwrap();
            connection.pragma_update(None, "journal_mode", mode).unwrap();
            drop(connection);
            fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
            fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o555)).unwrap();
        });
        let rows = rows_that_arrive(&source);
        fs::set_permissions(source.path().parent().unwrap(), fs::Permissions::from_mode(0o755))
            .unwrap();
        assert_eq!(rows, "5000 12502500", "{mode}");
    }
}

#[test]
fn a_source_behind_a_symbolic_link_is_read_and_the_link_stays() {
    let elsewhere = TempDir::new().unwrap();
    let made = elsewhere.path().join("real.db");
    small_database(&made);
    let source = Source::of_folder(|path| std::os::unix::fs::symlink(&made, path).unwrap());
    assert_eq!(rows_that_arrive(&source), "5000 12502500");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "files beside the real source");
}

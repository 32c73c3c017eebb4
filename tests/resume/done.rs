//! Data sets that are done: they are not copied again unless that is asked for, and what the ledger
//! knows of them can be taken away.

use super::*;
use crate::harness::server;

/// The row versions, which change when rows are written again.
const WRITTEN: &str = "SELECT 'event'::regclass::oid, min(xmin::text::bigint) FROM event";

#[test]
fn a_repeated_run_says_that_it_is_done_and_copies_nothing() {
    let (source, database) = (Source::new(), server());
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
    let before = psql(&database.url, WRITTEN);
    let again = source.run(&database.url, &[]);
    assert_says(&again, &["app.db was already copied and verified"]);
    assert_whole(&source, &database.url, &again);
    assert_eq!(psql(&database.url, WRITTEN), before);
    for flag in ["--drop-all", "--restart"] {
        let before = psql(&database.url, WRITTEN);
        assert_whole(&source, &database.url, &source.run(&database.url, &[flag]));
        assert_ne!(psql(&database.url, WRITTEN), before, "{flag}");
    }
}

#[test]
fn a_complete_data_set_whose_source_has_changed_is_refused_until_it_is_restarted() {
    let (source, database) = (Source::new(), server());
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
    sqlite3_script(&source.path, "UPDATE event SET what = 'changed' WHERE id = 7");
    psql(&database.url, "CREATE TABLE theirs (a int)");
    let refused = source.run(&database.url, &[]);
    assert_code(&refused, 4);
    assert_says(&refused, &["not empty", "the source has changed since", "--restart"]);
    assert_whole(&source, &database.url, &source.run(&database.url, &["--restart"]));
    assert_eq!(psql(&database.url, "SELECT count(*) FROM theirs"), "0", "it is not ours");
}

#[test]
fn restart_drops_nothing_that_something_else_depends_on() {
    let (source, database) = (Source::new(), server());
    assert_code(&source.run(&database.url, &[]), 0);
    psql(&database.url, "CREATE SCHEMA s; CREATE VIEW s.v AS SELECT id FROM public.event");
    let before = psql(&database.url, WRITTEN);
    let refused = source.run(&database.url, &["--restart"]);
    assert_code(&refused, 4);
    assert_says(&refused, &["depends on it", "s.v"]);
    assert_eq!(psql(&database.url, WRITTEN), before);
}

#[test]
fn a_copy_that_nobody_verified_is_refused_with_the_ways_out() {
    let (source, database) = (Source::new(), server());
    assert_code(&source.run(&database.url, &["--no-verify"]), 0);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM migrate_ledger WHERE chunk <= 0"), "1");
    let refused = source.run(&database.url, &[]);
    assert_code(&refused, 4);
    assert_says(&refused, &["without verifying it", "compare both sides", "--verify", "--restart"]);
}

#[test]
fn the_ledger_is_removed_on_request_after_a_good_verdict() {
    let ledger = "SELECT to_regclass('migrate_ledger') IS NULL";
    let (source, database) = (Source::new(), server());
    assert_code(&source.run(&database.url, &["--drop-ledger"]), 0);
    assert_eq!(psql(&database.url, ledger), "t");
    let refused = source.run(&database.url, &[]);
    assert_code(&refused, 4);
    assert_says(&refused, &["not empty"]);
    // Of a run that is done already, too; rows of other data sets stay.
    assert_code(&source.run(&database.url, &["--drop-all"]), 0);
    psql(&database.url, "INSERT INTO migrate_ledger VALUES ('other', '', -1, NULL, NULL, '{}')");
    assert_code(&source.run(&database.url, &["--drop-ledger"]), 0);
    assert_eq!(psql(&database.url, "SELECT data_set FROM migrate_ledger"), "other");
}

#[test]
fn a_bad_verdict_keeps_the_ledger() {
    let (source, database) = (Source::new(), server());
    assert_code(&source.run(&database.url, &[]), 0);
    psql(&database.url, "DELETE FROM event WHERE id = 5");
    assert_code(&source.run(&database.url, &["--drop-ledger"]), 3);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM migrate_ledger WHERE chunk <= 0"), "1");
}

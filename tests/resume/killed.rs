//! `kill -9` of the program, in each of its phases.

use super::*;
use crate::harness::{server, sha256};

/// Kills a run that `hold` stalls, and resumes it with the same command.
fn killed_where(hold: impl FnOnce(&str) -> Client, more: &[&str]) -> (Output, String) {
    let (source, database) = (Source::new(), server());
    let before = sha256(&source.path);
    let child = source.start(&database.url, more);
    let somebody = hold(&database.url);
    let there = psql(&database.url, "SELECT count(*) FROM migrate_ledger WHERE chunk > 0");
    let table = psql(&database.url, "SELECT 'event'::regclass::oid");
    kill(child);
    drop(somebody);
    let output = source.run(&database.url, more);
    assert_whole(&source, &database.url, &output);
    assert_says(&output, &["resumes the run of 2"]);
    assert_eq!(sha256(&source.path), before);
    assert_eq!(psql(&database.url, "SELECT 'event'::regclass::oid"), table, "the same table");
    assert_nobody_is_left(&database);
    (output, there)
}

#[test]
fn a_run_killed_in_the_copy_resumes_with_the_missing_chunks() {
    let (output, there) = killed_where(hold_the_copy, &[]);
    let all = text(&output);
    let line = all.lines().find(|line| line.contains("resumes the run")).unwrap();
    let (had, of) = line.rsplit_once(": ").unwrap().1.split_once(" of ").unwrap();
    assert_eq!(had, there, "what was there: {line}");
    let of: u32 = of.split(' ').next().unwrap().parse().unwrap();
    assert!(of > had.parse().unwrap(), "{line}");
    assert!(!all.contains("profile"), "it was not profiled again");
}

#[test]
fn a_run_killed_in_the_finish_builds_what_is_missing() {
    killed_where(hold_the_finish, &[]);
}

#[test]
fn a_run_killed_before_its_verdict_compares_again() {
    killed_where(hold_the_verdict, &[]);
}

#[test]
fn a_killed_run_with_drop_all_resumes_without_dropping_again() {
    killed_where(hold_the_copy, &["--drop-all"]);
}

#[test]
fn a_run_killed_while_it_plans_has_written_nothing() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &[]);
    let mut somebody = Client::connect(&database.url, NoTls).unwrap();
    // The dry run of the definitions waits for a session that creates a table of the same name.
    somebody.batch_execute("BEGIN; CREATE TABLE event (a int)").unwrap();
    wait_for_a_lock(&database.url);
    kill(child);
    drop(somebody);
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    wait_until("nothing is left", || psql(&database.url, tables) == "0");
    let output = source.run(&database.url, &[]);
    assert!(!text(&output).contains("continues"), "{}", text(&output));
    assert_whole(&source, &database.url, &output);
}

#[test]
fn a_run_can_be_killed_again_and_again() {
    let (source, database) = (Source::new(), server());
    let count = "SELECT count(*) FROM migrate_ledger WHERE chunk > 0";
    for chunk in [2, 5, 6, 9] {
        let child = source.start(&database.url, &[]);
        let somebody = hold_the_copy_at(&database.url, chunk);
        kill(child);
        drop(somebody);
        assert_nobody_is_left(&database);
        // The smaller table has its chunk before the larger one's last, or not.
        let there: u32 = psql(&database.url, count).parse().unwrap();
        assert!((chunk - 1..=chunk).contains(&there), "{there} before chunk {chunk}");
    }
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
}

#[test]
fn commits_that_were_acknowledged_and_lost_are_repeated() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &[]);
    let somebody = hold_the_copy(&database.url);
    kill(child);
    drop(somebody);
    assert_nobody_is_left(&database);
    // As a server leaves it that was killed before the second commit was on the disk.
    psql(
        &database.url,
        "WITH t AS (SELECT detail::json #> '{chunks,1,range,integer}' AS range FROM migrate_ledger \
           WHERE table_name = 'event' AND chunk = 0), \
         r AS (DELETE FROM event USING t WHERE id BETWEEN (range ->> 'first')::bigint \
           AND (range ->> 'last')::bigint RETURNING 1), \
         c AS (DELETE FROM migrate_ledger WHERE table_name = 'event' AND chunk = 2 RETURNING 1) \
         SELECT 1 / (SELECT count(*) FROM c), 1 / (SELECT count(*) FROM r)",
    );
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
}

#[test]
fn an_incomplete_index_is_built_again_and_a_complete_one_is_not() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &[]);
    let somebody = hold_the_verdict(&database.url);
    kill(child);
    drop(somebody);
    assert_nobody_is_left(&database);
    psql(
        &database.url,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'event_what'::regclass; \
         ALTER TABLE event DROP CONSTRAINT event_who_fkey; DROP VIEW who",
    );
    let files = "SELECT pg_relation_filenode('event_what'), pg_relation_filenode('event_pkey')";
    let before = psql(&database.url, files);
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
    let after = psql(&database.url, files);
    let (before, after) = (before.split_once('|').unwrap(), after.split_once('|').unwrap());
    assert_ne!(before.0, after.0, "the invalid one");
    assert_eq!(before.1, after.1, "the whole one");
}

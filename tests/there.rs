//! SQLite to PostgreSQL: the plan lists what the schema loses, and `--strict` refuses it.

use crate::harness::{migrate, server, text};
use crate::source::Source;

/// The printed plan of a source.
fn plan(source: &Source, url: &str) -> String {
    let output = migrate(["plan", "--from", &source.argument(), "--to", url]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    text(&output)
}

/// Asserts that the plan has all `parts`, and that `--strict` refuses it with the same words.
fn told_and_refused(sql: &str, parts: &[&str]) {
    let (source, database) = (Source::of_sql(sql), server());
    let planned = plan(&source, &database.url);
    let refused = source.migrate(&database.url, &["--strict"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    for part in parts {
        assert!(planned.contains(part), "{part} is not in\n{planned}");
        assert!(text(&refused).contains(part), "{part} is not in\n{}", text(&refused));
    }
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn conflict_clauses_of_constraints_are_listed_and_refused_by_strict() {
    told_and_refused(
        "CREATE TABLE setting (k TEXT NOT NULL, v TEXT, UNIQUE (k) ON CONFLICT REPLACE); \
         CREATE TABLE seen (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK, \
           uid TEXT UNIQUE ON CONFLICT IGNORE, n TEXT NOT NULL ON CONFLICT FAIL DEFAULT 'd', \
           m TEXT NOT NULL ON CONFLICT ABORT); \
         INSERT INTO setting VALUES ('a', '1'), ('a', '2')",
        &[
            "UNIQUE (k) ON CONFLICT REPLACE",
            "PRIMARY KEY (id) ON CONFLICT ROLLBACK",
            "UNIQUE (uid) ON CONFLICT IGNORE",
            "NOT NULL of n ON CONFLICT FAIL",
        ],
    );
}

#[test]
fn a_column_that_is_case_sensitive_from_now_on_is_listed_and_refused_by_strict() {
    told_and_refused(
        "CREATE TABLE t (a TEXT COLLATE NOCASE, b TEXT COLLATE RTRIM); \
         INSERT INTO t VALUES ('A', 'b ')",
        &["COLLATE NOCASE: = is case-sensitive", "COLLATE RTRIM: trailing spaces count"],
    );
}

#[test]
fn keys_of_text_that_differ_in_their_length_only_lose_nothing() {
    let source = Source::of_sql(
        "CREATE TABLE a (id VARCHAR(36) PRIMARY KEY); INSERT INTO a VALUES ('x');
         CREATE TABLE b (id INTEGER PRIMARY KEY, a_id TEXT REFERENCES a (id),
           other VARCHAR(40) REFERENCES a (id));
         INSERT INTO b VALUES (1, 'x', 'x');",
    );
    let database = server();
    let output = source.migrate(&database.url, &["--strict"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn a_text_child_key_that_becomes_bigint_needs_review() {
    told_and_refused(
        "CREATE TABLE user (id INTEGER PRIMARY KEY); \
         CREATE TABLE session (id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES user (id)); \
         INSERT INTO user VALUES (1); INSERT INTO session VALUES ('s', '1')",
        &["all its texts are integers, as the column that its foreign key names"],
    );
}

#[test]
fn foreign_keys_that_orphans_will_make_not_valid_are_told_before_the_copy() {
    told_and_refused(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); \
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p); \
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1), (5, 9), (6, 9)",
        &["2 rows have no parent for \"p\" (first at rowid 5, 6)"],
    );
}

#[test]
fn orphans_are_listed_once_in_the_report() {
    let source = Source::of_sql(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p); \
         INSERT INTO c VALUES (9)",
    );
    let database = server();
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report = text(&output);
    let (_, after) = report.rsplit_once("match").unwrap_or_default();
    assert!(after.matches("NOT VALID").count() <= 1, "{report}");
}

#[test]
fn a_unique_index_with_too_wide_entries_refuses_as_the_constraint_does() {
    let wide: String = (0..4000).map(|i: u32| char::from(b'a' + (i * i % 23) as u8)).collect();
    let source = Source::of_sql(&format!(
        "CREATE TABLE t (a TEXT); CREATE UNIQUE INDEX u ON t (a); INSERT INTO t VALUES ('{wide}')"
    ));
    let database = server();
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let message = "the unique index \"u\" of table \"t\" is too wide for a PostgreSQL index";
    assert!(text(&output).contains(message), "{}", text(&output));
    assert!(text(&output).contains("--on-misfit widen"), "{}", text(&output));
    let output = source.migrate(&database.url, &["--on-misfit=widen"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("built over a hash"), "{}", text(&output));
}

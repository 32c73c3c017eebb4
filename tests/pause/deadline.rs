//! Deadlines.

use super::{assert_complete, assert_paused_and_resumes, command, source, start};
use crate::harness::{migrate, psql, server, text};
use crate::waiting::{end, wait_for_a_chunk};
use std::time::Instant;

const ROWS: u32 = 4_000;

#[test]
fn a_run_that_cannot_end_in_time_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let database = server();
    // Two megabytes take forty seconds.
    let late = ["--max-rate", "50KB/s", "--window", "25s"];
    let refused = command(&source, &database.url, &late).output().unwrap();
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(4), "{said}");
    assert!(said.contains("would end after the deadline"), "{said}");
    assert!(said.contains("copy 4") && said.contains("verification"), "{said}");
    assert!(said.contains("--allow-late"), "{said}");
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(psql(&database.url, tables), "0");
}

#[test]
fn a_run_that_fits_says_so_in_its_opening_lines_and_as_data() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let database = server();
    let json = folder.path().join("report.json");
    let json_flag = ["--window", "1h", "--json", json.to_str().unwrap()];
    let output = command(&source, &database.url, &json_flag).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let opening = String::from_utf8(output.stdout).unwrap();
    let line = opening.lines().find(|line| line.starts_with("deadline: 2")).unwrap();
    assert!(line.contains("estimated time: ") && line.contains("finish"), "{line}");
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert!(report["limit"]["deadline"].is_string(), "{report}");
    assert!(report["limit"]["estimate"]["copy"].as_f64().unwrap() > 0.0, "{report}");
    assert_complete(&source, &database, ROWS);
}

#[test]
fn a_late_run_is_begun_where_that_is_allowed_and_pauses_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let database = server();
    let started = Instant::now();
    let late = ["--max-rate", "70KB/s", "--window", "10s", "--allow-late"];
    let output = end(start(&source, &database, &late));
    assert!(started.elapsed().as_secs() >= 9, "{:?}", started.elapsed());
    assert!(text(&output).contains("paused at the deadline"), "{}", text(&output));
    let there: u32 = psql(&database.url, "SELECT count(*) FROM event").parse().unwrap();
    assert!(there > 0 && there < ROWS, "{there}");
    // Without the limit it runs to its end.
    let to = ["--from", source.to_str().unwrap(), "--to", &database.url];
    let again = migrate(["database"].iter().chain(&to));
    assert_eq!(again.status.code(), Some(0), "{}", text(&again));
    assert_complete(&source, &database, ROWS);
}

#[test]
fn a_copy_that_gets_slower_than_it_was_measured_pauses_with_its_reserve() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let database = server();
    let run = start(&source, &database, &["--max-rate", "500KB/s", "--window", "14s"]);
    wait_for_a_chunk(&database.url);
    // Four seconds of copying become endless.
    let mut somebody = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    somebody.batch_execute("BEGIN; LOCK TABLE event IN SHARE MODE").unwrap();
    let output = end(run);
    drop(somebody);
    assert!(text(&output).contains("paused at the deadline"), "{}", text(&output));
    let mut without = output.clone();
    without.stderr = String::from_utf8(output.stderr).unwrap().replace("--window 14s", "").into();
    assert_paused_and_resumes(&without, &source, &database, ROWS);
}

#[test]
fn invalid_deadlines_are_usage_errors() {
    for flags in [
        &["--deadline", "04:30", "--window", "2h"][..],
        &["--deadline", "soon"],
        &["--deadline", "2020-01-01T00:00:00Z"],
        &["--window", "2"],
        &["--allow-late"],
        &["--max-rate", "50"],
    ] {
        let to = ["--from", "a.db", "--to", "postgres://u@h/d"];
        let output = migrate(["database"].iter().chain(&to).chain(flags));
        assert_eq!(output.status.code(), Some(2), "{flags:?} {}", text(&output));
    }
}

#[test]
fn on_the_way_back_a_deadline_ends_the_run_without_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = server();
    let rows = "CREATE TABLE event (id bigint PRIMARY KEY, body bytea); INSERT INTO event \
                SELECT i, decode(repeat('ab', 470), 'hex') FROM generate_series(1, 4000) i";
    psql(&database.url, rows);
    let file = folder.path().join("new.db");
    let from = ["--from", &database.url, "--to", file.to_str().unwrap()];
    let slowly = ["--max-rate", "100KB/s", "--window", "5s"];
    let output = migrate(["database"].iter().chain(&from).chain(&slowly));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("the time is up"), "{}", text(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

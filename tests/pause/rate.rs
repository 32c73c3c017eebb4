//! Runs that are held back.

use super::{assert_complete, command, source};
use crate::harness::{migrate, psql, server, text};
use serde_json::Value;
use std::path::Path;

const ROWS: u32 = 3_000;

/// The copy took as long as the rate asks for, and the report says what was reached.
fn assert_held_back(json: &Path, rate: u64) {
    let report: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    let tables = report["data_sets"][0]["tables"].as_array().unwrap();
    let bytes: u64 = tables.iter().map(|table| table["bytes"].as_u64().unwrap()).sum();
    assert!(bytes > 1_000_000, "{report}");
    let phases = report["phases"].as_array().unwrap();
    let copy = phases.iter().find(|phase| phase["phase"] == "copy").unwrap();
    let least = bytes as f64 / rate as f64;
    assert!(copy["seconds"].as_f64().unwrap() >= least, "{report}");
    assert_eq!(report["max_rate"]["asked"], rate);
    let reached = report["max_rate"]["reached"].as_u64().unwrap();
    assert!(reached > 0 && reached <= rate, "{reached}");
}

#[test]
fn a_rate_is_kept_by_all_writers_together_in_both_directions() {
    let folder = tempfile::tempdir().unwrap();
    let source = source(folder.path(), ROWS);
    let database = server();
    let json = folder.path().join("report.json");
    let flags = ["--max-rate", "800KB/s", "--writers", "4", "--json", json.to_str().unwrap()];
    let output = command(&source, &database.url, &flags).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("limit 800.0 kB/s"), "{}", text(&output));
    assert_held_back(&json, 800_000);
    assert_complete(&source, &database, ROWS);

    let file = folder.path().join("back.db");
    let back = ["database", "--from", &database.url, "--to", file.to_str().unwrap()];
    let flags = ["--max-rate", "800KB/s", "--json", json.to_str().unwrap()];
    let output = migrate(back.iter().chain(&flags));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_held_back(&json, 800_000);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM event"), ROWS.to_string());
}

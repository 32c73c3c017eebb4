//! docs/report.md: the keys that it lists are the keys that occur.

use crate::harness::{Database, migrate, migrate_command, psql, server, sqlite3_script, text};
use crate::waiting::{end, signal, wait_for_a_chunk};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// The keys of one chapter of the page, with whether each is always present in its object.
fn documented(chapter: &str) -> BTreeMap<String, bool> {
    let page = include_str!("../docs/report.md");
    let chapters = page
        .split("\n## ")
        .filter(|part| ["All commands", chapter].iter().any(|title| part.starts_with(title)));
    let rows = chapters.flat_map(str::lines).filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let key = cells.next().unwrap().trim_end_matches('`').trim_end_matches("[]").to_owned();
        (key, cells.next() == Some("always"))
    })
    .collect()
}

/// Every key of some reports: in how many objects it can occur, and in how many it does.
#[derive(Default)]
struct Keys {
    objects: BTreeMap<String, u32>,
    found: BTreeMap<String, u32>,
}

impl Keys {
    fn add(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                *self.objects.entry(path.to_owned()).or_default() += 1;
                for (name, value) in fields {
                    let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    *self.found.entry(key.trim_end_matches("[]").to_owned()).or_default() += 1;
                    self.add(&key, value);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    self.add(&format!("{path}[]"), element);
                }
            }
            _ => {}
        }
    }

    /// Asserts that these are the keys of the chapter.
    fn assert_documented(&self, chapter: &str) {
        let documented = documented(chapter);
        assert!(documented.len() > 3, "docs/report.md has no chapter {chapter}");
        let mut all = BTreeSet::new();
        for key in documented.keys() {
            let ends = key.match_indices('.').map(|(dot, _)| dot).chain([key.len()]);
            all.extend(ends.map(|end| key[..end].trim_end_matches("[]").to_owned()));
        }
        let found: BTreeSet<String> = self.found.keys().cloned().collect();
        let unknown: Vec<_> = found.difference(&all).collect();
        assert!(unknown.is_empty(), "docs/report.md lacks {unknown:?}");
        let unused: Vec<_> = all.difference(&found).collect();
        assert!(unused.is_empty(), "no report has {unused:?}");
        for (key, _) in documented.iter().filter(|(_, always)| **always) {
            let object = key.rsplit_once('.').map_or("", |(object, _)| object);
            assert_eq!(self.found[key], self.objects[object], "{key} is not always present");
        }
    }
}

/// A source with something to report of every kind.
fn source(folder: &Path) -> String {
    let path = folder.join("app.db");
    let long = "t".repeat(70);
    sqlite3_script(
        &path,
        &format!(
            "CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT, at TIMESTAMP, size INTEGER);
             INSERT INTO event VALUES (1, 'a', '2024-01-02 03:04:05.123456789', 1), (2, 'b', NULL, 'x'),
               (3, CAST(x'6100' AS TEXT), NULL, 3), (4, 'd', NULL, 4);
             CREATE TABLE {long} (id INTEGER PRIMARY KEY);
             CREATE TRIGGER gone AFTER INSERT ON event BEGIN SELECT 1; END;"
        ),
    );
    path.to_str().unwrap().to_owned()
}

/// Runs a command and returns its report.
fn report(arguments: &[&str], code: i32) -> Value {
    let output = migrate([arguments, &["--json=-"]].concat());
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Pauses a run in the middle of its copy; returns its source and target.
fn paused(folder: &Path) -> (String, Database) {
    let path = folder.join("paused.db");
    sqlite3_script(
        &path,
        "CREATE TABLE event (id INTEGER PRIMARY KEY, body BLOB);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8000)
         INSERT INTO event SELECT i, randomblob(470) FROM n;",
    );
    let (path, database) = (path.to_str().unwrap().to_owned(), server());
    let mut command = migrate_command();
    command.args(["database", "--from", &path, "--to", &database.url, "--max-rate", "1MB/s"]);
    let run = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_a_chunk(&database.url);
    signal(&run, "-TERM");
    let output = end(run);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    (path, database)
}

#[test]
fn every_key_of_a_run_and_of_a_plan_is_documented() {
    let (folder, database) = (TempDir::new().unwrap(), server());
    let from = source(folder.path());
    let rejects = folder.path().join("rejects.db");
    let both = ["--from", from.as_str(), "--to", database.url.as_str()];
    let skip = ["--on-misfit", "reject", "--reject-file", rejects.to_str().unwrap()];
    let limits = ["--window", "1h", "--max-rate", "50MB/s"];
    let (mut runs, mut plans) = (Keys::default(), Keys::default());

    runs.add("", &report(&[&["database"][..], &both, &skip, &limits].concat(), 0));
    psql(
        &database.url,
        "DELETE FROM event WHERE id = 1; UPDATE event SET what = 'c' WHERE id = 2; \
         INSERT INTO event (id) VALUES (9); GRANT SELECT ON event TO PUBLIC",
    );
    runs.add("", &report(&[&["database", "--verify", "--show-values"][..], &both].concat(), 3));
    fs::remove_file(&rejects).unwrap();
    plans.add("", &report(&[&["plan", "--drop-all"][..], &both, &skip].concat(), 0));

    let (from, database) = paused(folder.path());
    let both = ["--from", from.as_str(), "--to", database.url.as_str()];
    plans.add("", &report(&[&["plan"][..], &both].concat(), 0));
    runs.add("", &report(&[&["database"][..], &both].concat(), 0));

    // A refusal and a pause have an error; a refused run has no report.
    let refused = report(&["database", "--from", "/nowhere/app.db", "--to", &database.url], 4);
    let mut error = Keys::default();
    error.add("", &refused);
    assert_eq!(error.found["error"], 1);
    for keys in [&mut runs, &mut plans] {
        keys.add("error", &refused["error"]);
        *keys.found.entry("error".to_owned()).or_default() += 1;
    }
    runs.assert_documented("`migrate database`");
    plans.assert_documented("`migrate plan`");
}

#[test]
fn every_key_of_a_measurement_is_documented() {
    let (folder, database) = (TempDir::new().unwrap(), server());
    let from = source(folder.path());
    let mut keys = Keys::default();
    let mut measured = report(&["bench", "--rows", "400", "--rounds", "1"], 0);
    // It has the keys of a cell.
    measured["sweep"]["best"] = Value::Null;
    keys.add("", &measured);
    let own = ["bench", "--rounds", "1", "--quick", "--exclude", "event"];
    keys.add("", &report(&[&own[..], &["--from", &from, "--to", &database.url]].concat(), 0));
    let refused = report(&["bench", "--from", "/nowhere/app.db", "--to", &database.url], 4);
    keys.add("error", &refused["error"]);
    *keys.found.entry("error".to_owned()).or_default() += 1;
    keys.assert_documented("`migrate bench`");
}

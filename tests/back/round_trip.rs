//! SQLite to PostgreSQL and back: every fixture that arrives comes back, value for value and
//! storage class for storage class, but for the conversions that the plan declared; as SQLite
//! itself reads both files.

use super::{Target, back_report};
use crate::expect::Expectation;
use crate::harness::{self, server};
use crate::outcome::{list, quoted};
use crate::source::{Source, fixture_path};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// Cells of a row, each with its storage class.
type Row = Vec<String>;

fn columns(connection: &Connection, table: &str) -> Vec<(String, String)> {
    let sql = "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn rows(connection: &Connection, table: &str, condition: &str) -> Vec<Row> {
    let terms =
        columns(connection, table).into_iter().map(|(name, _)| format!("t.{}", quoted(&name)));
    let terms = terms.collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {terms} FROM {} t WHERE {condition}", quoted(table));
    let mut statement = connection.prepare(&sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cell = |place| {
            Ok(match row.get_ref(place)? {
                ValueRef::Null => "null".to_owned(),
                ValueRef::Integer(integer) => format!("integer {integer}"),
                ValueRef::Real(real) => format!("real {:016x}", real.to_bits()),
                ValueRef::Text(text) => format!("text {}", text.escape_ascii()),
                ValueRef::Blob(blob) => format!("blob {}", blob.escape_ascii()),
            })
        };
        (0..width).map(cell).collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// How many values of each column differ. Rows are paired by their columns without conversions.
fn differing(before: Vec<Row>, after: Vec<Row>, converted: &[usize]) -> BTreeMap<usize, u64> {
    type Groups = BTreeMap<Row, (Vec<Row>, Vec<Row>)>;
    let fixed = |row: &Row| -> Row {
        let cells = row.iter().enumerate().filter(|(place, _)| !converted.contains(place));
        cells.map(|(_, cell)| cell.clone()).collect()
    };
    let mut groups = Groups::new();
    for row in before {
        groups.entry(fixed(&row)).or_default().0.push(row);
    }
    for row in after {
        groups.entry(fixed(&row)).or_default().1.push(row);
    }
    let mut counts = BTreeMap::new();
    for (key, (before, after)) in groups {
        assert_eq!(
            before.len(),
            after.len(),
            "rows with {key:.500?}: {before:.500?} {after:.500?}"
        );
        for &place in converted {
            let mut left: Vec<&String> = after.iter().map(|row| &row[place]).collect();
            let mut different = 0;
            for row in &before {
                match left.iter().position(|cell| **cell == row[place]) {
                    Some(found) => _ = left.swap_remove(found),
                    None => different += 1,
                }
            }
            *counts.entry(place).or_insert(0) += different;
        }
    }
    counts
}

/// The declared conversions of a table, by the column's index.
fn declared(entry: &Value, columns: &[(String, String)]) -> BTreeMap<usize, u64> {
    let mut counts = BTreeMap::new();
    for conversion in list(&entry["conversions"]) {
        let name = conversion["column"].as_str().unwrap();
        let place = columns.iter().position(|(column, _)| column == name).unwrap();
        *counts.entry(place).or_insert(0) += conversion["count"].as_u64().unwrap();
    }
    counts
}

fn comes_back(file: &str) {
    let expectation = Expectation::parse(&fs::read_to_string(fixture_path(file)).unwrap());
    let fixture = file.split('.').next().unwrap();
    let source = Source::of_fixture(fixture);
    let database = server();
    let folder = tempfile::TempDir::new().unwrap();
    let place = folder.path().to_str().unwrap();
    let json = folder.path().join("there.json");
    let arguments: Vec<String> =
        expectation.arguments.iter().map(|word| word.replace("TEMPORARY", place)).collect();
    let mut all = vec!["--json", json.to_str().unwrap()];
    all.extend(arguments.iter().map(String::as_str));
    let output = source.migrate(&database.url, &all);
    assert_eq!(output.status.code(), Some(0), "{file}: {}", harness::text(&output));
    let there: Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();

    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert!(list(&there["data_sets"][0]["tables"]).count() == 0 || target.files() == ["back.db"]);

    let (before, after) = (source.reading_copy(), Connection::open(&target.path).unwrap());
    for entry in list(&there["data_sets"][0]["tables"]) {
        let table = entry["name"].as_str().unwrap();
        let was = columns(&before.connection, table);
        assert_eq!(was, columns(&after, table), "{file}: columns of {table}");
        let expected = declared(entry, &was);
        let converted: Vec<usize> = expected.keys().copied().collect();
        let only = expectation.only.iter().find(|(name, _)| name == table);
        let only = only.map_or("1", |(_, condition)| condition.as_str());
        let found =
            differing(rows(&before.connection, table, only), rows(&after, table, "1"), &converted);
        let wrong: Vec<String> = expected
            .iter()
            .filter(|(place, count)| found.get(place) != Some(count))
            .map(|(place, count)| {
                format!("{}: {count} declared, {:?} found", was[*place].0, found.get(place))
            })
            .collect();
        assert!(wrong.is_empty(), "{file}: conversions of {table}: {wrong:?}");
    }
    every_statement_returns_or_is_listed(&before.connection, &after, [&there, &report], file);
}

/// Compares the statements of both schemas, letter for letter. An object that is missing or changed
/// must be listed, by itself or by a part.
fn every_statement_returns_or_is_listed(
    before: &Connection,
    after: &Connection,
    reports: [&Value; 2],
    file: &str,
) {
    let statements = |connection: &Connection| -> Vec<(String, String, String)> {
        let sql = "SELECT name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL \
                   AND name NOT LIKE 'sqlite_%'";
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.try_into()).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let after = statements(after);
    let listed = |name: &str| {
        let mut all = reports.iter().flat_map(|report| list(&report["data_sets"][0]["left_out"]));
        all.any(|left| left["name"] == name || left["table"] == name)
    };
    for (name, table, sql) in statements(before) {
        let returned = after.iter().any(|(_, _, other)| *other == sql);
        assert!(returned || listed(&name) || listed(&table), "{file}: {sql} in {after:#?}");
    }
}

#[test]
fn every_fixture_that_arrives_comes_back_but_for_its_declared_conversions() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    let mut files: Vec<String> = fs::read_dir(fixture_path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.ends_with(".expect"))
        .collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(fixture_path(&file)).unwrap();
        if Expectation::parse(&text).exit != 0 {
            continue;
        }
        seen += 1;
        if let Err(panic) = std::panic::catch_unwind(|| comes_back(&file)) {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            wrong.push(format!("{file}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(seen > 40, "{seen} fixtures");
}

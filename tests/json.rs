//! JSON columns: the server itself is asked whether it can read a document.

use crate::harness::{psql, sqlite3_script};
use crate::outcome::Target;
use crate::snapshots::{DATABASE, Scenario, with};
use std::fmt::Write as _;

/// Parts of strings: escapes of surrogates, of NUL and of other characters, and characters.
const PARTS: [&str; 12] = [
    r"\ud83d", r"\uD83D", r"\ude00", r"\udbff", r"\udc00", r"\u0000", r"\u0041", r"\uffff", r"\n",
    r"\\ud83d", "x", "é",
];

/// Documents with two parts next to each other: in a value, in a key, in a nested array.
fn documents() -> Vec<String> {
    let pairs = PARTS.iter().flat_map(|one| PARTS.map(|other| format!("{one}{other}")));
    let forms = |pair: String| {
        [
            format!(r#"{{"a": "{pair}"}}"#),
            format!(r#"{{"{pair}": 1, "a": 2}}"#),
            format!(r#"{{"a": 1, "b": [["{pair}"]]}}"#),
        ]
    };
    let others = [r#"{"a": 1e400}"#, r#"{"a": 1, "a": 2}"#, r#""\ud83d""#, "[NaN]", "{a: 1}"];
    pairs.flat_map(forms).chain(others.map(str::to_owned)).collect()
}

#[test]
fn json_is_text_wherever_an_operator_of_the_server_would_fail() {
    let documents = documents();
    let mut sql = String::new();
    for (number, documents) in documents.chunks(100).enumerate() {
        let columns: Vec<String> = (0..documents.len()).map(|i| format!("c{i} JSON")).collect();
        let values: Vec<String> = documents.iter().map(|text| format!("'{text}'")).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        writeln!(
            sql,
            "CREATE TABLE t{number} ({columns}); INSERT INTO t{number} VALUES ({values});"
        )
        .unwrap();
    }
    let scenario = Scenario::new(&sql);
    scenario.run(&DATABASE, 0);
    // The comparison without a plan accepts what the copy made.
    scenario.run(&with(&DATABASE, &["--verify"]), 0);
    let url = &scenario.database.url;
    psql(
        url,
        "CREATE FUNCTION is_readable(v text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN \
         PERFORM v::json ->> 'a', v::json #>> '{b,0,0}'; RETURN true; \
         EXCEPTION WHEN OTHERS THEN RETURN false; END $$",
    );
    let mut target = Target::open(url);
    let mut readable = 0;
    for (index, document) in documents.iter().enumerate() {
        let (table, column) = (format!("t{}", index / 100), format!("c{}", index % 100));
        let expected = target.cell(&format!("SELECT is_readable('{document}')"));
        let sql = format!("SELECT pg_typeof({column}) FROM {table}");
        let (is_json, is_readable) = (target.cell(&sql) == "json", expected == "t");
        assert_eq!(is_json, is_readable, "{document}");
        readable += u32::from(is_readable);
    }
    assert!(readable > 100 && readable < 300, "{readable} of {}", documents.len());
}

#[test]
fn json_that_the_server_stores_but_cannot_read_is_compared_by_its_text() {
    let scenario = Scenario::new("CREATE TABLE t (id INTEGER PRIMARY KEY, j JSON)");
    let rows = r#"INSERT INTO t VALUES (1, '"\ud83d"'), (2, '"\u0000"'), (3, '{"a": 1}')"#;
    sqlite3_script(&scenario.folder.path().join("app.db"), rows);
    scenario.sql(&format!("CREATE TABLE t (id bigint PRIMARY KEY, j json); {rows}"));
    scenario.run(&with(&DATABASE, &["--verify"]), 0);
    scenario.sql("UPDATE t SET j = '\"\\ud83e\"' WHERE id = 1");
    scenario.run(&with(&DATABASE, &["--verify"]), 3);
}

//! The server's limits and the source's extremes: what SQL text cannot build, or should not.

use crate::expect::Expectation;
use crate::fixtures::check_source;
use crate::harness::{self, server};
use crate::outcome::Target;
use crate::source::Source;
use std::fmt::Write;

/// A table `wide` of `columns` columns c0, c1, ... with one row: `filled` of them hold numbers.
fn wide(columns: usize, filled: usize) -> Source {
    let names: Vec<String> = (0..columns).map(|i| format!("c{i} INTEGER")).collect();
    let values: Vec<String> =
        (0..columns).map(|i| if i < filled { i.to_string() } else { "NULL".to_owned() }).collect();
    Source::of_sql(&format!(
        "CREATE TABLE wide ({}); INSERT INTO wide VALUES ({}); \
         CREATE TABLE narrow (a TEXT); INSERT INTO narrow VALUES ('x')",
        names.join(", "),
        values.join(", ")
    ))
}

fn wide_arrives(columns: usize) -> Expectation {
    let mut text = "table narrow 1\n    column a text\ntable wide 1\n".to_owned();
    for i in 0..columns {
        writeln!(text, "    column c{i} bigint").unwrap();
    }
    Expectation::parse(&text)
}

fn check(source: &Source, expectation: &str) {
    check_source(source, &server(), &Expectation::parse(expectation));
}

#[test]
fn a_table_of_300_columns_arrives() {
    check_source(&wide(300, 300), &server(), &wide_arrives(300));
}

#[test]
fn a_row_of_1100_numbers_fits_no_page_and_is_refused() {
    check(&wide(1100, 1100), "exit 4\nerror wide 1");
}

#[test]
fn a_row_of_1100_columns_that_are_mostly_null_arrives() {
    check_source(&wide(1100, 500), &server(), &wide_arrives(1100));
}

#[test]
fn a_table_of_1600_columns_arrives_and_one_of_1700_is_refused() {
    check_source(&wide(1600, 100), &server(), &wide_arrives(1600));
    check(&wide(1700, 100), "exit 4\nerror wide 1,600");
}

#[test]
fn widening_leaves_out_neither_a_row_that_fits_no_page_nor_a_table_with_too_many_columns() {
    check(&wide(1100, 1100), "run --on-misfit widen\nexit 4\nerror wide 1 row page");
    check(&wide(1700, 100), "run --on-misfit widen\nexit 4\nerror wide 1,600");
}

#[test]
fn a_row_that_fits_no_page_is_skipped_by_request_and_its_neighbours_arrive() {
    let names: Vec<String> = (0..1100).map(|i| format!("c{i} INTEGER")).collect();
    let row = vec!["9007199254740993"; 1100].join(", ");
    let source = Source::of_sql(&format!(
        "CREATE TABLE wide ({}); INSERT INTO wide (c0) VALUES (7); \
         INSERT INTO wide VALUES ({row}); INSERT INTO wide (c0) VALUES (8)",
        names.join(", "),
    ));
    let mut expected = "run --on-misfit reject --reject-file TEMPORARY/rejected.db\n\
                        only wide c0 < 10\nnote verdict: match, 1 row not migrated\n\
                        table wide 2\n    rows left out 1\n"
        .to_owned();
    for i in 0..1100 {
        writeln!(expected, "    column c{i} bigint").unwrap();
    }
    check(&source, &expected);
}

#[test]
fn an_excluded_table_stops_nothing_and_comes_first_in_the_verdict() {
    check(
        &wide(1700, 100),
        "run --exclude wi*\ntable narrow 1\n    column a text\n? left out table wide…\n\
         note verdict: match, 1 table excluded\n",
    );
}

#[test]
fn a_blob_of_200_megabytes_arrives() {
    // Every megabyte another one, so that a lost or doubled piece shows.
    let mut body = vec![0_u8; 200 << 20];
    for (i, megabyte) in body.chunks_exact_mut(1 << 20).enumerate() {
        megabyte[..64].fill(i as u8);
    }
    let source = Source::built(|connection| {
        let sql = "CREATE TABLE big (id INTEGER PRIMARY KEY, body BLOB); \
                   INSERT INTO big VALUES (1, x'01'), (3, x'03')";
        connection.execute_batch(sql).unwrap();
        connection.execute("INSERT INTO big VALUES (2, ?1)", [&body]).unwrap();
    });
    let database = server();
    let output = source.migrate(&database.url, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut target = Target::open(&database.url);
    let lengths = "SELECT string_agg(length(body)::text, ' ' ORDER BY id) FROM big";
    assert_eq!(target.cell(lengths), "1 209715200 1");
    // The server's own digest of the whole, against that of the same bytes from here.
    let theirs = target.cell("SELECT encode(sha256(body), 'hex') FROM big WHERE id = 2");
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("body"), &body).unwrap();
    assert!(harness::sha256(&folder.path().join("body")).starts_with(&theirs));
}

#[test]
fn json_too_deep_for_the_server_is_text() {
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let source = Source::built(|connection| {
        connection
            .execute_batch("CREATE TABLE deep (id INTEGER PRIMARY KEY, body JSON, flat JSON)")
            .unwrap();
        connection.execute("INSERT INTO deep VALUES (1, ?1, '[1]')", [&deep]).unwrap();
    });
    check(
        &source,
        "table deep 1\n    column id bigint not null identity 2\n    column body text\n    \
         column flat json\n    constraint PRIMARY KEY (id)\nnote deep body\n",
    );
}

#[test]
fn an_unpaired_surrogate_of_a_utf16_database_is_a_misfit_and_not_another_character() {
    let source = Source::built(|connection| {
        let bytes = "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); \
                     INSERT INTO t VALUES (1, 'fine'), (2, CAST(x'3dd84100' AS TEXT)), \
                     (3, CAST(x'00dc' AS TEXT)), (4, CAST(x'3dd800de' AS TEXT))";
        connection.execute_batch(bytes).unwrap();
    });
    check(&source, "exit 4\nerror t x 2 3");
}

#[test]
fn many_chunks_of_every_kind_of_key_arrive_whole() {
    let source = Source::of_sql(
        "CREATE TABLE by_rowid (x TEXT, n INTEGER);
         CREATE TABLE by_id (id INTEGER PRIMARY KEY, x TEXT);
         CREATE TABLE by_words (a TEXT, b TEXT, n REAL, PRIMARY KEY (a, b)) WITHOUT ROWID;
         CREATE TABLE by_folded (a TEXT COLLATE NOCASE PRIMARY KEY, x TEXT) WITHOUT ROWID;
         CREATE TABLE backwards (a INTEGER, x TEXT, PRIMARY KEY (a DESC)) WITHOUT ROWID;
         CREATE TABLE no_way (rowid TEXT, oid TEXT, _rowid_ TEXT);
         CREATE TEMP TABLE n AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
            SELECT i, printf('%0300d', i * 7919 % 40009) AS x FROM n;
         INSERT INTO by_rowid SELECT x, i FROM n;
         INSERT INTO by_id SELECT (i - 20000) * 461168601842738, x FROM n;
         INSERT INTO by_words SELECT 'group ' || (i % 13), x, i / 3.0 FROM n;
         INSERT INTO by_folded SELECT CASE i % 2 WHEN 0 THEN 'k' ELSE 'K' END || x, x FROM n;
         INSERT INTO backwards SELECT i * 3, x FROM n;
         INSERT INTO no_way SELECT x, 'same', 'same' FROM n;
         DELETE FROM by_rowid WHERE n % 3 = 0;",
    );
    let database = server();
    let folder = tempfile::TempDir::new().unwrap();
    let json = folder.path().join("report.json");
    let output =
        source.migrate(&database.url, &["--json", json.to_str().unwrap(), "--memory", "16M"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let mut target = Target::open(&database.url);
    crate::oracle::assert_same_values(&source.reading_copy(), &mut target, &report, &[]);
}

#[test]
fn two_hundred_tables_arrive() {
    let mut sql = String::new();
    for i in 0..200 {
        write!(sql, "CREATE TABLE t{i} (a, b); INSERT INTO t{i} VALUES ({i}, 'x');").unwrap();
    }
    let source = Source::of_sql(&sql);
    let database = server();
    let output = source.migrate(&database.url, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Target::open(&database.url).tables().len(), 200);
}

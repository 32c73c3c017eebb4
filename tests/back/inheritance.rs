//! Inheritance: each row of a parent and its children arrives once, in one table.

use super::{Target, back, back_report};
use crate::harness::{migrate, psql, server, sqlite3, text};
use crate::outcome::list;
use serde_json::Value;

/// Tables as TimescaleDB makes them: the rows are in inheritance children in a schema of its own.
/// `reading` has no key, `device_day` a key of two columns, `event` an integer key and rows of its own.
const CHUNKS: &str = "
    CREATE SCHEMA _timescaledb_internal;
    CREATE TABLE reading (device int, at timestamptz NOT NULL, value float8);
    CREATE TABLE _timescaledb_internal._hyper_1_1_chunk
      (CHECK (at < '2024-02-01')) INHERITS (public.reading);
    CREATE TABLE _timescaledb_internal._hyper_1_2_chunk
      (CHECK (at >= '2024-02-01')) INHERITS (public.reading);
    INSERT INTO _timescaledb_internal._hyper_1_1_chunk
      SELECT g, timestamptz '2024-01-01' + g * interval '1 min', g / 2.0 FROM generate_series(1, 600) g;
    INSERT INTO _timescaledb_internal._hyper_1_2_chunk
      SELECT g, timestamptz '2024-03-01' + g * interval '1 min', g / 2.0 FROM generate_series(1, 400) g;
    CREATE TABLE device_day (device int, day date, note text, PRIMARY KEY (device, day));
    CREATE TABLE _timescaledb_internal._hyper_2_3_chunk (PRIMARY KEY (device, day)) INHERITS (public.device_day);
    INSERT INTO _timescaledb_internal._hyper_2_3_chunk SELECT g, '2024-01-01', repeat('x', g * 100)
      FROM generate_series(1, 90) g;
    CREATE TABLE event (id int PRIMARY KEY, what text);
    CREATE TABLE _timescaledb_internal._hyper_3_4_chunk (PRIMARY KEY (id)) INHERITS (public.event);
    INSERT INTO event VALUES (1, 'own');
    INSERT INTO _timescaledb_internal._hyper_3_4_chunk SELECT g, 'chunk' FROM generate_series(2, 50) g;
";

fn reasons(report: &Value, kind: &str) -> Vec<String> {
    let of_kind = list(&report["data_sets"][0]["left_out"]).filter(|left| left["kind"] == kind);
    let texts = of_kind.map(|left| {
        let part = |name: &str| left[name].as_str().unwrap().to_owned();
        format!("{}: {}: {}", part("table"), part("name"), part("reason"))
    });
    texts.collect()
}

#[test]
fn a_hypertable_arrives_with_the_rows_of_its_chunks_and_they_are_named() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, CHUNKS);
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    let rows: Vec<u64> =
        list(&report["data_sets"][0]["tables"]).map(|t| t["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [1000, 90, 50]);
    let sql = |sql: &str| sqlite3(&target.path, sql);
    assert_eq!(sql("SELECT count(*), sum(value) FROM reading"), "1000|130250");
    assert_eq!(sql("SELECT count(*), max(length(note)) FROM device_day"), "90|9000");
    assert_eq!(sql("SELECT what, count(*), max(id) FROM event GROUP BY 1"), "chunk|49|50\nown|1|1");
    let named = reasons(&report, "inheritance");
    assert_eq!(named.len(), 3, "{named:?}");
    assert!(
        named[0].starts_with(
            "reading: _timescaledb_internal._hyper_1_1_chunk, \
             _timescaledb_internal._hyper_1_2_chunk: "
        ) && named[0].contains("2 child tables are read through this table"),
        "{named:?}"
    );
    // The comparison alone reads the same rows, and finds the one that changes in a chunk.
    back_report(&database, &target.path, &["--verify"], 0);
    back_report(&database, &target.path, &["--verify", "--depth", "rows"], 0);
    psql(
        &database.url,
        "UPDATE _timescaledb_internal._hyper_3_4_chunk SET what = 'b' WHERE id = 2",
    );
    let report = back_report(&database, &target.path, &["--verify", "--show-values"], 3);
    let differences = &report["data_sets"][0]["tables"][2]["verification"]["differences"];
    assert_eq!(list(differences).count(), 1, "{report:#}");
    let column = &differences[0]["columns"][0];
    assert_eq!((&column["source"], &column["target"]), (&"b".into(), &"chunk".into()));
    let refused = back(&database, &target.path, &["--drop-all", "--strict"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("_hyper_1_1_chunk"), "{}", text(&refused));
}

#[test]
fn a_compressed_chunk_is_no_loss_and_a_hypertable_of_another_schema_is_one() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, CHUNKS);
    psql(
        &database.url,
        "CREATE TABLE _timescaledb_internal.compress_hyper_9_5_chunk AS SELECT 1 AS device;
         CREATE SCHEMA metrics; CREATE TABLE metrics.load (at date);
         CREATE TABLE _timescaledb_internal._hyper_8_6_chunk () INHERITS (metrics.load)",
    );
    let report = back_report(&database, &target.path, &[], 0);
    let schemas = list(&report["data_sets"][0]["left_out"]).filter(|left| left["kind"] == "schema");
    let schemas: Vec<String> = schemas.map(Value::to_string).collect();
    assert_eq!(schemas.len(), 1, "{schemas:?}");
    assert!(schemas[0].contains("metrics") && schemas[0].contains("1 table with rows (load;"));
}

#[test]
fn verification_against_a_hypertable_compares_the_rows_of_its_chunks() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, CHUNKS);
    back_report(&database, &target.path, &[], 0);
    let file = target.path.to_str().unwrap();
    for depth in ["full", "rows"] {
        let output = migrate([
            "database",
            "--from",
            file,
            "--to",
            &database.url,
            "--verify",
            "--depth",
            depth,
        ]);
        assert!(!text(&output).contains("missing"), "{}", text(&output));
        assert!(!text(&output).contains("differ"), "{}", text(&output));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    }
}

#[test]
fn children_that_are_tables_of_their_own_are_read_there_and_all_others_through_their_parent() {
    let (database, target) = (server(), Target::new());
    psql(
        &database.url,
        "CREATE SCHEMA archive; \
         CREATE TABLE line (id int, what text); \
         CREATE TABLE child (extra int) INHERITS (line); \
         CREATE TABLE archive.old (old_note text) INHERITS (public.line); \
         CREATE TABLE archive.grandchild () INHERITS (public.child); \
         INSERT INTO line VALUES (1, 'line'); INSERT INTO child VALUES (2, 'child', 20); \
         INSERT INTO archive.old VALUES (3, 'old', 'lost'); \
         INSERT INTO archive.grandchild VALUES (4, 'grandchild', 40)",
    );
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    let sql = |sql: &str| sqlite3(&target.path, sql);
    assert_eq!(sql("SELECT id, what FROM line ORDER BY 1"), "1|line\n3|old");
    assert_eq!(sql("SELECT id, extra FROM child ORDER BY 1"), "2|20\n4|40");
    let columns = reasons(&report, "column");
    assert_eq!(columns.len(), 1, "{columns:?}");
    assert!(
        columns[0].starts_with("line: old_note: exists only in child table \"archive\".\"old\"")
    );
    let again = Target::new();
    let report = back_report(&database, &again.path, &["--exclude", "child"], 0);
    let ids = sqlite3(&again.path, "SELECT group_concat(id) FROM (SELECT id FROM line ORDER BY 1)");
    assert_eq!(ids, "1,2,3,4");
    assert_eq!(reasons(&report, "inheritance").len(), 1, "{report:#}");
}

#[test]
fn a_child_of_two_tables_is_refused_until_one_of_them_is_excluded() {
    let (database, target) = (server(), Target::new());
    psql(
        &database.url,
        "CREATE SCHEMA archive; CREATE TABLE a (id int); CREATE TABLE b (id int); \
         CREATE TABLE archive.both () INHERITS (public.a, public.b); \
         INSERT INTO archive.both VALUES (1)",
    );
    let output = back(&database, &target.path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let named = "the rows of table \"archive\".\"both\" belong to tables \"public\".\"a\" and \"public\".\"b\"";
    assert!(text(&output).contains(named), "{}", text(&output));
    assert!(text(&output).contains("--exclude b"), "{}", text(&output));
    back_report(&database, &target.path, &["--exclude=b"], 0);
    assert_eq!(sqlite3(&target.path, "SELECT id FROM a"), "1");
}

#[test]
fn rows_of_a_parent_and_its_children_with_equal_keys_are_refused_before_anything_is_written() {
    let (database, target) = (server(), Target::new());
    psql(
        &database.url,
        "CREATE SCHEMA archive; CREATE TABLE line (id int PRIMARY KEY, what text); \
         CREATE TABLE archive.old () INHERITS (public.line); \
         INSERT INTO line VALUES (1, 'new'), (2, 'new'); INSERT INTO archive.old VALUES (2, 'old')",
    );
    let output = back(&database, &target.path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let cause = "1 value of the key (\"id\") occur more than once in it and in archive.old";
    assert!(text(&output).contains(cause), "{}", text(&output));
    assert!(!target.path.exists());
    psql(&database.url, "UPDATE archive.old SET id = 3");
    back_report(&database, &target.path, &[], 0);
    assert_eq!(sqlite3(&target.path, "SELECT group_concat(id) FROM line"), "1,2,3");
}

#[test]
fn a_foreign_key_that_postgresql_does_not_enforce_for_child_tables_stops_nothing_and_is_listed() {
    let (database, target) = (server(), Target::new());
    psql(
        &database.url,
        "CREATE SCHEMA archive; CREATE TABLE owner (id int PRIMARY KEY); \
         CREATE TABLE line (id int PRIMARY KEY, owner int CONSTRAINT line_owner REFERENCES owner); \
         CREATE TABLE archive.old () INHERITS (public.line); \
         INSERT INTO owner VALUES (1); INSERT INTO line VALUES (1, 1); \
         INSERT INTO archive.old VALUES (2, 99)",
    );
    let report = back_report(&database, &target.path, &[], 0);
    let listed = reasons(&report, "foreign_key");
    assert_eq!(listed.len(), 1, "{report:#}");
    assert!(listed[0].starts_with("line: line_owner: 1 row has no parent"), "{listed:?}");
    assert_eq!(sqlite3(&target.path, "SELECT group_concat(id) FROM line"), "1,2");
}

#[test]
fn a_parent_of_which_the_server_counts_other_rows_than_are_read_is_refused() {
    let (database, target) = (server(), Target::new());
    // The server does not look for child tables any more, but their rows are in the catalog.
    psql(
        &database.url,
        "CREATE TABLE line (id int); CREATE TABLE child () INHERITS (line); \
         INSERT INTO line VALUES (1); INSERT INTO child VALUES (2); \
         UPDATE pg_class SET relhassubclass = false WHERE relname = 'line'",
    );
    for flags in [&[][..], &["--no-verify"]] {
        let output = back(&database, &target.path, flags);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        let counts = "table \"public\".\"line\" returned 2 rows, but the server counts 1 row";
        assert!(message.contains(counts), "{message}");
        assert!(
            message.contains("1 row is its own, and 1 row is in its child tables"),
            "{message}"
        );
        assert!(!target.path.exists());
    }
}

#[test]
fn a_table_of_which_an_index_finds_fewer_rows_than_the_server_counts_fails_without_a_file() {
    let (database, target) = (server(), Target::new());
    // Rows are read in the order of the key, by its index, which lacks the last row.
    psql(
        &database.url,
        "CREATE TABLE t (a int, b int, PRIMARY KEY (a, b)); \
         INSERT INTO t SELECT g, g FROM generate_series(1, 100) g; \
         UPDATE pg_index SET indisready = false WHERE indexrelid = 't_pkey'::regclass",
    );
    psql(&database.url, "INSERT INTO t VALUES (101, 101)");
    psql(
        &database.url,
        "UPDATE pg_index SET indisready = true WHERE indexrelid = 't_pkey'::regclass",
    );
    psql(&database.url, &format!("ALTER DATABASE {} SET enable_sort = off", database.name));
    for flags in [&[][..], &["--no-verify"]] {
        let output = back(&database, &target.path, flags);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        let counts = "table \"public\".\"t\" returned 100 rows, but the server counts 101 rows";
        assert!(message.contains(counts), "{message}");
        assert!(!target.path.exists());
    }
}

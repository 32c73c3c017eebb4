//! Verification: it finds every change of the target, names the rows, and finds nothing else.

use crate::expect::Expectation;
use crate::harness::{self, Database, psql, server};
use crate::source::{Source, fixture_path};
use migrate::internals::Environment;
use migrate::internals::connect as connect_as;
use migrate::internals::{Connection, Defaults};
use migrate::internals::{Snapshot, TupleReader};
use serde_json::Value;
use std::fs;
use std::process::Output;

/// Four tables with the same rows: with an integer key, a text key and a rowid, a text key alone, and no
/// key.
const TABLES: &str = "
    CREATE TABLE numbered (id INTEGER PRIMARY KEY, i INTEGER, t TEXT, n TEXT, r REAL, b BLOB, at DATETIME, j JSON);
    CREATE TABLE named (name TEXT PRIMARY KEY, i INTEGER, t TEXT, n TEXT, r REAL, b BLOB, at DATETIME, j JSON);
    CREATE TABLE bare (name TEXT PRIMARY KEY, i INTEGER, t TEXT, n TEXT, r REAL, b BLOB, at DATETIME, j JSON) WITHOUT ROWID;
    CREATE TABLE nameless (i INTEGER, t TEXT, n TEXT, r REAL, b BLOB, at DATETIME, j JSON);
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 300)
    INSERT INTO numbered SELECT i, i, 'caf' || char(233) || i, '', 1.0 + i, CAST('a' || char(0) || 'b' || i AS BLOB),
      '2024-01-02 03:04:05.678901', '{\"a\":' || i || '}' FROM c;
    UPDATE numbered SET b = CAST(b AS BLOB), n = NULL WHERE i % 2 = 0;
    INSERT INTO named SELECT 'key ' || i, i, t, n, r, b, at, j FROM numbered ORDER BY i;
    INSERT INTO bare SELECT 'key ' || i, i, t, n, r, b, at, j FROM numbered ORDER BY i;
    INSERT INTO nameless SELECT i, t, n, r, b, at, j FROM numbered ORDER BY i;
    CREATE INDEX numbered_t ON numbered (t);
    CREATE TABLE empty (x INTEGER);
";

/// A source and the target that its rows were copied to.
struct Copied {
    source: Source,
    target: Database,
}

impl Copied {
    fn of(sql: &str) -> Self {
        let (source, target) = (Source::of_sql(sql), server());
        let output = source.migrate(&target.url, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", harness::text(&output));
        assert!(harness::text(&output).contains("verdict: match"), "{}", harness::text(&output));
        Self { source, target }
    }

    fn tamper(&self, sql: &str) -> &Self {
        psql(&self.target.url, sql);
        self
    }

    fn verify_at(&self, url: &str, arguments: &[&str]) -> (Output, Value) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut all = vec!["--verify", "--json", file.path().to_str().unwrap()];
        all.extend(arguments);
        let output = self.source.migrate(url, &all);
        let report = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
        (output, report)
    }

    fn verify(&self, arguments: &[&str]) -> (i32, Value) {
        let (output, report) = self.verify_at(&self.target.url, arguments);
        (output.status.code().unwrap(), report)
    }

    /// The differences that a verification finds; asserts its exit code 3.
    fn found(&self) -> Vec<String> {
        let (code, report) = self.verify(&[]);
        assert_eq!(code, 3, "{report:#}");
        found(&report)
    }

    fn assert_equal(&self) {
        let (code, report) = self.verify(&[]);
        assert_eq!((code, found(&report)), (0, Vec::new()), "{report:#}");
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// All differences of a report, a line each: `table: kind key or row: columns`.
fn found(report: &Value) -> Vec<String> {
    let data_set = &report["data_sets"][0];
    let mut lines = strings(&data_set["differences"]);
    for table in data_set["tables"].as_array().unwrap() {
        let verification = &table["verification"];
        let rows = verification["differences"].as_array().unwrap();
        for row in rows {
            let keys = row["key"].as_array().into_iter().flatten();
            let key: Vec<&str> = keys.map(|key| key["value"].as_str().unwrap()).collect();
            let place = row["source_place"].as_str().unwrap_or("-");
            let columns = row["columns"].as_array().into_iter().flatten();
            let columns: Vec<&str> = columns.map(|c| c["column"].as_str().unwrap()).collect();
            lines.push(format!(
                "{}: {} {}{}",
                table["name"].as_str().unwrap(),
                row["kind"].as_str().unwrap(),
                if key.is_empty() { place.to_owned() } else { format!("id {}", key.join(",")) },
                columns.iter().map(|column| format!(" {column}")).collect::<String>()
            ));
        }
        let total = verification["differing_rows"].as_u64().unwrap();
        let message: u64 = rows.iter().map(|row| row["rows"].as_u64().unwrap()).sum();
        assert!(total >= message, "{verification:#}");
        if total > message {
            lines.push(format!("{}: {} in all", table["name"].as_str().unwrap(), total));
        }
    }
    lines
}

/// Does the same to row 7 of all four tables, and sees that this and nothing else is found.
fn one_changed_column(column: &str, assignment: &str) {
    let copied = Copied::of(TABLES);
    for table in ["numbered", "named", "bare", "nameless"] {
        copied.tamper(&format!("UPDATE {table} SET {column} = {assignment} WHERE i = 7"));
    }
    assert_eq!(
        copied.found(),
        [
            format!("numbered: changed id 7 {column}"),
            format!("named: changed rowid 7 {column}"),
            // In the order of their keys, 'key 7' comes after 'key 69'.
            format!("bare: changed row 268 {column}"),
            "nameless: missing rowid 7".to_owned(),
            "nameless: extra -".to_owned(),
        ]
    );
}

#[test]
fn one_flipped_bit_in_a_blob_is_found() {
    one_changed_column("b", "set_bit(b, 3, 1 - get_bit(b, 3))");
}

#[test]
fn the_next_double_is_found() {
    one_changed_column("r", "8.000000000000002");
}

#[test]
fn a_timestamp_one_microsecond_off_is_found() {
    one_changed_column("at", "at + interval '1 microsecond'");
}

#[test]
fn a_stripped_nul_byte_is_found() {
    one_changed_column("b", r"'\x616237'");
}

#[test]
fn another_normal_form_of_a_letter_is_found() {
    one_changed_column("t", "normalize(t, NFD)");
}

#[test]
fn a_trailing_space_is_found() {
    one_changed_column("t", "t || ' '");
}

#[test]
fn null_instead_of_an_empty_string_is_found() {
    one_changed_column("n", "NULL");
}

#[test]
fn json_with_other_white_space_is_found() {
    one_changed_column("j", r#"'{"a": 7}'"#);
}

#[test]
fn jsonb_is_compared_by_value() {
    let copied = Copied::of(TABLES);
    copied.tamper("ALTER TABLE nameless ALTER j TYPE jsonb USING j::jsonb");
    copied.tamper(
        "UPDATE migrate_ledger SET detail = detail::jsonb #- '{types,nameless,j}' WHERE chunk = -1",
    );
    copied.assert_equal();
    copied.tamper(r#"UPDATE nameless SET j = '{"a": 70}' WHERE i = 7"#);
    assert_eq!(copied.found(), ["nameless: missing rowid 7", "nameless: extra -"]);
}

#[test]
fn rows_swapped_between_keys_are_found() {
    let copied = Copied::of(TABLES);
    copied.tamper(
        "UPDATE numbered SET (i, t) = (SELECT o.i, o.t FROM numbered o WHERE o.id = 13 - numbered.id) \
         WHERE id IN (6, 7)",
    );
    assert_eq!(copied.found(), ["numbered: changed id 6 i t", "numbered: changed id 7 i t"]);
    // Without a key the order of the rows does not matter.
    copied.tamper("UPDATE numbered SET i = id, t = 'café' || id WHERE id IN (6, 7)");
    copied.tamper(
        "DELETE FROM nameless WHERE i IN (6, 7) RETURNING *; \
         INSERT INTO nameless SELECT i, t, n, r, b, at, j FROM numbered WHERE i IN (6, 7) ORDER BY i DESC",
    );
    copied.assert_equal();
}

#[test]
fn a_duplicated_row_and_a_lost_one_are_found() {
    let copied = Copied::of(TABLES);
    copied.tamper(
        "DELETE FROM nameless WHERE i = 5; INSERT INTO nameless SELECT * FROM nameless WHERE i = 9",
    );
    assert_eq!(copied.found(), ["nameless: missing rowid 5", "nameless: extra -"]);
    let copied = Copied::of(TABLES);
    copied.tamper(
        "ALTER TABLE numbered DROP CONSTRAINT numbered_pkey; DELETE FROM numbered WHERE id = 5; \
         INSERT INTO numbered SELECT * FROM numbered WHERE id = 9",
    );
    assert_eq!(
        copied.found(),
        [
            "the primary key of \"numbered\" on \"id\" is missing",
            "numbered: missing id 5",
            "numbered: extra id 9"
        ]
    );
}

#[test]
fn equal_errors_in_duplicate_rows_do_not_cancel() {
    let copied = Copied::of(
        "CREATE TABLE twins (a INTEGER, b TEXT);
         INSERT INTO twins VALUES (1, 'x'), (2, 'y'), (2, 'y'), (3, 'z')",
    );
    copied.tamper("UPDATE twins SET b = 'Y' WHERE a = 2");
    let (code, report) = copied.verify(&[]);
    assert_eq!(code, 3);
    let table = &report["data_sets"][0]["tables"][0]["verification"];
    assert_eq!(table["differing_rows"], 4);
    assert_eq!(table["differences"][0]["rows"], 2);
    assert_eq!(found(&report), ["twins: missing rowid 2", "twins: extra -"]);
}

#[test]
fn integers_that_became_text_are_found() {
    let copied = Copied::of(TABLES);
    copied.tamper("ALTER TABLE nameless ALTER i TYPE text USING i::text");
    assert_eq!(
        copied.found(),
        ["column \"i\" of \"nameless\" was copied as bigint, but is text now"]
    );
    // In a target that another program created, the type decides and conversions are listed.
    copied.tamper("DROP TABLE migrate_ledger");
    let (code, report) = copied.verify(&[]);
    assert_eq!(code, 0, "{report:#}");
    let tables = report["data_sets"][0]["tables"].as_array().unwrap();
    let nameless = tables.iter().find(|table| table["name"] == "nameless").unwrap();
    assert_eq!(nameless["conversions"][0]["column"], "i");
    assert_eq!(nameless["conversions"][0]["count"], 300);
}

#[test]
fn a_changed_value_in_the_last_row_of_the_last_chunk_is_found() {
    let copied = Copied::of(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u (v TEXT);
         WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000)
         INSERT INTO t SELECT i * 3, printf('%0200d', i) FROM c;
         INSERT INTO u SELECT v FROM t",
    );
    copied.tamper("UPDATE t SET v = '' WHERE id = 90000");
    copied.tamper("UPDATE u SET v = '' WHERE v LIKE '%30000'");
    copied.tamper("INSERT INTO t VALUES (1, ''), (90001, '')");
    let (code, report) = copied.verify(&["--memory", "16M"]);
    assert_eq!(code, 3);
    assert_eq!(
        found(&report),
        [
            "t: changed id 90000 v",
            "t: extra id 1",
            "t: extra id 90001",
            "u: missing rowid 30000",
            "u: extra -"
        ]
    );
}

#[test]
fn an_empty_table_that_is_not_empty_is_found() {
    let copied = Copied::of(TABLES);
    copied.tamper("INSERT INTO empty VALUES (1)");
    assert_eq!(copied.found(), ["empty: extra -"]);
    let copied = Copied::of(TABLES);
    copied.tamper("DELETE FROM numbered");
    let (code, report) = copied.verify(&["--max-differences", "1"]);
    assert_eq!(code, 3);
    assert_eq!(found(&report), ["numbered: missing id 1", "numbered: 300 in all"]);
}

#[test]
fn a_table_in_which_every_row_differs_is_reported_with_its_total() {
    let copied = Copied::of(TABLES);
    copied.tamper("UPDATE numbered SET t = t || 'x'");
    let found = copied.found();
    assert_eq!(found.len(), 21);
    assert_eq!(found[19], "numbered: changed id 20 t");
    assert_eq!(found[20], "numbered: 300 in all");
}

#[test]
fn a_missing_index_is_found() {
    let copied = Copied::of(TABLES);
    copied.tamper("DROP INDEX numbered_t");
    assert_eq!(copied.found(), ["the index \"numbered_t\" on \"numbered\" is missing"]);
}

#[test]
fn a_column_that_may_be_null_and_a_lost_foreign_key_are_found() {
    let copied = Copied::of(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT NOT NULL, w TEXT UNIQUE);
         CREATE TABLE c (p INTEGER REFERENCES p (id));",
    );
    copied.assert_equal();
    copied.tamper("ALTER TABLE p ALTER v DROP NOT NULL; ALTER TABLE p DROP CONSTRAINT p_w_key");
    copied.tamper("ALTER TABLE c DROP CONSTRAINT c_p_fkey");
    assert_eq!(
        copied.found(),
        [
            "the unique key of \"p\" on \"w\" is missing",
            "column \"v\" of \"p\" may be NULL in the target",
            "the foreign key of \"c\" on \"p\" is missing"
        ]
    );
}

#[test]
fn a_sequence_behind_its_maximum_is_found() {
    let copied = Copied::of(TABLES);
    copied.tamper("SELECT setval(pg_get_serial_sequence('numbered', 'id'), 299)");
    assert_eq!(
        copied.found(),
        ["the next key of \"numbered\" is 300, but keys up to 300 are in use"]
    );
}

#[test]
fn rows_hidden_by_row_level_security_are_no_match() {
    let copied =
        Copied::of("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let role = format!("reader_of_{}", copied.target.name);
    copied.tamper(&format!(
        "CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}; \
         GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}; \
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (id = 1)"
    ));
    let url = &copied.target.url;
    let separator = if url.contains('?') { '&' } else { '?' };
    let as_role = format!("{url}{separator}options=-crole%3D{role}");
    let (output, report) = copied.verify_at(&as_role, &[]);
    copied.tamper(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    assert_eq!(output.status.code(), Some(3), "{}", harness::text(&output));
    assert_eq!(
        found(&report),
        ["row-level security hides rows of \"t\" from this role, so it is not compared"]
    );
}

#[test]
fn a_vacuum_full_waits_until_the_snapshot_is_let_go() {
    let target = server();
    psql(&target.url, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS id");
    let connect = || {
        let url = target.url.parse::<postgres::Config>().unwrap();
        url.connect(postgres::NoTls).unwrap()
    };
    let snapshot = Snapshot::take(connect(), &["public.t".to_owned()]).unwrap();
    let refused = harness::run_psql(&target.url, "SET lock_timeout = '200ms'; TRUNCATE t");
    assert!(harness::text(&refused).contains("lock timeout"), "{}", harness::text(&refused));
    let mut writer = connect();
    writer.batch_execute("DELETE FROM t WHERE id > 10").unwrap();
    let mut vacuuming = connect();
    vacuuming.batch_execute("SET lock_timeout = '200ms'").unwrap();
    assert!(vacuuming.batch_execute("VACUUM FULL t").is_err(), "it did not wait");
    let connection =
        Connection::parse(&target.url, &Environment::default(), Defaults::default()).unwrap();
    let mut reader: TupleReader = connect_as(&connection, "test").unwrap().client;
    reader.simple_query(&snapshot.import_sql()).unwrap();
    let mut rows = 0;
    reader
        .tuples("SELECT id FROM public.t", "cannot read", |_| {
            rows += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(rows, 1000);
    drop((reader, snapshot));
    vacuuming.batch_execute("VACUUM FULL t").unwrap();
}

#[test]
fn rows_written_after_the_copy_are_reported_as_such() {
    let copied = Copied::of(TABLES);
    copied.tamper("INSERT INTO numbered (i) VALUES (1000)");
    let (code, report) = copied.verify(&[]);
    assert_eq!(code, 3);
    assert_eq!(found(&report), ["numbered: extra id 301"], "and the sequence is past it");
    let hints = strings(&report["data_sets"][0]["hints"]);
    assert!(hints[0].contains("after the copy"), "{hints:?}");
}

#[test]
fn tables_on_one_side_only_are_a_difference_in_the_source_and_a_note_in_the_target() {
    let copied = Copied::of(TABLES);
    copied.tamper("CREATE TABLE more (x int)");
    let (code, report) = copied.verify(&[]);
    assert_eq!(code, 0);
    let notes = strings(&report["data_sets"][0]["notes"]);
    assert!(notes.contains(&"table \"more\" is in the target only".to_owned()), "{notes:?}");
    copied.tamper("DROP TABLE empty; ALTER TABLE nameless DROP COLUMN j");
    assert_eq!(
        copied.found(),
        ["column \"j\" of \"nameless\" is missing", "table \"empty\" is missing"]
    );
}

#[test]
fn values_are_shown_only_where_they_are_wanted() {
    let copied = Copied::of(TABLES);
    copied.tamper("UPDATE named SET t = 'secret' || chr(27) WHERE i = 7");
    let (output, _) = copied.verify_at(&copied.target.url, &[]);
    let text = harness::text(&output);
    assert!(text.contains("changed: rowid 7, ctid"), "{text}");
    assert!(!text.contains("secret") && !text.contains("key 7") && !text.contains("caf"), "{text}");
    let (output, _) = copied.verify_at(&copied.target.url, &["--show-values"]);
    let text = harness::text(&output);
    assert!(text.contains("name key 7"), "{text}");
    assert!(text.contains("\"t\": café7 in the source, secret\\u{1b} in the target"), "{text}");
}

#[test]
fn counting_rows_finds_lost_rows_but_not_changed_ones() {
    let copied = Copied::of(TABLES);
    copied.tamper("UPDATE numbered SET t = ''");
    assert_eq!(copied.verify(&["--depth", "rows"]).0, 0);
    copied.tamper("DELETE FROM nameless WHERE i = 7");
    let (code, report) = copied.verify(&["--depth", "rows"]);
    assert_eq!(code, 3);
    assert_eq!(found(&report), ["nameless: 1 in all"]);
}

#[test]
fn a_copy_that_is_spoilt_before_its_end_is_found_and_recorded() {
    let (source, target) = (Source::of_sql(TABLES), server());
    psql(
        &target.url,
        "CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS \
         $$ BEGIN UPDATE public.numbered SET t = 'x' WHERE id = 5; END $$; \
         CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE INDEX') \
         EXECUTE FUNCTION spoil()",
    );
    let state = "SELECT detail::json->>'state' FROM migrate_ledger WHERE chunk = -1";
    let output = source.migrate(&target.url, &["--writers", "1"]);
    let text = harness::text(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("changed: id 5 (rowid 5, ctid"), "{text}");
    assert!(text.contains("verdict: the databases differ"), "{text}");
    assert_eq!(psql(&target.url, state), "differs");
    let output = source.migrate(&target.url, &["--writers", "1", "--no-verify", "--drop-all"]);
    assert_eq!(output.status.code(), Some(0), "{}", harness::text(&output));
    assert_eq!(psql(&target.url, state), "not_verified");
    psql(&target.url, "DROP EVENT TRIGGER spoil");
    let output = source.migrate(&target.url, &["--drop-all"]);
    assert_eq!(output.status.code(), Some(0), "{}", harness::text(&output));
    assert_eq!(psql(&target.url, state), "verified");
    let digests =
        "SELECT detail::json->'tables'->'numbered'->>'rows' FROM migrate_ledger WHERE chunk = -1";
    assert_eq!(psql(&target.url, digests), "300");
}

#[test]
fn a_partitioned_target_of_somebody_elses_making_is_compared_whole() {
    let source = Source::of_sql(
        "CREATE TABLE Events (Id INTEGER PRIMARY KEY, At INTEGER, Kind TEXT);
         INSERT INTO Events VALUES (1, 1700000000, 'a'), (2, 1700000001, 'b'), (150, 1700000002, 'c')",
    );
    let target = server();
    psql(
        &target.url,
        "CREATE TABLE events (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, at timestamptz, \
           kind varchar(10)) PARTITION BY RANGE (id); \
         CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100); \
         CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200); \
         INSERT INTO events VALUES (1, to_timestamp(1700000000), 'a'), \
           (2, to_timestamp(1700000001), 'b'), (150, to_timestamp(1700000002), 'c'); \
         SELECT setval('events_id_seq', 150)",
    );
    let copied = Copied { source, target };
    let cast = ["--cast", "Events.At=timestamptz:s"];
    let (code, report) = copied.verify(&cast);
    assert_eq!((code, found(&report)), (0, Vec::new()), "{report:#}");
    let (code, report) = copied.verify(&[]);
    assert_eq!(code, 3);
    assert!(strings(&report["data_sets"][0]["hints"])[0].contains("--cast"), "{report:#}");
    copied.tamper("UPDATE events SET kind = 'd' WHERE id = 150");
    let (code, report) = copied.verify(&cast);
    assert_eq!((code, found(&report)), (3, vec!["Events: changed id 150 Kind".to_owned()]));
}

/// The oracle of the fixtures compares values by SQL on both sides; the verdict has to agree.
#[test]
fn every_fixture_that_arrives_is_found_equal_alone() {
    let mut seen = 0;
    for entry in fs::read_dir(fixture_path("")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".expect") else { continue };
        let expectation = Expectation::parse(&fs::read_to_string(fixture_path(&file)).unwrap());
        let fixture = name.split('.').next().unwrap();
        if expectation.exit != 0 || !fixture_path(&format!("{fixture}.sql")).exists() {
            continue;
        }
        let folder = tempfile::TempDir::new().unwrap();
        let place = folder.path().to_str().unwrap();
        let arguments: Vec<String> =
            expectation.arguments.iter().map(|word| word.replace("TEMPORARY", place)).collect();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (source, target) = (Source::of_fixture(fixture), server());
        let output = source.migrate(&target.url, &arguments);
        assert_eq!(output.status.code(), Some(0), "{file}: {}", harness::text(&output));
        // Only a copy prints this; a reject file must not exist already.
        arguments.retain(|word| !["--drop-all", "--yes", "--create-database"].contains(word));
        if let Some(reject) = arguments.iter().position(|word| *word == "--on-misfit") {
            arguments.drain(reject..reject + 2);
        }
        if let Some(reject) = arguments.iter().position(|word| *word == "--reject-file") {
            arguments.drain(reject..reject + 2);
        }
        let copied = Copied { source, target };
        let (code, report) = copied.verify(&arguments);
        assert_eq!((code, found(&report)), (0, Vec::new()), "{file}: {report:#}");
        seen += 1;
    }
    assert!(seen > 20, "{seen} fixtures");
}

#[test]
fn rows_of_the_source_are_missing_in_a_partitioned_table_without_partitions() {
    let copied =
        Copied::of("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);");
    copied.tamper("DROP TABLE t; CREATE TABLE t (id bigint NOT NULL) PARTITION BY LIST (id)");
    for depth in ["full", "rows"] {
        let (output, report) = copied.verify_at(&copied.target.url, &["--depth", depth]);
        assert_eq!(output.status.code(), Some(3), "{}", harness::text(&output));
        let found = &report["data_sets"][0]["tables"][0]["verification"];
        assert_eq!((&found["source_rows"], &found["target_rows"]), (&2.into(), &0.into()));
    }
}

#[test]
fn documents_that_were_rejected_are_known_to_a_later_verification() {
    let source = Source::of_sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT);
         INSERT INTO t (j) VALUES ('{\"a\": 1}'), ('no json'), ('[1]');",
    );
    let (target, rejected) = (server(), tempfile::tempdir().unwrap());
    let rejected = rejected.path().join("rejected.db");
    let file = rejected.to_str().unwrap();
    let flags = ["--cast", "t.j=json", "--on-misfit", "reject", "--reject-file", file];
    let output = source.migrate(&target.url, &flags);
    assert_eq!(output.status.code(), Some(0), "{}", harness::text(&output));
    let output = source.migrate(&target.url, &["--verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", harness::text(&output));
}

//! Combinations of rules: type overrides with foreign keys, rejected rows with computed columns, keys whose
//! values would become equal, definitions that the data contradicts.

use crate::harness::{Database, migrate, psql, run_psql, server, sqlite3, sqlite3_script, text};
use std::path::PathBuf;
use std::process::Output;

/// A source made from SQL, and a fresh target.
struct Case {
    folder: tempfile::TempDir,
    database: Database,
}

impl Case {
    fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        sqlite3_script(&folder.path().join("app.db"), sql);
        Self { folder, database: server() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, command: &str, flags: &[&str]) -> Output {
        let source = self.path("app.db");
        let from = source.to_str().unwrap();
        migrate([command, "--from", from, "--to", &self.database.url].iter().chain(flags))
    }

    fn exits(&self, flags: &[&str], code: i32) -> String {
        let output = self.run("database", flags);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        text(&output)
    }

    fn ask(&self, sql: &str) -> String {
        psql(&self.database.url, sql)
    }

    fn type_of(&self, column: &str) -> String {
        let (table, column) = column.split_once('.').unwrap();
        self.ask(&format!(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attname = '{column}'"
        ))
    }

    fn nothing_was_written(&self) {
        assert_eq!(
            self.ask("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
            "0"
        );
    }
}

#[test]
fn a_pin_is_asked_of_the_columns_that_a_foreign_key_joins_before_anything_is_written() {
    let case = Case::new(
        "PRAGMA foreign_keys = off;
         CREATE TABLE p (k INT PRIMARY KEY); CREATE TABLE c (k INT REFERENCES p (k));
         INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1), (100000);",
    );
    let message = case.exits(&["--cast", "p.k=smallint"], 4);
    assert!(message.contains("table \"c\" column \"k\""), "{message}");
    case.nothing_was_written();
    case.exits(&["--cast", "p.k=integer", "--cast", "c.k=bigint"], 0);
    assert_eq!((case.type_of("p.k"), case.type_of("c.k")), ("integer".into(), "bigint".into()));
    assert_eq!(case.ask("SELECT count(*) FROM pg_constraint WHERE contype = 'f'"), "1");
}

#[test]
fn a_key_whose_values_would_become_equal_is_refused_before_anything_is_written() {
    for (sql, flags) in [
        ("CREATE TABLE t (k UNIQUE); INSERT INTO t VALUES (1), ('1');", &[][..]),
        ("CREATE TABLE t (k BLOB PRIMARY KEY); INSERT INTO t VALUES ('a'), (x'61');", &[]),
        (
            "CREATE TABLE t (k TEXT UNIQUE); INSERT INTO t VALUES ('2024-01-01 00:00'), ('2024-01-01T00:00');",
            &["--cast", "t.k=timestamp"],
        ),
        (
            "CREATE TABLE t (k TEXT PRIMARY KEY);
             INSERT INTO t VALUES ('2024-01-01 00:00:00.1234561'), ('2024-01-01 00:00:00.1234562');",
            &["--cast", "t.k=timestamp"],
        ),
        (
            "CREATE TABLE t (k TEXT, old INT); CREATE UNIQUE INDEX current ON t (k) WHERE old = 0;
             INSERT INTO t VALUES ('00:00:00.1234561', 0), ('00:00:00.1234562', 0);",
            &["--cast", "t.k=time"],
        ),
        (
            "CREATE TABLE t (k, old INT); CREATE UNIQUE INDEX current ON t (k) WHERE old = 0;
             INSERT INTO t VALUES (1, 0), ('1', 0);",
            &[],
        ),
        (
            "CREATE TABLE t (k, name TEXT); CREATE UNIQUE INDEX pair ON t (k, lower(name));
             INSERT INTO t VALUES (1, 'a'), ('1', 'A');",
            &[],
        ),
    ] {
        let case = Case::new(sql);
        let message = case.exits(flags, 4);
        assert!(message.contains("the key (\"k\") of table \"t\" may not be unique"), "{message}");
        case.nothing_was_written();
    }
    let unlike = Case::new(
        "CREATE TABLE t (k, old INT); CREATE UNIQUE INDEX current ON t (k) WHERE old = 0;
         INSERT INTO t VALUES (1, 0), ('1', 1);",
    );
    unlike.exits(&[], 0);
    let apart = Case::new("CREATE TABLE t (k UNIQUE); INSERT INTO t VALUES (1), ('2');");
    apart.exits(&[], 0);
    assert_eq!(apart.type_of("t.k"), "text");
}

#[test]
fn a_unique_index_whose_condition_has_a_function_of_the_application_does_not_stop_the_plan() {
    let case = Case::new(
        "CREATE TABLE t (k, old INT); CREATE UNIQUE INDEX current ON t (k) WHERE abs(old) = 0;
         INSERT INTO t VALUES (1, 0), ('1', 1); PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'abs', 'app_abs');",
    );
    let message = case.exits(&[], 0);
    assert!(message.contains("\"current\""), "the index is listed: {message}");
}

#[test]
fn index_entries_of_a_utf16_source_are_measured_as_the_server_will_store_them() {
    let case = Case::new(
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (k TEXT);
         INSERT INTO t SELECT replace(hex(zeroblob(600)), '0', '語'); CREATE INDEX ti ON t (k);",
    );
    let message = case.exits(&[], 0);
    assert!(message.contains("\"ti\""), "the index is listed: {message}");
    assert_eq!(case.ask("SELECT octet_length(k) FROM t"), "3600");
}

#[test]
fn digits_beyond_microseconds_are_lost_digits_and_no_other_spelling() {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, z DATETIME, clock TIME);
        INSERT INTO t (at, z, clock) VALUES
        ('2024-01-01 00:00:00.1234567', '2024-01-01 00:00:00.1234567+10:00', '01:02:03.0000001'),
        ('2024-01-01 00:00:00.123456000', '2024-01-01 00:00:00Z', '01:02:03');";
    let case = Case::new(sql);
    let message = case.exits(&["--exact"], 4);
    for (column, to) in [("at", "timestamp"), ("z", "timestamptz"), ("clock", "time")] {
        let cause = format!("column \"{column}\": digits beyond microseconds lost to {to} (1)");
        assert!(message.contains(&cause), "{message}");
    }
    case.nothing_was_written();
    let message = case.exits(&[], 0);
    for line in [
        "will lose digits\n  t.at     timestamp    digits beyond microseconds lost  1\n",
        "\nlost digits\n  t.at     timestamp    digits beyond microseconds lost  1\n",
        "  t.at  timestamp    other spellings of the same timestamp    1\n",
        "verdict: match, 3 values rounded; 2 rows in 1 table",
    ] {
        assert!(message.contains(line), "no {line:?} in {message}");
    }
    // A comparison without a plan counts them, too.
    let message = case.exits(&["--verify"], 0);
    assert!(message.contains("verdict: match, 3 values rounded"), "{message}");
    let epoch = Case::new(
        "CREATE TABLE t (ns INTEGER, day INTEGER); \
         INSERT INTO t VALUES (1704067200000000000, 1704067200), (1704067200000000001, 1704067201);",
    );
    let casts = ["--cast", "t.ns=timestamp:ns", "--cast", "t.day=date:s"];
    epoch.exits(&[&casts[..], &["--exact"]].concat(), 4);
    let message = epoch.exits(&casts, 0);
    for line in [
        "\nlost digits\n  t.ns   timestamp  digits beyond microseconds lost  1\n  \
         t.day  date       time of day lost                 1\n",
        "verdict: match, 2 values rounded; 2 rows in 1 table",
    ] {
        assert!(message.contains(line), "no {line:?} in {message}");
    }
    let digits = "CREATE TABLE t (at DATETIME UNIQUE);
        INSERT INTO t VALUES ('2024-01-01 00:00:00.1234567'), ('2024-01-01 00:00:00.1234568');";
    let key = Case::new(digits);
    let message = key.exits(&[], 0);
    assert!(
        message.contains("in a key, and 2 values with digits beyond microseconds"),
        "{message}"
    );
    assert_eq!(key.type_of("t.at"), "text");
}

#[test]
fn a_row_is_rejected_for_what_its_generated_column_holds() {
    let case = Case::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT AS (a * 2) STORED);
         INSERT INTO t (a) VALUES (1), (30000), (2);",
    );
    let rejected = case.path("rejected.db");
    let file = rejected.to_str().unwrap();
    let flags = ["--cast", "t.b=smallint", "--on-misfit", "reject", "--reject-file", file];
    let planned = case.run("plan", &flags);
    assert_eq!(planned.status.code(), Some(0), "{}", text(&planned));
    assert!(!rejected.exists(), "a dry run writes nothing");
    let message = case.exits(&flags, 0);
    assert!(message.contains("not migrated: 1 row of table \"t\""), "{message}");
    assert_eq!(case.ask("SELECT string_agg(id || ':' || b, ',' ORDER BY id) FROM t"), "1:2,3:4");
    let left = "SELECT id, a, \"migrate place\", \"migrate reason\" FROM t";
    assert_eq!(sqlite3(&rejected, left), "2|30000|2|column \"b\": out of the type's range");
}

#[test]
fn a_not_null_that_the_data_contradicts_is_listed() {
    let case = Case::new(
        "CREATE TABLE t (a INT); INSERT INTO t VALUES (NULL), (1);
         PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a INT NOT NULL)' WHERE name = 't';",
    );
    let message = case.exits(&[], 0);
    assert!(message.contains("declared NOT NULL, but 1 of its values is NULL"), "{message}");
    assert_eq!(case.ask("SELECT count(*) FROM t WHERE a IS NULL"), "1");
}

#[test]
fn whole_decimals_join_integers_as_numbers() {
    let case = Case::new(
        "CREATE TABLE p (k DECIMAL(10,0) PRIMARY KEY); CREATE TABLE c (k INTEGER REFERENCES p (k));
         INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (1);
         CREATE TABLE i (id INTEGER PRIMARY KEY); CREATE TABLE d (i DECIMAL(10,0) REFERENCES i (id));
         INSERT INTO i VALUES (7); INSERT INTO d VALUES (7);
         CREATE TABLE b (f BOOLEAN PRIMARY KEY); CREATE TABLE n (f INTEGER REFERENCES b (f));
         INSERT INTO b VALUES (0), (1); INSERT INTO n VALUES (1);",
    );
    case.exits(&[], 0);
    assert_eq!((case.type_of("p.k"), case.type_of("c.k")), ("numeric".into(), "numeric".into()));
    assert_eq!((case.type_of("i.id"), case.type_of("d.i")), ("bigint".into(), "bigint".into()));
    assert_eq!((case.type_of("b.f"), case.type_of("n.f")), ("bigint".into(), "bigint".into()));
    assert_eq!(
        case.ask("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"),
        "3"
    );
}

#[test]
fn a_narrower_key_keeps_its_identity_and_its_foreign_keys() {
    let case = Case::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p (id));
         INSERT INTO p VALUES (5); INSERT INTO c VALUES (5);",
    );
    case.exits(&["--cast", "p.id=integer"], 0);
    assert_eq!(case.type_of("p.id"), "integer");
    assert_eq!(case.ask("INSERT INTO p DEFAULT VALUES RETURNING id"), "6");
    assert_eq!(
        case.ask("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated"),
        "1"
    );
}

#[test]
fn written_casts_are_read_again() {
    let case = Case::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p TEXT REFERENCES p (id), j JSON);
         INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES ('1', '{}'), ('2', '[]');",
    );
    let casts = case.path("casts.json");
    let casts = casts.to_str().unwrap();
    let planned = case.run("plan", &["--write-casts", casts]);
    assert_eq!(planned.status.code(), Some(0), "{}", text(&planned));
    case.exits(&["--casts", casts, "--strict"], 0);
    assert_eq!((case.type_of("c.p"), case.type_of("c.j")), ("bigint".into(), "json".into()));
}

#[test]
fn constraints_with_the_same_name_all_arrive() {
    let case = Case::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);
         CREATE TABLE t (a INT, b INT, CONSTRAINT c CHECK (a > 0), CONSTRAINT c UNIQUE (a),
                         CONSTRAINT c FOREIGN KEY (b) REFERENCES p (id));",
    );
    case.exits(&["--strict"], 0);
    let kinds = "SELECT string_agg(contype::text, '' ORDER BY contype::text) FROM pg_constraint \
                 WHERE conrelid = 't'::regclass";
    assert_eq!(case.ask(kinds), "cfu");
}

#[test]
fn dropping_all_drops_a_ledger_without_tables() {
    let case = Case::new("CREATE TABLE t (a INT)");
    case.exits(&[], 0);
    case.ask("UPDATE migrate_ledger SET data_set = 'other.db', detail = '{\"state\":\"copying\"}'; DROP TABLE t");
    assert!(case.exits(&[], 4).contains("half loaded"));
    case.exits(&["--drop-all"], 0);
    assert_eq!(case.ask("SELECT count(*) FROM migrate_ledger WHERE data_set = 'other.db'"), "0");
}

#[test]
fn strict_accepts_what_the_user_excluded() {
    let case = Case::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p (id));",
    );
    case.exits(&["--strict", "--exclude", "p"], 0);
}

#[test]
fn a_role_that_may_not_create_gets_a_message_with_the_missing_grant() {
    let case = Case::new("CREATE TABLE t (a INT)");
    let role = format!("reader_{}", case.database.name);
    case.ask(&format!("CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"));
    let source = case.path("app.db");
    let url = format!("{}&options=-crole%3D{role}", case.database.url);
    let output = migrate(["database", "--from", source.to_str().unwrap(), "--to", &url]);
    run_psql(&case.database.url, &format!("DROP ROLE {role}"));
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("GRANT CREATE ON SCHEMA"), "{}", text(&output));
}

#[test]
fn long_keys_do_not_bound_ranges() {
    let case = Case::new(
        "CREATE TABLE t (k TEXT PRIMARY KEY, v INT) WITHOUT ROWID;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO t SELECT i || hex(zeroblob(20000)), i FROM n;",
    );
    case.exits(&["--on-misfit", "widen", "--memory", "16M"], 0);
    assert_eq!(case.ask("SELECT count(*), sum(v), sum(length(k)) FROM t"), "300|45150|12000792");
    assert!(case.ask("SELECT max(length(detail)) < 10000 FROM migrate_ledger") == "t");
}

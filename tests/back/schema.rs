//! Schema objects that are created, and those that are listed instead.

use super::{Target, back, back_report};
use crate::harness::{psql, run_psql, server, sqlite3, sqlite3_script, text};
use crate::outcome::list;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

fn left_out(report: &Value) -> Vec<String> {
    let entries = list(&report["data_sets"][0]["left_out"]);
    let mut all: Vec<String> = entries
        .map(|entry| {
            format!("{} {}", entry["kind"].as_str().unwrap(), entry["name"].as_str().unwrap())
        })
        .collect();
    all.sort();
    all
}

const SHOP: &str = "
    CREATE TABLE customer (
      id bigserial PRIMARY KEY,
      email text NOT NULL UNIQUE,
      name varchar(40) DEFAULT 'nobody',
      active boolean NOT NULL DEFAULT true,
      score numeric(6,2) DEFAULT 1.5 CHECK (score >= 0),
      joined timestamptz DEFAULT now(),
      born date,
      kind text CHECK (kind IN ('a', 'b')),
      twice int GENERATED ALWAYS AS (length(email) * 2) STORED
    );
    CREATE TABLE purchase (
      id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      customer_id bigint REFERENCES customer (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
      at timestamp NOT NULL,
      note text
    );
    CREATE TABLE line (
      purchase_id int REFERENCES purchase, place smallint, what text COLLATE \"C\",
      PRIMARY KEY (purchase_id, place)
    );
    CREATE INDEX purchase_recent ON purchase (at DESC) WHERE note IS NOT NULL;
    CREATE UNIQUE INDEX line_what ON line (lower(what), purchase_id);
    CREATE INDEX purchase_found ON purchase USING gin (to_tsvector('english', note));
    CREATE INDEX purchase_folded ON purchase (lower(note));
    INSERT INTO customer (id, email, born) VALUES (7, 'a@b', '2000-01-01'), (9, 'c@d', NULL);
    SELECT setval('customer_id_seq', 41);
    INSERT INTO purchase (customer_id, at, note) VALUES (7, '2024-01-01', 'x');
    INSERT INTO line VALUES (1, 1, 'Thing');
    CREATE VIEW v AS SELECT 1 AS one;
    CREATE MATERIALIZED VIEW m AS SELECT 2 AS two;
    CREATE SEQUENCE free;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER tr BEFORE INSERT ON line FOR EACH ROW EXECUTE FUNCTION f();
    CREATE TABLE child (extra int) INHERITS (line);
    INSERT INTO child VALUES (1, 9, 'kid', 5);
";

#[test]
fn keys_checks_defaults_and_indexes_arrive_and_the_rest_is_listed() {
    let database = server();
    psql(&database.url, SHOP);
    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    assert_eq!(
        left_out(&report),
        [
            "column id",
            "function f()",
            "index purchase_folded",
            "index purchase_found",
            "inheritance line",
            "materialized_view m",
            "sequence free",
            "trigger tr",
            "view v"
        ]
    );
    let sql = |sql: &str| sqlite3(&target.path, sql);
    assert_eq!(sql("SELECT count(*) FROM line"), "1");
    assert_eq!(sql("SELECT purchase_id, place, what, extra FROM child"), "1|9|kid|5");
    let definitions = sql(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' ORDER BY name",
    );
    for part in [
        "\"id\" INTEGER PRIMARY KEY AUTOINCREMENT",
        "\"email\" TEXT NOT NULL",
        "UNIQUE (\"email\")",
        "\"name\" TEXT DEFAULT 'nobody'",
        "\"active\" BOOLEAN DEFAULT 1 NOT NULL",
        "\"score\" DECIMAL(6,2) DEFAULT 1.5",
        "CHECK ((\"score\" >= 0))",
        "CHECK ((\"kind\" IN ('a', 'b')))",
        "\"joined\" DATETIME DEFAULT (strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))",
        "\"twice\" INTEGER GENERATED ALWAYS AS ((length(\"email\") * 2)) STORED",
        "REFERENCES \"customer\" (\"id\") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        "PRIMARY KEY (\"purchase_id\", \"place\")",
        "CREATE INDEX \"purchase_recent\" ON \"purchase\" (\"at\" DESC) WHERE (\"note\" IS NOT NULL)",
        "CREATE UNIQUE INDEX \"line_what\" ON \"line\" ((lower(\"what\")), \"purchase_id\")",
    ] {
        assert!(definitions.contains(part), "{part} is not in\n{definitions}");
    }
    sqlite3_script(
        &target.path,
        "INSERT INTO customer (email) VALUES ('e@f'); INSERT INTO purchase (at) VALUES ('2024-01-02 00:00:00')",
    );
    assert_eq!(sql("SELECT max(id) FROM customer"), "42", "what was handed out stays so");
    assert_eq!(sql("SELECT max(id) FROM purchase"), "2");
    assert_eq!(sql("PRAGMA integrity_check"), "ok");
    assert_eq!(sql("PRAGMA foreign_key_check"), "");
    assert_eq!(sql("SELECT count(*) > 0 FROM sqlite_stat1"), "1");
    // Alone it is compared, too; and the rows that were added are found.
    let alone = back_report(&database, &target.path, &["--verify"], 3);
    let tables = &alone["data_sets"][0]["tables"];
    assert_eq!(tables[0]["verification"]["differences"][0]["kind"], "extra", "{alone:#}");
    assert_eq!(tables[0]["verification"]["target_rows"], 3);
}

#[test]
fn verification_alone_finds_changes_of_the_file() {
    let database = server();
    psql(&database.url, SHOP);
    let target = Target::new();
    back_report(&database, &target.path, &[], 0);
    let alone = || back_report(&database, &target.path, &["--verify"], 3);
    back_report(&database, &target.path, &["--verify"], 0);
    sqlite3_script(&target.path, "UPDATE customer SET born = '2000-01-02' WHERE id = 7");
    let row = alone()["data_sets"][0]["tables"][0]["verification"]["differences"][0].clone();
    assert_eq!((&row["kind"], &row["columns"][0]["column"]), (&"changed".into(), &"born".into()));
    assert_eq!(row["target_place"], "rowid 7");
    sqlite3_script(
        &target.path,
        "UPDATE customer SET born = '2000-01-01' WHERE id = 7; DELETE FROM line",
    );
    let report = alone();
    let row = &report["data_sets"][0]["tables"][2]["verification"]["differences"][0];
    assert_eq!(row["kind"], "missing", "{report:#}");
    sqlite3_script(
        &target.path,
        "INSERT INTO line VALUES (1, 1, 'Thing'); DROP INDEX line_what; DROP TABLE child",
    );
    let differences = alone()["data_sets"][0]["differences"].clone();
    let message = differences.to_string();
    assert!(message.contains("line_what") && message.contains("child"), "{message}");
}

#[test]
fn a_partitioned_table_is_one_and_another_schema_is_chosen_by_name() {
    let database = server();
    psql(
        &database.url,
        "CREATE SCHEMA other; CREATE TABLE here (a int); \
        CREATE TABLE other.events (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
        CREATE TABLE other.e1 PARTITION OF other.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); \
        CREATE TABLE other.e2 PARTITION OF other.events DEFAULT; \
        CREATE TABLE other.bare (t text) PARTITION BY HASH (t); \
        CREATE TABLE other.b1 PARTITION OF other.bare FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
        CREATE TABLE other.b2 PARTITION OF other.bare FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
        INSERT INTO other.bare SELECT g::text FROM generate_series(1, 50) g; \
        INSERT INTO other.events VALUES (1, '2024-05-05'), (2, '2026-01-01')",
    );
    let target = Target::new();
    back_report(&database, &target.path, &["--schema", "other"], 0);
    assert_eq!(
        sqlite3(
            &target.path,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1"
        ),
        "bare\nevents"
    );
    assert_eq!(
        sqlite3(&target.path, "SELECT id, at FROM events ORDER BY id"),
        "1|2024-05-05\n2|2026-01-01"
    );
    assert_eq!(sqlite3(&target.path, "SELECT count(*), sum(t) FROM bare"), "50|1275");
    let output = back(&database, &target.path, &["--schema", "none", "--drop-all"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
}

#[test]
fn a_target_with_tables_is_refused_and_replaced_only_on_request() {
    let database = server();
    psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let target = Target::new();
    sqlite3_script(
        &target.path,
        "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; CREATE TABLE t (old); CREATE TABLE u (x)",
    );
    std::fs::set_permissions(&target.path, std::fs::Permissions::from_mode(0o604)).unwrap();
    let output = back(&database, &target.path, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("is not empty"), "{}", text(&output));
    let output = back(&database, &target.path, &["--drop-all"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("\"u\""), "{}", text(&output));
    assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM u"), "0");
    back_report(&database, &target.path, &["--drop-all", "--yes"], 0);
    assert_eq!(sqlite3(&target.path, "SELECT a FROM t"), "1");
    assert_eq!(sqlite3(&target.path, "PRAGMA page_size"), "8192");
    assert_eq!(sqlite3(&target.path, "PRAGMA journal_mode"), "wal");
    assert_eq!(std::fs::metadata(&target.path).unwrap().permissions().mode() & 0o777, 0o604);
}

#[test]
fn an_absent_an_empty_and_a_tableless_target_are_empty() {
    let database = server();
    psql(&database.url, "CREATE TABLE t (a int)");
    let target = Target::new();
    std::fs::write(&target.path, "").unwrap();
    back_report(&database, &target.path, &[], 0);
    sqlite3_script(&target.path, "DROP TABLE t");
    back_report(&database, &target.path, &[], 0);
    assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM t"), "0");
    let new = target.folder.path().join("new.db");
    back_report(&database, &new, &[], 0);
    assert_eq!(sqlite3(&new, "PRAGMA page_size"), "4096");
    assert_eq!(sqlite3(&new, "PRAGMA journal_mode"), "delete");
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_new_file_belongs_to_whom_the_folder_or_the_old_file_belonged() {
    if !rustix::process::geteuid().is_root() {
        // Past the test runner, which keeps what tests print that pass to itself.
        let said =
            b"NOT TESTED on this machine: who owns a new file (giving one away needs root)\n";
        std::io::stderr().write_all(said).unwrap();
        return;
    }
    let database = server();
    psql(&database.url, "CREATE TABLE t (a int)");
    let target = Target::new();
    chown(target.folder.path(), Some(12345), Some(54321)).unwrap();
    let owner = || {
        let metadata = std::fs::metadata(&target.path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
    };
    back_report(&database, &target.path, &[], 0);
    assert_eq!(owner(), (12345, 54321, 0o640));
    chown(&target.path, Some(2345), Some(4321)).unwrap();
    std::fs::set_permissions(&target.path, std::fs::Permissions::from_mode(0o604)).unwrap();
    back_report(&database, &target.path, &["--drop-all", "--allow-running"], 0);
    assert_eq!(owner(), (2345, 4321, 0o604));
}

#[test]
fn tables_of_an_attached_database_are_listed_and_not_copied() {
    let database = server();
    psql(
        &database.url,
        "CREATE FOREIGN DATA WRAPPER elsewhere; CREATE SERVER there FOREIGN DATA WRAPPER elsewhere; \
        CREATE FOREIGN TABLE far (a int) SERVER there; \
        CREATE TABLE near (a int); INSERT INTO near VALUES (1)",
    );
    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(left_out(&report), ["foreign_table far"]);
    assert_eq!(
        sqlite3(&target.path, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'"),
        "near"
    );
    let output = back(&database, &target.path, &["--drop-all", "--strict"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("\"far\""), "{}", text(&output));
}

#[test]
fn names_that_are_equal_to_sqlite_stay_apart() {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE \"Users\" (\"Id\" int, id int); CREATE TABLE users (a int); \
        CREATE TABLE \"sqlite_x\" (a int); CREATE INDEX \"USERS\" ON users (a); \
        INSERT INTO \"Users\" VALUES (1, 2); INSERT INTO users VALUES (3)",
    );
    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    assert_eq!(sqlite3(&target.path, "SELECT \"Id\" FROM \"Users\""), "1");
    assert_eq!(
        sqlite3(
            &target.path,
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        ),
        "3"
    );
}

#[test]
fn orphans_come_back_with_their_key_where_it_was_not_valid() {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int); INSERT INTO c VALUES (5); \
        ALTER TABLE c ADD CONSTRAINT ck FOREIGN KEY (p) REFERENCES p NOT VALID",
    );
    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(left_out(&report), ["foreign_key ck"]);
    assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM pragma_foreign_key_list('c')"), "1");
}

#[test]
fn rows_hidden_by_row_level_security_are_refused() {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY; \
        CREATE POLICY p ON t USING (false); \
        DO $$ BEGIN CREATE ROLE back_reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
        GRANT SELECT ON t TO back_reader",
    );
    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(left_out(&report), ["policy p", "role back_reader"]);
    let url = database.url.replacen("postgres://postgres", "postgres://back_reader", 1);
    assert!(run_psql(&url, "SELECT 1").status.success());
    let other = crate::harness::Database { name: database.name.clone(), url };
    let output = back(&other, &target.path, &["--drop-all"]);
    std::mem::forget(other);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("row-level security"), "{}", text(&output));
}

#[test]
fn flags_of_the_other_direction_are_usage_errors() {
    let database = server();
    let target = Target::new();
    let reject = target.folder.path().join("rejects.db");
    let reject = ["--on-misfit", "reject", "--reject-file", reject.to_str().unwrap()];
    for flags in [&["--create-database"][..], &reject] {
        let output = back(&database, &target.path, flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", text(&output));
    }
    let there = ["database", "--from", "app.db", "--to", &database.url, "--schema", "public"];
    let output = crate::harness::migrate(there);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("--schema"), "{}", text(&output));
    assert!(target.files().is_empty());
}

#[test]
fn a_plan_writes_nothing() {
    let database = server();
    psql(&database.url, "CREATE TABLE t (a numeric, b int); INSERT INTO t VALUES (1.5, 2)");
    let target = Target::new();
    let to = target.path.to_str().unwrap();
    let output = crate::harness::migrate(["plan", "--from", &database.url, "--to", to]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("total of 1 table"), "{}", text(&output));
    assert!(target.files().is_empty());
}

#[test]
fn a_table_without_columns_is_refused_until_it_is_excluded() {
    let database = server();
    psql(&database.url, "CREATE TABLE bare (); CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let target = Target::new();
    let output = back(&database, &target.path, &["--on-misfit", "widen"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("table \"bare\" has no columns"), "{}", text(&output));
    assert!(target.files().is_empty());
    let output = back(&database, &target.path, &["--exclude=bare"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let verdict = "verdict: match, 1 table excluded; 1 row in 1 table";
    assert!(text(&output).contains(verdict), "{}", text(&output));
}

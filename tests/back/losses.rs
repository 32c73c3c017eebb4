//! What SQLite cannot have is listed and refused by `--strict`; what has another form there is
//! translated.

use super::{Target, back, back_report};
use crate::harness::{psql, server, sqlite3, sqlite3_script, text};
use crate::outcome::list;
use serde_json::Value;

/// What is listed as not migrated: kind, table, name and reason.
fn listed(report: &Value) -> Vec<String> {
    let part = |entry: &Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    let entries = list(&report["data_sets"][0]["left_out"]);
    let line = |entry: &Value| {
        ["kind", "table", "name", "reason"].map(|name| part(entry, name)).join(" | ")
    };
    entries.map(line).collect()
}

/// Migrates a database that `schema` creates. The run lists exactly what `expected` begins, and
/// `--strict` refuses it.
fn assert_listed(schema: &str, expected: &[&str]) -> Target {
    let (database, target) = (server(), Target::new());
    psql(&database.url, schema);
    let refused = back(&database, &target.path, &["--strict"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(target.files().is_empty());
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    let mut found = listed(&report);
    found.sort();
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    assert!(fits, "{}", found.join("\n"));
    back_report(&database, &target.path, &["--verify"], 0);
    target
}

#[test]
fn what_a_constraint_does_only_in_postgresql_is_listed_and_the_rest_of_it_is_kept() {
    let version: u32 = psql(&server().url, "SHOW server_version_num").parse().unwrap();
    let (nulls, set_null) = match version {
        150_000.. => ("NULLS NOT DISTINCT", "SET NULL (b)"),
        _ => ("", "NO ACTION"),
    };
    let only_since_15 = ["partly", "item_b", "code_key"];
    let mut expected = vec![
        "check | old | late | it holds for new rows only (NOT VALID)",
        "check | old | old_a_check | it does not hold for the rows of child tables",
        "foreign_key | item | partly | SQLite can only change all of its columns when",
        "index | item | item_b | SQLite's unique indexes allow any number of NULLs",
        "inheritance | young | old | ",
        "primary_key | free | free_pkey | SQLite checks it for each row",
        "unique | item | code_key | SQLite's unique keys allow any number of NULLs",
        "unique | item | item_place_key | SQLite checks it for each row",
    ];
    expected.retain(|entry| {
        version >= 150_000 || !only_since_15.iter().any(|name| entry.contains(name))
    });
    let target = assert_listed(
        &format!(
            "CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b));
         CREATE TABLE free (id int PRIMARY KEY DEFERRABLE);
         CREATE TABLE item (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED,
           code text COLLATE \"C\" CONSTRAINT code_key UNIQUE {nulls}, a int, b int,
           CONSTRAINT partly FOREIGN KEY (a, b) REFERENCES parent ON DELETE {set_null},
           CONSTRAINT whole FOREIGN KEY (a, b) REFERENCES parent MATCH FULL);
         CREATE UNIQUE INDEX item_b ON item (b) {nulls};
         CREATE TABLE old (a int CHECK (a > 0) NO INHERIT, b int);
         ALTER TABLE old ADD CONSTRAINT late CHECK (b > 0) NOT VALID;
         CREATE TABLE young (c int) INHERITS (old);
         INSERT INTO parent VALUES (1, 2); INSERT INTO item VALUES (1, 1, 'x', 1, 2);"
        ),
        &expected,
    );
    let sql = |sql: &str| sqlite3(&target.path, sql);
    let keys = "SELECT group_concat(\"table\" || on_delete, ' ') FROM pragma_foreign_key_list('item') WHERE seq = 0";
    assert_eq!(sql(keys), "parentNO ACTION parentNO ACTION");
    assert_eq!(
        sql("SELECT count(*) FROM pragma_index_list('item') WHERE \"unique\""),
        "3",
        "two keys and an index"
    );
    let half = "INSERT INTO item (id, a) VALUES (2, 1)";
    let error = rusqlite::Connection::open(&target.path).unwrap().execute(half, []).unwrap_err();
    assert!(error.to_string().contains("CHECK constraint failed"), "MATCH FULL: {error}");
    sqlite3_script(&target.path, "INSERT INTO item (id) VALUES (2)");
}

#[test]
fn strict_refuses_rows_without_a_parent_before_the_copy() {
    assert_listed(
        "CREATE TABLE p (id int PRIMARY KEY, \"other id\" int, UNIQUE (\"other id\", id));
         CREATE TABLE c (id int PRIMARY KEY, p int, \"q 1\" int);
         INSERT INTO p VALUES (1, 2);
         INSERT INTO c VALUES (1, 9, 2), (2, NULL, 3), (3, 1, 2), (4, 1, NULL), (5, 1, 1);
         ALTER TABLE c ADD CONSTRAINT one FOREIGN KEY (p) REFERENCES p NOT VALID,
           ADD CONSTRAINT two FOREIGN KEY (\"q 1\", p) REFERENCES p (\"other id\", id) NOT VALID;",
        &[
            "foreign_key | c | one | 1 row has no parent, as in PostgreSQL (NOT VALID)",
            "foreign_key | c | two | 2 rows have no parent, as in PostgreSQL (NOT VALID)",
        ],
    );
}

#[test]
fn an_enum_becomes_text_that_only_its_labels_fit() {
    let target = assert_listed(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN feeling AS mood; CREATE TYPE nothing AS ENUM ();
         CREATE DOMAIN code AS text COLLATE \"C\" CHECK (length(VALUE) = 2);
         CREATE TYPE pair AS (one mood, two int);
         CREATE TABLE person (id int PRIMARY KEY, now mood NOT NULL, later feeling DEFAULT 'sad',
           earlier mood[], codes code[], mixed pair, void nothing);
         INSERT INTO person VALUES (1, 'sad', NULL, '{sad}', '{ab}', '(sad,1)');",
        &[
            "column | person | codes | SQLite does not check the parts of its values, which are of the type code",
            "column | person | earlier | SQLite does not check the parts of its values, which are of the type mood",
            "column | person | mixed | SQLite does not check the parts of its values, which are of the type mood",
        ],
    );
    let connection = rusqlite::Connection::open(&target.path).unwrap();
    for (sql, fits) in [
        ("INSERT INTO person (id, now) VALUES (2, 'it''s ok')", true),
        ("INSERT INTO person (id, now, later) VALUES (3, 'sad', NULL)", true),
        ("INSERT INTO person (id, now) VALUES (4, 'glad')", false),
        ("INSERT INTO person (id, now, void) VALUES (6, 'sad', 'x')", false),
        ("INSERT INTO person (id, now, later) VALUES (5, 'sad', 'Sad')", false),
    ] {
        assert_eq!(connection.execute(sql, []).is_ok(), fits, "{sql}");
    }
    assert_eq!(sqlite3(&target.path, "SELECT later FROM person WHERE id = 2"), "sad");
}

#[test]
fn the_properties_of_a_sequence_are_kept_or_listed() {
    let target = assert_listed(
        "CREATE TABLE a (id int GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 10 MAXVALUE 900 CYCLE)
           PRIMARY KEY);
         CREATE TABLE b (id int GENERATED ALWAYS AS IDENTITY (START WITH 1000 CACHE 20) PRIMARY KEY);
         CREATE TABLE c (id serial PRIMARY KEY, other int);
         SELECT setval('c_id_seq', 70, false);
         CREATE TABLE d (id int PRIMARY KEY DEFAULT 0, other int);
         CREATE SEQUENCE own OWNED BY d.id;
         ALTER TABLE d ALTER id SET DEFAULT nextval('own') * 2;",
        &[
            "column | b | id | SQLite also accepts a value in a statement (GENERATED ALWAYS)",
            "default | d | id | ",
            "sequence | a | a_id_seq | SQLite takes the largest value plus 1, without INCREMENT BY 10, MAXVALUE 900, CYCLE",
        ],
    );
    sqlite3_script(&target.path, "INSERT INTO b DEFAULT VALUES; INSERT INTO c (other) VALUES (1)");
    assert_eq!(sqlite3(&target.path, "SELECT b.id, c.id FROM b, c"), "1000|70");
}

#[test]
fn objects_that_sqlite_does_not_have_are_listed() {
    assert_listed(
        "CREATE TABLE t (id int PRIMARY KEY, a text COLLATE \"POSIX\", b text COLLATE \"en-x-icu\");
         CREATE TABLE excluded (id int PRIMARY KEY); COMMENT ON TABLE excluded IS 'one';
         COMMENT ON TABLE t IS 'all'; COMMENT ON COLUMN t.a IS 'one' ;
         COMMENT ON CONSTRAINT t_pkey ON t IS 'key'; COMMENT ON COLUMN t.id IS '{\"sqlite\":{\"type\":\"INTEGER\"}}';
         CREATE VIEW v AS SELECT 1 AS one; COMMENT ON VIEW v IS 'a view';
         COMMENT ON SCHEMA public IS 'ours';
         CREATE RULE quiet AS ON DELETE TO t DO INSTEAD NOTHING;
         ALTER TABLE t ENABLE ROW LEVEL SECURITY;
         CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER off BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
         ALTER TABLE t DISABLE TRIGGER off;
         CREATE TABLE part (id int, at int) PARTITION BY RANGE (at);
         CREATE TABLE low PARTITION OF part (CONSTRAINT own CHECK (id > 0)) FOR VALUES FROM (0) TO (9);
         CREATE UNIQUE INDEX low_id ON low (id);
         CREATE TABLE whole (id int, at int) PARTITION BY LIST (at);
         CREATE TABLE rest PARTITION OF whole DEFAULT;
         CREATE SCHEMA audit; CREATE TABLE audit.log (id int); INSERT INTO audit.log VALUES (1);
         CREATE TABLE audit.empty (id int); CREATE SCHEMA nothing; CREATE TABLE nothing.t (a int);",
        &[
            "check | part | own | only the partition low has it",
            "check | part | partitions | SQLite also accepts rows that belong to no partition",
            "column | t | b | collation en-x-icu becomes SQLite's BINARY",
            "comments | - | 1 comment | SQLite does not store comments of the schema",
            "comments | excluded | 1 comment | SQLite does not store comments",
            "comments | t | 3 comments | SQLite does not store comments",
            "comments | v | 1 comment | SQLite does not store comments",
            "function | - | f() | ",
            "function | - | twice(n integer) | SQLite has no stored functions",
            "index | part | low_id | only the partition low has it",
            "policy | t | row-level security | ",
            "rule | t | quiet | SQLite has no rules",
            "schema | - | audit | only one schema is migrated (--schema); this one has 1 table with rows (log; ",
            "trigger | t | off | triggers are not migrated (it is disabled)",
            "view | - | v | ",
        ],
    );
}

#[test]
fn strict_accepts_a_schema_that_arrives_whole_and_what_is_excluded_is_not_a_loss() {
    let (database, target) = (server(), Target::new());
    psql(
        &database.url,
        "CREATE TYPE mood AS ENUM ('sad', 'glad');
         CREATE TABLE t (id bigserial PRIMARY KEY, n text COLLATE \"C\" NOT NULL DEFAULT 'x' UNIQUE,
           m mood DEFAULT 'sad', at timestamptz DEFAULT now(), price numeric(10,2) DEFAULT 0);
         CREATE TABLE child (id int PRIMARY KEY, t bigint REFERENCES t DEFERRABLE);
         CREATE UNLOGGED TABLE u (id int PRIMARY KEY) WITH (fillfactor = 70);
         CREATE INDEX u_id ON u (id DESC NULLS LAST) INCLUDE (id);
         CREATE STATISTICS s ON n, m FROM t; ALTER TABLE t REPLICA IDENTITY FULL;
         CREATE TABLE noisy (id int PRIMARY KEY, UNIQUE (id) DEFERRABLE);
         COMMENT ON TABLE noisy IS 'listed only if it is migrated';
         CREATE SCHEMA other; CREATE TABLE other.log (id int); INSERT INTO other.log VALUES (1);
         INSERT INTO t DEFAULT VALUES",
    );
    let refused = back(&database, &target.path, &["--strict", "--exclude", "noisy"]);
    assert_eq!(refused.status.code(), Some(4), "{}", text(&refused));
    assert!(text(&refused).contains("schema \"other\""), "{}", text(&refused));
    // The user who names the schema knows of the others.
    let flags = ["--strict", "--exclude", "noisy", "--schema", "public"];
    let report = back_report(&database, &target.path, &flags, 0);
    assert_eq!(listed(&report).len(), 1, "{report:#}");
    let notes = report["data_sets"][0]["notes"].to_string();
    assert!(notes.contains("schema \\\"other\\\""), "{notes}");
}

/// A type, and constants of it. Each is the default of a column, and the value of another one.
const DEFAULTS: &[(&str, &[&str])] = &[
    ("money", &["1.5", "'$2.50'", "3"]),
    ("char(5)", &["'ab'", "''"]),
    ("varchar(3)", &["'ab'", "lower('ABC')"]),
    ("text COLLATE \"C\"", &["'it''s'", "E'a\\\\b\\nc'", "'0012'", "'a' || 'b'", "repeat('é', 2)"]),
    ("boolean", &["true", "'no'", "(NOT true)", "(1 > 0)"]),
    ("integer", &["5", "-5", "'7'", "2 * 3", "1.6"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807"]),
    ("real", &["0.1", "1", "'1e30'"]),
    ("double precision", &["0.1", "-2", "1e300", "'-Infinity'", "1.0 / 3.0"]),
    ("numeric", &["1.50", "0", "-3.0", "1e3"]),
    ("numeric(6,2)", &["1.555", "7", "-0.10"]),
    ("numeric(20,10)", &["0.1"]),
    ("date", &["'2024-2-3'", "date '2024-01-01' + 1"]),
    ("time", &["'1:02'", "'23:59:59.50'"]),
    ("timestamp", &["'2024-01-01'", "'2024-01-01 01:02:03.4500'"]),
    ("timestamptz", &["'2024-01-01 00:00:00+02'", "'2024-01-01 12:00:00.5 America/New_York'"]),
    ("timetz", &["'01:02:03+02'"]),
    ("interval", &["'90 minutes'", "'1 day 36 hours'", "'P1Y2M'"]),
    ("bytea", &["'\\xDEAD'", "'abc'", "''"]),
    ("uuid", &["'A0EEBC999C0B4EF8BB6D6BB9BD380A11'"]),
    ("json", &["'{\"a\": 1}'", "'[]'"]),
    ("jsonb", &["'{\"b\":1,\"a\":[1.0]}'"]),
    ("inet", &["'10.0.0.1/32'"]),
    ("cidr", &["'10'"]),
    ("int[]", &["'{1, 2}'", "ARRAY[1, 2]", "'{}'"]),
    ("text[]", &["ARRAY['a,b', 'c']"]),
    ("int4range", &["'[1,4]'"]),
    ("bit(4)", &["B'1010'"]),
    ("point", &["'(1.50, 2)'"]),
    ("mood", &["'sad'"]),
    ("price", &["DEFAULT", "2"]),
    ("code", &["DEFAULT"]),
];

#[test]
fn a_constant_default_gives_in_sqlite_what_it_gives_in_postgresql() {
    let (database, target) = (server(), Target::new());
    let all = || DEFAULTS.iter().flat_map(|(name, all)| all.iter().map(move |text| (name, text)));
    let column = |(number, (name, default)): (usize, (&&str, &&str))| {
        let clause =
            if *default == "DEFAULT" { String::new() } else { format!("DEFAULT {default}") };
        format!("c{number} {name} {clause}")
    };
    let columns: Vec<String> = all().enumerate().map(column).collect();
    psql(
        &database.url,
        &format!(
            "CREATE TYPE mood AS ENUM ('sad', 'glad');
             CREATE DOMAIN price AS numeric(8,2) DEFAULT 1.5; CREATE DOMAIN code AS char(3) DEFAULT 'a';
             CREATE TABLE t (id int PRIMARY KEY, {}); INSERT INTO t VALUES (1)",
            columns.join(", ")
        ),
    );
    let report = back_report(&database, &target.path, &["--strict"], 0);
    assert_eq!(listed(&report), [""; 0]);
    sqlite3_script(&target.path, "INSERT INTO t (id) VALUES (2)");
    let mut wrong = Vec::new();
    for (number, (name, default)) in all().enumerate() {
        let stored = |id: u32| {
            sqlite3(
                &target.path,
                &format!("SELECT typeof(c{number}), quote(c{number}) FROM t WHERE id = {id}"),
            )
        };
        if stored(1) != stored(2) || stored(2).starts_with("null") {
            wrong.push(format!("{name} {default}: {} and not {}", stored(2), stored(1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_default_whose_value_sqlite_cannot_hold_or_compute_is_listed() {
    assert_listed(
        "CREATE FUNCTION mine() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
         CREATE DOMAIN small AS int CHECK (VALUE > mine());
         CREATE TABLE t (id int PRIMARY KEY, a timestamptz DEFAULT 'infinity', b float8 DEFAULT 'NaN',
           c json DEFAULT '1.50', d date DEFAULT CURRENT_DATE, e uuid DEFAULT gen_random_uuid(),
           f small DEFAULT 9::small, g timestamptz DEFAULT ('2024-01-01'::text)::timestamptz, h int DEFAULT mine());
         CREATE TABLE key (id bigint PRIMARY KEY DEFAULT -1)",
        &[
            "check | t |  | has an unknown construct",
            "default | key | id | is on the key, for which SQLite takes the next number",
            "default | t | a | has a value that SQLite cannot hold",
            "default | t | b | has a value that SQLite cannot hold",
            "default | t | c | has a text that SQLite would turn into another number",
            "default | t | d | ",
            "default | t | e | computes its value with an unknown expression",
            "default | t | f | computes its value with an unknown expression",
            "default | t | g | computes its value with an unknown expression",
            "default | t | h | has an unknown construct",
            "function | - | mine() | SQLite has no stored functions",
        ],
    );
}

#[test]
fn a_key_whose_equal_values_have_several_texts_in_sqlite_is_listed() {
    assert_listed(
        "CREATE TABLE t (n numeric PRIMARY KEY, w interval CONSTRAINT wait UNIQUE, d jsonb, p numeric(5,2) UNIQUE);
         CREATE UNIQUE INDEX t_d ON t (d); CREATE INDEX t_w ON t (w);
         CREATE TABLE child (id int PRIMARY KEY, n numeric REFERENCES t, p numeric(5,2) REFERENCES t (p));
         INSERT INTO t VALUES (1.0, '1 day', '1.0', 1); INSERT INTO child VALUES (1, 1.00, 1)",
        &[
            "foreign_key | child | child_n_fkey | the values of \"n\" and \"n\" cannot be compared",
            "index | t | t_d | SQLite compares \"d\" as text",
            "primary_key | t | t_pkey | SQLite compares \"n\" as text",
            "unique | t | wait | SQLite compares \"w\" as text",
        ],
    );
}

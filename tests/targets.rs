//! Existing objects in the target, and the flags about them.

use crate::expect::Expectation;
use crate::fixtures::check_source;
use crate::harness::{self, server};
use crate::outcome::Target;
use crate::source::Source;
use std::process::Output;

fn source() -> Source {
    Source::of_sql(
        "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT); \
         INSERT INTO person VALUES (1, 'a'), (2, 'b'); \
         CREATE TABLE pet (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER REFERENCES person (id)); \
         INSERT INTO pet VALUES (1, 2); \
         CREATE INDEX pet_owner ON pet (owner)",
    )
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", errors(output));
}

fn with_parameter(url: &str, parameter: &str) -> String {
    let join = if url.contains('?') { '&' } else { '?' };
    format!("{url}{join}{parameter}")
}

/// A target with `sql` in it refuses the run, which names `word` and `hint`, and changes nothing.
#[track_caller]
fn refuses(sql: &str, word: &str, hint: &str) {
    let database = server();
    harness::psql(&database.url, sql);
    let mut target = Target::open(&database.url);
    let before = target.rows("SELECT relname, relkind::text FROM pg_class ORDER BY 1, 2");
    let output = source().migrate(&database.url, &[]);
    assert_code(&output, 4);
    assert!(errors(&output).contains(word), "{}", errors(&output));
    assert!(errors(&output).contains(hint), "{}", errors(&output));
    let after = target.rows("SELECT relname, relkind::text FROM pg_class ORDER BY 1, 2");
    assert_eq!(before, after);
}

#[test]
fn a_table_of_a_planned_name_refuses_the_run_even_without_rows() {
    refuses("CREATE TABLE person (x int)", "person", "--clean");
}

#[test]
fn a_view_of_a_planned_name_refuses_the_run() {
    refuses("CREATE VIEW pet AS SELECT 1 AS x", "pet", "rename or drop view");
}

#[test]
fn a_sequence_of_a_planned_name_refuses_the_run() {
    refuses("CREATE SEQUENCE person", "person", "rename or drop sequence");
}

#[test]
fn a_type_of_a_planned_name_refuses_the_run() {
    refuses("CREATE TYPE person AS ENUM ('a')", "person", "rename or drop type");
}

#[test]
fn an_index_whose_name_is_taken_is_never_lost_silently() {
    let database = server();
    let url = database.url.clone();
    harness::psql(&url, "CREATE TABLE other (x int); CREATE INDEX pet_owner ON other (x)");
    let output = source().migrate(&url, &["--json", "-"]);
    assert_code(&output, 0);
    let mut target = Target::open(&url);
    let others = "SELECT count(*) FROM pg_indexes WHERE tablename = 'other'";
    assert_eq!(target.cell(others), "1");
    let built =
        "SELECT count(*) FROM pg_indexes WHERE tablename = 'pet' AND indexdef LIKE '%(owner)'";
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let left_out = report["data_sets"][0]["left_out"].to_string();
    assert!(target.cell(built) == "1" || left_out.contains("\"pet_owner\""), "{left_out}");
}

#[test]
fn a_key_whose_name_is_taken_gets_another_name() {
    let database = server();
    let url = database.url.clone();
    harness::psql(&url, "CREATE TABLE other (x int); CREATE INDEX person_pkey ON other (x)");
    assert_code(&source().migrate(&url, &[]), 0);
    let mut target = Target::open(&url);
    let keys = "SELECT string_agg(conrelid::regclass || ' ' || (conname LIKE 'person_pkey_%'), ',') \
                FROM pg_constraint WHERE contype = 'p' AND conrelid = 'person'::regclass";
    assert_eq!(target.cell(keys), "person true");
    assert_eq!(target.cell("SELECT count(*) FROM pg_indexes WHERE tablename = 'other'"), "1");
}

#[test]
fn unrelated_objects_are_left_alone() {
    let database = server();
    let url = database.url.clone();
    harness::psql(
        &url,
        "CREATE TABLE unrelated (x int); INSERT INTO unrelated VALUES (7); \
         CREATE VIEW watching AS SELECT x FROM unrelated; CREATE SEQUENCE counting; \
         CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.person (x int)",
    );
    assert_code(&source().migrate(&url, &[]), 0);
    let mut target = Target::open(&url);
    assert_eq!(target.cell("SELECT x FROM watching"), "7");
    assert_eq!(target.cell("SELECT count(*) FROM elsewhere.person"), "0");
    assert_eq!(target.cell("SELECT count(*) FROM person"), "2");
    assert_eq!(target.cell("SELECT nextval('counting')"), "1");
}

#[test]
fn a_second_run_only_compares_and_replaces_with_drop_all() {
    let database = server();
    let url = database.url.clone();
    let source = source();
    assert_code(&source.migrate(&url, &[]), 0);
    harness::psql(&url, "INSERT INTO person (name) VALUES ('later')");
    assert_code(&source.migrate(&url, &[]), 3);
    assert_eq!(Target::open(&url).cell("SELECT count(*) FROM person"), "3");
    let refused = source.migrate(&url, &["--drop-all"]);
    assert_code(&refused, 4);
    let counts = "table \"person\" (3 rows, 1 by others; 2 in the source)";
    assert!(errors(&refused).contains(counts), "{}", errors(&refused));
    assert_code(&source.migrate(&url, &["--drop-all", "--yes"]), 0);
    assert_eq!(Target::open(&url).cell("SELECT count(*) FROM person"), "2");
}

#[test]
fn drop_all_names_what_it_drops() {
    let database = server();
    let url = database.url.clone();
    harness::psql(&url, "CREATE TABLE person (x int)");
    let output = source().migrate(&url, &["--drop-all"]);
    assert_code(&output, 0);
    let message = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
    assert!(message.to_lowercase().contains("drop"), "{message}");
    assert_eq!(Target::open(&url).cell("SELECT count(*) FROM person"), "2");
}

#[test]
fn drop_all_wants_yes_where_the_schema_has_a_table_that_the_source_lacks() {
    let database = server();
    let url = database.url.clone();
    harness::psql(&url, "CREATE TABLE person (x int); CREATE TABLE precious (x int)");
    let output = source().migrate(&url, &["--drop-all"]);
    assert_code(&output, 4);
    assert!(errors(&output).contains("precious"), "{}", errors(&output));
    assert!(errors(&output).contains("--yes"), "{}", errors(&output));
    assert_eq!(Target::open(&url).cell("SELECT count(*) FROM precious"), "0");
    assert_code(&source().migrate(&url, &["--drop-all", "--yes"]), 0);
    assert_eq!(Target::open(&url).cell("SELECT to_regclass('precious')"), "NULL");
}

#[test]
fn drop_all_leaves_functions_extensions_and_other_schemas() {
    let database = server();
    let url = database.url.clone();
    harness::psql(
        &url,
        "CREATE TABLE person (x int); CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.pet (x int); \
         CREATE FUNCTION answer() RETURNS int LANGUAGE sql AS 'SELECT 42'",
    );
    assert_code(&source().migrate(&url, &["--drop-all"]), 0);
    let mut target = Target::open(&url);
    assert_eq!(target.cell("SELECT answer()"), "42");
    assert_eq!(target.cell("SELECT count(*) FROM elsewhere.pet"), "0");
}

#[test]
fn drop_all_refuses_where_another_schema_depends_on_what_it_would_drop() {
    let database = server();
    let url = database.url.clone();
    harness::psql(
        &url,
        "CREATE TABLE person (x int); CREATE SCHEMA elsewhere; \
         CREATE VIEW elsewhere.watching AS SELECT x FROM public.person",
    );
    let output = source().migrate(&url, &["--drop-all"]);
    assert_code(&output, 4);
    assert!(errors(&output).contains("watching"), "{}", errors(&output));
    assert_eq!(Target::open(&url).cell("SELECT count(*) FROM elsewhere.watching"), "0");
}

#[test]
fn drop_all_drops_nothing_when_the_plan_refuses() {
    let database = server();
    let url = database.url.clone();
    harness::psql(&url, "CREATE TABLE t (x int); INSERT INTO t VALUES (1)");
    let misfit = Source::of_sql("CREATE TABLE t (x TEXT); INSERT INTO t VALUES (char(0))");
    assert_code(&misfit.migrate(&url, &["--drop-all"]), 4);
    assert_eq!(Target::open(&url).cell("SELECT x FROM t"), "1");
}

#[test]
fn a_missing_database_is_created_on_request() {
    let database = server();
    // The fresh database's name, made another one.
    let name = &database.name;
    let absent = database.url.replacen(name, &format!("{name}_absent"), 1);
    let output = source().migrate(&absent, &[]);
    assert!(matches!(output.status.code(), Some(1 | 4)), "{}", errors(&output));
    assert!(errors(&output).contains("createdb"), "{}", errors(&output));
    assert!(errors(&output).contains("--create-database"), "{}", errors(&output));

    assert_code(&source().migrate(&absent, &["--create-database"]), 0);
    assert_eq!(Target::open(&absent).cell("SELECT count(*) FROM person"), "2");
    harness::psql(&database.url, &format!("DROP DATABASE {name}_absent WITH (FORCE)"));
}

#[test]
fn tables_appear_in_the_first_schema_of_the_search_path() {
    let database = server();
    harness::psql(&database.url, "CREATE SCHEMA app");
    let url = with_parameter(&database.url, "options=-csearch_path%3Dapp");
    assert_code(&source().migrate(&url, &[]), 0);
    let mut target = Target::open(&database.url);
    assert_eq!(target.cell("SELECT count(*) FROM app.person"), "2");
    assert_eq!(target.cell("SELECT to_regclass('public.person')"), "NULL");
}

#[test]
fn only_the_tables_that_are_asked_for_are_moved() {
    let expectation = Expectation::parse(
        "run --tables p* --exclude *et\ntable person 2\n    column id bigint not null identity 3\n    \
         column name text\n    constraint PRIMARY KEY (id)\n? left out table pet…\n",
    );
    check_source(&source(), &server(), &expectation);
}

#[test]
fn a_foreign_key_to_an_excluded_table_is_not_created() {
    let expectation = Expectation::parse(
        "run --exclude person\ntable pet 1\n    column id bigint not null identity 2\n    \
         column owner bigint\n    constraint PRIMARY KEY (id)\n    index pet_owner (owner)\n\
         left out foreign_key …\n? left out table person…\n",
    );
    check_source(&source(), &server(), &expectation);
}

#[test]
fn two_databases_of_one_kind_are_a_usage_error() {
    let source = source();
    let path = source.argument();
    assert_code(&source.migrate(&path, &[]), 2);
    let url = server().url.clone();
    assert_code(&harness::migrate(["database", "--from", &url, "--to", &url]), 2);
}

#[test]
fn the_command_has_an_alias_and_flags_may_be_anywhere() {
    let database = server();
    let url = database.url.clone();
    let source = source();
    let path = source.argument();
    assert_code(&harness::migrate(["-from", &format!("sqlite:{path}"), "db", "-to", &url]), 0);
    source.assert_unchanged();
    assert_eq!(Target::open(&url).cell("SELECT count(*) FROM person"), "2");
}

#[test]
fn json_on_standard_output_is_the_only_output() {
    let database = server();
    let output = source().migrate(&database.url, &["--json", "-"]);
    assert_code(&output, 0);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["data_sets"][0]["tables"][0]["name"], "person");
    assert_eq!(report["data_sets"][0]["tables"][0]["rows"], 2);
}

#[test]
fn the_report_has_a_table_of_the_rows_that_arrived() {
    let database = server();
    let output = source().migrate(&database.url, &[]);
    assert_code(&output, 0);
    let message = String::from_utf8_lossy(&output.stdout);
    assert!(message.contains("person") && message.contains("pet"), "{message}");
}

#[test]
fn an_unreachable_server_is_a_failure_and_shows_no_password() {
    let url = "postgres://somebody:verysecret@127.0.0.1:1/nowhere?sslmode=disable";
    let output = source().migrate(url, &[]);
    assert_code(&output, 1);
    let message = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
    assert!(!message.contains("verysecret"), "{message}");
}

#[test]
fn a_plan_writes_nothing_and_its_casts_pin_every_type() {
    let database = server();
    let url = database.url.clone();
    let folder = tempfile::TempDir::new().unwrap();
    let casts = folder.path().join("casts");
    let casts = casts.to_str().unwrap();
    let staging = Source::of_sql(
        "CREATE TABLE t (d DATETIME, n INT); INSERT INTO t VALUES ('2024-01-01 00:00:00', 1)",
    );
    let path = staging.argument();
    let planned = harness::migrate(["plan", "--from", &path, "--to", &url, "--write-casts", casts]);
    assert_code(&planned, 0);
    staging.assert_unchanged();
    assert!(Target::open(&url).tables().is_empty());

    // Production has no dates yet, and one value that staging's type cannot take.
    let production = Source::of_sql(
        "CREATE TABLE t (d DATETIME, n INT); INSERT INTO t VALUES (NULL, 1), (NULL, 'x')",
    );
    let refused = production.migrate(&url, &["--casts", casts]);
    assert_code(&refused, 4);
    assert!(Target::open(&url).tables().is_empty());
    let chosen = production.migrate(&url, &["--casts", casts, "--cast", "t.n=text"]);
    assert_code(&chosen, 0);
    let mut target = Target::open(&url);
    let types = "SELECT string_agg(format_type(atttypid, NULL), ' ' ORDER BY attnum) FROM pg_attribute \
                 WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(target.cell(types), "timestamp without time zone text");
}

//! Large objects of a PostgreSQL source.

use super::*;
use crate::harness::{psql, run_psql, server, sqlite3};

/// A database with large objects: of 3 bytes, of none and of 3 MB, and one to which nothing refers.
fn source() -> Database {
    let database = server();
    psql(
        &database.url,
        "CREATE DOMAIN lo AS oid; \
         CREATE TABLE doc (id int PRIMARY KEY, body oid, other lo, class oid DEFAULT 1259); \
         INSERT INTO doc (id, body) VALUES (1, lo_from_bytea(0, '\\x00ff61')), \
           (2, lo_from_bytea(0, '')), (3, lo_from_bytea(0, decode(repeat('0123456789ab', 500000), 'hex'))), \
           (4, NULL), (5, 77), (6, 0); \
         UPDATE doc SET other = lo_from_bytea(0, 'lo') WHERE id = 4; SELECT lo_from_bytea(0, 'alone')",
    );
    database
}

fn run(database: &Database, target: &Target, more: &[&str], code: i32, words: &[&str]) -> String {
    let output = back(database, &target.path, more);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
    said
}

#[test]
fn large_objects_refuse_until_a_flag_says_what_to_do_with_them() {
    let (database, target) = (source(), Target::new());
    let refusal = [
        "columns refer to large objects, which SQLite does not have",
        "table \"doc\" column \"body\": 3 large objects (3,000,003 bytes)",
        "table \"doc\" column \"other\": 1 large object (2 bytes)",
        "to copy them as BLOBs, run: ",
        " --large-objects blob\n",
        " --large-objects skip\n",
    ];
    let said = run(&database, &target, &[], 4, &refusal);
    assert!(!said.contains("column \"class\""), "{said}");
    assert!(!target.path.exists());
}

#[test]
fn large_objects_arrive_as_blobs_and_every_byte_is_verified() {
    let (database, target) = (source(), Target::new());
    let listed = [
        "not migrated\n  1 set of large objects: 2 values refer to no large object, and the BLOB is NULL\n    \"body\" on \"doc\"",
        "1 set of large objects: no column of the migrated tables refers to them\n    \"1 large object\"",
        "verdict: match",
    ];
    run(&database, &target, &["--large-objects", "blob"], 0, &listed);
    let rows = "SELECT id, typeof(body), length(body), substr(body, 1, 3), other, class FROM doc";
    assert_eq!(
        sqlite3(&target.path, rows),
        "1|blob|3|\\x00ff61||1259\n2|blob|0|||1259\n3|blob|3000000|\\x012345||1259\n\
         4|null|||\\x6c6f|1259\n5|null||||1259\n6|null||||1259"
    );
    let verify = ["--verify", "--large-objects", "blob"];
    run(&database, &target, &verify, 0, &["verdict: match"]);
    run(&database, &target, &["--verify"], 4, &["--verify --large-objects blob\n"]);
    psql(&database.url, "SELECT lo_put(body, 2999999, '\\x00') FROM doc WHERE id = 3");
    let differs = ["verdict: the databases differ", "id 3", "body"];
    run(&database, &target, &verify, 3, &differs);
    run(
        &database,
        &Target::new(),
        &["--large-objects", "blob", "--strict"],
        4,
        &["the BLOB is NULL"],
    );
}

#[test]
fn skipped_large_objects_are_listed_first_with_their_number_and_bytes() {
    let (database, target) = (source(), Target::new());
    psql(&database.url, "CREATE VIEW first_of_all AS SELECT 1");
    let first = [
        "\nnot migrated\n  1 set of large objects: skipped by --large-objects skip: 3 large objects \
         (3,000,003 bytes); the column keeps their numbers\n    \"body\" on \"doc\"",
        "verdict: match, large objects of 2 columns skipped",
    ];
    run(&database, &target, &["--large-objects", "skip"], 0, &first);
    assert_eq!(
        sqlite3(&target.path, "SELECT id, body FROM doc WHERE id > 4"),
        "5|77\n6|0",
        "a number stays a number"
    );
    psql(
        &database.url,
        "SELECT lo_unlink(m.oid) FROM pg_largeobject_metadata m WHERE NOT EXISTS \
         (SELECT FROM doc WHERE m.oid IN (body, other)); DROP VIEW first_of_all",
    );
    let strict = ["--large-objects", "skip", "--strict"];
    run(&database, &Target::new(), &strict, 0, &["verdict: match"]);
}

#[test]
fn large_objects_that_cannot_be_copied_refuse_with_the_reason() {
    let database = source();
    let blob = ["--large-objects", "blob"];
    let role = format!("{}_reader", database.name);
    psql(&database.url, &format!("CREATE ROLE {role}; GRANT SELECT ON doc TO {role}"));
    let target = Target::new();
    let url = format!("{}&options=-crole%3D{role}", database.url);
    let path = target.path.to_str().unwrap();
    let output = migrate(["database", "--from", &url, "--to", path, "--large-objects", "blob"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("permission denied for large object"), "{}", text(&output));
    let key = "ALTER TABLE doc ADD UNIQUE (body)";
    let not_null = "DELETE FROM doc WHERE body IS NULL; ALTER TABLE doc ALTER body SET NOT NULL";
    let large =
        "DELETE FROM doc WHERE id > 3; SELECT lo_put(body, 1000000000, 'x') FROM doc WHERE id = 1";
    for (sql, reason) in [
        (key, "is part of a key"),
        (not_null, "is NOT NULL, and 2 values refer to no large object"),
        (large, "the largest has 1,000,000,001 bytes"),
    ] {
        let database = source();
        assert!(run_psql(&database.url, sql).status.success());
        run(&database, &Target::new(), &blob, 4, &["table \"doc\" column \"body\"", reason]);
    }
    let sqlite = crate::source::Source::of_sql("CREATE TABLE t (a INT)");
    let output = sqlite.migrate(&database.url, &blob);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

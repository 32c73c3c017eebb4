//! Every type with its edges: what SQLite holds afterwards is what psql prints, or the same number.

use super::{Target, back, back_report};
use crate::harness::{psql, server, sqlite3, text};

/// A type, an expression of it, what `typeof` says of it in SQLite, and the stored text; "=" where
/// that is what psql prints.
const EDGES: &[(&str, &str, &str, &str)] = &[
    ("smallint", "-32768", "integer", "="),
    ("integer", "2147483647", "integer", "="),
    ("bigint", "-9223372036854775808", "integer", "="),
    ("oid", "4294967295", "integer", "="),
    ("boolean", "true", "integer", "1"),
    ("boolean", "false", "integer", "0"),
    ("real", "'3.4028235e38'", "real", "3.4028234663852886e+38"),
    ("real", "0.1", "real", "0.10000000149011612"),
    ("double precision", "'5e-324'", "real", "4.9406564584124654e-324"),
    ("double precision", "'1.7976931348623157e308'", "real", "1.7976931348623157e+308"),
    ("double precision", "'-Infinity'", "real", "-Inf"),
    ("numeric", "repeat('9', 1000)::numeric", "text", "="),
    ("numeric", "('0.' || repeat('0', 999) || '1')::numeric", "text", "="),
    ("numeric", "'1.50'", "text", "="),
    ("numeric", "'NaN'", "text", "="),
    ("numeric", "'-Infinity'", "text", "="),
    ("numeric(10,2)", "'12345678.90'", "real", "12345678.9"),
    ("numeric(10,2)", "5", "integer", "5"),
    ("numeric(30,10)", "'12345678901234567890.0123456789'", "text", "="),
    ("numeric(10,2)", "'NaN'", "text", "="),
    ("timestamp", "'0001-01-01 00:00:00'", "text", "="),
    ("timestamp", "'9999-12-31 23:59:59.999999'", "text", "="),
    ("timestamp", "'2024-02-29 06:07:08.090807'", "text", "="),
    ("timestamptz", "'2024-03-31 02:30:00.5+02'", "text", "2024-03-31 00:30:00.5+00:00"),
    ("date", "'2024-02-29'", "text", "="),
    ("time", "'23:59:59.999999'", "text", "="),
    ("timetz", "'24:00:00-15:59'", "text", "="),
    ("interval", "'-178000000 years 3 mons -4 days 05:06:07.000008'", "text", "="),
    ("text", "'a\u{e9}\u{1f600}'", "text", "="),
    ("text", "''", "text", "="),
    ("varchar(5)", "'0012'", "text", "="),
    ("char(5)", "'ab'", "text", "ab   "),
    ("char(3)[]", "ARRAY['a', NULL]", "text", "="),
    ("\"char\"", "'x'", "text", "="),
    ("name", "'a_name'", "text", "="),
    ("xml", "'<a b=\"c\">d</a>'", "text", "="),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "text", "="),
    ("inet", "'192.168.0.1'", "text", "="),
    ("inet", "'192.168.0.1/24'", "text", "="),
    ("cidr", "'10.0.0.0/8'", "text", "="),
    ("macaddr", "'08:00:2b:01:02:03'", "text", "="),
    ("int[]", "'{}'", "text", "="),
    ("int[]", "'{{1,2},{3,NULL}}'", "text", "="),
    ("int[]", "'[0:1]={1,2}'", "text", "="),
    ("text[]", "ARRAY['a,b', 'c\"d', 'NULL', '', NULL]", "text", "="),
    ("int4range", "'[1,5)'", "text", "="),
    ("numrange", "'empty'", "text", "="),
    ("int4multirange", "'{[1,2),[5,9)}'", "text", "="),
    ("tsvector", "'a fat cat'", "text", "="),
    ("tsquery", "'fat & (rat | cat)'", "text", "="),
    ("bit(3)", "B'101'", "text", "="),
    ("point", "'(1.5,-2)'", "text", "="),
    ("money", "12.34", "text", "="),
    ("json", "'{\"a\": 1, \"a\" :2}'", "text", "="),
    ("json", "'1.50'", "text", "="),
    ("json", "'\"\\u0000\"'", "text", "="),
    ("jsonb", "'{\"b\": 1, \"a\": [1.0, null]}'", "text", "="),
    ("jsonb", "'1.50'", "text", "="),
    ("bytea", "'\\x'", "blob", "="),
    ("bytea", "'\\x00ff'", "blob", "="),
    ("mood", "'so so'", "text", "="),
    ("pair", "ROW(1, 'a \"b\"')", "text", "="),
    ("pair", "ROW(NULL, NULL)", "text", "="),
    ("pair[]", "ARRAY[ROW(1, 'x')::pair]", "text", "="),
    ("positive", "7", "integer", "7"),
    ("code", "'ab'", "text", "ab "),
    ("many", "'{1,2}'", "text", "="),
    ("citext", "'CaSe'", "text", "="),
];

const TYPES: &str = "CREATE TYPE mood AS ENUM ('so so', 'fine'); \
    CREATE TYPE pair AS (a int, b text); \
    CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
    CREATE DOMAIN code AS char(3); \
    CREATE DOMAIN many AS int[]; \
    CREATE EXTENSION citext";

#[test]
fn every_type_arrives_as_psql_prints_it() {
    let database = server();
    let url = &database.url;
    psql(url, TYPES);
    let columns = |f: &dyn Fn(usize, &str) -> String| {
        let all: Vec<String> = EDGES.iter().enumerate().map(|(n, edge)| f(n, edge.0)).collect();
        all.join(", ")
    };
    psql(
        url,
        &format!("CREATE TABLE t (id int PRIMARY KEY, {})", columns(&|n, t| format!("c{n} {t}"))),
    );
    let values: Vec<&str> = EDGES.iter().map(|edge| edge.1).collect();
    psql(url, &format!("INSERT INTO t VALUES (1, {})", values.join(", ")));
    psql(url, "INSERT INTO t (id) VALUES (2)");
    let target = Target::new();
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match");
    let mut wrong = Vec::new();
    for (number, (type_name, value, class, stored)) in EDGES.iter().enumerate() {
        let printed =
            psql(url, &format!("SET TimeZone = UTC; SELECT c{number} FROM t WHERE id = 1"));
        let expected = if *stored == "=" { printed } else { (*stored).to_owned() };
        let sql = format!(
            "SELECT typeof(c{number}) || ' ' || CASE typeof(c{number}) \
            WHEN 'real' THEN printf('%!.17g', c{number}) \
            WHEN 'blob' THEN '\\x' || lower(hex(c{number})) ELSE c{number} END FROM t WHERE id = 1"
        );
        let found = sqlite3(&target.path, &sql);
        if found != format!("{class} {expected}") {
            wrong.push(format!(
                "{type_name} {value:.60}: {found:.200} instead of {class} {expected:.200}"
            ));
        }
        let null = sqlite3(&target.path, &format!("SELECT c{number} IS NULL FROM t WHERE id = 2"));
        assert_eq!(null, "1", "{type_name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_that_sqlite_cannot_hold_are_refused_with_their_rows_or_kept_as_text() {
    for (type_name, value, what) in [
        ("double precision", "'NaN'", "NaN"),
        ("real", "'NaN'", "NaN"),
        ("timestamp", "'4713-01-01 00:00:00 BC'", "year"),
        ("timestamp", "'294276-12-31 23:59:59.999999'", "year"),
        ("timestamp", "'-infinity'", "infinity"),
        ("timestamptz", "'infinity'", "infinity"),
        ("timestamptz", "'0044-03-15 00:00:00+00 BC'", "year"),
        ("date", "'infinity'", "infinity"),
        ("date", "'5874897-12-31'", "year"),
        ("time", "'24:00:00'", "hour 24"),
    ] {
        let database = server();
        psql(
            &database.url,
            &format!(
                "CREATE TABLE t (id int PRIMARY KEY, v {type_name}); \
            INSERT INTO t VALUES (3, {value}), (4, NULL)"
            ),
        );
        let target = Target::new();
        let output = back(&database, &target.path, &[]);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains("column \"v\": 1 with") && message.contains(what), "{message}");
        assert!(message.contains("first at id 3"), "{message}");
        assert!(target.files().is_empty());
        back_report(&database, &target.path, &["--on-misfit", "widen"], 0);
        let printed = psql(&database.url, "SET TimeZone = UTC; SELECT v FROM t WHERE id = 3");
        assert_eq!(sqlite3(&target.path, "SELECT v FROM t WHERE id = 3"), printed);
        assert_eq!(
            sqlite3(&target.path, "SELECT type FROM pragma_table_info('t') WHERE name = 'v'"),
            "TEXT"
        );
    }
}

#[test]
fn a_negative_zero_becomes_zero_which_is_declared() {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE t (a float8, b float4); \
        INSERT INTO t VALUES ('-0', '-0'), (0, 1.5), ('-0', NULL)",
    );
    let target = Target::new();
    let output = back(&database, &target.path, &["--exact"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let report = back_report(&database, &target.path, &[], 0);
    let conversions = &report["data_sets"][0]["tables"][0]["conversions"];
    assert_eq!((&conversions[0]["count"], &conversions[1]["count"]), (&2.into(), &1.into()));
    assert_eq!(sqlite3(&target.path, "SELECT sum(a = 0), sum(b = 0) FROM t"), "3|1");
}

#[test]
fn a_cast_makes_json_of_arrays_and_epochs_of_dates() {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE t (id int PRIMARY KEY, a int[], at timestamptz, n numeric(5,2)); \
        INSERT INTO t VALUES (1, '{1,2}', '2000-01-01 00:00:00+00', 1.5)",
    );
    let target = Target::new();
    let casts = ["--cast", "t.a=json", "--cast", "t.at=timestamptz:s", "--cast", "t.n=text"];
    back_report(&database, &target.path, &casts, 0);
    assert_eq!(
        sqlite3(&target.path, "SELECT a, at, typeof(at), n FROM t"),
        "[1,2]|946684800|integer|1.50"
    );
    for cast in ["t.a=uuid", "t.none=text", "none.a=text"] {
        let output = back(&database, &target.path, &["--drop-all", "--cast", cast]);
        assert_eq!(output.status.code(), Some(2), "{cast}: {}", text(&output));
    }
}

#[test]
fn an_address_has_no_type_of_its_own_in_sqlite() {
    let database = server();
    psql(&database.url, "CREATE TABLE t (id int PRIMARY KEY, a inet)");
    let output = back(&database, &Target::new().path, &["--cast", "t.a=inet"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("hint: without a cast it becomes TEXT"), "{}", text(&output));
}

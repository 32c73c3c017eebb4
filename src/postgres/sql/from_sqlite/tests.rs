//! Translations of SQLite's text. The SQLite parser reads it: a tree written by hand would test only
//! its author.

use crate::postgres::sql::from_sqlite::default::default_clause;
use crate::postgres::sql::from_sqlite::definitions::{condition, generated, index_term};
use crate::postgres::sql::from_sqlite::scope::{Scope, ScopeColumn};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation, Sql};
use crate::schema::reason::Reason;
use crate::schema::{IndexOver, IndexTerm};
use crate::sqlite::sql::parse::create::{self, Names};

pub(crate) fn columns() -> Vec<ScopeColumn> {
    use ColumnType as T;
    let column = |name: &str, column_type, affinity| ScopeColumn {
        table: None,
        name: name.to_owned(),
        target: name.to_owned(),
        column_type,
        affinity,
        collation: Collation::Binary,
        converted: false,
        generated: false,
    };
    vec![
        column("i", T::BigInt, Affinity::Integer),
        column("j", T::BigInt, Affinity::Integer),
        column("b", T::Boolean, Affinity::Numeric),
        column("d", T::Double, Affinity::Real),
        column("n", T::Numeric(Some((10, 2))), Affinity::Numeric),
        column("t", T::Text, Affinity::Text),
        column("u", T::Text, Affinity::Text),
        ScopeColumn { collation: Collation::NoCase, ..column("nc", T::Text, Affinity::Text) },
        ScopeColumn { collation: Collation::RTrim, ..column("rt", T::Text, Affinity::Text) },
        column("x", T::Bytea, Affinity::Blob),
        column("day", T::Date, Affinity::Numeric),
        column("ts", T::Timestamp, Affinity::Numeric),
        column("id", T::Uuid, Affinity::Numeric),
        column("js", T::Json, Affinity::Numeric),
        column("nt", T::Text, Affinity::Numeric),
        ScopeColumn { converted: true, ..column("conv", T::Timestamp, Affinity::Numeric) },
        ScopeColumn { generated: true, ..column("gen", T::BigInt, Affinity::Integer) },
        ScopeColumn {
            collation: Collation::Other("de".to_owned()),
            ..column("de", T::Text, Affinity::Text)
        },
    ]
}

fn read(text: &str) -> Sql {
    let columns: Vec<String> = columns().into_iter().map(|column| column.name).collect();
    let names = Names { table: "s", columns: &columns, rowid_alias: None };
    let table = create::table(&format!("CREATE TABLE s(i, CHECK({text}))"), &names);
    table.expect("it parses").checks.remove(0).condition
}

fn check(text: &str) -> Result<String, Reason> {
    let columns = columns();
    condition(&read(text), &Scope::new(&columns))
}

/// Checks translations. `cases` has texts of SQLite that end with a semicolon. A text with an
/// arrow becomes what follows the arrow; the others are refused.
pub(crate) fn assert_translated(cases: &str, translate: impl Fn(&str) -> Result<String, Reason>) {
    let join = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    for case in cases.trim().split_terminator(';').map(join) {
        match case.split_once("=>") {
            Some((text, expected)) => {
                assert_eq!(translate(text.trim()).as_deref(), Ok(expected.trim()), "{case}");
            }
            None => assert!(translate(&case).is_err(), "{case} became {:?}", translate(&case)),
        }
    }
}

#[test]
fn a_boolean_is_compared_with_booleans() {
    let cases = r#"
        b IN (0, 1) => "b" IN (false, true);
        b = 0 => "b" = false;
        b = '1' => "b" = true;
        b => "b";
        NOT b => NOT "b";
        b IS TRUE => "b" IS TRUE;
        b IS NOT 1 => "b" IS DISTINCT FROM true;
        b < 2 => "b"::integer < 2;
        b IN (0, 2) => ("b" = false OR "b"::integer = 2);
        b BETWEEN 0 AND 1 => "b" BETWEEN false AND true;
        (i IS NULL) + (t IS NULL) = 1
          => (("i" IS NULL)::integer::bigint + ("t" IS NULL)::integer::bigint) = 1;
        b = 'true'; b = x'01'; t;
    "#;
    assert_translated(cases, check);
}

#[test]
fn affinity_decides_what_a_constant_is() {
    let cases = r#"
        t = 5 => "t" = '5';
        i = '5' => "i" = 5;
        i > 0.5 => "i" > 0.5;
        d >= -90 AND d <= 90.0 => ("d" >= (-90)) AND ("d" <= 90.0);
        n > 0 => "n" > 0;
        nt <> 'abc' => "nt" <> 'abc';
        x = x'00ff' => "x" = '\x00ff'::bytea;
        i = 'abc'; i = '05'; t = 0.5; nt = '5'; nt > 5; nt = t; coalesce(t, '') = 5;
        coalesce(i, 0) = '5'; x = 'text'; i = d; d > 9007199254740993; n > 0.1234567890123456;
        1 = 1; conv > '2024-01-01 00:00:00';
    "#;
    assert_translated(cases, check);
}

#[test]
fn text_compares_by_the_collation_sqlite_would_take() {
    let cases = r#"
        t < 'b' => "t" < 'b';
        t = u COLLATE NOCASE => lower("t" COLLATE "C") = lower("u" COLLATE "C");
        nc IN ('A', 'É') => lower("nc" COLLATE "C") IN ('a', 'É');
        t = nc => "t" = "nc";
        nc = t => lower("nc" COLLATE "C") = lower("t" COLLATE "C");
        rt = 'a  ' => rtrim("rt" COLLATE "C", ' ') = 'a';
        i || t > 'x' => (("i"::text || "t") COLLATE "C") > 'x';
        lower(t) = t => lower("t" COLLATE "C") = "t";
        de = 'x'; lower(t COLLATE NOCASE) = 'x';
    "#;
    assert_translated(cases, check);
}

#[test]
fn patterns_fold_ascii_and_escape_as_sqlite_does() {
    let cases = r#"
        t LIKE 'A\_%' => lower("t" COLLATE "C") LIKE E'a\\\\_%';
        t NOT LIKE '50!%%' ESCAPE '!' => lower("t" COLLATE "C") NOT LIKE E'50\\%%';
        t GLOB 'a*_?' => "t" LIKE E'a%\\__';
        t GLOB '[0-9]*'; t LIKE u; i LIKE '1%'; t LIKE 'a!' ESCAPE '!';
    "#;
    assert_translated(cases, check);
}

#[test]
fn dates_compare_only_with_their_own_spelling() {
    let cases = r#"
        day >= '2000-01-01' => "day" >= '2000-01-01'::date;
        ts < '2000-01-01 00:00:00.5' => "ts" < '2000-01-01 00:00:00.5'::timestamp;
        conv IS NOT NULL => "conv" IS NOT NULL;
        json_valid(js) => "js" IS NOT NULL OR NULL::boolean;
        json_valid(js) OR js IS NULL => ("js" IS NOT NULL OR NULL::boolean) OR ("js" IS NULL);
        ts >= '2000-01-01'; day > '2000-1-1'; id = 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11';
        date(t) IS NOT NULL; strftime('%Y', ts) = '2000'; js = '{}'; json_valid(t);
        json_extract(js, '$.a') = 1; ts = day;
    "#;
    assert_translated(cases, check);
}

#[test]
fn arithmetic_is_of_integers_and_never_divides_by_zero() {
    let cases = r#"
        i % 2 = 0 => ("i"::bigint % NULLIF(2::bigint, 0)) = 0;
        i / j > -1 => ("i"::bigint / NULLIF("j"::bigint, 0)) > (-1);
        i & 4 => ("i"::bigint & 4::bigint) <> 0;
        -i < 0 => (- "i") < 0;
        d * 2 > 1; n + 1 > 0; i << 1 = 2; t + 1 = 2; i -> 'x';
    "#;
    assert_translated(cases, check);
}

#[test]
fn functions_have_an_equal_or_are_refused() {
    let cases = r#"
        length(t) <= 10 => length("t") <= 10;
        length(x) = 16 => octet_length("x") = 16;
        typeof(i) IN ('integer', 'null')
          => (CASE WHEN "i" IS NULL THEN 'null' ELSE 'integer' END COLLATE "C") IN ('integer',
          'null');
        coalesce(b, 0) => coalesce("b", false);
        ifnull(i, b) > 0 => coalesce("i"::bigint, "b"::integer::bigint) > 0;
        substr(t, 1, 2) = 'ab' => (substr("t", 1, 2) COLLATE "C") = 'ab';
        iif(b, i, 0) < 9 => CASE WHEN "b" THEN "i"::bigint ELSE 0::bigint END < 9;
        CASE t WHEN 'a' THEN i > 1 ELSE 1 END => CASE WHEN "t" = 'a' THEN "i" > 1 ELSE true END;
        max(i, j) > 0
          => CASE WHEN "i" IS NULL OR "j" IS NULL THEN NULL ELSE GREATEST("i", "j") END > 0;
        i IN () => false;
        hex(x) = '' => (coalesce(upper(encode("x", 'hex')), '') COLLATE "C") = '';
        nullif(t, '') IS NOT NULL => CASE WHEN "t" = '' THEN NULL ELSE "t" END IS NOT NULL;
        substr(t, -2) = 'ab'; substr(x, 1, 2) = x'00'; substr(t, 0, 2) = 'ab'; round(d) = 1;
        random() > 0; typeof(n) = 'integer'; length(i) = 2; printf('%d', i) = '1';
        coalesce(t, i) = 'a'; regexp('a', t);
    "#;
    assert_translated(cases, check);
}

fn term(text: Option<&str>, collation: Collation, descending: bool) -> Result<String, Reason> {
    let over = match text {
        Some(text) => IndexOver::Expression(read(text)),
        None => IndexOver::Column("t".to_owned()),
    };
    let columns = columns();
    index_term(&IndexTerm { over, collation, descending }, &Scope::new(&columns))
}

#[test]
fn an_index_term_keeps_its_order_and_folding() {
    assert_eq!(term(None, Collation::Binary, true).as_deref(), Ok("\"t\" DESC"));
    assert_eq!(term(None, Collation::NoCase, false).as_deref(), Ok("lower(\"t\" COLLATE \"C\")"));
    assert_eq!(term(None, Collation::RTrim, false).as_deref(), Ok("rtrim(\"t\", ' ')"));
    assert_eq!(
        term(Some("substr(t, 1, 3)"), Collation::Binary, false).as_deref(),
        Ok("(substr(\"t\", 1, 3) COLLATE \"C\")")
    );
    assert_eq!(
        term(Some("i + 1"), Collation::Binary, false).as_deref(),
        Ok("(\"i\"::bigint + 1::bigint)")
    );
    assert!(term(Some("js"), Collation::Binary, false).is_err());
    assert!(term(Some("strftime('%Y', t)"), Collation::Binary, false).is_err());
    assert!(term(None, Collation::Other("de".to_owned()), false).is_err());
}

#[test]
fn a_generated_column_gives_the_type_of_its_column() {
    let columns = columns();
    let scope = Scope::new(&columns);
    let of = |text: &str, name: &str| {
        generated(&read(text), &scope, scope.column(None, name).expect("the column exists"))
    };
    assert_eq!(of("i * 2", "j").as_deref(), Ok("\"i\"::bigint * 2::bigint"));
    assert_eq!(of("i > 2", "b").as_deref(), Ok("\"i\" > 2"));
    assert_eq!(of("i > 2", "j").as_deref(), Ok("(\"i\" > 2)::integer"));
    assert_eq!(of("t || u", "t").as_deref(), Ok("\"t\" || \"u\""));
    assert!(of("t || u", "i").is_err());
    assert!(of("gen + 1", "j").is_err());
    assert!(of("t || u", "nt").is_err());
}

/// The DEFAULT clause of a text such as `0 AS boolean`.
fn default_of(text: &str) -> Result<String, Reason> {
    let (text, to) = text.rsplit_once(" AS ").expect("a text and a type");
    default_clause(&create::default(text), &ColumnType::parse(to).expect("a type"))
}

#[test]
fn a_default_has_the_value_that_the_column_would_store() {
    let cases = r#"
        0 AS boolean => false;
        '1' AS boolean => true;
        'true' AS boolean => true;
        FALSE AS boolean => false;
        TRUE AS bigint => 1;
        '0' AS bigint => 0;
        1.0 AS bigint => 1;
        -9223372036854775808 AS bigint => '-9223372036854775808'::bigint;
        60*60*24 AS bigint => 86400;
        0 AS text => '0';
        1.50 AS text => '1.5';
        'null' AS text => 'null';
        NULL AS text => NULL;
        "double quoted" AS text => 'double quoted';
        bare AS varchar(4) => 'bare';
        'it''s' AS text => 'it''s';
        x'00' AS bytea => '\x00'::bytea;
        '' AS bytea => '\x'::bytea;
        1 AS double precision => '1.0'::double precision;
        9e999 AS double precision => 'Infinity'::double precision;
        0.00 AS numeric(10,2) => '0'::numeric;
        -1.50 AS numeric(10,2) => '-1.5'::numeric;
        '2024-01-01' AS date => '2024-01-01'::date;
        '{}' AS json => '{}'::json;
        2 AS boolean; 'abc' AS bigint; 1.5 AS bigint; 40000 AS smallint; 'bare' AS varchar(3);
        x'00' AS text; 1 AS bytea; 1.555 AS numeric(10,2); '0000-00-00' AS date; '' AS timestamp;
        '{' AS json; random() AS bigint; lower(hex(randomblob(16))) AS text;
    "#;
    assert_translated(cases, default_of);
}

#[test]
fn the_clock_gives_utc_in_the_columns_own_form() {
    let cases = r#"
        CURRENT_TIMESTAMP AS timestamp => date_trunc('second', now() AT TIME ZONE 'UTC');
        CURRENT_TIMESTAMP AS timestamptz => date_trunc('second', now());
        datetime('now') AS text => to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS');
        CURRENT_DATE AS varchar(10) => to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD');
        date() AS date => (now() AT TIME ZONE 'UTC')::date;
        CURRENT_TIME AS time => date_trunc('second', now() AT TIME ZONE 'UTC')::time;
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS text
          => to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
        strftime('%Y-%m-%d %H:%M:%f', 'now') AS timestamp
          => date_trunc('milliseconds', now() AT TIME ZONE 'UTC');
        strftime('%s', 'now') AS bigint => floor(extract(epoch FROM now()))::bigint;
        unixepoch() * 1000 AS bigint => floor(extract(epoch FROM now()))::bigint * 1000;
        CAST(strftime('%s','now') AS INTEGER) AS bigint => floor(extract(epoch FROM now()))::bigint;
        CURRENT_TIMESTAMP AS bigint; CURRENT_TIMESTAMP AS varchar(18); CURRENT_TIMESTAMP AS date;
        datetime('now', 'localtime') AS text; strftime('%j', 'now') AS text;
        julianday('now') AS double precision; unixepoch('subsec') AS double precision;
        strftime('%Y-%m-%dT%H:%M:%SZ', 'now') AS timestamp;
    "#;
    assert_translated(cases, default_of);
}

#[test]
fn an_expression_as_deep_as_its_tree_may_be_is_translated() {
    assert!(check(&vec!["i = 1"; 48].join(" OR NOT ")).is_ok());
    assert!(check(&vec!["i"; 90].join(" + ")).is_ok());
    let nested = |open: &str, close: &str| {
        check(&format!("{}i{} IS NOT NULL", open.repeat(45), close.repeat(45)))
    };
    assert!(nested("coalesce(j, ", ")").is_ok());
    assert!(nested("(", " BETWEEN 0 AND 1)").is_ok());
    assert_eq!(nested("nullif(", ", 7)"), Err("is too long".to_owned()));
}

//! Translations of SELECTs. The SQLite parser reads the text.

use crate::postgres::sql::from_sqlite::select::{Readable, Selected, select};
use crate::postgres::sql::from_sqlite::tests::{assert_translated, columns};
use crate::schema::expression::{Affinity, Collation};
use crate::schema::reason::Reason;
use crate::sqlite::sql::parse::view::{Relation, view};

/// The translation of a SELECT over two tables, `s` and `r`, with the same columns.
fn selected(text: &str) -> Result<Selected, Reason> {
    let columns = columns();
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let relation = |name: &str| {
        ["s", "r"].contains(&name).then(|| Relation {
            name: name.to_owned(),
            columns: names.clone(),
            rowid_alias: None,
        })
    };
    let tree = view(&format!("CREATE VIEW v AS {text}"), &relation).expect("a tree");
    let readable = |name: &str| {
        Some(Readable { target: if name == "s" { "p.s" } else { "p.r" }, columns: &columns })
    };
    select(&tree, &readable)
}

fn sql_of(text: &str) -> Result<String, Reason> {
    selected(text).map(|selected| selected.sql)
}

#[test]
fn a_select_names_every_column_by_its_table() {
    let cases = r#"
        SELECT i, a.b, 'x' AS k, conv FROM s AS a WHERE b AND t LIKE 'A%'
          => SELECT "a"."i", "a"."b", 'x'::text COLLATE "C", "a"."conv" FROM p.s AS "a" WHERE
          "a"."b" AND (lower("a"."t" COLLATE "C") LIKE 'a%');
        SELECT s.i FROM s LEFT JOIN r ON s.i = r.j AND r.b = 1, s AS x JOIN s AS y USING (i)
          => SELECT "s"."i" FROM p.s AS "s" LEFT JOIN p.r AS "r" ON ("s"."i" = "r"."j") AND
          ("r"."b" = true) CROSS JOIN p.s AS "x" JOIN p.s AS "y" ON "s"."i" = "y"."i";
        SELECT 1.5, NULL => SELECT 1.5::double precision, NULL::text;
        SELECT s.i FROM s JOIN r ON s.i = r.t; SELECT date(t) FROM s;
        SELECT group_concat(t) FROM s; SELECT i FROM s WHERE conv > '2024';
        SELECT json_extract(js, '$.a') FROM s;
    "#;
    assert_translated(cases, sql_of);
}

#[test]
fn aggregates_are_exact_or_refused() {
    let cases = r#"
        SELECT i, count(*), count(conv), sum(j), avg(b) FROM s GROUP BY i HAVING max(t) > 'a'
          => SELECT "s"."i", count(*)::bigint, count("s"."conv")::bigint,
          sum("s"."j")::bigint::bigint, (sum("s"."b"::integer)::bigint::double precision /
          count("s"."b"::integer)) FROM p.s AS "s" GROUP BY "s"."i" HAVING (max("s"."t") COLLATE
          "C") > 'a';
        SELECT substr(t, 1, 1) AS k, min(b), max(lower(t)) FROM s GROUP BY k
          => SELECT substr("s"."t", 1, 1) COLLATE "C", bool_and("s"."b"), max(lower("s"."t"
          COLLATE "C") COLLATE "C") COLLATE "C" FROM p.s AS "s" GROUP BY substr("s"."t", 1, 1)
          COLLATE "C";
        SELECT sum(d) FROM s; SELECT sum(n) FROM s; SELECT avg(d) FROM s; SELECT total(i) FROM s;
        SELECT min(nc) FROM s; SELECT max(js) FROM s; SELECT max(conv) FROM s;
        SELECT count(*) FROM s GROUP BY nc; SELECT count(*) FROM s GROUP BY conv;
        SELECT 5, count(*) FROM s GROUP BY 1;
    "#;
    assert_translated(cases, sql_of);
}

#[test]
fn an_order_says_where_nulls_are() {
    let cases = r#"
        SELECT i AS n, t FROM s ORDER BY t DESC, n, j + 1, nc LIMIT 3 OFFSET 1
          => SELECT "s"."i", "s"."t" FROM p.s AS "s" ORDER BY 2 DESC NULLS LAST, 1 ASC NULLS
          FIRST, ("s"."j"::bigint + 1::bigint) ASC NULLS FIRST, lower("s"."nc" COLLATE "C") ASC
          NULLS FIRST LIMIT 3 OFFSET 1;
        SELECT DISTINCT t FROM s ORDER BY t COLLATE RTRIM NULLS LAST
          => SELECT DISTINCT "s"."t" FROM p.s AS "s" ORDER BY rtrim("s"."t" COLLATE "C", ' ') ASC
          NULLS LAST;
        SELECT i FROM s LIMIT 3; SELECT i FROM s ORDER BY conv; SELECT i FROM s ORDER BY de;
        SELECT i FROM s ORDER BY 'x'; SELECT DISTINCT nc FROM s; SELECT DISTINCT conv FROM s;
    "#;
    assert_translated(cases, sql_of);
}

#[test]
fn results_are_joined_where_their_types_are_one() {
    let cases = r#"
        SELECT 'a' AS k, i, NULL AS x FROM s UNION ALL SELECT 'b', length(t), d FROM r ORDER BY i
          => SELECT 'a'::text COLLATE "C", "s"."i", NULL::double precision FROM p.s AS "s" UNION
          ALL SELECT 'b'::text COLLATE "C", length("r"."t")::bigint, "r"."d" FROM p.r AS "r" ORDER
          BY 2 ASC NULLS FIRST;
        SELECT t FROM s UNION SELECT u FROM r
          => SELECT "s"."t" FROM p.s AS "s" UNION SELECT "r"."u" FROM p.r AS "r";
        SELECT i FROM s UNION ALL SELECT t FROM r; SELECT b FROM s UNION ALL SELECT 1;
        SELECT t FROM s UNION ALL SELECT nt FROM r; SELECT t FROM s UNION ALL SELECT nc FROM r;
        SELECT nc FROM s UNION SELECT nc FROM r; SELECT ts FROM s UNION SELECT conv FROM r;
        SELECT ts FROM s UNION ALL SELECT conv FROM r ORDER BY 1;
        SELECT i FROM s UNION ALL SELECT j FROM r ORDER BY i + 1;
    "#;
    assert_translated(cases, sql_of);
}

#[test]
fn columns_of_a_result_keep_what_comparisons_have_to_know() {
    let columns = selected("SELECT nc, i + 1, CAST(i AS TEXT), conv, t COLLATE NOCASE FROM s")
        .expect("a result")
        .columns;
    let known: Vec<_> = columns
        .iter()
        .map(|c| (c.column_type.to_string(), c.affinity, c.collation.clone(), c.converted))
        .collect();
    let column = |name: &str, affinity, collation, converted| {
        (name.to_owned(), affinity, collation, converted)
    };
    assert_eq!(
        known,
        [
            column("text", Affinity::Text, Collation::NoCase, false),
            column("bigint", Affinity::Blob, Collation::Binary, false),
            column("text", Affinity::Text, Collation::Binary, false),
            column("timestamp", Affinity::Numeric, Collation::Binary, true),
            column("text", Affinity::Text, Collation::NoCase, false),
        ]
    );
}

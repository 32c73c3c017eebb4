//! Translations and refusals. The texts are as PostgreSQL 15 prints them.

use crate::codec::test_cases::texts;
use crate::postgres::sql::parse;
use crate::schema::expression::Sql;
use crate::sqlite::sql::from_postgres::definitions::{clock_default, condition};
use crate::sqlite::sql::from_postgres::node::{Kind, ScopeColumn};

fn columns() -> Vec<ScopeColumn> {
    [
        ("i", Kind::Integer),
        ("r", Kind::Real),
        ("d", Kind::Decimal),
        ("t", Kind::Text { bytewise: true }),
        ("l", Kind::Text { bytewise: false }),
        ("b", Kind::Boolean),
        ("at", Kind::Timestamp),
        ("z", Kind::TimestampTz),
        ("mood", Kind::Word),
        ("o", Kind::Opaque),
    ]
    .map(|(name, kind)| ScopeColumn { name: name.into(), target: name.to_uppercase(), kind })
    .to_vec()
}

fn sql(text: &str) -> Sql {
    Sql { text: text.into(), tree: parse::tree(text, None) }
}

#[test]
fn conditions_with_the_same_meaning_are_translated() {
    for (text, expected) in [
        (
            "((i > 0) AND (b OR (r < (1)::double precision)))",
            r#"(("I" > 0) AND ("B" OR ("R" < 1)))"#,
        ),
        ("(d >= (0)::numeric)", r#"("D" >= 0)"#),
        (
            "((l)::text = ANY ((ARRAY['x'::character varying, 'y''z'::character varying])::text[]))",
            r#"("L" IN ('x', 'y''z'))"#,
        ),
        ("(t < 'm'::text)", r#"("T" < 'm')"#),
        ("(l ~~ 'a*_%'::text)", r#"("L" GLOB 'a[*]?*')"#),
        (
            "(at > '2020-01-01 00:00:00'::timestamp without time zone)",
            r#"("AT" > '2020-01-01 00:00:00')"#,
        ),
        (
            "(z > '2020-01-01 00:00:00+00'::timestamp with time zone)",
            r#"("Z" > '2020-01-01 00:00:00+00:00')"#,
        ),
        ("(mood = 'sad'::public.mood)", r#"("MOOD" = 'sad')"#),
        ("(o IS NULL)", r#"("O" IS NULL)"#),
        ("(i IS DISTINCT FROM 3)", r#"("I" IS NOT 3)"#),
        ("(lower(t) = t)", r#"(lower("T") = "T")"#),
        ("(length(l) < 5)", r#"(length("L") < 5)"#),
        ("((i % 2) = 0)", r#"(("I" % 2) = 0)"#),
    ] {
        assert_eq!(condition(&sql(text), &columns()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn conditions_that_may_differ_are_refused() {
    for text in texts(&[
        "(l < 'm'::text)|(lower(l) = l)|(l ~ 'x'::text)|(o = '1'::numeric)",
        "((d + d) > (0)::numeric)|((1 / i) > 0)|(mood > 'sad'::public.mood)|i|(other = 1)|(i = t)",
    ]) {
        assert!(condition(&sql(text), &columns()).is_err(), "{text}");
    }
}

#[test]
fn defaults_read_the_clock_in_utc() {
    for (text, kind, expected) in [
        ("now()", Kind::TimestampTz, "(strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))"),
        ("CURRENT_TIMESTAMP", Kind::TimestampTz, "(strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))"),
        (
            "date_trunc('second'::text, (now() AT TIME ZONE 'UTC'::text))",
            Kind::Timestamp,
            "CURRENT_TIMESTAMP",
        ),
        ("((now() AT TIME ZONE 'UTC'::text))::date", Kind::Date, "CURRENT_DATE"),
        (
            "to_char((now() AT TIME ZONE 'UTC'::text), 'YYYY-MM-DD HH24:MI:SS'::text)",
            Kind::Text { bytewise: true },
            "CURRENT_TIMESTAMP",
        ),
        (
            "(floor(EXTRACT(epoch FROM now())))::bigint",
            Kind::Integer,
            "(CAST(strftime('%s', 'now') AS INTEGER))",
        ),
    ] {
        assert_eq!(clock_default(&sql(text), kind).as_deref(), Ok(expected), "{text}");
    }
    // The first depends on the time zone of the session.
    for (text, kind) in [("now()", Kind::Timestamp), ("gen_random_uuid()", Kind::Word)] {
        assert!(clock_default(&sql(text), kind).is_err(), "{text}");
    }
}

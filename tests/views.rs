//! Views: those that arrive give the same rows in both databases, the others are listed.

use crate::harness::{psql, server, text};
use crate::outcome::list;
use crate::source::Source;
use rusqlite::types::ValueRef;
use serde_json::Value;
use tempfile::TempDir;

const TABLES: &str = "
CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT, nick TEXT COLLATE NOCASE);
CREATE TABLE album (id INTEGER PRIMARY KEY, title TEXT NOT NULL, artist INTEGER REFERENCES artist(id),
    released DATE, explicit BOOLEAN, note TEXT, added DATETIME, price NUMERIC, score REAL);
CREATE TABLE track (album INTEGER, number INTEGER, name TEXT, seconds INTEGER, bonus BOOLEAN,
    PRIMARY KEY (album, number));
CREATE TABLE mixed (id INTEGER PRIMARY KEY, at DATETIME);
INSERT INTO artist VALUES (1, 'Ärzte', 'DIE'), (2, 'Accept', NULL), (3, 'accept', 'die'), (4, NULL, 'x');
INSERT INTO album VALUES
    (1, 'Planet Punk', 1, '1995-09-15', 1, NULL, '2020-01-02 03:04:05', 9.5, 4.25),
    (2, 'Balls', 2, '1983-12-05', 0, 'a%b', '2020-01-02 03:04:05.5', 10, NULL),
    (3, 'Metal Heart', 2, NULL, NULL, 'A_B', NULL, NULL, 3.5),
    (4, 'orphan', NULL, '1990-01-01', 1, '', '2021-01-01 00:00:00', 0, 0);
INSERT INTO track VALUES (1, 1, 'Super Drei', 180, 0), (1, 2, 'Schopenhauer', 200, 1),
    (2, 1, 'Balls', NULL, 1), (3, 1, 'Metal', 320, NULL), (3, 2, 'heart', 61, 0);
INSERT INTO mixed VALUES (1, '2020-01-01 00:00:00'), (2, '2020-01-01T00:00:00.5000');
";

/// The views that arrive, each with an ORDER BY that fixes its rows where it has none of its own.
const CARRIED: [(&str, &str, &str); 22] = [
    (
        "albums_by_artist",
        "SELECT ar.name, al.title AS album, al.* FROM album al JOIN artist ar ON ar.id = al.artist",
        "1, 2",
    ),
    (
        "all_albums",
        "SELECT title, ar.name AS artist FROM album LEFT OUTER JOIN artist AS ar ON album.artist = ar.id",
        "1",
    ),
    ("by_name", "SELECT name FROM artist ORDER BY name", ""),
    ("by_name_down", "SELECT id, name AS n FROM artist ORDER BY n DESC, 1", ""),
    ("by_nick", "SELECT id, nick FROM artist ORDER BY nick, id DESC", ""),
    ("nulls_last", "SELECT id, released FROM album ORDER BY released NULLS LAST", ""),
    ("newest", "SELECT title, released FROM album ORDER BY released DESC LIMIT 2 OFFSET 1", ""),
    (
        "lengths",
        "SELECT album, count(*) AS tracks, count(seconds) AS known, sum(seconds) AS total,
        avg(seconds) AS mean, min(name) AS first, max(bonus) AS any_bonus, sum(bonus) AS bonuses
        FROM track GROUP BY album",
        "1",
    ),
    (
        "totals",
        "SELECT count(*) n, sum(seconds), max(seconds) / 7, min(released), max(added)
        FROM track, album WHERE album.id = track.album",
        "1",
    ),
    (
        "long",
        "SELECT album, sum(seconds) AS s FROM track GROUP BY 1 HAVING s > 300 OR count(*) = 1",
        "1",
    ),
    (
        "whole_artist",
        "SELECT artist.*, count(album.id) AS albums FROM artist
        LEFT JOIN album ON album.artist = artist.id GROUP BY artist.id",
        "1",
    ),
    (
        "kinds",
        "SELECT title, CASE WHEN explicit THEN 'loud' WHEN explicit IS NULL THEN 'unknown'
        ELSE 'quiet' END AS kind FROM album WHERE released >= '1983-12-05' OR released IS NULL",
        "1",
    ),
    ("named", "SELECT id FROM artist WHERE name LIKE 'a%' OR nick = 'Die'", "1"),
    (
        "escaped",
        "SELECT id, note || '!' AS \"shout it\", length(note) FROM album WHERE note LIKE '%\\%%' ESCAPE '\\' OR note GLOB 'A_*'",
        "1",
    ),
    ("twice", "SELECT a.id, b.id, a.id FROM album a, album b WHERE a.id < b.id", "1, 2"),
    (
        "everything",
        "SELECT 'artist' AS what, id, name AS word, NULL AS score FROM artist
        UNION ALL SELECT 'album', id, title, score FROM album ORDER BY what, id DESC",
        "",
    ),
    (
        "words",
        "SELECT name FROM artist UNION SELECT name FROM track UNION SELECT title FROM album",
        "1",
    ),
    ("artists_used", "SELECT DISTINCT artist FROM album", "1"),
    ("on_view", "SELECT kind, count(*) AS n FROM kinds GROUP BY kind", "1"),
    (
        "on_view_on_view",
        "SELECT v.kind, k.title FROM on_view v JOIN kinds k USING (kind) WHERE n = 1",
        "1, 2",
    ),
    ("bare", "SELECT id, at FROM mixed WHERE at IS NOT NULL", "1"),
    (
        "computed",
        "SELECT id, id + 1, explicit = 1, released, added, price, 2.5, x'00ff', coalesce(note, '-') FROM album WHERE rowid <> 4",
        "1",
    ),
];

/// The views that do not arrive, each with words of the reason.
const LEFT_OUT: [(&str, &str, &str); 17] = [
    ("year", "SELECT strftime('%Y', released) AS y FROM album", "strftime()"),
    ("sub", "SELECT id FROM artist WHERE id IN (SELECT artist FROM album)", "subquery"),
    ("with", "WITH a AS (SELECT 1 AS x) SELECT x FROM a", "WITH"),
    ("ranked", "SELECT id, row_number() OVER (ORDER BY id) AS n FROM artist", "window"),
    ("except_all", "SELECT id FROM artist EXCEPT SELECT artist FROM album", "EXCEPT"),
    ("money", "SELECT sum(price) AS p FROM album", "not integers"),
    ("listed", "SELECT group_concat(name) AS n FROM artist", "group_concat()"),
    ("loose", "SELECT album, name, max(seconds) AS s FROM track GROUP BY album", "GROUP BY"),
    ("some", "SELECT id FROM artist LIMIT 2", "LIMIT"),
    ("comma_limit", "SELECT id FROM artist ORDER BY id LIMIT 1, 2", "LIMIT"),
    ("mixed_order", "SELECT id FROM mixed ORDER BY at", "are converted"),
    ("folded", "SELECT nick, count(*) FROM artist GROUP BY nick", "collation"),
    ("types", "SELECT id FROM artist UNION ALL SELECT name FROM artist", "bigint and text"),
    ("no_function", "SELECT shout(name) AS x FROM artist", "no such function: shout"),
    ("no_column", "SELECT a.nowhere FROM artist a", "\"nowhere\""),
    ("no_table", "SELECT * FROM passing", "\"passing\", which is missing"),
    ("on_left_out", "SELECT y FROM year", "\"year\", which is not migrated"),
];

fn source() -> Source {
    Source::built(|connection| {
        connection.execute_batch(TABLES).unwrap();
        // A view may be older than what it reads.
        for (name, select, _) in CARRIED.iter().rev().chain(&LEFT_OUT) {
            connection.execute_batch(&format!("CREATE VIEW \"{name}\" AS {select}")).unwrap();
        }
    })
}

/// Rows as text, one a line; booleans are 0 and 1, and numbers as a person would write them.
fn rows(connection: &rusqlite::Connection, sql: &str) -> String {
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cell = |place| match row.get_ref(place).unwrap() {
            ValueRef::Null => "NULL".to_owned(),
            ValueRef::Integer(value) => value.to_string(),
            ValueRef::Real(value) => value.to_string(),
            ValueRef::Text(value) => String::from_utf8(value.to_vec()).unwrap(),
            ValueRef::Blob(value) => {
                value.iter().fold("\\x".to_owned(), |hex, b| hex + &format!("{b:02x}"))
            }
        };
        lines.push((0..width).map(cell).collect::<Vec<_>>().join("|"));
    }
    lines.join("\n")
}

/// The rows of PostgreSQL's view, with booleans as SQLite's numbers and NULL as a word.
fn rows_in_postgres(url: &str, name: &str, order: &str) -> String {
    let columns = psql(
        url,
        &format!(
            "SELECT string_agg(CASE format_type(atttypid, NULL) WHEN 'boolean' \
             THEN format('coalesce(%I::integer::text, ''NULL'')', attname) \
             ELSE format('coalesce(%I::text, ''NULL'')', attname) END, ', ' ORDER BY attnum) \
             FROM pg_attribute WHERE attrelid = 'public.\"{name}\"'::regclass"
        ),
    );
    psql(url, &format!("SELECT {columns} FROM (SELECT * FROM public.\"{name}\"{order}) v"))
}

fn moved(source: &Source, url: &str, arguments: &[&str]) -> Value {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("report.json");
    let mut all = vec!["--json", json.to_str().unwrap()];
    all.extend(arguments);
    let output = source.migrate(url, &all);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

fn left_out(report: &Value) -> Vec<(String, String)> {
    list(&report["data_sets"][0]["left_out"])
        .filter(|entry| entry["kind"] == "view")
        .map(|entry| {
            let text = |key: &str| entry[key].as_str().unwrap().to_owned();
            assert!(text("definition").starts_with("CREATE VIEW"), "{entry}");
            (text("name"), text("reason"))
        })
        .collect()
}

#[test]
fn views_that_arrive_give_the_same_rows_and_the_others_are_listed() {
    let source = source();
    let database = server();
    let report = moved(&source, &database.url, &[]);
    let listed = left_out(&report);
    let copy = source.reading_copy();
    for (name, _, order) in CARRIED {
        let reason = listed.iter().find(|(other, _)| other == name);
        assert!(reason.is_none(), "{reason:?}");
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {order}") };
        let here = rows(&copy.connection, &format!("SELECT * FROM \"{name}\"{order}"));
        assert!(!here.is_empty(), "{name} has no rows");
        // The text of a date that was spelt otherwise is a declared conversion of its table.
        let here = here.replace("T00:00:00.5000", " 00:00:00.5");
        assert_eq!(
            rows_in_postgres(&database.url, name, &order_in_postgres(&order)),
            here,
            "{name}"
        );
        let statement = copy.connection.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let names = psql(
            &database.url,
            &format!(
                "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute \
                 WHERE attrelid = 'public.\"{name}\"'::regclass"
            ),
        );
        assert_eq!(names, statement.column_names().collect::<Vec<_>>().join(","), "{name}");
    }
    for (name, _, words) in LEFT_OUT {
        let (_, reason) = listed.iter().find(|(other, _)| other == name).expect(name);
        assert!(reason.contains(words), "{name}: {reason}");
    }
    assert_eq!(listed.len(), LEFT_OUT.len(), "{listed:?}");
}

/// NULLs come first in SQLite.
fn order_in_postgres(order: &str) -> String {
    order.replace(',', " NULLS FIRST,").trim_end().to_owned()
        + if order.is_empty() { "" } else { " NULLS FIRST" }
}

#[test]
fn a_view_keeps_its_name_where_it_fits_and_gets_another_where_not() {
    let long = "v".repeat(70);
    let source = Source::of_sql(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, \"{0}\" TEXT); INSERT INTO t VALUES (1, 'x'); \
         CREATE VIEW \"{long}\" AS SELECT * FROM t; \
         CREATE VIEW short AS SELECT w.\"{0}\" AS \"Straße %\" FROM \"{long}\" AS w; \
         CREATE VIEW ctid AS SELECT id AS ctid FROM t;",
        "c".repeat(70)
    ));
    let database = server();
    let report = moved(&source, &database.url, &[]);
    assert_eq!(left_out(&report), []);
    assert_eq!(psql(&database.url, "SELECT \"Straße %\" FROM short"), "x");
    let notes = report["data_sets"][0]["notes"].to_string();
    assert!(notes.contains(&format!("view \\\"{long}\\\" becomes")), "{notes}");
    assert!(notes.contains("column \\\"ctid\\\" of view \\\"ctid\\\" becomes"), "{notes}");
    let count = "SELECT count(*) FROM pg_views WHERE schemaname = 'public'";
    assert_eq!(psql(&database.url, count), "3");

    let again = source.migrate(&database.url, &["--drop-all"]);
    assert!(again.status.success(), "{}", text(&again));
    assert_eq!(psql(&database.url, count), "3");
}

#[test]
fn a_relation_of_a_views_name_refuses_the_run() {
    let source = Source::of_sql("CREATE TABLE t (a); CREATE VIEW seen AS SELECT a FROM t;");
    let database = server();
    psql(&database.url, "CREATE TABLE seen (x integer)");
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    assert!(text(&output).contains("table \"seen\""), "{}", text(&output));

    let output = source.migrate(&database.url, &["--exclude", "seen"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), "0");
}

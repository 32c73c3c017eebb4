//! The tables of properties in docs/types.md, compared with the catalogs of PostgreSQL's servers.

use crate::harness;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The versions whose columns are recorded in `columns.tsv`.
const VERSIONS: std::ops::RangeInclusive<u32> = 14..=18;

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The recorded columns of the catalogs of one version, as `catalog.column`.
fn recorded(version: u32) -> BTreeSet<String> {
    let recorded = file("tests/catalogs/columns.tsv");
    let lines = recorded.lines().map(|line| {
        let (column, versions) = line.split_once('\t').expect("a column and its versions");
        let (first, last) = versions.split_once('-').expect("the first and the last version");
        (column, first.parse().unwrap()..=last.parse::<u32>().unwrap())
    });
    lines.filter(|(_, versions)| versions.contains(&version)).map(|(c, _)| c.to_owned()).collect()
}

/// The columns of the server's catalogs, and its version.
fn of_the_server() -> (u32, BTreeSet<String>) {
    let database = harness::server();
    let number: u32 = harness::psql(&database.url, "SHOW server_version_num").parse().unwrap();
    let columns = harness::psql(
        &database.url,
        "SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 \
         AND NOT a.attisdropped",
    );
    (number / 10_000, columns.lines().map(str::to_owned).collect())
}

/// The catalogs and columns in the table of docs/types.md. A row for a whole catalog has the column
/// `*`.
fn documented() -> BTreeSet<String> {
    let page = file("docs/types.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `pg_"));
    let mut columns = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        let catalogs = cells[0].split(", ").map(|name| name.trim().trim_matches('`'));
        for catalog in catalogs.map(|name| format!("pg_{}", name.trim_start_matches("pg_"))) {
            for column in cells[1].split(", ").map(|name| name.trim().trim_matches('`')) {
                let column = if column == "all" { "*" } else { column };
                let column = format!("{catalog}.{column}");
                assert!(columns.insert(column.clone()), "{column} is in docs/types.md twice");
            }
        }
    }
    columns
}

/// The columns that the table does not have.
fn missing(documented: &BTreeSet<String>, columns: BTreeSet<String>) -> Vec<String> {
    let is_documented = |column: &str| {
        let (catalog, _) = column.split_once('.').expect("catalog.column");
        documented.contains(column) || documented.contains(&format!("{catalog}.*"))
    };
    columns.into_iter().filter(|column| !is_documented(column)).collect()
}

#[test]
fn the_table_of_properties_has_every_column_of_the_catalogs_of_all_versions() {
    let documented = documented();
    for version in VERSIONS {
        assert_eq!(missing(&documented, recorded(version)), [""; 0], "PostgreSQL {version}");
    }
    let all: BTreeSet<String> = VERSIONS.flat_map(recorded).collect();
    let of_none = |name: &&String| !name.ends_with(".*") && !all.contains(*name);
    assert_eq!(documented.iter().find(of_none), None, "a column that no version has");
}

#[test]
fn the_table_of_properties_has_every_column_of_this_servers_catalogs() {
    let (version, columns) = of_the_server();
    if VERSIONS.contains(&version) {
        assert_eq!(columns, recorded(version), "tests/catalogs/columns.tsv is wrong");
    }
    assert_eq!(missing(&documented(), columns), [""; 0], "PostgreSQL {version}");
}

#[test]
fn a_column_that_the_table_does_not_have_is_found() {
    let columns = ["pg_class.relname", "pg_class.relnew", "pg_new.oid", "pg_cast.oid"];
    let columns = columns.map(str::to_owned).into_iter().collect();
    assert_eq!(missing(&documented(), columns), ["pg_class.relnew", "pg_new.oid"]);
}

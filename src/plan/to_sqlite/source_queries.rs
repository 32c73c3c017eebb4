//! The SQL that reads the tables of a PostgreSQL source.

use crate::plan::model::{PlannedColumn, PlannedTable};
use crate::plan::to_sqlite::key_ranges::{block_range_queries, key_range_queries};
use crate::plan::to_sqlite::model::ToSqlite;
use crate::postgres::catalog::model::{ColumnFacts, TableFacts};
use crate::postgres::relation::StoredTable;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::schema::{Column, Table};

/// The only column of the primary key, where that is an integer.
pub(crate) fn integer_key<'a>(table: &'a Table, facts: &TableFacts) -> Option<&'a str> {
    let [key] = table.primary_key.as_ref()?.columns.as_slice() else { return None };
    let index = table.columns.iter().position(|column| column.name == key.name)?;
    let base = facts.columns.get(index)?.base.as_str();
    matches!(base, "int2" | "int4" | "int8").then_some(key.name.as_str())
}

/// The bytes of a row, where values are stored out of line: text and bytea as they arrive, which
/// the server knows without decompressing them; other values as they are stored.
pub(crate) fn row_width(table: &Table, facts: &TableFacts, stored: &StoredTable) -> Option<String> {
    if stored.bytes_apart == 0 {
        return None;
    }
    let of_column = |(column, facts): (&Column, &ColumnFacts)| {
        let function = match facts.base.as_str() {
            "text" | "varchar" | "bytea" => "octet_length",
            _ => "pg_column_size",
        };
        format!("coalesce(pg_catalog.{function}({}), 0)::bigint", quote(&column.name))
    };
    let widths: Vec<String> = table.columns.iter().zip(&facts.columns).map(of_column).collect();
    Some(widths.join(" + "))
}

/// The queries that read all rows of a table: ranges of its integer key, the order of another key
/// (so that SQLite's index grows at its end), or ranges of blocks.
pub(crate) fn queries(
    planned: &PlannedTable<ToSqlite>,
    table: &Table,
    facts: &TableFacts,
    stored: &StoredTable,
    key_range: Option<(i64, i64)>,
) -> Vec<String> {
    let columns = planned.columns.iter().zip(&planned.ddl.columns);
    let sent = columns.filter(|(_, ddl)| ddl.generated.is_none());
    let list: Vec<String> = sent.map(|(column, _)| column.expression()).collect();
    let select = format!("SELECT {} FROM ", list.join(", "));
    let (key, from) = (&planned.read.key, &stored.from);
    match (integer_key(table, facts), key_range) {
        (Some(column), Some(range)) => {
            key_range_queries(&select, from, column, range, stored.bytes)
        }
        _ if !key.is_empty() => {
            let terms: Vec<String> =
                key.iter().map(|name| order_term(name, &planned.columns)).collect();
            vec![format!("{select}{from} ORDER BY {}", terms.join(", "))]
        }
        _ => stored.relations.iter().flat_map(|one| block_range_queries(&select, one)).collect(),
    }
}

/// A term of ORDER BY. Text is sorted by bytes, as SQLite's BINARY does.
fn order_term(name: &str, columns: &[PlannedColumn<ToSqlite>]) -> String {
    let is_text = columns.iter().any(|column| {
        column.name == name
            && column.mapping.read.is_none()
            && column.mapping.encoding.is(ColumnType::Text)
    });
    format!("{}{}", quote(name), if is_text { " COLLATE \"C\"" } else { "" })
}

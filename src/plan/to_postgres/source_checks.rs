//! Questions to the source that the profile does not answer: the widest index entries, duplicate
//! keys, and rows that fit no page. Each is asked only where it can matter.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::fidelity::Misfit;
use crate::codec::row_batch::RowBatch;
use crate::codec::types::interval;
use crate::error::Result;
use crate::plan::to_postgres::column_types::TableDecision;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::schema::{IndexOver, IndexTerm, RowAddress, Schema, Table};
use crate::sqlite::read::chunk_reader::{read_error, scan};
use crate::sqlite::read::profile::table::TableProfile;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::connection::SourceConnection;
use bytes::BytesMut;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// The widest entry of a b-tree index, in bytes: a third of a page.
/// Source: `BTMaxItemSize` in PostgreSQL's nbtree.h, without the entry's own header.
pub(crate) const MAX_ENTRY: u64 = 2_704 - 16;

/// The label of a key in the measured widths, by its number (the primary key first).
pub(crate) fn key_label(number: usize) -> String {
    format!("\0key {number}")
}

/// The widths of entries that no index can hold, by table and label.
pub(crate) type TooWide = HashMap<(usize, String), u64>;

/// Indexes and keys with entries over [`MAX_ENTRY`], with the width of the widest.
pub(crate) fn too_wide(
    connection: &Connection,
    schema: &Schema,
    decisions: &[TableDecision],
    utf16: bool,
) -> Result<TooWide> {
    let mut found = HashMap::new();
    for (number, (table, decision)) in schema.tables.iter().zip(decisions).enumerate() {
        let profile = &decision.profile;
        let mut ask =
            |label: String, terms: Vec<String>, filter: Option<&str>, bound: Option<u64>| {
                if bound.is_some_and(|bound| bound <= MAX_ENTRY) || profile.rows == 0 {
                    return Ok(());
                }
                if let (true, Some(bound)) = (utf16, bound) {
                    // SQLite counts the bytes of UTF-16, which can be fewer than those of UTF-8.
                    found.insert((number, label), bound);
                    return Ok(());
                }
                if let Some(width) = widest(connection, table, &terms, filter)?
                    && width > MAX_ENTRY
                {
                    found.insert((number, label), width);
                }
                Ok::<(), crate::Error>(())
            };
        for (number, key) in table.primary_key.iter().chain(&table.uniques).enumerate() {
            let names: Vec<&str> = key.names().collect();
            let terms = names.iter().map(|name| quote(name)).collect();
            ask(key_label(number), terms, None, longest(table, profile, &names))?;
        }
        for index in &table.indexes {
            let term = |term: &IndexTerm| match &term.over {
                IndexOver::Column(name) => quote(name),
                IndexOver::Expression(sql) => format!("({})", sql.text),
            };
            let terms: Vec<String> = index.terms.iter().map(term).collect();
            let names: Option<Vec<&str>> = index.terms.iter().map(IndexTerm::column).collect();
            let bound = match names {
                Some(names) => longest(table, profile, &names),
                // An expression is rarely longer than its row.
                None => (profile.largest_row > MAX_ENTRY).then_some(u64::MAX).or(Some(0)),
            };
            let filter = index.filter.as_ref().map(|sql| sql.text.as_str());
            ask(index.name.clone(), terms, filter, bound)?;
        }
    }
    Ok(found)
}

/// An upper bound for the width of an entry over these columns, from the profile.
fn longest(table: &Table, profile: &TableProfile, names: &[&str]) -> Option<u64> {
    names
        .iter()
        .map(|name| {
            let index = table.columns.iter().position(|column| column.name == *name)?;
            Some(profile.columns.get(index)?.longest.max(8) + 8)
        })
        .sum()
}

/// The width of the widest entry; `None` if SQLite lacks a function of the application.
fn widest(
    connection: &Connection,
    table: &Table,
    terms: &[String],
    filter: Option<&str>,
) -> Result<Option<u64>> {
    let sum: Vec<String> =
        terms.iter().map(|term| format!("coalesce(length(CAST({term} AS BLOB)), 0) + 8")).collect();
    let filter = filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"));
    let sql = format!("SELECT max({}) FROM {}{filter}", sum.join(" + "), quote(&table.name));
    let Ok(mut statement) = connection.prepare(&sql) else { return Ok(None) };
    let width: Option<i64> =
        statement.query_row([], |row| row.get(0)).map_err(|e| read_error(&table.name, e))?;
    Ok(width.and_then(|width| u64::try_from(width).ok()))
}

/// The SQL function that returns the length of an interval, by which PostgreSQL compares intervals.
pub(crate) const INTERVAL_LENGTH: &str = "migrate_interval_length";

fn install_interval_length(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(INTERVAL_LENGTH, 1, flags, |context| {
        let text = context.get_raw(0).as_str_or_null()?;
        // Beyond 64 bits, which SQLite's integers do not hold.
        Ok(text.and_then(|text| interval::length(text.as_bytes())).map(|length| length.to_string()))
    })
}

/// Whether two rows, of those that `filter` selects, have the same values of `terms`, which denote
/// the terms of a key and may use [`INTERVAL_LENGTH`]. `false` if the key has a function of the
/// application.
pub(crate) fn has_duplicates(
    connection: &Connection,
    table: &Table,
    terms: &[String],
    filter: Option<&str>,
) -> Result<bool> {
    let given = terms.iter().map(|term| format!("{term} IS NOT NULL"));
    let given: Vec<String> = given.chain(filter.map(|filter| format!("({filter})"))).collect();
    let sql = format!(
        "SELECT EXISTS (SELECT 1 FROM {} WHERE {} GROUP BY {} HAVING count(*) > 1)",
        quote(&table.name),
        given.join(" AND "),
        terms.join(", ")
    );
    install_interval_length(connection).map_err(|error| read_error(&table.name, error))?;
    let Ok(mut statement) = connection.prepare(&sql) else { return Ok(false) };
    statement.query_row([], |row| row.get(0)).map_err(|error| read_error(&table.name, error))
}

/// Columns that a table can have (`MaxHeapAttributeNumber`, without system columns).
pub(crate) const MAX_COLUMNS: usize = 1_600;

/// Finds the rows that a plan cannot send: those with a value that does not fit its column, and
/// those too wide for a page even with every long value stored out of line. Calls `each` with the
/// row's rowid or number, the column and the reason.
pub(crate) fn unsendable(
    connection: &SourceConnection,
    query: &TableQuery,
    layout: &TupleLayout,
    mut each: impl FnMut(i64, Option<usize>, Misfit, &RowBatch) -> Result<()>,
) -> Result<()> {
    let range = match query.address {
        RowAddress::Integer { .. } => KeyRange::Integer { first: i64::MIN, last: i64::MAX },
        RowAddress::Key { .. } => KeyRange::Key { after: None, through: None },
        RowAddress::Ordinal => KeyRange::Ordinal { skip: 0, rows: 0 },
    };
    let mut number = 0;
    scan(connection, query, &range, |row| {
        number += 1;
        let mut batch = RowBatch::default();
        row.for_each(|raw| batch.push(raw));
        batch.end_row();
        if let Err(unsendable) = layout.encode(0, 0, &batch, false, BytesMut::new()) {
            let row_number = match query.address {
                RowAddress::Integer { .. } => row.integer_key(),
                _ => number,
            };
            each(row_number, unsendable.field, unsendable.misfit, &batch)?;
        }
        Ok(ControlFlow::Continue(()))
    })
}

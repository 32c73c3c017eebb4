//! Verification without a plan: any two databases, also where another program copied the rows.
//!
//! Tables and columns are matched by name, or by the SQLite name in a comment of ours. The type of
//! the PostgreSQL column decides: each stored value has to become exactly the value found there.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::encoding::Encoding;
use crate::error::{Error, Result};
use crate::options::type_override::TypeOverride;
use crate::postgres::ledger::detail::LedgerDetail;
use crate::schema::Table;
use crate::schema::chunk::Chunk;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::schema::names::{qualify, quote};
use crate::sqlite::read::chunk_reader::read_error;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::sql::declared_type::column_affinity;
use crate::verify::compared_table::{ComparedColumn, ComparedTable};
use crate::{postgres, sqlite};

/// A table of SQLite and the table of PostgreSQL that should have the same rows.
pub(crate) struct TablePair<'a> {
    pub(crate) sqlite: &'a Table,
    pub(crate) postgres: Option<&'a Table>,
    /// The names in PostgreSQL of SQLite's columns, in SQLite's order.
    columns: Vec<Option<&'a str>>,
    /// The highest key that SQLite has generated.
    pub(crate) highest_key: i64,
}

impl TablePair<'_> {
    pub(crate) fn column(&self, name: &str) -> Option<&str> {
        let index = self.sqlite.columns.iter().position(|column| column.name == name)?;
        self.columns[index]
    }
}

/// Matches the tables of SQLite with those of PostgreSQL.
pub(crate) fn match_tables<'a>(
    sqlite: &'a sqlite::catalog::model::Catalog,
    postgres: &'a postgres::catalog::model::Catalog,
    connection: &rusqlite::Connection,
) -> Result<Vec<TablePair<'a>>> {
    let mut unmatched: Vec<(&Table, Option<&str>)> = Vec::new();
    for table in &postgres.schema.tables {
        let facts = postgres.facts.get(&table.name);
        unmatched.push((table, facts.and_then(|facts| facts.origin["name"].as_str())));
    }
    let mut pairs = Vec::new();
    for table in &sqlite.schema.tables {
        let found = find(&unmatched, &table.name, |(found, origin)| (found.name.as_str(), *origin));
        let found = found.map(|index| unmatched.swap_remove(index).0);
        let mut columns = vec![None; table.columns.len()];
        if let Some(found) = found {
            let facts = postgres.facts.get(&found.name).map(|facts| &facts.columns);
            let named: Vec<(&str, Option<&str>)> = found
                .columns
                .iter()
                .zip(facts.into_iter().flatten())
                .map(|(column, facts)| (column.name.as_str(), facts.origin["name"].as_str()))
                .collect();
            for (column, matched) in table.columns.iter().zip(&mut columns) {
                *matched = find(&named, &column.name, |one| *one).map(|index| named[index].0);
            }
        }
        let highest_key = highest_key(connection, table)?;
        pairs.push(TablePair { sqlite: table, postgres: found, columns, highest_key });
    }
    Ok(pairs)
}

pub(crate) struct MatchInputs<'a> {
    /// SQLite's catalog, without the tables that are not compared.
    pub(crate) catalog: &'a sqlite::catalog::model::Catalog,
    pub(crate) queries: &'a [TableQuery],
    pub(crate) schema: &'a str,
    /// The user's types, for numbers that count from an epoch.
    pub(crate) casts: &'a [TypeOverride],
    /// The ledger's row of the data set; empty without a ledger.
    pub(crate) ledger: &'a LedgerDetail,
}

/// The tables to compare, and what was found while matching their columns.
#[derive(Default)]
pub(crate) struct MatchedTables {
    pub(crate) tables: Vec<ComparedTable>,
    /// Columns whose type has changed.
    pub(crate) differences: Vec<String>,
    /// Columns that are compared as text.
    pub(crate) notes: Vec<String>,
}

/// Makes the compared tables from the pairs and the `chunks` of SQLite's tables. Fails if the user's
/// types name no column, or another type than the target has.
pub(crate) fn compared_tables(
    pairs: &[TablePair<'_>],
    chunks: Vec<Vec<Chunk>>,
    inputs: &MatchInputs<'_>,
) -> Result<MatchedTables> {
    let mut matched = MatchedTables::default();
    for ((pair, query), chunks) in pairs.iter().zip(inputs.queries).zip(chunks) {
        let (table, Some(target)) = (pair.sqlite, pair.postgres) else { continue };
        let strict = inputs.catalog.facts.get(&table.name).is_some_and(|facts| facts.strict);
        let left_out = inputs.ledger.rows_left_out.get(&table.name).copied().unwrap_or(0);
        let mut columns = Vec::new();
        let mut casts = Vec::new();
        for (column, name) in table.columns.iter().zip(&pair.columns) {
            let Some(found) = target.columns.iter().find(|c| Some(c.name.as_str()) == *name) else {
                continue;
            };
            let affinity = column_affinity(&column.declared, strict);
            let pair = ColumnPair { table, column: &column.name, type_name: &found.declared };
            let pinned = pair.pinned_type(inputs, &mut matched.differences);
            let (encoding, as_text) =
                pair.encoding(affinity, pinned, left_out > 0, &mut matched.notes)?;
            columns.push(ComparedColumn {
                sqlite: column.name.clone(),
                postgres: found.name.clone(),
                read: as_text.then(|| format!("{}::pg_catalog.text", quote(&found.name))),
            });
            // A number kept as text is reported as a conversion: it is not in a plan.
            let is_text = ColumnType::parse(&found.declared) == Some(ColumnType::Text);
            let restores = affinity.is_numeric() && !is_text && !as_text;
            casts.push(ColumnEncoder { encoding, affinity_restores_numbers: restores });
        }
        let mut compared = ComparedTable {
            name: table.name.clone(),
            postgres: qualify(inputs.schema, &target.name),
            query: TableQuery {
                columns: columns.iter().map(|column| column.sqlite.clone()).collect(),
                ..query.clone()
            },
            layout: TupleLayout::new(casts),
            bytes: chunks.iter().map(|chunk| chunk.bytes).sum(),
            max_row_bytes: Vec::new(),
            chunks,
            columns,
            key: Vec::new(),
            integer_key: None,
            skips_misfits: left_out > 0,
            rows_left_out: left_out,
            counted: None,
        };
        let keys: Vec<Vec<String>> = table
            .primary_key
            .iter()
            .chain(&table.uniques)
            .map(|key| key.columns.iter().map(|column| column.name.clone()).collect())
            .collect();
        compared.choose_key(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
        matched.tables.push(compared);
    }
    Ok(matched)
}

/// A column of SQLite and its type in PostgreSQL.
struct ColumnPair<'a> {
    table: &'a Table,
    column: &'a str,
    type_name: &'a str,
}

impl ColumnPair<'_> {
    /// The type that the user gave, or the one that the ledger keeps if it counts from an epoch.
    /// Reports a column whose type has changed since the copy.
    fn pinned_type(
        &self,
        inputs: &MatchInputs<'_>,
        differences: &mut Vec<String>,
    ) -> Option<Encoding> {
        let (table, column) = (&self.table.name, self.column);
        let given = inputs.casts.iter().find(|c| c.table == *table && c.column == *column);
        if let Some(given) = given {
            return Some(given.to);
        }
        let copied = inputs.ledger.types.get(table).and_then(|types| types.get(column));
        let copied = copied.and_then(|text| Encoding::parse(text).ok())?;
        if ColumnType::parse(self.type_name).as_ref() != Some(&copied.column_type) {
            differences.push(format!(
                "column {} of {} was copied as {}, but is {} now",
                quote(column),
                quote(table),
                copied.column_type,
                self.type_name
            ));
            return None;
        }
        copied.epoch().is_some().then_some(copied)
    }

    /// The encoding in which values are compared, and whether the server's text of them is.
    fn encoding(
        &self,
        affinity: Affinity,
        pinned: Option<Encoding>,
        skips_misfits: bool,
        notes: &mut Vec<String>,
    ) -> Result<(Encoding, bool)> {
        let column_type = ColumnType::parse(self.type_name);
        if let Some(pinned) = pinned {
            if column_type.as_ref() != Some(&pinned.column_type) {
                return Err(Error::usage(format!(
                    "--cast gives column {} of {} the type {}, but it is {} in the target",
                    quote(self.column),
                    quote(&self.table.name),
                    pinned.column_type,
                    self.type_name
                )));
            }
            return Ok((pinned, false));
        }
        Ok(match column_type {
            // Text keys that refer to integers.
            Some(ColumnType::BigInt) if affinity == Affinity::Text => {
                (Encoding::INTEGER_TEXT, false)
            }
            // `json` keeps its text, also one that no operator can read. Where rows were skipped,
            // it must be known which texts are misfits.
            Some(ColumnType::Json) if !skips_misfits => (ColumnType::Text.into(), false),
            Some(column_type) => (column_type.into(), false),
            None => {
                notes.push(format!(
                    "column {} of {} is {} in the target, so it is compared as text",
                    quote(self.column),
                    quote(&self.table.name),
                    self.type_name
                ));
                (ColumnType::Text.into(), true)
            }
        })
    }
}

/// The highest key that SQLite has generated for a table; 0 if it does not generate keys.
fn highest_key(connection: &rusqlite::Connection, table: &Table) -> Result<i64> {
    let Some(column) = table.columns.iter().find(|column| column.identity) else { return Ok(0) };
    let sql = format!("SELECT max({}) FROM {}", quote(&column.name), quote(&table.name));
    let stored: Option<i64> = connection
        .query_row(&sql, [], |row| row.get(0))
        .map_err(|error| read_error(&table.name, error))?;
    Ok(stored.unwrap_or(0).max(table.sequence.unwrap_or(0)))
}

/// The index of the element for `name`: the one whose comment keeps the name, else the one that has
/// it, else the only one that has it in another case. `names` returns an element's name and the one
/// that its comment keeps.
fn find<'a, T>(
    list: &[T],
    name: &str,
    names: impl Fn(&T) -> (&'a str, Option<&'a str>),
) -> Option<usize> {
    let is_origin = |one: &T| names(one).1 == Some(name);
    let has_name = |one: &T| names(one).0 == name && names(one).1.is_none_or(|o| o == name);
    list.iter().position(is_origin).or_else(|| list.iter().position(has_name)).or_else(|| {
        let alike = |one: &T| names(one).1.is_none() && names(one).0.eq_ignore_ascii_case(name);
        let mut indexes = (0..list.len()).filter(|&index| alike(&list[index]));
        indexes.next().filter(|_| indexes.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_by_comment_then_exactly_then_without_case() {
        let find =
            |list: &[(&'static str, Option<&'static str>)], name| find(list, name, |one| *one);
        assert_eq!(find(&[("a", None), ("b", Some("a"))], "a"), Some(1));
        assert_eq!(find(&[("A", None), ("a", None)], "a"), Some(1));
        assert_eq!(find(&[("users", None)], "Users"), Some(0));
        assert_eq!(find(&[("USERS", None), ("users", None)], "Users"), None);
        assert_eq!(find(&[("a", Some("b"))], "a"), None, "it belongs to another name");
    }
}

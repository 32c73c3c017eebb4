//! Indexes and the constraints that SQLite keeps as indexes: PRIMARY KEY and UNIQUE.

use crate::error::Result;
use crate::schema::expression::{Collation, Sql};
use crate::schema::{Column, Index, IndexOver, IndexTerm, Key, KeyColumn};
use crate::sqlite::catalog::{Entry, optional_text, query, text, unreadable};
use crate::sqlite::sql::declared_type;
use crate::sqlite::sql::parse::create::{self, IndexText, Names, TableText};
use rusqlite::Connection;

/// An index as `index_list` and `index_xinfo` give it.
pub(crate) struct RawIndex {
    name: String,
    unique: bool,
    /// `pk`, `u` for a UNIQUE constraint, `c` for CREATE INDEX.
    pub(crate) origin: String,
    terms: Vec<RawTerm>,
    /// The index ends in the rowid: its table has one.
    pub(crate) has_rowid: bool,
}

struct RawTerm {
    /// `None` for an expression.
    column: Option<String>,
    collation: Collation,
    descending: bool,
}

pub(crate) fn raw(connection: &Connection, table: &str) -> Result<Vec<RawIndex>> {
    let mut indexes = query(
        connection,
        "SELECT name, \"unique\", origin FROM pragma_index_list(?1, 'main')",
        Some(table),
        |row| {
            Ok(RawIndex {
                name: text(row, 0)?,
                unique: row.get(1).map_err(unreadable)?,
                origin: text(row, 2)?,
                terms: Vec::new(),
                has_rowid: false,
            })
        },
    )?;
    for index in &mut indexes {
        let sql = "SELECT cid, name, coll, \"desc\", key FROM pragma_index_xinfo(?1, 'main') \
                   ORDER BY seqno";
        let terms = query(connection, sql, Some(&index.name), |row| {
            let position: i64 = row.get(0).map_err(unreadable)?;
            let term = RawTerm {
                column: optional_text(row, 1)?,
                collation: declared_type::collation_named(&text(row, 2)?),
                descending: row.get(3).map_err(unreadable)?,
            };
            Ok((position, term, row.get(4).map_err(unreadable)?))
        })?;
        index.has_rowid =
            terms.iter().any(|&(position, _, key): &(_, _, bool)| position == -1 && !key);
        index.terms =
            terms.into_iter().filter(|&(_, _, key)| key).map(|(_, term, _)| term).collect();
    }
    // The list comes newest first, unique ones before; automatic names end in the order in which
    // the constraints were declared.
    indexes.sort_by_key(|index| {
        index.name.rsplit_once('_').and_then(|(_, n)| n.parse::<u64>().ok()).unwrap_or(u64::MAX)
    });
    Ok(indexes)
}

pub(crate) fn primary_key(
    columns: &[Column],
    alias: Option<&str>,
    index: Option<&RawIndex>,
    text: &TableText,
) -> Option<Key> {
    let name = text.primary_key.clone();
    if let Some(index) = index {
        return Some(Key { name, columns: key_columns(index) });
    }
    let column = columns.iter().find(|column| Some(column.name.as_str()) == alias)?;
    let column = KeyColumn {
        name: column.name.clone(),
        collation: column.collation.clone(),
        descending: false,
    };
    Some(Key { name, columns: vec![column] })
}

fn key_columns(index: &RawIndex) -> Vec<KeyColumn> {
    index
        .terms
        .iter()
        .map(|term| KeyColumn {
            name: term.column.clone().unwrap_or_default(),
            collation: term.collation.clone(),
            descending: term.descending,
        })
        .collect()
}

/// The UNIQUE constraints. SQLite drops one that repeats another, so a name is looked up by the
/// columns.
pub(crate) fn uniques(indexes: &[RawIndex], text: &TableText) -> Vec<Key> {
    let mut named: Vec<_> = text.uniques.iter().collect();
    let mut take_name = |columns: &[KeyColumn]| {
        let place = named.iter().position(|(_, written)| {
            written.len() == columns.len()
                && written.iter().zip(columns).all(|(w, c)| w.eq_ignore_ascii_case(&c.name))
        })?;
        named.remove(place).0.clone()
    };
    indexes
        .iter()
        .filter(|index| index.origin == "u")
        .map(|index| {
            let columns = key_columns(index);
            Key { name: take_name(&columns), columns }
        })
        .collect()
}

/// The indexes made by CREATE INDEX, in the order of their creation.
pub(crate) fn created(
    table: &str,
    entries: &[Entry],
    indexes: &[RawIndex],
    names: &Names<'_>,
) -> Vec<Index> {
    let made = entries.iter().filter(|entry| {
        entry.kind == "index" && entry.sql.is_some() && entry.table.eq_ignore_ascii_case(table)
    });
    made.filter_map(|entry| {
        let raw = indexes.iter().find(|index| index.name.eq_ignore_ascii_case(&entry.name))?;
        let definition = entry.sql.clone().unwrap_or_default();
        let text = create::index(&definition, names);
        Some(Index {
            name: raw.name.clone(),
            unique: raw.unique,
            terms: index_terms(raw, text.as_ref(), &definition),
            filter: index_filter(text, &definition),
            definition,
        })
    })
    .collect()
}

fn index_terms(raw: &RawIndex, text: Option<&IndexText>, definition: &str) -> Vec<IndexTerm> {
    let over = |place: usize, term: &RawTerm| match &term.column {
        Some(column) => IndexOver::Column(column.clone()),
        None => IndexOver::Expression(match text.and_then(|text| text.terms.get(place)) {
            Some(sql) => sql.clone(),
            None => Sql { text: definition.to_owned(), tree: None },
        }),
    };
    raw.terms
        .iter()
        .enumerate()
        .map(|(place, term)| IndexTerm {
            over: over(place, term),
            collation: term.collation.clone(),
            descending: term.descending,
        })
        .collect()
}

/// The filter; of a statement that cannot be read, one without a tree, so that the index is left
/// out rather than made over all rows.
fn index_filter(text: Option<IndexText>, definition: &str) -> Option<Sql> {
    match text {
        Some(text) => text.filter,
        None => Some(Sql { text: definition.to_owned(), tree: None }),
    }
}

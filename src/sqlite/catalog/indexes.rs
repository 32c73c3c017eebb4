//! Indexes, also those that enforce keys.

use crate::error::Result;
use crate::schema::expression::{Collation, Sql};
use crate::schema::{Index, IndexOver, IndexTerm};
use crate::sqlite::catalog::model::{EntryField, FieldOver, IndexOrigin, UniqueIndex};
use crate::sqlite::catalog::query::{Entry, optional_text, query, text, unreadable};
use crate::sqlite::sql::declared_type;
use crate::sqlite::sql::parse::create::{self, IndexText, Names};
use rusqlite::Connection;

/// An index, from the pragmas `index_list` and `index_xinfo`.
pub(crate) struct RawIndex {
    name: String,
    unique: bool,
    /// `pk`, `u` for a UNIQUE constraint, `c` for CREATE INDEX.
    pub(crate) origin: String,
    pub(crate) terms: Vec<RawTerm>,
    /// The columns after the terms; `None` is the rowid.
    rest: Vec<Option<String>>,
}

/// A term of an index.
pub(crate) struct RawTerm {
    /// The column; `None` for an expression.
    pub(crate) column: Option<String>,
    pub(crate) collation: Collation,
    pub(crate) descending: bool,
}

pub(crate) fn read(connection: &Connection, table: &str) -> Result<Vec<RawIndex>> {
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
                rest: Vec::new(),
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
        for (position, term, is_term) in terms {
            match (is_term, position) {
                (true, _) => index.terms.push(term),
                (false, -1) => index.rest.push(None),
                (false, _) => index.rest.push(term.column),
            }
        }
    }
    // The pragma's order is not that of the declarations. The names of automatic indexes end with
    // the number of the constraint.
    indexes.sort_by_key(|index| {
        index.name.rsplit_once('_').and_then(|(_, n)| n.parse::<u64>().ok()).unwrap_or(u64::MAX)
    });
    Ok(indexes)
}

impl RawIndex {
    /// Whether it ends in the rowid, so that its table has one.
    pub(crate) fn has_rowid(&self) -> bool {
        self.rest.contains(&None)
    }
}

/// The unique indexes of `indexes`. Those made by CREATE INDEX are also in `created`.
pub(crate) fn unique(indexes: &[RawIndex], created: &[Index]) -> Vec<UniqueIndex> {
    let origins =
        [("pk", IndexOrigin::PrimaryKey), ("u", IndexOrigin::Unique), ("c", IndexOrigin::Created)];
    let mut found = Vec::new();
    for (written, origin) in origins {
        for raw in indexes.iter().filter(|index| index.unique && index.origin == written) {
            let created = created.iter().find(|index| index.name == raw.name);
            let expression = |number: usize| {
                let over = created.and_then(|index| index.terms.get(number)).map(|term| &term.over);
                match over {
                    Some(IndexOver::Expression(sql)) => sql.text.clone(),
                    _ => String::new(),
                }
            };
            let terms = raw.terms.iter().enumerate().map(|(number, term)| EntryField {
                over: match &term.column {
                    Some(column) => FieldOver::Column(column.clone()),
                    None => FieldOver::Expression(expression(number)),
                },
                collation: term.collation.clone(),
                descending: term.descending,
            });
            // The key of a table WITHOUT ROWID identifies the row, and the other columns follow.
            let is_table = origin == IndexOrigin::PrimaryKey && !raw.has_rowid();
            let rest = raw.rest.iter().filter(|_| !is_table).map(|column| EntryField {
                over: column.clone().map_or(FieldOver::Rowid, FieldOver::Column),
                collation: Collation::Binary,
                descending: false,
            });
            found.push(UniqueIndex {
                name: raw.name.clone(),
                origin,
                fields: terms.chain(rest).collect(),
                terms: raw.terms.len(),
                is_table,
                filter: created.and_then(|index| index.filter.as_ref()).map(|sql| sql.text.clone()),
            });
        }
    }
    found
}

/// The indexes created by CREATE INDEX, in the order of their creation.
pub(crate) fn created(
    table: &str,
    entries: &[Entry],
    indexes: &[RawIndex],
    names: &Names<'_>,
) -> Vec<Index> {
    let created = entries.iter().filter(|entry| {
        entry.kind == "index" && entry.sql.is_some() && entry.table.eq_ignore_ascii_case(table)
    });
    created
        .filter_map(|entry| {
            let raw = indexes.iter().find(|index| index.name.eq_ignore_ascii_case(&entry.name))?;
            let definition = entry.sql.clone().unwrap_or_default();
            let text = create::index(&definition, names);
            let terms = index_terms(raw, text.as_ref(), &definition);
            // A statement that cannot be parsed has a filter without a tree: the index is then
            // skipped rather than created over all rows.
            let unparsed = || Some(Sql { text: definition.clone(), tree: None });
            let filter = text.map_or_else(unparsed, |text| text.filter);
            Some(Index { name: raw.name.clone(), unique: raw.unique, terms, filter, definition })
        })
        .collect()
}

fn index_terms(raw: &RawIndex, text: Option<&IndexText>, definition: &str) -> Vec<IndexTerm> {
    let term = |(index, term): (usize, &RawTerm)| IndexTerm {
        over: match &term.column {
            Some(column) => IndexOver::Column(column.clone()),
            None => IndexOver::Expression(match text.and_then(|text| text.terms.get(index)) {
                Some(sql) => sql.clone(),
                None => Sql { text: definition.to_owned(), tree: None },
            }),
        },
        collation: term.collation.clone(),
        descending: term.descending,
    };
    raw.terms.iter().enumerate().map(term).collect()
}

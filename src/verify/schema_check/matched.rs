//! The expected schema from SQLite's catalog, where there is no plan.

use crate::schema::names::quote;
use crate::schema::{ForeignKey, Index, IndexOver, IndexTerm, Table};
use crate::verify::match_tables::TablePair;
use crate::verify::schema_check::expected::{Expected, ExpectedTable, column, key};

/// The schema that PostgreSQL needs to serve like SQLite's. `ignored` are tables that are not
/// compared.
pub(crate) fn for_postgres(pairs: &[TablePair<'_>], ignored: Vec<String>) -> Expected {
    let mut expected = Expected { ignored, ..Expected::default() };
    for pair in pairs {
        let target = pair.postgres.map(|target| table(pair, target, pairs, &mut expected.notes));
        expected.tables.push(ExpectedTable {
            name: pair.sqlite.name.clone(),
            columns: pair.sqlite.columns.iter().map(|column| column.name.clone()).collect(),
            target,
        });
    }
    expected
}

/// A table of SQLite in the names of PostgreSQL.
fn table(
    pair: &TablePair<'_>,
    target: &Table,
    pairs: &[TablePair<'_>],
    notes: &mut Vec<String>,
) -> Table {
    let table = pair.sqlite;
    let name = quote(&table.name);
    let in_target = |name: &String| pair.column(name).unwrap_or_default().to_owned();
    let same_key = |wanted: &crate::schema::Key| {
        key(None, wanted.columns.iter().map(|column| in_target(&column.name)))
    };
    let columns = table.columns.iter().map(|wanted| {
        column(&in_target(&wanted.name), wanted.not_null || wanted.identity, wanted.identity)
    });
    let columns: Vec<_> = columns.collect();
    let mut foreign_keys = Vec::new();
    for key in &table.foreign_keys {
        let Some((parent, parent_name)) = pairs.iter().find_map(|one| {
            (one.sqlite.name == key.parent).then_some((one, one.postgres?.name.clone()))
        }) else {
            let names: Vec<String> = key.columns.iter().map(|column| quote(column)).collect();
            let names = names.join(", ");
            let text = format!("the foreign key of {name} on {names} is not compared");
            notes.push(format!("{text}: its parent {} is not compared", quote(&key.parent)));
            continue;
        };
        let in_parent = |name: &String| parent.column(name).unwrap_or_default().to_owned();
        foreign_keys.push(ForeignKey {
            columns: key.columns.iter().map(in_target).collect(),
            parent: parent_name,
            parent_columns: key.parent_columns.iter().map(in_parent).collect(),
            ..key.clone()
        });
    }
    if !table.checks.is_empty() {
        notes.push(format!(
            "the checks of {name} are not compared: the two databases spell them differently"
        ));
    }
    let term = |term: &IndexTerm| IndexTerm {
        over: match &term.over {
            IndexOver::Column(name) => IndexOver::Column(in_target(name)),
            expression => expression.clone(),
        },
        ..term.clone()
    };
    let generates_keys = columns.iter().any(|column| column.identity && !column.name.is_empty());
    Table {
        primary_key: table.primary_key.as_ref().map(same_key),
        uniques: table.uniques.iter().map(same_key).collect(),
        foreign_keys,
        indexes: table
            .indexes
            .iter()
            .map(|index| Index { terms: index.terms.iter().map(term).collect(), ..index.clone() })
            .collect(),
        sequence: generates_keys.then_some(pair.highest_key),
        columns,
        name: target.name.clone(),
        ..Table::default()
    }
}

//! The column types of a plan: each column by itself, then the columns that foreign keys join.

use crate::codec::encode::heap_page::COLUMNS_THAT_ALWAYS_FIT;
use crate::codec::encoding::Encoding;
use crate::codec::field::MAX_FIELD;
use crate::options::type_override::TypeOverride;
use crate::plan::to_postgres::type_rules::{Column, TypeDecision, type_rank};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::schema::{IndexTerm, Key, Schema, Table};
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::profile::column::{ColumnProfile, Tally};
use crate::sqlite::read::profile::table::TableProfile;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::sql::declared_type::{DeclaredType, column_affinity};
use std::collections::HashMap;

/// The index of a table in the schema, and of a column in the table.
pub(crate) type ColumnId = (usize, usize);

/// What was found and decided about one table.
pub(crate) struct TableDecision {
    /// How it is read.
    pub(crate) query: TableQuery,
    pub(crate) profile: TableProfile,
    /// The types of its columns.
    pub(crate) types: Vec<TypeDecision>,
    /// Rows that go to the reject file, by reason.
    pub(crate) rejected: Vec<(String, Tally)>,
}

impl TableDecision {
    /// Whether all columns must be sent, because the values decide which rows fit.
    pub(crate) fn is_sent_whole(&self) -> bool {
        !self.rejected.is_empty() || self.may_be_too_wide()
    }

    /// Whether rows can be too wide for a page, or too large for the server.
    pub(crate) fn may_be_too_wide(&self) -> bool {
        self.types.len() > COLUMNS_THAT_ALWAYS_FIT || self.profile.largest_row > MAX_FIELD as u64
    }
}

/// The facts about all columns before the profile, by table and column.
pub(crate) struct Columns {
    columns: Vec<Vec<Column>>,
    /// Groups of columns that foreign keys join, each with at least two members.
    joined: Vec<Vec<ColumnId>>,
}

impl Columns {
    /// Reads declarations, keys and type overrides. An override of an excluded table has no effect.
    pub(crate) fn new(catalog: &Catalog, overrides: &[TypeOverride]) -> Self {
        let schema = &catalog.schema;
        let strict =
            |table: &Table| catalog.facts.get(&table.name).is_some_and(|facts| facts.strict);
        let mut columns: Vec<Vec<Column>> =
            schema.tables.iter().map(|table| of_table(table, strict(table))).collect();
        for one in overrides {
            if let Some((table, column)) = find(schema, one) {
                columns[table][column].fixed = Some(one.to);
            }
        }
        let joined = joined(schema);
        let mut columns = Self { columns, joined };
        columns.propagate_overrides();
        columns.mark_integer_joins();
        columns
    }

    pub(crate) fn of(&self, table: usize) -> &[Column] {
        &self.columns[table]
    }

    /// Copies an override to the columns that foreign keys join, so that the profile checks their
    /// values, too. A column's own override and the alias of the rowid are unchanged.
    fn propagate_overrides(&mut self) {
        for group in &self.joined {
            let Some(form) = group.iter().find_map(|&(t, c)| self.columns[t][c].fixed) else {
                continue;
            };
            for &(table, column) in group {
                let column = &mut self.columns[table][column];
                if !column.identity {
                    column.fixed.get_or_insert(form);
                }
            }
        }
        for column in self.columns.iter_mut().flatten() {
            // Text of integers can become `bigint`, also by a file of overrides.
            if column.fixed == Some(ColumnType::BigInt.into()) && column.affinity == Affinity::Text
            {
                column.fixed = Some(Encoding::INTEGER_TEXT);
            }
        }
    }

    /// Marks text columns that a foreign key joins to integers. If all their texts are integers, both
    /// sides can be `bigint`, and the key is kept.
    fn mark_integer_joins(&mut self) {
        for group in &self.joined {
            let integers = group.iter().any(|&(table, column)| {
                let column = &self.columns[table][column];
                column.identity || column.affinity == Affinity::Integer
            });
            for &(table, column) in group.iter().filter(|_| integers) {
                let column = &mut self.columns[table][column];
                column.joins_integers = column.affinity == Affinity::Text;
            }
        }
    }

    /// Decides all columns, by table.
    pub(crate) fn decide(
        &self,
        queries: Vec<TableQuery>,
        profiles: Vec<TableProfile>,
        widen: bool,
    ) -> Vec<TableDecision> {
        let tables = self.columns.iter().zip(queries).zip(profiles);
        let mut tables: Vec<TableDecision> = tables
            .map(|((columns, query), profile)| {
                let types = columns.iter().zip(&profile.columns);
                let types = types.map(|(column, profile)| column.decide(profile, widen)).collect();
                TableDecision { query, profile, types, rejected: Vec::new() }
            })
            .collect();
        for group in &self.joined {
            self.share(group, widen, &mut tables);
        }
        tables
    }

    /// Gives the columns of a group the widest of their types. The alias of the rowid is unchanged: a
    /// column that does not fit it keeps its own type, and the key between them is not created.
    fn share(&self, group: &[ColumnId], widen: bool, tables: &mut [TableDecision]) {
        let type_of = |&(table, column): &ColumnId| tables[table].types[column].column_type();
        let first = type_of(&group[0]);
        if group.iter().all(|id| type_of(id) == first) {
            return;
        }
        let column = |&(table, column): &ColumnId| &self.columns[table][column];
        let profile = |&(table, column): &ColumnId| &tables[table].profile.columns[column];
        if group.iter().any(|id| column(id).fixed.is_some()) {
            return;
        }
        let mut merged = ColumnProfile::default();
        group.iter().for_each(|id| merged.merge(profile(id)));
        let untyped = Column {
            declared: DeclaredType::Untyped,
            affinity: Affinity::Numeric,
            identity: false,
            in_key: true,
            indexed: true,
            joins_integers: false,
            fixed: None,
        };
        let widest = group
            .iter()
            .map(type_of)
            .max_by_key(|&column_type| type_rank(column_type))
            .unwrap_or(ColumnType::Text);
        let fallback = untyped.decide(&merged, widen).column_type();
        let holds_identity = group.iter().any(|id| column(id).identity);
        let shared = if holds_identity && merged.values() > 0 && fallback == ColumnType::BigInt {
            // Whole numbers under a wider declaration: the alias's type holds all of them.
            fallback
        } else if merged.values() > 0 && type_rank(fallback) > type_rank(widest) {
            fallback
        } else {
            widest
        };
        // Types of the same rank but of different kinds (uuid and text) share the ladder's type.
        let shared = match type_rank(shared) {
            0 => ColumnType::BigInt,
            1 => ColumnType::Double,
            2 => ColumnType::Numeric(None),
            3 => ColumnType::Text,
            _ => ColumnType::Bytea,
        };
        if holds_identity && shared != ColumnType::BigInt {
            return;
        }
        for id @ &(table, index) in group {
            let TableDecision { profile, types, .. } = &mut tables[table];
            if !column(id).identity && types[index].column_type() != shared {
                types[index] = column(id).decide_shared(shared, &profile.columns[index], widen);
            }
        }
    }
}

fn of_table(table: &Table, strict: bool) -> Vec<Column> {
    let keys = table.primary_key.iter().chain(&table.uniques);
    let mut in_key: Vec<&str> = keys.flat_map(Key::names).collect();
    let mut indexed = Vec::new();
    for index in &table.indexes {
        let columns = index.terms.iter().filter_map(IndexTerm::column);
        in_key.extend(columns.clone().filter(|_| index.unique));
        indexed.extend(columns);
    }
    in_key.extend(table.foreign_keys.iter().flat_map(|key| &key.columns).map(String::as_str));
    table
        .columns
        .iter()
        .map(|column| Column {
            declared: DeclaredType::read(&column.declared, strict),
            affinity: column_affinity(&column.declared, strict),
            identity: column.identity,
            in_key: in_key.contains(&column.name.as_str()),
            indexed: indexed.contains(&column.name.as_str()),
            joins_integers: false,
            fixed: None,
        })
        .collect()
}

fn find(schema: &Schema, one: &TypeOverride) -> Option<ColumnId> {
    let table = schema.tables.iter().position(|table| table.name == one.table)?;
    let columns = &schema.tables[table].columns;
    Some((table, columns.iter().position(|column| column.name == one.column)?))
}

/// The groups of columns that foreign keys join, directly or through others.
fn joined(schema: &Schema) -> Vec<Vec<ColumnId>> {
    let table_of: HashMap<&str, usize> = schema
        .tables
        .iter()
        .enumerate()
        .map(|(index, table)| (table.name.as_str(), index))
        .collect();
    let column_of = |table: usize, name: &str| {
        schema.tables[table].columns.iter().position(|column| column.name == name)
    };
    let mut groups: Vec<Vec<ColumnId>> = Vec::new();
    for (child, table) in schema.tables.iter().enumerate() {
        for key in &table.foreign_keys {
            let Some(&parent) = table_of.get(key.parent.as_str()) else { continue };
            for (from, to) in key.columns.iter().zip(&key.parent_columns) {
                let (Some(from), Some(to)) = (column_of(child, from), column_of(parent, to)) else {
                    continue;
                };
                join(&mut groups, (child, from), (parent, to));
            }
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

fn join(groups: &mut Vec<Vec<ColumnId>>, one: ColumnId, other: ColumnId) {
    let group_of = |groups: &[Vec<ColumnId>], id| groups.iter().position(|g| g.contains(&id));
    match (group_of(groups, one), group_of(groups, other)) {
        (Some(a), Some(b)) if a == b => {}
        (Some(a), Some(b)) => {
            let moved = groups.swap_remove(a.max(b));
            groups[a.min(b)].extend(moved);
        }
        (Some(a), None) => groups[a].push(other),
        (None, Some(b)) => groups[b].push(one),
        (None, None) if one == other => groups.push(vec![one]),
        (None, None) => groups.push(vec![one, other]),
    }
}

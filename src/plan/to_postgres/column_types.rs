//! The columns of a plan: what each becomes, alone and together with the columns that foreign keys
//! join it to.

use crate::codec::encode::column_encoder::Misfit;
use crate::codec::encode::column_encoder::{Encoding, TemporalType};
use crate::codec::types::epoch::Epoch;
use crate::error::{Error, Result};
use crate::options::type_override::{OverrideType, TypeOverride};
use crate::plan::to_postgres::type_rules::{Column, TypeDecision, type_rank};
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::schema::names::quote;
use crate::schema::{IndexOver, Schema, Table};
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::profile::column::{ColumnProfile, Tally};
use crate::sqlite::read::profile::table::TableProfile;
use crate::sqlite::sql::declared_type::{DeclaredType, column_affinity};
use std::collections::HashMap;

/// A column's place: the table in the schema, the column in the table.
pub(crate) type TargetFile = (usize, usize);

/// What is known of all columns before the profile, by table and column.
pub(crate) struct Columns {
    columns: Vec<Vec<Column>>,
    /// Groups of columns that foreign keys join, each with at least two members.
    joined: Vec<Vec<TargetFile>>,
}

impl Columns {
    /// Reads declarations, keys and pins.
    ///
    /// # Errors
    /// A pin that names no column, or a type that pins cannot give.
    pub(crate) fn new(catalog: &Catalog, pins: &[TypeOverride]) -> Result<Self> {
        let schema = &catalog.schema;
        let strict =
            |table: &Table| catalog.facts.get(&table.name).is_some_and(|facts| facts.strict);
        let mut columns: Vec<Vec<Column>> =
            schema.tables.iter().map(|table| of_table(table, strict(table))).collect();
        for pin in pins {
            let (table, column) = find(schema, &pin.table, &pin.column)?;
            columns[table][column].pinned = Some(form_of(&pin.to));
        }
        let joined = joined(schema);
        let mut columns = Self { columns, joined };
        columns.propagate_overrides();
        columns.mark_integer_joins();
        Ok(columns)
    }

    /// The columns of a table.
    pub(crate) fn of(&self, table: usize) -> &[Column] {
        &self.columns[table]
    }

    /// Gives a pin to the columns that a foreign key joins to the pinned one, so that the profile
    /// asks their values, too. A column's own pin stays, and so does the rowid's alias.
    fn propagate_overrides(&mut self) {
        for group in &self.joined {
            let Some(form) = group.iter().find_map(|&(t, c)| self.columns[t][c].pinned) else {
                continue;
            };
            for &(table, column) in group {
                let column = &mut self.columns[table][column];
                if !column.identity {
                    column.pinned.get_or_insert(form);
                }
            }
        }
        for column in self.columns.iter_mut().flatten() {
            // Text that spells integers can become `bigint`; written down as a pin, it still can.
            if column.pinned == Some(Encoding::BigInt) && column.affinity == Affinity::Text {
                column.pinned = Some(Encoding::BigIntText);
            }
        }
    }

    /// Marks text columns that a foreign key joins to integers: where each of their texts is an
    /// integer's, both sides can be `bigint`, and the key can stay.
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

    /// Decides all columns.
    pub(crate) fn decide(&self, profiles: &[TableProfile], widen: bool) -> Vec<Vec<TypeDecision>> {
        let mut decisions: Vec<Vec<TypeDecision>> = self
            .columns
            .iter()
            .zip(profiles)
            .map(|(columns, profile)| {
                let pairs = columns.iter().zip(&profile.columns);
                pairs.map(|(column, profile)| column.decide(profile, widen)).collect()
            })
            .collect();
        for group in &self.joined {
            self.share(group, profiles, widen, &mut decisions);
        }
        decisions
    }

    /// Gives the columns of a group one type: the widest. The rowid's alias stays what it is:
    /// what does not fit it keeps its own type, and the key between them is left out.
    fn share(
        &self,
        group: &[TargetFile],
        profiles: &[TableProfile],
        widen: bool,
        decisions: &mut [Vec<TypeDecision>],
    ) {
        let form = |place: &TargetFile, decisions: &[Vec<TypeDecision>]| {
            decisions[place.0][place.1].cast.form.column_type()
        };
        let first = form(&group[0], decisions);
        if group.iter().all(|place| form(place, decisions) == first) {
            return;
        }
        let column = |&(table, column): &TargetFile| &self.columns[table][column];
        let profile = |&(table, column): &TargetFile| &profiles[table].columns[column];
        if group.iter().any(|place| column(place).pinned.is_some()) {
            return;
        }
        let mut merged = ColumnProfile::default();
        group.iter().for_each(|place| merged.merge(profile(place)));
        let fallback_type = Column {
            declared: DeclaredType::Untyped,
            affinity: Affinity::Numeric,
            identity: false,
            in_key: true,
            indexed: true,
            joins_integers: false,
            pinned: None,
        };
        let widest = group
            .iter()
            .map(|place| decisions[place.0][place.1].cast.form)
            .max_by_key(|&form| type_rank(form))
            .unwrap_or(Encoding::Text);
        let fallback_type = fallback_type.decide(&merged, widen).cast.form;
        let holds_identity = group.iter().any(|place| column(place).identity);
        let shared = if holds_identity && merged.values() > 0 && fallback_type == Encoding::BigInt {
            // Whole numbers under a wider declaration: the alias's type holds them all.
            fallback_type
        } else if merged.values() > 0 && type_rank(fallback_type) > type_rank(widest) {
            fallback_type
        } else {
            widest
        };
        // Types of the same breadth but different kind (uuid and text) meet in the ladder's.
        let shared = match type_rank(shared) {
            0 => Encoding::BigInt,
            1 => Encoding::Double,
            2 => Encoding::Numeric,
            3 => Encoding::Text,
            _ => Encoding::Bytea,
        };
        if holds_identity && shared != Encoding::BigInt {
            return;
        }
        for place in group {
            let own = decisions[place.0][place.1].cast.form;
            if !column(place).identity && own.column_type() != shared.column_type() {
                decisions[place.0][place.1] =
                    column(place).decide_shared(shared, profile(place), widen);
            }
        }
    }
}

fn of_table(table: &Table, strict: bool) -> Vec<Column> {
    let names = |list: &[crate::schema::KeyColumn]| -> Vec<String> {
        list.iter().map(|column| column.name.clone()).collect()
    };
    let mut in_key: Vec<String> = Vec::new();
    for key in table.primary_key.iter().chain(&table.uniques) {
        in_key.extend(names(&key.columns));
    }
    let mut indexed = Vec::new();
    for index in &table.indexes {
        for term in &index.terms {
            if let IndexOver::Column(name) = &term.over {
                indexed.push(name.clone());
                if index.unique {
                    in_key.push(name.clone());
                }
            }
        }
    }
    for key in &table.foreign_keys {
        in_key.extend(key.columns.iter().cloned());
    }
    table
        .columns
        .iter()
        .map(|column| Column {
            declared: DeclaredType::read(&column.declared, strict),
            affinity: column_affinity(&column.declared, strict),
            identity: column.identity,
            in_key: in_key.contains(&column.name),
            indexed: indexed.contains(&column.name),
            joins_integers: false,
            pinned: None,
        })
        .collect()
}

/// Refuses casts of columns that are not there.
pub(crate) fn check_casts(casts: &[TypeOverride], schema: &Schema) -> Result<()> {
    casts.iter().try_for_each(|cast| find(schema, &cast.table, &cast.column).map(drop))
}

fn find(schema: &Schema, table: &str, column: &str) -> Result<TargetFile> {
    let place = schema.tables.iter().position(|t| t.name == table);
    let Some(table_place) = place else {
        return Err(Error::usage(format!(
            "--cast names table {}, which is not there",
            quote(table)
        ))
        .hint("names are case-sensitive; a table left out by --tables or --exclude has no casts"));
    };
    let columns = &schema.tables[table_place].columns;
    match columns.iter().position(|c| c.name == column) {
        Some(column_place) => Ok((table_place, column_place)),
        None => Err(Error::usage(format!(
            "--cast names column {} of table {}, which is not there",
            quote(column),
            quote(table)
        ))),
    }
}

/// The form that a pin asks for.
pub(crate) fn form_of(to: &OverrideType) -> Encoding {
    match (to.epoch, &to.column_type) {
        (Some(unit), ColumnType::Date) => Encoding::Epoch { unit, to: TemporalType::Date },
        (Some(unit), ColumnType::TimestampTz) => {
            Encoding::Epoch { unit, to: TemporalType::TimestampTz }
        }
        (Some(unit), _) => Encoding::Epoch { unit, to: TemporalType::Timestamp },
        (None, column_type) => Encoding::of(column_type),
    }
}

/// The pin that would give a column the form it has.
pub(crate) fn pin_of(form: Encoding) -> OverrideType {
    let epoch: Option<Epoch> = match form {
        Encoding::Epoch { unit, .. } => Some(unit),
        _ => None,
    };
    OverrideType { column_type: form.column_type(), epoch }
}

/// The groups of columns that foreign keys join, directly or through others.
fn joined(schema: &Schema) -> Vec<Vec<TargetFile>> {
    let table_of: HashMap<&str, usize> = schema
        .tables
        .iter()
        .enumerate()
        .map(|(place, table)| (table.name.as_str(), place))
        .collect();
    let column_of = |table: usize, name: &str| {
        schema.tables[table].columns.iter().position(|column| column.name == name)
    };
    let mut groups: Vec<Vec<TargetFile>> = Vec::new();
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

fn join(groups: &mut Vec<Vec<TargetFile>>, one: TargetFile, other: TargetFile) {
    let place_of =
        |groups: &[Vec<TargetFile>], place| groups.iter().position(|g| g.contains(&place));
    match (place_of(groups, one), place_of(groups, other)) {
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

/// One column's values that the target cannot hold.
#[derive(Debug, Clone)]
pub(crate) struct ColumnMisfit {
    /// The table.
    pub(crate) table: String,
    /// The column.
    pub(crate) column: String,
    /// What places are: `rowid`, or `row` where there is none.
    pub(crate) place_word: &'static str,
    /// Why.
    pub(crate) misfit: Misfit,
    /// How many, and the first places.
    pub(crate) tally: Tally,
}

//! The comparison of one table's schema.

use crate::schema::names::quote;
use crate::schema::{ForeignKey, IndexOver, IndexTerm, ObjectKind, Table};
use crate::verify::schema_check::existing::Existing;
use crate::verify::schema_check::expected::{Expected, ExpectedTable};

#[derive(Debug, Default)]
pub(crate) struct SchemaDiff {
    /// What the target lacks.
    pub(crate) differences: Vec<String>,
    /// What cannot be compared, differs for a known reason, or is in the target only.
    pub(crate) notes: Vec<String>,
}

pub(crate) struct TableDiff<'a> {
    pub(crate) expected: &'a Expected,
    pub(crate) existing: &'a Existing,
    /// The expected table, with its names for messages.
    pub(crate) table: &'a ExpectedTable,
    /// The same in the target's names.
    pub(crate) wanted: &'a Table,
    /// The table in the target.
    pub(crate) found: &'a Table,
}

/// A key or an index of the target.
struct Shape<'a> {
    kind: ObjectKind,
    name: Option<&'a str>,
    unique: bool,
    partial: bool,
    /// The columns; `None` for an expression.
    columns: Vec<Option<&'a str>>,
}

impl TableDiff<'_> {
    pub(crate) fn run(&self, diff: &mut SchemaDiff) {
        let shapes = self.shapes();
        self.keys(&shapes, diff);
        self.indexes(&shapes, diff);
        self.foreign_keys(diff);
        self.checks(diff);
        self.columns(diff);
        self.next_key(diff);
    }

    fn same(&self, one: &str, other: &str) -> bool {
        self.existing.same_name(one, other)
    }

    /// Reports an object that the target lacks. `name` is its name in the target if it is known.
    fn missing(&self, (kind, name): (ObjectKind, Option<&str>), what: &str, diff: &mut SchemaDiff) {
        let not_in_force = self.existing.schema.left_out.iter().find(|found| {
            found.kind == kind
                && found.table.as_ref().is_some_and(|table| self.same(table, &self.found.name))
                && name.is_some_and(|name| self.same(&found.name, name))
        });
        // A run lists constraints without a name under one that it made for the target.
        let omitted = self.expected.omissions.iter().any(|omission| {
            omission.kind == kind
                && omission.table.as_ref() == Some(&self.table.name)
                && (kind != ObjectKind::Index || name.is_none_or(|name| omission.name == name))
        });
        match not_in_force {
            Some(found) if self.expected.planned => {
                diff.differences.push(format!("the {what} exists, but {}", found.reason));
            }
            _ if omitted => diff.notes.push(format!("the {what} was not migrated")),
            _ => diff.differences.push(format!("the {what} is missing")),
        }
    }

    /// Reports something that is weaker than expected: without a plan it is only a note.
    fn weaker(&self, text: String, diff: &mut SchemaDiff) {
        if self.expected.planned { &mut diff.differences } else { &mut diff.notes }.push(text);
    }

    fn columns(&self, diff: &mut SchemaDiff) {
        let table = quote(&self.table.name);
        for (name, wanted) in self.table.columns.iter().zip(&self.wanted.columns) {
            let mut columns = self.found.columns.iter();
            let problem = match columns.find(|found| self.same(&found.name, &wanted.name)) {
                None => "is missing",
                Some(found) if wanted.not_null && !found.not_null => "may be NULL in the target",
                Some(_) => continue,
            };
            diff.differences.push(format!("column {} of {table} {problem}", quote(name)));
        }
        for found in &self.found.columns {
            if !self.wanted.columns.iter().any(|wanted| self.same(&wanted.name, &found.name)) {
                let column = quote(&found.name);
                diff.notes.push(format!("column {column} of {table} is in the target only"));
            }
        }
    }

    fn keys(&self, shapes: &[Shape<'_>], diff: &mut SchemaDiff) {
        let primary = self.wanted.primary_key.iter();
        let primary = primary.map(|key| (key, ObjectKind::PrimaryKey, "primary key"));
        let uniques = self.wanted.uniques.iter();
        let uniques = uniques.map(|key| (key, ObjectKind::Unique, "unique key"));
        for (key, kind, word) in primary.chain(uniques) {
            let columns: Vec<&str> = key.columns.iter().map(|c| c.name.as_str()).collect();
            let has_form = |found: &Shape<'_>| match &key.name {
                Some(name) => {
                    found.kind != ObjectKind::Index
                        && found.name.is_some_and(|n| self.same(n, name))
                }
                None if self.expected.planned && kind == ObjectKind::PrimaryKey => {
                    found.kind == kind
                }
                None => found.unique && !found.partial,
            };
            let mut shapes = shapes.iter();
            if !shapes.any(|found| has_form(found) && self.same_columns(found, &columns)) {
                let what =
                    format!("{word} of {} on {}", quote(&self.table.name), self.list(&columns));
                self.missing((kind, None), &what, diff);
            }
        }
    }

    fn indexes(&self, shapes: &[Shape<'_>], diff: &mut SchemaDiff) {
        for index in &self.wanted.indexes {
            let what = format!("index {} on {}", quote(&index.name), quote(&self.table.name));
            let Some(columns) = index.terms.iter().map(plain_column).collect::<Option<Vec<_>>>()
            else {
                diff.notes.push(format!("the {what} is over expressions: it is not compared"));
                continue;
            };
            let serves = |found: &Shape<'_>| {
                if columns.is_empty() {
                    return found.name.is_some_and(|name| self.same(name, &index.name));
                }
                (found.unique || !index.unique)
                    && found.partial == index.filter.is_some()
                    && found.columns.len() == columns.len()
                    && found.columns.iter().zip(&columns).all(|(f, wanted)| self.covers(*f, wanted))
            };
            if !shapes.iter().any(serves) {
                self.missing((ObjectKind::Index, Some(&index.name)), &what, diff);
            }
        }
    }

    fn foreign_keys(&self, diff: &mut SchemaDiff) {
        for key in &self.wanted.foreign_keys {
            let columns: Vec<&str> = key.columns.iter().map(String::as_str).collect();
            let table = quote(&self.table.name);
            let what = format!("foreign key of {table} on {}", self.list(&columns));
            let mut found = self.found.foreign_keys.iter();
            let Some(found) = found.find(|found| self.same_foreign_key(found, key)) else {
                self.missing((ObjectKind::ForeignKey, None), &what, diff);
                continue;
            };
            let id = (self.found.name.clone(), found.name.clone().unwrap_or_default());
            if self.existing.not_valid.contains(&id) {
                let text = format!("the {what} holds for new rows only (NOT VALID)");
                self.weaker(text, diff);
            }
        }
    }

    fn same_foreign_key(&self, one: &ForeignKey, other: &ForeignKey) -> bool {
        let has_pair = |(child, parent): (&String, &String)| {
            let mut pairs = other.columns.iter().zip(&other.parent_columns);
            pairs.any(|(c, p)| self.same(child, c) && self.same(parent, p))
        };
        self.same(&one.parent, &other.parent)
            && one.columns.len() == other.columns.len()
            && one.parent_columns.len() == other.parent_columns.len()
            && one.columns.iter().zip(&one.parent_columns).all(has_pair)
    }

    fn checks(&self, diff: &mut SchemaDiff) {
        let (wanted, found) = (&self.wanted.checks, &self.found.checks);
        let table = quote(&self.table.name);
        let mut missing = 0;
        for name in wanted.iter().filter_map(|check| check.name.as_deref()) {
            let mut names = found.iter().filter_map(|check| check.name.as_deref());
            if !names.any(|found| self.same(found, name)) {
                missing += 1;
                let what = format!("check {} on {table}", quote(name));
                self.missing((ObjectKind::Check, Some(name)), &what, diff);
            }
        }
        if missing == 0 && found.len() < wanted.len() {
            let (found, wanted) = (found.len(), wanted.len());
            diff.differences.push(format!("table {table} has {found} of {wanted} checks"));
        }
    }

    fn next_key(&self, diff: &mut SchemaDiff) {
        let Some(highest) = self.wanted.sequence else { return };
        let table = quote(&self.table.name);
        match self.found.sequence {
            None => {
                let text = format!("the key of {table} has no sequence and no AUTOINCREMENT");
                self.weaker(text, diff);
            }
            Some(last) if last < highest => {
                let next = last.saturating_add(1);
                diff.differences.push(format!(
                    "the next key of {table} is {next}, but keys up to {highest} are in use"
                ));
            }
            Some(_) => {}
        }
    }

    fn shapes(&self) -> Vec<Shape<'_>> {
        let primary = self.found.primary_key.iter().map(|key| (key, ObjectKind::PrimaryKey));
        let uniques = self.found.uniques.iter().map(|key| (key, ObjectKind::Unique));
        let keys = primary.chain(uniques).map(|(key, kind)| Shape {
            kind,
            name: key.name.as_deref(),
            unique: true,
            partial: false,
            columns: key.columns.iter().map(|column| Some(column.name.as_str())).collect(),
        });
        let indexes = self.found.indexes.iter().map(|index| Shape {
            kind: ObjectKind::Index,
            name: Some(&index.name),
            unique: index.unique,
            partial: index.filter.is_some(),
            columns: index.terms.iter().map(plain_column).collect(),
        });
        keys.chain(indexes).collect()
    }

    /// Whether a key or an index is over all of `wanted` and nothing else, in any order.
    fn same_columns(&self, found: &Shape<'_>, wanted: &[&str]) -> bool {
        found.columns.len() == wanted.len()
            && wanted.iter().all(|name| found.columns.iter().any(|f| self.covers(*f, name)))
    }

    /// Whether a term of an index is the wanted column. Without a plan any expression is accepted: a
    /// collation is a folded term, and a long value is indexed by its hash.
    fn covers(&self, found: Option<&str>, wanted: &str) -> bool {
        found.map_or(!self.expected.planned, |found| self.same(found, wanted))
    }

    /// The source's names of columns of the expected table.
    fn list(&self, columns: &[&str]) -> String {
        let name = |target: &&str| {
            let index = self.wanted.columns.iter().position(|column| column.name == *target);
            quote(index.map_or(target, |index| &self.table.columns[index]))
        };
        columns.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// The column of an index term; `None` for an expression and for a column that the target lacks.
fn plain_column(term: &IndexTerm) -> Option<&str> {
    match &term.over {
        IndexOver::Column(name) if !name.is_empty() => Some(name),
        _ => None,
    }
}

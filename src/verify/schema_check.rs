//! What the schema promises: keys, indexes, constraints, NOT NULL and sequences of the target, held
//! against the plan, or against the source's catalog where there is no plan.

use crate::error::Result;
use crate::plan::Plan;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::detail::Omission;
use crate::schema::names::{literal, qualify, quote};
use crate::schema::{IndexOver, LeftOut, ObjectKind};
use crate::verify::match_tables::TablePair;
use postgres::{Client, Row};
use std::collections::HashSet;

/// An index of the target.
struct Index {
    table: String,
    name: String,
    unique: bool,
    valid: bool,
    partial: bool,
    /// Its columns; empty names for expressions.
    columns: Vec<String>,
}

/// A constraint of the target.
struct Constraint {
    table: String,
    name: String,
    kind: String,
    validated: bool,
    columns: Vec<String>,
    parent: Option<String>,
    parent_columns: Vec<String>,
}

/// What the target's catalog says of one schema.
pub(crate) struct TargetCatalog {
    schema: String,
    indexes: Vec<Index>,
    constraints: Vec<Constraint>,
    not_null: HashSet<(String, String)>,
}

const COLUMNS: &str = "ARRAY(SELECT coalesce(a.attname::text, '') \
     FROM pg_catalog.unnest(KEY) WITH ORDINALITY AS k (num, pos) \
     LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = REL AND a.attnum = k.num AND k.num > 0 \
     WHERE k.pos <= COUNT ORDER BY k.pos)";

fn columns_of(key: &str, relation: &str, count: &str) -> String {
    COLUMNS.replace("KEY", key).replace("REL", relation).replace("COUNT", count)
}

impl TargetCatalog {
    /// Reads them.
    pub(crate) fn read(client: &mut Client, schema: &str) -> Result<Self> {
        let mut query = |sql: String| {
            client.query(&sql, &[&schema]).map_err(db_error("cannot read the target's catalog"))
        };
        let from = "JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = $1";
        let indexes = query(format!(
            "SELECT t.relname::text, i.relname::text, x.indisunique, \
             x.indisvalid AND x.indisready, x.indpred IS NOT NULL, {} \
             FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid \
             JOIN pg_catalog.pg_class t ON t.oid = x.indrelid {from}",
            columns_of("x.indkey::int2[]", "x.indrelid", "x.indnkeyatts")
        ))?;
        let constraints = query(format!(
            "SELECT t.relname::text, c.conname::text, c.contype::text, c.convalidated, {}, \
             p.relname::text, {} \
             FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class t ON t.oid = c.conrelid \
             LEFT JOIN pg_catalog.pg_class p ON p.oid = c.confrelid {from}",
            columns_of("c.conkey", "c.conrelid", "32767"),
            columns_of("c.confkey", "c.confrelid", "32767")
        ))?;
        let not_null = query(format!(
            "SELECT t.relname::text, a.attname::text FROM pg_catalog.pg_attribute a \
             JOIN pg_catalog.pg_class t ON t.oid = a.attrelid {from} \
             AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped"
        ))?;
        let index = |row: &Row| Index {
            table: row.get(0),
            name: row.get(1),
            unique: row.get(2),
            valid: row.get(3),
            partial: row.get(4),
            columns: row.get(5),
        };
        let constraint = |row: &Row| Constraint {
            table: row.get(0),
            name: row.get(1),
            kind: row.get(2),
            validated: row.get(3),
            columns: row.get(4),
            parent: row.get(5),
            parent_columns: row.get(6),
        };
        Ok(Self {
            schema: schema.to_owned(),
            indexes: indexes.iter().map(index).collect(),
            constraints: constraints.iter().map(constraint).collect(),
            not_null: not_null.iter().map(|row| (row.get(0), row.get(1))).collect(),
        })
    }

    fn index(&self, table: &str, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| index.table == table && index.name == name)
    }

    fn constraint(&self, table: &str, name: &str, kinds: &[&str]) -> Option<&Constraint> {
        let fits = |c: &&Constraint| {
            c.table == table && c.name == name && kinds.contains(&c.kind.as_str())
        };
        self.constraints.iter().find(fits)
    }

    /// The index of this name is there and in use, or what is wrong with it.
    fn check_index(&self, table: &str, name: &str, what: &str, found: &mut Vec<String>) {
        match self.index(table, name) {
            None => found.push(format!("the {what} is missing")),
            Some(index) if !index.valid => found.push(format!("the {what} is not valid")),
            Some(_) => {}
        }
    }
}

/// Holds the target against the plan. `left_out` is what the run did not carry over, or only for
/// new rows.
pub(crate) fn of_plan(
    client: &mut Client,
    plan: &Plan,
    left_out: &[LeftOut],
) -> Result<Vec<String>> {
    let facts = TargetCatalog::read(client, &plan.schema)?;
    let listed = |one: &LeftOut| {
        left_out.iter().any(|l| l.kind == one.kind && l.table == one.table && l.name == one.name)
    };
    let mut found = Vec::new();
    for table in &plan.tables {
        let target = &table.ddl.name;
        for key in &table.keys {
            facts.check_index(target, &key.name, &key.what, &mut found);
            if key.constraint.is_some()
                && facts.index(target, &key.name).is_some()
                && facts.constraint(target, &key.name, &["p", "u"]).is_none()
            {
                found.push(format!("the {} is no constraint any more", key.what));
            }
        }
        for index in table.indexes.iter().filter(|index| !listed(&index.left_out)) {
            facts.check_index(target, &index.name, &index.what, &mut found);
        }
        for check in &table.checks {
            match facts.constraint(target, &check.name, &["c"]) {
                None if !listed(&check.left_out) => {
                    found.push(format!("the {} is missing", check.what));
                }
                Some(there) if !there.validated && !listed(&check.left_out) => {
                    found.push(format!("the {} is not validated", check.what));
                }
                _ => {}
            }
        }
        for column in table.ddl.columns.iter().filter(|column| column.not_null) {
            if !facts.not_null.contains(&(target.clone(), column.name.clone())) {
                found.push(not_null_missing(&table.name, &column.name));
            }
        }
        if let Some((sequence, highest)) = &table.sequence {
            found.extend(behind(client, sequence, *highest, &table.name)?);
        }
    }
    for view in plan.views.iter().filter(|view| !listed(&view.left_out)) {
        if !is_there(client, &qualify(&plan.schema, &view.name))? {
            found.push(format!("the {} is missing", view.what));
        }
    }
    for key in &plan.foreign_keys {
        let table = &plan.tables[key.child];
        let what = format!("foreign key {} on {}", quote(&key.ddl.name), quote(&table.name));
        match facts.constraint(&table.ddl.name, &key.ddl.name, &["f"]) {
            None if !listed(&key.left_out) => found.push(format!("the {what} is missing")),
            Some(there) if !there.validated && !listed(&key.left_out) => {
                found.push(format!("the {what} is not validated"));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn not_null_missing(table: &str, column: &str) -> String {
    format!("column {} of {} may be NULL in the target", quote(column), quote(table))
}

fn is_there(client: &mut Client, relation: &str) -> Result<bool> {
    client
        .query_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[&relation])
        .map(|row| row.get(0))
        .map_err(db_error("cannot read the target's catalog"))
}

/// Says so where the next value of a sequence was handed out already.
fn behind(
    client: &mut Client,
    sequence: &str,
    highest: i64,
    table: &str,
) -> Result<Option<String>> {
    if !is_there(client, sequence)? {
        return Ok(Some(format!("the sequence of {} is missing", quote(table))));
    }
    let row = client
        .query_one(&format!("SELECT last_value, is_called FROM {sequence}"), &[])
        .map_err(db_error(&format!("cannot read the sequence of {}", quote(table))))?;
    let (last, called): (i64, bool) = (row.get(0), row.get(1));
    let next = last.saturating_add(i64::from(called));
    Ok((next <= highest && last < i64::MAX).then(|| {
        format!(
            "the sequence of {} would hand out {next}, and keys go up to {highest}",
            quote(table)
        )
    }))
}

/// What holding the target against the source's catalog gave.
#[derive(Debug, Default)]
pub(crate) struct SchemaDiff {
    /// What is missing.
    pub(crate) differences: Vec<String>,
    /// What cannot be told, or is weaker than in the source for a known reason.
    pub(crate) notes: Vec<String>,
}

/// Holds the tables of the target against those of the source, by columns and not by names.
/// `omitted` is what the run that filled the target did not carry over.
pub(crate) fn of_source(
    client: &mut Client,
    schema: &str,
    pairs: &[TablePair<'_>],
    omitted: &[Omission],
) -> Result<SchemaDiff> {
    let facts = TargetCatalog::read(client, schema)?;
    let mut held = SchemaDiff::default();
    for pair in pairs {
        keys(&facts, pair, omitted, &mut held);
        indexes(&facts, pair, omitted, &mut held);
        foreign_keys(&facts, pair, pairs, omitted, &mut held);
        if !pair.table.checks.is_empty() {
            held.notes.push(format!(
                "the CHECKs of {} are not compared: the two databases spell them differently",
                quote(&pair.table.name)
            ));
        }
        for column in &pair.table.columns {
            let Some(name) = pair.column(&column.name) else { continue };
            let target = (pair.target.clone(), name.to_owned());
            if (column.not_null || column.identity) && !facts.not_null.contains(&target) {
                held.differences.push(not_null_missing(&pair.table.name, &column.name));
            }
            if column.identity {
                sequence(client, &facts, pair, name, &mut held)?;
            }
        }
    }
    Ok(held)
}

/// Whether a listed omission is this thing. Constraints without a name are listed under one that
/// was made for the target, so that they are recognised by kind and table alone.
fn omits(omitted: &[Omission], kind: ObjectKind, table: &str, name: Option<&str>) -> bool {
    omitted.iter().any(|one| {
        one.kind == kind
            && one.table.as_deref() == Some(table)
            && name.is_none_or(|name| one.name == name)
    })
}

/// Whether a column of an index stands for a wanted one: by name, or as an expression of it (a
/// collation's folding, the hash of a long value), which is not looked into.
fn stands_for(there: &str, wanted: &str) -> bool {
    there == wanted || there.is_empty()
}

fn keys(facts: &TargetCatalog, pair: &TablePair<'_>, omitted: &[Omission], held: &mut SchemaDiff) {
    let table = pair.table;
    let primary = table.primary_key.iter().map(|key| (key, "primary key", ObjectKind::PrimaryKey));
    let uniques = table.uniques.iter().map(|key| (key, "unique key", ObjectKind::Unique));
    for (key, what, kind) in primary.chain(uniques) {
        let there = facts.indexes.iter().any(|index| {
            index.table == pair.target
                && index.unique
                && index.valid
                && !index.partial
                && index.columns.len() == key.columns.len()
                && key.columns.iter().all(|wanted| {
                    pair.column(&wanted.name).is_some_and(|name| {
                        index.columns.iter().any(|there| stands_for(there, name))
                    })
                })
        });
        if !there && !omits(omitted, kind, &table.name, None) {
            let names: Vec<String> = key.columns.iter().map(|c| quote(&c.name)).collect();
            held.differences.push(format!(
                "the {what} of {} on {} is missing",
                quote(&table.name),
                names.join(", ")
            ));
        }
    }
}

fn indexes(
    facts: &TargetCatalog,
    pair: &TablePair<'_>,
    omitted: &[Omission],
    held: &mut SchemaDiff,
) {
    for index in &pair.table.indexes {
        let what = format!("index {} on {}", quote(&index.name), quote(&pair.table.name));
        if omits(omitted, ObjectKind::Index, &pair.table.name, Some(&index.name)) {
            held.notes.push(format!("the {what} was left out"));
            continue;
        }
        let columns: Option<Vec<&str>> = index
            .terms
            .iter()
            .map(|term| match &term.over {
                IndexOver::Column(name) => pair.column(name),
                IndexOver::Expression(_) => None,
            })
            .collect();
        let Some(columns) = columns else {
            held.notes.push(format!("the {what} is over expressions, which are not compared"));
            continue;
        };
        let there = facts.indexes.iter().any(|there| {
            there.table == pair.target
                && there.valid
                && (there.unique || !index.unique)
                && there.partial == index.filter.is_some()
                && there.columns.len() == columns.len()
                && there.columns.iter().zip(&columns).all(|(a, b)| stands_for(a, b))
        });
        if !there {
            held.differences.push(format!("the {what} is missing"));
        }
    }
}

fn foreign_keys(
    facts: &TargetCatalog,
    pair: &TablePair<'_>,
    pairs: &[TablePair<'_>],
    omitted: &[Omission],
    held: &mut SchemaDiff,
) {
    let table = pair.table;
    for key in &table.foreign_keys {
        let names: Vec<String> = key.columns.iter().map(|name| quote(name)).collect();
        let what = format!("foreign key of {} on {}", quote(&table.name), names.join(", "));
        let Some(parent) = pairs.iter().find(|one| one.table.name == key.parent) else {
            held.notes.push(format!("the {what} is not compared, as its parent is not"));
            continue;
        };
        let mapped = |pair: &TablePair<'_>, names: &[String]| -> Option<Vec<String>> {
            names.iter().map(|name| pair.column(name).map(str::to_owned)).collect()
        };
        let (columns, parents) = (mapped(pair, &key.columns), mapped(parent, &key.parent_columns));
        let there = facts.constraints.iter().find(|there| {
            there.table == pair.target
                && there.kind == "f"
                && there.parent.as_ref() == Some(&parent.target)
                && Some(&there.columns) == columns.as_ref()
                && Some(&there.parent_columns) == parents.as_ref()
        });
        match there {
            Some(there) if !there.validated => {
                held.notes.push(format!("the {what} holds for new rows only (NOT VALID)"));
            }
            Some(_) => {}
            None if omits(omitted, ObjectKind::ForeignKey, &table.name, None) => {
                held.notes.push(format!("the {what} was left out"));
            }
            None => held.differences.push(format!("the {what} is missing")),
        }
    }
}

fn sequence(
    client: &mut Client,
    facts: &TargetCatalog,
    pair: &TablePair<'_>,
    column: &str,
    held: &mut SchemaDiff,
) -> Result<()> {
    let table = literal(&qualify(&facts.schema, &pair.target));
    let sql = format!("SELECT pg_catalog.pg_get_serial_sequence({table}, {})", literal(column));
    let row = client.query_one(&sql, &[]).map_err(db_error("cannot read the target's catalog"))?;
    match row.get::<_, Option<String>>(0) {
        Some(sequence) => {
            held.differences.extend(behind(client, &sequence, pair.highest, &pair.table.name)?);
        }
        None => held.notes.push(format!(
            "column {} of {} hands out no keys in the target",
            quote(column),
            quote(&pair.table.name)
        )),
    }
    Ok(())
}

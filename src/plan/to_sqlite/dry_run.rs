//! The dry run: all definitions run in an empty database, before anything is written.

use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::table_selection::{BY_REQUEST, is_by_request};
use crate::plan::to_sqlite::model::{Enforced, Restored, ToSqlite};
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::sql::ddl::TableDdl;
use crate::sqlite::write::bulk_insert::dry_run;

/// What a statement of the dry run is about, by the indexes in the plan.
enum Part {
    Table(usize),
    Index(usize, usize),
    /// The last foreign keys of a table, which PostgreSQL lacks.
    LostKeys(usize),
    Restored(usize),
}

/// Runs all definitions in an empty database. What SQLite refuses there is taken out of the plan
/// and listed: what is optional about a table, an index, or a restored object.
pub(crate) fn run(plan: &mut Plan<ToSqlite>) -> Result<()> {
    loop {
        let (parts, statements): (Vec<Part>, Vec<String>) = statements(plan).into_iter().unzip();
        let Some((failed, cause)) = dry_run(&statements)? else { return Ok(()) };
        let reason = format!("SQLite refuses it: {cause}");
        let refused = match parts[failed] {
            Part::Table(number) => {
                let planned = &mut plan.tables[number];
                let refused = strip(&mut planned.ddl, &mut planned.finish.lost_checks, &reason)?;
                if refused.is_empty() {
                    let name = quote(&planned.ddl.name);
                    return Err(Error::refused(format!("SQLite refuses table {name}"))
                        .caused_by(cause)
                        .remedy_exclude(&[&planned.name]));
                }
                refused
            }
            Part::Index(table, index) => {
                vec![plan.tables[table].indexes.remove(index).left_out.because(reason)]
            }
            Part::LostKeys(number) => {
                let planned = &mut plan.tables[number];
                planned.finish.enforced.pop();
                let key = planned.ddl.foreign_keys.pop().map_or_else(String::new, |k| k.clause());
                let (kind, table) = (ObjectKind::ForeignKey, planned.name.as_str());
                vec![LeftOut::part(kind, table, &key, None).because(reason)]
            }
            Part::Restored(number) => {
                let left_out = plan.objects.restored.remove(number).left_out;
                let missing = cause.rsplit_once("no such table: ").map(|(_, name)| name);
                let missing =
                    missing.and_then(|name| name.trim_start_matches("main.").split(" in ").next());
                let is_missing = |left: &&LeftOut| {
                    missing.is_some_and(|name| left.name.eq_ignore_ascii_case(name))
                };
                let excluded =
                    plan.left_out.iter().filter(|left| is_by_request(left)).find(is_missing);
                let reason = match excluded {
                    Some(left) => format!("it needs {}, {BY_REQUEST}", quote(&left.name)),
                    None => reason,
                };
                vec![left_out.because(reason)]
            }
        };
        plan.left_out.extend(refused);
    }
}

/// The statements in their order. A trigger is tried before the next one is created.
fn statements(plan: &Plan<ToSqlite>) -> Vec<(Part, String)> {
    let tables = || plan.tables.iter().enumerate();
    let mut all: Vec<(Part, String)> =
        tables().map(|(number, table)| (Part::Table(number), table.ddl.create())).collect();
    for (number, table) in tables() {
        let indexes = table.indexes.iter().enumerate();
        all.extend(indexes.map(|(index, one)| (Part::Index(number, index), one.sql.clone())));
    }
    // It fails if the parent's columns have no unique key.
    let lost = tables().filter(|(_, table)| table.finish.enforced.last() == Some(&Enforced::Lost));
    all.extend(lost.map(|(number, table)| {
        let check = format!("PRAGMA foreign_key_check({})", quote(&table.ddl.name));
        (Part::LostKeys(number), check)
    }));
    let is_trigger = |one: &Restored| one.left_out.kind == ObjectKind::Trigger;
    let restored = || plan.objects.restored.iter().enumerate();
    let others = || restored().filter(|(_, one)| !is_trigger(one));
    all.extend(others().map(|(number, one)| (Part::Restored(number), one.sql.clone())));
    all.extend(others().map(|(number, one)| (Part::Restored(number), one.probe.clone())));
    for (number, one) in restored().filter(|(_, one)| is_trigger(one)) {
        all.push((Part::Restored(number), one.sql.clone()));
        all.push((Part::Restored(number), one.probe.clone()));
    }
    all
}

/// Takes out of a table the checks, defaults and generated columns that SQLite refuses. The last
/// `lost_checks` are those that PostgreSQL lacks.
fn strip(table: &mut TableDdl, lost_checks: &mut usize, reason: &str) -> Result<Vec<LeftOut>> {
    let mut bare = table.clone();
    bare.checks.clear();
    for column in &mut bare.columns {
        (column.default, column.generated) = (None, None);
    }
    let refuses = |changed: &TableDdl| -> Result<bool> {
        // The table's own checks and foreign keys may name columns that are bare.
        Ok(dry_run(&[changed.create()])?.is_some())
    };
    if refuses(&bare)? {
        return Ok(Vec::new());
    }
    let mut refused = Vec::new();
    let mut list = |kind, name: &str, definition: &str| {
        let left_out = LeftOut::part(kind, &table.name, name, Some(definition));
        refused.push(left_out.because(reason));
    };
    let original = table.columns.clone();
    for (number, column) in original.into_iter().enumerate() {
        let mut one = bare.clone();
        one.columns[number] = column.clone();
        if !refuses(&one)? {
            continue;
        }
        table.columns[number].default = None;
        table.columns[number].generated = None;
        match (&column.default, &column.generated) {
            (_, Some((text, _))) => list(ObjectKind::GeneratedColumn, &column.name, text),
            (Some(text), _) => list(ObjectKind::Default, &column.name, text),
            _ => {}
        }
    }
    let first_lost = table.checks.len() - *lost_checks;
    let mut checks = Vec::new();
    for (number, (name, condition)) in std::mem::take(&mut table.checks).into_iter().enumerate() {
        let mut one = bare.clone();
        one.checks = vec![(name.clone(), condition.clone())];
        match refuses(&one)? {
            true => {
                list(ObjectKind::Check, name.as_deref().unwrap_or_default(), &condition);
                *lost_checks -= usize::from(number >= first_lost);
            }
            false => checks.push((name, condition)),
        }
    }
    table.checks = checks;
    Ok(refused)
}

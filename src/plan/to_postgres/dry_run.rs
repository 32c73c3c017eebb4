//! The dry run: all definitions run on the server in a transaction that is rolled back, so that
//! refusals are known before anything is written.

use crate::error::{Error, Result};
use crate::plan::model::{OptionalDdl, Plan, PlannedTable};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::attached::restore::restore;
use crate::postgres::catalog::target_objects::{drop_objects, in_savepoint};
use crate::postgres::errors::{db_error, describe, is_refusal};
use crate::postgres::ledger::Ledger;
use crate::schema::names::{qualify, quote};
use crate::schema::note::{MADE, Note, fingerprint, fingerprint_of_index};
use crate::schema::{LeftOut, ObjectKind};
use postgres::error::SqlState;
use postgres::{Client, Transaction};
use serde_json::json;
use std::collections::{HashMap, HashSet};

/// Runs all definitions on the target. Refused defaults, generated columns (which become plain
/// ones), indexes, CHECKs, foreign keys and views leave the plan and are listed. Refused: the
/// server does not accept a table, a key or a drop.
pub(crate) fn run(client: &mut Client, plan: &mut Plan<ToPostgres>) -> Result<()> {
    let what = "cannot try the definitions on the target";
    let mut transaction = client.transaction().map_err(db_error(what))?;
    let objects = &plan.objects;
    drop_objects(&mut transaction, &plan.target_schema, &objects.dropped, objects.drop_all)?;
    let ledger = Ledger::new(&plan.target_schema, &plan.data_set);
    required(&mut transaction, "the ledger", &ledger.create())?;
    tables(&mut transaction, plan)?;
    let mut left_out = Vec::new();
    let parents: HashSet<usize> = plan.objects.foreign_keys.iter().map(|key| key.parent).collect();
    for (number, table) in plan.tables.iter_mut().enumerate() {
        for key in &table.finish.keys {
            required(&mut transaction, &key.what, &key.index)?;
            if let Some(constraint) = &key.constraint {
                required(&mut transaction, &key.what, constraint)?;
            }
        }
        // Rolled back at once, because their locks would fill the server's lock table. Indexes of
        // parent tables stay: a foreign key may need a unique one.
        let mut savepoint = transaction.transaction().map_err(db_error(what))?;
        keep_accepted(&mut savepoint, &mut table.indexes, &mut left_out)?;
        if !table.indexes.is_empty() {
            let name = qualify(&plan.target_schema, &table.ddl.name);
            let made = definitions(&mut savepoint, INDEXES, &name)?;
            table.indexes.iter_mut().for_each(|index| {
                note_as_made(
                    index,
                    made.get(&("".to_owned(), index.name.clone())),
                    fingerprint_of_index,
                )
            });
        }
        if parents.contains(&number) {
            savepoint.commit().map_err(db_error(what))?;
        } else {
            savepoint.rollback().map_err(db_error(what))?;
        }
        keep_accepted(&mut transaction, &mut table.finish.checks, &mut left_out)?;
    }
    for key in std::mem::take(&mut plan.objects.foreign_keys) {
        if accepted(&mut transaction, &key.ddl.add(), &key.left_out, &mut left_out)? {
            plan.objects.foreign_keys.push(key);
        }
    }
    keep_accepted(&mut transaction, &mut plan.objects.views, &mut left_out)?;
    note_made(&mut transaction, plan)?;
    let names: HashSet<&str> = plan.created_names().collect();
    let mut attached = plan.objects.attached.clone();
    attached.retain(|name, _| names.contains(name.as_str()));
    let (schema, indexes) = (&plan.target_schema, plan.index_names());
    let unrestored = restore(&mut transaction, schema, &attached, &indexes, true)?;
    transaction.rollback().map_err(db_error(what))?;
    plan.left_out.append(&mut left_out);
    plan.left_out.splice(0..0, unrestored);
    Ok(())
}

/// The indexes of a table.
const INDEXES: &str = "\
    SELECT '', c.relname::text, pg_catalog.pg_get_indexdef(c.oid) FROM pg_catalog.pg_index i \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::text::regclass";

/// Objects of the owners, by name, as the server prints them.
type Definitions = HashMap<(String, String), String>;

fn definitions(transaction: &mut Transaction<'_>, sql: &str, of: &String) -> Result<Definitions> {
    let rows = transaction.query(sql, &[of]);
    let rows = rows.map_err(db_error("cannot read the definitions that were tried"))?;
    Ok(rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect())
}

/// Adds the fingerprint of its definition to the note of an object.
fn note_as_made(one: &mut OptionalDdl, made: Option<&String>, fingerprint: fn(&str) -> String) {
    if let (Some((_, note)), Some(made)) = (&mut one.note, made) {
        let made = json!(fingerprint(made));
        *note = Note::add(Some(note), MADE, made).unwrap_or_default();
    }
}

/// Adds to the notes how the server prints what can change under its comment: defaults, generated
/// columns, checks and views. Those of indexes have it.
fn note_made(transaction: &mut Transaction<'_>, plan: &mut Plan<ToPostgres>) -> Result<()> {
    const CHECKS: &str = "\
        SELECT c.relname::text, k.conname::text, pg_catalog.pg_get_expr(k.conbin, k.conrelid) \
        FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
        WHERE k.contype = 'c' AND c.relnamespace = pg_catalog.quote_ident($1)::pg_catalog.regnamespace";
    const SQL: &str = "\
        SELECT c.relname::text, a.attname::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid) \
        FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_class c ON c.oid = d.adrelid \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.adnum \
        WHERE c.relnamespace = pg_catalog.quote_ident($1)::pg_catalog.regnamespace UNION ALL \
        SELECT c.relname::text, '', pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class c \
        WHERE c.relkind = 'v' AND c.relnamespace = pg_catalog.quote_ident($1)::pg_catalog.regnamespace";
    let made = definitions(transaction, SQL, &plan.target_schema)?;
    let made = |relation: &String, column: &str| {
        made.get(&(relation.clone(), column.to_owned())).map(|made| json!(fingerprint(made)))
    };
    let checks = definitions(transaction, CHECKS, &plan.target_schema)?;
    for PlannedTable { ddl, finish, .. } in &mut plan.tables {
        for check in &mut finish.checks {
            let id = (ddl.name.clone(), check.name.clone());
            note_as_made(check, checks.get(&id), fingerprint);
        }
        for column in &mut ddl.columns {
            if let Some(made) = made(&ddl.name, &column.name) {
                column.comment = Note::add(column.comment.as_deref(), MADE, made);
            }
        }
    }
    for view in &mut plan.objects.views {
        let definition = view.left_out.definition.as_ref().map(|sql| json!(sql));
        let note = Note::of_facts([("view", definition), (MADE, made(&view.name, ""))]);
        let object = format!("VIEW {}", qualify(&plan.target_schema, &view.name));
        view.note = note.map(|note| (object, note));
    }
    Ok(())
}

fn required(transaction: &mut Transaction<'_>, what: &str, sql: &str) -> Result<()> {
    in_savepoint(transaction, sql).map_err(|error| {
        if !is_refusal(&error) {
            return cannot_try(what, error);
        }
        let refused =
            Error::refused(format!("the server refuses {what}")).caused_by(describe(&error));
        if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return refused
                .hint("allow the role to create objects: GRANT CREATE ON SCHEMA ... TO ...");
        }
        refused.hint("exclude the table with --exclude, or change its types with --cast")
    })
}

/// An error before the server checked the definition.
fn cannot_try(what: &str, error: postgres::Error) -> Error {
    let out_of_locks = error.code() == Some(&SqlState::OUT_OF_MEMORY);
    let failed = db_error(&format!("cannot try {what} on the target"))(error);
    if out_of_locks {
        return failed.hint("raise max_locks_per_transaction in the server's configuration");
    }
    failed
}

fn keep_accepted(
    transaction: &mut Transaction<'_>,
    optional: &mut Vec<OptionalDdl>,
    left_out: &mut Vec<LeftOut>,
) -> Result<()> {
    for one in std::mem::take(optional) {
        if accepted(transaction, &one.statements(), &one.left_out, left_out)? {
            optional.push(one);
        }
    }
    Ok(())
}

fn accepted(
    transaction: &mut Transaction<'_>,
    sql: &str,
    template: &LeftOut,
    left_out: &mut Vec<LeftOut>,
) -> Result<bool> {
    match in_savepoint(transaction, sql) {
        Ok(()) => Ok(true),
        Err(error) if is_refusal(&error) => {
            let reason = format!("the server refuses it: {}", describe(&error));
            left_out.push(LeftOut { reason, ..template.clone() });
            Ok(false)
        }
        Err(error) => {
            Err(cannot_try(&format!("{} {}", template.kind.as_str(), quote(&template.name)), error))
        }
    }
}

/// Creates the tables. After a refusal, the defaults and generated columns of the table are tried
/// one by one, to find those that the server refuses.
fn tables(transaction: &mut Transaction<'_>, plan: &mut Plan<ToPostgres>) -> Result<()> {
    for table in &mut plan.tables {
        if in_savepoint(transaction, &table.ddl.create()).is_ok() {
            continue;
        }
        let mut bare = table.ddl.clone();
        for column in &mut bare.columns {
            column.default = None;
            column.generated = None;
        }
        for index in 0..bare.columns.len() {
            let wanted = &table.ddl.columns[index];
            let (default, generated) = (wanted.default.clone(), wanted.generated.clone());
            if default.is_none() && generated.is_none() {
                continue;
            }
            let mut one = bare.clone();
            one.columns[index].default = default;
            one.columns[index].generated = generated;
            let Err(error) = probe(transaction, &one.create()) else { continue };
            // A generated column has no default.
            let column = &mut table.ddl.columns[index];
            let (kind, definition) = match column.generated.take() {
                Some(expression) => (ObjectKind::GeneratedColumn, Some(expression)),
                None => (ObjectKind::Default, column.default.take()),
            };
            let name = &table.columns[index].name;
            let left_out = LeftOut::part(kind, &table.name, name, definition.as_deref());
            let reason = format!("the server refuses it: {}", describe(&error));
            plan.left_out.push(left_out.because(reason));
        }
        required(transaction, &format!("table {}", quote(&table.name)), &table.ddl.create())?;
    }
    Ok(())
}

/// Runs a statement and rolls it back.
fn probe(transaction: &mut Transaction<'_>, sql: &str) -> std::result::Result<(), postgres::Error> {
    let mut savepoint = transaction.transaction()?;
    savepoint.batch_execute(sql)?;
    savepoint.rollback()
}

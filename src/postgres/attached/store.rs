//! The ledger's rows about dropped tables and views. They belong to no data set.
//!
//! | chunk | content |
//! | --- | --- |
//! | -3 | what is attached to a table or view, until it is restored |
//! | -4 | what was not restored, with the reasons, the statements, and who reported it |

use crate::error::{Error, Result};
use crate::postgres::attached::restore::{DROPPED, restore};
use crate::postgres::attached::{Attached, AttachedByTable, read, sort, summary};
use crate::postgres::catalog::target_objects::{CatalogObject, drop_objects};
use crate::postgres::errors::db_error;
use crate::postgres::ledger::Ledger;
use crate::schema::{LeftOut, ObjectKind};
use postgres::{GenericClient, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

const PENDING: i64 = -3;
const LOST: i64 = -4;

/// A definition that was not restored.
#[derive(Serialize, Deserialize)]
struct Lost {
    #[serde(flatten)]
    left_out: LeftOut,
    /// The run and data set that reported it, and empty before. `None`: it is reported with its table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reporter: Option<String>,
}

impl Lost {
    fn unreported(left_out: LeftOut) -> Self {
        Self { left_out, reporter: Some(String::new()) }
    }
}

/// What is attached to the objects `dropped`, and to those that an interrupted run has dropped.
pub(crate) fn gather(
    client: &mut impl GenericClient,
    ledger: &Ledger,
    dropped: &[CatalogObject],
) -> Result<AttachedByTable> {
    let mut all = pending(client, ledger)?;
    for (table, list) in read(client, dropped)? {
        let known = all.entry(table).or_default();
        let is_new =
            |one: &Attached| !known.iter().any(|k| k.kind == one.kind && k.name == one.name);
        let new: Vec<Attached> = list.into_iter().filter(is_new).collect();
        known.extend(new);
        sort(known);
    }
    Ok(all)
}

/// What an earlier run has dropped and not restored yet.
pub(crate) fn pending(client: &mut impl GenericClient, ledger: &Ledger) -> Result<AttachedByTable> {
    let rows = ledger.kept(client, PENDING)?;
    Ok(rows
        .into_iter()
        .filter_map(|(t, text)| Some((t, serde_json::from_str(&text).ok()?)))
        .collect())
}

/// The policies and grants of `tables` that earlier runs could not restore, and that are not `attached`
/// now.
pub(crate) fn still_lost(
    client: &mut impl GenericClient,
    ledger: &Ledger,
    tables: &HashSet<String>,
    attached: &AttachedByTable,
) -> Result<Vec<LeftOut>> {
    let mut all = Vec::new();
    for (table, text) in ledger.kept(client, LOST)? {
        let lost: Vec<Lost> = serde_json::from_str(&text).unwrap_or_default();
        let is_attached = |lost: &LeftOut| {
            let list = attached.get(&table).map_or(&[][..], Vec::as_slice);
            list.iter().any(|one| (one.kind, &one.name) == (lost.kind, &lost.name))
        };
        let lost = lost.into_iter().map(|lost| lost.left_out).filter(|lost| !is_attached(lost));
        let protects = |lost: &LeftOut| {
            matches!(lost.kind, ObjectKind::RowSecurity | ObjectKind::Policy | ObjectKind::Grant)
        };
        all.extend(lost.filter(|lost| protects(lost) && tables.contains(&table)).map(|lost| {
            let reason = format!("{} (in an earlier run; the ledger keeps it)", lost.reason);
            lost.because(reason)
        }));
    }
    Ok(all)
}

/// Drops `objects`, and the ledger if `with_ledger`. The new ledger keeps what was attached to them. It
/// is lost if the table or view is not `created` again.
pub(crate) fn drop_and_keep(
    transaction: &mut Transaction<'_>,
    (ledger, schema): (&Ledger, &str),
    (objects, with_ledger): (&[CatalogObject], bool),
    created: &HashSet<String>,
) -> Result<()> {
    let attached = gather(transaction, ledger, objects)?;
    let lost_before = ledger.kept(transaction, LOST)?;
    drop_objects(transaction, schema, objects, with_ledger)?;
    if !attached.is_empty() || !lost_before.is_empty() {
        transaction
            .batch_execute(&ledger.create())
            .map_err(db_error("cannot create the target's ledger"))?;
    }
    for (table, text) in lost_before.iter().filter(|_| with_ledger) {
        ledger.keep(transaction, LOST, table, text)?;
    }
    for (table, list) in &attached {
        let object = objects.iter().find(|object| object.name == *table);
        let Some(object) = object.filter(|_| !created.contains(table)) else {
            ledger.forget_kept(transaction, PENDING, table)?;
            ledger.keep(transaction, PENDING, table, &json(list)?)?;
            continue;
        };
        let mut lost: Vec<Lost> = list
            .iter()
            .map(|one| Lost { left_out: one.left_out(table, DROPPED), reporter: None })
            .collect();
        if !list.is_empty() {
            let reason = format!("dropped with {}; the ledger keeps them", summary(list));
            let of_table = LeftOut::object(object.kind, table, None).because(reason);
            lost.push(Lost::unreported(of_table));
        }
        keep_lost(transaction, ledger, table, &lost)?;
    }
    Ok(())
}

/// Restores what was attached to `tables`, the new tables and views, and returns what could not be
/// restored. The ledger keeps that.
pub(crate) fn restore_kept(
    transaction: &mut Transaction<'_>,
    (ledger, schema): (&Ledger, &str),
    tables: &HashSet<&str>,
    indexes: &HashSet<String>,
) -> Result<Vec<LeftOut>> {
    let mut attached = pending(transaction, ledger)?;
    attached.retain(|table, _| tables.contains(table.as_str()));
    let missing = restore(transaction, schema, &attached, indexes, false)?;
    for table in attached.keys() {
        let of_table = missing.iter().filter(|one| one.table.as_ref() == Some(table));
        let lost: Vec<Lost> = of_table.cloned().map(Lost::unreported).collect();
        keep_lost(transaction, ledger, table, &lost)?;
    }
    Ok(missing)
}

/// What `reporter` reports as lost, grants first: all that nobody has reported yet. The ledger names it
/// from then on, so that another attempt after a lost answer to the commit reports the same.
pub(crate) fn report_lost(
    transaction: &mut Transaction<'_>,
    ledger: &Ledger,
    reporter: &str,
) -> Result<Vec<LeftOut>> {
    let mut reported = Vec::new();
    for (table, text) in ledger.kept(transaction, LOST)? {
        let mut lost: Vec<Lost> = serde_json::from_str(&text).unwrap_or_default();
        let is_new = |one: &&mut Lost| one.reporter.as_ref().is_some_and(String::is_empty);
        let new = lost.iter_mut().filter(is_new);
        let new = new.map(|one| one.reporter = Some(reporter.to_owned())).count();
        let ours = lost.iter().filter(|one| one.reporter.as_deref() == Some(reporter));
        reported.extend(ours.map(|one| one.left_out.clone()));
        if new > 0 {
            ledger.forget_kept(transaction, LOST, &table)?;
            ledger.keep(transaction, LOST, &table, &json(&lost)?)?;
        }
    }
    reported.sort_by_key(|one| one.kind != ObjectKind::Grant);
    Ok(reported)
}

/// Replaces the pending row of `table` by one with what is lost.
fn keep_lost(
    transaction: &mut Transaction<'_>,
    ledger: &Ledger,
    table: &str,
    lost: &[Lost],
) -> Result<()> {
    ledger.forget_kept(transaction, PENDING, table)?;
    if lost.is_empty() { Ok(()) } else { ledger.keep(transaction, LOST, table, &json(lost)?) }
}

fn json(list: &[impl Serialize]) -> Result<String> {
    serde_json::to_string(list)
        .map_err(|error| Error::failed("internal error: a definition").caused_by(error))
}

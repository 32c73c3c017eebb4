//! `--exact` and `--strict`: what these flags refuse in a plan.

use crate::error::{Error, Result};
use crate::options::plan_options::PlanOptions;
use crate::plan::model::{Plan, PlannedTable, Target};
use crate::plan::table_selection::is_by_request;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};

/// Causes that a refusal lists.
const MAX_CAUSES: usize = 50;

/// Refuses a plan that converts values under `--exact`, or that changes types or leaves something
/// out under `--strict`.
pub(crate) fn enforce<T: Target>(options: &PlanOptions, plan: &Plan<T>) -> Result<()> {
    let converted: Vec<String> = plan.tables.iter().flat_map(conversions).collect();
    if options.exact && !converted.is_empty() {
        let error = Error::refused("--exact: values would arrive converted");
        let error = converted.into_iter().fold(error, Error::caused_by);
        return Err(error
            .hint("choose other types with --cast 'table.column=type'")
            .remedy_without("accept the conversions", &[], &["--exact"]));
    }
    let types = plan.tables.iter().flat_map(changed_types);
    let left_out = plan.left_out.iter().filter(|left| !is_expected(left)).map(LeftOut::describe);
    let changed: Vec<String> = types.chain(left_out).collect();
    if options.strict && !changed.is_empty() {
        let error = Error::refused("--strict: not everything arrives as it is declared");
        let error = changed.into_iter().take(MAX_CAUSES).fold(error, Error::caused_by);
        return Err(error
            .hint("fix the source, or choose types with --cast 'table.column=type'")
            .remedy_without("accept these changes", &[], &["--strict"]));
    }
    Ok(())
}

/// Refuses under `--strict` what the target turned out to refuse once the rows were copied.
pub(crate) fn enforce_finished(options: &PlanOptions, left_out: &[LeftOut]) -> Result<()> {
    if !options.strict || left_out.is_empty() {
        return Ok(());
    }
    let error = Error::failed("--strict: not everything arrived as it is declared");
    let causes = left_out.iter().take(MAX_CAUSES).map(LeftOut::describe);
    let error = causes.fold(error, Error::caused_by);
    Err(error.remedy_without("accept these changes", &[], &["--strict"]))
}

fn conversions<T: Target>(table: &PlannedTable<T>) -> impl Iterator<Item = String> {
    let table_name = quote(&table.name);
    table.conversions().into_iter().map(move |one| {
        let column = quote(&one.column);
        format!("table {table_name} column {column}: {} to {} ({})", one.what, one.to, one.count)
    })
}

fn changed_types<T: Target>(table: &PlannedTable<T>) -> impl Iterator<Item = String> {
    let to_review = table.columns.iter().filter(|column| column.needs_review);
    to_review.filter_map(|column| {
        let (table, name) = (quote(&table.name), quote(&column.name));
        Some(format!("table {table} column {name}: {}", column.reason.as_ref()?))
    })
}

/// The user asked for it, or it is not part of the data (a role).
fn is_expected(left: &LeftOut) -> bool {
    is_by_request(left) || left.kind == ObjectKind::Role
}

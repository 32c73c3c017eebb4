//! The steps from a catalog of PostgreSQL to the plan.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::plan::model::{Plan, PlannedTable};
use crate::plan::strict;
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::column_types::check_casts;
use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::decisions::{TableDecision, candidates, decide, probe};
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::plan::to_sqlite::model::ToSqlite;
use crate::plan::to_sqlite::source_queries::{from_item, queries};
use crate::plan::to_sqlite::{dry_run, preconditions};
use crate::postgres::catalog::model::Catalog;
use crate::postgres::copy_out::Snapshot;
use crate::report::Dropped;
use crate::schema::names::qualify;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::write::target_file::ExistingObject;

/// Plans one data set from the catalog that the snapshot shows. Refused, with table, column, count
/// and first rows, where something forbids the run.
pub(crate) fn build_plan(
    inputs: &PlanInputs<'_>,
    mut catalog: Catalog,
    snapshot: &mut Snapshot,
) -> Result<Plan<ToSqlite>> {
    let mut left_out = choose_tables(&mut catalog.schema, inputs.options)?;
    left_out.append(&mut catalog.schema.left_out);
    preconditions::refuse_hidden(&catalog)?;
    check_casts(&inputs.options.casts, &catalog.schema)?;
    preconditions::refuse_bare(&catalog)?;
    preconditions::check_target(inputs, &catalog)?;

    let candidates = candidates(inputs, &catalog)?;
    let probes = probe(inputs, &catalog, &candidates)?;
    inputs.control.progress.enter(Phase::Plan);
    let decisions = decide(inputs, &catalog, candidates, probes, snapshot)?;

    let key_ranges: Vec<_> = decisions.iter().map(|decision| decision.probe.range).collect();
    let mut plan = define(inputs, &catalog, decisions, left_out);
    dry_run::run(&mut plan)?;
    for ((planned, table), key_range) in
        plan.tables.iter_mut().zip(&catalog.schema.tables).zip(key_ranges)
    {
        let facts = &catalog.facts[&table.name];
        let relations = snapshot.relations(&planned.read.qualified)?;
        let from = from_item(inputs.schema, table, facts);
        planned.read.queries = queries(planned, table, facts, &from, key_range, &relations);
    }
    strict::enforce(inputs.options, &plan)?;
    Ok(plan)
}

/// The plan with all definitions, but without the queries.
fn define(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    decisions: Vec<TableDecision>,
    mut left_out: Vec<LeftOut>,
) -> Plan<ToSqlite> {
    let mut definitions = Definitions::new(catalog, &decisions);
    let mut tables = Vec::with_capacity(decisions.len());
    for (index, decision) in decisions.into_iter().enumerate() {
        let qualified = qualify(inputs.schema, &catalog.schema.tables[index].name);
        tables.push(definitions.table(index, decision, qualified));
    }
    left_out.append(&mut definitions.left_out);
    let mut notes = definitions.notes;
    if tables.iter().any(|table| table.columns.iter().any(|c| c.declared.contains("citext"))) {
        notes.push("citext folds ASCII letters only in SQLite (COLLATE NOCASE)".to_owned());
    }
    Plan {
        data_set: inputs.data_set.to_owned(),
        target_schema: inputs.target.to_owned(),
        drops: drops(inputs.existing, &tables),
        tables,
        left_out,
        notes,
        objects: (),
    }
}

/// The tables and views that the target file holds, which the new file replaces.
fn drops(existing: &[ExistingObject], tables: &[PlannedTable<ToSqlite>]) -> Vec<Dropped> {
    let comes_back = |name: &str| tables.iter().any(|t| t.ddl.name.eq_ignore_ascii_case(name));
    let dropped = |object: &ExistingObject| Dropped {
        kind: object.kind.as_str().to_owned(),
        name: object.name.clone(),
        comes_back: object.kind == ObjectKind::Table && comes_back(&object.name),
    };
    existing.iter().map(dropped).collect()
}

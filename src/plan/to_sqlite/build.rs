//! The steps from a catalog of PostgreSQL to the plan.

use crate::control::progress::Phase;
use crate::error::{Error, Result};
use crate::options::plan_options::LargeObjects;
use crate::plan::model::{Plan, PlannedColumn, PlannedTable};
use crate::plan::strict;
use crate::plan::table_selection::choose_tables;
use crate::plan::texts::list_names;
use crate::plan::to_sqlite::ddl::defaults;
use crate::plan::to_sqlite::ddl::definitions::Definitions;
use crate::plan::to_sqlite::decisions::{TableDecision, candidates, decide, probe};
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::plan::to_sqlite::model::{Restored, SqliteObjects, ToSqlite};
use crate::plan::to_sqlite::names::view_names;
use crate::plan::to_sqlite::source_queries::queries;
use crate::plan::to_sqlite::{dry_run, inheritance, originals, preconditions};
use crate::postgres::catalog::large_objects;
use crate::postgres::catalog::model::Catalog;
use crate::postgres::copy_out::Snapshot;
use crate::postgres::relation::{self, check_counts};
use crate::schema::dropped::Dropped;
use crate::schema::names::{qualify, quote};
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::catalog::file_properties::FileProperties;
use crate::sqlite::sql::from_postgres::node::Kind;
use crate::sqlite::write::target_file::ExistingObject;
use std::collections::HashSet;

/// Plans one data set from the catalog that the snapshot shows. Refused, with table, column, count
/// and first rows, where something forbids the run.
pub(crate) fn build_plan(
    inputs: &PlanInputs<'_>,
    mut catalog: Catalog,
    snapshot: &mut Snapshot,
) -> Result<Plan<ToSqlite>> {
    let mut left_out = choose_tables(&mut catalog.schema, inputs.options, inputs.is_only)?;
    let excluded: HashSet<&String> = left_out.iter().map(|left| &left.name).collect();
    let is_excluded = |left: &LeftOut| {
        let is_view = left.kind == ObjectKind::View && excluded.contains(&left.name);
        is_view || left.table.as_ref().is_some_and(|t| excluded.contains(t))
    };
    let is_returning = |left: &LeftOut| {
        left.kind == ObjectKind::View && catalog.schema.views.iter().any(|v| v.name == left.name)
    };
    let mut listed = std::mem::take(&mut catalog.schema.left_out);
    listed.retain(|left| !is_excluded(left) && !is_returning(left));
    left_out.append(&mut listed);
    preconditions::refuse_hidden(&catalog)?;
    preconditions::refuse_bare(&catalog)?;
    preconditions::check_target(inputs, &catalog, snapshot.client())?;
    let tables = catalog.schema.tables.iter();
    let names: Vec<String> = tables.map(|table| qualify(inputs.schema, &table.name)).collect();
    let mut stored = relation::read(snapshot.client(), &names)?;
    inheritance::list(snapshot.client(), (&catalog.schema, &stored), &mut left_out)?;
    inheritance::check_keys(snapshot.client(), &mut catalog, &stored)?;

    let choice = inputs.options.large_objects;
    let oids = preconditions::oid_columns(&catalog, &stored);
    let mut large = large_objects::find(snapshot.client(), &oids)?;
    left_out.splice(0..0, preconditions::check_large_objects(choice, &catalog, &large)?);
    large.columns.retain(|_| choice == Some(LargeObjects::Blob));
    let candidates = candidates(inputs, &catalog, &large)?;
    let mut probes = probe(inputs, &catalog, &stored, &candidates)?;
    inputs.control.progress.enter(Phase::Plan);
    for one in &large.columns {
        let index = catalog.schema.tables.iter().position(|table| table.name == one.table);
        if let (Some(index), Ok((all, largest))) = (index, &one.bytes) {
            stored[index].bytes += all;
            probes[index].widest += largest;
        }
    }
    let rows: Vec<Option<u64>> = probes.iter().map(|probe| Some(probe.rows)).collect();
    check_counts(snapshot.client(), (&names, &stored), &rows, Error::refused)?;
    let mut decisions = decide(inputs, (&catalog, &stored), candidates, probes, snapshot)?;
    defaults::evaluate(snapshot.client(), &catalog, &mut decisions)?;

    let key_ranges: Vec<_> = decisions.iter().map(|decision| decision.probe.range).collect();
    let mut plan = define(inputs, &catalog, decisions, left_out);
    dry_run::run(&mut plan)?;
    originals::keep(&catalog, &mut plan)?;
    preconditions::list_orphans(snapshot.client(), &mut plan, &stored)?;
    plan.notes.extend(note_restored(&plan.objects.restored));
    let tables = plan.tables.iter_mut().zip(&catalog.schema.tables);
    for (((planned, table), key_range), stored) in tables.zip(key_ranges).zip(&stored) {
        let facts = &catalog.facts[&table.name];
        planned.bytes = stored.bytes;
        planned.read.queries = queries(planned, table, facts, stored, key_range);
    }
    strict::enforce(inputs.options, &plan)?;
    Ok(plan)
}

type OfColumn = fn(&PlannedColumn<ToSqlite>) -> bool;

/// What SQLite does to all values of some columns, alike for every database.
const TYPE_NOTES: [(OfColumn, &str); 4] = [
    (
        |column| column.declared.contains("citext"),
        "citext folds ASCII letters only in SQLite (COLLATE NOCASE)",
    ),
    (
        |column| column.mapping.kind == Kind::Text { bytewise: false },
        "SQLite sorts text by bytes, not by the collation of the source",
    ),
    (
        |column| column.mapping.kind == Kind::Word && column.mapping.read.is_some(),
        "SQLite sorts the values of enums and of extensions' types as text",
    ),
    (
        |column| column.declared.contains('('),
        "SQLite does not enforce the lengths and precisions of types",
    ),
];

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
    let restored = definitions.restored();
    left_out.append(&mut definitions.left_out);
    let mut notes = definitions.notes;
    let columns = || tables.iter().flat_map(|table| &table.columns);
    let rules = TYPE_NOTES.iter().filter(|(applies, _)| columns().any(applies));
    notes.extend(rules.map(|(_, note)| (*note).to_owned()));
    let file = file_properties(catalog, &mut notes);
    let lost = inputs.replaced.lost(&file).into_iter();
    left_out.extend(
        lost.map(|(name, reason)| LeftOut::object(ObjectKind::Pragma, name, None).because(reason)),
    );
    Plan {
        data_set: inputs.data_set.to_owned(),
        target_schema: inputs.target.to_owned(),
        drops: drops(inputs, &tables, &view_names(catalog)),
        tables,
        left_out,
        notes,
        objects: SqliteObjects { file, restored },
    }
}

/// The properties of the SQLite file from which the tables once came.
fn file_properties(catalog: &Catalog, notes: &mut Vec<String>) -> FileProperties {
    let mut file = FileProperties::default();
    for table in &catalog.schema.tables {
        let differing = file.add_json(&catalog.facts[&table.name].origin["file"]);
        if !differing.is_empty() {
            notes.push(format!(
                "table {} came from a file with another {}, which the new file does not get",
                quote(&table.name),
                differing.join(", ")
            ));
        }
    }
    if !file.is_empty() {
        notes
            .push(format!("the new file gets the properties of the original one: {}", file.list()));
    }
    file
}

fn note_restored(restored: &[Restored]) -> Option<String> {
    let names = restored.iter().map(|Restored { left_out: object, .. }| {
        format!("{} {}", object.kind.as_str(), quote(&object.name))
    });
    let note = || format!("the new file gets objects of the original one: {}", list_names(names));
    (!restored.is_empty()).then(note)
}

/// The tables and views that the target file holds, which the new file replaces.
fn drops(
    inputs: &PlanInputs<'_>,
    tables: &[PlannedTable<ToSqlite>],
    views: &[String],
) -> Vec<Dropped> {
    let dropped = |object: &ExistingObject| {
        let planned = tables.iter().find(|table| {
            object.kind == ObjectKind::Table && table.ddl.name.eq_ignore_ascii_case(&object.name)
        });
        Dropped {
            kind: object.kind.as_str().to_owned(),
            name: object.name.clone(),
            comes_back: planned.is_some()
                || object.kind == ObjectKind::View
                    && views.iter().any(|view| view.eq_ignore_ascii_case(&object.name)),
            target_rows: object.rows,
            source_rows: planned.map(|table| table.rows),
            ..Dropped::default()
        }
    };
    inputs.existing.iter().map(dropped).collect()
}

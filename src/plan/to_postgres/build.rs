//! The steps from a SQLite source to the plan.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::control::progress::Phase;
use crate::error::Result;
use crate::plan::model::{Plan, PlannedColumn, PlannedTable};
use crate::plan::strict;
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::broken_constraints::{
    find_index_damage, list_broken_checks, list_orphans, note_unchecked,
};
use crate::plan::to_postgres::column_types::Columns;
use crate::plan::to_postgres::ddl::definitions::Definitions;
use crate::plan::to_postgres::ddl::lost;
use crate::plan::to_postgres::decisions::{Decisions, decide, profile, queries};
use crate::plan::to_postgres::inputs::{CreatedObjects, DropScope, PlanInputs, PlannedNames};
use crate::plan::to_postgres::model::{PostgresObjects, ToPostgres};
use crate::plan::to_postgres::{dry_run, preconditions, views};
use crate::postgres::attached::{AttachedByTable, names, store, summary};
use crate::postgres::catalog::row_counts;
use crate::postgres::catalog::target_objects::{self, CatalogObject};
use crate::postgres::ledger::{Entry, Ledger};
use crate::schema::dropped::Dropped;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::catalog;
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::query;
use postgres::Client;
use rusqlite::Connection;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// The time for counting rows without a parent: at least this, or this part of the profile's time.
const MIN_ORPHAN_TIME: Duration = Duration::from_millis(500);
const ORPHAN_SHARE: u32 = 20;

/// Plans one data set. Refused, with table, column, count and first rows, where something forbids
/// the run.
pub(crate) fn build_plan(inputs: &PlanInputs<'_>, client: &mut Client) -> Result<Plan<ToPostgres>> {
    let connection = inputs.source.connect()?;
    let mut catalog = catalog::read(&connection)?;
    let mut left_out =
        choose_tables(&mut catalog.schema, inputs.options, inputs.data_sets.len() == 1)?;
    let excluded: HashSet<String> = left_out.iter().map(|left| left.name.clone()).collect();
    // SQLite's own tables are no content: sequences and statistics replace them.
    let is_content = |left: &LeftOut| left.kind != ObjectKind::InternalTable;
    left_out.extend(catalog.schema.left_out.drain(..).filter(is_content));
    preconditions::refuse_own_name(&catalog.schema)?;
    let existing = target_objects::existing(client, inputs.schema)?;
    let planned = PlannedNames::new(&catalog.schema);
    let entries = Ledger::entries(client, inputs.schema)?.unwrap_or_default();
    let scope = preconditions::drop_scope(inputs, &entries, &excluded);
    let (dropped, mut remaining) = scope.split(existing, &planned);
    let source = (&*connection, &catalog.schema);
    preconditions::check_target(inputs, client, source, &entries, (&remaining, &planned))?;
    preconditions::refuse_wide_tables(&catalog.schema)?;
    preconditions::refuse_foreign_partitions(client, inputs.schema, &dropped)?;

    let columns = Columns::new(&catalog, &inputs.options.casts);
    let queries = queries(query::encoding(&connection)?, &catalog.schema);
    let started = Instant::now();
    let profiles = profile(inputs, &catalog, &queries, &columns)?;
    let profile_time = started.elapsed();
    inputs.control.progress.enter(Phase::Plan);
    let damage = find_index_damage(&connection, &catalog, &queries, &profiles, inputs.options)?;
    let unchecked = note_unchecked(&catalog, &profiles);
    let profiled = (queries, profiles);
    let decisions = decide(inputs, &connection, &catalog.schema, &columns, damage, profiled)?;

    let mut plan = define(inputs, &connection, &catalog, decisions, excluded, &remaining, left_out);
    list_broken_checks(&connection, &catalog.schema, &mut plan)?;
    plan.notes.extend(unchecked);
    // A view that the plan does not create is kept, unless it is dropped for another reason.
    let is_view = |name: &str| plan.objects.views.iter().any(|view| view.name == name);
    let is_kept = |object: &CatalogObject| {
        object.kind == ObjectKind::View
            && !(plan.objects.drop_all || is_view(&object.name) || scope.restarts(object))
    };
    let (kept, dropped) = dropped.into_iter().partition(is_kept);
    remaining.extend::<Vec<_>>(kept);
    plan.objects.dropped = dropped;
    let ledger = Ledger::new(inputs.schema, inputs.data_set);
    plan.objects.attached = store::gather(client, &ledger, &plan.objects.dropped)?;
    let lost = store::still_lost(client, &ledger, &plan.table_names(), &plan.objects.attached)?;
    plan.left_out.splice(0..0, lost);
    dry_run::run(client, &mut plan)?;
    lost::keep(&catalog.schema, &mut plan);
    plan.tables.iter_mut().for_each(choose_sent_columns);
    plan.drops = drops(client, &plan, &scope, &entries)?;
    plan.notes.extend(note_remaining(&remaining));
    let pending = pending_notes(&plan, &plan.objects.attached);
    plan.notes.extend(pending);
    let limit = MIN_ORPHAN_TIME.max(profile_time / ORPHAN_SHARE);
    list_orphans(&connection, &mut plan, Some(limit).filter(|_| !inputs.options.strict))?;
    strict::enforce(inputs.options, &plan)?;
    Ok(plan)
}

/// The plan with all definitions, but without the columns that are sent.
fn define(
    inputs: &PlanInputs<'_>,
    connection: &Connection,
    catalog: &Catalog,
    decisions: Decisions,
    excluded: HashSet<String>,
    remaining: &[CatalogObject],
    mut left_out: Vec<LeftOut>,
) -> Plan<ToPostgres> {
    let has_a_name = |object: &&CatalogObject| object.kind != ObjectKind::Type;
    let taken = remaining.iter().filter(has_a_name).map(|object| object.name.clone()).collect();
    let mut definitions = Definitions::new(inputs.schema, catalog, &decisions, excluded, taken);
    let mut tables: Vec<PlannedTable<ToPostgres>> =
        (0..catalog.schema.tables.len()).map(|index| definitions.table(index)).collect();
    let columns: Vec<&[PlannedColumn<ToPostgres>]> =
        tables.iter().map(|table| table.columns.as_slice()).collect();
    let foreign_keys = definitions.foreign_keys(&columns);
    left_out.append(&mut definitions.left_out);
    left_out.splice(0..0, definitions.damaged.drain(..));
    let views = views::define(connection, &tables, &mut definitions, &mut left_out);
    let mut notes = notes(&tables, catalog);
    notes.append(&mut definitions.notes);
    for (table, mut decision) in tables.iter_mut().zip(decisions.tables) {
        let chunk_bytes = inputs.resources.chunk_bytes;
        table.read.chunks = decision.profile.chunks(&table.read.query.address, chunk_bytes);
    }
    Plan {
        data_set: inputs.data_set.to_owned(),
        target_schema: inputs.schema.to_owned(),
        tables,
        left_out,
        notes,
        drops: Vec::new(),
        objects: PostgresObjects {
            foreign_keys,
            views,
            dropped: Vec::new(),
            drop_all: *inputs.drop == DropScope::Everything,
            attached: AttachedByTable::new(),
        },
    }
}

/// Sends all columns but those that the server computes.
fn choose_sent_columns(table: &mut PlannedTable<ToPostgres>) {
    let is_sent = |index: &usize| table.ddl.columns[*index].generated.is_none();
    let sent: Vec<usize> = (0..table.columns.len()).filter(is_sent).collect();
    let columns = || sent.iter().map(|&index| &table.columns[index]);
    table.read.layout = TupleLayout::new(columns().map(|column| column.mapping).collect());
    table.read.query.columns = columns().map(|column| column.name.clone()).collect();
    table.read.sent = sent;
}

/// The objects that are dropped, without those that others bring with them.
fn drops(
    client: &mut Client,
    plan: &Plan<ToPostgres>,
    scope: &DropScope,
    entries: &[Entry],
) -> Result<Vec<Dropped>> {
    let is_view = |name: &str| plan.objects.views.iter().any(|view| view.name == name);
    let created = entries.iter().map(|entry| CreatedObjects::read(&entry.detail.created));
    let created: Vec<CreatedObjects> = created.collect();
    let mut drops = Vec::new();
    for object in plan.objects.dropped.iter().filter(|object| !object.is_dependent) {
        let (kind, name) = (object.kind.as_str().to_owned(), object.name.clone());
        let is_restarted = scope.restarts(object);
        let mut dropped = Dropped { kind, name, is_restarted, ..Dropped::default() };
        if object.kind == ObjectKind::Table {
            let planned = plan.tables.iter().find(|table| table.ddl.name == object.name);
            dropped.source_rows = planned.map(|table| table.rows);
            dropped.comes_back = planned.is_some();
            let is_ours = created.iter().any(|created| created.has(object));
            let rows = row_counts::count(client, &plan.target_schema, &object.name, is_ours)?;
            (dropped.target_rows, dropped.rows_by_others) = rows;
        } else if object.kind == ObjectKind::View {
            dropped.comes_back = is_view(&object.name);
        }
        let attached = plan.objects.attached.get(&object.name).into_iter().flatten();
        let attached = attached.filter(|one| !dropped.comes_back || one.is_restored());
        dropped.attached = summary(attached.clone());
        dropped.attached_names = names(attached);
        drops.push(dropped);
    }
    Ok(drops)
}

/// Notes on what the run restores although another run has dropped it.
pub(crate) fn pending_notes(plan: &Plan<ToPostgres>, attached: &AttachedByTable) -> Vec<String> {
    let is_dropped = |name: &str| plan.drops.iter().any(|dropped| dropped.name == name);
    let names = plan.created_names().filter(|name| !is_dropped(name));
    let note = |name: &str| {
        let list = attached.get(name)?.iter().filter(|one| one.is_restored());
        let (list, name) = (summary(list), quote(name));
        let note = || format!("{name}: what an interrupted run has dropped is restored: {list}");
        (!list.is_empty()).then(note)
    };
    names.filter_map(note).collect()
}

/// A note on objects of the target schema that have nothing to do with the run.
fn note_remaining(remaining: &[CatalogObject]) -> Option<String> {
    let others: Vec<String> = remaining
        .iter()
        .filter(|object| !object.is_dependent)
        .map(|object| format!("{} {}", object.kind.as_str(), quote(&object.name)))
        .collect();
    let note = || format!("unchanged in the target schema: {}", others.join(", "));
    (!others.is_empty()).then(note)
}

/// Notes on differences between the databases that the tables meet.
fn notes(tables: &[PlannedTable<ToPostgres>], catalog: &Catalog) -> Vec<String> {
    let mut notes = Vec::new();
    if !catalog.file.is_empty() {
        let kept = match tables.is_empty() {
            true => "are lost, because no table is migrated",
            false => "are kept in comments on the tables, for the way back",
        };
        notes.push(format!("properties of the file {kept}: {}", catalog.file.list()));
    }
    if tables.iter().any(|t| t.ddl.columns.iter().any(|c| c.column_type.is_text())) {
        notes.push(
            "text sorts and compares by bytes (COLLATE \"C\"), as SQLite's BINARY does".to_owned(),
        );
    }
    for table in tables {
        if let Some((sequence, i64::MAX)) = &table.finish.sequence {
            notes
                .push(format!("sequence {sequence} is at its end and cannot generate another key"));
        }
    }
    notes
}

//! Making a plan: catalog, profile, types, definitions, trial.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::control::progress::{Phase, Progress};
use crate::control::sizing::Resources;
use crate::error::{Error, Result};
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::plan::created_objects::CreatedObjects;
use crate::plan::table_selection::{
    BY_REQUEST, check_target, choose_tables, leave_out_wide_tables, refuse_own_name,
};
use crate::plan::to_postgres::column_types::Columns;
use crate::plan::to_postgres::ddl::{DdlInputs, Definitions, TableDefinition};
use crate::plan::to_postgres::misfits;
use crate::plan::to_postgres::misfits::Rejected;
use crate::plan::to_postgres::type_rules::TypeDecision;
use crate::plan::to_postgres::{dry_run, source_checks, views};
use crate::plan::{Plan, PlannedColumn, PlannedTable};
use crate::postgres::catalog::target_objects;
use crate::postgres::catalog::target_objects::{CatalogObject, ObjectClass};
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind, RowAddress, Schema};
use crate::sqlite::catalog;
use crate::sqlite::read::profile::scan::ProfileOptions;
use crate::sqlite::read::profile::scan::profile;
use crate::sqlite::read::profile::table::{TableProfile, TableProfileSpec};
use crate::sqlite::read::query;
use crate::sqlite::read::query::{TableQuery, TextEncoding};
use crate::sqlite::source::open::Source;
use postgres::Client;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;

/// What a plan is made from.
pub(crate) struct PlanInputs<'a> {
    /// The data set's name.
    pub(crate) data_set: &'a str,
    /// The fenced source.
    pub(crate) source: &'a Source,
    /// The target's schema.
    pub(crate) schema: &'a str,
    /// What was asked for.
    pub(crate) options: &'a PlanOptions,
    /// Threads and sizes.
    pub(crate) resources: &'a Resources,
    /// Where progress is told.
    pub(crate) progress: &'a Progress,
    /// What of the target is dropped first.
    pub(crate) drop: &'a DropScope,
    /// The names of all data sets of the run.
    pub(crate) data_sets: &'a [&'a str],
    /// Set from outside to end early.
    pub(crate) stop: &'a AtomicBool,
}

/// What is dropped before the tables are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DropScope {
    /// Nothing.
    Nothing,
    /// What an earlier run made, as far as it is still that.
    CreatedObjects(CreatedObjects),
    /// Everything in the schema.
    Everything,
}

impl DropScope {
    /// What of `existing` is dropped.
    fn of(&self, existing: &[CatalogObject]) -> Vec<CatalogObject> {
        match self {
            Self::Nothing => Vec::new(),
            Self::CreatedObjects(made) => {
                existing.iter().filter(|thing| made.has(thing)).cloned().collect()
            }
            Self::Everything => existing.to_vec(),
        }
    }
}

/// Makes the plan of one data set.
///
/// # Errors
/// Refused, with table, column, count, first places and mend, where something stands in the way.
pub(crate) fn build_plan(inputs: &PlanInputs<'_>, client: &mut Client) -> Result<Plan> {
    let connection = inputs.source.connect()?;
    let mut catalog = catalog::read(&connection)?;
    let mut left_out = choose_tables(&mut catalog.schema, inputs.options)?;
    let excluded: HashSet<String> = left_out.iter().map(|left| left.name.clone()).collect();
    // SQLite's own tables are no content: what matters in them arrives as sequences and statistics.
    let content = |left: &LeftOut| left.kind != ObjectKind::InternalTable;
    left_out.extend(catalog.schema.left_out.drain(..).filter(content));
    refuse_own_name(&catalog.schema)?;
    let existing = target_objects::existing(client, inputs.schema)?;
    let drops = inputs.drop.of(&existing);
    let goes = |thing: &CatalogObject| drops.contains(thing);
    let (_, existing): (Vec<_>, Vec<_>) = existing.into_iter().partition(goes);
    check_target(inputs, client, &existing, &catalog.schema)?;
    leave_out_wide_tables(&connection, &mut catalog.schema, inputs.options, &mut left_out)?;

    let columns = Columns::new(&catalog, &inputs.options.casts)?;
    inputs.progress.enter(Phase::Profile);
    let encoding = query::encoding(&connection)?;
    let queries = queries(encoding, &catalog.schema);
    let profiles = take_profile(inputs, &queries, &columns)?;
    inputs.progress.enter(Phase::Plan);

    let widen = inputs.options.on_misfit == OnMisfit::Widen;
    let decisions = columns.decide(&profiles, widen);
    let schema = &mut catalog.schema;
    let rejected = misfits::settle(
        inputs,
        &connection,
        schema,
        &queries,
        &profiles,
        &decisions,
        &mut left_out,
    )?;
    let schema = &catalog.schema;
    let kept = RemainingTables::new(schema, &queries, profiles, decisions, rejected);
    misfits::refuse_merged_keys(&connection, schema, &kept.decisions)?;
    let utf16 = encoding != TextEncoding::Utf8;
    let too_wide = source_checks::too_wide(&connection, schema, &kept.profiles, utf16)?;
    misfits::refuse_wide_keys(schema, &too_wide, widen)?;
    let takes_a_name = |thing: &&CatalogObject| thing.kind != ObjectClass::Type;
    let taken: Vec<String> =
        existing.iter().filter(takes_a_name).map(|thing| thing.name.clone()).collect();
    let mut definitions = Definitions::new(
        inputs.schema,
        &catalog,
        &kept.profiles,
        &kept.decisions,
        DdlInputs { too_wide, keep_plain: kept.sent_whole(), excluded, taken },
    );
    let tables: Vec<TableDefinition> =
        (0..schema.tables.len()).map(|place| definitions.table(place)).collect();
    let columns: Vec<&[PlannedColumn]> = tables.iter().map(|t| t.columns.as_slice()).collect();
    let foreign_keys = definitions.foreign_keys(&columns);
    left_out.append(&mut definitions.left_out);
    let views =
        views::define(&connection, inputs.schema, schema, &tables, &mut definitions, &mut left_out);
    let notes = notes(&definitions.notes, &tables, schema);
    let chunk_bytes = inputs.resources.chunk_bytes;
    let tables = assemble(kept, tables, chunk_bytes);
    let mut plan = Plan {
        data_set: inputs.data_set.to_owned(),
        schema: inputs.schema.to_owned(),
        tables,
        foreign_keys,
        views,
        left_out,
        notes,
        drops,
        drop_all: *inputs.drop == DropScope::Everything,
    };
    broken_checks(&connection, schema, &mut plan)?;
    dry_run::run(client, &mut plan)?;
    choose_sent_columns(&mut plan);
    note_unrelated_objects(&existing, &mut plan);
    if inputs.options.strict {
        orphans(&connection, &mut plan)?;
    }
    enforce_strict(inputs.options, &plan)?;
    Ok(plan)
}

/// How the tables of a schema are read.
pub(crate) fn queries(encoding: TextEncoding, schema: &Schema) -> Vec<TableQuery> {
    schema
        .tables
        .iter()
        .map(|table| TableQuery {
            table: table.name.clone(),
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            address: match &table.address {
                // Key bounds are bound as UTF-8; a surrogate without its pair would not survive.
                RowAddress::Key { .. } if encoding != TextEncoding::Utf8 => RowAddress::Ordinal,
                address => address.clone(),
            },
            encoding,
        })
        .collect()
}

fn take_profile(
    inputs: &PlanInputs<'_>,
    queries: &[TableQuery],
    columns: &Columns,
) -> Result<Vec<TableProfile>> {
    let wanted: Vec<TableProfileSpec> = queries
        .iter()
        .enumerate()
        .map(|(place, query)| TableProfileSpec {
            query: query.clone(),
            columns: columns.of(place).iter().map(|column| column.wanted()).collect(),
        })
        .collect();
    let options = ProfileOptions {
        threads: inputs.resources.readers,
        chunk_bytes: inputs.resources.chunk_bytes,
        progress: inputs.progress.phase(Phase::Profile),
        stop: inputs.stop,
    };
    profile(&|| inputs.source.connect_to_pages(), &wanted, &options)
}

/// What is kept of the profile once tables that cannot be held are gone.
struct RemainingTables {
    queries: Vec<TableQuery>,
    profiles: Vec<TableProfile>,
    decisions: Vec<Vec<TypeDecision>>,
    rejected: Vec<Rejected>,
}

impl RemainingTables {
    fn new(
        schema: &Schema,
        queries: &[TableQuery],
        profiles: Vec<TableProfile>,
        decisions: Vec<Vec<TypeDecision>>,
        mut rejected: HashMap<String, Rejected>,
    ) -> Self {
        let mut kept = Self {
            queries: Vec::new(),
            profiles: Vec::new(),
            decisions: Vec::new(),
            rejected: Vec::new(),
        };
        let names: HashSet<&str> = schema.tables.iter().map(|table| table.name.as_str()).collect();
        for ((query, profile), decision) in queries.iter().zip(profiles).zip(decisions) {
            if names.contains(query.table.as_str()) {
                kept.rejected.push(rejected.remove(&query.table).unwrap_or_default());
                kept.queries.push(query.clone());
                kept.profiles.push(profile);
                kept.decisions.push(decision);
            }
        }
        kept
    }

    /// Tables of which every column has to be sent, as the values decide which rows can be:
    /// those with rejected rows, and those whose rows may be too wide for a page.
    fn sent_whole(&self) -> Vec<bool> {
        let wide = |(decisions, profile): (&Vec<TypeDecision>, &TableProfile)| {
            source_checks::may_be_too_wide(decisions, profile)
        };
        let wide = self.decisions.iter().zip(&self.profiles).map(wide);
        self.rejected.iter().zip(wide).map(|(rows, wide)| wide || !rows.is_empty()).collect()
    }
}

fn assemble(
    kept: RemainingTables,
    definitions: Vec<TableDefinition>,
    chunk_bytes: u64,
) -> Vec<PlannedTable> {
    let RemainingTables { queries, profiles, rejected, .. } = kept;
    let mut tables = Vec::with_capacity(definitions.len());
    let parts = definitions.into_iter().zip(queries).zip(profiles).zip(rejected);
    for (((definition, mut query), mut profile), rejected) in parts {
        query.address = profile.address(query.address);
        let chunks = profile.chunks(&query.address, chunk_bytes);
        let TableDefinition { ddl, columns, keys, indexes, checks, sequence } = definition;
        tables.push(PlannedTable {
            name: query.table.clone(),
            layout: TupleLayout::new(Vec::new()),
            sent: Vec::new(),
            chunks,
            rows: profile.rows,
            bytes: profile.bytes,
            ddl,
            query,
            columns,
            keys,
            indexes,
            checks,
            sequence,
            rejected,
        });
    }
    tables
}

/// Fixes which columns are sent: all but those that the server computes.
fn choose_sent_columns(plan: &mut Plan) {
    for table in &mut plan.tables {
        let computed = |place: &usize| table.ddl.columns[*place].generated.is_some();
        table.sent = (0..table.columns.len()).filter(|place| !computed(place)).collect();
        let casts = table.sent.iter().map(|&place| table.columns[place].decision.cast).collect();
        table.layout = TupleLayout::new(casts);
        table.query.columns =
            table.sent.iter().map(|&place| table.columns[place].name.clone()).collect();
    }
}

/// A CHECK that rows of the source break is added without looking at them, and listed.
fn broken_checks(connection: &Connection, schema: &Schema, plan: &mut Plan) -> Result<()> {
    for (table, planned) in schema.tables.iter().zip(&mut plan.tables) {
        if planned.checks.is_empty() {
            continue;
        }
        let counts = source_checks::broken_checks(connection, table)?;
        for (check, count) in table.checks.iter().zip(counts) {
            let Some(count) = count.filter(|count| *count > 0) else { continue };
            let text = &check.condition.text;
            let broken = planned
                .checks
                .iter_mut()
                .find(|optional| optional.left_out.definition.as_ref() == Some(text));
            if let Some(optional) = broken {
                optional.sql.push_str(" NOT VALID");
                plan.left_out.push(LeftOut {
                    reason: format!(
                        "{count} rows break it; it holds for new rows only (NOT VALID)"
                    ),
                    ..optional.left_out.clone()
                });
            }
        }
    }
    Ok(())
}

/// Lists foreign keys with rows that have no parent. Asked before the copy only where that
/// decides whether there is one: the server finds them much faster once the rows are there.
fn orphans(connection: &Connection, plan: &mut Plan) -> Result<()> {
    for key in &plan.foreign_keys {
        let tally = source_checks::orphans(connection, &plan.tables, key)?;
        if tally.count > 0 {
            plan.left_out.push(key.listed(&tally));
        }
    }
    Ok(())
}

/// Things in the target schema that have nothing to do with the run.
fn note_unrelated_objects(existing: &[CatalogObject], plan: &mut Plan) {
    let others: Vec<String> = existing
        .iter()
        .filter(|thing| !thing.is_dependent)
        .map(|thing| format!("{} {}", thing.kind.as_str(), quote(&thing.name)))
        .collect();
    if !others.is_empty() {
        plan.notes.push(format!("left alone in the target schema: {}", others.join(", ")));
    }
}

fn notes(of_definitions: &[String], tables: &[TableDefinition], schema: &Schema) -> Vec<String> {
    let mut notes = Vec::new();
    let text = tables.iter().any(|t| t.ddl.columns.iter().any(|c| c.column_type.is_text()));
    if text {
        notes.push(
            "text sorts and compares by bytes (COLLATE \"C\"), as SQLite's BINARY does".to_owned(),
        );
    }
    let no_case = schema.tables.iter().any(|table| {
        table
            .columns
            .iter()
            .any(|column| column.collation == crate::schema::expression::Collation::NoCase)
    });
    if no_case {
        notes.push(
            "= is case-sensitive now on columns that were COLLATE NOCASE; their keys are unique \
             over lower(column)"
                .to_owned(),
        );
    }
    for table in tables {
        if let Some((sequence, i64::MAX)) = &table.sequence {
            notes.push(format!(
                "sequence {sequence} stands at its end: no further key can be handed out"
            ));
        }
    }
    notes.extend(of_definitions.iter().cloned());
    notes
}

/// `--exact` and `--strict`.
fn enforce_strict(options: &PlanOptions, plan: &Plan) -> Result<()> {
    if options.exact {
        let mut error = Error::refused("--exact: values would arrive converted");
        let mut any = false;
        for table in &plan.tables {
            for conversion in table.conversions() {
                any = true;
                error = error.caused_by(format!(
                    "table {} column {}: {} to {} ({})",
                    quote(&table.name),
                    quote(&conversion.column),
                    conversion.what,
                    conversion.to,
                    conversion.count
                ));
            }
        }
        if any {
            return Err(error.hint("pin other types with --cast, or run without --exact"));
        }
    }
    if options.strict {
        let mut causes: Vec<String> = Vec::new();
        for table in &plan.tables {
            for column in &table.columns {
                if let Some(reason) = &column.decision.reason
                    && column.decision.needs_review
                {
                    causes.push(format!(
                        "table {} column {}: {reason}",
                        quote(&table.name),
                        quote(&column.name)
                    ));
                }
            }
        }
        let by_request = |left: &&LeftOut| !left.reason.contains(BY_REQUEST);
        for left in plan.left_out.iter().filter(by_request) {
            let of = left.table.as_ref().map_or_else(String::new, |t| format!(" of {}", quote(t)));
            causes.push(format!(
                "{} {}{of}: {}",
                left.kind.as_str(),
                quote(&left.name),
                left.reason
            ));
        }
        if !causes.is_empty() {
            let error = Error::refused("--strict: not everything arrives as it is declared");
            let error =
                causes.into_iter().take(50).fold(error, |error, cause| error.caused_by(cause));
            return Err(
                error.hint("mend the source, pin types with --cast, or run without --strict")
            );
        }
    }
    Ok(())
}

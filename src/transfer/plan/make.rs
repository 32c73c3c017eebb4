//! Making a plan: catalog, profile, types, definitions, trial.

use crate::codec::Misfit;
use crate::codec::encode::TupleLayout;
use crate::error::{Error, Result};
use crate::postgres::ledger::Ledger;
use crate::postgres::target::{self, Existing, Kind};
use crate::progress::{Phase, Progress};
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind, RowAddress, Schema};
use crate::sqlite::Source;
use crate::sqlite::catalog::{self, Catalog};
use crate::sqlite::profile::{self, ProfileOptions, TableProfile, Tally, Wanted};
use crate::sqlite::read::{self, TableQuery, TextEncoding};
use crate::transfer::options::{OnMisfit, Options};
use crate::transfer::plan::cast_rules::{Decision, told};
use crate::transfer::plan::columns::{ColumnMisfit, Columns};
use crate::transfer::plan::definitions::{Definitions, TableDefinition, WIDEST_ENTRY, key_label};
use crate::transfer::plan::reject::{RejectFile, reason};
use crate::transfer::plan::{Plan, PlannedColumn, PlannedTable, measure, trial, views};
use crate::transfer::sizes::Sizes;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use postgres::Client;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;

/// What a plan is made from.
pub struct Inputs<'a> {
    /// The data set's name.
    pub data_set: &'a str,
    /// The fenced source.
    pub source: &'a Source,
    /// The target's schema.
    pub schema: &'a str,
    /// What was asked for.
    pub options: &'a Options,
    /// Threads and sizes.
    pub sizes: &'a Sizes,
    /// Where progress is told.
    pub progress: &'a Progress,
    /// Set from outside to end early.
    pub stop: &'a AtomicBool,
}

/// Makes the plan of one data set.
///
/// # Errors
/// Refused, with table, column, count, first places and mend, where something stands in the way.
pub fn make(inputs: &Inputs<'_>, client: &mut Client) -> Result<Plan> {
    let connection = inputs.source.connect()?;
    let mut catalog = catalog::read(&connection)?;
    let mut left_out = choose_tables(&mut catalog, inputs.options)?;
    // SQLite's own tables are no content: what matters in them arrives as sequences and statistics.
    let content = |left: &LeftOut| left.kind != ObjectKind::InternalTable;
    left_out.extend(catalog.schema.left_out.drain(..).filter(content));
    refuse_own_name(&catalog.schema)?;
    let existing = target::existing(client, inputs.schema)?;
    look_at_target(inputs, client, &existing, &catalog.schema)?;
    leave_out_wide_tables(&connection, &mut catalog.schema, inputs.options, &mut left_out)?;

    let columns = Columns::new(&catalog, &inputs.options.casts)?;
    inputs.progress.enter(Phase::Profile);
    let queries = queries(read::encoding(&connection)?, &catalog.schema);
    let profiles = take_profile(inputs, &queries, &columns)?;
    inputs.progress.enter(Phase::Plan);

    let widen = inputs.options.on_misfit == OnMisfit::Widen;
    let decisions = columns.decide(&profiles, widen);
    let rejected =
        misfits(inputs, &connection, &mut catalog, &queries, &profiles, &decisions, &mut left_out)?;
    let schema = &catalog.schema;
    let kept = Kept::new(schema, &queries, profiles, decisions, rejected);
    let too_wide = measure::too_wide(&connection, schema, &kept.profiles)?;
    refuse_wide_keys(schema, &too_wide, widen)?;
    let stays = |thing: &&Existing| !inputs.options.drop_all && thing.kind != Kind::Type;
    let taken: Vec<String> =
        existing.iter().filter(stays).map(|thing| thing.name.clone()).collect();
    let mut definitions = Definitions::new(
        inputs.schema,
        &catalog,
        &kept.profiles,
        &kept.decisions,
        &too_wide,
        taken,
    );
    let tables: Vec<TableDefinition> =
        (0..schema.tables.len()).map(|place| definitions.table(place)).collect();
    let columns: Vec<&[PlannedColumn]> = tables.iter().map(|t| t.columns.as_slice()).collect();
    let foreign_keys = definitions.foreign_keys(&columns);
    left_out.append(&mut definitions.left_out);
    let views =
        views::define(&connection, inputs.schema, schema, &tables, &mut definitions, &mut left_out);
    let notes = notes(&definitions.notes, &tables, schema);
    let chunk_bytes = inputs.sizes.chunk_bytes;
    let tables = assemble(kept, tables, chunk_bytes);
    let drops = if inputs.options.drop_all { existing.clone() } else { Vec::new() };
    let mut plan = Plan {
        data_set: inputs.data_set.to_owned(),
        schema: inputs.schema.to_owned(),
        tables,
        foreign_keys,
        views,
        left_out,
        notes,
        drops,
    };
    broken_checks(&connection, schema, &mut plan)?;
    trial::run(client, &mut plan)?;
    choose_sent_columns(&mut plan);
    say_what_stays(&existing, &mut plan);
    if inputs.options.strict {
        orphans(&connection, &mut plan)?;
    }
    hold_to_the_letter(inputs.options, &plan)?;
    Ok(plan)
}

const LEFT_OUT_BY_REQUEST: &str = "left out by --tables or --exclude";

/// Takes the tables that `--tables` does not name, and the tables and views that `--exclude`
/// names, out of the schema.
///
/// # Errors
/// A pattern that is none, or a name of `--tables` that matches nothing.
pub fn choose_tables(catalog: &mut Catalog, options: &Options) -> Result<Vec<LeftOut>> {
    let tables = patterns(&options.tables, "--tables")?;
    let exclude = patterns(&options.exclude, "--exclude")?;
    for pattern in &options.tables {
        let one = patterns(std::slice::from_ref(pattern), "--tables")?;
        if !catalog.schema.tables.iter().any(|table| one.is_match(&table.name)) {
            return Err(Error::usage(format!("--tables {pattern} matches no table of the source")));
        }
    }
    let mut left_out = Vec::new();
    let wanted =
        |name: &str| (tables.is_empty() || tables.is_match(name)) && !exclude.is_match(name);
    let mut kept = Vec::new();
    for table in std::mem::take(&mut catalog.schema.tables) {
        if wanted(&table.name) {
            kept.push(table);
        } else {
            left_out.push(LeftOut {
                kind: ObjectKind::Table,
                table: None,
                name: table.name,
                reason: LEFT_OUT_BY_REQUEST.to_owned(),
                definition: None,
                rows: None,
            });
        }
    }
    catalog.schema.tables = kept;
    for view in catalog.schema.views.extract_if(.., |view| exclude.is_match(&view.name)) {
        left_out.push(LeftOut {
            kind: ObjectKind::View,
            table: None,
            name: view.name,
            reason: LEFT_OUT_BY_REQUEST.to_owned(),
            definition: Some(view.definition),
            rows: None,
        });
    }
    Ok(left_out)
}

fn patterns(patterns: &[String], flag: &str) -> Result<GlobSet> {
    let invalid = |pattern: &str, error: &globset::Error| {
        Error::usage(format!("{flag} {pattern}: {}", error.kind()))
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // A slash in a table's name is a character like any other.
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        set.add(glob.map_err(|error| invalid(pattern, &error))?);
    }
    set.build().map_err(|error| invalid("", &error))
}

fn refuse_own_name(schema: &Schema) -> Result<()> {
    let taken = |name: &str| name.eq_ignore_ascii_case(crate::postgres::ledger::TABLE);
    if schema.tables.iter().any(|table| taken(&table.name)) {
        return Err(Error::refused("the source has a table named migrate_ledger")
            .caused_by("this program keeps its own records in the target under that name")
            .hint("leave it out with --exclude migrate_ledger"));
    }
    Ok(())
}

/// Refuses a target that is half loaded or holds what the plan would create.
fn look_at_target(
    inputs: &Inputs<'_>,
    client: &mut Client,
    existing: &[Existing],
    schema: &Schema,
) -> Result<()> {
    if inputs.options.drop_all {
        return Ok(());
    }
    if let Some(entries) = Ledger::entries(client, inputs.schema)?
        && let Some(entry) = entries.iter().find(|e| !e.state.is_some_and(|s| s.is_complete()))
    {
        return Err(Error::refused(format!(
            "schema {} of the target is half loaded",
            quote(inputs.schema)
        ))
        .caused_by(format!("an earlier run of {} did not come to its end", quote(&entry.data_set)))
        .hint("the same command with --drop-all throws it away and starts again"));
    }
    let tables = schema.tables.iter().map(|table| &table.name);
    let names = tables.chain(schema.views.iter().map(|view| &view.name)).cloned().collect();
    refuse_in_the_way(existing, &names, inputs.schema)
}

fn refuse_in_the_way(existing: &[Existing], names: &HashSet<String>, schema: &str) -> Result<()> {
    let found = target::in_the_way(existing, names);
    if found.is_empty() {
        return Ok(());
    }
    let mut list: Vec<String> =
        found.iter().take(10).map(|t| format!("{} {}", t.kind.word(), quote(&t.name))).collect();
    if found.len() > 10 {
        list.push(format!("and {} more", found.len() - 10));
    }
    Err(Error::refused(format!("schema {} of the target is not empty", quote(schema)))
        .caused_by(format!("it holds {}", list.join(", ")))
        .hint("--drop-all drops what is in the schema first"))
}

/// Takes out tables with more columns than PostgreSQL can hold, if the user lets us.
fn leave_out_wide_tables(
    connection: &Connection,
    schema: &mut Schema,
    options: &Options,
    left_out: &mut Vec<LeftOut>,
) -> Result<()> {
    let too_wide = |table: &crate::schema::Table| table.columns.len() > measure::MOST_COLUMNS;
    let Some(first) = schema.tables.iter().find(|table| too_wide(table)) else { return Ok(()) };
    if options.on_misfit == OnMisfit::Refuse {
        return Err(Error::refused(format!(
            "table {} has {} columns, and PostgreSQL holds at most 1,600",
            quote(&first.name),
            first.columns.len()
        ))
        .hint("leave it out with --exclude, or with --on-misfit widen"));
    }
    for table in schema.tables.extract_if(.., |table| too_wide(table)) {
        left_out.push(LeftOut {
            kind: ObjectKind::Table,
            table: None,
            reason: format!("{} columns; PostgreSQL holds at most 1,600", table.columns.len()),
            rows: Some(measure::rows(connection, &table)?),
            name: table.name,
            definition: None,
        });
    }
    Ok(())
}

/// How the tables of a schema are read.
#[must_use]
pub fn queries(encoding: TextEncoding, schema: &Schema) -> Vec<TableQuery> {
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
    inputs: &Inputs<'_>,
    queries: &[TableQuery],
    columns: &Columns,
) -> Result<Vec<TableProfile>> {
    let wanted: Vec<Wanted> = queries
        .iter()
        .enumerate()
        .map(|(place, query)| Wanted {
            query: query.clone(),
            columns: columns.of(place).iter().map(|column| column.wanted()).collect(),
        })
        .collect();
    let options = ProfileOptions {
        threads: inputs.sizes.readers,
        chunk_bytes: inputs.sizes.chunk_bytes,
        progress: inputs.progress.phase(Phase::Profile),
        stop: inputs.stop,
    };
    profile::profile(&|| inputs.source.connect(), &wanted, &options)
}

/// Rows that are left out of a table, by reason.
type Rejected = Vec<(String, Tally)>;

/// Refuses values that the target cannot hold, or leaves their rows out into the reject file.
/// Tables that cannot be held at all leave the schema where the user lets them.
fn misfits(
    inputs: &Inputs<'_>,
    connection: &Connection,
    catalog: &mut Catalog,
    queries: &[TableQuery],
    profiles: &[TableProfile],
    decisions: &[Vec<Decision>],
    left_out: &mut Vec<LeftOut>,
) -> Result<HashMap<String, Rejected>> {
    let schema = &mut catalog.schema;
    let mut found: Vec<ColumnMisfit> = Vec::new();
    let mut rejected: HashMap<String, Rejected> = HashMap::new();
    let mut reject_file = None;
    let mut gone = HashSet::new();
    for (place, table) in schema.tables.iter().enumerate() {
        let place_word = match queries[place].address {
            RowAddress::Integer { .. } => "rowid",
            _ => "row",
        };
        let unfit: Vec<ColumnMisfit> = table
            .columns
            .iter()
            .zip(&decisions[place])
            .flat_map(|(column, decision)| {
                decision.misfits.iter().map(|(misfit, tally)| ColumnMisfit {
                    table: table.name.clone(),
                    column: column.name.clone(),
                    place_word,
                    misfit: *misfit,
                    tally: tally.clone(),
                })
            })
            .collect();
        if unfit.is_empty() && !measure::may_be_too_wide(&decisions[place], &profiles[place]) {
            continue;
        }
        let layout = TupleLayout::new(decisions[place].iter().map(|d| d.cast).collect());
        let mut reasons: HashMap<(Option<usize>, Misfit), Tally> = HashMap::new();
        if let OnMisfit::Reject { file } = &inputs.options.on_misfit {
            if reject_file.is_none() {
                reject_file = Some(RejectFile::create(file)?);
            }
            if let Some(file) = &reject_file {
                file.add_table(table)?;
                measure::unsendable(
                    connection,
                    &queries[place],
                    &layout,
                    |at, column, misfit, row| {
                        reasons.entry((column, misfit)).or_default().add(at);
                        file.add(table, at, &reason(table, column, misfit), row)
                    },
                )?;
            }
            let mut list: Rejected = reasons
                .into_iter()
                .map(|((column, misfit), tally)| (reason(table, column, misfit), tally))
                .collect();
            list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            rejected.insert(table.name.clone(), list);
            continue;
        }
        found.extend(unfit.iter().cloned());
        if unfit.is_empty() {
            measure::unsendable(connection, &queries[place], &layout, |at, column, misfit, _| {
                reasons.entry((column, misfit)).or_default().add(at);
                Ok(())
            })?;
        }
        if let Some(tally) = reasons.remove(&(None, Misfit::RowTooWide)) {
            if inputs.options.on_misfit == OnMisfit::Widen {
                gone.insert(table.name.clone());
                left_out.push(LeftOut {
                    kind: ObjectKind::Table,
                    table: None,
                    name: table.name.clone(),
                    reason: format!("{}: {}", Misfit::RowTooWide, told(&tally)),
                    definition: None,
                    rows: Some(profiles[place].rows),
                });
            } else {
                found.push(ColumnMisfit {
                    table: table.name.clone(),
                    column: String::new(),
                    place_word,
                    misfit: Misfit::RowTooWide,
                    tally,
                });
            }
        }
    }
    if let Some(file) = reject_file {
        file.finish()?;
    }
    schema.tables.retain(|table| !gone.contains(&table.name));
    if found.is_empty() { Ok(rejected) } else { Err(refuse_misfits(&found)) }
}

fn refuse_misfits(found: &[ColumnMisfit]) -> Error {
    let total: u64 = found.iter().map(|misfit| misfit.tally.count).sum();
    let mut error =
        Error::refused(format!("{total} values cannot be held by PostgreSQL as they are"));
    for misfit in found.iter().take(20) {
        let column = if misfit.column.is_empty() {
            String::new()
        } else {
            format!(" column {}", quote(&misfit.column))
        };
        let places: Vec<String> = misfit.tally.places.iter().map(i64::to_string).collect();
        error = error.caused_by(format!(
            "table {}{column}: {} ({}; first at {} {})",
            quote(&misfit.table),
            misfit.misfit,
            misfit.tally.count,
            misfit.place_word,
            places.join(", ")
        ));
    }
    if found.len() > 20 {
        error = error.caused_by(format!("and {} more columns", found.len() - 20));
    }
    error
        .hint("mend the values in the source, or pin another type with --cast 'table.column=type'")
        .hint("--on-misfit widen keeps text that is no text as bytea")
        .hint("--on-misfit reject --reject-file FILE leaves such rows out, into FILE")
        .hint("--exclude TABLE leaves the table out")
}

/// A key that no index entry can hold would end the run after the rows are in.
fn refuse_wide_keys(
    schema: &Schema,
    too_wide: &HashMap<(usize, String), u64>,
    widen: bool,
) -> Result<()> {
    if widen {
        return Ok(());
    }
    for (place, table) in schema.tables.iter().enumerate() {
        for (number, key) in table.primary_key.iter().chain(&table.uniques).enumerate() {
            if let Some(width) = too_wide.get(&(place, key_label(number))) {
                let columns: Vec<String> = key.columns.iter().map(|c| quote(&c.name)).collect();
                return Err(Error::refused(format!(
                    "the key ({}) of table {} is too wide for an index of PostgreSQL",
                    columns.join(", "),
                    quote(&table.name)
                ))
                .caused_by(format!("its widest entry has {width} bytes; {WIDEST_ENTRY} fit"))
                .hint("--on-misfit widen builds the key over a hash of its values")
                .hint("--exclude leaves the table out"));
            }
        }
    }
    Ok(())
}

/// What is kept of the profile once tables that cannot be held are gone.
struct Kept {
    queries: Vec<TableQuery>,
    profiles: Vec<TableProfile>,
    decisions: Vec<Vec<Decision>>,
    rejected: Vec<Rejected>,
}

impl Kept {
    fn new(
        schema: &Schema,
        queries: &[TableQuery],
        profiles: Vec<TableProfile>,
        decisions: Vec<Vec<Decision>>,
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
}

fn assemble(kept: Kept, definitions: Vec<TableDefinition>, chunk_bytes: u64) -> Vec<PlannedTable> {
    let Kept { queries, profiles, rejected, .. } = kept;
    let mut tables = Vec::with_capacity(definitions.len());
    let parts = definitions.into_iter().zip(queries).zip(profiles).zip(rejected);
    for (((definition, query), mut profile), rejected) in parts {
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
        let counts = measure::broken_checks(connection, table)?;
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
        let tally = measure::orphans(connection, &plan.tables, key)?;
        if tally.count > 0 {
            plan.left_out.push(key.listed(&tally));
        }
    }
    Ok(())
}

/// Things in the target schema that have nothing to do with the run.
fn say_what_stays(existing: &[Existing], plan: &mut Plan) {
    if !plan.drops.is_empty() {
        return;
    }
    let others: Vec<String> = existing
        .iter()
        .filter(|thing| !thing.belongs)
        .map(|thing| format!("{} {}", thing.kind.word(), quote(&thing.name)))
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
        table.columns.iter().any(|column| column.collation == crate::schema::Collation::NoCase)
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
fn hold_to_the_letter(options: &Options, plan: &Plan) -> Result<()> {
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
                    && column.decision.needs_decision
                {
                    causes.push(format!(
                        "table {} column {}: {reason}",
                        quote(&table.name),
                        quote(&column.name)
                    ));
                }
            }
        }
        let by_request = |left: &&LeftOut| left.reason != LEFT_OUT_BY_REQUEST;
        for left in plan.left_out.iter().filter(by_request) {
            let of = left.table.as_ref().map_or_else(String::new, |t| format!(" of {}", quote(t)));
            causes.push(format!("{} {}{of}: {}", left.kind.word(), quote(&left.name), left.reason));
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

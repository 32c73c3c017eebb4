//! Making the plan: what is asked of the server, decided, defined and tried out, in this order.

use crate::codec::decode::field_decoder::FieldDecoder;
use crate::control::progress::{Phase, Progress};
use crate::control::sizing::Resources;
use crate::error::{Error, Result};
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::options::type_override::OverrideType;
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::column_types::check_casts;
use crate::plan::to_sqlite::column_types::{ColumnInput, MappingCandidate, proposals};
use crate::plan::to_sqlite::ddl;
use crate::plan::to_sqlite::ddl::Definitions;
use crate::plan::to_sqlite::dry_run;
use crate::plan::to_sqlite::key_ranges::{block_pieces, key_pieces};
use crate::plan::to_sqlite::preconditions;
use crate::plan::to_sqlite::value_checks;
use crate::plan::to_sqlite::value_checks::{ProbeResult, TableProbe};
use crate::plan::to_sqlite::{Plan, PlannedColumn, PlannedTable};
use crate::postgres::catalog::{Catalog, ColumnFacts, TableFacts};
use crate::postgres::copy_out::{Relation, Snapshot, TupleReader};
use crate::report::Dropped;
use crate::schema::names::{qualify, quote};
use crate::schema::{Column, Table};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

/// What a plan is made from.
pub(crate) struct PlanInputs<'a> {
    pub(crate) data_set: &'a str,
    pub(crate) schema: &'a str,
    pub(crate) options: &'a PlanOptions,
    pub(crate) resources: &'a Resources,
    pub(crate) progress: &'a Progress,
    pub(crate) stop: &'a AtomicBool,
    /// One more session in the snapshot.
    pub(crate) connect: &'a (dyn Fn() -> Result<TupleReader> + Sync),
    /// The tables that are in the target already.
    pub(crate) existing: &'a [String],
    /// What a run from SQLite kept of the types that it gave, by table and column.
    pub(crate) types: &'a Value,
}

/// Makes the plan from the catalog that the snapshot shows.
///
/// # Errors
/// Refused, with table, column, count, first places and mend, where something stands in the way.
pub(crate) fn build_plan(
    inputs: &PlanInputs<'_>,
    mut catalog: Catalog,
    snapshot: &mut Snapshot,
) -> Result<Plan> {
    let mut left_out = choose_tables(&mut catalog.schema, inputs.options)?;
    left_out.append(&mut catalog.schema.left_out);
    preconditions::refuse_hidden(&catalog)?;
    check_casts(&inputs.options.casts, &catalog.schema)?;
    preconditions::leave_out_bare(&mut catalog, &mut left_out);
    let asked = ask(inputs, &catalog)?;
    inputs.progress.enter(Phase::Plan);
    let decided = decide(inputs, &catalog, asked, snapshot)?;
    let mut definitions = Definitions::new(&catalog, &decided);
    let mut tables = Vec::with_capacity(decided.len());
    for (place, columns) in decided.iter().enumerate() {
        tables.push(definitions.table(place, &columns.columns));
    }
    left_out.append(&mut definitions.left_out);
    let mut notes = std::mem::take(&mut definitions.notes);
    dry_run::try_out(&mut tables, &mut left_out)?;
    let mut planned = Vec::with_capacity(tables.len());
    for ((definition, decided), table) in
        tables.into_iter().zip(decided).zip(&catalog.schema.tables)
    {
        let facts = &catalog.facts[&table.name];
        let relations = snapshot.relations(&qualify(inputs.schema, &table.name))?;
        planned.push(assemble(inputs.schema, table, facts, definition, decided, &relations));
    }
    if planned.iter().any(|table| table.columns.iter().any(|c| c.source_type.contains("citext"))) {
        notes.push("citext folds ASCII letters only in SQLite (COLLATE NOCASE)".to_owned());
    }
    let names: HashSet<String> =
        planned.iter().map(|table| table.ddl.name.to_ascii_lowercase()).collect();
    let drops = inputs.existing.iter().map(|name| Dropped {
        kind: "table".to_owned(),
        name: name.clone(),
        comes_back: names.contains(&name.to_ascii_lowercase()),
    });
    let plan = Plan {
        data_set: inputs.data_set.to_owned(),
        tables: planned,
        left_out,
        notes,
        drops: drops.collect(),
    };
    preconditions::enforce_strict(inputs.options, &plan)?;
    Ok(plan)
}

/// What was decided about one table.
pub(crate) struct DecidedTable {
    pub(crate) columns: Vec<PlannedColumn>,
    answer: ProbeResult,
}

type Asked = (Vec<Vec<(String, Vec<MappingCandidate>)>>, Vec<ProbeResult>);

fn ask(inputs: &PlanInputs<'_>, catalog: &Catalog) -> Result<Asked> {
    let mut all = Vec::with_capacity(catalog.schema.tables.len());
    for table in &catalog.schema.tables {
        let facts = &catalog.facts[&table.name];
        let mut columns = Vec::with_capacity(table.columns.len());
        for (column, column_facts) in table.columns.iter().zip(&facts.columns) {
            let pin = inputs
                .options
                .casts
                .iter()
                .find(|cast| cast.table == table.name && cast.column == column.name);
            let of = |facts: &Value, name: &str| {
                facts["name"].as_str().map_or_else(|| name.to_owned(), str::to_owned)
            };
            let kept = &inputs.types[of(&facts.origin, &table.name)]
                [of(&column_facts.origin, &column.name)];
            let kept = kept.as_str().and_then(|text| OverrideType::parse(text).ok());
            let given = ColumnInput {
                column,
                facts: column_facts,
                strict: facts.origin["strict"].as_bool().unwrap_or(false),
                epoch: kept.and_then(|kept| kept.epoch),
                pin: pin.map(|pin| &pin.to),
            };
            columns.push((column.name.clone(), proposals(&given)?));
        }
        all.push(columns);
    }
    inputs.progress.enter(Phase::Profile);
    let questions: Vec<TableProbe<'_>> = catalog
        .schema
        .tables
        .iter()
        .zip(&all)
        .map(|(table, columns)| {
            let facts = &catalog.facts[&table.name];
            TableProbe {
                name: &table.name,
                from: from(inputs.schema, table, facts),
                key: integer_key(table, facts).map(str::to_owned),
                width: width(table, facts),
                columns,
            }
        })
        .collect();
    let answers =
        value_checks::ask(&questions, inputs.connect, inputs.resources.readers, inputs.stop)?;
    drop(questions);
    Ok((all, answers))
}

/// The bytes of a row, where values are stored apart: of text and bytea as they arrive, which the
/// server knows without unpacking them, of others as they are stored.
fn width(table: &Table, facts: &TableFacts) -> Option<String> {
    if facts.bytes_apart == 0 {
        return None;
    }
    let of_column = |(column, facts): (&Column, &ColumnFacts)| {
        let function = match facts.base.as_str() {
            "text" | "varchar" | "bytea" => "octet_length",
            _ => "pg_column_size",
        };
        format!("coalesce(pg_catalog.{function}({}), 0)::bigint", quote(&column.name))
    };
    let widths: Vec<String> = table.columns.iter().zip(&facts.columns).map(of_column).collect();
    Some(widths.join(" + "))
}

/// What the rows of a table are selected from: its own only, unless they lie in partitions.
fn from(schema: &str, table: &Table, facts: &TableFacts) -> String {
    let only = if facts.partitioned { "" } else { "ONLY " };
    format!("{only}{}", qualify(schema, &table.name))
}

/// The only column of the primary key, where that is an integer.
pub(crate) fn integer_key<'a>(table: &'a Table, facts: &TableFacts) -> Option<&'a str> {
    let [key] = table.primary_key.as_ref()?.columns.as_slice() else { return None };
    let place = table.columns.iter().position(|column| column.name == key.name)?;
    let base = facts.columns.get(place)?.base.as_str();
    matches!(base, "int2" | "int4" | "int8").then_some(key.name.as_str())
}

/// Takes the first proposal of each column that can take all of its values.
fn decide(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    (all, answers): Asked,
    snapshot: &mut Snapshot,
) -> Result<Vec<DecidedTable>> {
    let widen = inputs.options.on_misfit == OnMisfit::Widen;
    let mut misfits = Vec::new();
    let mut decided = Vec::new();
    for ((table, columns), answer) in catalog.schema.tables.iter().zip(all).zip(answers) {
        let mut planned = Vec::with_capacity(columns.len());
        for (place, ((name, proposals), refused)) in
            columns.into_iter().zip(&answer.refused).enumerate()
        {
            let mut taken = None;
            let mut fell = false;
            for (proposal, refused) in proposals.into_iter().zip(refused) {
                if *refused == 0 {
                    taken = Some(proposal);
                    break;
                }
                if proposal.strict && !widen {
                    let facts = &catalog.facts[&table.name];
                    let from = from(inputs.schema, table, facts);
                    misfits.push(preconditions::misfit(
                        snapshot.client(),
                        (&table.name, &name),
                        (&from, integer_key(table, facts)),
                        &proposal,
                        *refused,
                    )?);
                }
                fell = true;
            }
            // A column whose every proposal was refused has a misfit; the run ends below.
            let Some(mut proposal) = taken else { continue };
            let zeros = if proposal.zeros { answer.zeros[place] } else { 0 };
            if zeros > 0 {
                let base = &catalog.facts[&table.name].columns[place].base;
                proposal.read = Some(format!("({} + 0::pg_catalog.{base})", quote(&name)));
            }
            planned.push(PlannedColumn {
                source_type: table.columns[place].declared.clone(),
                target: String::new(),
                needs_review: fell && proposal.declared != "DECIMAL_TEXT",
                name,
                proposal,
                zeros,
            });
        }
        decided.push(DecidedTable { columns: planned, answer });
    }
    if misfits.is_empty() {
        return Ok(decided);
    }
    let error = Error::refused("SQLite cannot hold every value");
    let error = misfits.into_iter().take(50).fold(error, Error::caused_by);
    Err(error
        .hint("--on-misfit widen makes such columns TEXT, as the server prints their values")
        .hint("--exclude TABLE leaves a table out"))
}

fn assemble(
    schema: &str,
    table: &Table,
    facts: &TableFacts,
    definition: ddl::TableDefinition,
    decided: DecidedTable,
    relations: &[Relation],
) -> PlannedTable {
    let DecidedTable { mut columns, answer } = decided;
    for (column, ddl) in columns.iter_mut().zip(&definition.ddl.columns) {
        column.target.clone_from(&ddl.name);
    }
    let sent: Vec<&PlannedColumn> = columns
        .iter()
        .zip(&definition.ddl.columns)
        .filter(|(_, ddl)| ddl.generated.is_none())
        .map(|(column, _)| column)
        .collect();
    let list: Vec<String> = sent.iter().map(|column| column.read()).collect();
    let select = format!("SELECT {} FROM ", list.join(", "));
    let key: Vec<String> = table
        .primary_key
        .iter()
        .flat_map(|key| key.columns.iter().map(|column| column.name.clone()))
        .collect();
    let order = || {
        let term = |name: &String| {
            let text = columns.iter().any(|c| {
                c.name == *name
                    && c.proposal.read.is_none()
                    && c.proposal.wire == FieldDecoder::Text
            });
            let bytes = if text { " COLLATE \"C\"" } else { "" };
            format!("{}{bytes}", quote(name))
        };
        key.iter().map(term).collect::<Vec<_>>().join(", ")
    };
    let pieces = match (integer_key(table, facts), answer.range) {
        (Some(column), Some(range)) => {
            key_pieces(&select, &from(schema, table, facts), column, range, facts.bytes)
        }
        // In the order of the key, so that its index grows at its end.
        _ if !key.is_empty() => {
            vec![format!("{select}{} ORDER BY {}", from(schema, table, facts), order())]
        }
        _ => relations.iter().flat_map(|relation| block_pieces(&select, relation)).collect(),
    };
    PlannedTable {
        name: table.name.clone(),
        qualified: qualify(schema, &table.name),
        pieces,
        rows: answer.rows,
        bytes: facts.bytes,
        widest: answer.widest,
        key,
        sequence: definition.sequence,
        not_valid: definition.not_valid,
        indexes: definition.indexes,
        ddl: definition.ddl,
        columns,
    }
}

//! The type of each column, decided from what the server counts of its values.

use crate::codec::encoding::Encoding;
use crate::control::progress::Phase;
use crate::error::{Error, Result};
use crate::options::plan_options::OnMisfit;
use crate::plan::to_sqlite::column_types::{self, ColumnInput, MappingCandidate};
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::plan::to_sqlite::names::original_name;
use crate::plan::to_sqlite::preconditions;
use crate::plan::to_sqlite::source_queries::{integer_key, row_width};
use crate::plan::to_sqlite::value_checks::{self, ProbeResult, TableProbe};
use crate::postgres::catalog::large_objects::LargeObjects;
use crate::postgres::catalog::model::{Catalog, ColumnFacts, TableFacts};
use crate::postgres::copy_out::Snapshot;
use crate::postgres::relation::StoredTable;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::schema::{Column, Table};
use crate::sqlite::sql::from_postgres::node::Kind;

/// Misfits that a refusal lists.
const MAX_CAUSES: usize = 50;

/// The candidates for the columns of one table, with the columns' names.
pub(crate) type Candidates = Vec<(String, Vec<MappingCandidate>)>;

/// The decisions about one table.
pub(crate) struct TableDecision {
    pub(crate) columns: Vec<ColumnDecision>,
    /// What the server counted.
    pub(crate) probe: ProbeResult,
}

/// The decision about one column.
pub(crate) struct ColumnDecision {
    /// How its values are converted.
    pub(crate) mapping: MappingCandidate,
    /// Its negative zeros, which SQLite stores as zeros.
    pub(crate) negative_zeros: u64,
    /// Its type is not the first candidate, and the user should review that.
    pub(crate) needs_review: bool,
    /// The SQL of its default, or why SQLite cannot have it, if the default is a constant.
    pub(crate) default: Option<Result<String, Reason>>,
}

/// The candidates for all columns, by table.
pub(crate) fn candidates(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    large: &LargeObjects,
) -> Result<Vec<Candidates>> {
    let of_table = |table: &Table| -> Result<Candidates> {
        let facts = &catalog.facts[&table.name];
        let columns = table.columns.iter().zip(&facts.columns);
        let of_column = |(column, column_facts): (&Column, &ColumnFacts)| {
            let mut candidates = column_candidates(inputs, (table, facts), (column, column_facts))?;
            if large.columns.iter().any(|l| (&l.table, &l.column) == (&table.name, &column.name)) {
                candidates = candidates.into_iter().map(|one| content(&column.name, one)).collect();
            }
            Ok((column.name.clone(), candidates))
        };
        columns.map(of_column).collect()
    };
    catalog.schema.tables.iter().map(of_table).collect()
}

/// The content of the large objects to which a column refers, instead of their numbers.
fn content(column: &str, numbers: MappingCandidate) -> MappingCandidate {
    let oid = preconditions::oid_of(column);
    let read = format!(
        "CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = {oid}) \
         THEN pg_catalog.lo_get({oid}) END"
    );
    MappingCandidate {
        declared: "BLOB".to_owned(),
        encoding: ColumnType::Bytea.into(),
        read: Some(read),
        kind: Kind::Blob,
        numeric_text: None,
        ..numbers
    }
}

fn column_candidates(
    inputs: &PlanInputs<'_>,
    (table, facts): (&Table, &TableFacts),
    (column, column_facts): (&Column, &ColumnFacts),
) -> Result<Vec<MappingCandidate>> {
    let is_its = |name: &str, of: &str| name == column.name && of == table.name;
    let casts = &inputs.options.casts;
    let pin = casts.iter().find(|cast| is_its(&cast.column, &cast.table));
    let earlier = &inputs.types[original_name(&facts.origin, &table.name)]
        [original_name(&column_facts.origin, &column.name)];
    let earlier = earlier.as_str().and_then(|text| Encoding::parse(text).ok());
    column_types::candidates(&ColumnInput {
        column,
        facts: column_facts,
        strict: facts.origin["strict"].as_bool().unwrap_or(false),
        epoch: earlier.and_then(|earlier| earlier.epoch()),
        fixed: pin.map(|fixed| &fixed.to),
    })
}

/// Lets the server count, for each table, the values that each candidate cannot hold.
pub(crate) fn probe(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    stored: &[StoredTable],
    candidates: &[Candidates],
) -> Result<Vec<ProbeResult>> {
    inputs.control.progress.enter(Phase::Profile);
    let tables = catalog.schema.tables.iter().zip(stored).zip(candidates);
    let probes: Vec<TableProbe<'_>> = tables
        .map(|((table, stored), columns)| {
            let facts = &catalog.facts[&table.name];
            TableProbe {
                name: &table.name,
                from: stored.from.clone(),
                key: integer_key(table, facts).map(str::to_owned),
                width: row_width(table, facts, stored),
                columns,
            }
        })
        .collect();
    value_checks::ask(&probes, inputs.connect, inputs.resources.readers, &inputs.control.cancel)
}

/// Takes the first candidate of each column that holds all of its values.
pub(crate) fn decide(
    inputs: &PlanInputs<'_>,
    (catalog, stored): (&Catalog, &[StoredTable]),
    candidates: Vec<Candidates>,
    probes: Vec<ProbeResult>,
    snapshot: &mut Snapshot,
) -> Result<Vec<TableDecision>> {
    let widen = inputs.options.on_misfit == OnMisfit::Widen;
    let mut misfits = Vec::new();
    let mut decisions = Vec::new();
    let tables = catalog.schema.tables.iter().zip(stored);
    for (((table, stored), columns), probe) in tables.zip(candidates).zip(probes) {
        let facts = &catalog.facts[&table.name];
        let mut decided = Vec::with_capacity(columns.len());
        for (index, (name, candidates)) in columns.into_iter().enumerate() {
            let refused = &probe.refused[index];
            let taken = refused.iter().take_while(|refused| **refused > 0).count();
            for (candidate, refused) in candidates.iter().zip(refused).take(taken) {
                if candidate.fallback_needs_consent && !widen {
                    misfits.push(preconditions::misfit(
                        snapshot.client(),
                        (&table.name, &name),
                        (&stored.from, integer_key(table, facts)),
                        candidate,
                        *refused,
                    )?);
                }
            }
            // A column without a candidate has misfits, which refuse the run below.
            let Some(mut mapping) = candidates.into_iter().nth(taken) else { continue };
            let negative_zeros = if mapping.negative_zero { probe.zeros[index] } else { 0 };
            if negative_zeros > 0 {
                let base = &facts.columns[index].base;
                mapping.read = Some(format!("({} + 0::pg_catalog.{base})", quote(&name)));
            }
            let needs_review = taken > 0 && mapping.declared != "DECIMAL_TEXT";
            decided.push(ColumnDecision { mapping, negative_zeros, needs_review, default: None });
        }
        decisions.push(TableDecision { columns: decided, probe });
    }
    if misfits.is_empty() { Ok(decisions) } else { Err(refuse(misfits)) }
}

fn refuse(misfits: Vec<String>) -> Error {
    let error = Error::refused("SQLite cannot hold every value");
    let error = misfits.into_iter().take(MAX_CAUSES).fold(error, Error::caused_by);
    error
        .remedy("store such columns as TEXT, as the server prints them", &["--on-misfit=widen"])
        .hint("--exclude TABLE excludes a table")
}

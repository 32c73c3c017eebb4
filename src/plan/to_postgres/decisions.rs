//! The type of each column, decided from a profile of the stored values, and what happens to rows
//! and keys that PostgreSQL cannot hold.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::options::plan_options::OnMisfit;
use crate::plan::to_postgres::broken_constraints::IndexDamage;
use crate::plan::to_postgres::column_types::{Columns, TableDecision};
use crate::plan::to_postgres::inputs::PlanInputs;
use crate::plan::to_postgres::source_checks::TooWide;
use crate::plan::to_postgres::{misfits, source_checks};
use crate::schema::{RowAddress, Schema};
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::profile::scan::{self, ProfileOptions};
use crate::sqlite::read::profile::table::{TableProfile, TableProfileSpec};
use crate::sqlite::read::profile::unique::UniqueIndexSpec;
use crate::sqlite::read::query::{TableQuery, TextEncoding};
use crate::sqlite::source::connection::SourceConnection;
use std::collections::HashMap;

/// What was found and decided.
pub(crate) struct Decisions {
    pub(crate) tables: Vec<TableDecision>,
    /// Index and key entries that no index can hold.
    pub(crate) too_wide: TooWide,
    /// Unique indexes and keys of the source that are damaged, by table and label.
    pub(crate) damage: HashMap<(usize, String), IndexDamage>,
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

/// Profiles the stored values of all tables.
pub(crate) fn profile(
    inputs: &PlanInputs<'_>,
    catalog: &Catalog,
    queries: &[TableQuery],
    columns: &Columns,
) -> Result<Vec<TableProfile>> {
    inputs.control.progress.enter(Phase::Profile);
    let specs: Vec<TableProfileSpec> = queries
        .iter()
        .enumerate()
        .map(|(index, query)| TableProfileSpec {
            query: query.clone(),
            columns: columns.of(index).iter().map(|column| column.profile_spec()).collect(),
            unique: catalog.facts.get(&query.table).map_or_else(Vec::new, |facts| {
                let indexes = facts.unique_indexes.iter();
                indexes.map(|index| UniqueIndexSpec::new(index, query)).collect()
            }),
        })
        .collect();
    let options = ProfileOptions {
        threads: inputs.resources.readers,
        chunk_bytes: inputs.resources.chunk_bytes,
        progress: inputs.control.progress.phase(Phase::Profile),
        cancel: &inputs.control.cancel,
    };
    scan::profile(&|| inputs.source.connect_to_pages(), &specs, &options)
}

/// Decides all types. Refused: values, rows or keys do not fit; or the source cannot be read.
pub(crate) fn decide(
    inputs: &PlanInputs<'_>,
    connection: &SourceConnection,
    schema: &Schema,
    columns: &Columns,
    damage: HashMap<(usize, String), IndexDamage>,
    (queries, profiles): (Vec<TableQuery>, Vec<TableProfile>),
) -> Result<Decisions> {
    let on_misfit = &inputs.options.on_misfit;
    let widen = *on_misfit == OnMisfit::Widen;
    let mut tables = columns.decide(queries, profiles, widen);
    let utf16 = tables.first().is_some_and(|table| table.query.encoding != TextEncoding::Utf8);
    let too_wide = source_checks::too_wide(connection, schema, &tables, utf16)?;
    let wide = misfits::with_wide_keys(schema, &too_wide);
    let skipped = misfits::resolve(on_misfit, connection, schema, &mut tables, &wide)?;
    misfits::refuse_merged_keys(connection, schema, &tables)?;
    misfits::refuse_wide_keys(schema, &too_wide, widen, &skipped)?;
    Ok(Decisions { tables, too_wide, damage })
}

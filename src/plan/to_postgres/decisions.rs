//! The type of each column, decided from a profile of the stored values, and what happens to rows
//! and keys that PostgreSQL cannot hold.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::options::plan_options::OnMisfit;
use crate::plan::to_postgres::column_types::Columns;
use crate::plan::to_postgres::inputs::PlanInputs;
use crate::plan::to_postgres::misfits::{self, Rejected};
use crate::plan::to_postgres::source_checks;
use crate::plan::to_postgres::type_rules::TypeDecision;
use crate::schema::{LeftOut, RowAddress, Schema};
use crate::sqlite::read::profile::scan::{self, ProfileOptions};
use crate::sqlite::read::profile::table::{TableProfile, TableProfileSpec};
use crate::sqlite::read::query::{TableQuery, TextEncoding};
use crate::sqlite::source::connection::SourceConnection;
use std::collections::{HashMap, HashSet};

/// What was found and decided, by table.
#[derive(Default)]
pub(crate) struct Decisions {
    /// How the tables are read.
    pub(crate) queries: Vec<TableQuery>,
    /// The profiles of their values.
    pub(crate) profiles: Vec<TableProfile>,
    /// The types of their columns.
    pub(crate) types: Vec<Vec<TypeDecision>>,
    /// Rows that go to the reject file.
    pub(crate) rejected: Vec<Rejected>,
    /// Widths of index and key entries that no index can hold, by table and label.
    pub(crate) too_wide: HashMap<(usize, String), u64>,
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
    queries: &[TableQuery],
    columns: &Columns,
) -> Result<Vec<TableProfile>> {
    inputs.progress.enter(Phase::Profile);
    let specs: Vec<TableProfileSpec> = queries
        .iter()
        .enumerate()
        .map(|(index, query)| TableProfileSpec {
            query: query.clone(),
            columns: columns.of(index).iter().map(|column| column.profile_spec()).collect(),
        })
        .collect();
    let options = ProfileOptions {
        threads: inputs.resources.readers,
        chunk_bytes: inputs.resources.chunk_bytes,
        progress: inputs.progress.phase(Phase::Profile),
        cancel: inputs.cancel,
    };
    scan::profile(&|| inputs.source.connect_to_pages(), &specs, &options)
}

/// Decides all types. Tables that PostgreSQL cannot hold leave `schema` where the user allows it.
/// Refused: values, rows or keys do not fit; or the source cannot be read.
pub(crate) fn decide(
    inputs: &PlanInputs<'_>,
    connection: &SourceConnection,
    schema: &mut Schema,
    columns: &Columns,
    (queries, profiles): (Vec<TableQuery>, Vec<TableProfile>),
    left_out: &mut Vec<LeftOut>,
) -> Result<Decisions> {
    let on_misfit = &inputs.options.on_misfit;
    let widen = *on_misfit == OnMisfit::Widen;
    let types = columns.decide(&profiles, widen);
    let rejected =
        misfits::resolve(on_misfit, connection, schema, &queries, &profiles, &types, left_out)?;
    let utf16 = queries.first().is_some_and(|query| query.encoding != TextEncoding::Utf8);
    let mut decisions = Decisions::of_remaining(schema, queries, profiles, types, rejected);
    misfits::refuse_merged_keys(connection, schema, &decisions.types)?;
    decisions.too_wide = source_checks::too_wide(connection, schema, &decisions.profiles, utf16)?;
    misfits::refuse_wide_keys(schema, &decisions.too_wide, widen)?;
    Ok(decisions)
}

impl Decisions {
    /// The decisions about the tables that `schema` still has.
    fn of_remaining(
        schema: &Schema,
        queries: Vec<TableQuery>,
        profiles: Vec<TableProfile>,
        types: Vec<Vec<TypeDecision>>,
        mut rejected: HashMap<String, Rejected>,
    ) -> Self {
        let mut remaining = Self::default();
        let names: HashSet<&str> = schema.tables.iter().map(|table| table.name.as_str()).collect();
        for ((query, profile), types) in queries.into_iter().zip(profiles).zip(types) {
            if names.contains(query.table.as_str()) {
                remaining.rejected.push(rejected.remove(&query.table).unwrap_or_default());
                remaining.queries.push(query);
                remaining.profiles.push(profile);
                remaining.types.push(types);
            }
        }
        remaining
    }

    /// By table: all its columns must be sent, because the values decide which rows fit. These are
    /// the tables with rejected rows, and those whose rows may be too wide for a page.
    pub(crate) fn sent_whole(&self) -> Vec<bool> {
        let tables = self.types.iter().zip(&self.profiles).zip(&self.rejected);
        let is_whole = |((types, profile), rejected): ((&Vec<TypeDecision>, _), &Rejected)| {
            !rejected.is_empty() || source_checks::may_be_too_wide(types, profile)
        };
        tables.map(is_whole).collect()
    }
}

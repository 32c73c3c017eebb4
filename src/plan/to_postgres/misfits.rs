//! Misfits: values, rows and keys that the target cannot hold.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::fidelity::Misfit;
use crate::error::{Error, Result};
use crate::options::plan_options::OnMisfit;
use crate::plan::to_postgres::column_types::ColumnMisfit;
use crate::plan::to_postgres::reject::reason;
use crate::plan::to_postgres::source_checks::{self, MAX_ENTRY, key_label};
use crate::plan::to_postgres::type_rules::{TypeDecision, count_of, format_tally};
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::schema::{Column, IndexOver, LeftOut, ObjectKind, RowAddress, Schema, Table};
use crate::sqlite::read::profile::column::Tally;
use crate::sqlite::read::profile::table::TableProfile;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::connection::SourceConnection;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};

/// The skipped rows of a table, by reason.
pub(crate) type Rejected = Vec<(String, Tally)>;

/// Refuses values that the target cannot hold, or skips their rows. With `--on-misfit widen`,
/// tables with rows that are too wide are removed from the schema. Refused, with table, column,
/// count and first rows; or the source cannot be read.
pub(crate) fn resolve(
    on_misfit: &OnMisfit,
    connection: &SourceConnection,
    schema: &mut Schema,
    queries: &[TableQuery],
    profiles: &[TableProfile],
    decisions: &[Vec<TypeDecision>],
    left_out: &mut Vec<LeftOut>,
) -> Result<HashMap<String, Rejected>> {
    let mut found: Vec<ColumnMisfit> = Vec::new();
    let mut rejected: HashMap<String, Rejected> = HashMap::new();
    let mut removed = HashSet::new();
    for (index, table) in schema.tables.iter().enumerate() {
        let (query, decisions) = (&queries[index], &decisions[index]);
        let unfit = column_misfits(table, query, decisions);
        if unfit.is_empty() && !source_checks::may_be_too_wide(decisions, &profiles[index]) {
            continue;
        }
        if unfit.is_empty() || matches!(on_misfit, OnMisfit::Reject { .. }) {
            let layout = TupleLayout::new(decisions.iter().map(|d| d.encoder).collect());
            let rows = tally(connection, table, query, &layout)?;
            match on_misfit {
                OnMisfit::Reject { .. } if !rows.is_empty() => {
                    rejected.insert(table.name.clone(), rows);
                }
                OnMisfit::Widen if !rows.is_empty() => {
                    removed.insert(table.name.clone());
                    let reasons = rows.iter();
                    let reason: String =
                        reasons.map(|(why, t)| format!("{why} ({})", format_tally(t))).collect();
                    let listed = LeftOut::object(ObjectKind::Table, &table.name, None);
                    let rows = Some(profiles[index].rows);
                    left_out.push(LeftOut { rows, ..listed.because(reason) });
                }
                _ => found.extend(rows.into_iter().map(|(_, tally)| ColumnMisfit {
                    table: table.name.clone(),
                    column: String::new(),
                    row_word: row_word(query),
                    misfit: Misfit::RowTooWide,
                    tally,
                })),
            }
        } else {
            found.extend(unfit);
        }
    }
    schema.tables.retain(|table| !removed.contains(&table.name));
    if found.is_empty() { Ok(rejected) } else { Err(refuse_misfits(&found)) }
}

fn row_word(query: &TableQuery) -> &'static str {
    if matches!(query.address, RowAddress::Integer { .. }) { "rowid" } else { "row" }
}

/// The misfits that the profile found.
fn column_misfits(
    table: &Table,
    query: &TableQuery,
    decisions: &[TypeDecision],
) -> Vec<ColumnMisfit> {
    let of_column = |(column, decision): (&Column, &TypeDecision)| {
        let of_reason = |(misfit, tally): &(Misfit, Tally)| ColumnMisfit {
            table: table.name.clone(),
            column: column.name.clone(),
            row_word: row_word(query),
            misfit: *misfit,
            tally: tally.clone(),
        };
        decision.misfits.iter().map(of_reason).collect::<Vec<_>>()
    };
    table.columns.iter().zip(decisions).flat_map(of_column).collect()
}

/// The rows of a table that cannot be encoded, by reason.
fn tally(
    connection: &SourceConnection,
    table: &Table,
    query: &TableQuery,
    layout: &TupleLayout,
) -> Result<Rejected> {
    let mut reasons: HashMap<(Option<usize>, Misfit), Tally> = HashMap::new();
    source_checks::unsendable(connection, query, layout, |at, column, misfit, _| {
        reasons.entry((column, misfit)).or_default().add(at);
        Ok(())
    })?;
    let mut list: Rejected = reasons
        .into_iter()
        .map(|((column, misfit), tally)| {
            let name = column.map(|index| table.columns[index].name.as_str());
            (reason(name, misfit), tally)
        })
        .collect();
    list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(list)
}

fn refuse_misfits(found: &[ColumnMisfit]) -> Error {
    let total: u64 = found.iter().map(|misfit| misfit.tally.count).sum();
    let mut error = Error::refused(format!("PostgreSQL cannot hold {}", count_of(total, "value")));
    for misfit in found.iter().take(20) {
        let column = if misfit.column.is_empty() {
            String::new()
        } else {
            format!(" column {}", quote(&misfit.column))
        };
        let rows: Vec<String> = misfit.tally.first_rows.iter().map(i64::to_string).collect();
        error = error.caused_by(format!(
            "table {}{column}: {} ({}, first at {} {})",
            quote(&misfit.table),
            misfit.misfit,
            count_of(misfit.tally.count, "value"),
            misfit.row_word,
            rows.join(", ")
        ));
    }
    if found.len() > 20 {
        error =
            error.caused_by(format!("and {}", count_of(found.len() as u64 - 20, "more column")));
    }
    let mut tables: Vec<&str> = found.iter().map(|misfit| misfit.table.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    error
        .hint(
            "fix the values in the source, or choose another type with --cast 'table.column=type'",
        )
        .remedy("store invalid text as bytea", &["--on-misfit=widen"])
        .remedy(
            "skip such rows and write them to rejected-rows.db",
            &["--on-misfit=reject", "--reject-file=rejected-rows.db"],
        )
        .remedy_exclude(&tables)
}

/// Refuses keys that no index entry can hold, which would fail after the rows are copied.
pub(crate) fn refuse_wide_keys(
    schema: &Schema,
    too_wide: &HashMap<(usize, String), u64>,
    widen: bool,
) -> Result<()> {
    if widen {
        return Ok(());
    }
    for (index, table) in schema.tables.iter().enumerate() {
        for (number, key) in table.primary_key.iter().chain(&table.uniques).enumerate() {
            if let Some(width) = too_wide.get(&(index, key_label(number))) {
                let columns: Vec<String> = key.columns.iter().map(|c| quote(&c.name)).collect();
                return Err(Error::refused(format!(
                    "the key ({}) of table {} is too wide for a PostgreSQL index",
                    columns.join(", "),
                    quote(&table.name)
                ))
                .caused_by(format!(
                    "the widest entry has {width} bytes; the maximum is {MAX_ENTRY}"
                ))
                .remedy("build the key over a hash of its values", &["--on-misfit=widen"])
                .remedy_exclude(&[&table.name]));
            }
        }
    }
    Ok(())
}

/// Refuses keys in which values that differ in the source would be equal in the target: numbers and
/// texts, or texts and blobs, in one type; different spellings in a type that the user chose.
/// Refused, naming the key; or the source cannot be read.
pub(crate) fn refuse_merged_keys(
    connection: &Connection,
    schema: &Schema,
    decisions: &[Vec<TypeDecision>],
) -> Result<()> {
    for (table, decisions) in schema.tables.iter().zip(decisions) {
        for key in keys(table) {
            let mut merged = false;
            let mut terms = Vec::with_capacity(key.len());
            for name in &key {
                let index = table.columns.iter().position(|column| column.name == **name);
                let decision = index.map(|index| &decisions[index]);
                let converts = decision.is_some_and(|d| !d.conversions.is_empty());
                let has_type = decision.is_some_and(|d| {
                    !matches!(d.column_type(), ColumnType::Text | ColumnType::Bytea)
                });
                if converts && has_type {
                    return Err(merged_key(table, &key)
                        .caused_by("values of its columns would be converted"));
                }
                merged |= converts;
                let column = quote(name);
                terms.push(if converts { format!("CAST({column} AS BLOB)") } else { column });
            }
            if merged && source_checks::has_duplicates(connection, table, &key, &terms)? {
                return Err(merged_key(table, &key)
                    .caused_by("values that differ only in their storage class would be equal"));
            }
        }
    }
    Ok(())
}

/// The columns of each key and unique index that is over plain columns and all rows.
fn keys(table: &Table) -> Vec<Vec<&String>> {
    let constraints = table.primary_key.iter().chain(&table.uniques);
    let mut keys: Vec<Vec<&String>> =
        constraints.map(|key| key.columns.iter().map(|column| &column.name).collect()).collect();
    for index in table.indexes.iter().filter(|index| index.unique && index.filter.is_none()) {
        let columns: Option<Vec<&String>> = index
            .terms
            .iter()
            .map(|term| match &term.over {
                IndexOver::Column(name) => Some(name),
                IndexOver::Expression(_) => None,
            })
            .collect();
        keys.extend(columns);
    }
    keys
}

fn merged_key(table: &Table, key: &[&String]) -> Error {
    let columns: Vec<String> = key.iter().map(|name| quote(name)).collect();
    Error::refused(format!(
        "the key ({}) of table {} would not be unique in PostgreSQL",
        columns.join(", "),
        quote(&table.name)
    ))
    .hint("fix the values in the source, or choose another type with --cast 'table.column=type'")
    .remedy_exclude(&[&table.name])
}

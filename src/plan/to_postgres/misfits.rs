//! Misfits: values, rows and keys that the target cannot hold.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::fidelity::Misfit;
use crate::error::{Error, Result, plural};
use crate::options::plan_options::OnMisfit;
use crate::plan::to_postgres::column_types::TableDecision;
use crate::plan::to_postgres::reject::reason;
use crate::plan::to_postgres::source_checks::{self, INTERVAL_LENGTH, MAX_ENTRY, key_label};
use crate::plan::to_postgres::type_rules::{first_rows, format_tally};
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind, RowAddress, Schema, Table};
use crate::sqlite::read::profile::column::Tally;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::connection::SourceConnection;
use rusqlite::Connection;
use std::collections::{HashMap, HashSet};

/// The values of one column, or the rows of a table, that the target cannot hold.
struct Unfit {
    table: String,
    misfit: Misfit,
    count: u64,
    text: String,
}

impl Unfit {
    fn new(decision: &TableDecision, column: Option<&str>, misfit: Misfit, tally: &Tally) -> Self {
        let TableQuery { table, address, .. } = &decision.query;
        let row = if matches!(address, RowAddress::Integer { .. }) { "rowid" } else { "row" };
        let column = column.map_or_else(String::new, |name| format!(" column {}", quote(name)));
        let (values, first) = (plural(tally.count, "value", "values"), first_rows(tally));
        let text =
            format!("table {}{column}: {misfit} ({values}, first at {row} {first})", quote(table));
        Self { table: table.clone(), misfit, count: tally.count, text }
    }
}

/// Refuses values that the target cannot hold, or skips their rows. With `--on-misfit widen`,
/// tables with rows that are too wide are removed from the schema. Refused, with table, column,
/// count and first rows; or the source cannot be read.
pub(crate) fn resolve(
    on_misfit: &OnMisfit,
    connection: &SourceConnection,
    schema: &mut Schema,
    decisions: &mut Vec<TableDecision>,
    left_out: &mut Vec<LeftOut>,
) -> Result<()> {
    let mut found: Vec<Unfit> = Vec::new();
    let mut removed = HashSet::new();
    for (table, decision) in schema.tables.iter().zip(decisions.iter_mut()) {
        let unfit = column_misfits(table, decision);
        if unfit.is_empty() && !decision.may_be_too_wide() {
            continue;
        }
        if !unfit.is_empty() && !matches!(on_misfit, OnMisfit::Reject { .. }) {
            found.extend(unfit);
            continue;
        }
        let rows = tally(connection, table, decision)?;
        match on_misfit {
            OnMisfit::Reject { .. } => decision.rejected = rows,
            OnMisfit::Widen if !rows.is_empty() => {
                removed.insert(table.name.clone());
                let reason = rows.iter().map(|(why, t)| format!("{why} ({})", format_tally(t)));
                left_out.push(LeftOut {
                    rows: Some(decision.profile.rows),
                    ..LeftOut::object(ObjectKind::Table, &table.name, None)
                        .because(reason.collect::<String>())
                });
            }
            _ => found.extend(
                rows.iter().map(|(_, tally)| Unfit::new(decision, None, Misfit::RowTooWide, tally)),
            ),
        }
    }
    schema.tables.retain(|table| !removed.contains(&table.name));
    decisions.retain(|decision| !removed.contains(&decision.query.table));
    if found.is_empty() { Ok(()) } else { Err(refuse_misfits(&found)) }
}

/// The misfits that the profile found.
fn column_misfits(table: &Table, decision: &TableDecision) -> Vec<Unfit> {
    let columns = table.columns.iter().zip(&decision.types);
    let misfits = columns.flat_map(|(column, types)| {
        types.misfits.iter().map(|(misfit, tally)| (column.name.as_str(), *misfit, tally))
    });
    misfits.map(|(name, misfit, tally)| Unfit::new(decision, Some(name), misfit, tally)).collect()
}

/// The rows of a table that cannot be encoded, by reason.
fn tally(
    connection: &SourceConnection,
    table: &Table,
    decision: &TableDecision,
) -> Result<Vec<(String, Tally)>> {
    let layout = TupleLayout::new(decision.types.iter().map(|d| d.encoder).collect());
    let mut reasons: HashMap<(Option<usize>, Misfit), Tally> = HashMap::new();
    source_checks::unsendable(connection, &decision.query, &layout, |at, column, misfit, _| {
        reasons.entry((column, misfit)).or_default().add(at);
        Ok(())
    })?;
    let named = |((column, misfit), tally): ((Option<usize>, Misfit), Tally)| {
        let name = column.map(|index| table.columns[index].name.as_str());
        (reason(name, misfit), tally)
    };
    let mut list: Vec<(String, Tally)> = reasons.into_iter().map(named).collect();
    list.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(list)
}

fn refuse_misfits(found: &[Unfit]) -> Error {
    let total: u64 = found.iter().map(|unfit| unfit.count).sum();
    let error = Error::refused(
        match found.iter().any(|unfit| matches!(unfit.misfit, Misfit::NotValid(_))) {
            true => format!(
                "{} the chosen type",
                plural(total, "value does not fit", "values do not fit")
            ),
            false => format!("PostgreSQL cannot hold {}", plural(total, "value", "values")),
        },
    );
    let mut error = found.iter().take(20).fold(error, |error, unfit| error.caused_by(&unfit.text));
    if found.len() > 20 {
        let more = plural(found.len() as u64 - 20, "more column", "more columns");
        error = error.caused_by(format!("and {more}"));
    }
    let mut tables: Vec<&str> = found.iter().map(|unfit| unfit.table.as_str()).collect();
    tables.sort_unstable();
    tables.dedup();
    let error = error.hint(
        "fix the values in the source, or choose another type with --cast 'table.column=type'",
    );
    // A wider type makes no row shorter.
    let error = match found.iter().any(|unfit| unfit.misfit == Misfit::RowTooWide) {
        true => error,
        false => error.remedy("give such columns a wider type", &["--on-misfit=widen"]),
    };
    error
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
                return Err(Error::refused(format!(
                    "the key ({}) of table {} is too wide for a PostgreSQL index",
                    key.names().map(quote).collect::<Vec<_>>().join(", "),
                    quote(&table.name)
                ))
                .caused_by(format!(
                    "the widest entry has {width} bytes; the maximum is {MAX_ENTRY}"
                ))
                .remedy_without(
                    "build the key over a hash of its values",
                    &["--on-misfit=widen"],
                    &["--reject-file"],
                )
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
    decisions: &[TableDecision],
) -> Result<()> {
    for (table, decisions) in schema.tables.iter().zip(decisions) {
        for key in table.unique_columns() {
            let mut merged = false;
            let mut terms = Vec::with_capacity(key.len());
            for name in &key {
                let index = table.columns.iter().position(|column| column.name == *name);
                let decision = index.map(|index| &decisions.types[index]);
                let converts = decision.is_some_and(|d| !d.conversions.is_empty());
                let has_type = decision.is_some_and(|d| {
                    !matches!(d.column_type(), ColumnType::Text | ColumnType::Bytea)
                });
                let is_interval = decision.is_some_and(|d| d.column_type() == ColumnType::Interval);
                if converts && has_type {
                    return Err(merged_key(table, &key)
                        .caused_by("values of its columns would be converted"));
                }
                merged |= converts || is_interval;
                let column = quote(name);
                terms.push(match (is_interval, converts) {
                    (true, _) => format!("{INTERVAL_LENGTH}({column})"),
                    (_, true) => format!("CAST({column} AS BLOB)"),
                    _ => column,
                });
            }
            if merged && source_checks::has_duplicates(connection, table, &key, &terms)? {
                return Err(merged_key(table, &key).caused_by(
                    "values that differ only in their storage class, or in the units of an \
                     interval, would be equal",
                ));
            }
        }
    }
    Ok(())
}

fn merged_key(table: &Table, key: &[&str]) -> Error {
    let columns: Vec<String> = key.iter().map(|name| quote(name)).collect();
    Error::refused(format!(
        "the key ({}) of table {} may not be unique in PostgreSQL",
        columns.join(", "),
        quote(&table.name)
    ))
    .hint("fix the values in the source, or choose another type with --cast 'table.column=type'")
    .remedy_exclude(&[&table.name])
}

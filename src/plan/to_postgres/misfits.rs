//! Misfits: values, rows and keys that the target cannot hold.

use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::codec::fidelity::Misfit;
use crate::error::{Error, Result, plural};
use crate::options::plan_options::OnMisfit;
use crate::plan::to_postgres::column_types::TableDecision;
use crate::plan::to_postgres::reject::reason;
use crate::plan::to_postgres::source_checks::{
    self, INTERVAL_LENGTH, MAX_ENTRY, TooWide, key_label,
};
use crate::plan::to_postgres::type_rules::first_rows;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::schema::{IndexTerm, RowAddress, Schema, Table};
use crate::sqlite::read::profile::column::Tally;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::connection::SourceConnection;
use rusqlite::Connection;
use std::collections::BTreeMap;

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
        let (column, count) = match column {
            Some(name) => {
                (format!(" column {}", quote(name)), plural(tally.count, "value", "values"))
            }
            None => (String::new(), plural(tally.count, "row", "rows")),
        };
        let (table_name, first) = (quote(table), first_rows(tally));
        let text =
            format!("table {table_name}{column}: {misfit} ({count}, first at {row} {first})");
        Self { table: table.clone(), misfit, count: tally.count, text }
    }
}

/// No wider type holds it.
fn fits_no_type(misfit: Misfit) -> bool {
    matches!(misfit, Misfit::RowTooWide | Misfit::TooLarge)
}

/// Refuses values and rows that the target cannot hold, or skips the rows if the user asked for
/// that. Returns the tables of which it skips rows that fit no type. Refused, with table, column, count
/// and first rows; or the source cannot be read. `wide` are the tables with a key that is too wide for
/// an index: rows are not skipped for it.
pub(crate) fn resolve(
    on_misfit: &OnMisfit,
    connection: &SourceConnection,
    schema: &Schema,
    decisions: &mut [TableDecision],
    wide: &[&str],
) -> Result<Vec<String>> {
    let skips = matches!(on_misfit, OnMisfit::Reject { .. });
    let mut found: Vec<Unfit> = Vec::new();
    let mut skipped = Vec::new();
    for (table, decision) in schema.tables.iter().zip(decisions.iter_mut()) {
        let mut unfit = column_misfits(table, decision);
        if decision.may_be_too_wide() || skips && !unfit.is_empty() {
            let rows = tally(connection, decision)?;
            let name =
                |column: Option<usize>| column.map(|index| table.columns[index].name.as_str());
            if skips {
                if rows.keys().any(|(_, misfit)| fits_no_type(*misfit)) {
                    skipped.push(table.name.clone());
                }
                let named = rows.into_iter();
                let named = named.map(|((column, misfit), t)| (reason(name(column), misfit), t));
                decision.rejected = named.collect();
                continue;
            }
            let unknown = rows.iter().filter(|((column, misfit), _)| {
                let known = column.map(|index| &decision.types[index].misfits);
                !known.is_some_and(|known| known.iter().any(|(one, _)| one == misfit))
            });
            unfit.extend(unknown.map(|((column, misfit), tally)| {
                Unfit::new(decision, name(*column), *misfit, tally)
            }));
        }
        found.append(&mut unfit);
    }
    if found.is_empty() { Ok(skipped) } else { Err(refuse_misfits(&found, wide)) }
}

/// The misfits that the profile found.
fn column_misfits(table: &Table, decision: &TableDecision) -> Vec<Unfit> {
    let columns = table.columns.iter().zip(&decision.types);
    let misfits = columns.flat_map(|(column, types)| {
        types.misfits.iter().map(|(misfit, tally)| (column.name.as_str(), *misfit, tally))
    });
    misfits.map(|(name, misfit, tally)| Unfit::new(decision, Some(name), misfit, tally)).collect()
}

/// The rows of a table that cannot be encoded, by column and reason.
fn tally(
    connection: &SourceConnection,
    decision: &TableDecision,
) -> Result<BTreeMap<(Option<usize>, Misfit), Tally>> {
    let layout = TupleLayout::new(decision.types.iter().map(|d| d.encoder).collect());
    let mut reasons = BTreeMap::<_, Tally>::new();
    source_checks::unsendable(connection, &decision.query, &layout, |at, column, misfit, _| {
        reasons.entry((column, misfit)).or_default().add(at);
        Ok(())
    })?;
    Ok(reasons)
}

fn refuse_misfits(found: &[Unfit], wide: &[&str]) -> Error {
    let total: u64 = found.iter().map(|unfit| unfit.count).sum();
    let not_valid = |unfit: &Unfit| matches!(unfit.misfit, Misfit::NotValid(_));
    let is_row = |unfit: &Unfit| unfit.misfit == Misfit::RowTooWide;
    let error = Error::refused(if found.iter().any(not_valid) {
        format!("{} the chosen type", plural(total, "value does not fit", "values do not fit"))
    } else if found.iter().all(is_row) {
        format!("PostgreSQL cannot hold {}", plural(total, "row", "rows"))
    } else {
        format!("PostgreSQL cannot hold {}", plural(total, "value", "values"))
    });
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
    let error = match found.iter().any(|unfit| fits_no_type(unfit.misfit)) {
        true => error,
        false => error.remedy("give such columns a wider type", &["--on-misfit=widen"]),
    };
    let error = error.remedy_excluding(
        "skip such rows and write them to rejected-rows.db",
        wide,
        &["--on-misfit=reject", "--reject-file=rejected-rows.db"],
        &[],
    );
    match wide {
        [] => error.remedy_exclude(&tables),
        _ => error.remedy_excluding(HASH_KEYS, &tables, &["--on-misfit=widen"], &["--reject-file"]),
    }
}

/// The effect of `--on-misfit widen` on wide keys.
const HASH_KEYS: &str = "build too wide keys over a hash of their values";

/// The keys and unique indexes of a table: label, description, and whether they can be over a hash.
fn labelled_keys(table: &Table) -> impl Iterator<Item = (String, String, bool)> {
    let keys = table.primary_key.iter().chain(&table.uniques).enumerate().map(|(number, key)| {
        let names = key.names().map(quote).collect::<Vec<_>>().join(", ");
        (key_label(number), format!("key ({names})"), true)
    });
    let indexes = table.indexes.iter().filter(|index| index.unique).map(|index| {
        let can_hash = index.terms.iter().all(|term| term.column().is_some());
        (index.name.clone(), format!("unique index {}", quote(&index.name)), can_hash)
    });
    keys.chain(indexes)
}

/// The tables with a key or unique index that is too wide for an index.
pub(crate) fn with_wide_keys<'a>(schema: &'a Schema, too_wide: &TooWide) -> Vec<&'a str> {
    let has_one = |(number, table): &(usize, &Table)| {
        labelled_keys(table).any(|(label, ..)| too_wide.contains_key(&(*number, label)))
    };
    let tables = schema.tables.iter().enumerate().filter(has_one);
    tables.map(|(_, table)| table.name.as_str()).collect()
}

/// Refuses keys and unique indexes that no index entry can hold, which would fail after the rows are
/// copied. With `widen`, those over plain columns are built over hashes. `skipped` are the tables with
/// skipped rows that fit no type.
pub(crate) fn refuse_wide_keys(
    schema: &Schema,
    too_wide: &TooWide,
    widen: bool,
    skipped: &[String],
) -> Result<()> {
    for (number, table) in schema.tables.iter().enumerate() {
        for (label, what, can_hash) in labelled_keys(table) {
            let width = too_wide.get(&(number, label));
            let Some(width) = width.filter(|_| !widen || !can_hash) else { continue };
            let name = quote(&table.name);
            let message = format!("the {what} of table {name} is too wide for a PostgreSQL index");
            let cause = format!("the widest entry has {width} bytes; the maximum is {MAX_ENTRY}");
            let error = Error::refused(message).caused_by(cause);
            let skipped: Vec<&str> = skipped.iter().map(String::as_str).collect();
            let error = match can_hash {
                true => error.remedy_excluding(
                    HASH_KEYS,
                    &skipped,
                    &["--on-misfit=widen"],
                    &["--reject-file"],
                ),
                false => {
                    error.hint("an index over an expression has no hash; drop it in the source")
                }
            };
            return Err(error.remedy_exclude(&with_wide_keys(schema, too_wide)));
        }
    }
    Ok(())
}

/// Columns whose values are unique in the source.
struct UniqueColumns<'a> {
    names: Vec<&'a str>,
    /// The condition of a partial index.
    filter: Option<&'a str>,
    /// The terms that are no columns.
    expressions: Vec<&'a str>,
}

fn keys_and_unique_indexes(table: &Table) -> impl Iterator<Item = UniqueColumns<'_>> {
    let keys = table.primary_key.iter().chain(&table.uniques);
    let keys = keys.map(|key| UniqueColumns {
        names: key.names().collect(),
        filter: None,
        expressions: Vec::new(),
    });
    let indexes = table.indexes.iter().filter(|index| index.unique);
    keys.chain(indexes.map(|index| UniqueColumns {
        names: index.terms.iter().filter_map(IndexTerm::column).collect(),
        filter: index.filter.as_ref().map(|sql| sql.text.as_str()),
        expressions: index.terms.iter().filter_map(IndexTerm::expression).collect(),
    }))
}

/// Refuses keys in which values that differ in the source would be equal in the target: numbers and
/// texts, or texts and blobs, in one type; different spellings, or digits that are lost, in a type
/// that the user chose. Refused, naming the key; or the source cannot be read.
pub(crate) fn refuse_merged_keys(
    connection: &Connection,
    schema: &Schema,
    decisions: &[TableDecision],
) -> Result<()> {
    for (table, decisions) in schema.tables.iter().zip(decisions) {
        for UniqueColumns { names, filter, expressions } in keys_and_unique_indexes(table) {
            let mut merged = false;
            let mut terms = Vec::with_capacity(names.len());
            for name in &names {
                let index = table.columns.iter().position(|column| column.name == *name);
                let decision = index.map(|index| &decisions.types[index]);
                let is_interval = decision.is_some_and(|d| d.column_type() == ColumnType::Interval);
                let conversion = decision.and_then(|d| Some((d, d.conversions.first()?)));
                let column = quote(name);
                if let Some((decision, (what, count))) = conversion
                    && !matches!(decision.column_type(), ColumnType::Text | ColumnType::Bytea)
                {
                    let values = plural(*count, "value", "values");
                    return Err(merged_key(table, &names)
                        .caused_by(format!("column {column}: {what} in {values}")));
                }
                merged |= conversion.is_some() || is_interval;
                terms.push(match (is_interval, conversion) {
                    (true, _) => format!("{INTERVAL_LENGTH}({column})"),
                    (_, Some(_)) => format!("CAST({column} AS BLOB)"),
                    _ => column,
                });
            }
            terms.extend(expressions.iter().map(|expression| format!("({expression})")));
            if merged && source_checks::has_duplicates(connection, table, &terms, filter)? {
                return Err(merged_key(table, &names).caused_by(
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

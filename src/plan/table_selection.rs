//! The tables and views that `--tables` and `--exclude` select.

use crate::error::{Error, Result};
use crate::options::plan_options::PlanOptions;
use crate::options::type_override::TypeOverride;
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind, Schema};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The reason for a table that the user excluded.
pub(crate) const BY_REQUEST: &str = "excluded by --tables or --exclude";

/// The reason for large objects that the user excluded.
pub(crate) const SKIPPED: &str = "skipped by --large-objects skip";

/// The user left the object out.
pub(crate) fn is_by_request(left: &LeftOut) -> bool {
    [BY_REQUEST, SKIPPED].iter().any(|reason| left.reason.contains(reason))
}

/// Removes the tables that `--tables` does not name, and the tables and views that `--exclude`
/// names, from the schema. Errors: an invalid pattern, a pattern of `--tables` that matches nothing, in
/// the only data set of a run a pattern of `--exclude` that matches nothing, and a cast of a missing
/// column.
pub(crate) fn choose_tables(
    schema: &mut Schema,
    options: &PlanOptions,
    is_only: bool,
) -> Result<Vec<LeftOut>> {
    options.casts.iter().try_for_each(|cast| check_cast(cast, schema))?;
    let tables = patterns(&options.tables, "--tables")?;
    let exclude = patterns(&options.exclude, "--exclude")?;
    for pattern in &options.tables {
        let one = patterns(std::slice::from_ref(pattern), "--tables")?;
        if !schema.tables.iter().any(|table| one.is_match(&table.name)) {
            return Err(Error::usage(format!("--tables {pattern} matches no table of the source")));
        }
    }
    for pattern in options.exclude.iter().filter(|_| is_only) {
        let one = patterns(std::slice::from_ref(pattern), "--exclude")?;
        let tables = schema.tables.iter().map(|table| &table.name);
        let others = schema.left_out.iter().flat_map(|left| left.table.iter().chain([&left.name]));
        let mut names = tables.chain(schema.views.iter().map(|view| &view.name)).chain(others);
        if !names.any(|name| one.is_match(name)) {
            let what = format!("--exclude {pattern} matches no table or view of the source");
            return Err(Error::usage(what));
        }
    }
    let is_excluded =
        |name: &str| !tables.is_empty() && !tables.is_match(name) || exclude.is_match(name);
    let left_out = |kind, name: &str, definition: Option<&str>| {
        LeftOut::object(kind, name, definition).because(BY_REQUEST)
    };
    let excluded = schema.tables.extract_if(.., |table| is_excluded(&table.name));
    let mut list: Vec<LeftOut> =
        excluded.map(|table| left_out(ObjectKind::Table, &table.name, None)).collect();
    let excluded = schema.views.extract_if(.., |view| exclude.is_match(&view.name));
    list.extend(excluded.map(|v| left_out(ObjectKind::View, &v.name, Some(&v.definition))));
    Ok(list)
}

/// Refuses an override of a missing column. The table may be excluded.
fn check_cast(cast: &TypeOverride, schema: &Schema) -> Result<()> {
    let table_name = quote(&cast.table);
    let Some(table) = schema.tables.iter().find(|table| table.name == cast.table) else {
        return Err(Error::usage(format!("--cast: table {table_name} not found"))
            .hint("names are case-sensitive"));
    };
    if table.columns.iter().any(|column| column.name == cast.column) {
        return Ok(());
    }
    let column = quote(&cast.column);
    Err(Error::usage(format!("--cast: column {column} of table {table_name} not found")))
}

fn patterns(patterns: &[String], flag: &str) -> Result<GlobSet> {
    let invalid = |pattern: &str, error: &globset::Error| {
        Error::usage(format!("{flag} {pattern}: {}", error.kind()))
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // A slash in a table's name is an ordinary character.
        let glob = GlobBuilder::new(pattern).literal_separator(false).build();
        set.add(glob.map_err(|error| invalid(pattern, &error))?);
    }
    set.build().map_err(|error| invalid("", &error))
}

//! Verification alone: any two databases, whoever copied the one into the other.
//!
//! There is no plan. Tables and columns are matched by name (or by the name that a copy of ours
//! left in a comment where it had to choose another one), and the target's column types lead: each
//! stored value has to become exactly what stands there.

use crate::codec::encode::column_encoder::{ColumnEncoder, Encoding};
use crate::codec::encode::tuple_encoder::TupleLayout;
use crate::error::{Error, Result};
use crate::options::type_override::{OverrideType, TypeOverride};
use crate::plan::to_postgres::column_types::{check_casts, form_of};
use crate::postgres::errors::db_error;
use crate::postgres::ledger::TABLE;
use crate::postgres::ledger::detail::LedgerDetail;
use crate::schema::Table;
use crate::schema::chunk::Chunk;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::schema::names::{qualify, quote};
use crate::sqlite::catalog::Catalog;
use crate::sqlite::read::chunk_reader::read_error;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::sql::declared_type::column_affinity;
use crate::verify::table_pair::{ComparedTable, SubjectColumn};
use postgres::Client;
use serde_json::Value;

/// A table of the target.
struct Target {
    name: String,
    /// The name it had in SQLite, where a comment keeps that.
    origin: Option<String>,
    columns: Vec<TargetColumn>,
}

struct TargetColumn {
    name: String,
    origin: Option<String>,
    type_name: String,
}

/// A table of the source and the one of the target that has its rows.
pub(crate) struct TablePair<'a> {
    /// The source's table.
    pub(crate) table: &'a Table,
    /// The target's, by its name.
    pub(crate) target: String,
    /// Columns of the source by their names in the target.
    columns: Vec<(String, String)>,
    /// The highest key that the source has handed out.
    pub(crate) highest: i64,
}

impl TablePair<'_> {
    /// The name in the target of a column of the source.
    pub(crate) fn column(&self, name: &str) -> Option<&str> {
        self.columns.iter().find(|(source, _)| source == name).map(|(_, target)| target.as_str())
    }
}

/// What is matched.
#[derive(Default)]
pub(crate) struct MatchedTables<'a> {
    /// The tables to compare.
    pub(crate) subjects: Vec<ComparedTable>,
    /// The same, as the catalogs have them.
    pub(crate) pairs: Vec<TablePair<'a>>,
    /// What has no match in the target.
    pub(crate) differences: Vec<String>,
    /// What has none in the source, and what is compared in another form.
    pub(crate) notes: Vec<String>,
}

/// What a match is made from.
pub(crate) struct Inputs<'a> {
    /// The source's catalog, without the tables that are not wanted.
    pub(crate) catalog: &'a Catalog,
    /// A reader of the source.
    pub(crate) connection: &'a rusqlite::Connection,
    /// How its tables are read.
    pub(crate) queries: &'a [TableQuery],
    /// The ranges in which they are read.
    pub(crate) ranges: Vec<Vec<Chunk>>,
    /// The target's schema.
    pub(crate) schema: &'a str,
    /// Types that the user has fixed: for numbers that count from an epoch.
    pub(crate) casts: &'a [TypeOverride],
    /// The ledger's row of the data set; empty if there is none.
    pub(crate) ledger: &'a LedgerDetail,
    /// Names of tables of the source that are not wanted, and whose likes in the target are none
    /// of our business.
    pub(crate) unwanted: &'a [String],
}

/// Matches the tables of both sides.
///
/// # Errors
/// The server's; and casts that name no column, or another type than the target has.
pub(crate) fn match_up<'a>(inputs: Inputs<'a>, client: &mut Client) -> Result<MatchedTables<'a>> {
    let mut targets = targets(client, inputs.schema)?;
    let mut matched = MatchedTables::default();
    check_casts(inputs.casts, &inputs.catalog.schema)?;
    let tables = inputs.catalog.schema.tables.iter().zip(inputs.queries).zip(inputs.ranges);
    for ((table, query), chunks) in tables {
        let Some(place) =
            find(&targets, &table.name, |target| (&target.name, target.origin.as_deref()))
        else {
            matched.differences.push(format!("table {} is not in the target", quote(&table.name)));
            continue;
        };
        let target = targets.swap_remove(place);
        let strict = inputs.catalog.facts.get(&table.name).is_some_and(|facts| facts.strict);
        let mut columns = Vec::new();
        let mut casts = Vec::new();
        for column in &table.columns {
            let name = &column.name;
            let found = find(&target.columns, name, |c| (&c.name, c.origin.as_deref()));
            let Some(there) = found.map(|place| &target.columns[place]) else {
                matched.differences.push(format!(
                    "column {} of {} is not in the target",
                    quote(name),
                    quote(&table.name)
                ));
                continue;
            };
            let affinity = column_affinity(&column.declared, strict);
            let pin = inputs.casts.iter().find(|c| c.table == table.name && c.column == *name);
            let kept = inputs.ledger.types.get(&table.name).and_then(|types| types.get(name));
            let kept = kept.and_then(|text| OverrideType::parse(text).ok());
            let known = ColumnType::parse(&there.type_name);
            if let Some(kept) = &kept
                && pin.is_none()
                && known.as_ref() != Some(&kept.column_type)
            {
                matched.differences.push(format!(
                    "column {} of {} was copied as {}, and is {} now",
                    quote(name),
                    quote(&table.name),
                    kept.column_type,
                    there.type_name
                ));
            }
            let kept = kept.filter(|kept| known.as_ref() == Some(&kept.column_type));
            let pin = pin.map(|pin| pin.to.clone()).or(kept.filter(|kept| kept.epoch.is_some()));
            let (form, as_text) = form(there, affinity, pin, table, &mut matched.notes)?;
            columns.push(SubjectColumn {
                name: name.clone(),
                target_name: there.name.clone(),
                as_text,
                read: None,
            });
            casts.push(ColumnEncoder {
                form,
                affinity_restores_numbers: affinity_restores_numbers(affinity, form),
            });
        }
        for extra in &target.columns {
            if !columns.iter().any(|column| column.target_name == extra.name) {
                matched.notes.push(format!(
                    "column {} of {} is in the target only",
                    quote(&extra.name),
                    quote(&target.name)
                ));
            }
        }
        let highest = highest(inputs.connection, table)?;
        let left_out = inputs.ledger.rows_left_out.get(&table.name).copied().unwrap_or(0);
        let mut subject = ComparedTable {
            name: table.name.clone(),
            target: qualify(inputs.schema, &target.name),
            query: TableQuery {
                columns: columns.iter().map(|column| column.name.clone()).collect(),
                ..query.clone()
            },
            layout: TupleLayout::new(casts),
            bytes: chunks.iter().map(|chunk| chunk.bytes).sum(),
            widest: Vec::new(),
            chunks,
            columns,
            key: Vec::new(),
            integer_key: None,
            leave_out: left_out > 0,
            rows_left_out: left_out,
        };
        let keys: Vec<Vec<String>> = table
            .primary_key
            .iter()
            .chain(&table.uniques)
            .map(|key| key.columns.iter().map(|column| column.name.clone()).collect())
            .collect();
        subject.choose_key(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let pairs = subject.columns.iter().map(|c| (c.name.clone(), c.target_name.clone()));
        matched.pairs.push(TablePair {
            table,
            target: target.name,
            columns: pairs.collect(),
            highest,
        });
        matched.subjects.push(subject);
    }
    for target in targets {
        if !inputs.unwanted.contains(&target.name) {
            matched.notes.push(format!("table {} is in the target only", quote(&target.name)));
        }
    }
    Ok(matched)
}

/// Whether a number that changed its type would come back as it was. Text in place of numbers is
/// told all the same: nobody planned it.
fn affinity_restores_numbers(affinity: Affinity, form: Encoding) -> bool {
    form != Encoding::Text
        && matches!(affinity, Affinity::Integer | Affinity::Numeric | Affinity::Real)
}

/// The highest value that the table's own key has had.
fn highest(connection: &rusqlite::Connection, table: &Table) -> Result<i64> {
    let Some(column) = table.columns.iter().find(|column| column.identity) else { return Ok(0) };
    let sql = format!("SELECT max({}) FROM {}", quote(&column.name), quote(&table.name));
    let stored: Option<i64> = connection
        .query_row(&sql, [], |row| row.get(0))
        .map_err(|error| read_error(&table.name, error))?;
    Ok(stored.unwrap_or(0).max(table.sequence.unwrap_or(0)))
}

/// The form in which a column's values are compared, and whether as the server's text of them.
fn form(
    column: &TargetColumn,
    affinity: Affinity,
    pin: Option<OverrideType>,
    table: &Table,
    notes: &mut Vec<String>,
) -> Result<(Encoding, bool)> {
    let known = ColumnType::parse(&column.type_name);
    if let Some(pin) = pin {
        if known.as_ref() != Some(&pin.column_type) {
            return Err(Error::usage(format!(
                "--cast gives column {} of {} the type {}, and it is {} in the target",
                quote(&column.name),
                quote(&table.name),
                pin.column_type,
                column.type_name
            )));
        }
        return Ok((form_of(&pin), false));
    }
    Ok(match known {
        // Keys kept as text, joined to integers.
        Some(ColumnType::BigInt) if affinity == Affinity::Text => (Encoding::BigIntText, false),
        Some(known) => (Encoding::of(&known), false),
        None => {
            notes.push(format!(
                "column {} of {} is {} in the target, and compared as text",
                quote(&column.name),
                quote(&table.name),
                column.type_name
            ));
            (Encoding::Text, true)
        }
    })
}

/// The place of what has a name: the one that kept it in a comment, the one that has it, or the
/// only one that has it in other case.
fn find<T>(list: &[T], name: &str, names: impl Fn(&T) -> (&String, Option<&str>)) -> Option<usize> {
    let is_origin = |one: &T| names(one).1 == Some(name);
    let has_name = |one: &T| names(one).0 == name && names(one).1.is_none_or(|o| o == name);
    list.iter().position(is_origin).or_else(|| list.iter().position(has_name)).or_else(|| {
        let alike = |one: &T| names(one).1.is_none() && names(one).0.eq_ignore_ascii_case(name);
        let mut places = (0..list.len()).filter(|&place| alike(&list[place]));
        places.next().filter(|_| places.next().is_none())
    })
}

/// The name in SQLite that a comment keeps.
fn origin(comment: Option<String>) -> Option<String> {
    let comment: Value = serde_json::from_str(&comment?).ok()?;
    comment["sqlite"]["name"].as_str().map(str::to_owned)
}

/// The tables of the target's schema.
fn targets(client: &mut Client, schema: &str) -> Result<Vec<Target>> {
    const SQL: &str = "\
        SELECT c.oid::bigint, c.relname::text, pg_catalog.obj_description(c.oid, 'pg_class'), \
          a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
          pg_catalog.col_description(c.oid, a.attnum) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        LEFT JOIN pg_catalog.pg_attribute a \
          ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
          AND c.relname <> $2 \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
            AND d.deptype = 'e') \
        ORDER BY c.oid, a.attnum";
    let rows = client
        .query(SQL, &[&schema, &TABLE])
        .map_err(db_error("cannot read the target's catalog"))?;
    let mut targets: Vec<(i64, Target)> = Vec::new();
    for row in rows {
        let oid: i64 = row.get(0);
        if targets.last().is_none_or(|(last, _)| *last != oid) {
            let target =
                Target { name: row.get(1), origin: origin(row.get(2)), columns: Vec::new() };
            targets.push((oid, target));
        }
        if let (Some((_, target)), Some(name)) = (targets.last_mut(), row.get(3)) {
            let type_name = row.get(4);
            target.columns.push(TargetColumn { name, origin: origin(row.get(5)), type_name });
        }
    }
    Ok(targets.into_iter().map(|(_, target)| target).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(list: &[(&str, Option<&str>)], name: &str) -> Option<usize> {
        let list: Vec<(String, Option<&str>)> =
            list.iter().map(|(name, origin)| ((*name).to_owned(), *origin)).collect();
        find(&list, name, |one| (&one.0, one.1))
    }

    #[test]
    fn names_match_by_what_a_comment_keeps_then_exactly_then_but_for_case() {
        assert_eq!(named(&[("a", None), ("b", Some("a"))], "a"), Some(1));
        assert_eq!(named(&[("A", None), ("a", None)], "a"), Some(1));
        assert_eq!(named(&[("users", None)], "Users"), Some(0));
        assert_eq!(named(&[("USERS", None), ("users", None)], "Users"), None);
        assert_eq!(named(&[("a", Some("b"))], "a"), None, "it is another one's");
    }

    #[test]
    fn only_our_own_comments_name_an_origin() {
        assert_eq!(origin(Some(r#"{"sqlite":{"name":"t\u0000"}}"#.into())), Some("t\0".into()));
        assert_eq!(origin(Some(r#"{"sqlite":{"type":"INT"}}"#.into())), None);
        assert_eq!(origin(Some("users of the service".into())), None);
    }
}

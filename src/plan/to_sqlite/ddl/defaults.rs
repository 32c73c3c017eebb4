//! Constant defaults. The server computes their values, which are then read and stored as the values of
//! the column are, so that a default gives what a migrated row has.

use crate::codec::decode::number_returns;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::real;
use crate::error::Result;
use crate::plan::to_sqlite::decisions::{ColumnDecision, TableDecision};
use crate::postgres::catalog::model::{Catalog, ColumnFacts};
use crate::postgres::errors::db_error;
use crate::schema::expression::Affinity;
use crate::schema::names::quote;
use crate::schema::reason::Reason;
use crate::schema::{Column, Table};
use crate::sqlite::sql::from_postgres::constant::quoted;
use postgres::types::{FromSql, Type};
use postgres::{Client, Row};
use std::error::Error;

/// A value in the server's binary form.
struct Field<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Field<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Sets the constant defaults of all columns.
pub(crate) fn evaluate(
    client: &mut Client,
    catalog: &Catalog,
    decisions: &mut [TableDecision],
) -> Result<()> {
    for (table, decision) in catalog.schema.tables.iter().zip(decisions) {
        let facts = &catalog.facts[&table.name].columns;
        let constant = |number: &usize| {
            facts[*number].constant_default && table.columns[*number].default.is_some()
        };
        let numbers: Vec<usize> = (0..facts.len()).filter(constant).collect();
        let together = compute(client, (table, facts), &decision.columns, &numbers)?;
        for (index, number) in numbers.into_iter().enumerate() {
            let column = &mut decision.columns;
            let alone = match &together {
                Some(_) => None,
                None => compute(client, (table, facts), column, &[number])?,
            };
            let column = &mut column[number];
            column.default = Some(match (&together, &alone) {
                (Some(row), _) => literal(row, 2 * index, column),
                (None, Some(row)) => literal(row, 0, column),
                (None, None) => Err("has a value that the server cannot compute".to_owned()),
            });
        }
    }
    Ok(())
}

/// The defaults of the columns with these numbers, and for each whether SQLite cannot hold it. `None`
/// if the server cannot compute one of them.
fn compute(
    client: &mut Client,
    (table, facts): (&Table, &[ColumnFacts]),
    decisions: &[ColumnDecision],
    numbers: &[usize],
) -> Result<Option<Row>> {
    if numbers.is_empty() {
        return Ok(None);
    }
    let (mut read, mut values) = (Vec::new(), Vec::new());
    for &number in numbers {
        let (column, mapping) = (&table.columns[number], &decisions[number].mapping);
        let name = quote(&column.name);
        let rejects = mapping.rejects.as_ref().map_or("false", |(condition, _)| condition);
        read.push(format!("{}, {rejects}", mapping.read.as_ref().unwrap_or(&name)));
        values.push(format!("({}) AS {name}", assigned(column, &facts[number])));
    }
    let sql = format!("SELECT {} FROM (SELECT {}) t", read.join(", "), values.join(", "));
    let what = format!("cannot compute the defaults of table {}", quote(&table.name));
    client.batch_execute("SAVEPOINT defaults").map_err(db_error(&what))?;
    let row = client.query_one(&sql, &[]);
    client.batch_execute("ROLLBACK TO defaults; RELEASE defaults").map_err(db_error(&what))?;
    Ok(row.ok())
}

/// The default as the column takes it. The CHECKs of a domain, which may call functions of a user, do
/// not run, and a length gives blanks, but does not shorten the value.
fn assigned(column: &Column, facts: &ColumnFacts) -> String {
    let text = column.default.as_ref().map_or("NULL", |sql| sql.text.as_str());
    match facts.base.as_str() {
        "varchar" | "varbit" => format!("({text})::pg_catalog.{}", facts.base),
        _ => format!("({text})::{}", facts.base_type),
    }
}

/// The SQL of the value in a column of `row`, as the column stores it.
fn literal(row: &Row, index: usize, decision: &ColumnDecision) -> Result<String, Reason> {
    let mapping = &decision.mapping;
    let Some(Field(field)) = row.get(index) else { return Ok("NULL".to_owned()) };
    let impossible = || "has a value that SQLite cannot hold".to_owned();
    if row.get::<_, Option<bool>>(index + 1) == Some(true) {
        return Err(impossible());
    }
    let mut scratch = Vec::new();
    Ok(match mapping.encoding.decode(field, &mut scratch).map_err(|_| impossible())? {
        SqliteValue::Null => "NULL".to_owned(),
        SqliteValue::Integer(number) => number.to_string(),
        SqliteValue::Real(number) => {
            let mut text = Vec::new();
            real::write_text(number, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
        SqliteValue::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("x'{digits}'")
        }
        SqliteValue::Text(bytes) => {
            let as_real = mapping.numeric_text == Some(Affinity::Real);
            if mapping.numeric_text.is_some() && number_returns(bytes, as_real) == Some(false) {
                return Err("has a text that SQLite would turn into another number".to_owned());
            }
            std::str::from_utf8(bytes).ok().and_then(quoted).ok_or_else(impossible)?
        }
    })
}

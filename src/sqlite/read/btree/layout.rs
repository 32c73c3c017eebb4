//! The layout of a table's rows in the file: where each value that is wanted stands.

use crate::schema::RowAddress;
use crate::schema::expression::Affinity;
use crate::sqlite::read::query::{TableQuery, TextEncoding};
use crate::sqlite::sql::declared_type::column_affinity;
use rusqlite::{Connection, OptionalExtension, Result};

/// What `pragma_table_xinfo` calls a column that is kept like any other, and a generated one that
/// is kept.
const KEPT: [i64; 2] = [0, 3];
/// And a generated one that is not.
const VIRTUAL: i64 = 2;

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// It is the row's key.
    Key,
    /// It is the row's field at this place.
    Field(usize),
    /// The same, of a column whose whole numbers are kept as integers and mean reals.
    RealField(usize),
}

/// Where the values of one query's rows stand.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The page at the root of the table's b-tree.
    pub(crate) root: u32,
    /// The query's values, in order.
    pub(crate) values: Vec<Value>,
    /// Fields up to the last one that is wanted.
    pub(crate) fields: usize,
    columns: Vec<String>,
}

impl Layout {
    /// The layout of a query's table; `None` where only SQLite knows.
    pub(crate) fn of(connection: &Connection, query: &TableQuery) -> Result<Option<Self>> {
        let RowAddress::Integer { column: key } = &query.address else { return Ok(None) };
        if query.encoding != TextEncoding::Utf8 {
            return Ok(None);
        }
        let root: Option<(u32, bool)> = connection
            .query_row(
                "SELECT s.rootpage, l.strict FROM main.sqlite_schema s, pragma_table_list(?1) l \
                 WHERE s.type = 'table' AND s.name = ?1 \
                 AND l.type = 'table' AND l.schema = 'main' AND NOT l.wr",
                [&query.table],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((root, strict)) = root.filter(|(root, _)| *root > 1) else { return Ok(None) };
        let mut columns = connection.prepare(
            "SELECT name, type, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid",
        )?;
        let columns = columns.query_map([&query.table], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        })?;
        let columns = columns.collect::<Result<Vec<_>>>()?;
        // By name: where each column stands among those that are kept.
        let mut kept = Vec::new();
        for (name, declared, hidden) in &columns {
            let place = kept.len();
            match *hidden {
                _ if name == key => kept.push((name, Value::Key)),
                hidden if KEPT.contains(&hidden) => {
                    let real = column_affinity(declared, strict) == Affinity::Real;
                    let value = if real { Value::RealField(place) } else { Value::Field(place) };
                    kept.push((name, value));
                }
                VIRTUAL => {}
                _ => return Ok(None),
            }
        }
        let value = |wanted: &String| {
            kept.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
        };
        let values: Option<Vec<Value>> = query.columns.iter().map(value).collect();
        Ok(values.map(|values| {
            let fields = values.iter().map(|value| match value {
                Value::Key => 0,
                Value::Field(place) | Value::RealField(place) => place + 1,
            });
            let fields = fields.max().unwrap_or(0);
            Self { root, values, fields, columns: query.columns.clone() }
        }))
    }

    /// It was made for the columns of this query.
    pub(crate) fn is_of(&self, query: &TableQuery) -> bool {
        self.columns == query.columns
    }
}

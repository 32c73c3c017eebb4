//! The layout of a table's records: the field of each value of a query.

use crate::schema::RowAddress;
use crate::schema::expression::Affinity;
use crate::sqlite::read::query::{TableQuery, TextEncoding};
use crate::sqlite::sql::declared_type::column_affinity;
use rusqlite::{Connection, OptionalExtension, Result};

/// `hidden` of `pragma_table_xinfo` for stored columns: ordinary and generated.
const STORED: [i64; 2] = [0, 3];
/// `hidden` of `pragma_table_xinfo` for a generated column that is not stored.
const VIRTUAL: i64 = 2;

/// The location of a value in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// The key of the row.
    Key,
    /// The field with this index.
    Field(usize),
    /// The field with this index, in a REAL column: whole numbers are stored as integers.
    RealField(usize),
}

/// The layout of the records that a query reads.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The root page of the table's b-tree.
    pub(crate) root: u32,
    /// The values of the query, in order.
    pub(crate) values: Vec<Value>,
    /// The number of fields up to the last one that is read.
    pub(crate) fields: usize,
    columns: Vec<String>,
}

impl Layout {
    /// The layout for a query; `None` if SQLite must read the table.
    pub(crate) fn for_query(connection: &Connection, query: &TableQuery) -> Result<Option<Self>> {
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
                |row| row.try_into(),
            )
            .optional()?;
        let Some((root, strict)) = root.filter(|(root, _)| *root > 1) else { return Ok(None) };
        let sql = "SELECT name, type, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";
        let mut columns = connection.prepare(sql)?;
        let columns = columns.query_map([&query.table], |row| row.try_into())?;
        let columns = columns.collect::<Result<Vec<(String, String, i64)>>>()?;
        // The name and location of each stored column.
        let mut stored = Vec::new();
        for (name, declared, hidden) in &columns {
            let index = stored.len();
            match *hidden {
                _ if name == key => stored.push((name, Value::Key)),
                hidden if STORED.contains(&hidden) => {
                    let real = column_affinity(declared, strict) == Affinity::Real;
                    let value = if real { Value::RealField(index) } else { Value::Field(index) };
                    stored.push((name, value));
                }
                VIRTUAL => {}
                _ => return Ok(None),
            }
        }
        let value = |column: &String| {
            stored.iter().find(|(name, _)| *name == column).map(|(_, value)| *value)
        };
        let values: Option<Vec<Value>> = query.columns.iter().map(value).collect();
        let Some(values) = values else { return Ok(None) };
        let fields = values.iter().map(|value| match value {
            Value::Key => 0,
            Value::Field(index) | Value::RealField(index) => index + 1,
        });
        let fields = fields.max().unwrap_or(0);
        Ok(Some(Self { root, values, fields, columns: query.columns.clone() }))
    }

    /// Whether the layout is for the columns of this query.
    pub(crate) fn fits(&self, query: &TableQuery) -> bool {
        self.columns == query.columns
    }
}

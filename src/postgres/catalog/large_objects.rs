//! Large objects: byte strings outside of all tables, to which columns of type `oid` refer.

use crate::error::Result;
use crate::postgres::errors::{db_error, describe, is_refusal};
use postgres::Client;

/// The large objects of a database.
#[derive(Debug, Default)]
pub(crate) struct LargeObjects {
    /// The columns that refer to some.
    pub(crate) columns: Vec<LargeObjectColumn>,
    /// The number of those to which no column refers.
    pub(crate) unreferenced: u64,
}

/// A column that refers to large objects.
#[derive(Debug)]
pub(crate) struct LargeObjectColumn {
    pub(crate) table: String,
    pub(crate) column: String,
    /// The values that refer to a large object.
    pub(crate) objects: u64,
    /// The other values, without NULL.
    pub(crate) dangling: u64,
    /// The bytes of all of them, and of the largest; or why they cannot be read.
    pub(crate) bytes: std::result::Result<(u64, u64), String>,
}

/// A column of type `oid`: table, column, FROM item, and expression of the value.
pub(crate) struct OidColumn {
    pub(crate) table: String,
    pub(crate) column: String,
    pub(crate) from: String,
    pub(crate) value: String,
}

const FAILED: &str = "cannot read the large objects";

/// Finds the large objects to which `columns` refer. `client` is in a transaction.
pub(crate) fn find(client: &mut Client, columns: &[OidColumn]) -> Result<LargeObjects> {
    let one_number = |client: &mut Client, sql: &str| -> Result<u64> {
        let count: i64 = client.query_one(sql, &[]).map_err(db_error(FAILED))?.get(0);
        Ok(count.unsigned_abs())
    };
    let mut found = LargeObjects::default();
    let all = "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata m";
    if one_number(client, all)? == 0 {
        return Ok(found);
    }
    for column in columns {
        found.columns.extend(column.read(client)?);
    }
    let refers = |column: &OidColumn| {
        format!("NOT EXISTS (SELECT FROM {} WHERE {} = m.oid)", column.from, column.value)
    };
    let conditions: Vec<String> =
        std::iter::once("true".to_owned()).chain(columns.iter().map(refers)).collect();
    found.unreferenced = one_number(client, &format!("{all} WHERE {}", conditions.join(" AND ")))?;
    Ok(found)
}

impl OidColumn {
    /// What it refers to; `None` if no value refers to a large object.
    fn read(&self, client: &mut Client) -> Result<Option<LargeObjectColumn>> {
        let Self { table, column, from, value } = self;
        let sql = format!(
            "SELECT count(m.oid), count({value}) - count(m.oid) FROM {from} \
             LEFT JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = {value}"
        );
        let row = client.query_one(&sql, &[]).map_err(db_error(FAILED))?;
        let [objects, dangling] = [0, 1].map(|cell| row.get::<_, i64>(cell).unsigned_abs());
        if objects == 0 {
            return Ok(None);
        }
        let (table, column) = (table.clone(), column.clone());
        let bytes = self.bytes(client)?;
        Ok(Some(LargeObjectColumn { table, column, objects, dangling, bytes }))
    }

    /// The sizes. Only opening an object shows whether this role may read it. Each is closed before
    /// the next one is opened.
    fn bytes(&self, client: &mut Client) -> Result<std::result::Result<(u64, u64), String>> {
        let Self { from, value, .. } = self;
        let sql = format!(
            "SELECT sum(s.bytes)::int8, max(s.bytes)::int8, count(pg_catalog.lo_close(s.fd)) \
             FROM (SELECT pg_catalog.lo_lseek64(o.fd, 0, 2) AS bytes, o.fd \
               FROM (SELECT pg_catalog.lo_open(m.oid, 262144) AS fd FROM {from} \
                 JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = {value} OFFSET 0) o \
               OFFSET 0) s"
        );
        client.batch_execute("SAVEPOINT large_objects").map_err(db_error(FAILED))?;
        let result = match client.query_one(&sql, &[]) {
            Ok(row) => Ok([0, 1].map(|cell| row.get::<_, i64>(cell).unsigned_abs()).into()),
            Err(error) if is_refusal(&error) => Err(describe(&error)),
            Err(error) => return Err(db_error(FAILED)(error)),
        };
        client
            .batch_execute("ROLLBACK TO large_objects; RELEASE large_objects")
            .map_err(db_error(FAILED))?;
        Ok(result)
    }
}

//! The ledger: the target's own record of what was committed, in the same transactions.
//!
//! One table, `migrate_ledger`, in the target schema. Its rows are of three kinds, told apart by
//! their key: a data set's row (no table, chunk -1) with the state of the run; a table's row
//! (chunk 0) with the identity of the table and its chunks; and a row for each committed chunk.
//! A chunk's row is inserted before its COPY, so that a second sender of the same chunk waits for
//! the first and then fails on the primary key: no chunk is ever there twice.

use crate::codec::Digest;
use crate::error::{Error, Result};
use crate::postgres::errors::failed;
use crate::schema::names::{literal, qualify, quote};
use postgres::{Client, Transaction};
use std::collections::HashMap;

/// The ledger's table name.
pub const TABLE: &str = "migrate_ledger";

/// The columns of the ledger.
const COLUMNS: i64 = 7;

/// The state of a data set, as its row tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Rows are being copied, or the run that did so ended without finishing.
    Copying,
    /// All rows are there; indexes and constraints may not be.
    Finishing,
    /// Everything is there; nobody compared it.
    NotVerified,
    /// Everything is there and was compared.
    Verified,
    /// Everything is there, and a comparison found differences.
    Differs,
}

impl State {
    /// The target is complete.
    #[must_use]
    pub fn is_complete(self) -> bool {
        !matches!(self, Self::Copying | Self::Finishing)
    }
}

/// The statements on one schema's ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    table: String,
    data_set: String,
}

/// What a data set's row says.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The data set's name.
    pub data_set: String,
    /// Its state; `None` where it cannot be read.
    pub state: Option<State>,
    /// All that it says; null where it cannot be read.
    pub detail: serde_json::Value,
}

impl Ledger {
    /// The ledger of `data_set` in `schema`.
    #[must_use]
    pub fn new(schema: &str, data_set: &str) -> Self {
        Self { table: qualify(schema, TABLE), data_set: data_set.to_owned() }
    }

    /// Creates the table where it is not there yet.
    #[must_use]
    pub fn create(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (\
             data_set text COLLATE \"C\" NOT NULL, \
             table_name text COLLATE \"C\" NOT NULL, \
             chunk bigint NOT NULL, \
             row_count bigint, \
             digest bytea, \
             detail text, \
             written_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), \
             PRIMARY KEY (data_set, table_name, chunk))",
            self.table
        )
    }

    /// Whether a schema has a ledger, and what its data sets' rows say.
    ///
    /// # Errors
    /// The server's.
    pub fn entries(client: &mut Client, schema: &str) -> Result<Option<Vec<Entry>>> {
        let what = "cannot read the target's ledger";
        let there: Option<i64> = client
            .query_opt(
                "SELECT (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
                   AND a.attname IN ('data_set', 'table_name', 'chunk', 'row_count', 'digest', \
                   'detail', 'written_at')) \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
                 ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
                &[&schema, &TABLE],
            )
            .map_err(failed(what))?
            .map(|row| row.get(0));
        match there {
            None => return Ok(None),
            Some(COLUMNS) => {}
            Some(_) => {
                return Err(Error::refused(format!(
                    "schema {} of the target holds something else named {TABLE}",
                    quote(schema)
                ))
                .caused_by("this program keeps its own records under that name")
                .hint("rename it, or choose another schema with options=-csearch_path=NAME"));
            }
        }
        let sql = format!(
            "SELECT data_set, detail FROM {} WHERE table_name = '' AND chunk = -1 ORDER BY 1",
            qualify(schema, TABLE)
        );
        let rows = client.query(&sql, &[]).map_err(failed(what))?;
        let entries = rows
            .iter()
            .map(|row| {
                let detail: Option<String> = row.get(1);
                let detail: serde_json::Value =
                    detail.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
                let state = serde_json::from_value(detail["state"].clone()).ok();
                Entry { data_set: row.get(0), state, detail }
            })
            .collect();
        Ok(Some(entries))
    }

    /// Records the data set and forgets what an earlier run of it left.
    #[must_use]
    pub fn begin(&self, detail: &serde_json::Value) -> String {
        let data_set = literal(&self.data_set);
        format!(
            "DELETE FROM {table} WHERE data_set = {data_set}; \
             INSERT INTO {table} (data_set, table_name, chunk, detail) \
             VALUES ({data_set}, '', -1, {detail})",
            table = self.table,
            detail = literal(&detail.to_string()),
        )
    }

    /// Records a table that was just created, with its identity on the server: a table that was
    /// dropped or truncated since has another one.
    #[must_use]
    pub fn add_table(&self, qualified: &str, name: &str, chunks: &serde_json::Value) -> String {
        format!(
            "INSERT INTO {} (data_set, table_name, chunk, detail) \
             SELECT {}, {}, 0, pg_catalog.json_build_object('oid', c.oid::bigint, \
             'filenode', pg_catalog.pg_relation_filenode(c.oid)::bigint, \
             'chunks', {}::json)::text \
             FROM pg_catalog.pg_class c WHERE c.oid = {}::pg_catalog.regclass",
            self.table,
            literal(&self.data_set),
            literal(name),
            literal(&chunks.to_string()),
            literal(qualified),
        )
    }

    /// The insertion of a chunk's row, to be prepared: table name, chunk, rows, digest.
    #[must_use]
    pub fn insert_chunk(&self) -> String {
        format!(
            "INSERT INTO {} (data_set, table_name, chunk, row_count, digest) \
             VALUES ({}, $1, $2, $3, $4)",
            self.table,
            literal(&self.data_set)
        )
    }

    /// The committed chunks of each table: number to rows.
    ///
    /// # Errors
    /// The server's.
    pub fn chunks(&self, client: &mut Client) -> Result<HashMap<String, HashMap<u32, u64>>> {
        let sql = format!(
            "SELECT table_name, chunk, row_count FROM {} WHERE data_set = $1 AND chunk > 0",
            self.table
        );
        let rows = client
            .query(&sql, &[&self.data_set])
            .map_err(failed("cannot read the target's ledger"))?;
        let mut tables: HashMap<String, HashMap<u32, u64>> = HashMap::new();
        for row in rows {
            let (chunk, count): (i64, Option<i64>) = (row.get(1), row.get(2));
            let number = u32::try_from(chunk).unwrap_or(0);
            let count = count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            tables.entry(row.get(0)).or_default().insert(number, count);
        }
        Ok(tables)
    }

    /// Changes the data set's row.
    #[must_use]
    pub fn set_detail(&self, detail: &serde_json::Value) -> String {
        format!(
            "UPDATE {} SET detail = {}, written_at = pg_catalog.clock_timestamp() \
             WHERE data_set = {} AND table_name = '' AND chunk = -1",
            self.table,
            literal(&detail.to_string()),
            literal(&self.data_set)
        )
    }

    /// Writes the data set's row as it is, and says which state that is; `None` where there is no
    /// such row, or no ledger.
    ///
    /// # Errors
    /// The server's.
    pub fn touch(&self, transaction: &mut Transaction<'_>) -> Result<Option<State>> {
        let failed = failed("cannot write the target's ledger");
        let there = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        if !transaction.query_one(there, &[&self.table]).map_err(&failed)?.get::<_, bool>(0) {
            return Ok(None);
        }
        let sql = format!(
            "UPDATE {} SET detail = detail WHERE data_set = $1 AND table_name = '' AND chunk = -1 \
             RETURNING detail",
            self.table
        );
        let row = transaction.query_opt(&sql, &[&self.data_set]).map_err(&failed)?;
        let detail = row.and_then(|row| row.get::<_, Option<String>>(0));
        let detail: Option<serde_json::Value> =
            detail.and_then(|text| serde_json::from_str(&text).ok());
        Ok(detail.and_then(|detail| serde_json::from_value(detail["state"].clone()).ok()))
    }

    /// Removes all rows of the data set but its own.
    #[must_use]
    pub fn forget_chunks(&self) -> String {
        format!(
            "DELETE FROM {} WHERE data_set = {} AND chunk >= 0",
            self.table,
            literal(&self.data_set)
        )
    }
}

/// The sum of row hashes as the ledger keeps it.
#[must_use]
pub fn digest_bytes(digest: &Digest) -> Vec<u8> {
    digest.bytes().to_vec()
}

//! The ledger: the target's own record of what was committed, in the same transactions.
//!
//! It is one table, `migrate_ledger`, in the target schema. The key tells the kinds of rows apart:
//!
//! | table name | chunk | content |
//! | --- | --- | --- |
//! | empty | -1 | the data set's row: state of the run, format of the ledger |
//! | empty | -2 | the plan |
//! | a table | 0 | the identity of the table and its chunks |
//! | a table | above 0 | a committed chunk, and the number of its transaction |
//! | a table | -3, -4 | what is attached to a dropped table (no data set), see `attached/store` |
//!
//! A chunk's row is inserted before its COPY. A second sender of the same chunk waits for the first
//! and then fails on the primary key, so that no chunk is committed twice.
//!
//! The chunks' rows stay after the verdict: a row of the target is ours if its `xmin` is a transaction of
//! the ledger. The plan and the tables' rows are deleted then.
//!
//! The data set's row names the run that writes. Another run puts its own name there before it
//! writes anything. From then on the earlier run, if it was only suspended, cannot write.

pub(crate) mod detail;

use crate::error::{Error, Result};
use crate::postgres::errors::db_error;
use crate::postgres::lease::run_lock::RunId;
use crate::postgres::ledger::detail::{LedgerDetail, State};
use crate::schema::chunk::Chunk;
use crate::schema::names::{literal, qualify, quote};
use postgres::{Client, GenericClient, Transaction};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

pub(crate) const TABLE: &str = "migrate_ledger";

const COLUMNS: i64 = 7;

/// The statements on one schema's ledger.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    table: String,
    data_set: String,
}

/// A data set's row.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) data_set: String,
    pub(crate) detail: LedgerDetail,
}

/// A table's row: the identity of the table on the server, and its chunks.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TableRow {
    /// The table's OID. A table that was dropped and created again has another one.
    pub(crate) oid: i64,
    /// The number of its file. A table that was truncated or rewritten has another one.
    pub(crate) filenode: i64,
    /// The chunks as they were planned.
    pub(crate) chunks: Vec<Chunk>,
}

impl Ledger {
    pub(crate) fn new(schema: &str, data_set: &str) -> Self {
        Self { table: qualify(schema, TABLE), data_set: data_set.to_owned() }
    }

    /// The statement that creates the table if it is missing.
    pub(crate) fn create(&self) -> String {
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

    /// The query for the transactions that wrote chunks, as `xmin` has them. Format 2 had none.
    pub(crate) fn transactions(schema: &str) -> String {
        format!(
            "SELECT detail::pg_catalog.xid8::pg_catalog.xid FROM {} \
             WHERE chunk > 0 AND detail IS NOT NULL",
            qualify(schema, TABLE)
        )
    }

    /// The data sets' rows of the ledger in `schema`; `None` if there is no ledger.
    pub(crate) fn entries(
        client: &mut impl GenericClient,
        schema: &str,
    ) -> Result<Option<Vec<Entry>>> {
        let what = CANNOT_READ;
        let columns: Option<i64> = client
            .query_opt(
                "SELECT (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
                   AND a.attname IN ('data_set', 'table_name', 'chunk', 'row_count', 'digest', \
                   'detail', 'written_at')) \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n \
                 ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
                &[&schema, &TABLE],
            )
            .map_err(db_error(what))?
            .map(|row| row.get(0));
        match columns {
            None => return Ok(None),
            Some(COLUMNS) => {}
            Some(_) => {
                return Err(Error::refused(format!(
                    "schema {} of the target has an object named {TABLE} that migrate did not create",
                    quote(schema)
                ))
                .caused_by("migrate keeps its ledger under that name")
                .hint("rename it, or choose another schema with options=-csearch_path=NAME"));
            }
        }
        let sql = format!(
            "SELECT data_set, detail FROM {} WHERE table_name = '' AND chunk = -1 ORDER BY 1",
            qualify(schema, TABLE)
        );
        let rows = client.query(&sql, &[]).map_err(db_error(what))?;
        let read = |row: &postgres::Row| {
            let detail = LedgerDetail::read(row.get(1), schema)?;
            Ok(Entry { data_set: row.get(0), detail })
        };
        rows.iter().map(read).collect::<Result<_>>().map(Some)
    }

    /// The row of `data_set` in the ledger of `schema`, if there is one.
    pub(crate) fn entry(
        client: &mut Client,
        schema: &str,
        data_set: &str,
    ) -> Result<Option<Entry>> {
        let entries = Self::entries(client, schema)?.unwrap_or_default();
        Ok(entries.into_iter().find(|entry| entry.data_set == data_set))
    }

    /// The statements that record the data set and its plan, in place of an earlier run's rows.
    pub(crate) fn begin(&self, detail: &LedgerDetail, plan: &str) -> String {
        let data_set = literal(&self.data_set);
        format!(
            "DELETE FROM {table} WHERE data_set = {data_set}; \
             INSERT INTO {table} (data_set, table_name, chunk, detail) \
             VALUES ({data_set}, '', -1, {detail}), ({data_set}, '', -2, {plan})",
            table = self.table,
            detail = literal(&detail.to_json().to_string()),
            plan = literal(plan),
        )
    }

    /// The plan of an interrupted run, if there is one.
    pub(crate) fn plan(&self, client: &mut Client) -> Result<Option<String>> {
        let sql = format!(
            "SELECT detail FROM {} WHERE data_set = $1 AND table_name = '' AND chunk = -2",
            self.table
        );
        let row = client.query_opt(&sql, &[&self.data_set]).map_err(db_error(CANNOT_READ))?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// The tables' rows, by the tables' names in the source, without those that cannot be read.
    pub(crate) fn tables(&self, client: &mut Client) -> Result<HashMap<String, TableRow>> {
        let sql = format!(
            "SELECT table_name, detail FROM {} WHERE data_set = $1 AND chunk = 0",
            self.table
        );
        let rows = client.query(&sql, &[&self.data_set]).map_err(db_error(CANNOT_READ))?;
        let read = |row: &postgres::Row| {
            let detail: Option<&str> = row.get(1);
            Some((row.get(0), serde_json::from_str(detail?).ok()?))
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// The statement that records a table just created, with its identity on the server.
    pub(crate) fn add_table(&self, qualified: &str, name: &str, chunks: &Value) -> String {
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

    /// The statement that inserts a chunk's row, with the parameters table name, chunk, rows and
    /// digest. It inserts nothing if the ledger names another run than `run`.
    pub(crate) fn insert_chunk(&self, run: &RunId) -> String {
        format!(
            "INSERT INTO {table} (data_set, table_name, chunk, row_count, digest, detail) \
             SELECT data_set, $1::text, $2::bigint, $3::bigint, $4::bytea, \
             pg_catalog.pg_current_xact_id()::text FROM {table} WHERE {}",
            self.is_of(run),
            table = self.table,
        )
    }

    /// The query that finds a committed chunk, with the parameters table name, chunk, rows and
    /// digest.
    pub(crate) fn has_chunk(&self) -> String {
        format!(
            "SELECT 1 FROM {} WHERE data_set = {} AND table_name = $1 AND chunk = $2 \
             AND row_count = $3 AND digest = $4",
            self.table,
            literal(&self.data_set)
        )
    }

    fn is_the_data_set(&self) -> String {
        format!("data_set = {} AND table_name = '' AND chunk = -1", literal(&self.data_set))
    }

    /// The condition on the data set's row, if `run` wrote it.
    fn is_of(&self, run: &RunId) -> String {
        format!(
            "{} AND detail::pg_catalog.json ->> 'run' = {}",
            self.is_the_data_set(),
            literal(&run.to_string())
        )
    }

    /// The committed chunks of each table: number to rows.
    pub(crate) fn chunks(&self, client: &mut Client) -> Result<HashMap<String, HashMap<u32, u64>>> {
        let sql = format!(
            "SELECT table_name, chunk, row_count FROM {} WHERE data_set = $1 AND chunk > 0",
            self.table
        );
        let rows = client.query(&sql, &[&self.data_set]).map_err(db_error(CANNOT_READ))?;
        let mut tables: HashMap<String, HashMap<u32, u64>> = HashMap::new();
        for row in rows {
            let (chunk, count): (i64, Option<i64>) = (row.get(1), row.get(2));
            let number = u32::try_from(chunk).unwrap_or(0);
            let count = count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            tables.entry(row.get(0)).or_default().insert(number, count);
        }
        Ok(tables)
    }

    /// The rows with the number `chunk` that belong to no data set: table and content.
    pub(crate) fn kept(
        &self,
        client: &mut impl GenericClient,
        chunk: i64,
    ) -> Result<Vec<(String, String)>> {
        if !self.exists(client)? {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT table_name, coalesce(detail, '') FROM {} WHERE data_set = '' AND chunk = $1 \
             ORDER BY 1",
            self.table
        );
        let rows = client.query(&sql, &[&chunk]).map_err(db_error(CANNOT_READ))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Adds the JSON array `detail` to such a row.
    pub(crate) fn keep(
        &self,
        client: &mut impl GenericClient,
        chunk: i64,
        name: &str,
        detail: &str,
    ) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} AS l (data_set, table_name, chunk, detail) VALUES ('', $1, $2, $3) \
             ON CONFLICT (data_set, table_name, chunk) DO UPDATE SET detail = \
             (l.detail::pg_catalog.jsonb || excluded.detail::pg_catalog.jsonb)::text",
            self.table
        );
        client.execute(&sql, &[&name, &chunk, &detail]).map_err(db_error(CANNOT_WRITE)).map(drop)
    }

    /// Deletes such a row.
    pub(crate) fn forget_kept(
        &self,
        client: &mut impl GenericClient,
        chunk: i64,
        name: &str,
    ) -> Result<()> {
        let sql = format!(
            "DELETE FROM {} WHERE data_set = '' AND table_name = $1 AND chunk = $2",
            self.table
        );
        client.execute(&sql, &[&name, &chunk]).map_err(db_error(CANNOT_WRITE)).map(drop)
    }

    /// Changes the data set's row, and waits until this commit and all before it are on disk. With
    /// `forget` the rows that only a resumed run needs are deleted.
    ///
    /// Failed if `run` is given and another run has replaced it.
    pub(crate) fn set_detail(
        &self,
        client: &mut impl GenericClient,
        run: Option<&RunId>,
        detail: &LedgerDetail,
        forget: bool,
    ) -> Result<()> {
        let what = CANNOT_WRITE;
        let mut transaction = client.transaction().map_err(db_error(what))?;
        transaction.batch_execute("SET LOCAL synchronous_commit = on").map_err(db_error(what))?;
        let sql = format!(
            "UPDATE {} SET detail = {}, written_at = pg_catalog.clock_timestamp() WHERE {}",
            self.table,
            literal(&detail.to_json().to_string()),
            run.map_or_else(|| self.is_the_data_set(), |run| self.is_of(run))
        );
        if transaction.execute(&sql, &[]).map_err(db_error(what))? != 1 {
            return Err(taken_over(what));
        }
        if forget {
            let sql =
                format!("DELETE FROM {} WHERE data_set = $1 AND chunk IN (-2, 0)", self.table);
            transaction.execute(&sql, &[&self.data_set]).map_err(db_error(what))?;
        }
        transaction.commit().map_err(db_error(what))
    }

    fn exists(&self, client: &mut impl GenericClient) -> Result<bool> {
        let exists = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        let row = client.query_one(exists, &[&self.table]).map_err(db_error(CANNOT_READ))?;
        Ok(row.get(0))
    }

    /// Writes the data set's row unchanged and returns its state; `None` if there is no row or no
    /// ledger.
    pub(crate) fn touch(&self, transaction: &mut Transaction<'_>) -> Result<Option<State>> {
        let failed = db_error(CANNOT_WRITE);
        if !self.exists(transaction)? {
            return Ok(None);
        }
        let sql = format!(
            "UPDATE {} SET detail = detail WHERE data_set = $1 AND table_name = '' AND chunk = -1 \
             RETURNING detail",
            self.table
        );
        let row = transaction.query_opt(&sql, &[&self.data_set]).map_err(&failed)?;
        let detail = row.and_then(|row| row.get::<_, Option<String>>(0));
        let detail: Option<Value> = detail.and_then(|text| serde_json::from_str(&text).ok());
        Ok(detail.and_then(|detail| serde_json::from_value(detail["state"].clone()).ok()))
    }

    /// Removes all rows of the data set, and with the last data set the table. Returns a note if the
    /// table stays only because it keeps definitions.
    pub(crate) fn remove(&self, client: &mut impl GenericClient) -> Result<Option<String>> {
        let what = "cannot remove the target's ledger";
        let mut transaction = client.transaction().map_err(db_error(what))?;
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", self.table);
        let delete = format!("DELETE FROM {} WHERE data_set = $1", self.table);
        let left = format!("SELECT pg_catalog.bool_and(data_set = '') FROM {}", self.table);
        transaction.batch_execute(&lock).map_err(db_error(what))?;
        transaction.execute(&delete, &[&self.data_set]).map_err(db_error(what))?;
        let has_only_kept: Option<bool> =
            transaction.query_one(&left, &[]).map_err(db_error(what))?.get(0);
        if has_only_kept.is_none() {
            let drop = format!("DROP TABLE {} RESTRICT", self.table);
            transaction.batch_execute(&drop).map_err(db_error(what))?;
        }
        transaction.commit().map_err(db_error(what))?;
        let note = || {
            let table = &self.table;
            format!(
                "the ledger stays, because it keeps definitions that were not restored; to drop them: \
                 DROP TABLE {table}"
            )
        };
        Ok((has_only_kept == Some(true)).then(note))
    }
}

const CANNOT_READ: &str = "cannot read the target's ledger";
const CANNOT_WRITE: &str = "cannot write the target's ledger";

/// The error of a run that was suspended while another run replaced it.
pub(crate) fn taken_over(what: &str) -> Error {
    Error::failed(what)
        .caused_by("another run replaced this one while it was suspended")
        .hint("wait until the other run has ended")
}

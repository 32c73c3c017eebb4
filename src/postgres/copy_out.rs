//! Reading: tuples of all tables as one snapshot sees them, over any number of connections.
//!
//! An exported snapshot does not protect from what rewrites a table (VACUUM FULL, TRUNCATE, some
//! ALTER TABLEs): sessions that join later would see it empty or in part. So the session that
//! exports it first locks every table in the mode of a reader, and holds the locks to the end.

use crate::codec::block::HEADER;
use crate::codec::tuple;
use crate::codec::tuple::NextField;
use crate::error::{Error, Result};
use crate::postgres::errors::{db_error, is_connection_lost};
use crate::schema::names::{literal, qualify};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use postgres::{Client, SimpleQueryMessage};
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How long a connection that is not needed any more may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// A snapshot, held by a session of its own.
pub struct Snapshot {
    client: Client,
    id: String,
}

/// A table that holds rows itself: not partitioned.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Its qualified name.
    pub(crate) name: String,
    /// Its size in blocks, read under the locks. Rows beyond are possible.
    pub(crate) blocks: u64,
    /// Row-level security keeps rows from this role.
    pub(crate) hidden: bool,
}

impl Snapshot {
    /// Locks `tables` (qualified names) and takes the snapshot.
    ///
    /// # Errors
    /// The server's: a table that is gone or may not be read.
    pub fn take(mut client: Client, tables: &[String]) -> Result<Self> {
        let what = "cannot hold the tables still";
        let mut begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned();
        if !tables.is_empty() {
            begin.push_str(&format!("; LOCK TABLE {} IN ACCESS SHARE MODE", tables.join(", ")));
        }
        client.batch_execute(&begin).map_err(db_error(what))?;
        let id = client
            .query_one("SELECT pg_catalog.pg_export_snapshot()", &[])
            .map_err(db_error(what))?
            .get(0);
        Ok(Self { client, id })
    }

    /// The relations that hold a table's rows: itself, or the leaves of its partitions.
    pub(crate) fn relations(&mut self, table: &str) -> Result<Vec<Relation>> {
        let table = literal(table);
        let sql = format!(
            "SELECT n.nspname::text, c.relname::text, \
             pg_catalog.pg_relation_size(c.oid) / \
               pg_catalog.current_setting('block_size')::bigint, \
             pg_catalog.row_security_active(c.oid) OR \
               pg_catalog.row_security_active({table}::pg_catalog.regclass) \
             FROM (SELECT relid::oid AS oid \
                   FROM pg_catalog.pg_partition_tree({table}::pg_catalog.regclass) WHERE isleaf \
                   UNION SELECT oid FROM pg_catalog.pg_class \
                   WHERE oid = {table}::pg_catalog.regclass AND relkind = 'r') AS leaf \
             JOIN pg_catalog.pg_class c USING (oid) \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY c.oid"
        );
        let rows =
            self.client.query(&sql, &[]).map_err(db_error("cannot read PostgreSQL's catalog"))?;
        let relation = |row: &postgres::Row| Relation {
            name: qualify(row.get(0), row.get(1)),
            blocks: u64::try_from(row.get::<_, i64>(2)).unwrap_or(0),
            hidden: row.get(3),
        };
        Ok(rows.iter().map(relation).collect())
    }

    /// The session that holds the snapshot, which sees what it sees.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether its session is lost, and the snapshot with it.
    pub(crate) fn is_lost(&mut self) -> bool {
        self.client.batch_execute("SELECT 1").is_err_and(|error| is_connection_lost(&error))
    }

    /// What makes another session see what this one sees.
    pub fn import_sql(&self) -> String {
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            literal(&self.id)
        )
    }
}

/// A connection that reads tuples. The synchronous client enters its runtime anew for each row,
/// which costs more than the row itself; here a whole COPY is read inside one.
pub struct TupleReader {
    runtime: Runtime,
    /// `None` only while it is being dropped.
    client: Option<tokio_postgres::Client>,
    connection: Option<JoinHandle<()>>,
}

impl TupleReader {
    pub(crate) fn new(
        runtime: Runtime,
        client: tokio_postgres::Client,
        connection: JoinHandle<()>,
    ) -> Self {
        Self { runtime, client: Some(client), connection: Some(connection) }
    }

    /// Asks a query whose answers come as text.
    pub fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
        match &self.client {
            Some(client) => self.runtime.block_on(client.simple_query(sql)),
            None => Ok(Vec::new()),
        }
    }

    /// Runs a query and hands each row to `each` as a tuple, read where it lies, until that fails.
    ///
    /// # Errors
    /// The server's, as `what` failed; and those of `each`.
    pub fn tuples(
        &mut self,
        select: &str,
        what: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.kept_tuples(select, what, |tuple, _| each(tuple))
    }

    /// The same; beside each tuple `each` is given the memory that it lies in, and may keep that.
    ///
    /// # Errors
    /// The server's, as `what` failed; and those of `each`.
    pub(crate) fn kept_tuples(
        &mut self,
        select: &str,
        what: &str,
        mut each: impl FnMut(&[u8], &Bytes) -> Result<()>,
    ) -> Result<()> {
        let copy = format!("COPY ({select}) TO STDOUT (FORMAT binary)");
        let Some(client) = &self.client else { return Ok(()) };
        self.runtime.block_on(async {
            let mut stream = pin!(client.copy_out(&copy).await.map_err(db_error(what))?);
            let (mut head, mut ended) = (true, false);
            // What a message left over; empty as long as messages hold whole rows.
            let mut carried: Vec<u8> = Vec::new();
            // To be read to its end, or the connection could not be used again.
            while let Some(message) = stream.try_next().await.map_err(db_error(what))? {
                if carried.is_empty() {
                    let (used, at_end) = whole_tuples(&message, &mut head, &mut each)?;
                    ended |= at_end;
                    if !ended {
                        carried.extend_from_slice(&message[used..]);
                    }
                } else {
                    carried.extend_from_slice(&message);
                    let all = Bytes::from(std::mem::take(&mut carried));
                    let (used, at_end) = whole_tuples(&all, &mut head, &mut each)?;
                    ended |= at_end;
                    if !ended {
                        carried.extend_from_slice(&all[used..]);
                    }
                }
            }
            if ended {
                return Ok(());
            }
            Err(Error::failed(what).caused_by("the server's answer is cut off"))
        })
    }
}

impl Drop for TupleReader {
    /// Says farewell, unless the server does not listen.
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(connection) = self.connection.take() {
            let farewell = async { tokio::time::timeout(SHUTDOWN_TIMEOUT, connection).await };
            drop(self.runtime.block_on(farewell));
        }
    }
}

/// Hands over the whole tuples at the start of `bytes`; says how many bytes they took, and
/// whether the stream ends there.
#[inline]
fn whole_tuples(
    bytes: &Bytes,
    head: &mut bool,
    each: &mut impl FnMut(&[u8], &Bytes) -> Result<()>,
) -> Result<(usize, bool)> {
    let mut used = 0;
    if *head {
        // No extension of the head is known, and the flag of one would be refused by readers.
        if bytes.len() < HEADER.len() {
            return Ok((0, false));
        }
        *head = false;
        used = HEADER.len();
    }
    loop {
        match tuple::next(&bytes[used..]) {
            NextField::Tuple(length) => {
                each(&bytes[used..used + length], bytes)?;
                used += length;
            }
            NextField::End => return Ok((used, true)),
            NextField::Part => return Ok((used, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_however_the_stream_is_cut() {
        let row = [0, 1, 0, 0, 0, 1, b'x'];
        let stream = Bytes::from([HEADER.as_slice(), &row, &row, &[0xff, 0xff]].concat());
        for cut in 0..stream.len() {
            let (mut head, mut rows) = (true, 0);
            let mut each = |tuple: &[u8], kept: &Bytes| {
                assert_eq!((tuple, &kept.slice_ref(tuple)[..]), (&row[..], &row[..]));
                rows += 1;
                Ok(())
            };
            let (used, ended) = whole_tuples(&stream.slice(..cut), &mut head, &mut each).unwrap();
            assert!(!ended);
            let rest = whole_tuples(&stream.slice(used..), &mut head, &mut each).unwrap();
            assert_eq!((rest.1, rows), (true, 2), "{cut}");
        }
    }
}

//! Reads tuples from PostgreSQL: all tables in one snapshot, over any number of connections.
//!
//! An exported snapshot does not protect against statements that rewrite a table (VACUUM FULL,
//! TRUNCATE, some ALTER TABLEs): a session that imports it later would see the table empty or in
//! part. So the exporting session first locks every table in ACCESS SHARE mode, until the end.

use crate::codec::block::HEADER;
use crate::codec::tuple::{self, NextField};
use crate::error::{Error, Result};
use crate::postgres::errors::{db_error, is_connection_lost};
use crate::schema::names::literal;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use postgres::{Client, SimpleQueryMessage};
use std::pin::pin;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

/// How long the end of a connection may take.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// An exported snapshot, held by a session of its own.
pub struct Snapshot {
    client: Client,
    id: String,
}

impl Snapshot {
    /// Locks `tables` (qualified names) and takes the snapshot.
    ///
    /// # Errors
    /// A table does not exist any more, or may not be read.
    pub fn take(mut client: Client, tables: &[String]) -> Result<Self> {
        let what = "cannot lock the tables for reading";
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

    /// The session that holds the snapshot, and reads in it.
    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Whether its session is lost, and the snapshot with it.
    pub(crate) fn is_lost(&mut self) -> bool {
        self.client.batch_execute("SELECT 1").is_err_and(|error| is_connection_lost(&error))
    }

    /// The statements that import the snapshot into another session.
    pub fn import_sql(&self) -> String {
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {}",
            literal(&self.id)
        )
    }
}

/// A connection that reads tuples. The synchronous client enters its runtime for each row, which
/// costs more than the row itself. This one reads a whole COPY within one entry.
pub struct TupleReader {
    runtime: Runtime,
    /// `None` only during the drop.
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

    /// Runs a query whose results are texts.
    pub fn simple_query(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, postgres::Error> {
        match &self.client {
            Some(client) => self.runtime.block_on(client.simple_query(sql)),
            None => Ok(Vec::new()),
        }
    }

    /// Runs a query and passes each row to `each` as a tuple, without a copy. `what` is the message of
    /// an error of the server.
    ///
    /// # Errors
    /// The query failed, or `each` did.
    pub fn tuples(
        &mut self,
        select: &str,
        what: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        self.kept_tuples(select, what, |tuple, _| each(tuple))
    }

    /// As [`Self::tuples`]; `each` also gets the message that contains the tuple, and may keep it.
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
            let (mut in_header, mut ended) = (true, false);
            // The rest of a message; empty as long as messages contain whole rows.
            let mut carried: Vec<u8> = Vec::new();
            // It is read to its end; otherwise the connection could not be used again.
            while let Some(message) = stream.try_next().await.map_err(db_error(what))? {
                let message = if carried.is_empty() {
                    message
                } else {
                    carried.extend_from_slice(&message);
                    Bytes::from(std::mem::take(&mut carried))
                };
                let (used, at_end) = whole_tuples(&message, &mut in_header, &mut each)?;
                ended |= at_end;
                if !ended {
                    carried.extend_from_slice(&message[used..]);
                }
            }
            if ended {
                return Ok(());
            }
            Err(Error::failed(what).caused_by("the server's answer ended early"))
        })
    }
}

impl Drop for TupleReader {
    /// Closes the connection, within a time limit.
    fn drop(&mut self) {
        drop(self.client.take());
        if let Some(connection) = self.connection.take() {
            let shutdown = async { tokio::time::timeout(SHUTDOWN_TIMEOUT, connection).await };
            drop(self.runtime.block_on(shutdown));
        }
    }
}

/// Passes the complete tuples at the start of `bytes` to `each`. Returns their length, and whether the
/// stream ends there.
#[inline]
fn whole_tuples(
    bytes: &Bytes,
    in_header: &mut bool,
    each: &mut impl FnMut(&[u8], &Bytes) -> Result<()>,
) -> Result<(usize, bool)> {
    let mut used = 0;
    if *in_header {
        // There are no extensions of the header.
        if bytes.len() < HEADER.len() {
            return Ok((0, false));
        }
        *in_header = false;
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
    fn rows_are_found_wherever_the_stream_is_split() {
        let row = [0, 1, 0, 0, 0, 1, b'x'];
        let stream = Bytes::from([HEADER.as_slice(), &row, &row, &[0xff, 0xff]].concat());
        for cut in 0..stream.len() {
            let (mut in_header, mut rows) = (true, 0);
            let mut each = |tuple: &[u8], kept: &Bytes| {
                assert_eq!((tuple, &kept.slice_ref(tuple)[..]), (&row[..], &row[..]));
                rows += 1;
                Ok(())
            };
            let (used, ended) =
                whole_tuples(&stream.slice(..cut), &mut in_header, &mut each).unwrap();
            assert!(!ended);
            let rest = whole_tuples(&stream.slice(used..), &mut in_header, &mut each).unwrap();
            assert_eq!((rest.1, rows), (true, 2), "{cut}");
        }
    }
}

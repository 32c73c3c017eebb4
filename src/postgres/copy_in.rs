//! Writes blocks into PostgreSQL: one transaction each, with its ledger row first and then one COPY.

use crate::codec::block::Block;
use crate::error::{Error, Result};
use crate::postgres::errors::{db_error, sqlstate};
use crate::postgres::lease::run_lock::RunId;
use crate::postgres::ledger::{Ledger, taken_over};
use crate::schema::names::quote;
use postgres::types::ToSql;
use postgres::{Client, GenericClient, Statement, ToStatement};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

/// Bytes of COPY data in one message: large enough that the server's work per message costs little
/// (8 KB costs 15 % more than 64 KB, 64 KB 10 % more than 1 MB), and small compared to the budget.
const MESSAGE_BYTES: usize = 512 * 1024;

/// The SQLSTATE of a row whose key exists already.
const UNIQUE_VIOLATION: &str = "23505";

/// The target of the blocks of one table.
#[derive(Debug, Clone)]
pub(crate) struct CopyTarget {
    /// The name of the table in the source and in the ledger.
    pub(crate) table: String,
    pub(crate) copy: String,
}

pub(crate) struct BlockWriter {
    client: Client,
    insert: Statement,
    find: Statement,
    targets: Arc<[CopyTarget]>,
    copies: HashMap<usize, Statement>,
}

impl BlockWriter {
    /// A writer over `client`, for the plan's tables in their order.
    ///
    /// Its commits are asynchronous. The copy phase ends with a synchronous commit, and reads the
    /// whole ledger afterwards.
    pub(crate) fn new(
        mut client: Client,
        ledger: &Ledger,
        run: &RunId,
        targets: Arc<[CopyTarget]>,
    ) -> Result<Self> {
        let what = "cannot prepare a connection for writing";
        client.batch_execute("SET synchronous_commit = off").map_err(db_error(what))?;
        let insert = client.prepare(&ledger.insert_chunk(run)).map_err(db_error(what))?;
        let find = client.prepare(&ledger.has_chunk()).map_err(db_error(what))?;
        Ok(Self { client, insert, find, targets, copies: HashMap::new() })
    }

    /// Writes a block and its ledger row in one transaction. Errors: nothing of the block arrived,
    /// unless the connection was lost during the commit. The ledger shows whether it did.
    pub(crate) fn write(&mut self, block: &Block) -> Result<()> {
        let target = &self.targets[block.table];
        let what = format!("cannot write chunk {} of table {}", block.chunk, quote(&target.table));
        let failed = db_error(&what);
        let copy = match self.copies.get(&block.table) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(&target.copy).map_err(&failed)?;
                self.copies.insert(block.table, statement.clone());
                statement
            }
        };
        let mut transaction = self.client.transaction().map_err(&failed)?;
        let (chunk, rows) = (i64::from(block.chunk), block.digest.rows as i64);
        let digest = block.digest.bytes().to_vec();
        let row: [&(dyn ToSql + Sync); 4] = [&target.table, &chunk, &rows, &digest];
        match transaction.execute(&self.insert, &row) {
            Ok(1) => {}
            Ok(_) => return Err(taken_over(&what)),
            Err(error) if sqlstate(&error) == Some(UNIQUE_VIOLATION) => {
                // It was committed before, and the server's answer was lost.
                transaction.rollback().map_err(&failed)?;
                return match self.client.query_opt(&self.find, &row).map_err(&failed)? {
                    Some(_) => Ok(()),
                    None => Err(Error::failed(what.clone())
                        .caused_by("the ledger has this chunk with other rows")),
                };
            }
            Err(error) => return Err(failed(error)),
        }
        copy_in(&mut transaction, &copy, (&block.data, block.digest.rows), &what)?;
        transaction.commit().map_err(&failed)
    }
}

/// Sends `rows` rows in `data` with the COPY statement `copy`. `what` is the message of an error.
pub(crate) fn copy_in<T: ?Sized + ToStatement>(
    client: &mut impl GenericClient,
    copy: &T,
    (data, rows): (&[u8], u64),
    what: &str,
) -> Result<()> {
    let mut stream = client.copy_in(copy).map_err(db_error(what))?;
    let sent = data.chunks(MESSAGE_BYTES).try_for_each(|message| stream.write_all(message));
    if let Err(error) = sent {
        // The end of the stream returns the server's own reason, where there is one.
        return Err(match stream.finish() {
            Err(reason) => db_error(what)(reason),
            Ok(_) => Error::failed(what).caused_by(error),
        });
    }
    let accepted = stream.finish().map_err(db_error(what))?;
    if accepted != rows {
        let cause = format!("the server accepted {accepted} of {rows} rows");
        return Err(Error::failed(what).caused_by(cause));
    }
    Ok(())
}

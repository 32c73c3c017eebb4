//! The scratch schema: where measurements write, and of which nothing stays.

use crate::config::connection::Connection;
use crate::error::{Error, Result};
use crate::postgres::catalog::target_objects::{drop_objects, existing};
use crate::postgres::connect::connect;
use crate::postgres::errors::{db_error, describe};
use crate::schema::names::quote;
use postgres::Client;

/// A schema of its own in somebody's database; it goes when this is dropped.
pub(crate) struct Scratch {
    connection: Connection,
    name: String,
    is_there: bool,
}

impl Scratch {
    /// A name that no other schema has.
    pub(crate) fn new_name() -> String {
        format!("migrate_bench_{:016x}", fastrand::u64(..))
    }

    /// Creates the schema.
    ///
    /// # Errors
    /// The database cannot be connected to, or the role may not create schemas in it.
    pub(crate) fn make(connection: &Connection, name: &str) -> Result<Self> {
        let mut client = connect::<Client>(connection, "bench")?.client;
        client.batch_execute(&format!("CREATE SCHEMA {}", quote(name))).map_err(|error| {
            let refused = Error::refused("cannot create a scratch schema in the target's database");
            let (dbname, user) = (quote(&connection.dbname), quote(&connection.user));
            refused.caused_by(describe(&error)).hint(format!(
                "let the database's owner run: GRANT CREATE ON DATABASE {dbname} TO {user}"
            ))
        })?;
        Ok(Self { connection: connection.clone(), name: name.to_owned(), is_there: true })
    }

    /// Drops everything that is in it.
    pub(crate) fn empty(&self) -> Result<()> {
        self.drop_all("")
    }

    /// Drops it with everything in it.
    ///
    /// # Errors
    /// The server's, with the statement that is left to do.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.drop_schema()
    }

    /// Leaves it to the end of its server.
    pub(crate) fn forget(mut self) {
        self.is_there = false;
    }

    /// The statement that drops it, for a person.
    pub(crate) fn drop_statement(name: &str) -> String {
        format!("DROP SCHEMA {} CASCADE", quote(name))
    }

    fn drop_schema(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_there) {
            return Ok(());
        }
        self.drop_all(&format!("DROP SCHEMA {} RESTRICT", quote(&self.name))).map_err(|error| {
            let name = quote(&self.name);
            error
                .context(format!("the scratch schema {name} is left in the target's database"))
                .hint(format!("drop it: {}", Self::drop_statement(&self.name)))
        })
    }

    /// Drops what is in the schema and does `rest`, in one transaction.
    fn drop_all(&self, rest: &str) -> Result<()> {
        let what = "cannot drop the scratch tables";
        let mut client = connect::<Client>(&self.connection, "bench")?.client;
        let mut transaction = client.transaction().map_err(db_error(what))?;
        let things = existing(&mut transaction, &self.name)?;
        // A refusal would say that nothing was written yet.
        drop_objects(&mut transaction, &self.name, &things, true).map_err(|error| {
            let failed = Error::failed(error.message());
            error.causes().iter().fold(failed, Error::caused_by)
        })?;
        transaction.batch_execute(rest).map_err(db_error(what))?;
        transaction.commit().map_err(db_error(what))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Only after a panic, which tells itself.
        let _ = self.drop_schema();
    }
}

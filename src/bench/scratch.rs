//! The scratch schema: measurements write only to it, and it is dropped at the end.

use crate::config::connection::Connection;
use crate::error::{Error, Result};
use crate::postgres::catalog::target_objects::{drop_objects, existing};
use crate::postgres::connect::connect;
use crate::postgres::errors::{db_error, describe};
use crate::schema::names::quote;
use postgres::Client;

/// A schema of its own in the target. Dropping this value drops the schema.
pub(crate) struct Scratch {
    connection: Connection,
    name: String,
    exists: bool,
}

impl Scratch {
    /// A random name.
    pub(crate) fn new_name() -> String {
        format!("migrate_bench_{:016x}", fastrand::u64(..))
    }

    /// Creates the schema. Errors: the connection fails, or the role may not create schemas.
    pub(crate) fn create(connection: &Connection, name: &str) -> Result<Self> {
        let mut client = connect::<Client>(connection, "bench")?.client;
        client.batch_execute(&format!("CREATE SCHEMA {}", quote(name))).map_err(|error| {
            let refused = Error::refused("cannot create a scratch schema in the target database");
            let (dbname, user) = (quote(&connection.dbname), quote(&connection.user));
            refused.caused_by(describe(&error)).hint(format!(
                "as the owner of the database, run: GRANT CREATE ON DATABASE {dbname} TO {user}"
            ))
        })?;
        Ok(Self { connection: connection.clone(), name: name.to_owned(), exists: true })
    }

    /// Drops all objects in the schema.
    pub(crate) fn empty(&self) -> Result<()> {
        self.drop_all("")
    }

    /// Drops the schema with all objects. Errors: the server refused; the hint has the statement to
    /// run.
    pub(crate) fn remove(mut self) -> Result<()> {
        self.drop_schema()
    }

    /// Keeps the schema: its private server is removed.
    pub(crate) fn forget(mut self) {
        self.exists = false;
    }

    /// The statement that drops the schema, for the user.
    pub(crate) fn drop_statement(name: &str) -> String {
        format!("DROP SCHEMA {} CASCADE", quote(name))
    }

    fn drop_schema(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.exists) {
            return Ok(());
        }
        self.drop_all(&format!("DROP SCHEMA {} RESTRICT", quote(&self.name))).map_err(|error| {
            let name = quote(&self.name);
            error
                .context(format!("the scratch schema {name} is still in the target database"))
                .hint(format!("drop it: {}", Self::drop_statement(&self.name)))
        })
    }

    /// Drops all objects in the schema and runs `rest`, in one transaction.
    fn drop_all(&self, rest: &str) -> Result<()> {
        let what = "cannot drop the scratch tables";
        let mut client = connect::<Client>(&self.connection, "bench")?.client;
        let mut transaction = client.transaction().map_err(db_error(what))?;
        let things = existing(&mut transaction, &self.name)?;
        // A refusal would claim that nothing was written yet.
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
        // Only after a panic, which is reported itself.
        let _ = self.drop_schema();
    }
}

//! The measured server with its scratch schema: a private server or the user's.

use crate::bench::measure::Meter;
use crate::bench::scratch::Scratch;
use crate::config::connection::{Connection, Defaults};
use crate::config::environment::Environment;
use crate::config::secret::Secret;
use crate::error::Result;
use crate::postgres::connect::connect;
use crate::postgres::errors::db_error;
use crate::postgres::server::{Options, PrivateServer};
use postgres::Client;
use std::path::Path;

/// The database of a private server.
const DATABASE: &str = "postgres";

/// The first version with the view pg_stat_checkpointer.
const PG_STAT_CHECKPOINTER: u32 = 170_000;

/// A server with a scratch schema.
pub(crate) struct Server {
    /// Dropped before the server: fields are dropped in this order.
    pub(crate) scratch: Scratch,
    /// The connection string.
    pub(crate) url: Secret,
    /// The parsed connection string.
    pub(crate) connection: Connection,
    private: Option<PrivateServer>,
}

impl Server {
    /// Starts a private server with the default settings and `settings`.
    pub(crate) fn start(settings: &[(&str, String)], schema: &str) -> Result<Self> {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let private = PrivateServer::start(&Options { settings, ..Options::default() })
            .map_err(|error| error.hint("measure an existing server with --to"))?;
        let url = Secret::new(private.url(DATABASE));
        Self::at(url, schema, Some(private))
    }

    /// Connects to the server at `url`. Errors: the connection fails, or the role may not create a
    /// schema.
    pub(crate) fn open(url: Secret, schema: &str) -> Result<Self> {
        Self::at(url, schema, None)
    }

    fn at(url: Secret, schema: &str, private: Option<PrivateServer>) -> Result<Self> {
        let environment = Environment::of_this_process();
        let connection = Connection::parse(url.reveal(), &environment, Defaults::default())?;
        let scratch = Scratch::create(&connection, schema)?;
        Ok(Self { scratch, url, connection, private })
    }

    /// Whether it is a private server.
    pub(crate) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The folder of a private server.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.private.as_ref().map(PrivateServer::folder)
    }

    /// A meter for work with this server.
    pub(crate) fn meter(&self) -> Meter {
        Meter(self.private.as_ref().and_then(PrivateServer::postmaster_pid))
    }

    /// Makes a private server, but never a user's, write a checkpoint, so that no measurement pays
    /// for an earlier one.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        if !self.is_private() {
            return Ok(());
        }
        let mut client = connect::<Client>(&self.connection, "bench")?.client;
        client.batch_execute("CHECKPOINT").map_err(db_error("cannot write a checkpoint"))
    }

    /// Drops the scratch schema, and stops a private server.
    pub(crate) fn end(self) -> Result<()> {
        let Self { scratch, private, .. } = self;
        match private {
            // Removing its folder removes everything.
            Some(private) => {
                scratch.forget();
                private.stop()
            }
            None => scratch.remove(),
        }
    }

    /// The version and the settings.
    pub(crate) fn settings(&self) -> Result<ServerSettings> {
        let what = "cannot read the settings of the server";
        let mut client = connect::<Client>(&self.connection, "bench")?.client;
        let show = |client: &mut Client, name: &str| -> Result<String> {
            let sql = "SELECT pg_catalog.current_setting($1)";
            Ok(client.query_one(sql, &[&name]).map_err(db_error(what))?.get(0))
        };
        let version = show(&mut client, "server_version")?;
        let values = SETTINGS.iter().map(|&name| Ok((name, show(&mut client, name)?)));
        let values = values.collect::<Result<_>>()?;
        Ok(ServerSettings { version, values })
    }

    /// The work so far, as far as the role may see it.
    pub(crate) fn work(&self) -> Result<Work> {
        let session = connect::<Client>(&self.connection, "bench")?;
        let mut client = session.client;
        let mut number = |sql: &str| -> Option<u64> {
            let row = client.query_one(sql, &[]).ok()?;
            u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()
        };
        let checkpoints = if session.server_version < PG_STAT_CHECKPOINTER {
            "SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter"
        } else {
            "SELECT num_requested FROM pg_catalog.pg_stat_checkpointer"
        };
        Ok(Work {
            wal_bytes: number(
                "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), \
                 '0/0')::bigint",
            ),
            forced_checkpoints: number(checkpoints),
        })
    }
}

/// The most important settings.
pub(crate) const SETTINGS: [&str; 6] = [
    "wal_level",
    "max_wal_size",
    "shared_buffers",
    "full_page_writes",
    "fsync",
    "synchronous_commit",
];

/// The version and settings of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    /// The version, as the server shows it.
    pub(crate) version: String,
    /// The values of [`SETTINGS`], as the server shows them.
    pub(crate) values: Vec<(&'static str, String)>,
}

/// The work of a server since its start; figures that cannot be read are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) wal_bytes: Option<u64>,
    pub(crate) forced_checkpoints: Option<u64>,
}

impl Work {
    /// The work since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        let since = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            wal_bytes: since(self.wal_bytes, before.wal_bytes),
            forced_checkpoints: since(self.forced_checkpoints, before.forced_checkpoints),
        }
    }
}

//! The server that is measured, with its scratch schema: one of our own, or somebody's.

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

/// The database of a server of our own.
const DATABASE: &str = "postgres";

/// The first version that keeps the counts of checkpoints in a view of their own.
const OWN_VIEW_OF_CHECKPOINTS: u32 = 170_000;

/// A server with a scratch schema.
pub(crate) struct Server {
    /// Gone before the server is: fields are dropped in this order.
    pub(crate) scratch: Scratch,
    /// What leads to it.
    pub(crate) url: Secret,
    /// The same, understood.
    pub(crate) connection: Connection,
    private: Option<PrivateServer>,
}

impl Server {
    /// Starts a server of our own, with the default settings but for `settings`.
    pub(crate) fn start(settings: &[(&str, String)], schema: &str) -> Result<Self> {
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let private = PrivateServer::start(&Options { settings, ..Options::default() })
            .map_err(|error| error.hint("--to measures a server that is there"))?;
        let url = Secret::new(private.url(DATABASE));
        Self::at(url, schema, Some(private))
    }

    /// The server that `url` leads to.
    ///
    /// # Errors
    /// It cannot be connected to, or the role may not create a schema.
    pub(crate) fn open(url: Secret, schema: &str) -> Result<Self> {
        Self::at(url, schema, None)
    }

    fn at(url: Secret, schema: &str, private: Option<PrivateServer>) -> Result<Self> {
        let environment = Environment::of_this_process();
        let connection = Connection::parse(url.reveal(), &environment, Defaults::default())?;
        let scratch = Scratch::make(&connection, schema)?;
        Ok(Self { scratch, url, connection, private })
    }

    /// Whether it is one of our own.
    pub(crate) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The folder of one of our own.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.private.as_ref().map(PrivateServer::folder)
    }

    /// What measures work with it.
    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.private.as_ref().and_then(PrivateServer::postmaster_pid))
    }

    /// Has a server of our own write what it still has to, so that no measurement pays for the one
    /// before. Somebody else's server is not troubled with that.
    pub(crate) fn settle(&self) -> Result<()> {
        if !self.is_private() {
            return Ok(());
        }
        let mut client = connect::<Client>(&self.connection, "bench")?.client;
        client.batch_execute("CHECKPOINT").map_err(db_error("cannot write a checkpoint"))
    }

    /// Drops the scratch schema, and ends a server of our own.
    pub(crate) fn end(self) -> Result<()> {
        let Self { scratch, private, .. } = self;
        match private {
            // Its folder goes, and with it everything.
            Some(private) => {
                scratch.forget();
                private.stop()
            }
            None => scratch.remove(),
        }
    }

    /// What it is: its version, and how it is set up.
    pub(crate) fn settings(&self) -> Result<ServerSettings> {
        let what = "cannot learn how the server is set up";
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

    /// What it has done so far, as far as this role may see it.
    pub(crate) fn work(&self) -> Result<Work> {
        let session = connect::<Client>(&self.connection, "bench")?;
        let mut client = session.client;
        let mut number = |sql: &str| -> Option<u64> {
            let row = client.query_one(sql, &[]).ok()?;
            u64::try_from(row.try_get::<_, i64>(0).ok()?).ok()
        };
        let checkpoints = if session.server_version < OWN_VIEW_OF_CHECKPOINTS {
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

/// The settings that cost most.
pub(crate) const SETTINGS: [&str; 6] = [
    "wal_level",
    "max_wal_size",
    "shared_buffers",
    "full_page_writes",
    "fsync",
    "synchronous_commit",
];

/// A server, as it is set up.
#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    /// Its version, as it says it.
    pub(crate) version: String,
    /// The values of [`SETTINGS`], as it shows them.
    pub(crate) values: Vec<(&'static str, String)>,
}

/// Work of a server since it was set up; what cannot be seen is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// Bytes of its log.
    pub(crate) wal_bytes: Option<u64>,
    /// Checkpoints that were not due by the clock.
    pub(crate) forced_checkpoints: Option<u64>,
}

impl Work {
    /// What was done since `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        let since = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self {
            wal_bytes: since(self.wal_bytes, before.wal_bytes),
            forced_checkpoints: since(self.forced_checkpoints, before.forced_checkpoints),
        }
    }
}

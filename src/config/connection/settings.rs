//! The settings of a connection as texts under libpq's keys, gathered from the connection
//! string, the service file and the environment, each with the place it came from.
//!
//! Keys, variables and their order of precedence are libpq's
//! (<https://www.postgresql.org/docs/current/libpq-connect.html>, `-envars.html`).

use crate::config::environment::Environment;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// The keys that are understood, each with the variable that stands in for a missing one.
const KEYS: [(&str, Option<&str>); 39] = [
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("port", Some("PGPORT")),
    ("dbname", Some("PGDATABASE")),
    ("user", Some("PGUSER")),
    ("password", Some("PGPASSWORD")),
    ("passfile", Some("PGPASSFILE")),
    ("service", Some("PGSERVICE")),
    ("servicefile", Some("PGSERVICEFILE")),
    ("options", Some("PGOPTIONS")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("load_balance_hosts", Some("PGLOADBALANCEHOSTS")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslnegotiation", Some("PGSSLNEGOTIATION")),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslcertmode", Some("PGSSLCERTMODE")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("sslcrl", Some("PGSSLCRL")),
    ("sslcrldir", Some("PGSSLCRLDIR")),
    ("sslsni", Some("PGSSLSNI")),
    ("ssl_min_protocol_version", Some("PGSSLMINPROTOCOLVERSION")),
    ("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION")),
    ("gssencmode", Some("PGGSSENCMODE")),
    ("requirepeer", Some("PGREQUIREPEER")),
    ("require_auth", Some("PGREQUIREAUTH")),
    ("tcp_user_timeout", None),
    ("keepalives", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("keepalives_count", None),
    ("replication", None),
    // Understood by being left alone: our sessions name themselves and talk UTF-8, an
    // encrypted key is refused, the server's or Kerberos' business is not ours.
    ("application_name", None),
    ("fallback_application_name", None),
    ("client_encoding", None),
    ("sslpassword", None),
    ("sslcompression", None),
];

/// Keys that change nothing here: Kerberos details, and the pool and cache settings of `pgx`,
/// the driver of the two products.
const IGNORED: [&str; 17] = [
    "krbsrvname",
    "krbspn",
    "gsslib",
    "gssdelegation",
    "pool_max_conns",
    "pool_min_conns",
    "pool_min_idle_conns",
    "pool_max_conn_lifetime",
    "pool_max_conn_lifetime_jitter",
    "pool_max_conn_idle_time",
    "pool_health_check_period",
    "default_query_exec_mode",
    "statement_cache_capacity",
    "statement_cache_mode",
    "description_cache_capacity",
    "prefer_simple_protocol",
    "min_read_buffer_size",
];

/// Whether `key` is one that a connection string may hold.
pub(crate) fn is_key(key: &str) -> bool {
    KEYS.iter().any(|(known, _)| *known == key) || IGNORED.contains(&key) || key == "search_path"
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The connection string.
    Text,
    /// The configuration file's own setting for it.
    Configuration,
    /// The service file.
    Service,
    /// An environment variable.
    Variable(&'static str),
    /// The password file.
    PasswordFile,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("the connection string"),
            Self::Configuration => f.write_str("the configuration"),
            Self::Service => f.write_str("the service file"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::PasswordFile => f.write_str("the password file"),
        }
    }
}

/// The gathered settings. No `Debug`: a value may be the password.
#[derive(Default)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, (Zeroizing<String>, Origin)>,
    /// Settings of the server's session, in order of appearance.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Settings {
    /// Takes a value. In the connection string the last of several wins, as in libpq; from
    /// anywhere else a value only fills a gap. `Ok(false)` where the key is not known.
    pub(crate) fn put(&mut self, key: &str, value: &str, origin: Origin) -> Result<bool> {
        if value.contains('\0') {
            return Err(invalid(key, origin, "it must not contain a zero byte"));
        }
        if key == "search_path" {
            let known = self.parameters.iter().any(|(name, _)| name == key);
            if origin == Origin::Text || !known {
                self.parameters.push((key.to_owned(), value.to_owned()));
            }
            return Ok(true);
        }
        let Some((key, _)) = KEYS.iter().find(|(known, _)| *known == key) else {
            return Ok(IGNORED.contains(&key));
        };
        if origin == Origin::Text || !self.values.contains_key(key) {
            self.values.insert(key, (Zeroizing::new(value.to_owned()), origin));
        }
        Ok(true)
    }

    /// Fills the gaps from the PG* variables.
    pub(crate) fn fill_from(&mut self, environment: &Environment) -> Result<()> {
        for (key, variable) in KEYS {
            let Some(variable) = variable else { continue };
            if let Some(value) = environment.get(variable) {
                self.put(key, value, Origin::Variable(variable))?;
            }
        }
        Ok(())
    }

    /// The value of a key with its origin; an empty one counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<(&str, Origin)> {
        let (value, origin) = self.values.get(key)?;
        (!value.is_empty()).then_some((value.as_str(), *origin))
    }

    /// The value of a key; an empty one counts as absent.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|(value, _)| value)
    }

    /// The value of a key that is a whole number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>> {
        let Some((value, origin)) = self.get(key) else { return Ok(None) };
        match value.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(invalid(key, origin, "it must be a whole number")),
        }
    }

    /// The value of a key that is one of a few words.
    pub(crate) fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some((value, origin)) = self.get(key) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(invalid(key, origin, &format!("it must be one of {}", words.join(", "))))
            }
        }
    }

    /// The error of a value that does not do.
    pub(crate) fn invalid(&self, key: &str, why: &str) -> Error {
        let origin = self.values.get(key).map_or(Origin::Text, |(_, origin)| *origin);
        invalid(key, origin, why)
    }
}

/// The error of a value that does not do; names key and origin, never the value.
fn invalid(key: &str, origin: Origin, why: &str) -> Error {
    Error::refused(format!("the value of `{key}` in {origin} is not valid")).caused_by(why)
}

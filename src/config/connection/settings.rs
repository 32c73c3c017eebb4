//! The settings of a connection: texts under libpq's keys, each with its origin (the connection
//! string, the configuration, the service file or the environment).
//!
//! Keys, variables and their order of precedence are libpq's
//! (<https://www.postgresql.org/docs/current/libpq-connect.html>, `-envars.html`).

use crate::config::environment::Environment;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// The keys, each with the variable that supplies a missing value.
const KEYS: [(&str, &str); 28] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("servicefile", "PGSERVICEFILE"),
    ("options", "PGOPTIONS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("sslmode", "PGSSLMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslsni", "PGSSLSNI"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("gssencmode", "PGGSSENCMODE"),
    ("requirepeer", "PGREQUIREPEER"),
    ("require_auth", "PGREQUIREAUTH"),
];

/// The known keys without a variable. The last five are accepted and have no effect: sessions set
/// their own name and use UTF-8, and encrypted private keys are refused.
const OTHER_KEYS: &str = "tcp_user_timeout keepalives keepalives_idle keepalives_interval \
    keepalives_count replication \
    application_name fallback_application_name client_encoding sslpassword sslcompression";

/// The own spelling of a key that has an effect.
fn known(key: &str) -> Option<&'static str> {
    let keys = KEYS.iter().map(|(key, _)| *key).chain(OTHER_KEYS.split_whitespace());
    keys.into_iter().find(|known| *known == key)
}

/// The setting of the session that may be given like a key.
const SEARCH_PATH: &str = "search_path";

/// The ignored keys: details of Kerberos, and settings for pools and caches of `pgx`, the driver
/// of the two products.
const IGNORED: &str = "krbsrvname krbspn gsslib gssdelegation \
    pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime \
    pool_max_conn_lifetime_jitter pool_max_conn_idle_time pool_health_check_period \
    default_query_exec_mode statement_cache_capacity statement_cache_mode \
    description_cache_capacity prefer_simple_protocol min_read_buffer_size";

/// All keys that a connection string may contain.
fn all_keys() -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter().map(|(key, _)| *key).chain(OTHER_KEYS.split_whitespace());
    keys.chain(IGNORED.split_whitespace()).chain([SEARCH_PATH])
}

/// Whether a connection string may contain `key`.
pub(crate) fn is_key(key: &str) -> bool {
    all_keys().any(|known| known == key)
}

/// The key that `typed` may have been meant to be. Only such a text may be shown: any other text
/// in the place of a key may be a part of a password.
pub(crate) fn similar_key(typed: &str) -> Option<&'static str> {
    all_keys().find(|known| is_similar(typed, known))
}

/// Whether at most two characters have to be added, removed or replaced to turn `a` into `b`.
pub(crate) fn is_similar(a: &str, b: &str) -> bool {
    const MAX_EDITS: usize = 2;
    let b: Vec<char> = b.chars().collect();
    if a.chars().count().abs_diff(b.len()) > MAX_EDITS {
        return false;
    }
    // The edits from the characters of `a` so far to each prefix of `b`.
    let mut edits: Vec<usize> = (0..=b.len()).collect();
    for (row, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut edits[0], row + 1);
        for (column, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = edits[column + 1];
            edits[column + 1] = replaced.min(diagonal + 1).min(edits[column] + 1);
        }
    }
    edits[b.len()] <= MAX_EDITS
}

/// The origin of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The connection string.
    Text,
    /// The setting in the configuration file.
    Configuration,
    /// The service file.
    Service,
    /// An environment variable.
    Variable(&'static str),
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

/// The gathered settings. There is no `Debug`, because a value may be the password.
#[derive(Default)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, (Zeroizing<String>, Origin)>,
    /// The settings of the server's session, in the order of appearance.
    pub(crate) parameters: Vec<(String, String)>,
}

impl Settings {
    /// Adds a value. A value of the connection string replaces the existing one, as in libpq. A
    /// value of another origin only supplies a missing one. Returns `false` for an unknown key.
    pub(crate) fn put(&mut self, key: &str, value: &str, origin: Origin) -> Result<bool> {
        if !is_key(key) {
            return Ok(false);
        }
        if value.contains('\0') {
            return Err(invalid(key, origin, "it must not contain a zero byte"));
        }
        if key == SEARCH_PATH {
            let known = self.parameters.iter().any(|(name, _)| name == key);
            if origin == Origin::Text || !known {
                self.parameters.push((key.to_owned(), value.to_owned()));
            }
            return Ok(true);
        }
        let Some(key) = known(key) else { return Ok(true) };
        if origin == Origin::Text || !self.values.contains_key(key) {
            self.values.insert(key, (Zeroizing::new(value.to_owned()), origin));
        }
        Ok(true)
    }

    /// Supplies missing values from the PG* variables.
    pub(crate) fn fill_from(&mut self, environment: &Environment) -> Result<()> {
        for (key, variable) in KEYS {
            if let Some(value) = environment.get(variable) {
                self.put(key, value, Origin::Variable(variable))?;
            }
        }
        Ok(())
    }

    /// The value of a key with its origin. An empty value counts as missing.
    pub(crate) fn get(&self, key: &str) -> Option<(&str, Origin)> {
        let (value, origin) = self.values.get(key)?;
        (!value.is_empty()).then_some((value.as_str(), *origin))
    }

    /// The value of a key. An empty value counts as missing.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|(value, _)| value)
    }

    /// The value of a key as a whole number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>> {
        let Some((value, origin)) = self.get(key) else { return Ok(None) };
        match value.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(invalid(key, origin, "it must be a whole number")),
        }
    }

    /// The value of a key as one of `words`.
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

    /// The error of an invalid value.
    pub(crate) fn invalid(&self, key: &str, why: &str) -> Error {
        let origin = self.values.get(key).map_or(Origin::Text, |(_, origin)| *origin);
        invalid(key, origin, why)
    }
}

/// The error of an invalid value. It names the key and the origin, never the value.
fn invalid(key: &str, origin: Origin, why: &str) -> Error {
    Error::refused(format!("invalid value of `{key}` in {origin}")).caused_by(why)
}

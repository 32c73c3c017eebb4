//! Advisory locks: keys that sessions of a database hold until they end. Runs hold them in shared
//! mode. Every session can see the holders.

use crate::error::Result;
use crate::postgres::errors::db_error;
use postgres::{Client, Row};

/// The condition on `pg_locks l` that a session holds the key `$1` in the current database.
/// `pg_locks` shows a bigint key in two halves.
const IS_HELD: &str = "l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
     AND ((l.classid::bigint << 32) | l.objid::bigint) = $1 \
     AND l.database = (SELECT oid FROM pg_catalog.pg_database \
                       WHERE datname = pg_catalog.current_database())";

/// The key that all sessions of a run on `schema` hold.
pub(crate) fn key(schema: &str) -> i64 {
    xxhash_rust::xxh3::xxh3_64(format!("migrate\0{schema}").as_bytes()) as i64
}

/// The statement that takes `keys` in shared mode. It waits for the holder of an exclusive lock.
pub(crate) fn hold(keys: &[i64]) -> String {
    // An unquoted minimum would be parsed as the negative of a number that exceeds bigint.
    let lock = |key: &i64| format!("pg_catalog.pg_advisory_lock_shared('{key}'::bigint)");
    format!("SELECT {}", keys.iter().map(lock).collect::<Vec<_>>().join(", "))
}

/// The sessions that hold `key`: process number, start and last state change (in microseconds since
/// 1970, NULL where the server does not show them), and application name.
pub(crate) fn holders(client: &mut Client, key: i64) -> Result<Vec<Row>> {
    let sql = format!(
        "SELECT a.pid, (extract(epoch FROM a.backend_start) * 1000000)::bigint, \
           (extract(epoch FROM a.state_change) * 1000000)::bigint, \
           coalesce(a.application_name, '') \
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE {IS_HELD}"
    );
    client.query(&sql, &[&key]).map_err(db_error("cannot list the sessions that lock the target"))
}

/// Cancels the statements of the sessions that hold `key`.
pub(crate) fn cancel_holders(client: &mut Client, key: i64) -> Result<()> {
    let sql = format!(
        "SELECT pg_catalog.pg_cancel_backend(l.pid) FROM pg_catalog.pg_locks l WHERE {IS_HELD}"
    );
    client.execute(&sql, &[&key]).map(drop).map_err(db_error("cannot cancel statements"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_written_as_a_bigint() {
        assert_eq!(
            hold(&[i64::MIN, 7]),
            "SELECT pg_catalog.pg_advisory_lock_shared('-9223372036854775808'::bigint), \
             pg_catalog.pg_advisory_lock_shared('7'::bigint)"
        );
    }
}

//! Sessions of other programs on the PostgreSQL database.

use crate::error::Result;
use crate::postgres::errors::db_error;
use postgres::Client;

/// Describes the sessions of other programs whose application or role is one of `names`. An ordinary
/// role sees the role of other roles' sessions, but not their application.
pub(crate) fn describe_sessions(client: &mut Client, names: &[&str]) -> Result<Vec<String>> {
    const SQL: &str = "\
        SELECT pid, coalesce(usename::text, ''), coalesce(application_name, '') \
        FROM pg_catalog.pg_stat_activity \
        WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() \
          AND backend_type = 'client backend' AND coalesce(application_name, '') NOT LIKE 'migrate %' \
        ORDER BY pid";
    // Within a transaction the server would repeat its first answer.
    let what = "cannot list the database's sessions";
    client.batch_execute("SELECT pg_catalog.pg_stat_clear_snapshot()").map_err(db_error(what))?;
    let rows = client.query(SQL, &[]).map_err(db_error(what))?;
    let sessions = rows.iter().filter_map(|row| {
        let (pid, role, application): (i32, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let lower = application.to_lowercase();
        let is_listed = names.iter().any(|name| role == *name || lower.contains(name));
        is_listed.then(|| {
            let name = if application.is_empty() { "without a name" } else { application };
            format!("session {pid} ({name}) of role {role} is connected to the database")
        })
    });
    Ok(sessions.collect())
}

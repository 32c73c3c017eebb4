//! The standing of a data set: what the ledger of its target (or the record beside a SQLite file)
//! says of an earlier run, and whether that still holds for the SQLite file.

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::config::secret::Secret;
use crate::error::Result;
use crate::options::{DataSet, Location};
use crate::postgres::catalog::target_objects::{lasting_schema_id, schema_id};
use crate::postgres::connect::connect;
use crate::postgres::ledger::{Ledger, State};
use crate::sqlite::source::open::{Source, SourceOptions};
use crate::sqlite::write::verdict_file;
use postgres::Client;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What is known of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MigrationStatus {
    /// A run copied and verified it, and its SQLite file is as it was.
    Verified,
    /// A run copied and verified it, and its SQLite file has changed since.
    Outdated,
    /// A run copied it, and nobody has verified it with a good verdict.
    Unverified,
    /// Nothing: the target does not hold it, or not all of it.
    Nothing,
}

/// The standing of `data_set`, and the place of its target (see [`place`]); no place where there
/// is no such schema.
pub(crate) fn standing(
    data_set: &DataSet,
    temp_dir: Option<PathBuf>,
) -> Result<(MigrationStatus, String)> {
    let nothing = (MigrationStatus::Nothing, String::new());
    let (file, url, back) = match (&data_set.source, &data_set.target) {
        (Location::Sqlite(file), Location::Postgres(url)) => (file, url, false),
        (Location::Postgres(url), Location::Sqlite(file)) => (file, url, true),
        _ => return Ok(nothing),
    };
    let Some((mut client, schema)) = reach(data_set, url)? else { return Ok(nothing) };
    if back {
        let source = lasting_schema_id(&mut client, &schema)?;
        let place = file.display().to_string();
        return Ok((of_file(file, &data_set.name, &source)?, place));
    }
    let place = schema_id(&mut client, &schema)?;
    let entry = Ledger::entry(&mut client, &schema, &data_set.name)?;
    let Some((entry, state)) = entry.and_then(|entry| entry.state.map(|state| (entry, state)))
    else {
        return Ok((MigrationStatus::Nothing, place));
    };
    if state != State::Verified {
        let is_complete = state.is_complete();
        let standing =
            if is_complete { MigrationStatus::Unverified } else { MigrationStatus::Nothing };
        return Ok((standing, place));
    }
    let source = Source::open(file, &SourceOptions { temp_dir, ..SourceOptions::default() })?;
    let unchanged = entry.detail["source"] == json!(source.fingerprint());
    source.close()?;
    Ok((if unchanged { MigrationStatus::Verified } else { MigrationStatus::Outdated }, place))
}

/// A session on the PostgreSQL side of `data_set`, and the schema; `None` where there is none.
fn reach(data_set: &DataSet, url: &Secret) -> Result<Option<(Client, String)>> {
    let environment = Environment::of_this_process();
    let connection = Connection::parse(url.reveal(), &environment, data_set.defaults.clone())?;
    let session = connect(&connection, "standing")?;
    Ok(session.schema.map(|schema| (session.client, schema)))
}

/// The standing of a SQLite file that is a target. That nobody has written to PostgreSQL since is
/// for the guard to see to.
fn of_file(file: &Path, data_set: &str, source: &str) -> Result<MigrationStatus> {
    let record = verdict_file::read(file)?;
    let Some(record) = record.filter(|it| it.data_set == data_set && it.source == source) else {
        return Ok(MigrationStatus::Nothing);
    };
    let unchanged = verdict_file::fingerprint(file)? == record.file;
    Ok(if unchanged { MigrationStatus::Verified } else { MigrationStatus::Outdated })
}

/// Removes the record of a verdict on `data_set`, if there is one. What says that a target is half
/// loaded stays.
pub(crate) fn forget(data_set: &DataSet) -> Result<()> {
    let url = match &data_set.target {
        Location::Sqlite(file) => return verdict_file::remove(file),
        Location::Postgres(url) => url,
    };
    let Some((mut client, schema)) = reach(data_set, url)? else { return Ok(()) };
    let entry = Ledger::entry(&mut client, &schema, &data_set.name)?;
    if entry.and_then(|entry| entry.state).is_some_and(State::is_complete) {
        Ledger::new(&schema, &data_set.name).remove(&mut client)?;
    }
    Ok(())
}

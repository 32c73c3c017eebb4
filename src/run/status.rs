//! The migration status of a data set: what an earlier run recorded, and whether the SQLite file is
//! still unchanged. The record is the ledger of a PostgreSQL target, or the verdict file next to a
//! SQLite target.

use crate::config::secret::Secret;
use crate::error::Result;
use crate::options::location::{DataSet, Location};
use crate::postgres::catalog::target_objects::lasting_schema_id;
use crate::postgres::connect::connect;
use crate::postgres::ledger::detail::{FORMAT, LedgerDetail, State};
use crate::postgres::ledger::{Entry, Ledger};
use crate::run::open::parse_connection;
use crate::sqlite::source::open::{Source, SourceOptions};
use crate::sqlite::write::verdict_file;
use postgres::Client;
use serde_json::json;
use std::path::Path;

/// The migration status of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MigrationStatus {
    /// Copied and verified, and the SQLite file is unchanged.
    Verified,
    /// Copied and verified, but the SQLite file has changed since.
    Outdated,
    /// Copied, but without a good verdict.
    Unverified,
    /// The target does not hold the data set, or only a part of it.
    Nothing,
}

pub(crate) fn migration_status(data_set: &DataSet) -> Result<MigrationStatus> {
    let (file, url, to_sqlite) = match (&data_set.source, &data_set.target) {
        (Location::Sqlite(file), Location::Postgres(url)) => (file, url, false),
        (Location::Postgres(url), Location::Sqlite(file)) => (file, url, true),
        _ => return Ok(MigrationStatus::Nothing),
    };
    let Some((mut client, schema)) = open_schema(data_set, url)? else {
        return Ok(MigrationStatus::Nothing);
    };
    if to_sqlite {
        return status_of_file(file, &data_set.name, &lasting_schema_id(&mut client, &schema)?);
    }
    let Some(entry) = Ledger::entry(&mut client, &schema, &data_set.name)? else {
        return Ok(MigrationStatus::Nothing);
    };
    if entry.detail.state != Some(State::Verified) {
        return Ok(match entry.detail.is_complete() {
            true => MigrationStatus::Unverified,
            false => MigrationStatus::Nothing,
        });
    }
    let source = Source::open(file, &SourceOptions::default())?;
    let unchanged = entry.detail.source == json!(source.fingerprint());
    source.close()?;
    Ok(if unchanged { MigrationStatus::Verified } else { MigrationStatus::Outdated })
}

/// A session on the PostgreSQL side of `data_set`, and its schema; `None` if there is no schema.
fn open_schema(data_set: &DataSet, url: &Secret) -> Result<Option<(Client, String)>> {
    let session = connect(&parse_connection(url, data_set)?, "status")?;
    Ok(session.schema.map(|schema| (session.client, schema)))
}

/// The migration status of a SQLite target. Writes to PostgreSQL since then are not detected here,
/// but by the service check.
fn status_of_file(file: &Path, data_set: &str, source: &str) -> Result<MigrationStatus> {
    let stored = verdict_file::read(file)?;
    let Some(stored) = stored.filter(|it| it.data_set == data_set && it.source == source) else {
        return Ok(MigrationStatus::Nothing);
    };
    let unchanged = verdict_file::fingerprint(file)? == stored.file;
    Ok(if unchanged { MigrationStatus::Verified } else { MigrationStatus::Outdated })
}

/// Withdraws a verdict on `data_set`, because the service writes to the target from now on. The record
/// of the rows that were copied stays, and so does that of a half-loaded target.
pub(crate) fn withdraw(data_set: &DataSet) -> Result<()> {
    let url = match &data_set.target {
        Location::Sqlite(file) => return verdict_file::remove(file),
        Location::Postgres(url) => url,
    };
    let Some((mut client, schema)) = open_schema(data_set, url)? else { return Ok(()) };
    match Ledger::entry(&mut client, &schema, &data_set.name)? {
        Some(Entry { detail, .. }) if detail.is_complete() => {
            let detail = LedgerDetail { format: FORMAT, state: Some(State::Live), ..detail };
            Ledger::new(&schema, &data_set.name).set_detail(&mut client, None, &detail, false)
        }
        _ => Ok(()),
    }
}

//! The standing of a data set: what the ledger of its target (or the record beside a SQLite file)
//! says of an earlier run, and whether that still holds for the SQLite file.

use crate::config::connection::Connection;
use crate::config::environment::Environment;
use crate::error::Result;
use crate::postgres::connect::connect;
use crate::postgres::ledger::{Ledger, State};
use crate::postgres::target::{lasting_place, place};
use crate::sqlite::{Source, SourceOptions, record};
use crate::transfer::options::{DataSet, Location, Options};
use serde_json::json;
use std::path::{Path, PathBuf};

/// What is known of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
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
///
/// # Errors
/// Either side cannot be read.
pub fn standing(data_set: &DataSet, temp_dir: Option<PathBuf>) -> Result<(Standing, String)> {
    let nothing = (Standing::Nothing, String::new());
    let (file, url, back) = match (&data_set.source, &data_set.target) {
        (Location::Sqlite(file), Location::Postgres(url)) => (file, url, false),
        (Location::Postgres(url), Location::Sqlite(file)) => (file, url, true),
        _ => return Ok(nothing),
    };
    let environment = Environment::of_this_process();
    let connection = Connection::parse(url.reveal(), &environment, data_set.defaults.clone())?;
    let mut session = connect(&connection, "standing")?;
    let Some(schema) = session.schema else { return Ok(nothing) };
    if back {
        let source = lasting_place(&mut session.client, &schema)?;
        let place = file.display().to_string();
        return Ok((of_file(file, &data_set.name, &source)?, place));
    }
    let place = place(&mut session.client, &schema)?;
    let entries = Ledger::entries(&mut session.client, &schema)?.unwrap_or_default();
    let entry = entries.into_iter().find(|entry| entry.data_set == data_set.name);
    let Some((entry, state)) = entry.and_then(|entry| entry.state.map(|state| (entry, state)))
    else {
        return Ok((Standing::Nothing, place));
    };
    if state != State::Verified {
        let is_complete = state.is_complete();
        let standing = if is_complete { Standing::Unverified } else { Standing::Nothing };
        return Ok((standing, place));
    }
    let source = Source::open(file, &SourceOptions { temp_dir, ..SourceOptions::default() })?;
    let unchanged = entry.detail["source"] == json!(source.fingerprint());
    source.close()?;
    Ok((if unchanged { Standing::Verified } else { Standing::Outdated }, place))
}

/// The standing of a SQLite file that is a target. That nobody has written to PostgreSQL since is
/// for the guard to see to.
fn of_file(file: &Path, data_set: &str, source: &str) -> Result<Standing> {
    let record = record::read(file)?;
    let Some(record) = record.filter(|it| it.data_set == data_set && it.source == source) else {
        return Ok(Standing::Nothing);
    };
    let unchanged = record::fingerprint(file)? == record.file;
    Ok(if unchanged { Standing::Verified } else { Standing::Outdated })
}

/// Which data sets an earlier run has done already, so that this one need not copy them. Only
/// where some are done and others are not: a run of which all is done was asked for anew. With
/// `--drop-all` a data set counts only if nothing of it would be dropped with another one.
///
/// # Errors
/// Either side of one cannot be read.
pub fn done(options: &Options) -> Result<Vec<bool>> {
    let sets = &options.data_sets;
    if sets.len() < 2 {
        return Ok(vec![false; sets.len()]);
    }
    let mut found = Vec::with_capacity(sets.len());
    for set in sets {
        found.push(match standing(set, options.temp_dir.clone()) {
            Ok((standing, place)) => (standing == Standing::Verified, place),
            // A database that is yet to be created holds nothing.
            Err(_) if options.create_database => (false, String::new()),
            Err(error) => return Err(error),
        });
    }
    let all = found.iter().all(|(done, _)| *done);
    let goes_with = |place: &str| found.iter().any(|(done, other)| !done && other == place);
    let stays = |place: &str| !(options.drop_all && goes_with(place));
    Ok(found.iter().map(|(done, place)| *done && !all && stays(place)).collect())
}

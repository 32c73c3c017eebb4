//! The data sets that a command line names, by their locations or by a product's configuration.

use crate::cli::args::migration::{CommonArgs, LocationArgs};
use crate::cli::request::location::LocationArg;
use crate::cli::request::product::{self, DataSets, Purpose};
use crate::config::connection::Defaults;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, FILE_MODE};
use crate::options::service::ServiceCheck;
use crate::product::Provider;
use std::path::Path;

/// Resolves the data sets. Errors: a usage error if the locations do not fit or are missing; the
/// errors of [`product::resolve`].
pub(crate) fn resolve(
    locations: &LocationArgs,
    args: &CommonArgs,
    purpose: Purpose,
) -> Result<DataSets> {
    let source = LocationArg::parse("--from", &locations.from)?;
    let target = LocationArg::parse("--to", &locations.to)?;
    let both = match (source.is_sqlite(), target.is_sqlite()) {
        (true, true) => Some("SQLite"),
        (false, false) => Some("PostgreSQL"),
        _ => None,
    };
    if let Some(kind) = both {
        return Err(Error::usage(format!("source and target are both {kind} databases"))
            .hint("one must be SQLite and the other PostgreSQL")
            .hint("the defaults are --from sqlite3 and --to pgx"));
    }
    let (source, target) = match (source, target) {
        (LocationArg::At(source), LocationArg::At(target)) => (source, target),
        (source, target) => {
            let from = if source.is_sqlite() { Provider::Sqlite } else { Provider::Postgres };
            let location = source.location().or(target.location());
            let found = product::resolve(&args.config, &args.data_sets, from, location, purpose);
            return found?.ok_or_else(|| no_location(&source, &target));
        }
    };
    if let Some(flag) = unused_flag(args) {
        return Err(needs_configuration(flag));
    }
    let file = source.file().or_else(|| target.file()).unwrap_or_else(|| Path::new(""));
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let (defaults, allow_running) = (Defaults::default(), args.data_sets.allow_running);
    Ok(DataSets {
        sets: vec![DataSet { name, source, target, defaults, file_mode: FILE_MODE }],
        service_check: ServiceCheck { service: None, allow_running },
        warnings: Vec::new(),
        product: None,
    })
}

/// A flag that has a meaning only with a product's configuration.
fn unused_flag(args: &CommonArgs) -> Option<&'static str> {
    let (config, data_sets) = (&args.config, &args.data_sets);
    let given = [
        (config.product.is_some(), "--product"),
        (config.config.is_some(), "--config"),
        (config.key_file.is_some(), "--key-file"),
        (data_sets.data.is_some(), "--data"),
        (data_sets.allow_back, "--allow-back"),
    ];
    let flag = given.into_iter().find_map(|(given, flag)| given.then_some(flag));
    flag.or_else(|| data_sets.sqlite_files.first_flag())
}

/// The error for a flag that needs a product's configuration.
pub(crate) fn needs_configuration(flag: &str) -> Error {
    Error::usage(format!("{flag} cannot be used here: both locations were given"))
        .hint("a product's configuration is read only if --from or --to is a provider's name")
        .hint(format!("remove {flag}, or replace one location by sqlite3 or pgx"))
}

/// The error for a provider's name without a configuration that says where its database is.
fn no_location(source: &LocationArg, target: &LocationArg) -> Error {
    let missing = |flag, location: &LocationArg| {
        let LocationArg::Provider(name) = location else { return None };
        Some(format!("{flag} is {name}: the kind of a database, not its location"))
    };
    let example = if source.is_sqlite() {
        "migrate database --from app.db --to postgres://user@host/dbname"
    } else {
        "migrate database --from postgres://user@host/dbname --to app.db"
    };
    let causes = [missing("--from", source), missing("--to", target)];
    let error = Error::usage("no database location given");
    let error = causes.into_iter().flatten().fold(error, Error::caused_by);
    error
        .hint(format!("give both locations: {example}"))
        .hint("or name a product's configuration file: migrate database --config FILE")
}

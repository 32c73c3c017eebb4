//! What a product's configuration says to a command line that names kinds of databases rather
//! than places.

use crate::cli::args::{ConfigArguments, DataSetArguments};
use crate::cli::output::rerun_command::quoted;
use crate::config::environment::Environment;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::options::service::ServiceCheck;
use crate::product::data_sets;
use crate::product::data_sets::{Found, Wanted};
use crate::product::detect::{DetectInput, find};
use crate::product::service;
use crate::product::settings::Settings;
use crate::product::{Product, Provider, Root, permissions};
use std::path::PathBuf;

/// A product's part of a request.
#[derive(Debug)]
pub(crate) struct ProductRequest {
    /// Its settings.
    pub(crate) settings: Settings,
    /// The database that the service is to use afterwards.
    pub(crate) to: Provider,
    /// Set the provider after a good verdict.
    pub(crate) switch: bool,
    /// The flags that say which product and configuration is meant, for commands to type next;
    /// empty, or with a space before.
    pub(crate) flags: String,
}

/// What a run does, as far as the guards care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It writes into the target, even if that is the live database where the user said so.
    Copy { allow_live_target: bool },
    /// It only compares.
    Compare,
    /// It only plans.
    Plan,
}

/// The product that is meant and its configuration file; `None` where nothing points to one.
pub(crate) fn product(args: &ConfigArguments) -> Result<Option<(Product, PathBuf, Root)>> {
    let root = Root(args.root.clone());
    let program = std::env::current_exe().ok();
    let known = DetectInput {
        product: args.product.map(crate::cli::args::ProductWord::product),
        config: args.config.as_deref(),
        program: program.as_deref(),
    };
    Ok(find(known, &root)?.map(|(product, config)| (product, config, root)))
}

/// The settings of the product that is meant.
///
/// # Errors
/// A usage error where nothing says which; refused where the file cannot be read.
pub(crate) fn settings(args: &ConfigArguments) -> Result<Settings> {
    let (product, config, root) = product(args)?.ok_or_else(|| {
        Error::usage("neither Connect nor Package Manager is configured on this machine")
            .hint("name the configuration file: --config FILE")
    })?;
    Settings::read(product, &config, root, Environment::of_this_process())
}

/// The flags to say again.
pub(crate) fn flags(args: &ConfigArguments) -> String {
    let mut flags = String::new();
    if let Some(product) = args.product {
        flags.push_str(&format!(" --product {}", product.product().as_str()));
    }
    for (flag, path) in [("config", &args.config), ("root", &args.root)] {
        if let Some(path) = path {
            flags.push_str(&format!(" --{flag} {}", quoted(path.as_os_str())));
        }
    }
    flags
}

/// A request that was resolved.
pub(crate) struct Resolved {
    pub(crate) product: ProductRequest,
    pub(crate) found: Found,
    pub(crate) service_check: ServiceCheck,
}

/// The places that stand beside a kind of database.
#[derive(Default)]
pub(crate) struct NamedLocations {
    pub(crate) sqlite: Option<PathBuf>,
    pub(crate) postgres: Option<Secret>,
}

/// Resolves a request by the configuration of the product at hand; `None` where there is none.
///
/// # Errors
/// Refused where the user may not, the direction or the target is not allowed, or the
/// configuration is not whole.
pub(crate) fn resolve(
    config: &ConfigArguments,
    args: &DataSetArguments,
    from: Provider,
    places: NamedLocations,
    purpose: Purpose,
) -> Result<Option<Resolved>> {
    let Some((product, file, root)) = product(config)? else { return Ok(None) };
    permissions::check(product, &root)?;
    let settings = Settings::read(product, &file, root.clone(), Environment::of_this_process())?;
    let to = from.other();
    let live = check_direction(&settings, to, args, purpose)?;
    // A place that was named is one database, and so is its counterpart.
    let single = places.sqlite.is_some() || places.postgres.is_some();
    let only = args.data.as_deref().or(single.then(|| product.data_sets()[0]));
    let second_sqlite = second_sqlite(product, args)?;
    let is_second = only == Some(product.data_sets()[1]);
    let named = places.sqlite.as_deref();
    let wanted = Wanted {
        only,
        from,
        sqlite: if is_second { args.sqlite.as_deref() } else { named.or(args.sqlite.as_deref()) },
        second_sqlite: if is_second { named.or(second_sqlite) } else { second_sqlite },
        postgres: places.postgres.as_ref().map(Secret::reveal),
        key_file: config.key_file.as_deref(),
    };
    let mut found = data_sets::resolve(&settings, &wanted)?;
    found.warnings.splice(0..0, live);
    let service_check = ServiceCheck {
        service: Some(service::service(product, &root)),
        allow_running: args.allow_running,
    };
    let product = ProductRequest { settings, to, switch: false, flags: flags(config) };
    Ok(Some(Resolved { product, found, service_check }))
}

/// Refuses Connect's way back and a target that is the live database; returns a warning where
/// such a target is all right.
fn check_direction(
    settings: &Settings,
    to: Provider,
    args: &DataSetArguments,
    purpose: Purpose,
) -> Result<Option<String>> {
    if settings.product == Product::Connect
        && to == Provider::Sqlite
        && purpose != Purpose::Compare
        && !args.allow_back
    {
        return Err(Error::refused("Connect does not support moving back to SQLite")
            .hint("--allow-back does it all the same, at your own risk"));
    }
    if settings.provider()? != to {
        return Ok(None);
    }
    let live = format!("Database.Provider is {}: the target is the live database", to.as_str());
    match purpose {
        Purpose::Copy { allow_live_target: false } => Err(Error::refused(live).hint(
            "to move the data again, first set Database.Provider back; --allow-live-target goes \
             on all the same, and what the service wrote there may be lost",
        )),
        _ => Ok(Some(live)),
    }
}

fn second_sqlite(product: Product, args: &DataSetArguments) -> Result<Option<&std::path::Path>> {
    let (ours, theirs, flag) = match product {
        Product::Connect => (&args.instrumentation_sqlite, &args.usage_sqlite, "--usage-sqlite"),
        Product::PackageManager => {
            (&args.usage_sqlite, &args.instrumentation_sqlite, "--instrumentation-sqlite")
        }
    };
    match theirs {
        Some(_) => Err(Error::usage(format!("{flag} is not for {product}"))),
        None => Ok(ours.as_deref()),
    }
}

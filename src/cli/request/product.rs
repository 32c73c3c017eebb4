//! A request whose locations come from a product's configuration.

use crate::cli::args::posit::{ConfigArgs, DataSetArgs};
use crate::cli::output::rerun_command::quoted;
use crate::config::environment::Environment;
use crate::config::gcfg::Gcfg;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, Location};
use crate::options::service::ServiceCheck;
use crate::product::data_sets::{self, Wanted};
use crate::product::detect::{DetectInput, detect};
use crate::product::products::PRODUCTS;
use crate::product::settings::Settings;
use crate::product::spec::ProductSpec;
use crate::product::{Provider, Root, permissions};
use std::path::PathBuf;

/// The product of a request.
#[derive(Debug)]
pub(crate) struct ProductRequest {
    pub(crate) settings: Settings,
    /// The database that the service uses after the migration.
    pub(crate) to: Provider,
    /// Set the provider after a match.
    pub(crate) switch: bool,
    /// Only one data set is migrated; others may remain.
    pub(crate) is_partial: bool,
    /// The flags that name the product and its configuration, for the next commands; empty, or
    /// with a space in front.
    pub(crate) flags: String,
}

/// The purpose of a run, which decides what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It writes to the target; to the live database only if `allow_live_target`.
    Copy { allow_live_target: bool },
    /// It only compares the databases.
    Compare,
    /// It only shows a plan.
    Plan,
}

/// Detects the product and its configuration file; `None` if nothing names one.
pub(crate) fn product(args: &ConfigArgs) -> Result<Option<(&'static ProductSpec, PathBuf, Root)>> {
    if let Some(config) = args.config.as_deref().filter(|config| !config.exists()) {
        // The error is that of the path, not of a product that cannot be detected.
        Gcfg::read(config)?;
    }
    let root = Root(args.root.clone());
    let program = std::env::current_exe().ok();
    let input = DetectInput {
        product: args.product,
        config: args.config.as_deref(),
        program: program.as_deref(),
    };
    Ok(detect(input, &PRODUCTS, &root)?.map(|(product, config)| (product, config, root)))
}

/// Reads the settings of the product. Errors: a usage error if no product is found; a refusal if
/// the file cannot be read.
pub(crate) fn settings(args: &ConfigArgs) -> Result<Settings> {
    let (product, config, root) = product(args)?.ok_or_else(|| {
        let names = PRODUCTS.map(|product| product.name).join(" nor ");
        Error::usage(format!("neither {names} is configured on this machine"))
            .hint("name the configuration file with --config FILE")
    })?;
    Settings::read(product, &config, root, Environment::of_this_process())
}

/// The flags that name the product again.
pub(crate) fn flags(args: &ConfigArgs) -> String {
    let mut flags = String::new();
    if let Some(product) = args.product {
        flags.push_str(&format!(" --product {}", product.word));
    }
    for (flag, path) in [("config", &args.config), ("root", &args.root)] {
        if let Some(path) = path {
            flags.push_str(&format!(" --{flag} {}", quoted(path.as_os_str())));
        }
    }
    flags
}

/// The data sets of a request, and what belongs to them.
pub(crate) struct DataSets {
    pub(crate) sets: Vec<DataSet>,
    pub(crate) service_check: ServiceCheck,
    pub(crate) warnings: Vec<String>,
    /// The product, if its configuration was read.
    pub(crate) product: Option<ProductRequest>,
}

/// Resolves a request with the product's configuration and at most one `location`; `None` if no
/// product is found. Refused if the user lacks permission, if the direction or the target is not
/// allowed, or if the configuration is incomplete.
pub(crate) fn resolve(
    config: &ConfigArgs,
    args: &DataSetArgs,
    from: Provider,
    location: Option<&Location>,
    purpose: Purpose,
) -> Result<Option<DataSets>> {
    let Some((product, file, root)) = product(config)? else { return Ok(None) };
    permissions::check(product, &root)?;
    let settings = Settings::read(product, &file, root.clone(), Environment::of_this_process())?;
    let to = from.other();
    let live = check_direction(&settings, to, args, purpose)?;
    // A location names one database, so its counterpart is one database, too.
    let main = product.data_sets[0].name;
    let only = args.data.as_deref().or(location.is_some().then_some(main));
    let mut sqlite = args.sqlite_files.by_data_set(product)?;
    let mut postgres = None;
    match location {
        // It replaces what the data set's own flag names.
        Some(Location::Sqlite(path)) => sqlite.insert(0, (only.unwrap_or(main), path)),
        Some(Location::Postgres(text)) => postgres = Some(text.reveal()),
        None => {}
    }
    let key_file = config.key_file.as_deref();
    let found = data_sets::resolve(
        &settings,
        &Wanted { only, from, sqlite: Some(sqlite), postgres, key_file },
    )?;
    let service_check =
        ServiceCheck { service: Some(product.service(&root)), allow_running: args.allow_running };
    Ok(Some(DataSets {
        sets: found.data_sets,
        service_check,
        warnings: live.into_iter().chain(found.warnings).collect(),
        product: Some(ProductRequest {
            settings,
            to,
            switch: false,
            is_partial: only.is_some(),
            flags: flags(config),
        }),
    }))
}

/// Refuses a migration to SQLite that the product does not support, and a target that is the live
/// database. Returns a warning if such a target is allowed.
fn check_direction(
    settings: &Settings,
    to: Provider,
    args: &DataSetArgs,
    purpose: Purpose,
) -> Result<Option<String>> {
    let product = settings.product;
    let is_back = to == Provider::Sqlite && !product.supports_sqlite_target;
    if is_back && purpose != Purpose::Compare && !args.allow_back {
        return Err(Error::refused(format!(
            "{product} does not support a migration back to SQLite"
        ))
        .remedy("migrate anyway", &["--allow-back"]));
    }
    if settings.provider()? != to {
        return Ok(None);
    }
    let live = format!("Database.Provider is {}: the target is the live database", to.as_str());
    match purpose {
        Purpose::Copy { allow_live_target: false } => Err(Error::refused(live)
            .hint("to migrate again, first set Database.Provider back")
            .remedy(
                "migrate anyway, and possibly lose what the service wrote to the target",
                &["--allow-live-target"],
            )),
        _ => Ok(Some(live)),
    }
}

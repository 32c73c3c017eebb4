//! `migrate provider`: the last step of a migration, by which the service uses the other database.

use crate::cli::args::ProviderArguments;
use crate::cli::output::console::Console;
use crate::cli::request::product;
use crate::error::{Error, Result};
use crate::options::location::DataSet;
use crate::product::data_sets;
use crate::product::data_sets::Wanted;
use crate::product::service::service;
use crate::product::settings::Settings;
use crate::product::{Provider, permissions, provider};
use crate::run::service_check::running_evidence;
use crate::run::status;
use crate::run::status::{MigrationStatus, migration_status};

/// Runs the command.
///
/// # Errors
/// Refused where the databases were not compared with a good verdict, or the file cannot be
/// changed.
pub(crate) fn run(args: &ProviderArguments, console: &mut Console) -> Result<()> {
    if let Some((product, _, root)) = product::product(&args.config)? {
        permissions::check(product, &root)?;
    }
    let settings = product::settings(&args.config)?;
    let to = args.provider.provider();
    let config = settings.file().name().display().to_string();
    if settings.provider()? == to && settings.variable("Database", "Provider").is_none() {
        return say(console, &format!("Database.Provider in {config} is {} already", to.as_str()));
    }
    if !args.allow_unverified {
        check_verdicts(&settings, to, args)?;
    }
    let backup = provider::switch(&settings, to)?;
    say(console, &format!("Database.Provider in {config} is {} now", to.as_str()))?;
    if !args.allow_unverified {
        forget_verdicts(&data_sets::resolve(&settings, &wanted(to, args))?.data_sets)?;
    }
    if let Some(backup) = backup {
        say(console, &format!("the file as it was: {}", backup.display()))?;
    }
    let unit = settings.product.system_name();
    say(console, &format!("next: start the service: systemctl start {unit}"))
}

/// Refuses a target that was not verified, or whose source has changed since or may be changing.
fn check_verdicts(settings: &Settings, to: Provider, args: &ProviderArguments) -> Result<()> {
    // A service that runs may write what was never moved.
    let mut causes = running_evidence(&service(settings.product, &settings.root));
    for data_set in data_sets::resolve(settings, &wanted(to, args))?.data_sets {
        let name = &data_set.name;
        match migration_status(&data_set)? {
            MigrationStatus::Verified => {}
            MigrationStatus::Outdated => {
                let which = if to == Provider::Sqlite { "target" } else { "source" };
                causes.push(format!("{name}: the {which} has changed since it was verified"));
            }
            MigrationStatus::Unverified => {
                causes.push(format!("{name}: it was never verified as equal"))
            }
            MigrationStatus::Nothing => {
                causes.push(format!("{name}: the target holds no verdict of it"))
            }
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let error = Error::refused("the target is not known to hold all that the source holds");
    let error = causes.into_iter().fold(error, Error::caused_by);
    Err(error
        .hint("stop the service, and move the data first: migrate database")
        .hint("--allow-unverified sets the provider all the same"))
}

fn wanted(to: Provider, args: &ProviderArguments) -> Wanted<'_> {
    Wanted {
        only: None,
        from: to.other(),
        sqlite: None,
        second_sqlite: None,
        postgres: None,
        key_file: args.config.key_file.as_deref(),
    }
}

/// Removes the records of verdicts, beside SQLite files or in the ledger, that stood there until
/// they were needed.
pub(crate) fn forget_verdicts(data_sets: &[DataSet]) -> Result<()> {
    data_sets.iter().try_for_each(status::forget)
}

fn say(console: &mut Console, line: &str) -> Result<()> {
    writeln!(console.out, "{line}")
        .map_err(|cause| Error::failed("standard output cannot be written").caused_by(cause))
}

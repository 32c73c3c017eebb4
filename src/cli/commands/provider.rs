//! `migrate provider`: the last step of a migration, after which the service uses the target.

use crate::cli::args::posit::ProviderArgs;
use crate::cli::output::console::Console;
use crate::cli::request::product;
use crate::error::{Error, Result};
use crate::options::location::DataSet;
use crate::product::data_sets::{self, Wanted};
use crate::product::settings::Settings;
use crate::product::{Provider, permissions, provider};
use crate::run::service_check::running_evidence;
use crate::run::status::{self, MigrationStatus, migration_status};

/// Runs the command. Refused if the databases were not verified as equal, or if the file cannot be
/// changed.
pub(crate) fn run(args: &ProviderArgs, console: &mut Console) -> Result<()> {
    if let Some((product, _, root)) = product::product(&args.config)? {
        permissions::check(product, &root)?;
    }
    let settings = product::settings(&args.config)?;
    let to = args.provider;
    let config = settings.file.name.display().to_string();
    if settings.provider()? == to && settings.variable("Database", "Provider").is_none() {
        return console.say(&format!("Database.Provider in {config} is already {}", to.as_str()));
    }
    if !args.allow_unverified {
        check_verdicts(&settings, to, args)?;
    }
    let backup = provider::switch(&settings, to)?;
    console.say(&format!("Database.Provider in {config} is now {}", to.as_str()))?;
    if !args.allow_unverified {
        withdraw_verdicts(&data_sets::resolve(&settings, &wanted(to, args))?.data_sets)?;
    }
    if let Some(backup) = backup {
        console.say(&format!("a copy of the previous file: {}", backup.display()))?;
    }
    let start = settings.product.start_command();
    console.say(&format!("next: start the service: {start}"))
}

/// Refuses a target that was not verified, or whose source has changed or may be changing.
fn check_verdicts(settings: &Settings, to: Provider, args: &ProviderArgs) -> Result<()> {
    // A running service may write rows that were not copied.
    let mut causes = running_evidence(&settings.product.service(&settings.root));
    for data_set in data_sets::resolve(settings, &wanted(to, args))?.data_sets {
        let name = &data_set.name;
        match migration_status(&data_set)? {
            MigrationStatus::Verified => {}
            MigrationStatus::Outdated => {
                let which = if to == Provider::Sqlite { "target" } else { "source" };
                causes.push(format!("{name}: the {which} has changed since the verification"));
            }
            MigrationStatus::Unverified => {
                causes.push(format!("{name}: the databases were not verified as equal"))
            }
            MigrationStatus::Nothing => {
                causes.push(format!("{name}: the target has no record of a migration"))
            }
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let error = Error::refused("the target is not verified as equal to the source");
    let error = causes.into_iter().fold(error, Error::caused_by);
    let direction = if to == Provider::Sqlite { " --from pgx --to sqlite3" } else { "" };
    let flags = product::flags(&args.config);
    Err(error
        .hint(format!("stop the service and migrate first: migrate database{flags}{direction}"))
        .hint("add --allow-unverified to set the provider anyway"))
}

fn wanted(to: Provider, args: &ProviderArgs) -> Wanted<'_> {
    Wanted {
        only: None,
        from: to.other(),
        sqlite: None,
        postgres: None,
        key_file: args.config.key_file.as_deref(),
    }
}

/// Withdraws the verdicts, which hold until the provider is switched.
pub(crate) fn withdraw_verdicts(data_sets: &[DataSet]) -> Result<()> {
    data_sets.iter().try_for_each(status::withdraw)
}

//! `migrate provider`: the last step of a migration, by which the service uses the other database.

use crate::cli::args::ProviderArguments;
use crate::cli::output::console::Screen;
use crate::cli::request::product;
use crate::error::{Error, Result};
use crate::options::DataSet;
use crate::product::data_sets;
use crate::product::data_sets::Wanted;
use crate::product::service::ProductService;
use crate::product::settings::Settings;
use crate::product::{Provider, permissions, provider};
use crate::run::service_check::Service;
use crate::run::status;
use crate::run::status::{Standing, standing};

/// Runs the command.
///
/// # Errors
/// Refused where the databases were not compared with a good verdict, or the file cannot be
/// changed.
pub(crate) fn run(typed: &ProviderArguments, screen: &mut Screen) -> Result<()> {
    if let Some((product, _, root)) = product::product(&typed.config)? {
        permissions::check(product, &root)?;
    }
    let settings = product::settings(&typed.config)?;
    let to = typed.provider.provider();
    let config = settings.file().name().display().to_string();
    if settings.provider()? == to && settings.variable("Database", "Provider").is_none() {
        return say(screen, &format!("Database.Provider in {config} is {} already", to.word()));
    }
    if !typed.allow_unverified {
        check_verdicts(&settings, to, typed)?;
    }
    let backup = provider::switch(&settings, to)?;
    say(screen, &format!("Database.Provider in {config} is {} now", to.word()))?;
    if !typed.allow_unverified {
        forget_verdicts(&data_sets::resolve(&settings, &wanted(to, typed))?.data_sets)?;
    }
    if let Some(backup) = backup {
        say(screen, &format!("the file as it was: {}", backup.display()))?;
    }
    let unit = settings.product.system_name();
    say(screen, &format!("next: start the service: systemctl start {unit}"))
}

/// Refuses a target that was not verified, or whose source has changed since or may be changing.
fn check_verdicts(settings: &Settings, to: Provider, typed: &ProviderArguments) -> Result<()> {
    // A service that runs may write what was never moved.
    let service = ProductService { product: settings.product, root: settings.root.clone() };
    let mut causes = service.signs();
    for data_set in data_sets::resolve(settings, &wanted(to, typed))?.data_sets {
        let name = &data_set.name;
        match standing(&data_set, None)?.0 {
            Standing::Verified => {}
            Standing::Outdated => {
                let which = if to == Provider::Sqlite { "target" } else { "source" };
                causes.push(format!("{name}: the {which} has changed since it was verified"));
            }
            Standing::Unverified => causes.push(format!("{name}: it was never verified as equal")),
            Standing::Nothing => causes.push(format!("{name}: the target holds no verdict of it")),
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

fn wanted(to: Provider, typed: &ProviderArguments) -> Wanted<'_> {
    Wanted {
        only: None,
        from: to.other(),
        sqlite: None,
        second_sqlite: None,
        postgres: None,
        key_file: typed.config.key_file.as_deref(),
    }
}

/// Removes the records of verdicts, beside SQLite files or in the ledger, that stood there until
/// they were needed.
pub(crate) fn forget_verdicts(data_sets: &[DataSet]) -> Result<()> {
    data_sets.iter().try_for_each(status::forget)
}

fn say(screen: &mut Screen, line: &str) -> Result<()> {
    writeln!(screen.out, "{line}")
        .map_err(|cause| Error::failed("standard output cannot be written").caused_by(cause))
}

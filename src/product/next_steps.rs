//! The next steps after a run, in the order of the products' documentation, with the real paths and
//! names.

use crate::product::Provider;
use crate::product::settings::Settings;

#[derive(Debug, Clone, Copy)]
pub(crate) struct RunOutcome<'a> {
    /// The command that starts this program.
    pub(crate) program: &'a str,
    /// The flags that name the product and its configuration; empty, or with a space in front.
    pub(crate) flags: &'a str,
    /// The database that the service will use.
    pub(crate) to: Provider,
    /// Both sides were compared and match.
    pub(crate) verified: bool,
    /// Only one data set was migrated.
    pub(crate) is_partial: bool,
    /// The run has set the provider.
    pub(crate) switched: bool,
}

/// The next steps in their order, and their consequence.
pub(crate) fn after(settings: &Settings, ended: RunOutcome<'_>) -> Vec<String> {
    let RunOutcome { program, flags, to, verified, is_partial, switched } = ended;
    let product = settings.product;
    let config = settings.file.name.display();
    let mut steps = Vec::new();
    let direction = match to {
        Provider::Postgres => "",
        Provider::Sqlite => " --from=pgx --to=sqlite3",
    };
    if is_partial {
        steps.push(format!("migrate the other data sets: {program} database{flags}{direction}"));
    }
    if !verified {
        steps.push(format!("compare the databases: {program} database{flags} --verify{direction}"));
    }
    if !switched {
        let word = to.as_str();
        steps.push(format!(
            "set Database.Provider to {word} in {config}: {program} provider{flags} {word}"
        ));
    }
    steps.push(format!("start the service: {}", product.start_command()));
    let after = match to {
        Provider::Postgres => product.after_to_postgres,
        Provider::Sqlite => product.after_to_sqlite,
    };
    steps.push(after.to_owned());
    steps
}

/// The hint to start the service again after a run that failed.
pub(crate) fn start_again(settings: &Settings) -> String {
    format!("to start the service on the source: {}", settings.product.start_command())
}

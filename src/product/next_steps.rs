//! The next steps: what is left to do after a run, as the products' documentation has it, in its
//! order and with the real paths and names.

use crate::product::settings::Settings;
use crate::product::{Product, Provider};

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunOutcome<'a> {
    /// The command that starts this program with the product's flags: `migrate` and the words
    /// `--config FILE` and so on; a command's name goes between them.
    pub(crate) program: &'a str,
    /// Flags that say which product and configuration is meant; empty, or with a space before.
    pub(crate) flags: &'a str,
    /// The database that the service is to use now.
    pub(crate) to: Provider,
    /// Both sides were compared and agree.
    pub(crate) verified: bool,
    /// The provider was set by this run.
    pub(crate) switched: bool,
}

/// The steps that are left, in their order, and what holds from then on.
pub(crate) fn after(settings: &Settings, ended: RunOutcome<'_>) -> Vec<String> {
    let RunOutcome { program, flags, to, verified, switched } = ended;
    let (product, unit) = (settings.product, settings.product.system_name());
    let config = settings.file().name().display();
    let mut steps = Vec::new();
    if !verified {
        let back = match to {
            Provider::Postgres => "",
            Provider::Sqlite => " --from=pgx --to=sqlite3",
        };
        steps.push(format!("compare the databases: {program} database{flags} --verify{back}"));
    }
    if !switched {
        steps.push(format!(
            "set Database.Provider to {} in {config}: {program} provider{flags} {}",
            to.as_str(),
            to.as_str()
        ));
    }
    steps.push(format!("start the service: systemctl start {unit}"));
    steps.push(match (product, to) {
        (Product::Connect, Provider::Postgres) => {
            "from then on the two databases part: what Connect writes is in PostgreSQL only, and \
             there is no way back"
        }
        (Product::PackageManager, Provider::Postgres) => {
            "from then on the two databases part: what Package Manager writes is in PostgreSQL \
             only, and the SQLite files fall behind; --from=pgx --to=sqlite3 brings them up"
        }
        (_, Provider::Sqlite) => {
            "from then on the two databases part: what the service writes is in the SQLite files \
             only, and PostgreSQL falls behind"
        }
    }
    .to_owned());
    steps
}

/// How the service is started again after a run that did not succeed.
pub(crate) fn start_again(settings: &Settings) -> String {
    format!("to start the service on it: systemctl start {}", settings.product.system_name())
}

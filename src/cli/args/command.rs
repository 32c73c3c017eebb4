//! The program and its commands.

use crate::cli::args::bench::BenchArgs;
use crate::cli::args::migration::{DatabaseArgs, PlanArgs};
use crate::cli::args::posit::{EncryptArgs, FingerprintArgs, GenerateKeyArgs, ProviderArgs};
use crate::cli::args::scripts::{GenerateArgs, PrivateServerArgs};
use anstyle::Style;
use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Parser, Subcommand};

/// The help of `migrate` itself: one line for each command, at most 24 lines of 80 columns. A test
/// compares it with the commands.
const OVERVIEW: &str = "\
Move data between SQLite and PostgreSQL, and verify every value.

Usage: migrate COMMAND [FLAGS]

Migrate:
  plan                  Show what a migration would do; change nothing
  database (db)         Plan, copy, finish, verify and report; with --verify,
                        only compare

Posit products:
  provider              Set Database.Provider in the configuration file
  encrypt-config-value  Encrypt a password for the configuration file
  generate-key          Create a key file for encrypted passwords
  fingerprint           Print the fingerprint of a key file

Measure:
  bench                 Measure this machine and a server, to size a window

Flags of a command:     migrate help COMMAND
All flags, exit codes:  migrate man | man -l -
Version:                migrate --version
";

/// [`OVERVIEW`] with its headings in bold.
fn overview() -> String {
    let heading = Style::new().bold().underline();
    let format_line = |line: &str| match line.split_once(':') {
        Some((title, "")) => format!("{heading}{title}:{heading:#}\n"),
        Some(("Usage", usage)) => format!("{heading}Usage:{heading:#}{usage}\n"),
        _ => format!("{line}\n"),
    };
    OVERVIEW.lines().map(format_line).collect()
}

/// The exit codes, for the man page.
pub(crate) const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 usage error; 3 the databases differ; 4 refused, nothing was \
written; 5 paused, the same command resumes.";

/// Move data between SQLite and PostgreSQL, and verify every value.
///
/// The source is never changed. Flags may stand before or after the command. A single dash works
/// like two: -from and --from are the same.
#[derive(Debug, Parser)]
#[command(
    name = "migrate",
    bin_name = "migrate",
    version,
    propagate_version = true,
    max_term_width = 100,
    override_help = overview(),
    disable_help_subcommand = true,
    disable_help_flag = true,
    disable_version_flag = true,
    after_long_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    /// When to use color; auto means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto",
        help_heading = "Output", display_order = 100,
        value_parser = PossibleValuesParser::new(["auto", "always", "never"]))]
    pub(crate) color: String,
    /// Print help.
    #[arg(long, short, global = true, action = ArgAction::Help, help_heading = "Output",
        display_order = 101)]
    help: Option<bool>,
    /// Print the version.
    #[arg(long, short = 'V', global = true, action = ArgAction::Version, help_heading = "Output",
        display_order = 102)]
    version: Option<bool>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Migrate a database: plan, copy, finish, verify, report. The source is never changed. The
    /// same command resumes an interrupted run.
    #[command(visible_alias = "db")]
    Database(Box<DatabaseArgs>),
    /// Show what `database` would do, and change nothing.
    Plan(Box<PlanArgs>),
    /// Set Database.Provider in the product's configuration file, and change nothing else.
    Provider(Box<ProviderArgs>),
    /// Encrypt a password for the product's configuration file. The password is read from standard
    /// input or from a prompt.
    EncryptConfigValue(EncryptArgs),
    /// Create a key file for encrypted passwords, and print its fingerprint.
    GenerateKey(GenerateKeyArgs),
    /// Print the fingerprint of a key file.
    Fingerprint(FingerprintArgs),
    /// Measure how fast this machine and a server move rows, to size a maintenance window and to
    /// choose settings. Everything that it creates is removed.
    Bench(BenchArgs),
    /// Show the commands, or the flags of one command.
    Help {
        /// The command.
        command: Option<String>,
    },
    /// Print the man page.
    #[command(hide = true)]
    Man,
    /// Create a usage database for tests and measurements.
    #[command(hide = true)]
    Generate(GenerateArgs),
    /// Run a command with a private PostgreSQL server.
    #[command(hide = true)]
    PrivateServer(PrivateServerArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_overview_fits_a_terminal_and_lists_every_command() {
        assert!(OVERVIEW.lines().count() <= 24);
        assert!(OVERVIEW.lines().all(|line| line.chars().count() <= 80));
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            let is_listed = OVERVIEW.lines().any(|line| line.starts_with(&format!("  {name} ")));
            assert_eq!(is_listed, !command.is_hide_set() && name != "help", "{name}");
        }
    }
}

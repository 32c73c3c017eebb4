//! The command line as it is typed: every command and flag, and nothing of what they mean.
//!
//! The texts here are the help and the man page. [`crate::cli::request`] turns what was typed into
//! what the program needs.

pub(crate) mod normalize;
pub(crate) mod usage_error;
pub(crate) mod value_parsers;

use crate::cli::commands::bench::BenchArguments;
use crate::cli::commands::generate::GenerateArgs;
use crate::cli::commands::private_server::PrivateServerArgs;
use crate::control::deadline::Deadline;
use crate::product::{Product, Provider};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Moves an application's data between SQLite and PostgreSQL, and proves that every value
/// arrived.
///
/// The source is never changed. Flags may stand before or after the command, and a single dash
/// does for two: -from and --from are the same.
#[derive(Debug, Parser)]
#[command(
    name = "migrate",
    bin_name = "migrate",
    version,
    propagate_version = true,
    flatten_help = true,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = EXIT_CODES
)]
pub(crate) struct Arguments {
    /// When to use colour; auto means on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto",
        value_parser = PossibleValuesParser::new(["auto", "always", "never"]))]
    pub(crate) color: String,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 the command line does not make sense; 3 the databases differ;
4 refused before anything was written; 5 paused, the same command goes on from there.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Moves a database: plan, copy, finish, verify, report.
    #[command(visible_alias = "db")]
    Database(Box<DatabaseArguments>),
    /// Shows what `database` would do, and changes nothing.
    Plan(Box<PlanArguments>),
    /// Says which database the service of a product uses: sets Database.Provider in its
    /// configuration file, and changes nothing else.
    Provider(Box<ProviderArguments>),
    /// Encrypts a password for a product's configuration file; it is read from standard input or
    /// asked for.
    EncryptConfigValue(EncryptArguments),
    /// Makes a key file for encrypted passwords, and prints its fingerprint.
    GenerateKey(GenerateKeyArguments),
    /// Prints the fingerprint of a key file.
    Fingerprint(ConfigArguments),
    /// Measures how fast this machine and a server move rows, stage by stage and as a whole, to
    /// size a maintenance window and to choose settings; nothing of it stays.
    Bench(BenchArguments),
    /// Prints every command and flag, or those of one command.
    Help {
        /// The command to tell about.
        command: Option<String>,
    },
    /// Prints the manual page.
    #[command(hide = true)]
    Man,
    /// Makes a usage database to try things with.
    #[command(hide = true)]
    Generate(GenerateArgs),
    /// Runs a command with a PostgreSQL server of its own.
    #[command(hide = true)]
    PrivateServer(PrivateServerArgs),
}

/// Which product is meant, and where its configuration is.
#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// The product [default: by the configuration file's name or folder, by the folder of this
    /// program, or the one that is there].
    #[arg(long, value_name = "PRODUCT")]
    pub(crate) product: Option<ProductWord>,
    /// The product's configuration file [default: /etc/rstudio-connect/rstudio-connect.gcfg or
    /// /etc/rstudio-pm/rstudio-pm.gcfg].
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The file with the key of encrypted passwords [default: as the product finds it].
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// What stands in for / before the absolute paths of defaults and configurations.
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) root: Option<PathBuf>,
}

/// What of a product is moved, and what may be done although it is guarded against.
#[derive(Debug, Args)]
pub(crate) struct DataSetArguments {
    /// Only this data set: core or instrumentation of Connect, main or usage of Package Manager
    /// [default: all that the product stores].
    #[arg(long, value_name = "NAME")]
    pub(crate) data: Option<String>,
    /// The SQLite file of core or main [default: as the product finds it].
    #[arg(long, value_name = "FILE")]
    pub(crate) sqlite: Option<PathBuf>,
    /// The SQLite file of instrumentation [default: as Connect finds it].
    #[arg(long, value_name = "FILE")]
    pub(crate) instrumentation_sqlite: Option<PathBuf>,
    /// The SQLite file of usage [default: as Package Manager finds it].
    #[arg(long, value_name = "FILE")]
    pub(crate) usage_sqlite: Option<PathBuf>,
    /// Go on although the service or another program uses a database; verification may fail
    /// then [default: refuse].
    #[arg(long)]
    pub(crate) allow_running: bool,
    /// Move Connect back to SQLite, which Connect does not support [default: refuse].
    #[arg(long)]
    pub(crate) allow_back: bool,
}

/// What `database` and `plan` both need to know.
#[derive(Debug, Args)]
pub(crate) struct SharedArguments {
    /// The source: a path, sqlite:PATH, a PostgreSQL URL or key=value string; or a provider's
    /// name (sqlite3, pgx, also sqlite, postgres).
    #[arg(long, value_name = "SOURCE", default_value = "sqlite3")]
    pub(crate) from: OsString,
    /// The target, in the same forms.
    #[arg(long, value_name = "TARGET", default_value = "pgx")]
    pub(crate) to: OsString,
    /// The schema of a PostgreSQL source [default: the first of the search path].
    #[arg(long, value_name = "NAME")]
    pub(crate) schema: Option<String>,
    /// Only tables whose name matches, such as 'log_*'; may be repeated [default: all].
    #[arg(long, value_name = "PATTERN")]
    pub(crate) tables: Vec<String>,
    /// Without tables whose name matches; may be repeated [default: none].
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Gives a column a type: 'table.column=type'; may be repeated [default: from the declared
    /// type and the stored values].
    ///
    /// Names that hold a dot, an equals sign or a quote are written in double quotes. For dates
    /// kept as numbers the unit follows the type: timestamp:s, :ms, :us, :ns or :julian.
    #[arg(long, value_name = "CAST")]
    pub(crate) cast: Vec<String>,
    /// Reads such types from a file, as `plan --write-casts` writes it; --cast comes before it
    /// [default: none].
    #[arg(long, value_name = "FILE")]
    pub(crate) casts: Option<PathBuf>,
    /// What to do about values that the target cannot hold: refuse, take a wider column type, or
    /// leave the rows out into --reject-file.
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub(crate) on_misfit: MisfitWord,
    /// The new SQLite file for rows that are left out by --on-misfit reject [default: none].
    #[arg(long, value_name = "FILE")]
    pub(crate) reject_file: Option<PathBuf>,
    /// Refuse wherever something would only be listed [default: list it].
    #[arg(long)]
    pub(crate) strict: bool,
    /// Refuse every conversion that cannot be undone [default: convert, count and report].
    #[arg(long)]
    pub(crate) exact: bool,
    /// First drop what stands in the way in the target [default: refuse].
    #[arg(long)]
    pub(crate) drop_all: bool,
    /// Throw away what an earlier run made in the target, and do everything anew [default: go on
    /// with a run that was cut off].
    #[arg(long)]
    pub(crate) restart: bool,
    /// Reader threads and writer connections, both [default: from the number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Reader threads [default: as --threads].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) readers: Option<u16>,
    /// Writer connections [default: as --threads].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) writers: Option<u16>,
    /// Memory for rows in flight, such as 256M or 1G, at least 16M [default: from the number of
    /// cores].
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::memory)]
    pub(crate) memory: Option<u64>,
    /// Where private copies and temporary files go [default: TMPDIR, or /tmp].
    #[arg(long, value_name = "DIR")]
    pub(crate) temp_dir: Option<PathBuf>,
    /// Show progress bars where there is no terminal, too [default: a line every 10 seconds].
    #[arg(long)]
    pub(crate) progress: bool,
    /// Write the result as JSON to a file, or with - to standard output, which then gets nothing
    /// else [default: none].
    #[arg(long, value_name = "FILE|-")]
    pub(crate) json: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    #[command(flatten)]
    pub(crate) data_sets: DataSetArguments,
}

/// The flags of `database`.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArguments {
    #[command(flatten)]
    pub(crate) shared: SharedArguments,
    /// Do not ask before --drop-all drops tables that the source does not have [default: ask on
    /// a terminal, else refuse].
    #[arg(long)]
    pub(crate) yes: bool,
    /// Create the target database if it does not exist [default: refuse].
    #[arg(long)]
    pub(crate) create_database: bool,
    /// Only compare source and target; write nothing [default: copy, then compare].
    #[arg(long, conflicts_with_all = ["drop_all", "restart", "no_verify", "create_database"])]
    pub(crate) verify: bool,
    /// Go on although the target is the database that the service uses by its configuration
    /// [default: refuse].
    #[arg(long)]
    pub(crate) allow_live_target: bool,
    /// After a good verdict set Database.Provider in the product's configuration file [default:
    /// leave it].
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) switch_provider: bool,
    /// When the run must be over: a local time of day such as 04:30, of which the next one is
    /// meant, or a date and time with its offset (RFC 3339) [default: none].
    ///
    /// A run that would take longer by what a sample took is refused. One that turns out too slow
    /// is paused before, with the time for indexes and verification kept free; what came into
    /// PostgreSQL stays there. On the way into SQLite the run ends without a file.
    #[arg(long, value_name = "TIME", conflicts_with = "window", value_parser = value_parsers::deadline)]
    pub(crate) deadline: Option<Deadline>,
    /// The same as a length of time from now, such as 2h, 90m or 1h30m [default: none].
    #[arg(long, value_name = "LENGTH", value_parser = value_parsers::window)]
    pub(crate) window: Option<Deadline>,
    /// Begin although the run would not be over by --deadline or --window; it pauses then
    /// [default: refuse].
    #[arg(long)]
    pub(crate) allow_late: bool,
    /// Write at most so much in a second, such as 50MB/s or 8MiB/s [default: no limit].
    #[arg(long, value_name = "RATE", value_parser = value_parsers::rate, conflicts_with = "verify")]
    pub(crate) max_rate: Option<u64>,
    /// The most bytes of rows that are sent in one transaction, from 64K to 256M; without --memory
    /// that grows with it [default: 8M, or less where --memory or --max-rate is small].
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::chunk_size,
        conflicts_with = "verify")]
    pub(crate) chunk_size: Option<u64>,
    /// First make a copy of the SQLite sources in this folder [default: none].
    #[arg(long, value_name = "DIR", conflicts_with = "verify")]
    pub(crate) backup: Option<PathBuf>,
    /// How deep to compare: row counts, or every value.
    #[arg(long, value_name = "DEPTH", default_value = "full", conflicts_with = "no_verify")]
    pub(crate) depth: DepthWord,
    /// Do not compare after copying; the verdict stays "not verified" [default: compare].
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// After a good verdict remove the ledger from the target; a later run then knows nothing of
    /// this one [default: a row for each data set stays until the provider is switched].
    #[arg(long, conflicts_with_all = ["verify", "no_verify"])]
    pub(crate) drop_ledger: bool,
    /// How long to try again where a connection is lost, such as 30s, 5m or 1h; 0 means not at
    /// all.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value_parsers::duration)]
    pub(crate) retry_for: Duration,
    /// Tell at most this many differences for each table.
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "no_verify")]
    pub(crate) max_differences: u32,
    /// Tell differences with the values themselves [default: only where they are].
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) show_values: bool,
}

/// The flags of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    #[command(flatten)]
    pub(crate) shared: SharedArguments,
    /// Write the type of every column to a file, which --casts reads: staging and production
    /// then agree [default: none].
    #[arg(long, value_name = "FILE")]
    pub(crate) write_casts: Option<PathBuf>,
}

/// The flags of `provider`.
#[derive(Debug, Args)]
pub(crate) struct ProviderArguments {
    /// What the service is to use.
    pub(crate) provider: ProviderWord,
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Set it although the databases were not compared with a good verdict [default: refuse].
    #[arg(long)]
    pub(crate) allow_unverified: bool,
}

/// The flags of `encrypt-config-value`.
#[derive(Debug, Args)]
pub(crate) struct EncryptArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Encrypt with AES-256-GCM [default: XSalsa20-Poly1305, which every version reads].
    #[arg(long)]
    pub(crate) fips: bool,
}

/// The flags of `generate-key`.
#[derive(Debug, Args)]
pub(crate) struct GenerateKeyArguments {
    /// The new key file, which must not exist yet [default: none, it must be given].
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: PathBuf,
}

/// The words of --product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProductWord {
    Connect,
    PackageManager,
}

impl ProductWord {
    pub(crate) fn product(self) -> Product {
        match self {
            Self::Connect => Product::Connect,
            Self::PackageManager => Product::PackageManager,
        }
    }
}

/// The words of `provider`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProviderWord {
    #[value(alias = "pgx")]
    Postgres,
    #[value(alias = "sqlite3")]
    Sqlite,
}

impl ProviderWord {
    pub(crate) fn provider(self) -> Provider {
        match self {
            Self::Postgres => Provider::Postgres,
            Self::Sqlite => Provider::Sqlite,
        }
    }
}

/// The words of --on-misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MisfitWord {
    Refuse,
    Widen,
    Reject,
}

/// The words of --depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DepthWord {
    Rows,
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_sound() {
        Arguments::command().debug_assert();
    }
}

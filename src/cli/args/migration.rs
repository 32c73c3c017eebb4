//! The flags of `database` and `plan`, by heading.

use crate::cli::args::choices::{Guard, MisfitArg, depth_parser, large_objects_parser};
use crate::cli::args::posit::{ConfigArgs, DataSetArgs};
use crate::cli::args::value_parsers;
use crate::control::deadline::Deadline;
use crate::options::plan_options::LargeObjects;
use crate::options::run_options::Depth;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The flags of `database`.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    #[command(flatten)]
    pub(crate) shared: SharedArgs,
    #[command(flatten)]
    pub(crate) safety: SafetyArgs,
    #[command(flatten)]
    pub(crate) time: TimeArgs,
    #[command(flatten)]
    pub(crate) verification: VerificationArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// After a match, set Database.Provider in the product's configuration file.
    #[arg(long, conflicts_with = "no_verify", help_heading = "Posit products")]
    pub(crate) switch_provider: bool,
}

/// The flags of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) shared: SharedArgs,
    /// Write the type of every column to FILE. With --casts FILE, another run uses the same types.
    #[arg(long, value_name = "FILE", help_heading = "Types")]
    pub(crate) write_casts: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// The first headings of `database` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct SharedArgs {
    #[command(flatten)]
    pub(crate) locations: LocationArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) types: TypeArgs,
    #[command(flatten)]
    pub(crate) refusals: RefusalArgs,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// The last headings of `database` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten, next_help_heading = "Posit products")]
    pub(crate) config: ConfigArgs,
    #[command(flatten, next_help_heading = "Posit products")]
    pub(crate) data_sets: DataSetArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Locations")]
pub(crate) struct LocationArgs {
    /// The source: a SQLite file (PATH or sqlite:PATH), a PostgreSQL URL or key=value string, or a
    /// provider's name (sqlite3, pgx) for the location in a product's configuration.
    #[arg(long, value_name = "SOURCE", default_value = "sqlite3")]
    pub(crate) from: OsString,
    /// The target, in the same forms.
    #[arg(long, value_name = "TARGET", default_value = "pgx")]
    pub(crate) to: OsString,
    /// The schema of a PostgreSQL source. Without it: the first schema of the search path.
    #[arg(long, value_name = "NAME")]
    pub(crate) schema: Option<String>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What to move")]
pub(crate) struct SelectionArgs {
    /// Move only tables whose name matches, such as 'log_*'. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) tables: Vec<String>,
    /// Do not move tables whose name matches. Repeatable.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// What to do with PostgreSQL's large objects: copy them as BLOBs into the columns that refer to
    /// them (blob), or leave them out (skip). Without it, they refuse the run.
    #[arg(long, value_name = "HOW", value_parser = large_objects_parser(),
        hide_possible_values = true)]
    pub(crate) large_objects: Option<LargeObjects>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Types")]
pub(crate) struct TypeArgs {
    /// Set a column's type: 'table.column=type'. Repeatable. Write a name with a dot, an equals
    /// sign or a quote in double quotes. For dates stored as numbers add the unit: timestamp:s,
    /// :ms, :us, :ns or :julian.
    #[arg(long, value_name = "CAST")]
    pub(crate) cast: Vec<String>,
    /// Read column types from a file that `plan --write-casts` wrote. --cast overrides it.
    #[arg(long, value_name = "FILE")]
    pub(crate) casts: Option<PathBuf>,
    /// What to do with values that the target column cannot hold: refuse, widen the column's type,
    /// or reject: skip their rows and write them to --reject-file.
    #[arg(long, value_name = "HOW", default_value = "refuse", hide_possible_values = true)]
    pub(crate) on_misfit: MisfitArg,
    /// The new SQLite file for the rows that --on-misfit reject skips.
    #[arg(long, value_name = "FILE")]
    pub(crate) reject_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct RefusalArgs {
    /// Values: refuse every conversion that cannot be undone. Without it, conversions are counted
    /// and reported.
    #[arg(long)]
    pub(crate) exact: bool,
    /// Objects: refuse if one would not be migrated, or if a column's type needs review.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Override guards by name. duplicates: copy rows of a damaged SQLite source with equal values of a
    /// unique key. The key becomes an index that is not unique.
    #[arg(long, value_name = "GUARD[,GUARD]", value_delimiter = ',', hide_possible_values = true)]
    pub(crate) allow: Vec<Guard>,
    /// First drop the tables and views that this run creates again, with their indexes. A SQLite
    /// target file is replaced if it holds no other table or view.
    #[arg(long, conflicts_with = "drop_all")]
    pub(crate) clean: bool,
    /// First drop everything in the target's schema, or replace the SQLite target file. The same
    /// command resumes an interrupted run; with --restart it starts from scratch.
    #[arg(long)]
    pub(crate) drop_all: bool,
    /// Discard what an earlier run created in the target, and start from scratch. Without it, an
    /// interrupted run is resumed.
    #[arg(long)]
    pub(crate) restart: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArgs {
    /// Do not ask before --clean or --drop-all drops tables or rows that the source does not have, or
    /// --restart drops rows that others wrote.
    #[arg(long)]
    pub(crate) yes: bool,
    /// After a match, remove the SQLite file that was replaced. Without it, the file is kept as
    /// NAME.replaced-TIME.
    #[arg(long, conflicts_with_all = ["verify", "no_verify"])]
    pub(crate) no_keep: bool,
    /// Create the target database if it does not exist.
    #[arg(long)]
    pub(crate) create_database: bool,
    /// First copy the SQLite sources to this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "verify")]
    pub(crate) backup: Option<PathBuf>,
    /// Run although the target is the database that the service uses by its configuration.
    #[arg(long)]
    pub(crate) allow_live_target: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Time and load")]
pub(crate) struct LoadArgs {
    /// Reader threads and writer connections, both. Without it: a number that suits the cores.
    #[arg(long, value_name = "N", value_parser = value_parsers::number::<1024>)]
    pub(crate) threads: Option<u16>,
    /// Reader threads. Overrides --threads.
    #[arg(long, value_name = "N", value_parser = value_parsers::number::<1024>)]
    pub(crate) readers: Option<u16>,
    /// Writer connections. Overrides --threads.
    #[arg(long, value_name = "N", value_parser = value_parsers::number::<1024>)]
    pub(crate) writers: Option<u16>,
    /// Memory for rows in flight, such as 256M or 1G, at least 16M.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::memory)]
    pub(crate) memory: Option<u64>,
    /// The folder for private copies and temporary files. Without it: $TMPDIR or /tmp.
    #[arg(long, value_name = "DIR")]
    pub(crate) temp_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Time and load")]
pub(crate) struct TimeArgs {
    /// When the run must be over: a time of day such as 04:30, or a date and time with offset
    /// (RFC 3339). A run whose estimate is later is refused. A run that is too slow pauses in time.
    #[arg(long, value_name = "TIME", conflicts_with = "window", value_parser = value_parsers::deadline)]
    pub(crate) deadline: Option<Deadline>,
    /// The same as a length of time from now: 2h, 90m or 1h30m.
    #[arg(long, value_name = "LENGTH", value_parser = value_parsers::window)]
    pub(crate) window: Option<Deadline>,
    /// Start even if the estimate is later than the deadline. The run then pauses in time.
    #[arg(long)]
    pub(crate) allow_late: bool,
    /// Write at most this much per second, such as 50MB/s or 8MiB/s.
    #[arg(long, value_name = "RATE", value_parser = value_parsers::rate, conflicts_with = "verify")]
    pub(crate) max_rate: Option<u64>,
    /// The most bytes of rows in one transaction, from 64K to 256M. Without it: 8M, or less with a
    /// small --memory or --max-rate. Without --memory, a larger chunk also takes more memory.
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::chunk_size,
        conflicts_with = "verify")]
    pub(crate) chunk_size: Option<u64>,
    /// How long to retry a lost connection, such as 30s, 5m or 1h; 0 means not at all.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = value_parsers::duration)]
    pub(crate) retry_for: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Verification")]
pub(crate) struct VerificationArgs {
    /// Only compare source and target; write nothing.
    #[arg(long, conflicts_with_all = ["clean", "drop_all", "restart", "no_verify", "create_database"])]
    pub(crate) verify: bool,
    /// Do not compare after the copy; the verdict is then "not verified".
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Compare row counts (rows) or every value (full).
    #[arg(long, value_name = "DEPTH", default_value = "full", value_parser = depth_parser(),
        conflicts_with = "no_verify", hide_possible_values = true)]
    pub(crate) depth: Depth,
    /// Show at most this many differences for each table.
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "no_verify")]
    pub(crate) max_differences: u32,
    /// Show the values that differ, not only where they are.
    #[arg(long, conflicts_with = "no_verify")]
    pub(crate) show_values: bool,
    /// After a match, remove the ledger from the target. Later runs then know nothing of this one.
    #[arg(long, conflicts_with_all = ["verify", "no_verify"])]
    pub(crate) drop_ledger: bool,
}

/// The flags of `database`, `plan` and `bench` about their output.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// Show progress bars even without a terminal. Without it: bars on a terminal, otherwise a line
    /// every 10 seconds.
    #[arg(long)]
    pub(crate) progress: bool,
    /// Write the result as JSON to a file, or with - to standard output, and nothing else there.
    #[arg(long, value_name = "FILE|-")]
    pub(crate) json: Option<PathBuf>,
}

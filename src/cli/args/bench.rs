//! The flags of `bench`.

use crate::bench::generate::Rows;
use crate::cli::args::migration::OutputArgs;
use crate::cli::args::value_parsers;
use std::ffi::OsString;
use std::path::PathBuf;

/// The flags of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// The SQLite file whose rows are measured, a path or sqlite:PATH. Without it: a generated
    /// usage database.
    #[arg(long, value_name = "SOURCE", help_heading = "Locations")]
    pub(crate) from: Option<OsString>,
    /// The server to measure, a PostgreSQL URL or key=value string. The work is done in a scratch
    /// schema, which is dropped at the end. Without it: a private server with default settings.
    #[arg(long, value_name = "TARGET", help_heading = "Locations")]
    pub(crate) to: Option<OsString>,
    /// Move only tables of --from whose name matches, such as 'log_*'. Repeatable.
    #[arg(long, value_name = "PATTERN", help_heading = "What to move")]
    pub(crate) tables: Vec<String>,
    /// Do not move tables of --from whose name matches. Repeatable.
    #[arg(long, value_name = "PATTERN", help_heading = "What to move")]
    pub(crate) exclude: Vec<String>,
    /// The number of rows to generate, over all tables: 100000, 250k, 12.5M.
    #[arg(
        long,
        value_name = "N",
        default_value = "1M",
        conflicts_with = "from",
        help_heading = "What to move"
    )]
    pub(crate) rows: Rows,
    /// The seed of the generator. The same seed and number of rows give the same data.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        conflicts_with = "from",
        help_heading = "What to move"
    )]
    pub(crate) seed: u64,
    /// The number of times that each thing is measured. Medians are reported.
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Time and load",
        value_parser = value_parsers::number::<99>)]
    pub(crate) rounds: u16,
    /// Measure only the stages and the whole job: no other numbers of writers, chunk sizes and
    /// server settings.
    #[arg(long, help_heading = "Time and load")]
    pub(crate) quick: bool,
    /// The folder for temporary files. Without it: $TMPDIR or /tmp. A private server always uses
    /// $TMPDIR or /tmp.
    #[arg(long, value_name = "DIR", help_heading = "Time and load")]
    pub(crate) temp_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

//! `migrate bench`: measures, and says what was measured.

use crate::bench;
use crate::bench::generate::Rows;
use crate::bench::scratch::Scratch;
use crate::bench::{Request, Subject};
use crate::cli::commands::supervise::supervised;
use crate::cli::exit_code::Exit;
use crate::cli::output;
use crate::cli::output::console::Console;
use crate::cli::output::format::time_left;
use crate::cli::request;
use crate::cli::request::{LocationArg, Output, check_patterns, check_temp_dir};
use crate::config::secret::Secret;
use crate::control::progress::Progress;
use crate::error::{Error, Result};
use crate::options::location::Location;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// The flags of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    /// The SQLite file whose rows are moved, a path or sqlite:PATH [default: a generated usage
    /// database].
    #[arg(long, value_name = "SOURCE")]
    from: Option<OsString>,
    /// The server to measure, a PostgreSQL URL or key=value string; all is done in a scratch schema
    /// there, which is dropped [default: a private server with PostgreSQL's default settings].
    #[arg(long, value_name = "TARGET")]
    to: Option<OsString>,
    /// How many rows are generated, over all tables: 100000, 250k, 12.5M.
    #[arg(long, value_name = "N", default_value = "1M", conflicts_with = "from")]
    rows: Rows,
    /// The same seed and number of rows make the same data.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "from")]
    seed: u64,
    /// How often each thing is measured; medians are told.
    #[arg(long, value_name = "N", default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: u16,
    /// Only the stages and the whole job: no other numbers of writers, sizes of chunks and settings
    /// of the server [default: those, too].
    #[arg(long)]
    quick: bool,
    /// Only tables of --from whose name matches, such as 'log_*'; may be repeated [default: all].
    #[arg(long, value_name = "PATTERN")]
    tables: Vec<String>,
    /// Without tables of --from whose name matches; may be repeated [default: none].
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Where temporary files go; a private server is put into TMPDIR [default: TMPDIR, or /tmp].
    #[arg(long, value_name = "DIR")]
    temp_dir: Option<PathBuf>,
    /// Show progress bars where there is no terminal, too [default: a line every 10 seconds].
    #[arg(long)]
    progress: bool,
    /// Write the result as JSON to a file, or with - to standard output, which then gets nothing
    /// else [default: none].
    #[arg(long, value_name = "FILE|-")]
    json: Option<PathBuf>,
}

impl BenchArguments {
    fn subject(&self) -> Result<Subject> {
        let Some(from) = &self.from else {
            return Ok(Subject::Generated { rows: self.rows, seed: self.seed });
        };
        match request::location("--from", from)? {
            LocationArg::At(Location::Sqlite(path)) => Ok(Subject::File(path)),
            _ => Err(Error::usage("--from names the SQLite file whose rows are to be measured")
                .hint("without it rows are generated")),
        }
    }

    fn target(&self) -> Result<Option<Secret>> {
        let Some(to) = &self.to else { return Ok(None) };
        match request::location("--to", to)? {
            LocationArg::At(Location::Postgres(url)) => Ok(Some(url)),
            _ => Err(Error::usage("--to names the PostgreSQL server that is to be measured")
                .hint("without it a private server is started")),
        }
    }

    /// What is to be measured, with temporary files in a new folder, and where data goes.
    fn request(&self) -> Result<(Request, TempDir, Option<Output>)> {
        if self.from.is_none() && !(self.tables.is_empty() && self.exclude.is_empty()) {
            return Err(Error::usage("--tables and --exclude go with --from only"));
        }
        check_patterns("--tables", &self.tables)?;
        check_patterns("--exclude", &self.exclude)?;
        let (subject, target) = (self.subject()?, self.target()?);
        let parent = self.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        check_temp_dir(&parent)?;
        let source = match &subject {
            Subject::File(file) => Some(file.as_path()),
            Subject::Generated { .. } => None,
        };
        let output = |path| Output::of(path, source.as_slice());
        let output = self.json.clone().map(output).transpose()?;
        let folder = tempfile::Builder::new().prefix("migrate-bench-").tempdir_in(&parent);
        let folder = folder.map_err(|error| {
            Error::refused(format!("cannot make a folder in {}", parent.display()))
                .caused_by(error)
                .hint("--temp-dir names another place")
        })?;
        let request = Request {
            subject,
            target,
            schema: Scratch::new_name(),
            rounds: usize::from(self.rounds),
            quick: self.quick,
            tables: self.tables.clone(),
            exclude: self.exclude.clone(),
            folder: folder.path().to_owned(),
        };
        Ok((request, folder, output))
    }
}

/// Runs the command.
pub(crate) fn run(args: &BenchArguments, console: &mut Console) -> Result<Exit> {
    let (request, folder, output) = args.request()?;
    let has_source = args.from.is_some();
    let progress = Arc::new(Progress::default());
    let measured = request.expected_seconds().and_then(|seconds| {
        // Nobody has to read it.
        let _ = writeln!(
            console.err,
            "measuring takes about {} on two cores of a common machine; Ctrl-C leaves nothing",
            time_left(seconds)
        );
        let watch = console.watch(&progress, args.progress);
        let schema = request.schema.clone();
        let is_theirs = request.target.is_some();
        let measured = supervised(&progress, move |progress| bench::run(&request, progress));
        drop(watch);
        measured.unwrap_or_else(|error| {
            let drop = Scratch::drop_statement(&schema);
            Err(if is_theirs {
                error.hint(format!("then drop what is left: {drop}"))
            } else {
                error
            })
        })
    });
    drop(folder);
    let (report, error) = match measured {
        Ok(report) => (Some(report), None),
        Err(error) if has_source => (None, Some(error.hint("the source is unchanged"))),
        Err(error) => (None, Some(error)),
    };
    let exit = error.as_ref().map_or(Exit::Done, |error| Exit::from(error.kind()));
    if let Some(report) = &report {
        // What cannot be shown was measured all the same.
        let _ = output::bench::write(console.human(output.as_ref()), report);
    }
    Ok(console.end(output.as_ref(), report.as_ref(), exit, error.as_ref()))
}

//! The request of `bench`.

use crate::bench::request::{Request, Subject};
use crate::bench::scratch::Scratch;
use crate::cli::args::bench::BenchArgs;
use crate::cli::output::output_file::Output;
use crate::cli::request::checks::{check_folder, check_patterns};
use crate::cli::request::location::LocationArg;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::options::location::Location;
use tempfile::TempDir;

/// A measurement, its folder of temporary files, and the destination of its JSON.
pub(crate) struct BenchRequest {
    pub(crate) request: Request,
    pub(crate) folder: TempDir,
    pub(crate) json: Option<Output>,
}

impl BenchRequest {
    /// The request of `migrate bench`.
    pub(crate) fn from_args(args: &BenchArgs) -> Result<Self> {
        if args.from.is_none() && !(args.tables.is_empty() && args.exclude.is_empty()) {
            return Err(Error::usage("--tables and --exclude need --from"));
        }
        check_patterns("--tables", &args.tables)?;
        check_patterns("--exclude", &args.exclude)?;
        let (subject, target) = (subject(args)?, target(args)?);
        let parent = args.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        check_folder("--temp-dir", &parent)?;
        let source = match &subject {
            Subject::File(file) => Some(file.as_path()),
            Subject::Generated { .. } => None,
        };
        let json = args.output.json.clone();
        let json = json.map(|path| Output::for_json(path, source.as_slice())).transpose()?;
        let folder = tempfile::Builder::new().prefix("migrate-bench-").tempdir_in(&parent);
        let folder = folder.map_err(|error| {
            Error::refused(format!("cannot create a folder in {}", parent.display()))
                .caused_by(error)
                .hint("name another folder with --temp-dir DIR")
        })?;
        let request = Request {
            subject,
            target,
            schema: Scratch::new_name(),
            rounds: usize::from(args.rounds),
            quick: args.quick,
            tables: args.tables.clone(),
            exclude: args.exclude.clone(),
            folder: folder.path().to_owned(),
        };
        Ok(Self { request, folder, json })
    }
}

fn subject(args: &BenchArgs) -> Result<Subject> {
    let Some(from) = &args.from else {
        return Ok(Subject::Generated { rows: args.rows, seed: args.seed });
    };
    match LocationArg::parse("--from", from)? {
        LocationArg::At(Location::Sqlite(path)) => Ok(Subject::File(path)),
        _ => Err(Error::usage("--from is not a SQLite file")
            .hint("name the SQLite file to measure, or omit --from to generate rows")),
    }
}

fn target(args: &BenchArgs) -> Result<Option<Secret>> {
    let Some(to) = &args.to else { return Ok(None) };
    match LocationArg::parse("--to", to)? {
        LocationArg::At(Location::Postgres(url)) => Ok(Some(url)),
        _ => Err(Error::usage("--to is not a PostgreSQL server")
            .hint("name the server to measure, or omit --to to start a private one")),
    }
}

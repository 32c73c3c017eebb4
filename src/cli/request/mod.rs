//! From arguments to options. Everything that can be checked without opening a database is checked
//! here.

pub(crate) mod bench;
pub(crate) mod casts;
pub(crate) mod checks;
pub(crate) mod data_sets;
pub(crate) mod location;
pub(crate) mod product;

use crate::cli::args::choices::{Guard, MisfitArg};
use crate::cli::args::migration::{CommonArgs, DatabaseArgs, PlanArgs, SharedArgs};
use crate::cli::output::output_file::{self, Output};
use crate::cli::request::checks::{check_folder, check_patterns, replace};
use crate::cli::request::data_sets::needs_configuration;
use crate::cli::request::product::{DataSets, ProductRequest, Purpose};
use crate::control::sizing::ResourceLimits;
use crate::error::{Error, Result};
use crate::options::location::Location;
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::options::run_options::{Depth, RunOptions, Verify};
use std::path::{Path, PathBuf};

/// The request of `database` or `plan`.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) options: RunOptions,
    /// Tables that the source does not have may be dropped without a question.
    pub(crate) yes: bool,
    /// Progress bars are drawn even without a terminal.
    pub(crate) force_bars: bool,
    /// The destination of the result as JSON.
    pub(crate) json: Option<Output>,
    /// The file for the plan's column types.
    pub(crate) write_casts: Option<PathBuf>,
    /// The product, if its configuration was read.
    pub(crate) product: Option<ProductRequest>,
}

impl Request {
    /// The request of `migrate database`. Errors: usage errors; a refusal if a file of casts cannot
    /// be read.
    pub(crate) fn database(args: DatabaseArgs) -> Result<Self> {
        let DatabaseArgs { shared, safety, time, verification, common, switch_provider } = args;
        let purpose = match verification.verify {
            true => Purpose::Compare,
            false => Purpose::Copy { allow_live_target: safety.allow_live_target },
        };
        let mut request = Self::shared(shared, common, purpose)?;
        request.yes = safety.yes;
        match &mut request.product {
            Some(product) => product.switch = switch_provider,
            None if switch_provider => return Err(needs_configuration("--switch-provider")),
            None => {}
        }
        let into_sqlite = request.has_sqlite_target();
        let options = &mut request.options;
        if safety.create_database && into_sqlite {
            return Err(Error::usage("--create-database is only for a PostgreSQL target")
                .hint("omit it: a missing SQLite file is created"));
        }
        if verification.drop_ledger && into_sqlite {
            return Err(Error::usage("--drop-ledger is only for a PostgreSQL target"));
        }
        if safety.no_keep && !into_sqlite {
            return Err(Error::usage("--no-keep is only for a SQLite target"));
        }
        if safety.no_keep && verification.depth == Depth::Rows {
            return Err(Error::usage("--no-keep cannot be used with --depth rows")
                .caused_by("a replaced file is removed only after every value was compared"));
        }
        if time.chunk_size.is_some() && into_sqlite {
            return Err(Error::usage("--chunk-size is only for a PostgreSQL target"));
        }
        let depth = verification.depth;
        options.verify = match (verification.verify, verification.no_verify) {
            (true, _) => Verify::Only(depth),
            (false, true) => Verify::No,
            (false, false) => Verify::AfterCopy(depth),
        };
        options.no_keep = safety.no_keep;
        options.create_database = safety.create_database;
        options.drop_ledger = verification.drop_ledger;
        options.max_differences = verification.max_differences;
        options.show_values = verification.show_values;
        options.retry_for = time.retry_for;
        options.limits.max_rate = time.max_rate;
        options.limits.chunk_bytes = time.chunk_size;
        options.deadline = time.deadline.or(time.window);
        options.allow_late = time.allow_late;
        let warning = options.deadline.as_ref().and_then(|deadline| deadline.warning());
        options.warnings.extend(warning.map(str::to_owned));
        if options.allow_late && options.deadline.is_none() {
            return Err(Error::usage("--allow-late needs --deadline or --window"));
        }
        if let Some(folder) = &safety.backup {
            check_folder("--backup", folder)?;
        }
        options.backup = safety.backup;
        Ok(request)
    }

    /// The request of `migrate plan`. Errors: as [`Self::database`].
    pub(crate) fn plan(args: PlanArgs) -> Result<Self> {
        let mut request = Self::shared(args.shared, args.common, Purpose::Plan)?;
        if args.write_casts.is_some() && request.has_sqlite_target() {
            return Err(Error::usage("--write-casts is only for a PostgreSQL target"));
        }
        if let Some(path) = &args.write_casts {
            output_file::check_replaceable("--write-casts", path, &files(&request.options))?;
        }
        request.write_casts = args.write_casts;
        request.options.verify = Verify::No;
        Ok(request)
    }

    fn shared(args: SharedArgs, common: CommonArgs, purpose: Purpose) -> Result<Self> {
        let SharedArgs { locations, selection, types, refusals, load } = args;
        let DataSets { sets, service_check, warnings, product } =
            data_sets::resolve(&locations, &common, purpose)?;
        let into_postgres =
            sets.iter().any(|data_set| matches!(data_set.target, Location::Postgres(_)));
        if locations.schema.is_some() && into_postgres {
            return Err(Error::usage("--schema is only for a PostgreSQL source").hint(
                "the target's schema is the first of its search path: \
                 add options=-csearch_path=NAME to --to",
            ));
        }
        if refusals.restart && !into_postgres {
            return Err(Error::usage("--restart is only for a PostgreSQL target")
                .hint("omit it: a run into a SQLite file always starts from scratch"));
        }
        if !refusals.allow.is_empty() && !into_postgres {
            return Err(Error::usage("--allow duplicates is only for a SQLite source"));
        }
        if selection.large_objects.is_some() && into_postgres {
            return Err(Error::usage("--large-objects is only for a PostgreSQL source"));
        }
        check_patterns("--tables", &selection.tables)?;
        check_patterns("--exclude", &selection.exclude)?;
        let replace = replace(&refusals, &selection)?;
        let threads = |own: Option<u16>| own.or(load.threads).map(usize::from);
        let options = RunOptions {
            plan: PlanOptions {
                schema: locations.schema,
                tables: selection.tables,
                exclude: selection.exclude,
                casts: casts::gather(types.casts.as_deref(), &types.cast)?,
                on_misfit: on_misfit(types.on_misfit, types.reject_file)?,
                strict: refusals.strict,
                exact: refusals.exact,
                large_objects: selection.large_objects,
                allow_duplicates: refusals.allow.contains(&Guard::Duplicates),
            },
            limits: ResourceLimits {
                readers: threads(load.readers),
                writers: threads(load.writers),
                memory: load.memory,
                ..ResourceLimits::default()
            },
            replace,
            restart: refusals.restart,
            temp_dir: load.temp_dir,
            service_check,
            warnings,
            ..RunOptions::new(sets)
        };
        if let Some(folder) = &options.temp_dir {
            check_folder("--temp-dir", folder)?;
        }
        if let OnMisfit::Reject { file } = &options.plan.on_misfit {
            output_file::check("--reject-file", file, &databases(&options))?;
        }
        let json = common.output.json.map(|path| Output::for_json(path, &files(&options)));
        let json = json.transpose()?;
        let force_bars = common.output.progress;
        Ok(Self { options, yes: false, force_bars, json, write_casts: None, product })
    }

    fn has_sqlite_target(&self) -> bool {
        self.options.data_sets.iter().any(|data_set| data_set.target.file().is_some())
    }
}

/// The files of the run, which a result must not overwrite: its databases and its reject file.
fn files(options: &RunOptions) -> Vec<&Path> {
    let rejects = match &options.plan.on_misfit {
        OnMisfit::Reject { file } => Some(file.as_path()),
        OnMisfit::Refuse | OnMisfit::Widen => None,
    };
    databases(options).into_iter().chain(rejects).collect()
}

fn databases(options: &RunOptions) -> Vec<&Path> {
    let locations = options.data_sets.iter().flat_map(|set| [&set.source, &set.target]);
    locations.filter_map(Location::file).collect()
}

fn on_misfit(choice: MisfitArg, file: Option<PathBuf>) -> Result<OnMisfit> {
    match (choice, file) {
        (MisfitArg::Reject, Some(file)) => Ok(OnMisfit::Reject { file }),
        (MisfitArg::Reject, None) => {
            Err(Error::usage("--on-misfit reject needs a file for the skipped rows")
                .hint("add --reject-file FILE; the file must not exist"))
        }
        (_, Some(_)) => Err(Error::usage("--reject-file needs --on-misfit reject")),
        (MisfitArg::Refuse, None) => Ok(OnMisfit::Refuse),
        (MisfitArg::Widen, None) => Ok(OnMisfit::Widen),
    }
}

#[cfg(test)]
mod tests;

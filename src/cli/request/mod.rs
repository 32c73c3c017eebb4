//! What the program needs, made from what was typed: the second of two steps. All that can be
//! checked without looking into a database is checked here.

pub(crate) mod output_file;
pub(crate) mod product;

use crate::cli::args::{
    ConfigArguments, DataSetArguments, DatabaseArguments, DepthWord, MisfitWord, PlanArguments,
    SharedArguments,
};
use crate::cli::output::casts;
use crate::cli::request::product::{NamedLocations, ProductRequest, Purpose, Resolved};
use crate::config::connection::Defaults;
use crate::config::secret::Secret;
use crate::control::sizing::ResourceLimits;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, FILE_MODE, Location};
use crate::options::plan_options::{OnMisfit, PlanOptions};
use crate::options::run_options::{Depth, RunOptions, Verify};
use crate::options::service::ServiceCheck;
use crate::product::Provider;
use globset::Glob;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A command, understood.
#[derive(Debug)]
pub(crate) struct Request {
    /// What the run is asked to do.
    pub(crate) options: RunOptions,
    /// Tables that the source lacks may be dropped without a question.
    pub(crate) yes: bool,
    /// Bars are drawn where there is no terminal, too.
    pub(crate) bars_anywhere: bool,
    /// Where the result goes as JSON.
    pub(crate) json: Option<Output>,
    /// Where the plan's column types go.
    pub(crate) write_casts: Option<PathBuf>,
    /// The product whose databases these are, where its configuration was read.
    pub(crate) product: Option<ProductRequest>,
}

/// Where data is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output, which then gets nothing else.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl Output {
    /// What --json names; never one of `files`.
    pub(crate) fn of(path: PathBuf, files: &[&Path]) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        output_file::check("--json", &path, files)?;
        Ok(Self::File(path))
    }
}

impl Request {
    /// The request of `migrate database`.
    ///
    /// # Errors
    /// Usage errors; a refusal where a file of casts cannot be read.
    pub(crate) fn database(args: DatabaseArguments) -> Result<Self> {
        let depth = match args.depth {
            DepthWord::Rows => Depth::Rows,
            DepthWord::Full => Depth::Full,
        };
        let allow_live_target = args.allow_live_target;
        let purpose =
            if args.verify { Purpose::Compare } else { Purpose::Copy { allow_live_target } };
        let mut request = Self::shared(args.shared, purpose)?;
        request.yes = args.yes;
        match &mut request.product {
            Some(product) => product.switch = args.switch_provider,
            None if args.switch_provider => return Err(only_by_product("--switch-provider")),
            None => {}
        }
        let options = &mut request.options;
        let into_sqlite = |set: &DataSet| matches!(set.target, Location::Sqlite(_));
        if args.create_database && options.data_sets.iter().any(into_sqlite) {
            return Err(Error::usage("--create-database is for a PostgreSQL target")
                .hint("a SQLite file is made where there is none"));
        }
        options.create_database = args.create_database;
        options.verify = match (args.verify, args.no_verify) {
            (true, _) => Verify::Only(depth),
            (false, true) => Verify::No,
            (false, false) => Verify::AfterCopy(depth),
        };
        options.drop_ledger = args.drop_ledger;
        options.retry_for = args.retry_for;
        if args.drop_ledger && options.data_sets.iter().any(into_sqlite) {
            return Err(Error::usage("--drop-ledger is for a PostgreSQL target"));
        }
        options.max_differences = args.max_differences;
        options.show_values = args.show_values;
        options.backup = args.backup;
        options.limits.max_rate = args.max_rate;
        if args.chunk_size.is_some() && options.data_sets.iter().any(into_sqlite) {
            return Err(Error::usage("--chunk-size is for the way into PostgreSQL"));
        }
        options.limits.chunk_bytes = args.chunk_size;
        options.deadline = args.deadline.or(args.window);
        options.allow_late = args.allow_late;
        let warning = options.deadline.as_ref().and_then(|deadline| deadline.warning());
        options.warnings.extend(warning.map(str::to_owned));
        if options.allow_late && options.deadline.is_none() {
            return Err(Error::usage("--allow-late goes with --deadline or --window only"));
        }
        if let Some(folder) = options.backup.as_deref().filter(|folder| !folder.is_dir()) {
            let folder = folder.display();
            return Err(Error::usage(format!("--backup: there is no folder \"{folder}\"")));
        }
        Ok(request)
    }

    /// The request of `migrate plan`.
    pub(crate) fn plan(args: PlanArguments) -> Result<Self> {
        let mut request = Self::shared(args.shared, Purpose::Plan)?;
        let into_sqlite = |set: &DataSet| matches!(set.target, Location::Sqlite(_));
        if args.write_casts.is_some() && request.options.data_sets.iter().any(into_sqlite) {
            return Err(Error::usage("--write-casts is for the way into PostgreSQL"));
        }
        if let Some(path) = &args.write_casts {
            output_file::check("--write-casts", path, &files(&request.options))?;
        }
        request.write_casts = args.write_casts;
        request.options.verify = Verify::No;
        Ok(request)
    }

    fn shared(args: SharedArguments, purpose: Purpose) -> Result<Self> {
        let DataSets { sets, service_check, warnings, product } = data_sets(&args, purpose)?;
        let into_postgres = |set: &DataSet| matches!(set.target, Location::Postgres(_));
        if args.schema.is_some() && sets.iter().any(into_postgres) {
            return Err(Error::usage("--schema names the schema of a PostgreSQL source").hint(
                "that of a target is the first of its search path: options=-csearch_path=NAME",
            ));
        }
        if args.restart && !sets.iter().any(into_postgres) {
            return Err(Error::usage("--restart is for a PostgreSQL target")
                .hint("a run into a SQLite file always begins anew"));
        }
        check_patterns("--tables", &args.tables)?;
        check_patterns("--exclude", &args.exclude)?;
        let threads = |own: Option<u16>| own.or(args.threads).map(usize::from);
        let options = RunOptions {
            plan: PlanOptions {
                schema: args.schema,
                tables: args.tables,
                exclude: args.exclude,
                casts: casts::gather(args.casts.as_deref(), &args.cast)?,
                on_misfit: on_misfit(args.on_misfit, args.reject_file)?,
                strict: args.strict,
                exact: args.exact,
            },
            limits: ResourceLimits {
                readers: threads(args.readers),
                writers: threads(args.writers),
                memory: args.memory,
                ..ResourceLimits::default()
            },
            drop_all: args.drop_all,
            restart: args.restart,
            temp_dir: args.temp_dir,
            service_check,
            warnings,
            ..RunOptions::new(sets)
        };
        options.temp_dir.as_deref().map_or(Ok(()), check_temp_dir)?;
        if let OnMisfit::Reject { file } = &options.plan.on_misfit {
            output_file::check("--reject-file", file, &databases(&options))?;
        }
        let json = args.json.map(|path| Output::of(path, &files(&options))).transpose()?;
        let bars_anywhere = args.progress;
        Ok(Self { options, yes: false, bars_anywhere, json, write_casts: None, product })
    }
}

/// The files that a result must not be written to: the databases of this run, and the one that
/// receives rows.
fn files(options: &RunOptions) -> Vec<&Path> {
    let rejects = match &options.plan.on_misfit {
        OnMisfit::Reject { file } => Some(file.as_path()),
        OnMisfit::Refuse | OnMisfit::Widen => None,
    };
    databases(options).into_iter().chain(rejects).collect()
}

fn databases(options: &RunOptions) -> Vec<&Path> {
    let locations = options.data_sets.iter().flat_map(|set| [&set.source, &set.target]);
    let paths = locations.filter_map(|location| match location {
        Location::Sqlite(path) => Some(path.as_path()),
        Location::Postgres(_) => None,
    });
    paths.collect()
}

fn on_misfit(word: MisfitWord, file: Option<PathBuf>) -> Result<OnMisfit> {
    match (word, file) {
        (MisfitWord::Reject, Some(file)) => Ok(OnMisfit::Reject { file }),
        (MisfitWord::Reject, None) => {
            Err(Error::usage("--on-misfit reject needs a file for the rows that are left out")
                .hint("add --reject-file FILE; it must not exist yet"))
        }
        (_, Some(_)) => Err(Error::usage("--reject-file goes with --on-misfit reject only")),
        (MisfitWord::Refuse, None) => Ok(OnMisfit::Refuse),
        (MisfitWord::Widen, None) => Ok(OnMisfit::Widen),
    }
}

pub(crate) fn check_temp_dir(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::usage(format!("--temp-dir: there is no folder \"{}\"", folder.display())))
}

pub(crate) fn check_patterns(flag: &str, patterns: &[String]) -> Result<()> {
    for pattern in patterns {
        Glob::new(pattern).map_err(|cause| {
            Error::usage(format!("{flag} '{pattern}' is no pattern")).caused_by(cause.kind())
        })?;
    }
    Ok(())
}

/// What a location can be: a place, or only the kind of database that would be there.
pub(crate) enum LocationArg {
    At(Location),
    Provider(&'static str),
}

/// The data sets of a command line, and what goes with them.
struct DataSets {
    sets: Vec<DataSet>,
    service_check: ServiceCheck,
    warnings: Vec<String>,
    product: Option<ProductRequest>,
}

fn data_sets(args: &SharedArguments, purpose: Purpose) -> Result<DataSets> {
    let (source, target) = (location("--from", &args.from)?, location("--to", &args.to)?);
    let both = match (is_sqlite(&source), is_sqlite(&target)) {
        (true, true) => Some("SQLite"),
        (false, false) => Some("PostgreSQL"),
        _ => None,
    };
    if let Some(kind) = both {
        return Err(Error::usage(format!("source and target are both {kind} databases"))
            .hint("one must be SQLite and the other PostgreSQL")
            .hint("where they are not given, --from is sqlite3 and --to is pgx"));
    }
    let (source, target) = match (source, target) {
        (LocationArg::At(source), LocationArg::At(target)) => (source, target),
        (source, target) => return by_configuration(args, &source, &target, purpose),
    };
    if let Some(flag) = needless(&args.config, &args.data_sets) {
        return Err(only_by_product(flag));
    }
    let file = match (&source, &target) {
        (Location::Sqlite(path), _) | (_, Location::Sqlite(path)) => path.as_path(),
        _ => Path::new(""),
    };
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let service_check = ServiceCheck { service: None, allow_running: args.data_sets.allow_running };
    let sets =
        vec![DataSet { name, source, target, defaults: Defaults::default(), file_mode: FILE_MODE }];
    Ok(DataSets { sets, service_check, warnings: Vec::new(), product: None })
}

/// The data sets that a product's configuration names.
fn by_configuration(
    args: &SharedArguments,
    source: &LocationArg,
    target: &LocationArg,
    purpose: Purpose,
) -> Result<DataSets> {
    let mut places = NamedLocations::default();
    for one in [source, target] {
        match one {
            LocationArg::At(Location::Sqlite(path)) => places.sqlite = Some(path.clone()),
            LocationArg::At(Location::Postgres(text)) => places.postgres = Some(text.clone()),
            LocationArg::Provider(_) => {}
        }
    }
    let from = if is_sqlite(source) { Provider::Sqlite } else { Provider::Postgres };
    let resolved = product::resolve(&args.config, &args.data_sets, from, places, purpose)?;
    let Resolved { product, found, service_check } =
        resolved.ok_or_else(|| no_place(source, target))?;
    let (sets, warnings) = (found.data_sets, found.warnings);
    Ok(DataSets { sets, service_check, warnings, product: Some(product) })
}

/// A flag that only a configuration gives a meaning.
fn needless(config: &ConfigArguments, data_sets: &DataSetArguments) -> Option<&'static str> {
    let given = [
        (config.product.is_some(), "--product"),
        (config.config.is_some(), "--config"),
        (config.key_file.is_some(), "--key-file"),
        (data_sets.data.is_some(), "--data"),
        (data_sets.sqlite.is_some(), "--sqlite"),
        (data_sets.instrumentation_sqlite.is_some(), "--instrumentation-sqlite"),
        (data_sets.usage_sqlite.is_some(), "--usage-sqlite"),
        (data_sets.allow_back, "--allow-back"),
    ];
    given.into_iter().find_map(|(given, flag)| given.then_some(flag))
}

fn only_by_product(flag: &str) -> Error {
    Error::usage(format!("{flag} has no meaning here: both places were given"))
        .hint("a product's configuration is read where --from or --to is a provider's name")
}

/// The error where a provider's name stands and nothing says where its database is.
fn no_place(source: &LocationArg, target: &LocationArg) -> Error {
    let missing = |flag, args: &LocationArg| match args {
        LocationArg::Provider(name) => {
            Some(format!("{flag} is {name}, a kind of database and not the place of one"))
        }
        LocationArg::At(_) => None,
    };
    let example = if is_sqlite(source) {
        "migrate database --from app.db --to postgres://user@host/dbname"
    } else {
        "migrate database --from postgres://user@host/dbname --to app.db"
    };
    let error = Error::usage("it was not said where the databases are");
    let causes = [missing("--from", source), missing("--to", target)];
    let error = causes.into_iter().flatten().fold(error, Error::caused_by);
    error
        .hint(format!("give both places: {example}"))
        .hint("or name a product's configuration file: migrate database --config FILE")
}

fn is_sqlite(args: &LocationArg) -> bool {
    matches!(args, LocationArg::At(Location::Sqlite(_)) | LocationArg::Provider("sqlite3"))
}

pub(crate) fn location(flag: &str, args: &OsStr) -> Result<LocationArg> {
    let bytes = args.as_bytes();
    let text = args.to_str();
    match text {
        Some("sqlite3" | "sqlite") => return Ok(LocationArg::Provider("sqlite3")),
        Some("pgx" | "postgres") => return Ok(LocationArg::Provider("pgx")),
        Some(text) if is_postgres(text) => {
            return Ok(LocationArg::At(Location::Postgres(Secret::new(text.to_owned()))));
        }
        _ => {}
    }
    if let Some(scheme) = text.and_then(scheme)
        && !scheme.starts_with("sqlite")
    {
        return Err(Error::usage(format!("{flag}: {scheme}:// is no database known here"))
            .hint("a location is a path, sqlite:PATH, postgres://... or host=... dbname=..."));
    }
    match bytes.strip_prefix(b"sqlite:").unwrap_or(bytes) {
        b"" => Err(Error::usage(format!("{flag} needs a location and got an empty one"))),
        path => Ok(LocationArg::At(Location::Sqlite(PathBuf::from(OsStr::from_bytes(path))))),
    }
}

/// The scheme of something that looks like a URL.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (!scheme.is_empty() && letters).then_some(scheme)
}

/// The parameters that tell a `key=value` string from a path with an equals sign in it: those
/// that say where a server is (PostgreSQL's manual, "Parameter Key Words" of libpq).
const PLACE_KEYS: [&str; 7] =
    ["host", "hostaddr", "port", "dbname", "user", "service", "servicefile"];

/// A URL, or a `key=value` string: one that begins with a word and an equals sign, and says
/// somewhere where the server is.
fn is_postgres(text: &str) -> bool {
    if let Some(scheme) = scheme(text) {
        return ["postgres", "postgresql"].iter().any(|ours| scheme.eq_ignore_ascii_case(ours));
    }
    let key_before = |at: usize| {
        let before = text[..at].trim_end();
        let start = before.trim_end_matches(|c: char| c.is_ascii_lowercase() || c == '_').len();
        let free = before[..start].chars().next_back().is_none_or(char::is_whitespace);
        (free && start < before.len()).then_some((start, &before[start..]))
    };
    let keys: Vec<_> = text.match_indices('=').filter_map(|(at, _)| key_before(at)).collect();
    let leads = keys.first().is_some_and(|(start, _)| text[..*start].trim().is_empty());
    leads && keys.iter().any(|(_, key)| PLACE_KEYS.contains(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::cli::args::{Arguments, Command};
    use clap::Parser;

    fn request(arguments: &[&str]) -> Result<Request> {
        let args = ["migrate"].iter().chain(arguments);
        match Arguments::try_parse_from(args).map(|args| args.command) {
            Ok(Some(Command::Database(args))) => Request::database(*args),
            Ok(Some(Command::Plan(args))) => Request::plan(*args),
            other => panic!("{other:?}"),
        }
    }

    fn places(arguments: &[&str]) -> (Location, Location) {
        let options = request(arguments).unwrap().options;
        (options.data_sets[0].source.clone(), options.data_sets[0].target.clone())
    }

    fn failure(arguments: &[&str]) -> String {
        let error = request(arguments).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        error.message().to_owned()
    }

    const BOTH: [&str; 5] = ["database", "--from", "a.db", "--to", "postgres://h/d"];

    fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&BOTH[..], more].concat()
    }

    #[test]
    fn a_url_or_pairs_that_name_a_server_are_postgresql_and_all_else_is_a_path() {
        for text in [
            "postgres://u@h/d",
            "postgresql:///d?host=/tmp",
            "POSTGRES://h",
            "host=h dbname=d",
            " dbname = d user = u",
            "sslmode=require host=h",
        ] {
            assert!(is_postgres(text), "{text}");
        }
        for text in ["app.db", "a=b.db", "./host=x", "dir/dbname=x", "é=1 host", "=", "postgres.db"]
        {
            assert!(!is_postgres(text), "{text}");
        }
    }

    #[test]
    fn a_sqlite_place_is_a_path_with_or_without_its_prefix() {
        let target = Location::Postgres(Secret::new("postgres://h/d".to_owned()));
        for from in ["a.db", "sqlite:a.db"] {
            let expected = (Location::Sqlite("a.db".into()), target.clone());
            assert_eq!(places(&["database", "--from", from, "--to", "postgres://h/d"]), expected);
        }
        assert_eq!(request(&BOTH).unwrap().options.data_sets[0].name, "a.db");
        let back = places(&["database", "--from", "host=h", "--to", "sqlite:x/b.db"]);
        assert_eq!(back.1, Location::Sqlite("x/b.db".into()));
    }

    #[test]
    fn two_of_one_kind_are_a_usage_error_whether_typed_or_assumed() {
        for (from, to, kind) in [
            (Some("a.db"), Some("b.db"), "SQLite"),
            (Some("postgres://a/d"), Some("host=b"), "PostgreSQL"),
            (Some("postgres"), None, "PostgreSQL"),
            (Some("postgres://a/d"), None, "PostgreSQL"),
            (None, Some("b.db"), "SQLite"),
            (Some("sqlite"), Some("sqlite3"), "SQLite"),
        ] {
            let from = from.map_or(vec![], |from| vec!["--from", from]);
            let to = to.map_or(vec![], |to| vec!["--to", to]);
            let message = failure(&[vec!["database"], from, to].concat());
            assert_eq!(message, format!("source and target are both {kind} databases"));
        }
    }

    #[test]
    fn a_provider_s_name_alone_is_no_place() {
        for arguments in [
            &["database"][..],
            &["database", "--from", "a.db"],
            &["database", "--to", "postgres://h/d"],
            &["database", "--from", "pgx", "--to", "sqlite3"],
        ] {
            assert_eq!(failure(arguments), "it was not said where the databases are");
        }
        let error = request(&["database", "--from", "a.db"]).unwrap_err();
        assert_eq!(error.causes(), ["--to is pgx, a kind of database and not the place of one"]);
    }

    #[test]
    fn a_location_of_another_database_or_an_empty_one_is_a_usage_error() {
        assert_eq!(
            failure(&["database", "--from", "mysql://h/d", "--to", "pgx"]),
            "--from: mysql:// is no database known here"
        );
        assert_eq!(
            failure(&["database", "--from=", "--to", "pgx"]),
            "--from needs a location and got an empty one"
        );
        assert!(request(&["database", "--from=sqlite:", "--to", "pgx"]).is_err());
    }

    #[test]
    fn threads_set_readers_and_writers_and_each_has_its_own_flag() {
        let threads = |more: &[&str]| {
            let options = request(&with(more)).unwrap().options;
            (options.limits.readers, options.limits.writers)
        };
        assert_eq!(threads(&[]), (None, None));
        assert_eq!(threads(&["--threads", "4"]), (Some(4), Some(4)));
        assert_eq!(threads(&["--threads", "4", "--writers", "2"]), (Some(4), Some(2)));
        assert_eq!(threads(&["--readers", "3"]), (Some(3), None));
    }

    #[test]
    fn verification_is_after_the_copy_alone_or_not_at_all() {
        let verify = |more: &[&str]| request(&with(more)).unwrap().options.verify;
        assert_eq!(verify(&[]), Verify::AfterCopy(Depth::Full));
        assert_eq!(verify(&["--depth", "rows"]), Verify::AfterCopy(Depth::Rows));
        assert_eq!(verify(&["--verify", "--depth", "rows"]), Verify::Only(Depth::Rows));
        assert_eq!(verify(&["--no-verify"]), Verify::No);
        assert_eq!(request(&with(&[])).unwrap().options.max_differences, 20);
    }

    #[test]
    fn verifying_alone_excludes_what_writes_or_skips() {
        for more in [
            ["--verify", "--drop-all"],
            ["--verify", "--no-verify"],
            ["--verify", "--create-database"],
            ["--no-verify", "--depth=full"],
            ["--no-verify", "--max-differences=1"],
            ["--no-verify", "--show-values"],
        ] {
            for more in [more, [more[1], more[0]]] {
                let args = [&["migrate"], &BOTH[..], &more].concat();
                let error = Arguments::try_parse_from(args).unwrap_err();
                assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict, "{more:?}");
            }
        }
    }

    #[test]
    fn reject_and_its_file_need_each_other() {
        assert!(failure(&with(&["--on-misfit", "reject"])).contains("needs a file"));
        assert!(failure(&with(&["--reject-file", "r.db"])).contains("goes with"));
        let request = request(&with(&["--on-misfit=reject", "--reject-file=r.db"])).unwrap();
        assert_eq!(request.options.plan.on_misfit, OnMisfit::Reject { file: "r.db".into() });
    }

    #[test]
    fn an_output_may_not_be_a_file_of_the_run() {
        for more in [
            &["--json", "a.db"][..],
            &["--json", "./a.db-wal"],
            &["--on-misfit=reject", "--reject-file=a.db"],
            &["--on-misfit=reject", "--reject-file=r.db", "--json=r.db"],
        ] {
            assert!(failure(&with(more)).contains("belongs to a database"), "{more:?}");
        }
        assert_eq!(request(&with(&["--json=-"])).unwrap().json, Some(Output::Stdout));
    }

    #[test]
    fn patterns_and_folders_are_checked_at_once() {
        assert_eq!(failure(&with(&["--tables", "[a"])), "--tables '[a' is no pattern");
        assert_eq!(failure(&with(&["--exclude", "{a"])), "--exclude '{a' is no pattern");
        assert!(failure(&with(&["--temp-dir", "/nowhere"])).contains("there is no folder"));
        let options =
            request(&with(&["--tables=a*", "--tables=b", "--exclude=ab"])).unwrap().options;
        assert_eq!((options.plan.tables.len(), options.plan.exclude.len()), (2, 1));
    }

    #[test]
    fn a_plan_knows_where_its_casts_go() {
        let request =
            request(&[&["plan"], &BOTH[1..], &["--write-casts=c.json"]].concat()).unwrap();
        assert_eq!(request.write_casts, Some("c.json".into()));
        assert_eq!(request.options.verify, Verify::No);
    }
}

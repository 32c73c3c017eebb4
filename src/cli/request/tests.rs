use super::*;
use crate::Kind;
use crate::cli::args::command::{Arguments, Command};
use crate::config::secret::Secret;
use crate::options::run_options::Depth;
use clap::Parser;

fn request(arguments: &[&str]) -> Result<Request> {
    let args = ["migrate"].iter().chain(arguments);
    match Arguments::try_parse_from(args).map(|args| args.command) {
        Ok(Some(Command::Database(args))) => Request::database(*args),
        Ok(Some(Command::Plan(args))) => Request::plan(*args),
        other => panic!("{other:?}"),
    }
}

fn locations(arguments: &[&str]) -> (Location, Location) {
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
fn a_sqlite_location_is_a_path_with_or_without_its_prefix() {
    let target = Location::Postgres(Secret::new("postgres://h/d".to_owned()));
    for from in ["a.db", "sqlite:a.db"] {
        let expected = (Location::Sqlite("a.db".into()), target.clone());
        assert_eq!(locations(&["database", "--from", from, "--to", "postgres://h/d"]), expected);
    }
    assert_eq!(request(&BOTH).unwrap().options.data_sets[0].name, "a.db");
    let back = locations(&["database", "--from", "host=h", "--to", "sqlite:x/b.db"]);
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
fn a_provider_s_name_alone_is_not_a_location() {
    for arguments in [
        &["database"][..],
        &["database", "--from", "a.db"],
        &["database", "--to", "postgres://h/d"],
        &["database", "--from", "pgx", "--to", "sqlite3"],
    ] {
        assert_eq!(failure(arguments), "no database location given");
    }
    let error = request(&["database", "--from", "a.db"]).unwrap_err();
    assert_eq!(error.causes(), ["--to is pgx: the kind of a database, not its location"]);
}

#[test]
fn a_location_of_another_database_or_an_empty_one_is_a_usage_error() {
    assert_eq!(
        failure(&["database", "--from", "mysql://h/d", "--to", "pgx"]),
        "--from: mysql:// is not supported"
    );
    assert_eq!(failure(&["database", "--from=", "--to", "pgx"]), "--from: the location is empty");
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
fn the_flags_choose_what_is_verified_and_when() {
    let verify = |more: &[&str]| request(&with(more)).unwrap().options.verify;
    assert_eq!(verify(&[]), Verify::AfterCopy(Depth::Full));
    assert_eq!(verify(&["--depth", "rows"]), Verify::AfterCopy(Depth::Rows));
    assert_eq!(verify(&["--verify", "--depth", "rows"]), Verify::Only(Depth::Rows));
    assert_eq!(verify(&["--no-verify"]), Verify::No);
    assert_eq!(request(&with(&[])).unwrap().options.max_differences, 20);
}

#[test]
fn verify_excludes_flags_that_write_and_no_verify_those_that_compare() {
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
fn on_misfit_reject_and_reject_file_need_each_other() {
    assert!(failure(&with(&["--on-misfit", "reject"])).contains("needs a file"));
    assert!(failure(&with(&["--reject-file", "r.db"])).contains("needs --on-misfit reject"));
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
fn patterns_and_folders_are_checked() {
    assert_eq!(failure(&with(&["--tables", "[a"])), "--tables: '[a' is not a valid pattern");
    assert_eq!(failure(&with(&["--exclude", "{a"])), "--exclude: '{a' is not a valid pattern");
    assert!(failure(&with(&["--temp-dir", "/nowhere"])).contains("does not exist"));
    let options = request(&with(&["--tables=a*", "--tables=b", "--exclude=ab"])).unwrap().options;
    assert_eq!((options.plan.tables.len(), options.plan.exclude.len()), (2, 1));
}

#[test]
fn a_plan_knows_the_file_for_its_casts() {
    let request = request(&[&["plan"], &BOTH[1..], &["--write-casts=c.json"]].concat()).unwrap();
    assert_eq!(request.write_casts, Some("c.json".into()));
    assert_eq!(request.options.verify, Verify::No);
}

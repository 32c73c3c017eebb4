use super::*;
use crate::cli::args::command::{Arguments, Command};
use crate::cli::progress::term::tests::Recorder;
use crate::report::{DataSetPlan, DataSetReport};
use crate::schema::dropped::Dropped;
use clap::Parser;
use std::ffi::OsString;

/// A run with the given end, which may lose a table.
struct Fake {
    loses: bool,
    verdict: Verdict,
    result: Result<()>,
}

const FINE: Fake = Fake { loses: false, verdict: Verdict::Match, result: Ok(()) };

impl Planned for Fake {
    fn summary(&self) -> PlanSummary {
        let dropped =
            Dropped { kind: "table".to_owned(), name: "old".to_owned(), ..Dropped::default() };
        let drops = if self.loses { vec![dropped] } else { Vec::new() };
        PlanSummary {
            source: "app.db".to_owned(),
            target: "the target".to_owned(),
            data_sets: vec![DataSetPlan { drops, ..DataSetPlan::default() }],
            ..PlanSummary::default()
        }
    }

    fn run(self, _control: &RunControl) -> Outcome {
        let data_set = DataSetReport { verdict: self.verdict, ..DataSetReport::default() };
        let report = Report { data_sets: vec![data_set], ..Report::default() };
        Outcome { report, result: self.result }
    }
}

/// Exit, standard output, standard error.
fn run_with(
    more: &[&str],
    answer: Option<&'static str>,
    prepared: Result<Fake>,
) -> (Exit, String, String) {
    let args = ["database", "--from=app.db", "--to=postgres://u:hunter2@h/d"];
    let args: Vec<_> = args.iter().chain(more).map(OsString::from).collect();
    let whole = [&["migrate".into()], &args[..]].concat();
    let Some(Command::Database(arguments)) = Arguments::parse_from(whole).command else {
        panic!("not the command");
    };
    let (out, err) = (Recorder::default(), Recorder::default());
    let mut console = Console {
        out: Box::new(anstream::StripStream::new(Box::new(out.clone()) as Box<dyn std::io::Write>)),
        err: Box::new(anstream::StripStream::new(Box::new(err.clone()) as Box<dyn std::io::Write>)),
        answers: answer.map(|answer| Box::new(answer.as_bytes()) as _),
        progress: |_| None,
    };
    let request = Request::database(*arguments).unwrap();
    let line = CommandLine::new("migrate".into(), args);
    let exit = run(&request, &line, &mut console, |_, _| prepared);
    (exit, out.raw(), err.raw())
}

#[test]
fn a_good_run_shows_the_plan_the_report_and_the_verdict() {
    let (exit, out, err) = run_with(&[], None, Ok(FINE));
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    assert!(out.starts_with("from app.db\nto   the target\n"));
    assert!(out.ends_with("\nverdict: match; 0 rows in 0 tables\n"));
}

#[test]
fn json_on_standard_output_is_alone_there() {
    let (exit, out, err) = run_with(&["--json=-"], None, Ok(FINE));
    assert_eq!(exit, Exit::Done);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["data_sets"][0]["verdict"], "match");
    assert!(err.ends_with("\nverdict: match; 0 rows in 0 tables\n"));
    let (exit, out, _) = run_with(&["--json=-"], None, Err(Error::refused("no")));
    assert_eq!(exit, Exit::Refused);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&value["exit_code"], &value["error"]["message"]), (&4.into(), &"no".into()));
}

#[test]
fn a_failed_run_says_that_the_source_is_unchanged_and_how_to_resume() {
    let fake = Fake { result: Err(Error::failed("the connection broke")), ..FINE };
    let (exit, out, err) = run_with(&[], None, Ok(fake));
    assert_eq!(exit, Exit::Failed);
    assert!(!out.contains("verdict"));
    assert_eq!(
        err,
        "error: the connection broke\n\n\
         hint: the source is unchanged; its service can be started again\n\
         hint: after fixing the cause, run: migrate database --from app.db \
         --to postgres://u@h/d\n\
         hint: add the password to the command, or set it in PGPASSWORD or ~/.pgpass\n\
         hint: that command resumes the run if the source has not changed; to start from \
         scratch, run: migrate database --from app.db \
         --to postgres://u@h/d --restart\n"
    );
}

#[test]
fn a_refusal_repeats_the_command() {
    let (exit, _, err) = run_with(&["--strict"], None, Err(Error::refused("no")));
    assert_eq!(exit, Exit::Refused);
    assert!(err.contains(
        "after fixing the cause, run: migrate database --from app.db --to postgres://u@h/d --strict\n"
    ));
}

#[test]
fn databases_that_differ_are_code_three_even_without_an_error() {
    let fake = Fake { verdict: Verdict::Differ, ..FINE };
    assert_eq!(run_with(&[], None, Ok(fake)).0, Exit::Differ);
    let fake = Fake { verdict: Verdict::NotVerified, ..FINE };
    assert_eq!(run_with(&["--no-verify"], None, Ok(fake)).0, Exit::Done);
    let paused = Err(Error::paused("in another data set"));
    let fake = Fake { verdict: Verdict::Differ, result: paused, ..FINE };
    assert_eq!(run_with(&[], None, Ok(fake)).0, Exit::Differ, "the worst exit code wins");
}

#[test]
fn a_table_is_lost_only_with_consent() {
    let loses = || Ok(Fake { loses: true, ..FINE });
    let drop_all = &["--drop-all"][..];
    let (exit, _, err) = run_with(drop_all, None, loses());
    assert_eq!(exit, Exit::Refused);
    assert!(err.contains("--drop-all would drop rows or tables that the source may not have\n"));
    assert!(err.contains("the target has table \"old\" (not in the source)\n"), "{err}");
    assert!(err.contains("--drop-all --yes\n"));
    let (exit, _, err) = run_with(drop_all, Some("n\n"), loses());
    assert_eq!(exit, Exit::Refused);
    assert!(err.contains(": table \"old\" (not in the source)? [y/N] "), "{err}");
    assert_eq!(run_with(drop_all, Some(""), loses()).0, Exit::Refused);
    assert_eq!(run_with(drop_all, Some("Yes\n"), loses()).0, Exit::Done);
    assert_eq!(run_with(&["--drop-all", "--yes"], None, loses()).0, Exit::Done);
}

//! `migrate database`: plan, say what will be done, do it, tell how it went.

use crate::cli::commands::provider::forget_verdicts;
use crate::cli::commands::supervise::supervised;
use crate::cli::exit_code::Exit;
use crate::cli::output::console::Console;
use crate::cli::output::format::{counted, escape_for_terminal};
use crate::cli::output::rerun_command::CommandLine;
use crate::cli::output::{plan, report};
use crate::cli::request::Request;
use crate::cli::request::product::ProductRequest;
use crate::control::run_control::RunControl;
use crate::error::{Error, Kind, Result};
use crate::options::location::{DataSet, Location};
use crate::options::run_options::{RunOptions, Verify};
use crate::product::next_steps;
use crate::product::next_steps::RunOutcome;
use crate::product::provider;
use crate::report::{Outcome, PlanSummary, Report, Verdict};
use crate::run::Planned;

/// Runs the command with what `prepare` plans.
pub(crate) fn run<P: Planned + Send + 'static>(
    request: &Request,
    line: &CommandLine,
    console: &mut Console,
    prepare: impl FnOnce(&RunOptions, &RunControl) -> Result<P> + Send + 'static,
) -> Exit {
    let control = match RunControl::with_signals() {
        Ok(control) => control,
        Err(error) => return end(request, line, console, None, Some(error)),
    };
    let watch = console.watch(&control.progress, request.force_bars);
    let options = request.options.clone();
    let planned = supervised(&control, move |control| prepare(&options, control));
    drop(watch);
    let planned = match planned.flatten().and_then(|planned| agreed(planned, request, console)) {
        Ok(planned) => planned,
        Err(error) => {
            let error = with_recovery_hints(error, line, request.product.as_ref());
            return end(request, line, console, None, Some(error));
        }
    };
    let watch = console.watch(&control.progress, request.force_bars);
    let outcome = supervised(&control, |control| planned.run(control));
    drop(watch);
    let (report, result) = match outcome {
        Ok(Outcome { report, result }) => (Some(report), result),
        Err(error) => (None, Err(error)),
    };
    let product = request.product.as_ref();
    let error = result.err().map(|error| {
        let is_failure = error.kind() != Kind::Paused;
        let goes_on = is_failure && loads(request) && error.flags().is_empty();
        let error = with_recovery_hints(error, line, product);
        if goes_on { with_restart_hint(error, line) } else { error }
    });
    end(request, line, console, report.as_ref(), error)
}

/// Shows the plan and has the loss of tables agreed to.
fn agreed<P: Planned>(planned: P, request: &Request, console: &mut Console) -> Result<P> {
    let summary = planned.summary();
    // A run does not stop because nobody reads what it says.
    let _ = plan::write(console.human(request.json.as_ref()), &summary);
    let _ = writeln!(console.human(request.json.as_ref()));
    if !request.yes && !request.options.restart {
        agree_to_loss(&summary, console)?;
    }
    Ok(planned)
}

fn agree_to_loss(summary: &PlanSummary, console: &mut Console) -> Result<()> {
    const NAMED: usize = 5;
    let lost = summary.lost_tables().count() as u64;
    if lost == 0 {
        return Ok(());
    }
    let names = summary
        .lost_tables()
        .take(NAMED)
        .map(|table| format!("\"{}\"", escape_for_terminal(&table.name)));
    let mut names = names.collect::<Vec<_>>().join(", ");
    if lost > NAMED as u64 {
        names.push_str(", ...");
    }
    let loss = format!("{} that the source does not have: {names}", counted(lost, "table"));
    match console.confirm(&format!("Drop {loss}?")) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::refused("nothing was dropped, as you said")),
        None => Err(Error::refused(format!("--drop-all would drop {loss}"))
            .hint("add --yes to agree to that, or name another schema")),
    }
}

/// `error` with what every run that did not succeed ends by saying: that the old service can be
/// started, and how to go on.
pub(crate) fn with_recovery_hints(
    error: Error,
    line: &CommandLine,
    product: Option<&ProductRequest>,
) -> Error {
    let (when, again) = match error.kind() {
        Kind::Usage => return error,
        Kind::Paused => ("to go on", line.resume()),
        Kind::Failed | Kind::Differs => ("once the cause is gone", line.with_flags(error.flags())),
        Kind::Refused => ("then", line.with_flags(error.flags())),
    };
    let error = error.hint("the source is unchanged, and the service may be started on it again");
    let error = match product {
        Some(product) => error.hint(next_steps::start_again(&product.settings)),
        None => error,
    };
    let error = error.hint(format!("{when}, run: {}", again.text));
    if again.password_left_out {
        error.hint("the password is left out there: add it, or give it in PGPASSWORD or ~/.pgpass")
    } else {
        error
    }
}

/// A run that leaves in PostgreSQL what a later one goes on with; of a file nothing is left.
fn loads(request: &Request) -> bool {
    let mut sets = request.options.data_sets.iter();
    !matches!(request.options.verify, Verify::Only(_))
        && sets.any(|set| matches!(set.target, Location::Postgres(_)))
}

/// `error` with how to begin anew, and when that is the only way.
fn with_restart_hint(error: Error, line: &CommandLine) -> Error {
    error.hint(format!(
        "it goes on where it was cut off, as long as the service stays stopped; once that was \
         started, or to begin anew, run: {}",
        line.with_flags(&["--restart"]).text
    ))
}

/// Tells how it went: to people, as data, to the shell.
fn end(
    request: &Request,
    line: &CommandLine,
    console: &mut Console,
    report: Option<&Report>,
    error: Option<Error>,
) -> Exit {
    let exit = error.as_ref().map_or(Exit::Done, |error| Exit::from(error.kind()));
    let exit = match report.map(report::worst_verdict) {
        Some(Verdict::Differ) => exit.worse(Exit::Differ),
        _ => exit,
    };
    if let Some(report) = report {
        // As above: what cannot be shown does not undo what was done.
        let _ = report::write(console.human(request.json.as_ref()), report, error.is_none());
    }
    let mut error = error;
    if let (Some(product), Some(report), Exit::Done) = (&request.product, report, exit) {
        match steps(product, &request.options.data_sets, line, report::worst_verdict(report)) {
            Ok(steps) => {
                let _ = report::write_steps(console.human(request.json.as_ref()), &steps);
            }
            Err(failure) => error = Some(failure),
        }
    }
    if exit == Exit::Differ && error.is_none() {
        let steps = after_differences(request, line);
        let _ = report::write_steps(console.human(request.json.as_ref()), &steps);
    }
    let exit = error.as_ref().map_or(exit, |error| exit.worse(Exit::from(error.kind())));
    console.end(request.json.as_ref(), report, exit, error.as_ref())
}

/// What is left to do where the databases differ.
fn after_differences(request: &Request, line: &CommandLine) -> Vec<String> {
    let start = request.product.as_ref().map(|product| next_steps::start_again(&product.settings));
    let flags: &[&str] = match (request.options.verify, loads(request)) {
        (Verify::Only(_), _) => &[],
        (_, true) => &["--restart"],
        (_, false) => &["--drop-all"],
    };
    let again = format!("once the cause is gone, run: {}", line.with_flags(flags).text);
    start.into_iter().chain([again]).collect()
}

/// Sets the provider where that was asked for, and says what is left to do.
fn steps(
    product: &ProductRequest,
    data_sets: &[DataSet],
    line: &CommandLine,
    verdict: Verdict,
) -> Result<Vec<String>> {
    let verified = verdict == Verdict::Match;
    let (program, flags) = (line.program(), product.flags.as_str());
    let switched = product.switch && verified;
    let mut done = Vec::new();
    if switched {
        let word = product.to.as_str();
        let backup = provider::switch(&product.settings, product.to).map_err(|error| {
            let failed = Error::failed("the data is moved, and the provider is not switched");
            let failed = failed.caused_by(&error);
            let failed = error.hints().iter().fold(failed, Error::hint);
            failed.hint(format!("then, run: {program} provider{flags} {word}"))
        })?;
        done.push(match backup {
            Some(backup) => format!(
                "Database.Provider is {word} now; the configuration as it was: {}",
                backup.display()
            ),
            None => format!("Database.Provider was {word} already"),
        });
        forget_verdicts(data_sets)?;
    }
    let ended = RunOutcome { program: &program, flags, to: product.to, verified, switched };
    done.extend(next_steps::after(&product.settings, ended));
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command::{Arguments, Command};
    use crate::cli::progress::term::tests::Recorder;
    use crate::report::{DataSetPlan, DataSetReport, Dropped};
    use clap::Parser;
    use std::ffi::OsString;

    /// A run that loses a table if it may, and ends as told.
    struct Fake {
        loses: bool,
        verdict: Verdict,
        result: Result<()>,
    }

    const FINE: Fake = Fake { loses: false, verdict: Verdict::Match, result: Ok(()) };

    impl Planned for Fake {
        fn summary(&self) -> PlanSummary {
            let dropped =
                Dropped { kind: "table".to_owned(), name: "old".to_owned(), comes_back: false };
            PlanSummary {
                source: "app.db".to_owned(),
                target: "the target".to_owned(),
                data_sets: vec![DataSetPlan {
                    name: "app.db".to_owned(),
                    target_schema: "public".to_owned(),
                    continues: None,
                    tables: Vec::new(),
                    left_out: Vec::new(),
                    drops: if self.loses { vec![dropped] } else { Vec::new() },
                    notes: Vec::new(),
                    casts: Vec::new(),
                }],
                limit: None,
                warnings: Vec::new(),
            }
        }

        fn run(self, _control: &RunControl) -> Outcome {
            let data_set = DataSetReport {
                name: "app.db".to_owned(),
                target_schema: "public".to_owned(),
                continues: None,
                verdict: self.verdict,
                tables: Vec::new(),
                left_out: Vec::new(),
                steps: Vec::new(),
                notes: Vec::new(),
                differences: Vec::new(),
                hints: Vec::new(),
            };
            let report = Report {
                version: "1".to_owned(),
                source: "app.db".to_owned(),
                target: "the target".to_owned(),
                data_sets: vec![data_set],
                phases: Vec::new(),
                seconds: 1.0,
                limit: None,
                max_rate: None,
                warnings: Vec::new(),
            };
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
            out: Box::new(anstream::StripStream::new(
                Box::new(out.clone()) as Box<dyn std::io::Write>
            )),
            err: Box::new(anstream::StripStream::new(
                Box::new(err.clone()) as Box<dyn std::io::Write>
            )),
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
    fn json_on_standard_output_stands_there_alone() {
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
    fn a_run_that_failed_says_that_the_source_is_whole_and_how_to_go_on() {
        let fake = Fake { result: Err(Error::failed("the connection broke")), ..FINE };
        let (exit, out, err) = run_with(&[], None, Ok(fake));
        assert_eq!(exit, Exit::Failed);
        assert!(!out.contains("verdict"));
        assert_eq!(
            err,
            "error: the connection broke\n\n\
             hint: the source is unchanged, and the service may be started on it again\n\
             hint: once the cause is gone, run: migrate database --from app.db \
             --to postgres://u@h/d\n\
             hint: the password is left out there: add it, or give it in PGPASSWORD or ~/.pgpass\n\
             hint: it goes on where it was cut off, as long as the service stays stopped; once \
             that was started, or to begin anew, run: migrate database --from app.db \
             --to postgres://u@h/d --restart\n"
        );
    }

    #[test]
    fn a_refusal_gives_the_command_as_it_was() {
        let (exit, _, err) = run_with(&["--strict"], None, Err(Error::refused("no")));
        assert_eq!(exit, Exit::Refused);
        assert!(err.contains(
            "then, run: migrate database --from app.db --to postgres://u@h/d --strict\n"
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
        assert_eq!(run_with(&[], None, Ok(fake)).0, Exit::Differ, "the worst is told");
    }

    #[test]
    fn a_table_is_lost_only_with_consent() {
        let loses = || Ok(Fake { loses: true, ..FINE });
        let drop_all = &["--drop-all"][..];
        let (exit, _, err) = run_with(drop_all, None, loses());
        assert_eq!(exit, Exit::Refused);
        assert!(err.contains("would drop 1 table that the source does not have: \"old\""));
        assert!(err.contains("add --yes"));
        let (exit, _, err) = run_with(drop_all, Some("n\n"), loses());
        assert_eq!(exit, Exit::Refused);
        assert!(err.starts_with("Drop 1 table that the source does not have: \"old\"? [y/N] "));
        assert_eq!(run_with(drop_all, Some(""), loses()).0, Exit::Refused);
        assert_eq!(run_with(drop_all, Some("Yes\n"), loses()).0, Exit::Done);
        assert_eq!(run_with(&["--drop-all", "--yes"], None, loses()).0, Exit::Done);
    }
}

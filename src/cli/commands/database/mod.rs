//! `migrate database`: plans, shows the plan, asks for consent, runs, and reports.

#[cfg(test)]
mod tests;

use crate::cli::commands::provider::withdraw_verdicts;
use crate::cli::commands::supervise::supervised;
use crate::cli::exit_code::Exit;
use crate::cli::output::console::Console;
use crate::cli::output::rerun_command::{ADD_PASSWORD, CommandLine};
use crate::cli::output::{plan, report};
use crate::cli::request::Request;
use crate::cli::request::product::ProductRequest;
use crate::control::run_control::RunControl;
use crate::error::{Error, Kind, Result};
use crate::options::location::{DataSet, Location};
use crate::options::run_options::{Replace, RunOptions, Verify};
use crate::plan::texts::{list_names, swapped};
use crate::product::next_steps::{self, RunOutcome};
use crate::product::provider;
use crate::report::{Outcome, PlanSummary, Report, Verdict};
use crate::run::Planned;

/// Runs the command with the plan of `prepare`.
pub(crate) fn run<P: Planned + Send + 'static>(
    request: &Request,
    line: &CommandLine,
    console: &mut Console,
    prepare: impl FnOnce(&RunOptions, &RunControl) -> Result<P> + Send + 'static,
) -> Exit {
    let control = match RunControl::with_signals() {
        Ok(control) => control,
        Err(error) => return end(request, line, console, None, &[], Some(error)),
    };
    let watch = console.watch(&control.progress, request.force_bars);
    let options = request.options.clone();
    let planned = supervised(&control, move |control| prepare(&options, control));
    drop(watch);
    let mut shown = Vec::new();
    let planned =
        planned.flatten().and_then(|planned| confirmed(planned, request, console, &mut shown));
    let planned = match planned {
        Ok(planned) => planned,
        Err(error) => {
            let error = with_recovery_hints(error, line, request.product.as_ref());
            return end(request, line, console, None, &shown, Some(error));
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
        let is_failure = !matches!(error.kind(), Kind::Paused | Kind::Usage);
        let resumes = is_failure && loads_postgres(request) && !error.needs_flags();
        let error = with_recovery_hints(error, line, product);
        if resumes { with_restart_hint(error, line) } else { error }
    });
    end(request, line, console, report.as_ref(), &shown, error)
}

/// Shows the plan, and asks before tables are lost. Adds the plan's notes to `shown`.
fn confirmed<P: Planned>(
    planned: P,
    request: &Request,
    console: &mut Console,
    shown: &mut Vec<String>,
) -> Result<P> {
    let summary = planned.summary();
    shown.extend(summary.data_sets.iter().flat_map(|data_set| data_set.notes.clone()));
    shown.extend(summary.warnings.clone());
    // A closed standard output does not stop a run.
    let _ = plan::write(console.human(request.json.as_ref()), &summary);
    let _ = writeln!(console.human(request.json.as_ref()));
    if !request.yes {
        confirm_loss(&summary, &request.options, console)?;
    }
    Ok(planned)
}

fn confirm_loss(summary: &PlanSummary, options: &RunOptions, console: &mut Console) -> Result<()> {
    if summary.seems_swapped() {
        return Err(swapped());
    }
    let mut lost: Vec<String> = summary.needing_consent().map(plan::dropped).collect();
    // Each data set of a schema that is emptied lists all its tables.
    lost.sort_unstable();
    lost.dedup();
    if lost.is_empty() {
        return Ok(());
    }
    let tables = list_names(lost.into_iter());
    match console.confirm(&format!("Drop rows or tables that the source may not have: {tables}?")) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::refused("the answer was no; nothing was dropped")),
        None => {
            let flag = match options.replace {
                Replace::Nothing => "--restart",
                Replace::Planned => "--clean",
                Replace::Everything => "--drop-all",
            };
            let what = format!("{flag} would drop rows or tables that the source may not have");
            Err(Error::refused(what)
                .caused_by(format!("the target has {tables}"))
                .remedy("drop them", &["--yes"]))
        }
    }
}

/// Adds to `error` the hints that every unsuccessful run ends with: that the source is unchanged, and
/// the command to type next.
pub(crate) fn with_recovery_hints(
    error: Error,
    line: &CommandLine,
    product: Option<&ProductRequest>,
) -> Error {
    let (when, command) = match error.kind() {
        Kind::Usage => return line.with_remedies(error),
        Kind::Paused => ("to resume", line.resume()),
        _ => ("after fixing the cause", line.unchanged()),
    };
    // The unchanged command would be refused again if only a flag resolves the error.
    let is_command_useful = !error.needs_flags();
    let hints = [
        Some("the source is unchanged; its service can be started again".to_owned()),
        product.map(|product| next_steps::start_again(&product.settings)),
        is_command_useful.then(|| format!("{when}, run: {}", command.text)),
        command.omits_password.then(|| ADD_PASSWORD.to_owned()),
    ];
    hints.into_iter().flatten().fold(line.with_remedies(error), Error::hint)
}

/// True if the run loads PostgreSQL, so that it can be resumed. A SQLite target cannot.
fn loads_postgres(request: &Request) -> bool {
    let mut sets = request.options.data_sets.iter();
    !matches!(request.options.verify, Verify::Only(_))
        && sets.any(|set| matches!(set.target, Location::Postgres(_)))
}

/// Adds the command that starts from scratch, and says when it is needed.
fn with_restart_hint(error: Error, line: &CommandLine) -> Error {
    error.hint(format!(
        "that command resumes the run if the source has not changed; to start from scratch, run: {}",
        line.with_flags(&["--restart"]).text
    ))
}

/// Prints the report and the error, writes JSON, and returns the exit code.
fn end(
    request: &Request,
    line: &CommandLine,
    console: &mut Console,
    report: Option<&Report>,
    shown: &[String],
    error: Option<Error>,
) -> Exit {
    let exit = Exit::after(error.as_ref());
    let exit = match report.map(report::worst_verdict) {
        Some(Verdict::Differ) => exit.worse(Exit::Differ),
        _ => exit,
    };
    if let Some(report) = report {
        // A closed standard output does not change the exit code.
        let out = console.human(request.json.as_ref());
        let _ = report::write(out, &without_notes(report, shown), error.is_none());
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
    let exit = exit.worse(Exit::after(error.as_ref()));
    console.end(request.json.as_ref(), report, exit, error.as_ref())
}

/// `report` without the notes and warnings that were `shown` with the plan.
fn without_notes(report: &Report, shown: &[String]) -> Report {
    let mut report = report.clone();
    report.warnings.retain(|warning| !shown.contains(warning));
    for data_set in &mut report.data_sets {
        data_set.notes.retain(|note| !shown.contains(note));
    }
    report
}

/// The next steps if the databases differ.
fn after_differences(request: &Request, line: &CommandLine) -> Vec<String> {
    let start = request.product.as_ref().map(|product| next_steps::start_again(&product.settings));
    let flags: &[&str] = match (request.options.verify, loads_postgres(request)) {
        (Verify::Only(_), _) | (_, false) => &[],
        (_, true) => &["--restart"],
    };
    let command = format!("after fixing the cause, run: {}", line.with_flags(flags).text);
    start.into_iter().chain([command]).collect()
}

/// Sets the provider if --switch-provider says so, and returns the next steps.
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
            let failed = Error::failed("the data is migrated, but Database.Provider is not set");
            let failed = failed.caused_by(&error);
            let failed = error.hints().iter().fold(failed, Error::hint);
            failed.hint(format!("after fixing the cause, run: {program} provider{flags} {word}"))
        })?;
        done.push(match backup {
            Some(backup) => format!(
                "Database.Provider is now {word}; a copy of the previous file: {}",
                backup.display()
            ),
            None => format!("Database.Provider was already {word}"),
        });
        withdraw_verdicts(data_sets)?;
    }
    let ended = RunOutcome {
        program: &program,
        flags,
        to: product.to,
        verified,
        is_partial: product.is_partial,
        switched,
    };
    done.extend(next_steps::after(&product.settings, ended));
    Ok(done)
}

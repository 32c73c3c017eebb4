//! `migrate database`: plan, say what will be done, do it, tell how it went.

use super::command_line::CommandLine;
use super::exit::Exit;
use super::request::Request;
use super::screen::Screen;
use super::wording::{counted, plain};
use super::{json, plan_text, report};
use crate::error::{Error, Kind, Result};
use crate::progress::Progress;
use crate::transfer::Planned;
use crate::transfer::options::{Options, Verify};
use crate::transfer::report::{Outcome, PlanSummary, Report, Verdict};
use std::sync::Arc;

/// Runs the command with what `prepare` plans.
pub(super) fn run<P: Planned>(
    request: &Request,
    line: &CommandLine,
    screen: &mut Screen,
    prepare: impl FnOnce(&Options, &Arc<Progress>) -> Result<P>,
) -> Exit {
    let progress = Arc::new(Progress::default());
    let watch = screen.watch(&progress, request.bars_anywhere);
    let planned = prepare(&request.options, &progress);
    drop(watch);
    let planned = match planned.and_then(|planned| agreed(planned, request, screen)) {
        Ok(planned) => planned,
        Err(error) => return end(request, screen, None, Some(with_remedy(error, line, &[]))),
    };
    let watch = screen.watch(&progress, request.bars_anywhere);
    let Outcome { report, result } = planned.run(&progress);
    drop(watch);
    // What was begun stands in the way of the next run.
    let writes = !matches!(request.options.verify, Verify::Only(_));
    let flags: &[&str] = if writes { &["--drop-all"] } else { &[] };
    let error = result.err().map(|error| with_remedy(error, line, flags));
    end(request, screen, Some(&report), error)
}

/// Shows the plan and has the loss of tables agreed to.
fn agreed<P: Planned>(planned: P, request: &Request, screen: &mut Screen) -> Result<P> {
    let summary = planned.summary();
    // A run does not stop because nobody reads what it says.
    let _ = plan_text::write(screen.for_people(request), &summary);
    let _ = writeln!(screen.for_people(request));
    if !request.yes {
        agree_to_loss(&summary, screen)?;
    }
    Ok(planned)
}

fn agree_to_loss(summary: &PlanSummary, screen: &mut Screen) -> Result<()> {
    const NAMED: usize = 5;
    let lost = summary.lost_tables().count() as u64;
    if lost == 0 {
        return Ok(());
    }
    let names =
        summary.lost_tables().take(NAMED).map(|table| format!("\"{}\"", plain(&table.name)));
    let mut names = names.collect::<Vec<_>>().join(", ");
    if lost > NAMED as u64 {
        names.push_str(", ...");
    }
    let loss = format!("{} that the source does not have: {names}", counted(lost, "table"));
    match screen.consents(&format!("Drop {loss}?")) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::refused("nothing was dropped, as you said")),
        None => Err(Error::refused(format!("--drop-all would drop {loss}"))
            .hint("add --yes to agree to that, or name another schema")),
    }
}

/// `error` with what every run that did not succeed ends by saying: that the old service can be
/// started, and how to go on.
fn with_remedy(error: Error, line: &CommandLine, flags: &[&str]) -> Error {
    let (when, flags) = match error.kind() {
        Kind::Usage => return error,
        Kind::Paused => ("to go on", &[][..]),
        Kind::Failed | Kind::Differs => ("once the cause is gone", flags),
        Kind::Refused => ("then", &[][..]),
    };
    let again = line.again_with(flags);
    let error = error
        .hint("the source is unchanged, and the service may be started on it again")
        .hint(format!("{when}, run: {}", again.text));
    if again.password_left_out {
        error.hint("the password is left out there: add it, or give it in PGPASSWORD or ~/.pgpass")
    } else {
        error
    }
}

/// Tells how it went: to people, as data, to the shell.
fn end(
    request: &Request,
    screen: &mut Screen,
    report: Option<&Report>,
    error: Option<Error>,
) -> Exit {
    let exit = match (&error, report.map(report::worst_verdict)) {
        (Some(error), _) => Exit::from(error.kind()),
        (None, Some(Verdict::Differ)) => Exit::Differ,
        (None, _) => Exit::Done,
    };
    if let Some(report) = report {
        // As above: what cannot be shown does not undo what was done.
        let _ = report::write(screen.for_people(request), report, error.is_none());
    }
    let written = match &request.json {
        Some(output) => json::write(output, &mut screen.out, report, exit, error.as_ref()),
        None => Ok(()),
    };
    if let Some(error) = &error {
        screen.fail(error);
    }
    match written {
        Ok(()) => exit,
        Err(error) => {
            let failed = screen.fail(&error);
            if exit == Exit::Done { failed } else { exit }
        }
    }
}

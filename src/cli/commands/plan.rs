//! `migrate plan`: shows what `database` would do. Writes only the requested files.

use crate::cli::exit_code::Exit;
use crate::cli::output::console::Console;
use crate::cli::output::plan;
use crate::cli::output::rerun_command::{ADD_PASSWORD, CommandLine};
use crate::cli::request::{Request, casts};
use crate::control::run_control::RunControl;
use crate::error::{Error, Result};
use crate::options::run_options::RunOptions;
use crate::report::PlanSummary;
use crate::run::Planned;

/// Runs the command with the plan of `prepare`, whose errors end up in the exit code.
pub(crate) fn run<P: Planned>(
    request: &Request,
    line: &CommandLine,
    console: &mut Console,
    prepare: impl FnOnce(&RunOptions, &RunControl) -> Result<P>,
) -> Result<Exit> {
    let control = RunControl::with_signals()?;
    let watch = console.watch(&control.progress, request.force_bars);
    let plan = prepare(&request.options, &control).map(|planned| planned.summary());
    drop(watch);
    let shown = plan.as_ref().map_err(Clone::clone).and_then(|plan| show(plan, request, console));
    let error = shown.err().map(|error| with_commands(error, line));
    let exit = Exit::after(error.as_ref());
    Ok(console.end(request.json.as_ref(), plan.as_ref().ok(), exit, error.as_ref()))
}

/// `error` with the commands that resolve it, if there are any.
fn with_commands(error: Error, line: &CommandLine) -> Error {
    let hints = error.hints().len();
    let error = line.with_remedies(error);
    match error.hints().len() > hints && line.unchanged().omits_password {
        true => error.hint(ADD_PASSWORD),
        false => error,
    }
}

fn show(plan: &PlanSummary, request: &Request, console: &mut Console) -> Result<()> {
    // A closed standard output does not keep the casts from being written.
    let _ = plan::write(console.human(request.json.as_ref()), plan);
    match &request.write_casts {
        Some(path) => {
            let all: Vec<_> = plan.data_sets.iter().flat_map(|set| set.casts.clone()).collect();
            casts::write(path, &all)
        }
        None => Ok(()),
    }
}

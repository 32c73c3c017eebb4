//! `migrate plan`: what `database` would do. Nothing is written but what was asked for.

use crate::cli::exit_code::Exit;
use crate::cli::output::console::Console;
use crate::cli::output::{casts, json, plan};
use crate::cli::request::Request;
use crate::control::progress::Progress;
use crate::error::Result;
use crate::options::run_options::RunOptions;
use crate::report::PlanSummary;
use crate::run::Planned;
use std::sync::Arc;

/// Runs the command with what `prepare` plans.
pub(crate) fn run<P: Planned>(
    request: &Request,
    console: &mut Console,
    prepare: impl FnOnce(&RunOptions, &Arc<Progress>) -> Result<P>,
) -> Exit {
    let progress = Arc::new(Progress::default());
    let watch = console.watch(&progress, request.bars_anywhere);
    let plan = prepare(&request.options, &progress).map(|planned| planned.summary());
    drop(watch);
    let shown = plan.as_ref().map_err(Clone::clone).and_then(|plan| show(plan, request, console));
    let exit = shown.as_ref().err().map_or(Exit::Done, |error| Exit::from(error.kind()));
    let written = match &request.json {
        Some(output) => {
            json::write(output, &mut console.out, plan.as_ref().ok(), exit, shown.as_ref().err())
        }
        None => Ok(()),
    };
    match shown.and(written) {
        Ok(()) => exit,
        Err(error) => console.fail(&error),
    }
}

fn show(plan: &PlanSummary, request: &Request, console: &mut Console) -> Result<()> {
    // That nobody reads the plan is no reason to withhold its casts.
    let _ = plan::write(console.human(request.json.as_ref()), plan);
    match &request.write_casts {
        Some(path) => {
            let all: Vec<_> = plan.data_sets.iter().flat_map(|set| set.casts.clone()).collect();
            casts::write(path, &all)
        }
        None => Ok(()),
    }
}

//! `migrate bench`: measures, and reports the figures.

use crate::bench::run::{expected_seconds, run as measure};
use crate::bench::scratch::Scratch;
use crate::cli::args::bench::BenchArgs;
use crate::cli::commands::supervise::supervised;
use crate::cli::exit_code::Exit;
use crate::cli::output;
use crate::cli::output::console::Console;
use crate::cli::output::format::time_left;
use crate::cli::request::bench::BenchRequest;
use crate::control::run_control::RunControl;
use crate::error::Result;

/// Runs the command. Errors: usage errors; those of the measurement end up in the exit code.
pub(crate) fn run(args: &BenchArgs, console: &mut Console) -> Result<Exit> {
    let BenchRequest { request, folder, json } = BenchRequest::from_args(args)?;
    let has_source = args.from.is_some();
    let control = RunControl::with_signals()?;
    let measured = expected_seconds(&request).and_then(|seconds| {
        // A closed standard error does not stop the measurement.
        let _ = writeln!(
            console.err,
            "this takes about {} on two cores of a common machine; Ctrl-C stops it and leaves \
             nothing behind",
            time_left(seconds)
        );
        let watch = console.watch(&control.progress, args.output.progress);
        let schema = request.schema.clone();
        let is_user_server = request.target.is_some();
        let measured = supervised(&control, move |control| measure(&request, control));
        drop(watch);
        measured.unwrap_or_else(|error| {
            let drop = Scratch::drop_statement(&schema);
            Err(if is_user_server {
                error.hint(format!("then drop the scratch schema: {drop}"))
            } else {
                error
            })
        })
    });
    drop(folder);
    let measured = measured.map_err(|error| match has_source {
        true => error.hint("the source is unchanged"),
        false => error,
    });
    let (report, error) = (measured.as_ref().ok(), measured.as_ref().err());
    if let Some(report) = report {
        // A closed standard output does not change the exit code of the measurement.
        let _ = output::bench::write(console.human(json.as_ref()), report);
    }
    Ok(console.end(json.as_ref(), report, Exit::after(error), error))
}

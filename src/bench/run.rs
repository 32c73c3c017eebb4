//! One measurement, from the scratch schema to the report.

use crate::bench::harness::Bench;
use crate::bench::measure::machine_memory;
use crate::bench::report::{Machine, Name, Report, ServerReport, SubjectReport};
use crate::bench::request::{Request, Subject, connections};
use crate::bench::rounds::Rounds;
use crate::bench::server::Server;
use crate::bench::space::{BYTES_PER_ROW, Need, SERVER_BYTES, refuse_lack};
use crate::bench::stages::blocks::Blocks;
use crate::bench::{settings, sweep};
use crate::control::progress::Phase;
use crate::control::run_control::RunControl;
use crate::control::sizing::cores;
use crate::error::{Error, Kind, Result};
use crate::run::service_check::check_files;
use crate::sqlite::source::open::{Source, SourceOptions};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// The estimated duration in seconds on two cores of a common machine: for each pass of the rows
/// through a server, a time per row and a constant.
pub(crate) fn expected_seconds(request: &Request) -> Result<f64> {
    /// Seconds to move a million generated rows from the file into a table.
    const SECONDS_PER_MILLION_ROWS: f64 = 1.0;
    /// Seconds before and after a pass.
    const SECONDS_PER_PASS: f64 = 0.6;
    /// Passes of a whole job, and of the measurement of one setting.
    const PASSES_PER_JOB: usize = 5;
    const PASSES_PER_SETTING: usize = 4;
    let (rounds, is_private) = (request.rounds, request.target.is_none());
    let rows = request.file_bytes()? as f64 / BYTES_PER_ROW as f64;
    let mut passes = rounds * (connections().len() + 3 + PASSES_PER_JOB);
    if !request.quick {
        let servers = if is_private { settings::VARIANTS + 1 } else { 1 };
        passes += sweep::measurements(rounds) + rounds * servers * PASSES_PER_SETTING;
    }
    Ok(passes as f64 * (SECONDS_PER_PASS + SECONDS_PER_MILLION_ROWS * rows / 1e6))
}

/// Measures. Errors: one of the measurements failed. Nothing is left in the target, or the error
/// names it.
pub(crate) fn run(request: &Request, control: &RunControl) -> Result<Report> {
    let started = Instant::now();
    control.progress.enter(Phase::Measure);
    let opened = open(request, control).map_err(|error| map_stop_error(control, error));
    let measured = opened.and_then(|(mut bench, server)| {
        let measured = needs(request, &server)
            .and_then(|needs| refuse_lack(&needs))
            .and_then(|()| bench.generate())
            .and_then(|()| measure(&bench, &server, started))
            .map_err(|error| map_stop_error(control, error));
        match (measured, server.end()) {
            (Ok(report), Ok(())) => Ok(report),
            (Ok(_), Err(left)) => Err(left),
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(left)) => {
                let error = error.caused_by(&left);
                Err(left.hints().iter().fold(error, Error::hint))
            }
        }
    });
    control.progress.end();
    measured
}

/// The error to report: the consequences of a stop are an interruption.
fn map_stop_error(control: &RunControl, error: Error) -> Error {
    let is_consequence =
        error.is_interrupted() || error.is_retryable() || error.kind() == Kind::Paused;
    if control.cancel.is_cancelled() && is_consequence { Error::interrupted() } else { error }
}

/// The space that the measurement needs: its files, and the data of `server` if it is private.
fn needs<'a>(request: &'a Request, server: &'a Server) -> Result<Vec<Need<'a>>> {
    // Rows, indexes, and their WAL.
    let data = |folder| Ok(Need { folder, bytes: 3 * request.file_bytes()? + SERVER_BYTES });
    server.folder().map(data).into_iter().chain([file_need(request)]).collect()
}

fn file_need(request: &Request) -> Result<Need<'_>> {
    // Encoded blocks, a new file, and the source itself if it is generated.
    let files = if request.is_generated() { 3 } else { 2 };
    Ok(Need { folder: &request.folder, bytes: files * request.file_bytes()? })
}

/// Checks the source and the space, and starts the server.
fn open<'a>(request: &'a Request, control: &'a RunControl) -> Result<(Bench<'a>, Server)> {
    refuse_lack(&[file_need(request)?])?;
    let path = match &request.subject {
        Subject::Generated { .. } => request.folder.join("usage.db"),
        Subject::File(path) => {
            // Every refusal of the source comes before the first write.
            check_files(&request.options(path, None))?;
            Source::open(path, &SourceOptions::default())?.close()?;
            path.clone()
        }
    };
    let bench = Bench::new(request, path, control);
    control.progress.phase(Phase::Measure).total.store(steps(request), Ordering::Relaxed);
    let server = bench.step("starting the server", || match &request.target {
        Some(url) => Server::open(url.clone(), &request.schema),
        None => Server::start(&[], &request.schema),
    })?;
    Ok((bench, server))
}

/// The number of steps that the progress counts.
fn steps(request: &Request) -> u64 {
    let Request { rounds, quick, target, .. } = request;
    let others = match quick {
        true => 0,
        false => sweep::measurements(*rounds) + settings::steps(*rounds, target.is_none()),
    };
    (1 + usize::from(request.is_generated()) + 1 + Rounds::steps(*rounds) + others) as u64
}

fn measure(bench: &Bench<'_>, server: &Server, started: Instant) -> Result<Report> {
    let server_settings = server.settings()?;
    let options = bench.options(server);
    let folder = &bench.request.folder;
    let (blocks, tables, resources) = bench.step("encoding blocks to send", || {
        bench.planned(&options, |load, env| {
            let subject = (&load.plan, &load.source);
            let blocks =
                Blocks::encode(subject, folder, env.resources.readers, &bench.control.cancel)?;
            Ok((blocks, load.plan.tables.len(), *env.resources))
        })
    })?;
    let rounds = Rounds::measure(bench, server, &blocks)?;
    let connections = rounds.best_connections();
    let (sweep, settings) = match bench.request.quick {
        true => (None, settings::current(&server_settings, &rounds)),
        false => (
            Some(sweep::measure(bench, server, (blocks.rows(), blocks.bytes()))?),
            settings::measure(bench, server, &server_settings, &blocks, connections, &rounds)?,
        ),
    };
    Ok(Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine: Machine { cores: cores(), memory: machine_memory()? },
        server: ServerReport {
            address: server.connection.display(),
            private: server.is_private(),
            version: server_settings.version.clone(),
        },
        subject: subject_report(bench, tables, &blocks)?,
        rounds: bench.request.rounds,
        used: resources,
        stages: rounds.stages(&blocks, &resources),
        limits: rounds.limits(&blocks),
        phases: rounds.phases(),
        server_work: rounds.server_work(&blocks),
        copy_to_limit: rounds.to_limit(Name::Copy),
        whole_to_limit: rounds.to_limit(Name::Whole),
        client_to_server_cpu: rounds.client_to_server_cpu(),
        generator: bench.generated.as_ref().and_then(|generated| rounds.generator(generated)),
        bottleneck: rounds.bottleneck(&blocks, &resources, cores())?,
        sweep,
        settings,
        notes: bench.notes(),
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn subject_report(bench: &Bench<'_>, tables: usize, blocks: &Blocks) -> Result<SubjectReport> {
    let (path, seed) = match &bench.request.subject {
        Subject::Generated { seed, .. } => (None, Some(*seed)),
        Subject::File(path) => (Some(path.display().to_string()), None),
    };
    let file_bytes = match &bench.generated {
        Some(generated) => generated.bytes,
        None => bench.request.file_bytes()?,
    };
    Ok(SubjectReport { path, seed, tables, rows: blocks.rows(), bytes: blocks.bytes(), file_bytes })
}

//! The check whether the service, or another process, still uses a database of the run. It runs
//! before anything is opened, before the first write, and around the verification.

use crate::error::{Error, Result};
use crate::options::location::{DataSet, Location};
use crate::options::run_options::RunOptions;
use crate::options::service::{Service, ServiceCheck};
use crate::postgres::lease::other_sessions;
use crate::sqlite::source::lock_holders;
use postgres::Client;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckTime {
    /// Before the first write.
    BeforeWrite,
    /// After the first write, or while both sides are compared.
    DuringRun,
}

/// Checks the SQLite files before they are opened, so that a running service does not meet our
/// locks. Returns warnings. Refused if a SQLite file of the run is in use.
pub(crate) fn check_files(options: &RunOptions) -> Result<Vec<String>> {
    let mut warnings = options.warnings.clone();
    for DataSet { source, target, .. } in &options.data_sets {
        let file = [source, target].into_iter().find_map(Location::file);
        warnings.extend(check(&options.service_check, CheckTime::BeforeWrite, file, None)?);
    }
    Ok(warnings)
}

/// Looks for evidence that the service runs: its unit and socket, processes that have `file` open,
/// and sessions on the server of `client` that belong to the service or to its role. Returns
/// warnings.
///
/// Without a service only processes count, and only before the first write: from then on the write
/// lock keeps them out. Refused or failed, depending on the time, with all evidence.
pub(crate) fn check(
    options: &ServiceCheck,
    time: CheckTime,
    file: Option<&Path>,
    client: Option<(&mut Client, &str)>,
) -> Result<Vec<String>> {
    let service = options.service.as_ref();
    if service.is_none() && time == CheckTime::DuringRun {
        return Ok(Vec::new());
    }
    let mut evidence = service.map(running_evidence).unwrap_or_default();
    if let Some(file) = file {
        let has_open = |process| format!("{process} has {} open", file.display());
        evidence.extend(lock_holders::processes_with_open(file).into_iter().map(has_open));
    }
    if let (Some(service), Some((client, role))) = (service, client) {
        let mut names: Vec<&str> = service.session_names.iter().map(String::as_str).collect();
        names.push(role);
        evidence.extend(other_sessions::describe_sessions(client, &names)?);
    }
    if evidence.is_empty() {
        return Ok(evidence);
    }
    if options.allow_running {
        let warn = |found| format!("{found}; if it writes, verification may fail");
        return Ok(evidence.into_iter().map(warn).collect());
    }
    Err(in_use(service, time, evidence))
}

/// The evidence that a service runs, apart from its use of the databases. A check that is not
/// possible gives no evidence.
pub(crate) fn running_evidence(service: &Service) -> Vec<String> {
    let socket = service.socket.as_ref().filter(|path| UnixStream::connect(path).is_ok());
    let socket = socket.map(|path| format!("{} accepts connections", path.display()));
    unit_evidence(&service.unit).into_iter().chain(socket).collect()
}

fn unit_evidence(unit: &str) -> Option<String> {
    let output = Command::new("systemctl")
        .args(["is-active", unit])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let state = String::from_utf8_lossy(&output.stdout);
    let state = state.trim();
    let runs = ["active", "reloading", "activating", "deactivating"].contains(&state);
    runs.then(|| format!("systemd reports {unit} as {state}"))
}

fn in_use(service: Option<&Service>, time: CheckTime, evidence: Vec<String>) -> Error {
    let what = match service {
        Some(_) => "the service is running",
        None => "the database is in use",
    };
    let error = match time {
        CheckTime::BeforeWrite => Error::refused(what),
        CheckTime::DuringRun => {
            Error::failed(format!("{what}: it was started before the verification ended"))
        }
    };
    let error = evidence.into_iter().fold(error, Error::caused_by);
    let stop = match service {
        Some(service) => format!("stop it: {}", service.stop_command()),
        None => "stop the process that uses it".to_owned(),
    };
    error.hint(stop).remedy(
        "continue without the changes that are made meanwhile, if the verification allows it",
        &["--allow-running"],
    )
}

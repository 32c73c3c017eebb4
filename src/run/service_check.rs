//! The guard of a run: whether the service still uses one of its databases. It is asked before
//! anything is planned and written, before the verification and before the verdict.

use crate::error::{Error, Result};
use crate::options::{DataSet, Location, Options};
use crate::postgres::lease::other_sessions;
use crate::sqlite::source::lock_holders;
use postgres::Client;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A service that uses the databases of a run, as far as it can be seen from outside.
pub(crate) trait Service: fmt::Debug + Send + Sync {
    /// The signs that it runs, apart from its use of the databases; none where it does not.
    fn running_evidence(&self) -> Vec<String>;

    /// The names by which its sessions on a server are known: application or role.
    fn names(&self) -> Vec<&str>;

    /// The command that stops it.
    fn stop_command(&self) -> String;
}

/// What the user should know before anything is opened: a service that runs shall not meet our
/// locks.
///
/// # Errors
/// Refused where something uses a SQLite file of the run.
pub(crate) fn look_first(options: &Options) -> Result<Vec<String>> {
    let mut warnings = options.warnings.clone();
    for DataSet { source, target, .. } in &options.data_sets {
        let file = [source, target].into_iter().find_map(Location::file);
        warnings.extend(options.service_check.look(CheckTime::BeforeWrite, file, None)?);
    }
    Ok(warnings)
}

/// When the guard is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckTime {
    /// Before anything was written.
    BeforeWrite,
    /// After rows were written, or while they are compared.
    DuringRun,
}

/// The guard. Without a service only files count, and only before anything is written: the
/// fence keeps writers out from then on.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServiceCheck {
    /// The service, where a product's databases are moved.
    pub(crate) service: Option<Arc<dyn Service>>,
    /// Signs are told as warnings, and stop nothing.
    pub(crate) allow_running: bool,
}

impl PartialEq for ServiceCheck {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.service, &other.service) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same && self.allow_running == other.allow_running
    }
}

impl Eq for ServiceCheck {}

impl ServiceCheck {
    /// Looks for signs that the service runs: what it shows itself, processes that have `file`
    /// open, and sessions on the server that `client` is connected to, of the service or of
    /// `role`, the role that the service itself uses. Returns warnings.
    ///
    /// # Errors
    /// Refused or failed, by the moment, with every sign.
    pub(crate) fn look(
        &self,
        moment: CheckTime,
        file: Option<&Path>,
        client: Option<(&mut Client, &str)>,
    ) -> Result<Vec<String>> {
        if self.service.is_none() && moment == CheckTime::DuringRun {
            return Ok(Vec::new());
        }
        let mut running_evidence =
            self.service.as_ref().map(|service| service.running_evidence()).unwrap_or_default();
        if let Some(file) = file {
            let has = |process| format!("{process} has {} open", file.display());
            running_evidence.extend(lock_holders::processes_with_open(file).into_iter().map(has));
        }
        if let (Some(service), Some((client, role))) = (&self.service, client) {
            let mut names = service.names();
            names.push(role);
            running_evidence.extend(other_sessions::describe_sessions(client, &names)?);
        }
        if running_evidence.is_empty() {
            return Ok(running_evidence);
        }
        if self.allow_running {
            let warn = |sign| format!("{sign}; if it writes, verification may fail");
            return Ok(running_evidence.into_iter().map(warn).collect());
        }
        Err(self.error(moment, running_evidence))
    }

    fn error(&self, moment: CheckTime, running_evidence: Vec<String>) -> Error {
        let what = match self.service {
            Some(_) => "the service is running",
            None => "the database is in use",
        };
        let error = match moment {
            CheckTime::BeforeWrite => Error::refused(what),
            CheckTime::DuringRun => {
                Error::failed(format!("{what}: it was started before verification had ended"))
            }
        };
        let error = running_evidence.into_iter().fold(error, Error::caused_by);
        let stop = match &self.service {
            Some(service) => format!("stop it: {}", service.stop_command()),
            None => "end what uses it".to_owned(),
        };
        error.hint(stop).hint(
            "--allow-running goes on all the same; what is written meanwhile does not arrive, and \
             verification may fail",
        )
    }
}

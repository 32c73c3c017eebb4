//! The service that uses the databases of a run, as far as it can be seen from outside.

use std::path::PathBuf;

/// A service that must not run while its databases are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its systemd unit.
    pub(crate) unit: String,
    /// A socket that accepts connections while the service runs.
    pub(crate) socket: Option<PathBuf>,
    /// The application names and roles of its sessions on a server.
    pub(crate) session_names: Vec<String>,
}

impl Service {
    pub(crate) fn stop_command(&self) -> String {
        format!("systemctl stop {}", self.unit)
    }
}

/// How a run checks that nothing else uses its databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServiceCheck {
    /// The service, for a product's databases.
    pub(crate) service: Option<Service>,
    /// Report a running service as a warning instead of an error.
    pub(crate) allow_running: bool,
}

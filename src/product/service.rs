//! The service of a product, as far as it can be seen from outside whether it runs. What cannot
//! be asked says nothing: only a sign that it runs counts.

use crate::product::{Product, Root};
use crate::run::service_check::Service;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where Package Manager's own command line reaches its service.
const PACKAGE_MANAGER_SOCKET: &str = "/var/run/rstudio-pm/rstudio-pm.sock";

/// A product's service.
#[derive(Debug, Clone)]
pub(crate) struct ProductService {
    /// The product.
    pub(crate) product: Product,
    /// What stands before absolute paths.
    pub(crate) root: Root,
}

impl Service for ProductService {
    fn running_evidence(&self) -> Vec<String> {
        [self.unit(), self.socket()].into_iter().flatten().collect()
    }

    fn names(&self) -> Vec<&str> {
        match self.product {
            Product::Connect => vec!["rstudio-connect"],
            Product::PackageManager => vec!["rstudio-pm", "rspm"],
        }
    }

    fn stop_command(&self) -> String {
        format!("systemctl stop {}", self.product.system_name())
    }
}

impl ProductService {
    /// What systemd says of the unit.
    fn unit(&self) -> Option<String> {
        let unit = self.product.system_name();
        let output = Command::new("systemctl")
            .args(["is-active", unit])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let state = String::from_utf8_lossy(&output.stdout);
        let state = state.trim();
        let runs = ["active", "reloading", "activating", "deactivating"].contains(&state);
        runs.then(|| format!("systemd says that {unit} is {state}"))
    }

    /// Whether the socket of the command line accepts.
    fn socket(&self) -> Option<String> {
        if self.product != Product::PackageManager {
            return None;
        }
        let path = self.root.at(Path::new(PACKAGE_MANAGER_SOCKET));
        UnixStream::connect(&path).ok().map(|_| format!("{} accepts connections", path.display()))
    }
}

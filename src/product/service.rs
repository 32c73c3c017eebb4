//! The service of a product.

use crate::options::service::Service;
use crate::product::{Product, Root};
use std::path::Path;

/// The socket of Package Manager's service.
const PACKAGE_MANAGER_SOCKET: &str = "/var/run/rstudio-pm/rstudio-pm.sock";

/// The service of `product`.
pub(crate) fn service(product: Product, root: &Root) -> Service {
    let names: &[&str] = match product {
        Product::Connect => &["rstudio-connect"],
        Product::PackageManager => &["rstudio-pm", "rspm"],
    };
    let has_socket = product == Product::PackageManager;
    Service {
        unit: product.system_name().to_owned(),
        socket: has_socket.then(|| root.at(Path::new(PACKAGE_MANAGER_SOCKET))),
        session_names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

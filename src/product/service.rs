//! The service of a product.

use crate::options::service::Service;
use crate::product::Root;
use crate::product::spec::ProductSpec;
use std::path::Path;

/// The service of `product`.
pub(crate) fn service(product: &ProductSpec, root: &Root) -> Service {
    Service {
        unit: product.system_name.to_owned(),
        socket: product.socket.map(|path| root.at(Path::new(path))),
        session_names: product.session_names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

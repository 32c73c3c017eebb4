//! The detection of the product and its configuration file: by flags, else by the name or folder of
//! the configuration file, else by the folder of the running program, else by the one default
//! configuration file that exists.

use crate::error::{Error, Result};
use crate::product::Root;
use crate::product::spec::ProductSpec;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The input of the detection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DetectInput<'a> {
    /// The product, if a flag names it.
    pub(crate) product: Option<&'static ProductSpec>,
    /// The configuration file, if a flag names it.
    pub(crate) config: Option<&'a Path>,
    /// The file of the running program.
    pub(crate) program: Option<&'a Path>,
}

/// The product, one of `products`, and its configuration file; `None` if there is no evidence.
/// Errors: a usage error if the evidence is ambiguous.
pub(crate) fn detect(
    input: DetectInput<'_>,
    products: &[&'static ProductSpec],
    root: &Root,
) -> Result<Option<(&'static ProductSpec, PathBuf)>> {
    let config = input.config.map(|config| std::path::absolute(config).unwrap_or(config.into()));
    let by_path = |path: &Path| by_path(path, products);
    let named = config.as_deref().or(input.program).and_then(by_path);
    if let Some(product) = input.product.or(named) {
        let default = || root.at(Path::new(product.config));
        return Ok(Some((product, input.config.map_or_else(default, Path::to_owned))));
    }
    let installed = products.iter().filter(|one| root.at(Path::new(one.config)).exists());
    let installed: Vec<&'static ProductSpec> = installed.copied().collect();
    let flags: Vec<String> = products.iter().map(|one| format!("--product {}", one.word)).collect();
    let hint = format!("name the product: {}", flags.join(" or "));
    match (input.config, input.program.and_then(by_path), installed.as_slice()) {
        (Some(config), Some(product), _) => Ok(Some((product, config.to_owned()))),
        (Some(config), None, [product]) => Ok(Some((*product, config.to_owned()))),
        (Some(config), ..) => Err(Error::usage(format!(
            "cannot detect the product of the configuration file {}",
            config.display()
        ))
        .hint(hint)),
        (None, _, [product]) => Ok(Some((*product, root.at(Path::new(product.config))))),
        (None, _, []) => Ok(None),
        (None, ..) => {
            let names: Vec<&str> = installed.iter().map(|one| one.name).collect();
            let names = names.join(" and ");
            Err(Error::usage(format!("this machine has several products: {names}")).hint(hint))
        }
    }
}

/// The product whose system name is in the file name of `path`, else in its nearest folder.
fn by_path(path: &Path, products: &[&'static ProductSpec]) -> Option<&'static ProductSpec> {
    let named = |name: &OsStr| {
        let name = name.to_string_lossy();
        products.iter().copied().find(|product| name.contains(product.system_name))
    };
    path.ancestors().filter_map(Path::file_name).find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::products::{CONNECT, PACKAGE_MANAGER, PRODUCTS};
    use std::fs;

    fn found(input: DetectInput<'_>, root: &Root) -> Option<(&'static ProductSpec, PathBuf)> {
        detect(input, &PRODUCTS, root).unwrap()
    }

    #[test]
    fn flags_come_before_names_and_names_before_existing_files() {
        let root = Root::default();
        let config = Some(Path::new("/etc/rstudio-pm/custom.gcfg"));
        let known = DetectInput { config, ..DetectInput::default() };
        let path = PathBuf::from("/etc/rstudio-pm/custom.gcfg");
        assert_eq!(found(known, &root), Some((&PACKAGE_MANAGER, path.clone())));
        let said = DetectInput { product: Some(&CONNECT), ..known };
        assert_eq!(found(said, &root), Some((&CONNECT, path)));
        let named = Some(Path::new("/etc/rstudio-pm/rstudio-connect.gcfg"));
        let known = DetectInput { config: named, ..DetectInput::default() };
        assert_eq!(found(known, &root).unwrap().0, &CONNECT);
        let program = Some(Path::new("/opt/rstudio-connect/bin/migrate"));
        let known = DetectInput { program, ..DetectInput::default() };
        assert_eq!(found(known, &root), Some((&CONNECT, CONNECT.config.into())));
        let plain = DetectInput { program, config: Some(Path::new("/tmp/x.gcfg")), product: None };
        assert_eq!(found(plain, &root), Some((&CONNECT, "/tmp/x.gcfg".into())));
    }

    #[test]
    fn the_only_default_file_decides_and_two_are_ambiguous() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root(Some(folder.path().to_owned()));
        assert_eq!(found(DetectInput::default(), &root), None);
        let put = |product: &ProductSpec| {
            let path = root.at(Path::new(product.config));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        put(&PACKAGE_MANAGER);
        let expected = (&PACKAGE_MANAGER, root.at(Path::new(PACKAGE_MANAGER.config)));
        assert_eq!(found(DetectInput::default(), &root), Some(expected));
        put(&CONNECT);
        let error = detect(DetectInput::default(), &PRODUCTS, &root).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Usage);
        assert!(error.hints()[0].contains("--product connect"), "{error:?}");
    }
}

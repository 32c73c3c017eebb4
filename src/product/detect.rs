//! Which product is meant, and which file configures it: by what was said, else by the
//! configuration file's name or folder, else by the folder of the running program, else by the
//! one default file that exists.

use crate::error::{Error, Result};
use crate::product::{Product, Root};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What is known beforehand.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DetectInput<'a> {
    /// The product, if it was said.
    pub(crate) product: Option<Product>,
    /// The configuration file, if it was said.
    pub(crate) config: Option<&'a Path>,
    /// The running program's own file.
    pub(crate) program: Option<&'a Path>,
}

/// The product that is meant and its configuration file; `None` where nothing points to one.
///
/// # Errors
/// A usage error where both products are there and nothing says which, or where a configuration
/// file was named that could be of either.
pub(crate) fn find(known: DetectInput<'_>, root: &Root) -> Result<Option<(Product, PathBuf)>> {
    let whole = known.config.map(|config| std::path::absolute(config).unwrap_or(config.into()));
    let by_place = whole.as_deref().or(known.program).and_then(by_path);
    if let Some(product) = known.product.or(by_place) {
        let config = known.config.map_or_else(|| root.at(&product.config()), Path::to_owned);
        return Ok(Some((product, config)));
    }
    let by_program = known.program.and_then(by_path);
    let there: Vec<Product> =
        Product::ALL.into_iter().filter(|one| root.at(&one.config()).exists()).collect();
    let hint = "say which: --product connect, or --product package-manager";
    match (known.config, by_program, there.as_slice()) {
        (Some(config), Some(product), _) => Ok(Some((product, config.to_owned()))),
        (Some(config), None, [product]) => Ok(Some((*product, config.to_owned()))),
        (Some(config), ..) => Err(Error::usage(format!(
            "nothing says which product the configuration file {} is for",
            config.display()
        ))
        .hint(hint)),
        (None, _, [product]) => Ok(Some((*product, root.at(&product.config())))),
        (None, _, []) => Ok(None),
        (None, ..) => {
            Err(Error::usage("both Connect and Package Manager are on this machine").hint(hint))
        }
    }
}

/// The product whose name a path bears: in its file name, else in the nearest folder.
fn by_path(path: &Path) -> Option<Product> {
    let named = |name: &OsStr| {
        let name = name.to_string_lossy();
        Product::ALL.into_iter().find(|product| name.contains(product.system_name()))
    };
    path.ancestors().filter_map(Path::file_name).find_map(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn found(known: DetectInput<'_>, root: &Root) -> Option<(Product, PathBuf)> {
        find(known, root).unwrap()
    }

    #[test]
    fn what_was_said_comes_before_names_and_names_before_what_is_there() {
        let root = Root::default();
        let config = Some(Path::new("/etc/rstudio-pm/custom.gcfg"));
        let known = DetectInput { config, ..DetectInput::default() };
        let path = PathBuf::from("/etc/rstudio-pm/custom.gcfg");
        assert_eq!(found(known, &root), Some((Product::PackageManager, path.clone())));
        let said = DetectInput { product: Some(Product::Connect), ..known };
        assert_eq!(found(said, &root), Some((Product::Connect, path)));
        let named = Some(Path::new("/etc/rstudio-pm/rstudio-connect.gcfg"));
        let known = DetectInput { config: named, ..DetectInput::default() };
        assert_eq!(found(known, &root).unwrap().0, Product::Connect);
        let program = Some(Path::new("/opt/rstudio-connect/bin/migrate"));
        let known = DetectInput { program, ..DetectInput::default() };
        assert_eq!(found(known, &root), Some((Product::Connect, Product::Connect.config())));
        let plain = DetectInput { program, config: Some(Path::new("/tmp/x.gcfg")), product: None };
        assert_eq!(found(plain, &root), Some((Product::Connect, "/tmp/x.gcfg".into())));
    }

    #[test]
    fn the_only_default_file_decides_and_two_ask() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root(Some(folder.path().to_owned()));
        assert_eq!(found(DetectInput::default(), &root), None);
        let put = |product: Product| {
            let path = root.at(&product.config());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        put(Product::PackageManager);
        let expected = (Product::PackageManager, root.at(&Product::PackageManager.config()));
        assert_eq!(found(DetectInput::default(), &root), Some(expected));
        put(Product::Connect);
        let error = find(DetectInput::default(), &root).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Usage);
        assert!(error.hints()[0].contains("--product connect"), "{error:?}");
    }
}

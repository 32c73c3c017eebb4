//! The settings of a product: its configuration file, overridden by variables of the
//! environment, with where each value came from.

use crate::config::environment::Environment;
use crate::config::gcfg;
use crate::config::gcfg::Gcfg;
use crate::error::{Error, Result};
use crate::product::{Product, Provider, Root};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A product's settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The product.
    pub(crate) product: Product,
    /// What stands before absolute paths.
    pub(crate) root: Root,
    file: Gcfg,
    environment: Environment,
}

/// One setting. No `Debug`: the value may be a password.
pub(crate) struct Setting {
    /// Its value, which is not empty.
    pub(crate) value: Zeroizing<String>,
    /// Where it came from: `FILE:LINE`, or the name of a variable.
    pub(crate) origin: String,
}

impl Settings {
    /// Reads the configuration file of `product` at `path`.
    ///
    /// # Errors
    /// Refused where the file cannot be read or understood.
    pub(crate) fn read(
        product: Product,
        path: &Path,
        root: Root,
        environment: Environment,
    ) -> Result<Self> {
        Ok(Self { product, root, file: Gcfg::read(path)?, environment })
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> &Gcfg {
        &self.file
    }

    /// The environment that overrides it.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The variable that overrides a key, if it is set, and its value.
    pub(crate) fn variable(&self, section: &str, key: &str) -> Option<(String, &str)> {
        gcfg::overriding(&self.environment, self.product.variables(), section, key)
    }

    /// A setting; an empty one is none.
    ///
    /// # Errors
    /// Refused, with the position, where the file has a blank key.
    pub(crate) fn text(&self, section: &str, key: &str) -> Result<Option<Setting>> {
        if let Some((name, value)) = self.variable(section, key) {
            let value = Zeroizing::new(value.to_owned());
            return Ok(Some(Setting { value, origin: format!("the variable {name}") }));
        }
        let Some(entry) = self.file.text(section, key)? else { return Ok(None) };
        let value = entry.value().filter(|value| !value.is_empty());
        Ok(value.map(|value| Setting {
            value: Zeroizing::new(value.to_owned()),
            origin: self.file.place_of(entry),
        }))
    }

    /// A setting that is a switch.
    pub(crate) fn switch(&self, section: &str, key: &str) -> Result<Option<bool>> {
        match self.variable(section, key) {
            Some((name, value)) => gcfg::switch(value).map(Some).ok_or_else(|| {
                Error::refused(format!("the variable {name} is no switch"))
                    .hint("a switch is true, yes, on, 1, false, no, off or 0")
            }),
            None => self.file.switch(section, key),
        }
    }

    /// A setting that names a folder, or else `default`, under the root.
    pub(crate) fn folder(&self, section: &str, key: &str, default: PathBuf) -> Result<PathBuf> {
        let named = self.text(section, key)?.map(|setting| PathBuf::from(&*setting.value));
        Ok(match named {
            Some(path) => self.root.at(&path),
            None => default,
        })
    }

    /// `Server.DataDir`.
    pub(crate) fn data_dir(&self) -> Result<PathBuf> {
        self.folder("Server", "DataDir", self.root.at(&self.product.data_dir()))
    }

    /// `SQLite.Dir`.
    pub(crate) fn sqlite_dir(&self) -> Result<PathBuf> {
        self.folder("SQLite", "Dir", self.data_dir()?.join("db"))
    }

    /// `Database.Provider`: what the service uses. Both products use SQLite where it is not set.
    pub(crate) fn provider(&self) -> Result<Provider> {
        let Some(setting) = self.text("Database", "Provider")? else { return Ok(Provider::Sqlite) };
        Provider::parse(&setting.value).ok_or_else(|| {
            Error::refused(format!("{}: Database.Provider names no provider", setting.origin))
                .hint("it is sqlite or postgres")
        })
    }

    /// The warning that a comment may have cut the value of a key that was meant to be longer.
    pub(crate) fn cut_warning(&self, section: &str, key: &str) -> Option<String> {
        if self.variable(section, key).is_some() {
            return None;
        }
        let entry = self.file.entries(section, key).next_back().filter(|entry| entry.cut)?;
        Some(format!(
            "{}: {section}.{key} ends where a comment begins; a value that holds # or ; stands in \
             double quotes",
            self.file.place_of(entry)
        ))
    }
}

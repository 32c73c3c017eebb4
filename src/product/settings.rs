//! The settings of a product: its configuration file, overridden by environment variables. Each
//! value comes with its origin.

use crate::config::environment::Environment;
use crate::config::gcfg::{self, Gcfg};
use crate::error::{Error, Result};
use crate::product::spec::ProductSpec;
use crate::product::{Provider, Root};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A product's settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) product: &'static ProductSpec,
    /// The root of absolute paths.
    pub(crate) root: Root,
    /// The configuration file.
    pub(crate) file: Gcfg,
    pub(crate) environment: Environment,
}

/// One setting. It has no `Debug`, as the value may be a password.
pub(crate) struct Setting {
    /// Its value, never empty.
    pub(crate) value: Zeroizing<String>,
    /// Where the value is: `FILE:LINE:COLUMN`, or a variable.
    pub(crate) position: String,
}

impl Settings {
    /// Reads the configuration file of `product` at `path`. Refused if the file cannot be read or
    /// parsed.
    pub(crate) fn read(
        product: &'static ProductSpec,
        path: &Path,
        root: Root,
        environment: Environment,
    ) -> Result<Self> {
        Ok(Self { product, root, file: Gcfg::read(path)?, environment })
    }

    /// The name and value of the variable that overrides a key, if it is set.
    pub(crate) fn variable(&self, section: &str, key: &str) -> Option<(String, &str)> {
        gcfg::overriding(&self.environment, self.product.variable_prefix, section, key)
    }

    /// A setting; `None` if it is missing or empty. Refused, with the position, if the file has a
    /// blank key.
    pub(crate) fn text(&self, section: &str, key: &str) -> Result<Option<Setting>> {
        if let Some((name, value)) = self.variable(section, key) {
            let value = Zeroizing::new(value.to_owned());
            return Ok(Some(Setting { value, position: format!("the variable {name}") }));
        }
        let Some(entry) = self.file.text(section, key)? else { return Ok(None) };
        let value = entry.value().filter(|value| !value.is_empty());
        Ok(value.map(|value| Setting {
            value: Zeroizing::new(value.to_owned()),
            position: self.file.position_of_value(entry),
        }))
    }

    /// A boolean setting.
    pub(crate) fn switch(&self, section: &str, key: &str) -> Result<Option<bool>> {
        match self.variable(section, key) {
            Some((name, value)) => gcfg::switch(value).map(Some).ok_or_else(|| {
                Error::refused(format!("the variable {name} is not a boolean"))
                    .hint("set it to true, yes, on, 1, false, no, off or 0")
            }),
            None => self.file.switch(section, key),
        }
    }

    /// A setting with a path, below the root; `default` if it is missing.
    pub(crate) fn folder(&self, section: &str, key: &str, default: PathBuf) -> Result<PathBuf> {
        let named = self.text(section, key)?.map(|setting| PathBuf::from(&*setting.value));
        Ok(match named {
            Some(path) => self.root.at(&path),
            None => default,
        })
    }

    /// `Server.DataDir`.
    pub(crate) fn data_dir(&self) -> Result<PathBuf> {
        self.folder("Server", "DataDir", self.root.at(Path::new(self.product.data_dir)))
    }

    /// `SQLite.Dir`.
    pub(crate) fn sqlite_dir(&self) -> Result<PathBuf> {
        self.folder("SQLite", "Dir", self.data_dir()?.join("db"))
    }

    /// `Database.Provider`: the database that the service uses. The default is SQLite.
    pub(crate) fn provider(&self) -> Result<Provider> {
        let Some(setting) = self.text("Database", "Provider")? else { return Ok(Provider::Sqlite) };
        Provider::parse(&setting.value).ok_or_else(|| {
            Error::refused(format!("{}: Database.Provider has an unknown value", setting.position))
                .hint("set it to sqlite or postgres")
        })
    }

    /// The warning that a comment may have truncated the value of a key.
    pub(crate) fn cut_warning(&self, section: &str, key: &str) -> Option<String> {
        if self.variable(section, key).is_some() {
            return None;
        }
        let entry = self.file.entries(section, key).next_back().filter(|entry| entry.cut)?;
        Some(format!(
            "{}: the value of {section}.{key} ends at a comment; put a value with # or ; into double \
             quotes",
            self.file.position_of_value(entry)
        ))
    }
}

//! The data sets of a product: for each its SQLite file and its PostgreSQL database, with all
//! defaults and fall-backs. What is missing is named all at once, before any connection.

use crate::config::connection::{Defaults, SslMode};
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, FILE_MODE, Location};
use crate::product::passwords::Keys;
use crate::product::settings::{Setting, Settings};
use crate::product::sqlite_file;
use crate::product::sqlite_file::SearchError;
use crate::product::{Product, Provider};
use std::fs::File;
use std::path::{Path, PathBuf};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Only the data set of this name.
    pub(crate) only: Option<&'a str>,
    /// Where the rows come from.
    pub(crate) from: Provider,
    /// Another SQLite file for the first data set.
    pub(crate) sqlite: Option<&'a Path>,
    /// Another SQLite file for the second one.
    pub(crate) second_sqlite: Option<&'a Path>,
    /// Another PostgreSQL database, where there is only one data set.
    pub(crate) postgres: Option<&'a str>,
    /// The key file.
    pub(crate) key_file: Option<&'a Path>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The data sets, the first one first.
    pub(crate) data_sets: Vec<DataSet>,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
}

/// The keys and names of one data set.
struct DataSetKeys {
    name: &'static str,
    url: &'static str,
    password: &'static str,
    /// The usual name of the SQLite file.
    file: &'static str,
    flag: &'static str,
}

/// Of each product the first data set and the second. Package Manager's documentation names no
/// files: these names are tried first.
fn keywords(product: Product) -> [DataSetKeys; 2] {
    let [first, second] = product.data_sets();
    match product {
        Product::Connect => [
            DataSetKeys {
                name: first,
                url: "URL",
                password: "Password",
                file: "connect.db",
                flag: "--sqlite",
            },
            DataSetKeys {
                name: second,
                url: "InstrumentationURL",
                password: "InstrumentationPassword",
                file: "connect-instrumentation.db",
                flag: "--instrumentation-sqlite",
            },
        ],
        Product::PackageManager => [
            DataSetKeys {
                name: first,
                url: "URL",
                password: "Password",
                file: "rstudio-pm.db",
                flag: "--sqlite",
            },
            DataSetKeys {
                name: second,
                url: "UsageDataURL",
                password: "UsageDataPassword",
                file: "rstudio-pm-usage.db",
                flag: "--usage-sqlite",
            },
        ],
    }
}

/// The data sets that are wanted.
///
/// # Errors
/// Refused, naming everything that is missing by section and key; a usage error for a data set
/// that the product does not have.
pub(crate) fn resolve(settings: &Settings, wanted: &Wanted<'_>) -> Result<Found> {
    let product = settings.product;
    let names = product.data_sets();
    if let Some(name) = wanted.only.filter(|name| !names.contains(name)) {
        return Err(Error::usage(format!("{product} has no data set \"{name}\""))
            .hint(format!("--data takes {} or {}", names[0], names[1])));
    }
    let mut search = Search { settings, wanted, missing: Vec::new(), warnings: Vec::new() };
    let mut places = Vec::new();
    for (at, words) in keywords(product).iter().enumerate() {
        let is_second = at == 1;
        let asked = wanted.only.is_none_or(|name| name == words.name);
        if asked && (!is_second || search.has_second(words)?) {
            let sqlite = search.sqlite(words, is_second)?;
            let postgres = search.postgres(words, is_second)?;
            places.push((words.name, sqlite, postgres));
        }
    }
    let Search { missing, warnings, .. } = search;
    if !missing.is_empty() {
        let config = settings.file().name().display();
        let error = Error::refused(format!("{config} does not say all that is needed"));
        let error = missing.into_iter().fold(error, Error::caused_by);
        return Err(error.hint(
            "both databases must be configured sibling each other before the migration, and the \
             provider changed after it",
        ));
    }
    let keys = Keys::new(settings, wanted.key_file);
    let mut data_sets = Vec::new();
    for (name, sqlite, postgres) in places {
        let (Some(sqlite), Some(postgres)) = (sqlite, postgres) else { continue };
        let sqlite = Location::Sqlite(sqlite);
        let (url, defaults) = postgres.open(settings, &keys)?;
        let postgres = Location::Postgres(url);
        let (source, target) = match wanted.from {
            Provider::Sqlite => (sqlite, postgres),
            Provider::Postgres => (postgres, sqlite),
        };
        let file_mode = match product {
            Product::Connect => 0o600,
            Product::PackageManager => FILE_MODE,
        };
        data_sets.push(DataSet { name: name.to_owned(), source, target, defaults, file_mode });
    }
    Ok(Found { data_sets, warnings })
}

/// A PostgreSQL database as the configuration names it.
struct Postgres {
    url: Secret,
    password: Option<(String, Setting)>,
}

impl Postgres {
    fn open(self, settings: &Settings, keys: &Keys<'_>) -> Result<(Secret, Defaults)> {
        let password = match &self.password {
            Some((name, setting)) => Some(keys.open(name, setting)?),
            None => None::<Secret>,
        };
        let (sslmode, usual_dbname) = match settings.product {
            // Connect assumes TLS unless it is switched off, and its documentation calls the
            // database so.
            Product::Connect => (SslMode::Require, Some("connect")),
            Product::PackageManager => (SslMode::default(), None),
        };
        Ok((self.url, Defaults { sslmode, password, usual_dbname }))
    }
}

/// The search for places, which goes on when something is missing.
struct Search<'a> {
    settings: &'a Settings,
    wanted: &'a Wanted<'a>,
    missing: Vec<String>,
    warnings: Vec<String>,
}

impl Search<'_> {
    /// Whether the second data set is there at all. Connect always has it; Package Manager
    /// stores usage data if that is switched on, or if such a database exists.
    fn has_second(&mut self, words: &DataSetKeys) -> Result<bool> {
        let settings = self.settings;
        if settings.product == Product::Connect
            || self.wanted.only.is_some()
            || self.wanted.second_sqlite.is_some()
        {
            return Ok(true);
        }
        let has_url = settings.text("Postgres", words.url)?.is_some();
        if self.wanted.from == Provider::Postgres && has_url {
            return Ok(true);
        }
        let switched_on = settings.switch("Server", "UsageDataEnabled")?.unwrap_or(false);
        // One that cannot be told apart or looked for exists, too, until somebody says otherwise.
        let found = sqlite_file::find(&self.usage_dir()?, words.file, true);
        let exists = !matches!(found, Err(SearchError::Absent(_)));
        if has_url && !switched_on && !exists {
            self.warnings.push(format!(
                "Postgres.{} is set, and there is no usage database: only {} is moved",
                words.url,
                settings.product.data_sets()[0]
            ));
        }
        Ok(switched_on || exists)
    }

    /// The folder of Package Manager's usage database.
    fn usage_dir(&self) -> Result<PathBuf> {
        self.settings.folder("SQLite", "UsageDataDir", self.settings.sqlite_dir()?)
    }

    fn sqlite(&mut self, words: &DataSetKeys, is_second: bool) -> Result<Option<PathBuf>> {
        let settings = self.settings;
        let named = if is_second { self.wanted.second_sqlite } else { self.wanted.sqlite };
        let is_target = self.wanted.from == Provider::Postgres;
        let (key, folder) = match settings.product {
            Product::PackageManager if is_second => ("SQLite.UsageDataDir", self.usage_dir()?),
            _ => ("SQLite.Dir", settings.sqlite_dir()?),
        };
        let flag = words.flag;
        let found = match (named, settings.product) {
            (Some(path), _) => Ok(path.to_owned()),
            (None, Product::Connect) => Ok(folder.join(words.file)),
            (None, Product::PackageManager) => {
                match sqlite_file::find(&folder, words.file, is_second) {
                    Ok(path) => Ok(path),
                    // A file that is to be made gets the usual name.
                    Err(SearchError::Absent(_)) if is_target => Ok(folder.join(words.file)),
                    Err(SearchError::Absent(why) | SearchError::Unclear(why)) => Err(why),
                }
            }
        };
        let checked = found.and_then(|path| readable(&path, is_target).map(|()| path));
        Ok(match checked {
            Ok(path) => Some(path),
            Err(why) => {
                let key = if named.is_some() { flag } else { key };
                self.missing.push(format!("{key} ({}): {why}; {flag} FILE names it", words.name));
                None
            }
        })
    }

    fn postgres(&mut self, words: &DataSetKeys, is_second: bool) -> Result<Option<Postgres>> {
        let (settings, section) = (self.settings, "Postgres");
        if let Some(url) = self.wanted.postgres {
            return Ok(Some(Postgres { url: Secret::new(url.to_owned()), password: None }));
        }
        self.warnings.extend(settings.cut_warning(section, words.url));
        let own = settings.text(section, words.url)?;
        let url = match own {
            None if is_second && settings.product == Product::Connect => {
                settings.text(section, "URL")?
            }
            own => own,
        };
        let mut password = None;
        for key in [words.password, "Password"] {
            if password.is_none() {
                self.warnings.extend(settings.cut_warning(section, key));
                let setting = settings.text(section, key)?;
                password = setting.map(|setting| (format!("{section}.{key}"), setting));
            }
        }
        if url.is_none() {
            let line = format!("{section}.{} ({}) is not set", words.url, words.name);
            if !self.missing.contains(&line) {
                self.missing.push(line);
            }
        }
        Ok(url.map(|url| Postgres { url: Secret::new(url.value.to_string()), password }))
    }
}

/// Whether the file can be read, or its folder is there for a file that will be made. It is
/// opened and closed here, long before anything relies on locks.
fn readable(path: &Path, is_target: bool) -> Result<(), String> {
    let shown = path.display();
    if is_target {
        let folder =
            path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir());
        return if folder { Ok(()) } else { Err(format!("there is no folder for {shown}")) };
    }
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(format!("{shown} is no file"));
    }
    File::open(path).map(|_| ()).map_err(|cause| format!("{shown} cannot be read: {cause}"))
}

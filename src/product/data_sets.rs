//! The data sets of a product, each with its SQLite file and its PostgreSQL database. Everything that
//! the configuration lacks is reported at once, before any connection.

use crate::config::connection::{self, Defaults};
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::options::location::{DataSet, Location};
use crate::product::Provider;
use crate::product::passwords::Keys;
use crate::product::settings::{Setting, Settings};
use crate::product::spec::DataSetSpec;
use crate::product::sqlite_file::{self, SearchError};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The request for data sets.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// Only the data set of this name.
    pub(crate) only: Option<&'a str>,
    /// The provider of the source.
    pub(crate) from: Provider,
    /// SQLite files that replace the configured ones, by data set. `None` if the command has no
    /// flags for them.
    pub(crate) sqlite: Option<Vec<(&'a str, &'a Path)>>,
    /// A PostgreSQL database that replaces the configured one, for a single data set.
    pub(crate) postgres: Option<&'a str>,
    pub(crate) key_file: Option<&'a Path>,
}

/// The result of a search.
#[derive(Debug)]
pub(crate) struct Found {
    /// The data sets, the main one first.
    pub(crate) data_sets: Vec<DataSet>,
    pub(crate) warnings: Vec<String>,
}

/// Finds the wanted data sets. Refused, with the section and key of everything that is missing. A
/// usage error for an unknown data set.
pub(crate) fn resolve(settings: &Settings, wanted: &Wanted<'_>) -> Result<Found> {
    let product = settings.product;
    wanted.only.map(|name| product.data_set(name)).transpose()?;
    let mut search = Search { settings, wanted, missing: Vec::new(), warnings: Vec::new() };
    let mut locations = Vec::new();
    for spec in product.data_sets {
        if wanted.only.is_none_or(|name| name == spec.name) && search.is_used(spec)? {
            let sqlite = search.sqlite(spec)?;
            let postgres = search.postgres(spec)?;
            locations.push((spec.name, sqlite, postgres));
        }
    }
    let Search { missing, warnings, .. } = search;
    if !missing.is_empty() {
        let config = settings.file.name.display();
        let error = Error::refused(format!("cannot find all databases of {config}"));
        let error = missing.into_iter().fold(error, Error::caused_by);
        return Err(error.hint(
            "configure both databases before the migration, and change the provider after it",
        ));
    }
    let keys = Keys::new(settings, wanted.key_file);
    let mut data_sets = Vec::new();
    for (name, sqlite, postgres) in locations {
        let (Some(sqlite), Some(postgres)) = (sqlite, postgres) else { continue };
        let sqlite = Location::Sqlite(sqlite);
        let (url, password) = postgres;
        let password = password.map(|(name, setting)| keys.open(&name, &setting)).transpose()?;
        let defaults =
            Defaults { sslmode: product.sslmode, password, usual_dbname: product.dbname };
        let postgres = Location::Postgres(url);
        let (source, target) = match wanted.from {
            Provider::Sqlite => (sqlite, postgres),
            Provider::Postgres => (postgres, sqlite),
        };
        let file_mode = product.file_mode;
        data_sets.push(DataSet { name: name.to_owned(), source, target, defaults, file_mode });
    }
    Ok(Found { data_sets, warnings })
}

/// A PostgreSQL database as the configuration names it: its URL, and the name and value of the
/// setting with its password.
type Postgres = (Secret, Option<(String, Setting)>);

/// A search that collects everything that is missing.
struct Search<'a> {
    settings: &'a Settings,
    wanted: &'a Wanted<'a>,
    missing: Vec<String>,
    warnings: Vec<String>,
}

impl Search<'_> {
    /// The SQLite file of a data set that a flag names.
    fn named_file(&self, spec: &DataSetSpec) -> Option<&Path> {
        let mut named = self.wanted.sqlite.iter().flatten();
        named.find_map(|(name, path)| (*name == spec.name).then_some(*path))
    }

    /// Whether the service uses a data set. An optional one is used if it is enabled, or if its
    /// database exists.
    fn is_used(&mut self, spec: &DataSetSpec) -> Result<bool> {
        let settings = self.settings;
        let Some((section, key)) = spec.enabled_by else { return Ok(true) };
        if self.wanted.only.is_some() || self.named_file(spec).is_some() {
            return Ok(true);
        }
        let has_url = settings.text("Postgres", spec.url_keys[0])?.is_some();
        if self.wanted.from == Provider::Postgres && has_url {
            return Ok(true);
        }
        let is_enabled = settings.switch(section, key)?.unwrap_or(false);
        // A database that cannot be identified may exist. The user has to name it.
        let found = sqlite_file::find(&self.folder(spec)?, settings.product, spec);
        let exists = !matches!(found, Err(SearchError::Missing(_)));
        if has_url && !is_enabled && !exists {
            self.warnings.push(format!(
                "Postgres.{} is set, but the {} database is missing: only {} is moved",
                spec.url_keys[0], spec.name, settings.product.data_sets[0].name
            ));
        }
        Ok(is_enabled || exists)
    }

    /// The folder of a data set's SQLite file.
    fn folder(&self, spec: &DataSetSpec) -> Result<PathBuf> {
        let default = self.settings.sqlite_dir()?;
        match spec.folder {
            Some((section, key)) => self.settings.folder(section, key, default),
            None => Ok(default),
        }
    }

    fn sqlite(&mut self, spec: &DataSetSpec) -> Result<Option<PathBuf>> {
        let is_target = self.wanted.from == Provider::Postgres;
        let (folder, named) = (self.folder(spec)?, self.named_file(spec).map(Path::to_owned));
        let (section, key) = spec.folder.unwrap_or(("SQLite", "Dir"));
        let setting =
            if named.is_some() { spec.flag.to_owned() } else { format!("{section}.{key}") };
        let found = match named {
            Some(path) => Ok(path),
            None if !spec.search => Ok(folder.join(spec.file)),
            None => match sqlite_file::find(&folder, self.settings.product, spec) {
                Ok(path) => Ok(path),
                // A new file gets the usual name.
                Err(SearchError::Missing(_)) if is_target => Ok(folder.join(spec.file)),
                Err(SearchError::Missing(why) | SearchError::Ambiguous(why)) => Err(why),
            },
        };
        let checked = found.and_then(|path| check_file(&path, is_target).map(|()| path));
        checked.map(Some).or_else(|why| {
            let mut missing = format!("{setting} ({}): {why}", spec.name);
            if self.wanted.sqlite.is_some() {
                missing.push_str(&format!("; name the file with {} FILE", spec.flag));
            }
            self.missing.push(missing);
            Ok(None)
        })
    }

    fn postgres(&mut self, spec: &DataSetSpec) -> Result<Option<Postgres>> {
        if let Some(url) = self.wanted.postgres {
            return Ok(Some((Secret::new(url.to_owned()), None)));
        }
        let url = self.first_setting(spec.url_keys)?;
        let password = self.first_setting(spec.password_keys)?;
        if url.is_none() {
            let line = format!("Postgres.{} ({}) is not set", spec.url_keys[0], spec.name);
            self.missing.push(line);
        }
        if let Some((name, url)) = &url {
            // The position is known only here.
            connection::read(&url.value).map_err(|error| {
                error.context(format!("{}: {name} is not a PostgreSQL location", url.position))
            })?;
        }
        Ok(url.map(|(_, url)| (Secret::new(url.value.to_string()), password)))
    }

    /// The first of `keys` in the section `Postgres` that has a value.
    fn first_setting(&mut self, keys: &[&str]) -> Result<Option<(String, Setting)>> {
        const SECTION: &str = "Postgres";
        for key in keys {
            self.warnings.extend(self.settings.cut_warning(SECTION, key));
            if let Some(setting) = self.settings.text(SECTION, key)? {
                return Ok(Some((format!("{SECTION}.{key}"), setting)));
            }
        }
        Ok(None)
    }
}

/// Checks that a source can be read, or that the folder of a target exists. The file is opened and
/// closed here, long before anything relies on locks.
fn check_file(path: &Path, is_target: bool) -> Result<(), String> {
    let shown = path.display();
    if is_target {
        let has_folder =
            path.parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir());
        return if has_folder { Ok(()) } else { Err(format!("the folder of {shown} is missing")) };
    }
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return Err(format!("{shown} is not a file"));
    }
    File::open(path).map(|_| ()).map_err(|cause| format!("{shown} cannot be read: {cause}"))
}

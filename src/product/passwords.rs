//! Passwords of a configuration: plain or encrypted, and the key file that opens them.

use crate::config::cipher;
use crate::config::key::Key;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::product::Product;
use crate::product::settings::{Setting, Settings};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// Where a key was found.
#[derive(Debug)]
pub(crate) struct FoundKey {
    /// The key.
    pub(crate) key: Key,
    /// Its file, or the variable that held it.
    pub(crate) origin: String,
}

/// The key of one run, looked for when the first encrypted value is met.
pub(crate) struct Keys<'a> {
    settings: &'a Settings,
    /// The key file that was named.
    file: Option<&'a Path>,
    found: OnceCell<FoundKey>,
}

impl<'a> Keys<'a> {
    /// The key of `settings`, or of the key file that was named.
    pub(crate) fn new(settings: &'a Settings, file: Option<&'a Path>) -> Self {
        Self { settings, file, found: OnceCell::new() }
    }

    /// The key.
    ///
    /// # Errors
    /// Refused where there is none, with the places that were looked at, and where it cannot be
    /// used.
    pub(crate) fn key(&self) -> Result<&FoundKey> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = find(self.settings, self.file)?;
        Ok(self.found.get_or_init(|| found))
    }

    /// The password that a setting holds: decrypted where it looks encrypted, else as it is.
    ///
    /// # Errors
    /// Refused where an encrypted one cannot be opened. No error shows the value.
    pub(crate) fn open(&self, name: &str, setting: &Setting) -> Result<Secret> {
        if !cipher::looks_encrypted(&setting.value) {
            return Ok(Secret::new(setting.value.to_string()));
        }
        let what = || format!("{}: the value of {name} cannot be decrypted", setting.origin);
        let FoundKey { key, origin } = self.key().map_err(|error| error.context(what()))?;
        cipher::decrypt(&setting.value, key).map_err(|trouble| {
            Error::refused(what())
                .caused_by(trouble.words())
                .caused_by(format!("the key is the one of {origin}"))
                .hint("encrypt the password again: migrate encrypt-config-value")
                .hint("a plain password that looks like this goes into the URL instead")
        })
    }
}

/// The permissions that a product's key file may have: Package Manager's may be read by the
/// group of its service.
pub(crate) fn key_file_mode(product: Product) -> u32 {
    match product {
        Product::Connect => 0o600,
        Product::PackageManager => 0o640,
    }
}

fn find(settings: &Settings, named: Option<&Path>) -> Result<FoundKey> {
    let read = |path: &Path| {
        let key = Key::read(path, key_file_mode(settings.product))?;
        Ok(FoundKey { key, origin: path.display().to_string() })
    };
    if let Some(path) = named {
        return read(path);
    }
    const VARIABLE: &str = "PACKAGEMANAGER_ENCRYPTION_KEY";
    if settings.product == Product::PackageManager
        && let Some(text) = settings.environment().get(VARIABLE)
    {
        let key = Key::parse(text).map_err(|why| {
            Error::refused(format!("the variable {VARIABLE} holds no key")).caused_by(why)
        })?;
        return Ok(FoundKey { key, origin: format!("the variable {VARIABLE}") });
    }
    let places = places(settings)?;
    match places.iter().find(|path| path.exists()) {
        Some(path) => read(path),
        None => {
            let error = Error::refused("there is no key file");
            let error = places.iter().fold(error, |error, path| {
                error.caused_by(format!("looked for {}", path.display()))
            });
            Err(error.hint("name it with --key-file FILE"))
        }
    }
}

/// Where a product keeps its key file, in the order of trial.
fn places(settings: &Settings) -> Result<Vec<PathBuf>> {
    Ok(match settings.product {
        Product::Connect => {
            const NAME: &str = "secret.key";
            let folder = settings.sqlite_dir()?;
            let first = settings.folder("Database", "Dir", folder.clone())?;
            let mut places = vec![first.join(NAME), folder.join(NAME)];
            places.dedup();
            places
        }
        Product::PackageManager => {
            let default = settings.data_dir()?.join("rstudio-pm.key");
            vec![settings.folder("Server", "EncryptionKeyPath", default)?]
        }
    })
}

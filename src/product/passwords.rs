//! Passwords of a configuration, plain or encrypted, and the key that decrypts them.

use crate::config::cipher;
use crate::config::key::Key;
use crate::config::secret::Secret;
use crate::error::{Error, Result};
use crate::product::settings::{Setting, Settings};
use crate::product::spec::KeyFile;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// A key and its origin.
#[derive(Debug)]
pub(crate) struct FoundKey {
    pub(crate) key: Key,
    /// Its file or variable.
    pub(crate) origin: String,
}

/// The key of one run. It is read at the first encrypted value.
pub(crate) struct Keys<'a> {
    settings: &'a Settings,
    /// The key file, if a flag names it.
    file: Option<&'a Path>,
    found: OnceCell<FoundKey>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(settings: &'a Settings, file: Option<&'a Path>) -> Self {
        Self { settings, file, found: OnceCell::new() }
    }

    /// The key. Refused if there is no key, with the paths that were tried, or if it cannot be
    /// used.
    pub(crate) fn key(&self) -> Result<&FoundKey> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = find(self.settings, self.file)?;
        Ok(self.found.get_or_init(|| found))
    }

    /// The password of a setting, decrypted if it looks encrypted. Refused if it cannot be
    /// decrypted. No error shows the value.
    pub(crate) fn open(&self, name: &str, setting: &Setting) -> Result<Secret> {
        if !cipher::looks_encrypted(&setting.value) {
            return Ok(Secret::new(setting.value.to_string()));
        }
        let what = || format!("{}: the value of {name} cannot be decrypted", setting.position);
        let FoundKey { key, origin } = self.key().map_err(|error| error.context(what()))?;
        cipher::decrypt(&setting.value, key).map_err(|cause| {
            Error::refused(what())
                .caused_by(cause.message())
                .caused_by(format!("the key is from {origin}"))
                .hint("encrypt the password again: migrate encrypt-config-value")
                .hint("if the password is plain and only looks encrypted, put it into the URL")
        })
    }
}

fn find(settings: &Settings, named: Option<&Path>) -> Result<FoundKey> {
    let product = settings.product;
    let read = |path: &Path| {
        let key = Key::read(path, product.key_file_mode)?;
        Ok(FoundKey { key, origin: path.display().to_string() })
    };
    if let Some(path) = named {
        return read(path);
    }
    if let Some(variable) = product.key_variable
        && let Some(text) = settings.environment.get(variable)
    {
        let key = Key::parse(text).map_err(|cause| {
            Error::refused(format!("the variable {variable} has no valid key")).caused_by(cause)
        })?;
        return Ok(FoundKey { key, origin: format!("the variable {variable}") });
    }
    let mut paths = Vec::new();
    for key_file in product.key_files {
        paths.push(path_of(key_file, settings)?);
    }
    paths.dedup();
    match paths.iter().find(|path| path.exists()) {
        Some(path) => read(path),
        None => {
            let missing =
                |error: Error, path: &PathBuf| error.caused_by(format!("tried {}", path.display()));
            let error = paths.iter().fold(Error::refused("no key file found"), missing);
            Err(error.hint("name it with --key-file FILE"))
        }
    }
}

fn path_of(key_file: &KeyFile, settings: &Settings) -> Result<PathBuf> {
    Ok(match *key_file {
        KeyFile::InFolder { section, key, file } => {
            settings.folder(section, key, settings.sqlite_dir()?)?.join(file)
        }
        KeyFile::InSqliteDir { file } => settings.sqlite_dir()?.join(file),
        KeyFile::Setting { section, key, file } => {
            settings.folder(section, key, settings.data_dir()?.join(file))?
        }
    })
}

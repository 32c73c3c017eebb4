//! The environment of the process (variables, home folder, user name) as a value. Tests can
//! construct their own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Variables, home folder, user name and socket folders. `Debug` shows only the names of the
/// variables, because their values can be secrets.
#[derive(Clone, Default)]
pub struct Environment {
    /// The variables by name.
    pub variables: BTreeMap<String, String>,
    /// The user's home folder, if it has one.
    pub home: Option<PathBuf>,
    /// The effective user's name, if it has one.
    pub user: Option<String>,
    /// The usual socket folders of PostgreSQL servers on this machine, in the order of trial.
    pub socket_folders: Vec<PathBuf>,
}

impl Environment {
    /// The environment of this process, without variables that are not UTF-8.
    pub(crate) fn of_this_process() -> Self {
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
            user: whoami::username().ok(),
            // The first folder is the default of the Debian and RPM packages. The second is the
            // default of PostgreSQL itself.
            socket_folders: vec!["/var/run/postgresql".into(), "/tmp".into()],
        }
    }

    /// The environment with one more variable.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// The value of a variable. An empty value counts as missing.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_are_not_shown() {
        let environment = Environment::default().with("PGPASSWORD", "tr0ub4dor");
        let shown = format!("{environment:?}");
        assert!(shown.contains("PGPASSWORD") && !shown.contains("tr0ub4dor"), "{shown}");
    }
}

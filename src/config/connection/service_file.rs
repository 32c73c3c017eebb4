//! The service file, with named sets of connection settings
//! (<https://www.postgresql.org/docs/current/libpq-pgservice.html>).

use crate::config::connection::settings::{Origin, Settings};
use crate::config::environment::Environment;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The folder of the system's service file in Debian's packages.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// Supplies missing `settings` from the service `name`. The user's file is read first. The
/// system's file is read if the user's file does not define the service.
pub(crate) fn fill_from(
    name: &str,
    settings: &mut Settings,
    environment: &Environment,
) -> Result<()> {
    let user_file = match settings.text("servicefile").or_else(|| environment.get("PGSERVICEFILE"))
    {
        Some(file) => Some(PathBuf::from(file)),
        None => environment.home.as_ref().map(|home| home.join(".pg_service.conf")),
    };
    let folder = environment.get("PGSYSCONFDIR").unwrap_or(SYSTEM_FOLDER);
    let files = user_file.into_iter().chain([Path::new(folder).join("pg_service.conf")]);
    let mut seen = Vec::new();
    for file in files {
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                if fill_from_text(&text, name, settings, &file)? {
                    return Ok(());
                }
                seen.push(format!("{} does not define it", file.display()));
            }
            Err(error) => seen.push(format!("{}: {error}", file.display())),
        }
    }
    // The name is a value of the connection string, and values are not shown.
    let error = Error::refused("the PostgreSQL service (service, PGSERVICE) is not defined");
    Err(seen.into_iter().fold(error, Error::caused_by))
}

/// Supplies missing settings from the file's text. Returns whether it defines the service.
fn fill_from_text(text: &str, name: &str, settings: &mut Settings, file: &Path) -> Result<bool> {
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            if inside {
                return Ok(true);
            }
            inside = section.strip_suffix(']') == Some(name);
            continue;
        }
        if !inside {
            continue;
        }
        let at = || format!("{}:{}", file.display(), number + 1);
        let Some((key, value)) = line.split_once('=') else {
            return Err(Error::refused(format!("{}: a line must be key=value", at())));
        };
        // A service that names a service could be circular. libpq refuses it too.
        if key == "service" || key == "servicefile" || !settings.put(key, value, Origin::Service)? {
            return Err(Error::refused(format!("{}: not a key of a connection", at())));
        }
    }
    Ok(inside)
}

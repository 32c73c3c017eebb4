//! Checks of arguments that several commands share.

use crate::cli::args::migration::{RefusalArgs, SelectionArgs};
use crate::error::{Error, Result};
use crate::options::run_options::Replace;
use globset::Glob;
use std::path::Path;

/// Checks that the folder of `flag` exists.
pub(crate) fn check_folder(flag: &str, folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::usage(format!("{flag}: the folder \"{}\" does not exist", folder.display())))
}

/// Checks the glob patterns of `flag`.
pub(crate) fn check_patterns(flag: &str, patterns: &[String]) -> Result<()> {
    for pattern in patterns {
        Glob::new(pattern).map_err(|cause| {
            Error::usage(format!("{flag}: '{pattern}' is not a valid pattern"))
                .caused_by(cause.kind())
        })?;
    }
    Ok(())
}

/// What the run replaces. A usage error if tables that are not moved would be dropped.
pub(crate) fn replace(refusals: &RefusalArgs, selection: &SelectionArgs) -> Result<Replace> {
    let selects = !selection.tables.is_empty() || !selection.exclude.is_empty();
    match (refusals.clean, refusals.drop_all) {
        (true, _) => Ok(Replace::Planned),
        (false, true) if selects => {
            Err(Error::usage("--drop-all cannot be used with --tables or --exclude")
                .caused_by("it would also drop what is not moved")
                .remedy("drop only what the run creates again", &["--clean"]))
        }
        (false, true) => Ok(Replace::Everything),
        (false, false) => Ok(Replace::Nothing),
    }
}

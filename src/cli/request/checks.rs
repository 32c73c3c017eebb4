//! Checks of arguments that several commands share.

use crate::error::{Error, Result};
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

//! SQLite's errors as errors of this program.

use crate::error::Error;
use rusqlite::ErrorCode;

/// Converts SQLite's error; `context` is what failed.
pub(crate) fn db_error(context: &str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| classify(Error::failed(context), error)
}

/// Adds SQLite's `error` to `ours` as its cause, and marks an interruption and damage of the file.
pub(crate) fn classify(ours: Error, error: rusqlite::Error) -> Error {
    let code = error.sqlite_error_code();
    let ours = ours.caused_by(error);
    match code {
        Some(ErrorCode::OperationInterrupted) => ours.interruption(),
        Some(ErrorCode::DatabaseCorrupt) => ours.damage(),
        _ => ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn only_an_interrupted_statement_is_an_interruption() {
        let failure = |code| rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let error = db_error("cannot read table \"t\"")(failure(ffi::SQLITE_INTERRUPT));
        assert!(error.context("cannot plan").is_interrupted());
        let full = classify(Error::refused("cannot write"), failure(ffi::SQLITE_FULL));
        assert!(!full.is_interrupted());
    }
}

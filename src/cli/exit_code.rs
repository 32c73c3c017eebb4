//! The exit codes.

use crate::error::{Error, Kind};
use std::process::ExitCode;

/// The exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and verified unless the user said not to.
    Done = 0,
    /// The run failed, or a connection could not be opened.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The databases differ.
    Differ = 3,
    /// Refused before the first write.
    Refused = 4,
    /// Paused; the same command resumes the run.
    Paused = 5,
}

impl Exit {
    /// The exit code of a command that ended with `error`, if any.
    pub(crate) fn after(error: Option<&Error>) -> Self {
        error.map_or(Self::Done, |error| error.kind().into())
    }

    /// The worse of two exit codes, such as those of two data sets.
    pub(crate) fn worse(self, other: Self) -> Self {
        const BY_SEVERITY: [Exit; 6] =
            [Exit::Done, Exit::Refused, Exit::Paused, Exit::Failed, Exit::Differ, Exit::Usage];
        let severity = |exit| BY_SEVERITY.iter().position(|one| *one == exit);
        if severity(other) > severity(self) { other } else { self }
    }

    /// The number for the shell.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Failed => Self::Failed,
            Kind::Usage => Self::Usage,
            Kind::Differs => Self::Differ,
            Kind::Refused => Self::Refused,
            Kind::Paused => Self::Paused,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_exit_codes_wins() {
        let order = [Exit::Done, Exit::Refused, Exit::Paused, Exit::Failed, Exit::Differ];
        for (index, worse) in order.into_iter().enumerate() {
            for better in &order[..index] {
                assert_eq!((better.worse(worse), worse.worse(*better)), (worse, worse));
            }
        }
    }

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        let kinds = [Kind::Failed, Kind::Usage, Kind::Differs, Kind::Refused, Kind::Paused];
        assert_eq!(kinds.map(|kind| Exit::from(kind).code()), [1, 2, 3, 4, 5]);
        assert_eq!(Exit::Done.code(), 0);
    }
}

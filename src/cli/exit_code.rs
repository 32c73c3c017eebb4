//! The exit codes: what the shell, a script or a service manager learns of a run.

use crate::error::Kind;
use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; and verified, unless the user said not to.
    Done = 0,
    /// Something failed while working, or a connection could not be had.
    Failed = 1,
    /// The command line does not make sense.
    Usage = 2,
    /// The databases differ.
    Differ = 3,
    /// Refused before anything was written.
    Refused = 4,
    /// Paused; the same command goes on from here.
    Paused = 5,
}

impl Exit {
    /// The worse of two ends, as those of several data sets.
    pub(crate) fn worse(self, other: Self) -> Self {
        let badness = |exit| match exit {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Paused => 2,
            Self::Failed => 3,
            Self::Differ => 4,
            Self::Usage => 5,
        };
        if badness(other) > badness(self) { other } else { self }
    }

    /// The number the shell sees.
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
    fn of_several_ends_the_worst_is_told() {
        let order = [Exit::Done, Exit::Refused, Exit::Paused, Exit::Failed, Exit::Differ];
        for (place, worse) in order.into_iter().enumerate() {
            for better in &order[..place] {
                assert_eq!((better.worse(worse), worse.worse(*better)), (worse, worse));
            }
        }
    }

    #[test]
    fn every_kind_of_error_has_its_number() {
        let kinds = [Kind::Failed, Kind::Usage, Kind::Differs, Kind::Refused, Kind::Paused];
        assert_eq!(kinds.map(|kind| Exit::from(kind).code()), [1, 2, 3, 4, 5]);
        assert_eq!(Exit::Done.code(), 0);
    }
}

//! The roles of the two sides.

/// The side that is the source of the run; the other one is the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SourceSide {
    Sqlite,
    Postgres,
}

impl SourceSide {
    /// Orders the parts of both sides by role: the source's, then the target's.
    pub(crate) fn order<T>(self, sqlite: T, postgres: T) -> (T, T) {
        match self {
            Self::Sqlite => (sqlite, postgres),
            Self::Postgres => (postgres, sqlite),
        }
    }
}

//! One error type: a kind (which decides the exit code), what failed, the causes and the mends.
//!
//! Texts name places (table, column, rowid), never a cell's content and never a secret.

use std::fmt;

/// What an error means for the run as a whole; each kind has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something failed while working, or a connection could not be had (exit code 1).
    Failed,
    /// The command line does not make sense (exit code 2).
    Usage,
    /// The databases differ (exit code 3).
    Differs,
    /// Refused before anything was written (exit code 4).
    Refused,
    /// Paused; the same command goes on from here (exit code 5).
    Paused,
}

/// What went wrong, why, and what to do about it.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    lost: bool,
    flags: Vec<&'static str>,
}

/// What an interruption says of itself.
const INTERRUPTED: &str = "interrupted";

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            lost: false,
            flags: Vec::new(),
        }
    }

    /// Something failed while working.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// Work ended early because somebody wished so.
    pub(crate) fn interrupted() -> Self {
        Self::failed(INTERRUPTED)
    }

    /// The command line does not make sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The databases differ.
    pub(crate) fn differs(message: impl Into<String>) -> Self {
        Self::new(Kind::Differs, message)
    }

    /// Refused before anything was written.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Paused; the run can be continued.
    pub(crate) fn paused(message: impl Into<String>) -> Self {
        Self::new(Kind::Paused, message)
    }

    /// Adds one line of "caused by".
    pub(crate) fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds one hint: what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks it: a connection was lost or cannot be had just now, so that the same work may succeed
    /// on a new one.
    pub(crate) fn retryable(self) -> Self {
        Self { lost: true, ..self }
    }

    /// Names a flag that the next command should have more than this one.
    pub(crate) fn suggest_flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// The same error seen from further up: `message` first, what was the message becomes the
    /// first cause. Kind and hints stay.
    pub(crate) fn context(mut self, message: impl Into<String>) -> Self {
        self.causes.insert(0, std::mem::replace(&mut self.message, message.into()));
        self
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Work ended early because somebody wished so: here, or in one of the databases, of which
    /// SQLite says it in a fixed text and PostgreSQL, in any language, with the code that ends its.
    pub(crate) fn is_interruption(&self) -> bool {
        let is_told = |cause: &String| cause == INTERRUPTED || cause.contains("SQLSTATE 57014");
        self.message == INTERRUPTED || self.causes.iter().any(is_told)
    }

    /// The same work may succeed on a new connection.
    pub(crate) fn is_retryable(&self) -> bool {
        self.lost
    }

    /// The flags that the next command should have more than this one.
    pub(crate) fn flags(&self) -> &[&'static str] {
        &self.flags
    }

    /// What failed, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The causes, outermost first.
    pub(crate) fn causes(&self) -> &[String] {
        &self.causes
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

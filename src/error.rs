//! The one error type: a kind (it decides the exit code), a message, causes and hints.
//!
//! Texts name the table, the column and the row. They never contain a value or a secret.

use std::fmt;

/// The meaning of an error for the run as a whole. Each kind has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something failed during the work, or a connection could not be opened (exit code 1).
    Failed,
    /// The command line is invalid (exit code 2).
    Usage,
    /// The databases differ (exit code 3).
    Differs,
    /// Refused before anything was written (exit code 4).
    Refused,
    /// Paused: the same command resumes the run (exit code 5).
    Paused,
}

/// The origin of an error: a failure, an interruption of the run, a lost connection, a database that
/// does not exist, or a damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Failure,
    Interruption,
    LostConnection,
    MissingDatabase,
    Damage,
}

/// An error: what failed, why, and what to do next.
#[derive(Debug, Clone)]
pub struct Error {
    kind: Kind,
    origin: Origin,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
    remedies: Vec<Remedy>,
}

/// A change of the command line that resolves a refusal.
#[derive(Debug, Clone)]
pub(crate) struct Remedy {
    /// What the changed command does, as an infinitive: "replace the file".
    pub(crate) effect: String,
    /// The flags to add, each as `--flag` or `--flag=value`.
    pub(crate) add: Vec<String>,
    /// The flags to remove.
    pub(crate) remove: &'static [&'static str],
}

impl Remedy {
    /// Whether it excludes tables.
    pub(crate) fn excludes(&self) -> bool {
        self.add.iter().any(|flag| flag.starts_with("--exclude="))
    }
}

/// The names of tables, for messages.
fn names(tables: &[&str]) -> String {
    let quoted = tables.iter().map(|table| format!("\"{}\"", table.replace('"', "\"\"")));
    quoted.collect::<Vec<_>>().join(", ")
}

/// The flags that exclude exactly `tables`.
pub(crate) fn exclude_flags(tables: &[&str]) -> Vec<String> {
    // globset escapes all special characters but the escape character.
    let pattern = |table: &&str| globset::escape(&table.replace('\\', "\\\\"));
    tables.iter().map(|table| format!("--exclude={}", pattern(table))).collect()
}

/// The result of everything in this program that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            origin: Origin::Failure,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            remedies: Vec::new(),
        }
    }

    /// The error of a failure during the work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The error of work that ended early because the run was stopped.
    pub(crate) fn interrupted() -> Self {
        Self::failed("interrupted").interruption()
    }

    /// The error of an invalid command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The error of databases that differ.
    pub(crate) fn differs(message: impl Into<String>) -> Self {
        Self::new(Kind::Differs, message)
    }

    /// The error of a run that was refused before anything was written.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// The error of a run that was paused and can be resumed.
    pub(crate) fn paused(message: impl Into<String>) -> Self {
        Self::new(Kind::Paused, message)
    }

    /// Adds one cause.
    pub(crate) fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds one hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks the error as the consequence of a cancelled statement.
    pub(crate) fn interruption(self) -> Self {
        Self { origin: Origin::Interruption, ..self }
    }

    /// Marks the error as that of a lost connection. The same work may succeed on a new connection.
    pub(crate) fn retryable(self) -> Self {
        Self { origin: Origin::LostConnection, ..self }
    }

    /// Marks the error as that of a database that does not exist.
    pub(crate) fn missing_database(self) -> Self {
        Self { origin: Origin::MissingDatabase, ..self }
    }

    /// Marks the error as that of a damaged file.
    pub(crate) fn damage(self) -> Self {
        Self { origin: Origin::Damage, ..self }
    }

    /// The same error before anything was written: then damage is a refusal.
    pub(crate) fn before_writing(self) -> Self {
        let kind = if self.origin == Origin::Damage { Kind::Refused } else { self.kind };
        Self { kind, ..self }
    }

    /// Adds a remedy: the same command with the flags `add` has `effect`.
    pub(crate) fn remedy(self, effect: impl Into<String>, add: &[&str]) -> Self {
        self.remedy_without(effect, add, &[])
    }

    /// Adds a remedy: the same command with the flags `add` and without the flags `remove`.
    pub(crate) fn remedy_without(
        mut self,
        effect: impl Into<String>,
        add: &[&str],
        remove: &'static [&'static str],
    ) -> Self {
        let add = add.iter().map(ToString::to_string).collect();
        self.remedies.push(Remedy { effect: effect.into(), add, remove });
        self
    }

    /// Adds the remedy to exclude `tables`, if they are few.
    pub(crate) fn remedy_exclude(mut self, tables: &[&str]) -> Self {
        const MAX_TABLES: usize = 5;
        if tables.len() > MAX_TABLES {
            return self.hint("--exclude TABLE, once for each table, excludes them");
        }
        let effect = format!("exclude {}", names(tables));
        self.remedies.push(Remedy { effect, add: exclude_flags(tables), remove: &[] });
        self
    }

    /// Names the data set, one of several. A remedy excludes the tables of all of them.
    pub(crate) fn in_data_set(mut self, name: &str) -> Self {
        let excluding = self.remedies.iter_mut().filter(|remedy| remedy.excludes());
        excluding.for_each(|remedy| remedy.effect.push_str(" of every data set"));
        self.caused_by(format!("this is in data set {name}"))
    }

    /// Adds a remedy that also excludes `tables`, if there are any.
    pub(crate) fn remedy_excluding(
        mut self,
        effect: &str,
        tables: &[&str],
        add: &[&str],
        remove: &'static [&'static str],
    ) -> Self {
        let effect = match tables {
            [] => effect.to_owned(),
            _ => format!("{effect} and exclude {}", names(tables)),
        };
        let add = add.iter().map(ToString::to_string).chain(exclude_flags(tables)).collect();
        self.remedies.push(Remedy { effect, add, remove });
        self
    }

    /// Turns each remedy into a hint with what `steps` makes of it, if any.
    pub(crate) fn with_commands(mut self, steps: impl Fn(&Remedy) -> Option<String>) -> Self {
        for remedy in std::mem::take(&mut self.remedies) {
            let hint = steps(&remedy).map(|text| format!("to {}, {text}", remedy.effect));
            self.hints.extend(hint);
        }
        self
    }

    /// Puts `message` in front. The old message becomes the first cause.
    pub(crate) fn context(mut self, message: impl Into<String>) -> Self {
        self.causes.insert(0, std::mem::replace(&mut self.message, message.into()));
        self
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the work was interrupted, in this program or in a database.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.origin == Origin::Interruption
    }

    /// Whether the same work may succeed on a new connection.
    pub(crate) fn is_retryable(&self) -> bool {
        self.origin == Origin::LostConnection
    }

    /// Whether a database does not exist.
    pub(crate) fn is_missing_database(&self) -> bool {
        self.origin == Origin::MissingDatabase
    }

    /// Whether only a changed command line resolves it: there is no hint of another kind.
    pub(crate) fn needs_flags(&self) -> bool {
        !self.remedies.is_empty() && self.hints.is_empty()
    }

    /// The message: what failed, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The causes, outermost first.
    pub(crate) fn causes(&self) -> &[String] {
        &self.causes
    }

    /// The hints: what to do next.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its words, for messages: `1 row has`, `2 rows have`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
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

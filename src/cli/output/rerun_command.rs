//! The command to rerun: quoted for a shell, without passwords.

use crate::cli::args::command::Arguments;
use crate::cli::long_flag::{join_value, split_value};
use crate::cli::output::redact::without_password;
use crate::cli::request::location::LocationArg;
use crate::config::connection;
use crate::error::Error;
use crate::options::location::Location;
use clap::{Arg, ArgAction, CommandFactory};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The hint after commands that omit the password.
pub(crate) const ADD_PASSWORD: &str =
    "add the password to the command, or set it in PGPASSWORD or ~/.pgpass";

/// The normalized command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommandLine {
    program: OsString,
    arguments: Vec<OsString>,
}

/// A command to rerun.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RerunCommand {
    /// The command as one line for a POSIX shell.
    pub(crate) text: String,
    /// The command line had a password, which the text omits.
    pub(crate) omits_password: bool,
}

impl CommandLine {
    /// The command line of `program` with its normalised `arguments`.
    pub(crate) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        Self { program, arguments }
    }

    /// The name of the command.
    pub(crate) fn command(&self) -> Option<&str> {
        let command = self.arguments.iter().find(|argument| split_value(argument).is_none())?;
        command.to_str()
    }

    /// The program as it was called, for the next commands.
    pub(crate) fn program(&self) -> String {
        quoted(&self.program)
    }

    /// The command that resumes this one: without `--restart`, and without a deadline that is a date
    /// and time.
    pub(crate) fn resume(&self) -> RerunCommand {
        let is_kept = |argument: &OsString| match split_value(argument) {
            Some((flag, value)) => flag != "--deadline" || !value.as_bytes().contains(&b'T'),
            None => argument != "--restart",
        };
        self.changed(is_kept, &[])
    }

    /// The same command.
    pub(crate) fn unchanged(&self) -> RerunCommand {
        self.changed(|_| true, &[])
    }

    /// The same command with `flags` (such as `--drop-all`) added where they are missing.
    pub(crate) fn with_flags(&self, flags: &[&str]) -> RerunCommand {
        let flags: Vec<OsString> = flags.iter().map(OsString::from).collect();
        self.changed(|argument| !flags.contains(argument), &flags)
    }

    /// `error` with its remedies as hints that have the whole command. A flag that is added replaces
    /// its other values, unless it is repeatable, and the flags that conflict with it. A remedy with
    /// a flag that the command does not have is dropped.
    pub(crate) fn with_remedies(&self, error: Error) -> Error {
        let definition = Arguments::command();
        let Some(command) = self.command().and_then(|name| definition.find_subcommand(name)) else {
            return error;
        };
        let find = |argument: &OsStr| {
            let flag = name(argument).to_str()?.strip_prefix("--")?;
            command.get_arguments().find(|defined| defined.get_long() == Some(flag))
        };
        let lists = |one: &Arg, other: &Arg| {
            command.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id())
        };
        let replaces = |added: &Arg, given: &Arg| {
            let is_repeatable = matches!(added.get_action(), ArgAction::Append);
            let is_same = added.get_id() == given.get_id() && !is_repeatable;
            is_same || lists(added, given) || lists(given, added)
        };
        error.with_commands(|remedy| {
            let mut flags: Vec<OsString> = remedy.add.iter().map(OsString::from).collect();
            // --drop-all would drop the tables that the remedy excludes.
            let excludes = flags.iter().any(|flag| name(flag) == "--exclude");
            if excludes && self.arguments.iter().any(|argument| argument == "--drop-all") {
                // --clean does not replace a file with these tables.
                if self.replaces_file() {
                    let flags: Vec<String> = flags.iter().map(|flag| quoted(flag)).collect();
                    let flags = flags.join(" ");
                    return Some(format!(
                        "replace --drop-all by {flags} and give another file with --to"
                    ));
                }
                flags.push("--clean".into());
            }
            // Without all tables that --tables names, nothing would be left to migrate.
            let values = |flag: &'static str| {
                let pairs = self.arguments.iter().chain(&flags).filter_map(|a| split_value(a));
                pairs.filter(move |(name, _)| *name == flag).map(|(_, value)| value)
            };
            let mut tables = values("--tables").peekable();
            if excludes
                && tables.peek().is_some()
                && tables.all(|table| values("--exclude").any(|excluded| excluded == table))
            {
                return None;
            }
            let added: Vec<&Arg> = flags.iter().map(|flag| find(flag)).collect::<Option<_>>()?;
            let is_kept = |argument: &OsString| {
                let is_replaced = |given| added.iter().any(|added| replaces(added, given));
                !remedy.remove.iter().any(|flag| name(argument) == *flag)
                    && !flags.contains(argument)
                    && !find(argument).is_some_and(is_replaced)
            };
            Some(format!("run: {}", self.changed(is_kept, &flags).text))
        })
    }

    /// Whether the target is a SQLite file.
    fn replaces_file(&self) -> bool {
        let mut values = self.arguments.iter().filter_map(|argument| split_value(argument));
        values.any(|(flag, value)| {
            flag == "--to" && LocationArg::parse("--to", value).is_ok_and(|to| to.is_sqlite())
        })
    }

    /// The command with the flags that `is_kept` accepts, and with `added`.
    fn changed(&self, is_kept: impl Fn(&OsString) -> bool, added: &[OsString]) -> RerunCommand {
        let mut text = quoted(&self.program);
        let mut omits_password = false;
        let end = self.arguments.iter().position(|argument| argument == "--");
        let (ours, others) = self.arguments.split_at(end.unwrap_or(self.arguments.len()));
        let ours = ours.iter().filter(|argument| is_kept(argument));
        for argument in ours.chain(added).chain(others) {
            let (flag, value) = match split_value(argument) {
                Some((flag, value)) => (Some(flag), value),
                None => (None, argument.as_os_str()),
            };
            // --cast 'users.password=text' only resembles a secret.
            let is_cast = flag.is_some_and(|flag| flag == "--cast");
            let shown = match flag {
                _ if is_cast => None,
                Some(flag) if is_malformed(flag, value) => Some("LOCATION".into()),
                _ => os_without_password(value),
            };
            omits_password |= shown.is_some();
            let value = shown.as_deref().unwrap_or(value);
            text.push(' ');
            text.push_str(&match flag {
                None => quoted(value),
                Some(flag) if value.is_empty() || value.as_bytes().starts_with(b"-") => {
                    quoted(&join_value(flag, value))
                }
                Some(flag) => format!("{} {}", quoted(flag), quoted(value)),
            });
        }
        RerunCommand { text, omits_password }
    }
}

/// The flag of an argument, without its value.
fn name(argument: &OsStr) -> &OsStr {
    split_value(argument).map_or(argument, |(flag, _)| flag)
}

/// Whether `value` is a location that cannot be parsed: any part of it may be a password.
fn is_malformed(flag: &OsStr, value: &OsStr) -> bool {
    let Some(flag) = flag.to_str().filter(|flag| ["--from", "--to"].contains(flag)) else {
        return false;
    };
    match LocationArg::parse(flag, value) {
        Ok(LocationArg::At(Location::Postgres(text))) => connection::read(text.reveal()).is_err(),
        location => location.is_err(),
    }
}

/// [`without_password`] for a text that may not be UTF-8: invalid bytes are replaced for the search,
/// and stay replaced if there is a password.
fn os_without_password(text: &OsStr) -> Option<OsString> {
    without_password(&text.to_string_lossy()).map(OsString::from)
}

/// `argument` as one word of a POSIX shell. Control characters and bytes that are not UTF-8 need the
/// `$'...'` form, which bash, zsh, ksh and POSIX 2024 know.
pub(crate) fn quoted(argument: &OsStr) -> String {
    let bytes = argument.as_bytes();
    let bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=@,%+".contains(byte);
    let text = match argument.to_str() {
        Some(text) if !text.chars().any(char::is_control) => text,
        _ => return dollar_quoted(argument),
    };
    match text {
        "" => "''".to_owned(),
        _ if bytes.iter().all(bare) => text.to_owned(),
        _ => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn dollar_quoted(argument: &OsStr) -> String {
    let mut text = String::from("$'");
    for byte in argument.to_owned().into_vec() {
        match byte {
            b'\'' | b'\\' => text.extend(['\\', char::from(byte)]),
            0x20..=0x7e => text.push(char::from(byte)),
            // An octal escape has at most three digits, so the next character is not part of it.
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rerun(arguments: &[&str], flags: &[&str]) -> RerunCommand {
        let arguments = arguments.iter().map(OsString::from).collect();
        CommandLine::new("migrate".into(), arguments).with_flags(flags)
    }

    #[test]
    fn the_password_is_omitted_and_that_is_recorded() {
        for (to, shown) in [
            ("--to=postgres://u:hunter2@h/d", "postgres://u@h/d"),
            ("--to=host=h password='hunter2' dbname=d", "'host=h dbname=d'"),
        ] {
            let rerun = rerun(&["database", to], &[]);
            assert_eq!(rerun.text, format!("migrate database --to {shown}"));
            assert!(rerun.omits_password);
        }
        for typed in ["--to=postgres://u@h/d", "--cast=users.password=text"] {
            let rerun = rerun(&["database", typed], &[]);
            assert_eq!(rerun.text, format!("migrate database {}", typed.replacen('=', " ", 1)));
            assert!(!rerun.omits_password, "{typed}");
        }
    }

    #[test]
    fn flags_are_added_once_and_before_two_dashes() {
        for (typed, flag, expected) in [
            (&["--", "x"][..], "--drop-all", "migrate --drop-all -- x"),
            (&["--drop-all"], "--drop-all", "migrate --drop-all"),
        ] {
            assert_eq!(rerun(typed, &[flag]).text, expected);
        }
    }

    #[test]
    fn a_remedy_becomes_a_hint_with_the_whole_command() {
        let words = ["database", "--strict", "--on-misfit=refuse"].map(OsString::from);
        let line = CommandLine::new("migrate".into(), words.to_vec());
        let error = Error::refused("no")
            .remedy("widen", &["--on-misfit=widen"])
            .remedy("compare", &["--of-another-command"])
            .remedy_without("lose it", &[], &["--strict"]);
        let widen = "to widen, run: migrate database --strict --on-misfit widen";
        let lose = "to lose it, run: migrate database --on-misfit refuse";
        assert_eq!(line.with_remedies(error).hints(), [widen, lose]);
    }

    #[test]
    fn a_suggested_selection_has_clean_in_place_of_drop_all_and_another_file() {
        for (to, expected) in [
            ("--to=postgres:///d", "run: migrate plan --to postgres:///d --exclude b --clean"),
            ("--to=a.db", "replace --drop-all by --exclude=b and give another file with --to"),
        ] {
            let words = ["plan", to, "--drop-all"].map(OsString::from);
            let line = CommandLine::new("migrate".into(), words.to_vec());
            let error = line.with_remedies(Error::refused("no").remedy_exclude(&["b"]));
            assert_eq!(error.hints(), [format!("to exclude \"b\", {expected}")]);
        }
    }

    #[test]
    fn a_location_that_cannot_be_parsed_is_not_shown() {
        for from in ["host=h hunter2=x", "postgers://u:hunter2@h/d", "postgres://u:hunter2@h:x/d"] {
            let command = rerun(&["plan", &format!("--from={from}"), "--to=a.db"], &[]);
            assert_eq!(command.text, "migrate plan --from LOCATION --to a.db");
        }
    }

    #[test]
    fn a_remedy_replaces_a_value_and_repeats_a_repeatable_flag() {
        for (typed, flag, expected) in [
            ("--on-misfit=refuse", "--on-misfit=widen", "--on-misfit widen"),
            ("--exclude=a", "--exclude=b", "--exclude a --exclude b"),
            ("--exclude=a", "--exclude=a", "--exclude a"),
            ("--tables=a", "--tables=b", "--tables a --tables b"),
            ("--tables=a", "--exclude=b", "--tables a --exclude b"),
            ("--cast=a.b=text", "--cast=a.c=text", "--cast a.b=text --cast a.c=text"),
        ] {
            let words = ["database", typed].map(OsString::from);
            let line = CommandLine::new("migrate".into(), words.to_vec());
            let error = line.with_remedies(Error::refused("no").remedy("go", &[flag]));
            assert_eq!(error.hints(), [format!("to go, run: migrate database {expected}")]);
        }
    }

    #[test]
    fn a_remedy_that_excludes_all_selected_tables_is_no_hint() {
        let words = ["database", "--tables=a", "--tables=b", "--exclude=b"].map(OsString::from);
        let line = CommandLine::new("migrate".into(), words.to_vec());
        let error = line.with_remedies(Error::refused("no").remedy_exclude(&["a"]));
        assert!(error.hints().is_empty(), "{:?}", error.hints());
    }

    #[test]
    fn the_resume_command_has_no_restart_and_no_past_deadline() {
        let line = |words: &[&str]| {
            let words = words.iter().map(OsString::from).collect();
            CommandLine::new("m".into(), words).resume().text
        };
        assert_eq!(line(&["database", "--restart", "--window=2h"]), "m database --window 2h");
        assert_eq!(line(&["database", "--deadline=04:30"]), "m database --deadline 04:30");
        assert_eq!(line(&["database", "--deadline=2026-01-01T04:30:00Z"]), "m database");
        assert_eq!(line(&["database", "--", "--restart"]), "m database -- --restart");
    }

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        let to = "--to=postgres://u@h/d?port=1&user=b";
        let quoted =
            "migrate database --from 'my app.db' --to 'postgres://u@h/d?port=1&user=b' --strict";
        for (arguments, expected) in [
            (&["database", "--from=my app.db", to, "--strict"][..], quoted),
            (&["--json=-"], "migrate --json=-"),
            (&["it's", ""], r"migrate 'it'\''s' ''"),
            (&["a\nb"], r"migrate $'a\012b'"),
        ] {
            assert_eq!(rerun(arguments, &[]).text, expected);
        }
        let odd = CommandLine::new("m".into(), vec![OsString::from_vec(b"\xff'1".to_vec())]);
        assert_eq!(odd.unchanged().text, r"m $'\377\'1'");
    }
}

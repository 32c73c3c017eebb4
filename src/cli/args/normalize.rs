//! The arguments in one form: the command first, two dashes, values joined to their flags.
//!
//! The products accept long flags with one dash (`-drop-all`), flags before the command
//! (`migrate --from a database`), and values that begin with a dash. The parser sees only
//! `command --flag --flag=value`.

use crate::cli::long_flag::LongFlag;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The names of the long flags, each with whether it takes a value.
#[derive(Debug)]
pub(crate) struct Flags(HashMap<String, bool>);

impl Flags {
    /// The flags of `command` and its subcommands.
    pub(crate) fn from_command(command: &clap::Command) -> Self {
        let all = std::iter::once(command).chain(command.get_subcommands());
        let flags = all.flat_map(clap::Command::get_arguments).filter_map(|argument| {
            Some((argument.get_long()?.to_owned(), argument.get_action().takes_values()))
        });
        Self(flags.collect())
    }

    fn takes_value(&self, name: &OsStr) -> Option<bool> {
        self.0.get(name.to_str()?).copied()
    }
}

/// Brings `arguments` (without the program's name) into one form. Errors: a usage error if a flag
/// is found where another flag's value is expected, or if the flags of a command come without a
/// command.
pub(crate) fn normalize(arguments: &[OsString], flags: &Flags) -> Result<Vec<OsString>> {
    let mut normal: Vec<OsString> = Vec::with_capacity(arguments.len());
    let (mut color, mut command) = (Vec::new(), None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            normal.push(argument.clone());
            normal.extend(rest.cloned());
            break;
        }
        let Some(flag) = LongFlag::parse(argument) else {
            let positional = !argument.as_bytes().starts_with(b"-") || argument == "-";
            if positional && command.is_none() {
                command = Some(argument.clone());
            } else {
                normal.push(argument.clone());
            }
            continue;
        };
        let mut whole = OsString::from("--");
        whole.push(flag.name);
        let value = match flag.value {
            Some(value) => Some(value),
            None if flags.takes_value(flag.name) == Some(true) => {
                rest.next().map(OsString::as_os_str)
            }
            None => None,
        };
        if let Some(value) = value {
            if flag.value.is_none() && is_flag(value, flags) {
                return Err(value_missing(&whole, value));
            }
            whole.push("=");
            whole.push(value);
        }
        // --color is valid with every command, but the parser takes it only before the command.
        if flag.name == "color" { color.push(whole) } else { normal.push(whole) }
    }
    let needs_command = |argument: &OsString| {
        is_flag(argument, flags) && !["--help", "--version"].iter().any(|flag| argument == flag)
    };
    if command.is_none() && normal.iter().any(needs_command) {
        return Err(Error::usage("the command is missing")
            .hint("name a command before or after the flags, such as: migrate database")
            .hint("list the commands: migrate help"));
    }
    normal.splice(0..0, color.into_iter().chain(command));
    Ok(normal)
}

fn is_flag(argument: &OsStr, flags: &Flags) -> bool {
    LongFlag::parse(argument).is_some_and(|flag| flags.takes_value(flag.name).is_some())
}

fn value_missing(flag: &OsStr, follower: &OsStr) -> Error {
    let (flag, follower) = (flag.display(), follower.as_bytes());
    let follower = follower.split(|byte| *byte == b'=').next().unwrap_or_default();
    let follower = OsStr::from_bytes(follower).display();
    Error::usage(format!("{flag} needs a value, but the flag {follower} follows it"))
        .hint(format!("if {follower} is the value, write {flag}={follower}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command::Arguments;
    use crate::cli::long_flag::split_value;
    use clap::CommandFactory;
    use std::os::unix::ffi::OsStringExt;

    fn normal(arguments: &str) -> Result<String, String> {
        let arguments: Vec<_> = arguments.split(' ').map(OsString::from).collect();
        let flags = Flags::from_command(&Arguments::command());
        match normalize(&arguments, &flags) {
            Ok(normal) => Ok(normal.join(OsStr::new(" ")).into_string().unwrap()),
            Err(error) => Err(error.message().to_owned()),
        }
    }

    #[test]
    fn arguments_get_one_form() {
        for (typed, expected, why) in [
            ("database -from a -to=b -drop-all", "database --from=a --to=b --drop-all", "one dash"),
            ("database -data core", "database --data=core", "one dash"),
            ("-help", "--help", "one dash"),
            ("-h", "-h", "one letter is unchanged"),
            ("database -V -12", "database -V -12", "one letter or a number is unchanged"),
            ("database --to -odd.db -from=-from", "database --to=-odd.db --from=-from", "a value"),
            ("database --json - -yes", "database --json=- --yes", "a value"),
            ("database --to database", "database --to=database", "a value is not the command"),
            ("database -- -from -yes", "database -- -from -yes", "unchanged after two dashes"),
            ("database --from", "database --from", "the parser finds the missing value"),
            ("--from a -to b database -yes", "database --from=a --to=b --yes", "command first"),
            ("help database", "help database", "the first one is the command"),
            ("--color never -version", "--color=never --version", "these flags need no command"),
            ("help -color never plan", "--color=never help plan", "color before the command"),
        ] {
            assert_eq!(normal(typed), Ok(expected.to_owned()), "{typed}: {why}");
        }
    }

    #[test]
    fn a_flag_instead_of_a_value_and_a_missing_command_are_usage_errors() {
        let value_missing = "--from needs a value, but the flag --to follows it";
        assert_eq!(normal("database --from --to=b"), Err(value_missing.into()));
        assert_eq!(normal("--from a"), Err("the command is missing".into()));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_kept() {
        let odd = OsString::from_vec(b"-from=\xff.db".to_vec());
        let flags = Flags::from_command(&Arguments::command());
        let normal = normalize(&["plan".into(), odd], &flags).unwrap();
        assert_eq!(normal[1].as_bytes(), b"--from=\xff.db");
        let (flag, value) = split_value(&normal[1]).unwrap();
        assert_eq!((flag.as_bytes(), value.as_bytes()), (&b"--from"[..], &b"\xff.db"[..]));
    }
}

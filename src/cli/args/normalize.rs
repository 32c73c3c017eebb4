//! What was typed, brought to one form: two dashes, values joined to their flags, the command
//! first.
//!
//! Three habits meet here: long flags with one dash (`-drop-all`), flags before the command
//! (`migrate --from a database`), and values that begin with a dash. Afterwards the parser sees
//! only `command --flag --flag=value`.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The long flags there are, each with whether it takes a value.
#[derive(Debug)]
pub(crate) struct Flags(HashMap<String, bool>);

impl Flags {
    /// The flags of `command` and of its commands.
    pub(crate) fn of(command: &clap::Command) -> Self {
        let all = std::iter::once(command).chain(command.get_subcommands());
        let flags = all.flat_map(clap::Command::get_arguments).filter_map(|argument| {
            Some((argument.get_long()?.to_owned(), argument.get_action().takes_values()))
        });
        let built_in = ["help", "version"].map(|name| (name.to_owned(), false));
        Self(flags.chain(built_in).collect())
    }

    fn takes_value(&self, name: &OsStr) -> Option<bool> {
        self.0.get(name.to_str()?).copied()
    }
}

/// Brings `typed` (without the program's name) to one form.
///
/// # Errors
/// A usage error where a flag stands in the place of another flag's value, or where a command's
/// flags stand without a command.
pub(crate) fn normalise(typed: &[OsString], flags: &Flags) -> Result<Vec<OsString>> {
    let mut normal: Vec<OsString> = Vec::with_capacity(typed.len());
    let (mut colour, mut command) = (Vec::new(), None);
    let mut rest = typed.iter();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            normal.push(argument.clone());
            normal.extend(rest.cloned());
            break;
        }
        let Some(flag) = LongFlag::read(argument) else {
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
        // The colour is everybody's: before the command it is accepted with every command.
        if flag.name == "color" { colour.push(whole) } else { normal.push(whole) }
    }
    let of_a_command = |argument: &OsString| {
        is_flag(argument, flags) && !["--help", "--version"].iter().any(|flag| argument == flag)
    };
    if command.is_none() && normal.iter().any(of_a_command) {
        return Err(Error::usage("the command is missing")
            .hint("it stands before or after the flags: migrate database, or another that migrate help tells"));
    }
    normal.splice(0..0, colour.into_iter().chain(command));
    Ok(normal)
}

fn is_flag(argument: &OsStr, flags: &Flags) -> bool {
    LongFlag::read(argument).is_some_and(|flag| flags.takes_value(flag.name).is_some())
}

fn value_missing(flag: &OsStr, follower: &OsStr) -> Error {
    let (flag, follower) = (flag.display(), follower.as_bytes());
    let follower = follower.split(|byte| *byte == b'=').next().unwrap_or_default();
    let follower = OsStr::from_bytes(follower).display();
    Error::usage(format!("{flag} needs a value, and what follows it is the flag {follower}"))
        .hint(format!("if that is the value, write {flag}={follower}"))
}

/// A long flag as typed, with one dash or two.
struct LongFlag<'a> {
    name: &'a OsStr,
    value: Option<&'a OsStr>,
}

impl<'a> LongFlag<'a> {
    /// Two dashes and a name, or one dash and a name of two letters or more.
    fn read(argument: &'a OsStr) -> Option<Self> {
        let bytes = argument.as_bytes();
        let (dashed, least) = match bytes.strip_prefix(b"--") {
            Some(rest) => (rest, 1),
            None => (bytes.strip_prefix(b"-")?, 2),
        };
        let end = dashed.iter().position(|byte| *byte == b'=').unwrap_or(dashed.len());
        let (name, value) = dashed.split_at(end);
        let letters = name.first().is_some_and(u8::is_ascii_alphabetic)
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        (letters && name.len() >= least).then(|| Self {
            name: OsStr::from_bytes(name),
            value: value.strip_prefix(b"=").map(OsStr::from_bytes),
        })
    }
}

/// Splits a normalised argument into `--flag` and its value; `None` where it has none.
pub(crate) fn split_value(argument: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let flag = LongFlag::read(argument)?;
    let value = flag.value?;
    let end = argument.len() - value.len() - 1;
    Some((OsStr::from_bytes(&argument.as_bytes()[..end]), value))
}

/// `flag=value` of parts that need not be UTF-8.
pub(crate) fn join_value(flag: &OsStr, value: &OsStr) -> OsString {
    OsString::from_vec([flag.as_bytes(), b"=", value.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::CommandFactory;

    fn normal(typed: &str) -> Result<String, String> {
        let typed: Vec<_> = typed.split(' ').map(OsString::from).collect();
        let flags = Flags::of(&Arguments::command());
        match normalise(&typed, &flags) {
            Ok(normal) => Ok(normal.join(OsStr::new(" ")).into_string().unwrap()),
            Err(error) => Err(error.message().to_owned()),
        }
    }

    #[test]
    fn a_single_dash_with_two_or_more_letters_is_the_long_flag() {
        assert_eq!(
            normal("database -from a -to=b -drop-all"),
            Ok("database --from=a --to=b --drop-all".into())
        );
        assert_eq!(normal("database -data core"), Ok("database --data=core".into()));
        assert_eq!(normal("-help"), Ok("--help".into()));
    }

    #[test]
    fn a_single_dash_with_one_letter_or_a_number_is_left_alone() {
        assert_eq!(normal("-h"), Ok("-h".into()));
        assert_eq!(normal("database -V -12"), Ok("database -V -12".into()));
    }

    #[test]
    fn a_value_is_never_taken_for_a_flag() {
        assert_eq!(
            normal("database --to -odd.db -from=-from"),
            Ok("database --to=-odd.db --from=-from".into())
        );
        assert_eq!(normal("database --json - -yes"), Ok("database --json=- --yes".into()));
        assert_eq!(
            normal("database --to database"),
            Ok("database --to=database".into()),
            "nor for the command"
        );
    }

    #[test]
    fn after_two_dashes_nothing_is_changed() {
        assert_eq!(normal("database -- -from -yes"), Ok("database -- -from -yes".into()));
    }

    #[test]
    fn a_known_flag_in_a_value_s_place_is_a_forgotten_value() {
        assert_eq!(
            normal("database --from --to=b"),
            Err("--from needs a value, and what follows it is the flag --to".into())
        );
        assert_eq!(normal("database --from"), Ok("database --from".into()));
    }

    #[test]
    fn the_command_comes_first_wherever_it_was_typed() {
        assert_eq!(
            normal("--from a -to b database -yes"),
            Ok("database --from=a --to=b --yes".into())
        );
        assert_eq!(normal("help database"), Ok("help database".into()));
    }

    #[test]
    fn flags_of_a_command_need_one() {
        assert_eq!(normal("--from a"), Err("the command is missing".into()));
        assert_eq!(normal("--color never -version"), Ok("--color=never --version".into()));
    }

    #[test]
    fn the_colour_stands_before_every_command() {
        assert_eq!(normal("help -color never plan"), Ok("--color=never help plan".into()));
    }

    #[test]
    fn bytes_that_are_no_utf_8_come_through() {
        let odd = OsString::from_vec(b"-from=\xff.db".to_vec());
        let flags = Flags::of(&Arguments::command());
        let normal = normalise(&["plan".into(), odd], &flags).unwrap();
        assert_eq!(normal[1].as_bytes(), b"--from=\xff.db");
        let (flag, value) = split_value(&normal[1]).unwrap();
        assert_eq!((flag.as_bytes(), value.as_bytes()), (&b"--from"[..], &b"\xff.db"[..]));
    }
}

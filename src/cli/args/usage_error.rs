//! The parser's errors in the form of all errors, and without passwords.

use crate::cli::long_flag::split_value;
use crate::cli::output::redact::without_password;
use crate::error::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::ffi::{OsStr, OsString};

/// What is shown in place of a text that may be a connection string with a password.
const HIDDEN: &str = "(not shown, because it may have a password)";

/// The error of a connection string with a password that is the value of another flag than --from
/// and --to, or of none. The errors of other values show them.
pub(crate) fn misplaced_location(arguments: &[OsString]) -> Option<Error> {
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    ours.filter_map(|argument| {
        let (flag, value) = split_value(argument).unwrap_or((OsStr::new(""), argument));
        // --cast 'users.password=text' only resembles a secret.
        let is_misplaced = !["--from", "--to", "--cast"].iter().any(|one| flag == *one)
            && without_password(&value.to_string_lossy()).is_some();
        is_misplaced.then(|| match flag.to_string_lossy() {
            flag if flag.is_empty() => format!("unexpected argument {HIDDEN}"),
            flag => format!("unexpected value of {flag} {HIDDEN}"),
        })
    })
    .map(|message| Error::usage(message).hint("a connection string is a value of --from or --to"))
    .next()
}

/// Converts `error` of the parser; `command` is the name of the command, if it is known.
pub(crate) fn from_clap(error: &clap::Error, command: Option<&str>) -> Error {
    let one = |kind| text(error, kind);
    let argument = one(ContextKind::InvalidArg).unwrap_or_default();
    let value = one(ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("there is no flag {argument}")
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {}", quoted(&argument)),
        ErrorKind::InvalidSubcommand => {
            let command = one(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("there is no command {}", quoted(&command))
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument} needs a value"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("{} is not a valid value for {argument}", quoted(&value))
        }
        ErrorKind::ArgumentConflict => match one(ContextKind::PriorArg) {
            Some(prior) if prior == argument => format!("{argument} was given twice"),
            Some(prior) => format!("{argument} cannot be used with {prior}"),
            None => format!("{argument} cannot be used with another flag"),
        },
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::TooManyValues => format!("{argument} takes no value"),
        // The first line of the parser's own text, without "error: ".
        _ => {
            let whole = error.to_string();
            let line = whole.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    };
    let message = without_password(&message).unwrap_or(message);
    let mut ours = Error::usage(message);
    if let Some(cause) = std::error::Error::source(error) {
        ours = ours.caused_by(cause);
    }
    if let Some(valid) = one(ContextKind::ValidValue).filter(|valid| !valid.is_empty()) {
        ours = ours.caused_by(format!("the values are {valid}"));
    }
    for kind in
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
    {
        if let Some(near) = one(kind) {
            ours = ours.hint(format!("did you mean {near}?"));
        }
    }
    ours.hint(match command {
        Some(command) => format!("list its flags: migrate help {command}"),
        None => "list the commands: migrate help".to_owned(),
    })
}

/// A text in quotes, or a placeholder if it may be a connection string with a password.
fn quoted(text: &str) -> String {
    match text.contains(['=', '@']) {
        true => HIDDEN.to_owned(),
        false => format!("\"{text}\""),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::command::Arguments;
    use clap::Parser;

    /// Message, causes and hints, without the last hint.
    fn parts(arguments: &str) -> String {
        let arguments = ["migrate"].into_iter().chain(arguments.split(' '));
        let error = from_clap(&Arguments::try_parse_from(arguments).unwrap_err(), None);
        let mut parts = vec![error.message()];
        parts.extend(error.causes().iter().map(String::as_str));
        let (last, hints) = error.hints().split_last().unwrap();
        assert_eq!(last, "list the commands: migrate help");
        parts.extend(hints.iter().map(String::as_str));
        parts.join(" | ")
    }

    #[test]
    fn an_error_names_the_argument_and_what_is_valid() {
        let misfit = "\"drop\" is not a valid value for --on-misfit <HOW>";
        let memory = "\"1M\" is not a valid value for --memory <SIZE> | at least 16M are needed";
        for (arguments, expected) in [
            ("database --frm=a", "there is no flag --frm | did you mean --from?"),
            ("databse", "there is no command \"databse\" | did you mean database?"),
            (
                "database --on-misfit=drop",
                &format!("{misfit} | the values are refuse, widen, reject"),
            ),
            ("database --memory=1M", memory),
            ("database --from", "--from <SOURCE> needs a value"),
            ("provider", "<PROVIDER> is missing"),
            ("database --yes=1", "--yes takes no value"),
            ("database --verify --drop-all", "--verify cannot be used with --drop-all"),
            ("database --yes --yes", "--yes was given twice"),
            ("database x", "unexpected argument \"x\""),
        ] {
            assert_eq!(parts(arguments), expected);
        }
        let readers = parts("database --readers=0");
        assert!(readers.starts_with("\"0\" is not a valid value for --readers <N>"), "{readers}");
    }

    #[test]
    fn a_text_that_may_have_a_password_is_not_shown() {
        for arguments in [
            "database --too=host=h,password=hunter2",
            "database postgres://u:hunter2@h/d",
            "database pw=hunter2",
            "database u/hunter2@h",
            "pw=hunter2",
            "provider pw=hunter2",
            "database --readers=pw=hunter2",
            "database --memory=pw=hunter2",
            "database --deadline=pw=hunter2",
            "database --window=pw=hunter2",
            "database --max-rate=pw=hunter2",
            "database --retry-for=pw=hunter2",
            "database --chunk-size=pw=hunter2",
        ] {
            let shown = parts(arguments);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

//! The parser's errors in our words and our form, without what may be a secret in them.

use crate::cli::output::redact::without_password;
use crate::error::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// `error` of the parser as one of ours.
pub(crate) fn from_clap(error: &clap::Error) -> Error {
    let one = |kind| text(error, kind);
    let argument = one(ContextKind::InvalidArg).unwrap_or_default();
    let value = one(ContextKind::InvalidValue).unwrap_or_default();
    let told = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            format!("there is no flag {argument}")
        }
        ErrorKind::UnknownArgument => format!("\"{argument}\" is one word too many"),
        ErrorKind::InvalidSubcommand => {
            let command = one(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("there is no command \"{command}\"")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument} needs a value"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            format!("\"{value}\" is no value for {argument}")
        }
        ErrorKind::ArgumentConflict => match one(ContextKind::PriorArg) {
            Some(prior) if prior == argument => format!("{argument} was given twice"),
            Some(prior) => format!("{argument} does not go with {prior}"),
            None => format!("{argument} does not go with another flag"),
        },
        ErrorKind::TooManyValues => format!("{argument} takes no value"),
        // The parser's own first line, without its "error: ".
        _ => {
            let whole = error.to_string();
            let line = whole.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    };
    let told = without_password(&told).unwrap_or(told);
    let mut ours = Error::usage(told);
    if let Some(cause) = std::error::Error::source(error) {
        ours = ours.caused_by(cause);
    }
    if let Some(valid) = one(ContextKind::ValidValue).filter(|valid| !valid.is_empty()) {
        ours = ours.caused_by(format!("it takes one of {valid}"));
    }
    for kind in
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue]
    {
        if let Some(near) = one(kind) {
            ours = ours.hint(format!("did you mean {near}?"));
        }
    }
    ours.hint("migrate help tells every command and flag")
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
    use crate::cli::args::Arguments;
    use clap::Parser;

    /// Message, causes and hints, the last (always the same) hint excluded.
    fn told(arguments: &str) -> String {
        let typed = ["migrate"].into_iter().chain(arguments.split(' '));
        let error = from_clap(&Arguments::try_parse_from(typed).unwrap_err());
        let mut parts = vec![error.message()];
        parts.extend(error.causes().iter().map(String::as_str));
        let (last, hints) = error.hints().split_last().unwrap();
        assert_eq!(last, "migrate help tells every command and flag");
        parts.extend(hints.iter().map(String::as_str));
        parts.join(" | ")
    }

    #[test]
    fn an_unknown_flag_or_command_suggests_the_nearest() {
        assert_eq!(told("database --frm=a"), "there is no flag --frm | did you mean --from?");
        assert_eq!(told("databse"), "there is no command \"databse\" | did you mean database?");
    }

    #[test]
    fn a_wrong_value_tells_which_are_right() {
        assert_eq!(
            told("database --on-misfit=drop"),
            "\"drop\" is no value for --on-misfit <HOW> | it takes one of refuse, widen, reject"
        );
        assert_eq!(
            told("database --memory=1M"),
            "\"1M\" is no value for --memory <SIZE> | at least 16M are needed"
        );
        assert!(told("database --readers=0").starts_with("\"0\" is no value for --readers <N>"));
        assert_eq!(told("database --from"), "--from <SOURCE> needs a value");
        assert_eq!(told("database --yes=1"), "--yes takes no value");
    }

    #[test]
    fn flags_that_do_not_go_together_are_named() {
        assert_eq!(told("database --verify --drop-all"), "--verify does not go with --drop-all");
        assert_eq!(told("database --yes --yes"), "--yes was given twice");
    }

    #[test]
    fn a_password_in_a_misplaced_word_is_not_told() {
        assert_eq!(
            told("database postgres://u:hunter2@h/d"),
            "\"postgres://u@h/d\" is one word too many"
        );
        assert!(!told("database --too=host=h,password=hunter2").contains("hunter2"));
    }
}

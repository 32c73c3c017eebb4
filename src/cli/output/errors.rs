//! The format of an error: what failed, the causes, a blank line, the hints.

use crate::cli::output::format::escape_for_terminal;
use crate::error::Error;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Green.on_default().bold();

/// Writes `error` in color; the stream removes the colors if needed.
pub(crate) fn write(out: &mut dyn Write, error: &Error) -> io::Result<()> {
    writeln!(out, "{ERROR}error:{ERROR:#} {}", escape_for_terminal(error.message()))?;
    for cause in error.causes() {
        writeln!(out, "  caused by: {}", escape_for_terminal(cause))?;
    }
    if !error.hints().is_empty() {
        writeln!(out)?;
    }
    for hint in error.hints() {
        writeln!(out, "{HINT}hint:{HINT:#} {}", escape_for_terminal(hint))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::tables::text;

    #[test]
    fn an_error_is_printed_with_its_causes_and_hints() {
        let error = Error::failed("connection refused")
            .context("the target cannot be reached")
            .hint("start the server")
            .hint("then run it again");
        assert_eq!(
            text(|out| write(out, &error)),
            "error: the target cannot be reached\n  caused by: connection refused\n\n\
             hint: start the server\nhint: then run it again\n"
        );
        let without_hint = Error::failed("table \"a\u{7}\"");
        assert_eq!(text(|out| write(out, &without_hint)), "error: table \"a\\u{7}\"\n");
    }

    #[test]
    fn the_first_words_of_a_line_are_colored() {
        let mut out = Vec::new();
        write(&mut out, &Error::failed("x").hint("y")).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x\n\n\u{1b}[1m\u{1b}[32mhint:\u{1b}[0m y\n"
        );
    }
}

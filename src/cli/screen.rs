//! The two streams a command writes to, and whether somebody is there to answer.

use super::error_text;
use super::exit::Exit;
use super::request::Output;
use super::terminal::Stream;
use super::watch::{Style, Watch};
use crate::error::Error;
use crate::progress::Progress;
use anstream::AutoStream;
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;

/// The streams of a command.
pub(super) struct Screen {
    /// Standard output: what was asked for.
    pub(super) out: Box<dyn Write>,
    /// Standard error: errors, questions, progress.
    pub(super) err: Box<dyn Write>,
    /// Where an answer is read from; `None` where nobody can answer.
    pub(super) answers: Option<Box<dyn BufRead>>,
    /// Where progress is drawn and how; `None` for nowhere.
    pub(super) progress: fn(bars_anywhere: bool) -> Option<(Style, Stream)>,
}

impl Screen {
    /// The program's own. Colours stay on a terminal only, unless the user said otherwise.
    pub(super) fn standard() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let attended = io::stdin().is_terminal() && err.is_terminal();
        Self {
            out: Box::new(AutoStream::auto(out)),
            err: Box::new(AutoStream::auto(err)),
            answers: attended.then(|| Box::new(io::stdin().lock()) as Box<dyn BufRead>),
            progress: |bars_anywhere| {
                let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
                let bars = bars_anywhere || (io::stderr().is_terminal() && !dumb);
                Some((if bars { Style::Bars } else { Style::Lines }, Stream::stderr()))
            },
        }
    }

    /// The stream for what a person reads: standard output, unless data goes there.
    pub(super) fn for_people(&mut self, json: Option<&Output>) -> &mut dyn Write {
        match json {
            Some(Output::Stdout) => &mut self.err,
            Some(Output::File(_)) | None => &mut self.out,
        }
    }

    /// Ends a command: writes `data` (as far as there is any) where `json` says, and tells `error`.
    pub(super) fn end<T: Serialize>(
        &mut self,
        json: Option<&Output>,
        data: Option<&T>,
        exit: Exit,
        error: Option<&Error>,
    ) -> Exit {
        let written = json
            .map_or(Ok(()), |output| super::json::write(output, &mut self.out, data, exit, error));
        if let Some(error) = error {
            self.fail(error);
        }
        match written {
            Ok(()) => exit,
            Err(error) => {
                let failed = self.fail(&error);
                if exit == Exit::Done { failed } else { exit }
            }
        }
    }

    /// Tells `error` and what it means for the shell.
    pub(super) fn fail(&mut self, error: &Error) -> Exit {
        // Where standard error is closed the exit code still tells it.
        let _ = error_text::write(&mut self.err, error);
        Exit::from(error.kind())
    }

    /// Asks for a yes; `None` where nobody can answer.
    pub(super) fn consents(&mut self, question: &str) -> Option<bool> {
        let answers = self.answers.as_mut()?;
        write!(self.err, "{question} [y/N] ").and_then(|()| self.err.flush()).ok()?;
        let mut answer = String::new();
        answers.read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Shows the progress of a run for as long as the guard lives.
    pub(super) fn watch(&self, progress: &Arc<Progress>, bars_anywhere: bool) -> Option<Watch> {
        let (style, stream) = (self.progress)(bars_anywhere)?;
        Some(Watch::start(Arc::clone(progress), style, stream))
    }
}

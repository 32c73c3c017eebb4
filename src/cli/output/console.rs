//! The two streams a command writes to, and whether somebody is there to answer.

use crate::cli::exit_code::Exit;
use crate::cli::output::errors;
use crate::cli::progress::renderer::{Renderer, Style};
use crate::cli::progress::term::Stream;
use crate::cli::request::Output;
use crate::control::progress::Progress;
use crate::error::Error;
use anstream::AutoStream;
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;

/// The streams of a command.
pub(crate) struct Console {
    /// Standard output: what was asked for.
    pub(crate) out: Box<dyn Write>,
    /// Standard error: errors, questions, progress.
    pub(crate) err: Box<dyn Write>,
    /// Where an answer is read from; `None` where nobody can answer.
    pub(crate) answers: Option<Box<dyn BufRead>>,
    /// Where progress is drawn and how; `None` for nowhere.
    pub(crate) progress: fn(bars_anywhere: bool) -> Option<(Style, Stream)>,
}

impl Console {
    /// The program's own. Colours stay on a terminal only, unless the user said otherwise.
    pub(crate) fn standard() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let supervised = io::stdin().is_terminal() && err.is_terminal();
        Self {
            out: Box::new(AutoStream::auto(out)),
            err: Box::new(AutoStream::auto(err)),
            answers: supervised.then(|| Box::new(io::stdin().lock()) as Box<dyn BufRead>),
            progress: |bars_anywhere| {
                let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
                let bars = bars_anywhere || (io::stderr().is_terminal() && !dumb);
                Some((if bars { Style::Bars } else { Style::Lines }, Stream::stderr()))
            },
        }
    }

    /// The stream for what a person reads: standard output, unless data goes there.
    pub(crate) fn human(&mut self, json: Option<&Output>) -> &mut dyn Write {
        match json {
            Some(Output::Stdout) => &mut self.err,
            Some(Output::File(_)) | None => &mut self.out,
        }
    }

    /// Ends a command: writes `data` (as far as there is any) where `json` says, and tells `error`.
    pub(crate) fn end<T: Serialize>(
        &mut self,
        json: Option<&Output>,
        data: Option<&T>,
        exit: Exit,
        error: Option<&Error>,
    ) -> Exit {
        let written = json.map_or(Ok(()), |output| {
            crate::cli::output::json::write(output, &mut self.out, data, exit, error)
        });
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
    pub(crate) fn fail(&mut self, error: &Error) -> Exit {
        // Where standard error is closed the exit code still tells it.
        let _ = errors::write(&mut self.err, error);
        Exit::from(error.kind())
    }

    /// Asks for a yes; `None` where nobody can answer.
    pub(crate) fn confirm(&mut self, question: &str) -> Option<bool> {
        let answers = self.answers.as_mut()?;
        write!(self.err, "{question} [y/N] ").and_then(|()| self.err.flush()).ok()?;
        let mut answer = String::new();
        answers.read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Shows the progress of a run for as long as the guard lives.
    pub(crate) fn watch(&self, progress: &Arc<Progress>, bars_anywhere: bool) -> Option<Renderer> {
        let (style, stream) = (self.progress)(bars_anywhere)?;
        Some(Renderer::start(Arc::clone(progress), style, stream))
    }
}

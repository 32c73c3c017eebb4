//! The streams that a command writes to, and questions to the user.

use crate::cli::exit_code::Exit;
use crate::cli::output::output_file::Output;
use crate::cli::output::{errors, json};
use crate::cli::progress::renderer::{Renderer, Style};
use crate::cli::progress::term::Stream;
use crate::control::progress::Progress;
use crate::error::{Error, Result};
use anstream::AutoStream;
use serde::Serialize;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::sync::Arc;

/// The streams of a command.
pub(crate) struct Console {
    /// Standard output: the result.
    pub(crate) out: Box<dyn Write>,
    /// Standard error: errors, questions, progress.
    pub(crate) err: Box<dyn Write>,
    /// The source of answers; `None` without a terminal.
    pub(crate) answers: Option<Box<dyn BufRead>>,
    /// The style and stream of progress; `None` for no progress.
    pub(crate) progress: fn(force_bars: bool) -> Option<(Style, Stream)>,
}

impl Console {
    /// The program's own streams. Colors are for terminals only, unless --color says otherwise.
    pub(crate) fn standard() -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let can_answer = io::stdin().is_terminal() && err.is_terminal();
        Self {
            out: Box::new(AutoStream::auto(out)),
            err: Box::new(AutoStream::auto(err)),
            // Without a lock, which would keep all others from reading.
            answers: can_answer.then(|| Box::new(BufReader::new(io::stdin())) as _),
            progress: |force_bars| {
                let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
                let bars = force_bars || (io::stderr().is_terminal() && !dumb);
                Some((if bars { Style::Bars } else { Style::Lines }, Stream::stderr()))
            },
        }
    }

    /// The stream for readable text: standard output, unless JSON goes there.
    pub(crate) fn human(&mut self, json: Option<&Output>) -> &mut dyn Write {
        match json {
            Some(Output::Stdout) => &mut self.err,
            Some(Output::File(_)) | None => &mut self.out,
        }
    }

    /// Writes a line to standard output.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        writeln!(self.out, "{line}").and_then(|()| self.out.flush()).map_err(output_error)
    }

    /// Ends a command: writes `data` to `json`, and prints `error`.
    pub(crate) fn end<T: Serialize>(
        &mut self,
        json: Option<&Output>,
        data: Option<&T>,
        exit: Exit,
        error: Option<&Error>,
    ) -> Exit {
        let written =
            json.map_or(Ok(()), |output| json::write(output, &mut self.out, data, exit, error));
        if let Some(error) = error {
            self.fail(error);
        }
        match written.map_err(|error| self.fail(&error)) {
            Err(failed) if exit == Exit::Done => failed,
            _ => exit,
        }
    }

    /// Prints `error` and returns its exit code.
    pub(crate) fn fail(&mut self, error: &Error) -> Exit {
        // If standard error is closed, the exit code still shows the error.
        let _ = errors::write(&mut self.err, error);
        Exit::from(error.kind())
    }

    /// Asks a question that is answered by yes or no; `None` without a terminal.
    pub(crate) fn confirm(&mut self, question: &str) -> Option<bool> {
        let answers = self.answers.as_mut()?;
        write!(self.err, "{question} [y/N] ").and_then(|()| self.err.flush()).ok()?;
        let mut answer = String::new();
        answers.read_line(&mut answer).ok()?;
        Some(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Shows the progress of a run until the guard is dropped.
    pub(crate) fn watch(&self, progress: &Arc<Progress>, force_bars: bool) -> Option<Renderer> {
        let (style, stream) = (self.progress)(force_bars)?;
        Some(Renderer::start(Arc::clone(progress), style, stream))
    }
}

/// The error of standard output.
pub(crate) fn output_error(cause: io::Error) -> Error {
    Error::failed("cannot write to standard output").caused_by(cause)
}

//! The stream for progress, with the interface of the drawing library.
//!
//! The library's own terminal draws nothing without a terminal, but `--progress` wants bars there.

use crate::control::lock;
use indicatif::TermLike;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// The size if the real one is unknown.
const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// A stream with a size.
pub(crate) struct Stream {
    out: Box<dyn Write + Send>,
    /// Reads columns and rows before each drawing, because windows change.
    size: Box<dyn Fn() -> Option<(u16, u16)> + Send>,
}

impl Stream {
    /// Standard error.
    pub(crate) fn stderr() -> Self {
        Self { out: Box::new(io::stderr()), size: Box::new(stderr_size) }
    }
}

/// The size of the terminal on standard error, or the width from COLUMNS.
fn stderr_size() -> Option<(u16, u16)> {
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stderr())
        && size.ws_col > 0
        && size.ws_row > 0
    {
        return Some((size.ws_col, size.ws_row));
    }
    let columns = std::env::var("COLUMNS").ok()?.parse().ok()?;
    (columns > 0).then_some((columns, DEFAULT_SIZE.1))
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// A buffer in front of a stream. Its clones share the stream.
#[derive(Debug, Clone)]
pub(crate) struct TermBuffer(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    stream: Stream,
    /// One drawing, written as a whole so that it does not flicker.
    pending: Vec<u8>,
    /// Texts written since the last cursor movement. The library writes each line and then the
    /// blanks up to the terminal's width, and expects the terminal to wrap there.
    texts: usize,
}

impl TermBuffer {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, pending: Vec::new(), texts: 0 })))
    }

    /// The width in columns.
    pub(crate) fn columns(&self) -> u16 {
        self.size().0
    }

    fn size(&self) -> (u16, u16) {
        self.with(|inner| (inner.stream.size)().unwrap_or(DEFAULT_SIZE))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut lock(&self.0))
    }

    fn push(&self, text: &str) -> io::Result<()> {
        self.with(|inner| inner.pending.extend_from_slice(text.as_bytes()));
        Ok(())
    }

    /// Moves the cursor: ECMA-48's CSI with a count and a letter.
    fn move_cursor(&self, count: usize, letter: char) -> io::Result<()> {
        self.with(|inner| inner.texts = 0);
        if count == 0 { Ok(()) } else { self.push(&format!("\u{1b}[{count}{letter}")) }
    }
}

impl TermLike for TermBuffer {
    fn width(&self) -> u16 {
        self.size().0
    }

    fn height(&self) -> u16 {
        self.size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.push(&format!("{s}\n"))
    }

    /// A file or a pipe does not wrap, so each line but the last is ended here. A terminal that is
    /// about to wrap does not move twice because of that.
    fn write_str(&self, s: &str) -> io::Result<()> {
        if s == "\r" {
            return self.push(s);
        }
        let begins_line = self.with(|inner| {
            inner.texts += 1;
            inner.texts > 1 && inner.texts % 2 == 1
        });
        if begins_line {
            self.push("\r\n")?;
        }
        self.push(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.with(|inner| inner.texts = 0);
        self.push("\r\u{1b}[2K")
    }

    fn flush(&self) -> io::Result<()> {
        self.with(|inner| {
            inner.texts = 0;
            let pending = std::mem::take(&mut inner.pending);
            inner.stream.write_all(&pending)?;
            inner.stream.flush()
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Records the drawings.
    #[derive(Debug, Default, Clone)]
    pub(crate) struct Recorder(Arc<Mutex<Vec<u8>>>);

    impl Recorder {
        pub(crate) fn stream(&self, columns: u16) -> Stream {
            Stream { out: Box::new(self.clone()), size: Box::new(move || Some((columns, 24))) }
        }

        /// The recorded bytes, with escapes.
        pub(crate) fn raw(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// The text of all drawings, one below the other.
        pub(crate) fn text(&self) -> String {
            anstream::adapter::strip_str(&self.raw()).to_string().replace('\r', "")
        }

        /// The number of references: one if nobody draws.
        pub(crate) fn holders(&self) -> usize {
            Arc::strong_count(&self.0)
        }
    }

    impl Write for Recorder {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

//! The watchdog: a shell that owns a private server and its folder, and ends both when this process
//! ends.
//!
//! It is the parent of the server, in a process group of its own, and reads orders from a pipe whose
//! only write end this process has. When this process ends, even by `kill -9`, the pipe is closed,
//! and the shell stops the server. (A parent-death signal fires when the *thread* that started the
//! child ends, and it is lost when the child changes its user.)

use crate::error::{Error, Result};
use crate::postgres::server::account::Account;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("watchdog.sh");

/// A running watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    /// The write end of the pipe. `None` after it was closed; the shell then ends everything.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Watchdog {
    /// Starts a watchdog for the server of `bin` in `folder`.
    pub(crate) fn start(
        account: Option<&Account>,
        bin: &Path,
        folder: &Path,
        initdb: &[String],
    ) -> Result<Self> {
        let failed = |e| Error::failed("cannot start the watchdog of the server").caused_by(e);
        // A file, not an argument: a process list shows a name and not the script.
        let script = folder.join("watchdog");
        std::fs::write(&script, SCRIPT).map_err(failed)?;
        let mut command = Command::new("/bin/sh");
        command.arg(script).arg(bin).arg(folder).args(initdb);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        Account::prepare(account, &mut command);
        let mut shell = command.spawn().map_err(failed)?;
        let (Some(orders), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(Error::failed("the watchdog of the server has no pipes"));
        };
        Ok(Self { shell, orders: Some(orders), answers: BufReader::new(answers) })
    }

    /// Creates the data folder. Errors are in the log.
    pub(crate) fn initdb(&mut self) -> Result<bool> {
        Ok(self.order("initdb")? == 0)
    }

    /// Starts the postmaster and returns its process id.
    pub(crate) fn launch(&mut self) -> Result<u32> {
        self.order("start")
    }

    /// Sends the postmaster a signal (`INT`, `QUIT`, `KILL`) and waits until it ends.
    pub(crate) fn shut_down(&mut self, signal: &str) -> Result<()> {
        self.order(&format!("stop {signal}")).map(|_| ())
    }

    fn order(&mut self, order: &str) -> Result<u32> {
        let lost = || Error::failed("the watchdog of the private server has ended");
        let orders = self.orders.as_mut().ok_or_else(lost)?;
        // One write: a line is read as a whole or not at all.
        orders.write_all(format!("{order}\n").as_bytes()).map_err(|e| lost().caused_by(e))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(|e| lost().caused_by(e))?;
        answer.trim_end().parse().map_err(|_| lost())
    }
}

impl Drop for Watchdog {
    /// Ends the server and waits until the server and its folder are removed.
    fn drop(&mut self) {
        drop(self.orders.take());
        // Nothing can be done about a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}

//! The watchdog: a shell that owns a private server and its folder, and outlives us just long
//! enough to end both.
//!
//! It is the server's parent, in a process group of its own, and reads its orders from a pipe
//! whose only write end is ours and is closed on exec. When we end, and be it by `kill -9`, the
//! pipe ends, and the shell does the rest. (A parent-death signal would not do: it fires when the
//! *thread* that started the child ends, and it is lost when the child changes its user.)

use crate::error::{Error, Result};
use crate::postgres::server::account::Account;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What the watchdog does.
const SCRIPT: &str = include_str!("watchdog.sh");

/// A running watchdog.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    /// `None` once it has been closed, which is the order to end everything.
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
        let failed = |e| Error::failed("cannot start a shell to keep the server").caused_by(e);
        // A file, not an argument: who lists the processes sees a name and not a program.
        let script = folder.join("watchdog");
        std::fs::write(&script, SCRIPT).map_err(failed)?;
        let mut command = Command::new("/bin/sh");
        command.arg(script).arg(bin).arg(folder).args(initdb);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.process_group(0);
        Account::clothe(account, &mut command);
        let mut shell = command.spawn().map_err(failed)?;
        let (Some(orders), Some(answers)) = (shell.stdin.take(), shell.stdout.take()) else {
            return Err(Error::failed("the shell that keeps the server has no pipes"));
        };
        Ok(Self { shell, orders: Some(orders), answers: BufReader::new(answers) })
    }

    /// Makes the data folder; what goes wrong is in the log.
    pub(crate) fn initdb(&mut self) -> Result<bool> {
        Ok(self.order("initdb")? == 0)
    }

    /// Starts the server's first process and returns its number.
    pub(crate) fn launch(&mut self) -> Result<u32> {
        self.order("start")
    }

    /// Sends the server's first process a signal (`INT`, `QUIT`, `KILL`) and waits for its end.
    pub(crate) fn halt(&mut self, signal: &str) -> Result<()> {
        self.order(&format!("halt {signal}")).map(|_| ())
    }

    fn order(&mut self, order: &str) -> Result<u32> {
        let lost = || Error::failed("the shell that keeps the private server is gone");
        let orders = self.orders.as_mut().ok_or_else(lost)?;
        // One write: a line is read whole or not at all.
        orders.write_all(format!("{order}\n").as_bytes()).map_err(|e| lost().caused_by(e))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(|e| lost().caused_by(e))?;
        answer.trim_end().parse().map_err(|_| lost())
    }
}

impl Drop for Watchdog {
    /// Ends the server and waits until it and its folder are gone.
    fn drop(&mut self) {
        drop(self.orders.take());
        // There is nothing left to do about a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}

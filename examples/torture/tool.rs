//! The tested program as a process.

use crate::Outcome;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The `--retry-for` of the runs.
pub const RETRY: Duration = Duration::from_secs(40);
/// The time after which a run counts as hanging, on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A run; dropping it kills the process.
pub struct Tool {
    child: Child,
    log: PathBuf,
    started: Instant,
}

/// How a run ended.
pub struct Ended {
    /// The exit code, or `signal N`.
    pub code: String,
    /// Its standard error.
    pub stderr: String,
}

impl Tool {
    /// Starts `migrate database` with `more` arguments; its standard error goes to a file in `folder`.
    pub fn start(
        binary: &Path,
        folder: &Path,
        source: &Path,
        url: &str,
        more: &[String],
    ) -> Outcome<Self> {
        let number = fs::read_dir(folder)?.count();
        let log = folder.join(format!("log-{number}"));
        let retry = format!("{}s", RETRY.as_secs());
        let compares = more.iter().any(|flag| flag == "--verify");
        let retry: &[&str] = if compares { &[] } else { &["--retry-for", &retry] };
        let child = Command::new(binary)
            .args(["database", "--threads", "2", "--memory", "16M"])
            .args(retry)
            .arg("--from")
            .arg(source)
            .args(["--to", url])
            .args(more)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        Ok(Self { child, log, started: Instant::now() })
    }

    pub fn signal(&self, signal: Signal) -> Outcome<()> {
        let pid = Pid::from_raw(self.child.id().try_into()?).ok_or("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    pub fn is_over(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for the end; fails if it takes too long.
    pub fn end(mut self) -> Outcome<Ended> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if self.started.elapsed() > LIMIT {
                let stderr = fs::read_to_string(&self.log)?;
                return Err(format!("the run hangs: {}", stderr.trim()).into());
            }
            sleep(Duration::from_millis(3));
        };
        let stderr = fs::read_to_string(&self.log)?;
        if stderr.contains("panicked") || stderr.contains("internal error") {
            return Err(format!("the run panicked: {stderr}").into());
        }
        let code = match (status.code(), status.signal()) {
            (Some(code), _) => code.to_string(),
            (None, signal) => format!("signal {}", signal.unwrap_or_default()),
        };
        Ok(Ended { code, stderr })
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // The process of a run that was waited for has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A round: a source, a run, a fault, runs until one succeeds, and the check.

use crate::control::Control;
use crate::disk::{self, Disk};
use crate::fault::{Fault, Moment};
use crate::proxy::Proxy;
use crate::tool::{Ended, LIMIT, Tool};
use crate::{Outcome, check, source};
use fastrand::Rng;
use postgres::Client;
use rustix::process::Signal;
use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The most runs until one must succeed.
const MAX_RUNS: usize = 4;

/// The parameters of a round.
pub struct Round<'a> {
    pub binary: &'a Path,
    pub seed: u64,
    pub fault: Fault,
    pub moment: Moment,
    /// Use little data.
    pub small: bool,
}

/// The result of a successful round.
pub struct Done {
    /// The codes of all runs.
    codes: Vec<String>,
    /// The exit code of a second run at the same time.
    second: Option<String>,
    /// The run ended before the fault.
    missed: bool,
}

impl Done {
    pub fn outcome(&self) -> String {
        let codes = self.codes.join(", then ");
        let second = self.second.as_ref().map(|code| format!(" (second run {code})"));
        let missed = if self.missed { " (ended before)" } else { "" };
        format!("exit {codes}{}{missed}", second.unwrap_or_default())
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, every row once", self.outcome())
    }
}

/// The files and databases of a round.
struct Setting {
    /// Holds only the source.
    folder: TempDir,
    logs: TempDir,
    source: PathBuf,
    database: String,
    url: String,
    disk: Option<Disk>,
    proxy: Option<Proxy>,
}

impl Round<'_> {
    /// Runs the round.
    pub fn run(&self, control: &mut Control) -> Outcome<Done> {
        if self.fault == Fault::DiskFull && !disk::can_be_filled() {
            let codes = vec!["NOT TESTED".to_owned()];
            return Ok(Done { codes, second: None, missed: false });
        }
        let mut random = Rng::with_seed(self.seed);
        let mut setting = self.set_up(control, &mut random)?;
        let mut hash = check::sha256(&setting.source)?;
        let files = check::files(setting.folder.path())?;

        let (first, second, missed) = self.inject(control, &mut setting, &mut random)?;
        self.check_code(&first)?;
        let mut codes = vec![first.code];
        if !missed {
            self.after_fault(control, &setting)?;
        }
        if self.fault == Fault::SourceChanged {
            hash = check::sha256(&setting.source)?;
        }
        let mut restart = false;
        // The first run may have succeeded; another run confirms it.
        while codes.len() == 1 || codes.last().is_some_and(|code| code != "0") {
            if codes.len() > MAX_RUNS {
                return Err(format!("no success after {}", codes.join(", ")).into());
            }
            let more: &[&str] = if restart { &["--restart"] } else { &[] };
            let ended = self.run_again(&setting, control, more)?;
            match ended.code.as_str() {
                "0" => {}
                "4" if self.fault.may_want_restart() && !restart => restart = true,
                code => {
                    return Err(format!("the next run ended with {code}: {}", ended.stderr).into());
                }
            }
            codes.push(ended.code);
        }
        let verified = self.run_again(&setting, control, &["--verify"])?;
        if verified.code != "0" {
            return Err(format!("--verify: {} {}", verified.code, verified.stderr).into());
        }
        drop(setting.proxy.take());
        check::check_all(control, &setting.database, &setting.source)?;
        if check::sha256(&setting.source)? != hash {
            return Err("the source has changed".into());
        }
        let mut left = check::files(setting.folder.path())?;
        if self.fault.leaves_empty_logs() {
            left.retain(|name| !check::is_empty_log(setting.folder.path(), name));
        }
        if left != files {
            return Err(format!("files next to the source: {left:?}").into());
        }
        control.run(&format!("DROP DATABASE {} WITH (FORCE)", setting.database))?;
        if let Some(disk) = setting.disk.take() {
            disk.remove(control)?;
        }
        Ok(Done { codes, second, missed })
    }

    fn set_up(&self, control: &Control, random: &mut Rng) -> Outcome<Setting> {
        let folder = tempfile::tempdir()?;
        let source = source::create(folder.path(), random, self.small)?;
        let database = format!("round_{}", self.seed);
        control.run(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
        let disk = match self.fault {
            Fault::DiskFull => Some(Disk::mount(control, &self.seed.to_string())?),
            _ => None,
        };
        let on =
            disk.as_ref().map_or_else(String::new, |d| format!(" TABLESPACE {}", d.tablespace()));
        control.run(&format!("CREATE DATABASE {database} TEMPLATE template0{on}"))?;
        if let Some(disk) = &disk {
            let rows = std::fs::metadata(&source)?.len();
            disk.leave((64 << 10) + rows * random.u64(5..60) / 100)?;
        }
        let proxy = self.fault.wants_proxy().then(|| Proxy::start(control.port())).transpose()?;
        let url = match &proxy {
            Some(proxy) => control.url_by(proxy.port(), &database)?,
            None => control.url(&database),
        };
        Ok(Setting { folder, logs: tempfile::tempdir()?, source, database, url, disk, proxy })
    }

    fn start(&self, setting: &Setting, url: &str, more: &[&str]) -> Outcome<Tool> {
        let mut more: Vec<String> = more.iter().map(|flag| (*flag).to_owned()).collect();
        if !more.iter().any(|flag| flag == "--verify")
            && Rng::with_seed(self.seed).bool() | self.small
        {
            more.extend(
                ["--max-rate", if self.small { "2MB/s" } else { "16MB/s" }].map(str::to_owned),
            );
        }
        Tool::start(self.binary, setting.logs.path(), &setting.source, url, &more)
    }

    /// Runs the program again, without the proxy.
    fn run_again(&self, setting: &Setting, control: &Control, more: &[&str]) -> Outcome<Ended> {
        // Wait for a server that is starting: the program does not retry its first connection.
        drop(control.connect(&setting.database)?);
        self.start(setting, &control.url(&setting.database), more)?.end()
    }

    /// Checks the exit code of the run that the fault hit.
    fn check_code(&self, ended: &Ended) -> Outcome<()> {
        if self.fault.allows(self.moment, &ended.code) {
            return Ok(());
        }
        Err(format!("the run ended with {}: {}", ended.code, ended.stderr).into())
    }

    /// Starts a run and injects the fault. Returns how the run ended, the code of a second run, and whether
    /// the run ended before the fault.
    fn inject(
        &self,
        control: &mut Control,
        setting: &mut Setting,
        random: &mut Rng,
    ) -> Outcome<(Ended, Option<String>, bool)> {
        let mut tool = self.start(setting, &setting.url, &[])?;
        if self.fault == Fault::DiskFull {
            return Ok((tool.end()?, None, false));
        }
        let mut witness = control.connect(&setting.database)?;
        self.wait(&mut tool, &mut witness, random)?;
        drop(witness);
        if tool.is_over()? {
            return Ok((tool.end()?, None, true));
        }
        let mut second = None;
        let rest = Duration::from_millis(random.u64(..2500));
        match self.fault {
            Fault::KillTool | Fault::SourceChanged | Fault::Truncated | Fault::Dropped => {
                tool.signal(Signal::KILL)?;
            }
            Fault::SigTerm => tool.signal(Signal::TERM)?,
            Fault::CtrlC => tool.signal(Signal::INT)?,
            Fault::Sleep => {
                tool.signal(Signal::STOP)?;
                sleep(rest);
                tool.signal(Signal::CONT)?;
            }
            Fault::KillServer => control.kill_and_start(rest)?,
            Fault::KillBackend | Fault::Terminate => {
                self.end_a_session(control, setting, random)?
            }
            Fault::Cut | Fault::Stall | Fault::HoldCommit | Fault::SecondRun => {
                let proxy = setting.proxy.as_ref().ok_or("no proxy")?;
                match self.fault {
                    Fault::Cut => proxy.cut(),
                    Fault::HoldCommit => proxy.hold_commit(random.usize(..3)),
                    Fault::Stall => {
                        proxy.stall(true);
                        sleep(rest);
                        proxy.stall(false);
                    }
                    _ => {
                        proxy.linger();
                        tool.signal(Signal::KILL)?;
                    }
                }
            }
            Fault::TwoRuns => {
                let other = self.start(setting, &setting.url, &[])?.end()?;
                self.check_code(&other)?;
                second = Some(other.code);
            }
            Fault::SourceGone => {
                let away = setting.folder.path().join("away");
                std::fs::rename(&setting.source, &away)?;
                let ended = tool.end();
                std::fs::rename(&away, &setting.source)?;
                return Ok((ended?, None, false));
            }
            Fault::DiskFull => {}
        }
        let ended = tool.end()?;
        let held = setting.proxy.as_ref().is_none_or(Proxy::has_released);
        let missed = self.fault == Fault::HoldCommit && !held;
        if second.as_ref().is_some_and(|code| code != "0" && ended.code != "0") {
            return Err("both of two runs failed".into());
        }
        Ok((ended, second, missed))
    }

    /// Waits for the moment, or for the run's end.
    fn wait(&self, tool: &mut Tool, witness: &mut Client, random: &mut Rng) -> Outcome<()> {
        let started = Instant::now();
        let chunks = random.i64(1..6);
        if self.moment == Moment::Profile {
            sleep(Duration::from_millis(random.u64(..250)));
            return Ok(());
        }
        let sql = "SELECT detail::json ->> 'state', \
             (SELECT count(*) FROM public.migrate_ledger WHERE chunk > 0) \
             FROM public.migrate_ledger WHERE table_name = '' AND chunk = -1";
        while !tool.is_over()? && started.elapsed() < LIMIT {
            // Until the ledger exists this is an error.
            let row = witness.query_opt(sql, &[]).ok().flatten();
            let reached = row.is_some_and(|row| {
                let (state, done): (Option<String>, i64) = (row.get(0), row.get(1));
                let state = state.unwrap_or_default();
                match self.moment {
                    Moment::Profile => true,
                    Moment::Copy => state != "copying" || done >= chunks,
                    Moment::Finish => state != "copying",
                    Moment::Verify => state != "copying" && state != "finishing",
                }
            });
            if reached {
                sleep(Duration::from_millis(random.u64(..40)));
                return Ok(());
            }
            sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends one of the run's sessions, by the server or by the system.
    fn end_a_session(&self, control: &Control, setting: &Setting, random: &mut Rng) -> Outcome<()> {
        let mut client = control.connect("postgres")?;
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = $1 \
                   AND application_name LIKE 'migrate %' ORDER BY pid";
        let sessions = client.query(sql, &[&setting.database])?;
        let pids: Vec<i32> = sessions.iter().map(|row| row.get(0)).collect();
        let Some(pid) = random.choice(pids) else { return Ok(()) };
        if self.fault == Fault::Terminate {
            client.execute("SELECT pg_terminate_backend($1)", &[&pid])?;
        } else if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    /// Changes the source, the target or the disk before the next run.
    fn after_fault(&self, control: &Control, setting: &Setting) -> Outcome<()> {
        match self.fault {
            Fault::DiskFull => setting.disk.as_ref().ok_or("no disk")?.enlarge(),
            Fault::SourceChanged => {
                let connection = rusqlite::Connection::open(&setting.source)?;
                connection.execute_batch("UPDATE event SET n = 12345 WHERE id = 3")?;
                connection.close().map_err(|(_, error)| error.into())
            }
            Fault::Truncated | Fault::Dropped => {
                let mut client = control.connect(&setting.database)?;
                let verb = if self.fault == Fault::Dropped { "DROP" } else { "TRUNCATE" };
                // A run that was killed early has created no table.
                match client.batch_execute(&format!("{verb} TABLE public.loose")) {
                    Err(error)
                        if error.code() != Some(&postgres::error::SqlState::UNDEFINED_TABLE) =>
                    {
                        Err(error.into())
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

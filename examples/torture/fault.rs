//! Faults and the moments at which they happen.

use clap::ValueEnum;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// `kill -9` of the program.
    KillTool,
    /// `kill -9` of the server's main process; it is started again.
    KillServer,
    /// `kill -9` of one of the server's processes; the server restarts by itself.
    KillBackend,
    /// `pg_terminate_backend` of one of the program's sessions.
    Terminate,
    /// All connections are closed.
    Cut,
    /// The network stalls for a while.
    Stall,
    /// A COMMIT reaches the server only after the program has connected again.
    HoldCommit,
    /// The program is killed, its sessions stay open, and the next run starts at once.
    SecondRun,
    /// The target's disk is full.
    DiskFull,
    /// The source is renamed away.
    SourceGone,
    /// The program is killed, and a row of the source is changed.
    SourceChanged,
    /// SIGSTOP, and SIGCONT after a while.
    Sleep,
    /// SIGTERM.
    SigTerm,
    /// Ctrl-C.
    CtrlC,
    /// A second run at the same time.
    TwoRuns,
    /// The program is killed, and a table of the target is truncated.
    Truncated,
    /// The program is killed, and a table of the target is dropped.
    Dropped,
}

impl Fault {
    pub const ALL: [Self; 17] = [
        Self::KillTool,
        Self::KillServer,
        Self::KillBackend,
        Self::Terminate,
        Self::Cut,
        Self::Stall,
        Self::HoldCommit,
        Self::SecondRun,
        Self::DiskFull,
        Self::SourceGone,
        Self::SourceChanged,
        Self::Sleep,
        Self::SigTerm,
        Self::CtrlC,
        Self::TwoRuns,
        Self::Truncated,
        Self::Dropped,
    ];

    /// The fault on the command line.
    pub fn as_word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The fault in the table.
    pub fn description(self) -> &'static str {
        match self {
            Self::KillTool => "kill -9 of the program",
            Self::KillServer => "kill -9 of the PostgreSQL server, then started again",
            Self::KillBackend => "kill -9 of one of its backends",
            Self::Terminate => "pg_terminate_backend of one of its sessions",
            Self::Cut => "all connections closed",
            Self::Stall => "the network stalls for a while",
            Self::HoldCommit => "a COMMIT delayed until after the reconnect",
            Self::SecondRun => "killed, and run again while its sessions stay open",
            Self::DiskFull => "the target's disk is full",
            Self::SourceGone => "the source is renamed away, and back",
            Self::SourceChanged => "killed, and the source changed before the next run",
            Self::Sleep => "SIGSTOP for a while, then SIGCONT",
            Self::SigTerm => "SIGTERM",
            Self::CtrlC => "Ctrl-C",
            Self::TwoRuns => "two runs at once",
            Self::Truncated => "killed, and a target table truncated before the next run",
            Self::Dropped => "killed, and a target table dropped before the next run",
        }
    }

    /// Whether the program connects through the proxy.
    pub fn wants_proxy(self) -> bool {
        matches!(self, Self::Cut | Self::Stall | Self::HoldCommit | Self::SecondRun)
    }

    /// Whether SQLite's files next to a database that was read may stay: the program was killed, or did
    /// not find the database by its name to check that no other process uses it.
    pub fn leaves_empty_logs(self) -> bool {
        self == Self::SourceGone || self.allows(Moment::Copy, "signal 9")
    }

    /// Whether connections are lost.
    fn breaks_connections(self) -> bool {
        matches!(
            self,
            Self::KillServer | Self::KillBackend | Self::Terminate | Self::Cut | Self::HoldCommit
        )
    }

    /// Whether a run that the fault hits at `moment` may end with `code`. Any run may end before the fault,
    /// and a run that has written nothing may fail if a connection is lost.
    pub fn allows(self, moment: Moment, code: &str) -> bool {
        if moment == Moment::Profile && self.breaks_connections() && code == "1" {
            return true;
        }
        // In its first milliseconds the program does not handle signals yet.
        if moment == Moment::Profile && ["signal 2", "signal 15"].contains(&code) {
            return matches!(self, Self::SigTerm | Self::CtrlC);
        }
        let allowed: &[&str] = match self {
            Self::KillTool
            | Self::SecondRun
            | Self::SourceChanged
            | Self::Truncated
            | Self::Dropped => &["0", "signal 9"],
            Self::KillServer
            | Self::KillBackend
            | Self::Terminate
            | Self::Cut
            | Self::Stall
            | Self::HoldCommit
            | Self::Sleep => &["0"],
            Self::DiskFull => &["0", "1"],
            Self::SourceGone => &["0", "1", "4"],
            Self::SigTerm | Self::CtrlC => &["0", "5"],
            Self::TwoRuns => &["0", "4"],
        };
        allowed.contains(&code)
    }

    /// Whether the next run may refuse to resume (exit code 4), so that `--restart` is needed.
    pub fn may_want_restart(self) -> bool {
        matches!(self, Self::SourceGone | Self::SourceChanged | Self::Truncated | Self::Dropped)
    }
}

/// The phase in which a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Moment {
    /// While the source is read for the first time.
    Profile,
    /// While rows arrive.
    Copy,
    /// While indexes are built.
    Finish,
    /// While both sides are read again.
    Verify,
}

impl Moment {
    pub const ALL: [Self; 4] = [Self::Profile, Self::Copy, Self::Finish, Self::Verify];

    pub fn as_word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

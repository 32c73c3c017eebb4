//! Faults and the moments at which they strike.

use clap::ValueEnum;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Fault {
    /// `kill -9` of the program.
    KillTool,
    /// `kill -9` of the server's first process; it is started again.
    KillServer,
    /// `kill -9` of one of the server's processes; the server starts anew by itself.
    KillBackend,
    /// `pg_terminate_backend` of one of our sessions.
    Terminate,
    /// All connections are cut.
    Cut,
    /// Nothing passes for a while.
    Stall,
    /// A COMMIT reaches the server only after the program has connected again.
    HoldCommit,
    /// The program is killed, its sessions live on, and the next run starts at once.
    SecondRun,
    /// The target's disk is full.
    DiskFull,
    /// The source is renamed away.
    SourceGone,
    /// The program is killed, and a row of the source is changed.
    SourceChanged,
    /// SIGSTOP, and after a while SIGCONT.
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

    /// Its word on the command line and in the table.
    pub fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What it is, for the table.
    pub fn told(self) -> &'static str {
        match self {
            Self::KillTool => "kill -9 of the program",
            Self::KillServer => "kill -9 of the PostgreSQL server, then started again",
            Self::KillBackend => "kill -9 of one of its backends",
            Self::Terminate => "pg_terminate_backend of one of our sessions",
            Self::Cut => "all connections cut",
            Self::Stall => "nothing passes for a while",
            Self::HoldCommit => "a COMMIT held back until after the reconnect",
            Self::SecondRun => "killed, and run again while its sessions live on",
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

    /// The way to the server leads through the proxy.
    pub fn wants_proxy(self) -> bool {
        matches!(self, Self::Cut | Self::Stall | Self::HoldCommit | Self::SecondRun)
    }

    /// What SQLite makes beside a database that is read may stay: the program was killed, or could
    /// not find the database by its name to make sure that nobody else uses it.
    pub fn leaves_empty_logs(self) -> bool {
        self == Self::SourceGone || self.allows(Moment::Copy, "signal 9")
    }

    /// The way to the server is lost for a while.
    fn breaks_connections(self) -> bool {
        matches!(
            self,
            Self::KillServer | Self::KillBackend | Self::Terminate | Self::Cut | Self::HoldCommit
        )
    }

    /// How the run may end that the fault strikes at `moment`. Any may be over before, and one that
    /// has written nothing yet may fail where a connection is lost.
    pub fn allows(self, moment: Moment, code: &str) -> bool {
        if moment == Moment::Profile && self.breaks_connections() && code == "1" {
            return true;
        }
        // The first milliseconds of a program are before it listens to signals.
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

    /// The next run may refuse to go on (exit code 4), so that `--restart` has to be said.
    pub fn may_want_restart(self) -> bool {
        matches!(self, Self::SourceGone | Self::SourceChanged | Self::Truncated | Self::Dropped)
    }
}

/// When a fault strikes.
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

    pub fn word(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

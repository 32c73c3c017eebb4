//! `migrate private-server`: a PostgreSQL server for as long as a command runs.

use crate::error::{Error, Result};
use crate::postgres::server::{Options, PrivateServer, USER};
use signal_hook::consts::{SIGINT, SIGQUIT};
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The database that the command finds in its environment.
const DATABASE: &str = "postgres";

/// Runs a command with a private PostgreSQL server, or waits for the end of standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct PrivateServerArgs {
    /// A setting for postgresql.conf (repeatable)
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) settings: Vec<(String, String)>,
    /// Do without fsync: quicker, for data that may go
    #[arg(long)]
    pub(crate) volatile: bool,
    /// The command; it finds the server by PGHOST, PGPORT, PGUSER, PGDATABASE and DATABASE_URL
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a setting is written NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// Runs the command; the exit code is the command's own.
pub(crate) fn run(args: &PrivateServerArgs) -> Result<ExitCode> {
    let options =
        Options { durable: !args.volatile, settings: args.settings.clone(), ..Options::default() };
    let server = PrivateServer::start(&options)?;
    let Some((program, arguments)) = args.command.split_first() else {
        return wait_for_end_of_input(server);
    };
    // Ctrl-C on the terminal is for the command (psql stops a query by it): we go when it goes.
    // A handler, unlike ignoring the signal, is not handed down to the command.
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|e| Error::failed("cannot leave signals to the command").caused_by(e))?;
    }
    // The server's own programs come last: they serve where PATH has none.
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([server.programs().to_owned()]);
    let status = Command::new(program)
        .args(arguments)
        .env("PATH", env::join_paths(folders).unwrap_or(path.clone()))
        .env("PGHOST", server.folder())
        .env("PGPORT", server.port().to_string())
        .env("PGUSER", USER)
        .env("PGDATABASE", DATABASE)
        .env("DATABASE_URL", server.url(DATABASE))
        .status()
        .map_err(|e| {
            Error::failed(format!("cannot run {}", program.to_string_lossy())).caused_by(e)
        })?;
    server.stop()?;
    // As a shell tells of a command that a signal ended.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Prints the URL and serves until standard input ends. A signal ends us as any program: the
/// server goes with us.
fn wait_for_end_of_input(server: PrivateServer) -> Result<ExitCode> {
    let mut output = io::stdout();
    writeln!(output, "{}", server.url(DATABASE))
        .and_then(|()| output.flush())
        .map_err(|e| Error::failed("cannot write to standard output").caused_by(e))?;
    io::copy(&mut io::stdin(), &mut io::sink())
        .map_err(|e| Error::failed("cannot read standard input").caused_by(e))?;
    server.stop()?;
    Ok(ExitCode::SUCCESS)
}

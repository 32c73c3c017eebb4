//! `migrate private-server`: runs a command with a private PostgreSQL server.

use crate::cli::args::scripts::PrivateServerArgs;
use crate::cli::output::console::Console;
use crate::error::{Error, Result};
use crate::postgres::server::{Options, PrivateServer, USER};
use signal_hook::consts::{SIGINT, SIGQUIT};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{env, io};

/// The database in the command's environment.
const DATABASE: &str = "postgres";

/// Runs the command and returns its exit code.
pub(crate) fn run(args: &PrivateServerArgs, console: &mut Console) -> Result<ExitCode> {
    let options =
        Options { durable: !args.volatile, settings: args.settings.clone(), ..Options::default() };
    let server = PrivateServer::start(&options)?;
    let Some((program, arguments)) = args.command.split_first() else {
        return wait_for_end_of_input(server, console);
    };
    // Ctrl-C is for the command (psql cancels a query with it). The command inherits an ignored
    // signal but not a handler.
    for signal in [SIGINT, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .map_err(|e| Error::failed("cannot pass signals to the command").caused_by(e))?;
    }
    // The server's own programs come last, as a fallback for PATH.
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
    // A shell's exit code for a command that was ended by a signal.
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// Prints the URL and serves until standard input ends, or until a signal ends this program and
/// the server.
fn wait_for_end_of_input(server: PrivateServer, console: &mut Console) -> Result<ExitCode> {
    console.say(&server.url(DATABASE))?;
    io::copy(&mut io::stdin(), &mut io::sink())
        .map_err(|e| Error::failed("cannot read standard input").caused_by(e))?;
    server.stop()?;
    Ok(ExitCode::SUCCESS)
}

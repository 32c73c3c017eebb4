//! What is typed and what is shown: the only place that prints or draws.
//!
//! A command line goes through two steps. [`normalise`] and [`arguments`] say what was typed;
//! [`request`] makes of it what the program needs. A command then writes to its [`console`]:
//! what was asked for to standard output, errors and progress to standard error.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the floor that talks to people; the lints keep all others from it"
)]

pub(crate) mod args;
pub(crate) mod commands;
pub(crate) mod exit_code;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod request;

use crate::cli::args::normalize;
use crate::cli::args::normalize::Flags;
use crate::cli::args::usage_error;
use crate::cli::args::{Arguments, Command};
use crate::cli::commands::bench;
use crate::cli::commands::database;
use crate::cli::commands::generate;
use crate::cli::commands::help;
use crate::cli::commands::keys;
use crate::cli::commands::plan;
use crate::cli::commands::private_server;
use crate::cli::commands::provider;
use crate::cli::exit_code::Exit;
use crate::cli::output::console::Console;
use crate::cli::output::rerun_command::CommandLine;
use crate::cli::request::Request;
use crate::error::{Error, Result};
use crate::run::prepare;
use anstream::ColorChoice;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Runs the command line: `arguments` with the program's name first.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut typed = arguments;
    let program = typed.next().unwrap_or_else(|| "migrate".into());
    let typed: Vec<_> = typed.collect();
    // A panic has told itself on standard error; the shell must learn of it as of any failure.
    let run = AssertUnwindSafe(|| run(program, &typed));
    catch_unwind(run).unwrap_or_else(|_| Exit::Failed.into())
}

fn run(program: OsString, typed: &[OsString]) -> ExitCode {
    let normal = normalize::normalise(typed, &Flags::of(&Arguments::command()));
    choose_colour(normal.as_deref().unwrap_or_default());
    let mut console = Console::standard();
    let parsed = normal.map(|normal| {
        let whole = [&["migrate".into()], &normal[..]].concat();
        (Arguments::try_parse_from(whole), CommandLine::new(program, normal))
    });
    let command = match parsed {
        Err(error) => return console.fail(&error).into(),
        Ok((Ok(typed), line)) => typed.command.map(|command| (command, line)),
        Ok((Err(shown), _)) if !shown.use_stderr() => {
            return print(&mut console, |out| write!(out, "{}", shown.render().ansi())).into();
        }
        Ok((Err(error), _)) => return console.fail(&usage_error::from_clap(&error)).into(),
    };
    let Some((command, line)) = command else {
        // Where standard error is closed the exit code still tells it.
        let _ = write!(console.err, "{}", help::all().ansi());
        return Exit::Usage.into();
    };
    dispatch(command, &line, &mut console).unwrap_or_else(|error| console.fail(&error).into())
}

fn dispatch(command: Command, line: &CommandLine, console: &mut Console) -> Result<ExitCode> {
    let exit = match command {
        Command::Database(typed) => {
            let request = Request::database(*typed)
                .map_err(|error| database::with_recovery_hints(error, line, None))?;
            database::run(&request, line, console, prepare)
        }
        Command::Plan(typed) => plan::run(&Request::plan(*typed)?, console, prepare),
        Command::Provider(typed) => done(provider::run(&typed, console))?,
        Command::EncryptConfigValue(typed) => done(keys::encrypt(&typed, console))?,
        Command::GenerateKey(typed) => done(keys::generate(&typed, console))?,
        Command::Fingerprint(typed) => done(keys::fingerprint(&typed, console))?,
        Command::Bench(typed) => bench::run(&typed, console)?,
        Command::Help { command } => {
            let text = command.as_deref().map_or_else(|| Ok(help::all()), help::of)?;
            print(console, |out| write!(out, "{}", text.ansi()))
        }
        Command::Man => print(console, help::manual),
        Command::Generate(typed) => return generate::run(&typed),
        Command::PrivateServer(typed) => return private_server::run(&typed),
    };
    Ok(exit.into())
}

fn done(result: Result<()>) -> Result<Exit> {
    result.map(|()| Exit::Done)
}

/// Prints what was asked for. That the reader went away is no failure.
fn print(console: &mut Console, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Exit {
    match text(&mut console.out).and_then(|()| console.out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            console.fail(&Error::failed("standard output cannot be written").caused_by(cause))
        }
        _ => Exit::Done,
    }
}

/// Takes up --color before anything is printed, the parser's errors included. A word that it
/// does not know is the parser's to refuse.
fn choose_colour(normal: &[OsString]) {
    let choice = normal.iter().rev().find_map(|argument| {
        match argument.to_str()?.strip_prefix("--color=")? {
            "always" => Some(ColorChoice::Always),
            "never" => Some(ColorChoice::Never),
            _ => None,
        }
    });
    choice.unwrap_or(ColorChoice::Auto).write_global();
}

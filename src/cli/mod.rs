//! The command line: arguments in, text out. Only this folder prints.
//!
//! [`args`] defines and parses the arguments, [`request`] turns them into options, [`commands`] runs
//! them, and [`output`] writes: results to standard output, errors and progress to standard error.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this folder prints; the lints keep all others from printing"
)]

pub(crate) mod args;
pub(crate) mod commands;
pub(crate) mod exit_code;
pub(crate) mod long_flag;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod request;

use crate::cli::args::command::{Arguments, Command};
use crate::cli::args::normalize::{self, Flags};
use crate::cli::args::usage_error;
use crate::cli::commands::{bench, database, generate, help, keys, plan, private_server, provider};
use crate::cli::exit_code::Exit;
use crate::cli::output::console::{Console, output_error};
use crate::cli::output::rerun_command::CommandLine;
use crate::cli::request::Request;
use crate::error::Result;
use crate::run::prepare;
use anstream::ColorChoice;
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Runs the command line; the first of `arguments` is the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments;
    let program = arguments.next().unwrap_or_else(|| "migrate".into());
    let arguments: Vec<_> = arguments.collect();
    // The panic handler has printed the message; the exit code is that of a failure.
    let run = AssertUnwindSafe(|| run(program, &arguments));
    catch_unwind(run).unwrap_or_else(|_| Exit::Failed.into())
}

fn run(program: OsString, arguments: &[OsString]) -> ExitCode {
    let definition = Arguments::command();
    let normal = normalize::normalize(arguments, &Flags::from_command(&definition));
    choose_color(normal.as_deref().unwrap_or_default());
    let mut console = Console::standard();
    let normal = match normal {
        Ok(normal) => normal,
        Err(error) => return console.fail(&error).into(),
    };
    if let Some(error) = usage_error::misplaced_location(&normal) {
        return console.fail(&error).into();
    }
    let parsed = Arguments::try_parse_from([&["migrate".into()], &normal[..]].concat());
    let line = CommandLine::new(program, normal);
    let command = match parsed {
        Ok(parsed) => parsed.command,
        Err(shown) if !shown.use_stderr() => {
            return print(&mut console, |out| write!(out, "{}", shown.render().ansi())).into();
        }
        Err(error) => {
            let command = line.command().filter(|name| definition.find_subcommand(name).is_some());
            return console.fail(&usage_error::from_clap(&error, command)).into();
        }
    };
    let Some(command) = command else {
        // If standard error is closed, the exit code still shows the usage error.
        let _ = write!(console.err, "{}", help::overview().ansi());
        return Exit::Usage.into();
    };
    dispatch(command, &line, &mut console).unwrap_or_else(|error| console.fail(&error).into())
}

fn dispatch(command: Command, line: &CommandLine, console: &mut Console) -> Result<ExitCode> {
    let exit = match command {
        Command::Database(args) => {
            let request = Request::database(*args)
                .map_err(|error| database::with_recovery_hints(error, line, None))?;
            database::run(&request, line, console, prepare)
        }
        Command::Plan(args) => {
            let request = Request::plan(*args).map_err(|error| line.with_remedies(error))?;
            plan::run(&request, line, console, prepare)?
        }
        Command::Provider(args) => done(provider::run(&args, console))?,
        Command::EncryptConfigValue(args) => done(keys::encrypt(&args, console))?,
        Command::GenerateKey(args) => done(keys::generate(&args, console))?,
        Command::Fingerprint(args) => done(keys::fingerprint(&args, console))?,
        Command::Bench(args) => bench::run(&args, console)?,
        Command::Help { command } => {
            let text = command.as_deref().map_or_else(|| Ok(help::overview()), help::of_command)?;
            print(console, |out| write!(out, "{}", text.ansi()))
        }
        Command::Man => print(console, help::man_page),
        Command::Generate(args) => done(generate::run(&args, console))?,
        Command::PrivateServer(args) => return private_server::run(&args, console),
    };
    Ok(exit.into())
}

fn done(result: Result<()>) -> Result<Exit> {
    result.map(|()| Exit::Done)
}

/// Prints to standard output. A closed pipe is not a failure.
fn print(console: &mut Console, text: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Exit {
    match text(&mut console.out).and_then(|()| console.out.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            console.fail(&output_error(cause))
        }
        _ => Exit::Done,
    }
}

/// Applies --color before anything is printed, the parser's errors included. The parser refuses an
/// unknown value.
fn choose_color(arguments: &[OsString]) {
    let choice = arguments.iter().rev().find_map(|argument| {
        match argument.to_str()?.strip_prefix("--color=")? {
            "always" => Some(ColorChoice::Always),
            "never" => Some(ColorChoice::Never),
            _ => None,
        }
    });
    choice.unwrap_or(ColorChoice::Auto).write_global();
}

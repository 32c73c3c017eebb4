//! `migrate generate`: makes a usage database to try things with.

use crate::bench::generate::{Rows, generate};
use crate::error::{Error, Result};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Makes a usage database to try and measure with.
#[derive(Debug, clap::Args)]
pub(crate) struct GenerateArgs {
    /// The SQLite file to make; it must not exist
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// How many rows, over all tables: 100000, 250k, 12.5M
    #[arg(long, value_name = "N", default_value = "1M")]
    pub(crate) rows: Rows,
    /// The same seed and number of rows make the same data
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Runs the command.
///
/// # Errors
/// As [`generate`]; and where standard output cannot be written.
pub(crate) fn run(args: &GenerateArgs) -> Result<ExitCode> {
    let mut terminal = io::stderr();
    let drawn = terminal.is_terminal();
    let mut draw = |text: &str| {
        if drawn {
            // The line of progress is a courtesy: a terminal that is gone does not matter.
            let _ = write!(terminal, "\r\x1b[K{text}").and_then(|()| terminal.flush());
        }
    };
    let summary = generate(&args.file, args.rows, args.seed, &mut |what, rows| {
        draw(&format!("{what}: {rows} rows"));
        true
    });
    draw("");
    let summary = summary?;
    let rows: u64 = summary.tables.iter().map(|(_, rows)| rows).sum();
    let mut text = String::new();
    for (table, rows) in &summary.tables {
        text.push_str(&format!("{table:<16} {rows:>12}\n"));
    }
    text.push_str(&format!(
        "{rows} rows in {} tables with {} indexes, {} MB: {}\n",
        summary.tables.len(),
        summary.indexes,
        summary.bytes / 1_000_000,
        args.file.display()
    ));
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|e| Error::failed("cannot write to standard output").caused_by(e))?;
    Ok(ExitCode::SUCCESS)
}

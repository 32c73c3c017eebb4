//! `migrate generate`: creates a usage database for tests and measurements.

use crate::bench::generate::generate;
use crate::cli::args::scripts::GenerateArgs;
use crate::cli::output::console::Console;
use crate::cli::output::format::{bytes, counted};
use crate::error::Result;
use std::io::{self, IsTerminal, Write};

/// Runs the command. Errors: as [`generate`]; a failure if standard output cannot be written.
pub(crate) fn run(args: &GenerateArgs, console: &mut Console) -> Result<()> {
    let mut terminal = io::stderr();
    let is_drawn = terminal.is_terminal();
    let mut draw = |text: &str| {
        if is_drawn {
            // Progress is not essential: the run continues without a terminal.
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
        "{} in {} with {}, {}: {}",
        counted(rows, "row"),
        counted(summary.tables.len() as u64, "table"),
        counted(summary.indexes as u64, "index"),
        bytes(summary.bytes),
        args.file.display()
    ));
    console.say(&text)
}

//! The report of a measurement as text.

use crate::bench::report::{Effect, Report, Setting, Stage, Sweep, Work};
use crate::cli::output::format::{bytes, counted, escape_for_terminal, time};
use crate::cli::output::tables::{TITLE, notes, phases, write_aligned};
use crate::error::count;
use std::collections::BTreeSet;
use std::io::{self, Write};

const MIB: u64 = 1 << 20;

/// Writes `report`.
pub(crate) fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    head(out, report)?;
    let stages = report.stages.iter().map(stage_row);
    table(out, "stages, each alone", &STAGE_HEADS, stages.collect(), 1)?;
    let limits = report.limits.iter().map(|limit| {
        let seconds = format!("{:.2}", limit.seconds);
        vec![count(limit.connections as u64), seconds, megabytes(limit.bytes_per_second)]
    });
    let heads = ["connections", "seconds", "MB/s"];
    table(out, "the server's limit, by connections", &heads, limits.collect(), 0)?;
    whole(out, report)?;
    notes(out, "bottleneck", &bottleneck(report))?;
    if let Some(sweep) = &report.sweep {
        write_sweep(out, sweep)?;
    }
    write_settings(out, &report.settings)?;
    notes(out, "notes", &report.notes)?;
    writeln!(out, "\nmeasured in {}", time(report.seconds))
}

fn head(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let subject = &report.subject;
    match &subject.path {
        Some(path) => writeln!(out, "from {}", escape_for_terminal(path))?,
        None => {
            let seed = subject.seed.unwrap_or_default();
            writeln!(out, "from a generated usage database, seed {seed}")?;
        }
    }
    let server = &report.server;
    let kind = if server.private { "a private PostgreSQL" } else { "PostgreSQL" };
    writeln!(
        out,
        "to   {}, {kind} {}",
        escape_for_terminal(&server.address),
        escape_for_terminal(&server.version)
    )?;
    let (rows, tables) = (counted(subject.rows, "row"), counted(subject.tables as u64, "table"));
    writeln!(
        out,
        "{rows} in {tables}, {} of binary COPY (the unit of all MB/s)",
        bytes(subject.bytes)
    )?;
    let used = &report.used;
    writeln!(
        out,
        "{}, {}; {}, {}, {}, chunks of {} MiB; medians of {}",
        counted(report.machine.cores as u64, "core"),
        bytes(report.machine.memory),
        counted(used.readers as u64, "reader"),
        counted(used.encoders as u64, "encoder"),
        counted(used.writers as u64, "writer"),
        chunk(used.chunk_bytes),
        counted(report.rounds as u64, "round"),
    )
}

/// Writes lines with aligned columns under a title. The first `words` columns are aligned left.
fn table(
    out: &mut dyn Write,
    title: &str,
    heads: &[&str],
    rows: Vec<Vec<String>>,
    words: usize,
) -> io::Result<()> {
    writeln!(out, "\n{TITLE}{title}{TITLE:#}")?;
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    write_aligned(out, [vec![heads], rows].concat(), words)
}

const STAGE_HEADS: [&str; 8] =
    ["", "threads", "rows/s", "MB/s", "seconds", "client CPU s", "server CPU s", "memory"];

fn stage_row(stage: &Stage) -> Vec<String> {
    vec![
        stage.stage.title().to_owned(),
        count(stage.threads as u64),
        count(stage.rows_per_second.round() as u64),
        megabytes(stage.bytes_per_second),
        format!("{:.2}", stage.seconds),
        format!("{:.2}", stage.client_cpu_seconds),
        stage.server_cpu_seconds.map(|cpu| format!("{cpu:.2}")).unwrap_or_default(),
        stage.peak_memory.map(bytes).unwrap_or_default(),
    ]
}

fn megabytes(bytes_per_second: f64) -> String {
    let megabytes = bytes_per_second / 1e6;
    if megabytes < 99.95 { format!("{megabytes:.1}") } else { count(megabytes.round() as u64) }
}

/// A chunk size, in MiB.
fn chunk(bytes: u64) -> String {
    if bytes.is_multiple_of(MIB) {
        count(bytes / MIB)
    } else {
        format!("{:.2}", bytes as f64 / MIB as f64)
    }
}

fn whole(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut lines = vec![phases(&report.phases)];
    let work = &report.server_work;
    if let (Some(wal), Some(each)) = (work.wal_bytes, work.wal_bytes_per_row) {
        lines.push(format!("WAL: {}, {each:.0} bytes per row", bytes(wal)));
    }
    if let Some(forced) = work.forced_checkpoints {
        lines.push(format!("forced checkpoints: {}", count(forced)));
    }
    let (copy, whole) = (report.copy_to_limit, report.whole_to_limit);
    lines.push(format!("share of the server's limit: copy {copy:.2}, whole job {whole:.2}"));
    if let Some(ratio) = report.client_to_server_cpu {
        lines.push(format!("client/server CPU in the copy: {ratio:.2}"));
    }
    if let Some(made) = &report.generator {
        lines.push(format!(
            "generator: {} rows/s, {:.2} of SQLite's own {} rows/s",
            count(made.rows_per_second.round() as u64),
            made.of_the_limit,
            count(made.insert_rows_per_second.round() as u64)
        ));
    }
    notes(out, "the whole job", &lines)
}

fn bottleneck(report: &Report) -> Vec<String> {
    let found = &report.bottleneck;
    vec![format!("copy: {}", found.copy_reason), format!("phases: {}", found.phase_reason)]
}

/// Writes the seconds of the copy: a line for each number of writers, a column for each chunk size.
fn write_sweep(out: &mut dyn Write, sweep: &Sweep) -> io::Result<()> {
    let sizes: BTreeSet<u64> = sweep.cells.iter().map(|cell| cell.chunk_bytes).collect();
    let writers: BTreeSet<usize> = sweep.cells.iter().map(|cell| cell.writers).collect();
    let heads: Vec<String> = sizes.iter().map(|size| format!("{} MiB", chunk(*size))).collect();
    let heads: Vec<&str> = ["writers"].into_iter().chain(heads.iter().map(|s| &**s)).collect();
    let row = |writers: usize| {
        let seconds = |size: &u64| {
            let cells = &mut sweep.cells.iter();
            let cell = cells.find(|cell| (cell.writers, cell.chunk_bytes) == (writers, *size));
            cell.map(|cell| format!("{:.2}", cell.seconds)).unwrap_or_default()
        };
        [count(writers as u64)].into_iter().chain(sizes.iter().map(seconds)).collect()
    };
    let rows = writers.iter().map(|&writers| row(writers)).collect();
    table(out, "seconds of the copy, by writers and chunk size", &heads, rows, 0)?;
    let best = &sweep.best;
    writeln!(
        out,
        "  best: --writers {} --chunk-size {}, {} rows/s, {} MB/s{}",
        best.writers,
        size_flag(best.chunk_bytes),
        count(best.rows_per_second.round() as u64),
        megabytes(best.bytes_per_second),
        best.peak_memory.map(|peak| format!(", {}", bytes(peak))).unwrap_or_default()
    )
}

/// A size in the form of the flag.
fn size_flag(bytes: u64) -> String {
    if bytes.is_multiple_of(MIB) { format!("{}M", bytes / MIB) } else { bytes.to_string() }
}

fn write_settings(out: &mut dyn Write, settings: &[Setting]) -> io::Result<()> {
    let heads = ["", "value", "tried", "limit", "copy", "finish"];
    let row = |setting: &Setting| {
        let effect = |work| {
            let effect = setting.effects.iter().find(|effect| effect.work == work);
            effect.map(saving).unwrap_or_default()
        };
        vec![
            escape_for_terminal(&setting.name).into_owned(),
            escape_for_terminal(&setting.value).into_owned(),
            setting.tried.clone().unwrap_or_default(),
            effect(Work::Limit),
            effect(Work::Copy),
            effect(Work::Finish),
        ]
    };
    let rows = settings.iter().map(row).collect();
    let is_tried = settings.iter().any(|setting| !setting.effects.is_empty());
    let title = if is_tried {
        "server settings, and the time that another value saves (noise)"
    } else {
        "server settings"
    };
    table(out, title, if is_tried { &heads } else { &heads[..2] }, rows, 3)?;
    let advice = settings.iter().map(|setting| format!("{}: {}", setting.name, setting.advice));
    notes(out, "about these settings", &advice.collect::<Vec<_>>())
}

/// `12 % (±3)`, or `noise (±3 %)` if the effect is within the noise.
fn saving(effect: &Effect) -> String {
    let (saves, noise) = (100.0 * effect.saves, 100.0 * effect.noise);
    if effect.saves.abs() <= effect.noise {
        format!("noise (±{noise:.0} %)")
    } else {
        format!("{saves:.0} % (±{noise:.0})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::Cell;
    use crate::cli::output::tables::text;

    fn cell(writers: usize, chunk_bytes: u64, seconds: f64) -> Cell {
        Cell {
            writers,
            chunk_bytes,
            seconds,
            seconds_of_rounds: vec![seconds],
            rows_per_second: 1_000_000.0 / seconds,
            bytes_per_second: 115_000_000.0 / seconds,
            peak_memory: Some(90_000_000),
        }
    }

    #[test]
    fn the_sweep_is_a_grid_with_the_flags_of_the_best_cell() {
        let mut cells = Vec::new();
        for (index, size) in [1, 8].into_iter().enumerate() {
            for writers in [1, 2] {
                cells.push(cell(writers, size * MIB, 4.0 - writers as f64 - 0.5 * index as f64));
            }
        }
        let best = cells[3].clone();
        let written = text(|out| write_sweep(out, &Sweep { cells, best }));
        let expected = "
seconds of the copy, by writers and chunk size
  writers  1 MiB  8 MiB
        1   3.00   2.50
        2   2.00   1.50
  best: --writers 2 --chunk-size 8M, 666,667 rows/s, 76.7 MB/s, 90.0 MB
";
        assert_eq!(written, expected);
    }

    #[test]
    fn a_saving_within_the_noise_is_shown_as_noise() {
        let setting = |name: &str, saves, noise| Setting {
            name: name.to_owned(),
            value: "1GB".to_owned(),
            tried: Some("16GB".to_owned()),
            effects: vec![Effect {
                work: Work::Copy,
                seconds: 1.0,
                seconds_tried: 1.0,
                saves,
                noise,
            }],
            advice: "reload".to_owned(),
        };
        let all = [setting("a", 0.25, 0.04), setting("b", -0.03, 0.04), setting("c", -0.5, 0.04)];
        let written = text(|out| write_settings(out, &all));
        let expected = "
server settings, and the time that another value saves (noise)
     value  tried  limit          copy  finish
  a  1GB    16GB             25 % (±4)
  b  1GB    16GB          noise (±4 %)
  c  1GB    16GB            -50 % (±4)

about these settings
  a: reload
  b: reload
  c: reload
";
        assert_eq!(written, expected);
    }
}

//! The limits of `scripts/bench` and `scripts/bench-back`.
//!
//! - `limits copy URL CONNECTIONS TABLE=FILE...` loads binary COPY files in the given order, each in a
//!   transaction of its own, over several connections, in messages of 1 MiB. It prints the seconds from
//!   the first message to the last commit. Table names are not quoted.
//! - `limits scan FILE` steps once through all rows of a SQLite database and prints the seconds.
//! - `limits fill FILE NEW` creates the tables of a SQLite database, without indexes, in the new file NEW
//!   and inserts the same rows: one thread, one prepared statement per table, no journal, one transaction.
//!   The values are in memory, a few thousand rows at a time. It prints the seconds of the inserts and the
//!   commit, without the reading.

use migrate::internals::{CancelScope, insert_limit};
use rusqlite::OpenFlags;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// The size of one protocol message: the driver sends each write of more than 4 KiB as a message.
const MESSAGE: usize = 1 << 20;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seconds = match words.as_slice() {
        ["copy", url, connections, files @ ..] => copy(url, connections.parse()?, files)?,
        ["scan", file] => scan(file)?,
        ["fill", file, new] => fill(file, new)?,
        _ => {
            return Err("usage: limits copy URL CONNECTIONS TABLE=FILE... | limits scan FILE | \
                        limits fill FILE NEW"
                .into());
        }
    };
    writeln!(io::stdout(), "{seconds:.3}")?;
    Ok(())
}

/// Scans all rows without reading values; returns the seconds.
fn scan(file: &str) -> Outcome<f64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(file, flags)?;
    let started = Instant::now();
    for (name, _) in insert_limit::tables(&connection)? {
        let mut statement = connection.prepare(&format!("SELECT * FROM \"{name}\""))?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(started.elapsed().as_secs_f64())
}

/// Inserts ready values into the same tables; returns the seconds.
fn fill(file: &str, new: &str) -> Outcome<f64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = rusqlite::Connection::open_with_flags(file, flags)?;
    let filled = insert_limit::fill(&source, Path::new(new), &CancelScope::default())?;
    Ok(filled.seconds)
}

fn copy(url: &str, connections: usize, files: &[&str]) -> Outcome<f64> {
    let mut clients = (0..connections).map(|_| connect(url)).collect::<Outcome<Vec<_>>>()?;
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    thread::scope(|scope| {
        let loaders: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(|| load_all(client, files, &next)))
            .collect();
        loaders.into_iter().try_for_each(|loader| {
            loader.join().unwrap_or_else(|_| Err("a connection's thread panicked".into()))
        })
    })?;
    Ok(started.elapsed().as_secs_f64())
}

fn connect(url: &str) -> Outcome<postgres::Client> {
    let mut client = postgres::Client::connect(url, postgres::NoTls)?;
    // Like the pipeline, which does not wait for the disk.
    client.batch_execute("SET synchronous_commit = off")?;
    Ok(client)
}

fn load_all(client: &mut postgres::Client, files: &[&str], next: &AtomicUsize) -> Outcome<()> {
    let mut message = vec![0; MESSAGE];
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let (table, path) = file.split_once('=').ok_or("a file is given as TABLE=FILE")?;
        let mut file = File::open(path)?;
        let mut copy = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT binary)"))?;
        loop {
            let length = read_full(&mut file, &mut message)?;
            if length == 0 {
                break;
            }
            copy.write_all(&message[..length])?;
        }
        copy.finish()?;
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            read => length += read,
        }
    }
    Ok(length)
}

//! The parallel scan of all tables.

use crate::control::cancel::CancelScope;
use crate::control::lock;
use crate::control::progress::PhaseProgress;
use crate::error::{Result, count, plural};
use crate::schema::RowAddress;
use crate::schema::chunk::KeyRange;
use crate::schema::names::quote;
use crate::sqlite::read::chunk_reader::{read_error, scan};
use crate::sqlite::read::profile::table::{
    MAX_BOUND_BYTES, Segment, TableProfile, TableProfileSpec,
};
use crate::sqlite::read::profile::unique::KeyDigests;
use crate::sqlite::read::profile::work::{Part, RowsPart, Work};
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::connection::SourceConnection;
use bytes::BytesMut;
use rusqlite::{Connection, ffi};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Rows between two checks whether to stop or to share work.
const ROWS_BETWEEN_CHECKS: u64 = 1024;

/// Segments per chunk: the more, the more even the chunks.
const SEGMENTS_PER_CHUNK: u64 = 8;

pub(crate) struct ProfileOptions<'a> {
    /// The number of threads, each with its own connection.
    pub(crate) threads: usize,
    /// The size of a chunk, in bytes of tuples.
    pub(crate) chunk_bytes: u64,
    /// The counter of scanned rows.
    pub(crate) progress: &'a PhaseProgress,
    /// Ends the profile early.
    pub(crate) cancel: &'a CancelScope,
}

/// Profiles all tables. Errors: a table cannot be read, or the run was stopped.
pub(crate) fn profile(
    connect: &(dyn Fn() -> Result<SourceConnection> + Sync),
    specs: &[TableProfileSpec],
    options: &ProfileOptions<'_>,
) -> Result<Vec<TableProfile>> {
    let work = Work::new(specs);
    let profiles: Vec<Mutex<TableProfile>> =
        specs.iter().map(|spec| Mutex::new(TableProfile::new(spec))).collect();
    // The next table whose rows are counted.
    let counted = AtomicUsize::new(0);
    let cancel = options.cancel.child();
    let options = ProfileOptions { cancel: &cancel, ..*options };
    let scan_all = || -> Result<()> {
        let connection = connect()?;
        while let Some(part) = work.take(&cancel) {
            match part {
                Part::Rows(part) => {
                    let scan = Scan::new(&specs[part.table], &options, &work, part)?;
                    lock(&profiles[part.table]).absorb(scan.run(&connection)?);
                }
                Part::Index(table, index, part) => part.run(
                    &specs[table].unique[index],
                    &connection,
                    &cancel,
                    |change| change(&mut lock(&profiles[table]).unique[index]),
                    |part| work.give(Part::Index(table, index, part)),
                )?,
            }
            work.done();
        }
        // All parts have ended, or the profile is stopped.
        cancel.check()?;
        loop {
            let index = counted.fetch_add(1, Ordering::Relaxed);
            let table = specs.get(index).zip(profiles.get(index));
            let Some((spec, profile)) = table else { return Ok(()) };
            check_count(&connection, &spec.query, &lock(profile))?;
        }
    };
    cancel.clone().run_threads(options.threads.max(1), "a profiling thread", scan_all)?;
    Ok(profiles
        .into_iter()
        .map(|p| p.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect())
}

/// The scan of one part.
struct Scan<'a> {
    spec: &'a TableProfileSpec,
    options: &'a ProfileOptions<'a>,
    work: &'a Work,
    part: RowsPart,
    found: TableProfile,
    segment: Segment,
    segment_bytes: u64,
}

impl<'a> Scan<'a> {
    fn new(
        spec: &'a TableProfileSpec,
        options: &'a ProfileOptions<'a>,
        work: &'a Work,
        part: RowsPart,
    ) -> Result<Self> {
        spec.query.check()?;
        Ok(Self {
            spec,
            options,
            work,
            part,
            found: TableProfile::new(spec),
            segment: Segment::default(),
            segment_bytes: (options.chunk_bytes / SEGMENTS_PER_CHUNK).max(1),
        })
    }

    fn run(mut self, connection: &SourceConnection) -> Result<TableProfile> {
        let query = &self.spec.query;
        let failed = |error: rusqlite::Error| read_error(&query.table, error);
        let range = match (&query.address, self.part.keys) {
            (RowAddress::Integer { .. }, Some((first, last))) => KeyRange::Integer { first, last },
            (RowAddress::Integer { column }, None) => {
                let bounds = key_bounds(connection, &query.table, column).map_err(failed)?;
                let Some((_, max_key)) = bounds else { return Ok(self.found) };
                // In a damaged b-tree, other keys can be outside of these bounds.
                let (first, last) = (i64::MIN, i64::MAX);
                (self.part.keys, self.part.max_key) = (Some((first, last)), max_key);
                KeyRange::Integer { first, last }
            }
            (RowAddress::Key { .. }, _) => KeyRange::Key { after: None, through: None },
            (RowAddress::Ordinal, _) => KeyRange::Ordinal { skip: 0, rows: 0 },
        };
        let mut scratch = BytesMut::new();
        let mut keys = KeyDigests::new(&self.spec.unique);
        scan(connection, query, &range, |row| {
            let row_number = match self.part.keys {
                Some((_, last)) => {
                    let key = row.integer_key();
                    // Another thread may have taken over the rest of the range.
                    if key > last {
                        return Ok(ControlFlow::Break(()));
                    }
                    key
                }
                None => self.found.rows as i64 + 1,
            };
            keys.start_row(row_number);
            let mut bytes = 2 + 4 * query.columns.len() as u64;
            let columns = &mut self.found.columns;
            for (number, ((raw, column), spec)) in
                row.zip(columns).zip(&self.spec.columns).enumerate()
            {
                bytes += raw.width() as u64;
                column.add(raw, row_number, spec, &mut scratch);
                keys.add(number, raw);
            }
            keys.end_row(&mut self.found.unique);
            if scratch.capacity() as u64 > self.options.chunk_bytes {
                scratch = BytesMut::new();
            }
            self.add_row(row_number, bytes);
            if self.segment.bytes >= self.segment_bytes {
                let mut key = row.key_values();
                // Long enough to see later that the key is too long.
                key.iter_mut().for_each(|value| value.truncate(MAX_BOUND_BYTES + 1));
                self.segment.through = Some(key);
                self.end_segment();
            }
            if self.found.rows.is_multiple_of(ROWS_BETWEEN_CHECKS) {
                self.check(row_number)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.end_segment();
        self.found.searched = self.part.keys.is_some() && !connection.reads_pages_of(&query.table);
        let uncounted = self.found.rows % ROWS_BETWEEN_CHECKS;
        self.options.progress.done.fetch_add(uncounted, Ordering::Relaxed);
        Ok(self.found)
    }

    fn add_row(&mut self, row: i64, bytes: u64) {
        // A row larger than a chunk gets a chunk of its own, so that it passes the memory budget
        // alone. With composite keys it shares a chunk with at most one segment.
        if bytes > self.options.chunk_bytes && self.part.keys.is_some() {
            self.end_segment();
        }
        if self.segment.rows == 0 {
            self.segment.keys.0 = row;
        }
        self.segment.keys.1 = row;
        self.segment.rows += 1;
        self.segment.bytes += bytes;
        self.found.rows += 1;
        self.found.bytes += bytes;
        self.found.largest_row = self.found.largest_row.max(bytes);
    }

    fn end_segment(&mut self) {
        if self.segment.rows > 0 {
            self.found.segments.push(std::mem::take(&mut self.segment));
        }
    }

    /// Counts the rows, ends if the profile is stopped, and shares the rest with an idle thread.
    fn check(&mut self, row: i64) -> Result<()> {
        self.options.progress.done.fetch_add(ROWS_BETWEEN_CHECKS, Ordering::Relaxed);
        self.options.cancel.check()?;
        let max_key = self.part.max_key;
        if let Some((_, last)) = &mut self.part.keys
            && self.work.has_idle_thread()
            && let left = i128::from(max_key.min(*last)) - i128::from(row)
            && left > i128::from(4 * ROWS_BETWEEN_CHECKS)
        {
            let middle = (i128::from(row) + left / 2) as i64;
            let rest = RowsPart { keys: Some((middle + 1, *last)), ..self.part };
            *last = middle;
            self.work.give(Part::Rows(rest));
        }
        Ok(())
    }
}

/// Refuses a table if a search by key misses some of its rows. It misses rows that are not in the
/// order of their keys, so the rows are counted without the keys.
fn check_count(connection: &Connection, query: &TableQuery, profile: &TableProfile) -> Result<()> {
    if !profile.searched {
        return Ok(());
    }
    let table = quote(&query.table);
    let sql = format!("SELECT count(*) FROM {table} NOT INDEXED");
    let failed = |error| read_error(&query.table, error);
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(failed)?;
    if rows.unsigned_abs() == profile.rows {
        return Ok(());
    }
    let (rows, found) = (plural(rows.unsigned_abs(), "row", "rows"), count(profile.rows));
    let why = format!("it has {rows}, and a search by key finds {found} of them");
    let corrupt = ffi::Error::new(ffi::SQLITE_CORRUPT);
    Err(failed(rusqlite::Error::SqliteFailure(corrupt, Some(why))))
}

/// The smallest and the largest integer key. One query for both would read the whole table.
fn key_bounds(
    connection: &Connection,
    table: &str,
    column: &str,
) -> rusqlite::Result<Option<(i64, i64)>> {
    let (table, column) = (quote(table), quote(column));
    let one = |end: &str| -> rusqlite::Result<Option<i64>> {
        let sql = format!("SELECT {end}({column}) FROM {table} NOT INDEXED");
        connection.query_row(&sql, [], |row| row.get(0))
    };
    Ok(one("min")?.zip(one("max")?))
}

//! The profile: one parallel scan of every stored value, before anything is written.
//!
//! It finds what each column really holds (any storage class may stand in any column), which of
//! the candidate casts fit, and where the table can be cut into chunks of even size. Threads
//! share the work by splitting the key range that is left of a scan whenever one of them is idle,
//! so that neither one big table nor sparse keys keep all but one waiting.

use crate::codec::encode::column_encoder;
use crate::codec::encode::column_encoder::characters;
use crate::codec::encode::column_encoder::{
    BOOLEAN_WORDS, ColumnEncoder, Encoding, Fidelity, Misfit,
};
use crate::codec::sqlite_value::EXACT_IN_DOUBLE;
use crate::codec::sqlite_value::SqliteValue;
use crate::control::progress::PhaseProgress;
use crate::error::{Error, Result};
use crate::schema::RowAddress;
use crate::schema::chunk::{Chunk, KeyRange, KeyValue};
use crate::schema::names::quote;
use crate::sqlite::SourceConnection;
use crate::sqlite::read::chunk_reader::{Next, read_error, scan};
use crate::sqlite::read::query::TableQuery;
use bytes::BytesMut;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// How many places (rowids, row numbers) are kept of each kind of finding.
const PLACES: usize = 3;

/// Rows between two looks at whether to stop or to share work.
const ROWS_BETWEEN_CHECKS: u64 = 1024;

/// The longest key that may bound a range, in bytes: bounds are kept in memory and in the ledger.
const MAX_BOUND: usize = 4096;

/// Stretches a chunk is put together from: the finer, the more even the chunks.
const STRETCHES_PER_CHUNK: u64 = 8;

/// A count, and the first places where it was found: rowids, or row numbers in storage order from
/// 1 where there is no rowid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// How often.
    pub(crate) count: u64,
    /// The first places, ascending.
    pub(crate) places: Vec<i64>,
}

impl Tally {
    /// One more, at `place`; places come in ascending order.
    #[inline]
    pub(crate) fn add(&mut self, place: i64) {
        self.count += 1;
        if self.places.len() < PLACES {
            self.places.push(place);
        }
    }

    /// Adds what another part of the scan found.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.places.extend_from_slice(&other.places);
        self.places.sort_unstable();
        self.places.truncate(PLACES);
    }
}

/// What the values say about one candidate cast.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The cast.
    pub(crate) cast: ColumnEncoder,
    /// Values that arrive converted.
    pub(crate) converted: u64,
    /// Values that do not fit. Counted to the end only for a column's first candidate; a later
    /// one is given up at its first misfit.
    pub(crate) misfits: Tally,
    /// Why the first of them does not fit.
    pub(crate) reason: Option<Misfit>,
}

/// What a column holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnProfile {
    /// NULLs.
    pub(crate) nulls: u64,
    /// Integers.
    pub(crate) integers: Tally,
    /// Reals.
    pub(crate) reals: Tally,
    /// Texts.
    pub(crate) texts: Tally,
    /// Blobs.
    pub(crate) blobs: Tally,
    /// The least and the greatest integer.
    pub(crate) range: Option<(i64, i64)>,
    /// Integers that a double does not hold exactly.
    pub(crate) wide_integers: Tally,
    /// Reals without a fraction (infinities included).
    pub(crate) whole_reals: u64,
    /// Texts with a NUL character.
    pub(crate) nul_texts: Tally,
    /// Texts that are not valid in their encoding.
    pub(crate) invalid_texts: Tally,
    /// The longest text or blob, in bytes.
    pub(crate) longest: u64,
    /// The longest text in characters; only where the declared type limits it.
    pub(crate) longest_characters: u64,
    /// Which pairs of [`BOOLEAN_WORDS`] occur, as bits; only where a boolean is a candidate.
    pub(crate) word_pairs: u8,
    /// The candidates, in order of preference.
    pub(crate) candidates: Vec<Candidate>,
}

impl ColumnProfile {
    fn new(wanted: &ColumnProfileSpec) -> Self {
        let candidates = wanted
            .candidates
            .iter()
            .map(|&cast| Candidate { cast, converted: 0, misfits: Tally::default(), reason: None })
            .collect();
        Self { candidates, ..Self::default() }
    }

    /// Values that are not NULL.
    pub(crate) fn values(&self) -> u64 {
        self.integers.count + self.reals.count + self.texts.count + self.blobs.count
    }

    #[inline]
    fn add(
        &mut self,
        raw: SqliteValue<'_>,
        place: i64,
        wanted: &ColumnProfileSpec,
        scratch: &mut BytesMut,
    ) {
        match raw {
            SqliteValue::Null => {
                self.nulls += 1;
                return;
            }
            SqliteValue::Integer(integer) => {
                self.integers.add(place);
                let (least, greatest) = self.range.get_or_insert((integer, integer));
                *least = (*least).min(integer);
                *greatest = (*greatest).max(integer);
                if integer.unsigned_abs() > EXACT_IN_DOUBLE.unsigned_abs() {
                    self.wide_integers.add(place);
                }
            }
            SqliteValue::Real(real) => {
                self.reals.add(place);
                if real.fract() == 0.0 || real.is_infinite() {
                    self.whole_reals += 1;
                }
            }
            SqliteValue::Text(text) => self.add_text(text, place, wanted),
            SqliteValue::Blob(blob) => {
                self.blobs.add(place);
                self.longest = self.longest.max(blob.len() as u64);
            }
        }
        if !self.candidates.is_empty() {
            self.try_candidates(raw, place, scratch);
        }
    }

    #[inline]
    fn add_text(&mut self, text: &[u8], place: i64, wanted: &ColumnProfileSpec) {
        self.texts.add(place);
        self.longest = self.longest.max(text.len() as u64);
        match column_encoder::check_text(text) {
            Err(Misfit::NulInText) => self.nul_texts.add(place),
            Err(Misfit::InvalidText) => self.invalid_texts.add(place),
            _ => {}
        }
        if wanted.characters {
            self.longest_characters = self.longest_characters.max(characters(text));
        }
    }

    fn try_candidates(&mut self, raw: SqliteValue<'_>, place: i64, scratch: &mut BytesMut) {
        for (place_in_list, candidate) in self.candidates.iter_mut().enumerate() {
            if place_in_list > 0 && candidate.misfits.count > 0 {
                continue;
            }
            if candidate.cast.form == Encoding::Boolean
                && let SqliteValue::Text(text) = raw
                && let Some((pair, _)) = column_encoder::boolean_word(text)
            {
                const { assert!(BOOLEAN_WORDS.len() <= 8) };
                self.word_pairs |= 1 << pair;
            }
            scratch.clear();
            match candidate.cast.encode(raw, scratch) {
                Ok(Fidelity::Exact) => {}
                Ok(Fidelity::Converted) => candidate.converted += 1,
                Err(misfit) => {
                    candidate.misfits.add(place);
                    candidate.reason.get_or_insert(misfit);
                }
            }
        }
    }

    /// Adds what another part of the scan, or another column, found. Candidates are added up only
    /// where they are the same ones.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        for (mine, theirs) in [
            (&mut self.integers, &other.integers),
            (&mut self.reals, &other.reals),
            (&mut self.texts, &other.texts),
            (&mut self.blobs, &other.blobs),
            (&mut self.wide_integers, &other.wide_integers),
            (&mut self.nul_texts, &other.nul_texts),
            (&mut self.invalid_texts, &other.invalid_texts),
        ] {
            mine.merge(theirs);
        }
        self.range = match (self.range, other.range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, None) => one,
            (None, other) => other,
        };
        self.whole_reals += other.whole_reals;
        self.longest = self.longest.max(other.longest);
        self.longest_characters = self.longest_characters.max(other.longest_characters);
        self.word_pairs |= other.word_pairs;
        for (mine, theirs) in self.candidates.iter_mut().zip(&other.candidates) {
            if mine.cast == theirs.cast {
                mine.converted += theirs.converted;
                mine.misfits.merge(&theirs.misfits);
                mine.reason = mine.reason.or(theirs.reason);
            }
        }
    }
}

/// A stretch of rows in storage order: what chunks are put together from.
#[derive(Debug, Clone)]
struct Segment {
    /// The first and the last integer key, for tables that have one.
    keys: (i64, i64),
    /// The last row's key, for tables with a composite one.
    through: Option<Vec<KeyValue>>,
    rows: u64,
    bytes: u64,
}

/// What a table holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableProfile {
    /// Rows.
    pub(crate) rows: u64,
    /// Their size as tuples before any cast.
    pub(crate) bytes: u64,
    /// The size of the largest of them.
    pub(crate) largest_row: u64,
    /// The columns, in the order of the query.
    pub(crate) columns: Vec<ColumnProfile>,
    stretches: Vec<Segment>,
}

/// What is wanted of a column.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnProfileSpec {
    /// Casts to try on each value, in order of preference.
    pub(crate) candidates: Vec<ColumnEncoder>,
    /// The longest text is wanted in characters.
    pub(crate) characters: bool,
}

/// What is wanted of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableProfileSpec {
    /// How it is read.
    pub(crate) query: TableQuery,
    /// What is wanted of each column, in the query's order.
    pub(crate) columns: Vec<ColumnProfileSpec>,
}

/// How the scan is done.
pub(crate) struct ProfileOptions<'a> {
    /// Threads, each with a connection of its own.
    pub(crate) threads: usize,
    /// The size of a chunk, in bytes of tuples.
    pub(crate) chunk_bytes: u64,
    /// Where rows done are counted.
    pub(crate) progress: &'a PhaseProgress,
    /// Set from outside to end early.
    pub(crate) stop: &'a AtomicBool,
}

/// Profiles all tables.
///
/// # Errors
/// A table cannot be read, or the run is being stopped.
pub(crate) fn profile(
    connect: &(dyn Fn() -> Result<SourceConnection> + Sync),
    wanted: &[TableProfileSpec],
    options: &ProfileOptions<'_>,
) -> Result<Vec<TableProfile>> {
    let work = Work::new(wanted.len());
    let profiles: Vec<Mutex<TableProfile>> = wanted
        .iter()
        .map(|table| {
            let columns = table.columns.iter().map(ColumnProfile::new).collect();
            Mutex::new(TableProfile { columns, ..TableProfile::default() })
        })
        .collect();
    let one_thread = || -> Result<()> {
        let _leaving = Leaving(&work);
        let scan_all = || -> Result<()> {
            let connection = connect()?;
            while let Some(piece) = work.take() {
                let scan = Scan::new(&wanted[piece.table], options, &work, piece)?;
                lock(&profiles[piece.table]).absorb(scan.run(&connection)?);
                work.done();
            }
            Ok(())
        };
        // Told before the others are made to leave: the first error is the one that counts.
        scan_all().inspect_err(|error| _ = lock(&work.error).get_or_insert(error.clone()))
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..options.threads.max(1)).map(|_| scope.spawn(one_thread)).collect();
        for thread in threads {
            let panicked = |_| Err(Error::failed("internal error: a profiling thread panicked"));
            if let Err(error) = thread.join().unwrap_or_else(panicked) {
                lock(&work.error).get_or_insert(error);
            }
        }
    });
    if let Some(error) = work.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    Ok(profiles
        .into_iter()
        .map(|p| p.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TableProfile {
    fn absorb(&mut self, part: Self) {
        self.rows += part.rows;
        self.bytes += part.bytes;
        self.largest_row = self.largest_row.max(part.largest_row);
        for (mine, theirs) in self.columns.iter_mut().zip(&part.columns) {
            mine.merge(theirs);
        }
        self.stretches.extend(part.stretches);
    }

    /// How the rows are addressed, given how it was wished: by their number where a key that would
    /// bound a range is too long to be kept.
    pub(crate) fn address(&self, wished: RowAddress) -> RowAddress {
        let long = |key: &Vec<KeyValue>| key.iter().map(KeyValue::len).sum::<usize>() > MAX_BOUND;
        let mut bounds = self.stretches.iter().filter_map(|stretch| stretch.through.as_ref());
        if matches!(wished, RowAddress::Key { .. }) && bounds.any(long) {
            return RowAddress::Ordinal;
        }
        wished
    }

    /// Cuts the table into chunks of about `chunk_bytes`, in storage order.
    pub(crate) fn chunks(&mut self, address: &RowAddress, chunk_bytes: u64) -> Vec<Chunk> {
        if matches!(address, RowAddress::Integer { .. }) {
            self.stretches.sort_unstable_by_key(|stretch| stretch.keys.0);
        }
        let mut merged: Vec<Segment> = Vec::new();
        for stretch in self.stretches.drain(..) {
            match merged.last_mut() {
                Some(last) if last.bytes + stretch.bytes <= chunk_bytes => {
                    last.keys.1 = stretch.keys.1;
                    last.through = stretch.through;
                    last.rows += stretch.rows;
                    last.bytes += stretch.bytes;
                }
                _ => merged.push(stretch),
            }
        }
        let mut chunks = Vec::with_capacity(merged.len());
        let mut after = None;
        let mut skip = 0;
        let count = merged.len();
        for (place, stretch) in merged.into_iter().enumerate() {
            let range = match address {
                RowAddress::Integer { .. } => {
                    KeyRange::Integer { first: stretch.keys.0, last: stretch.keys.1 }
                }
                RowAddress::Key { .. } => {
                    let through = if place + 1 == count { None } else { stretch.through };
                    KeyRange::Key { after: std::mem::replace(&mut after, through.clone()), through }
                }
                RowAddress::Ordinal => KeyRange::Ordinal { skip, rows: stretch.rows },
            };
            skip += stretch.rows;
            chunks.push(Chunk {
                number: place as u32 + 1,
                range,
                rows: stretch.rows,
                bytes: stretch.bytes,
            });
        }
        chunks
    }
}

/// A part of the scan: a table, and for tables with an integer key a part of its range.
#[derive(Debug, Clone, Copy)]
struct Piece {
    table: usize,
    keys: Option<(i64, i64)>,
}

/// Pieces waiting, and how many are being scanned.
struct Work {
    state: Mutex<(Vec<Piece>, usize)>,
    changed: Condvar,
    idle: AtomicUsize,
    over: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Work {
    fn new(tables: usize) -> Self {
        let pieces = (0..tables).rev().map(|table| Piece { table, keys: None }).collect();
        Self {
            state: Mutex::new((pieces, 0)),
            changed: Condvar::new(),
            idle: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// The next piece; waits while others may still share theirs.
    fn take(&self) -> Option<Piece> {
        let mut state = lock(&self.state);
        loop {
            if self.over.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(piece) = state.0.pop() {
                state.1 += 1;
                return Some(piece);
            }
            if state.1 == 0 {
                return None;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn give(&self, piece: Piece) {
        lock(&self.state).0.push(piece);
        self.changed.notify_one();
    }

    fn done(&self) {
        lock(&self.state).1 -= 1;
        self.changed.notify_all();
    }
}

/// Ends the wait of the others when a thread leaves early, by an error or a panic. A thread that
/// found no more work leaves too; then there is none for the others either.
struct Leaving<'a>(&'a Work);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let _state = lock(&self.0.state);
        self.0.over.store(true, Ordering::Relaxed);
        self.0.changed.notify_all();
    }
}

/// The scan of one piece.
struct Scan<'a> {
    wanted: &'a TableProfileSpec,
    options: &'a ProfileOptions<'a>,
    work: &'a Work,
    piece: Piece,
    found: TableProfile,
    stretch: Segment,
    stretch_bytes: u64,
}

impl<'a> Scan<'a> {
    fn new(
        wanted: &'a TableProfileSpec,
        options: &'a ProfileOptions<'a>,
        work: &'a Work,
        piece: Piece,
    ) -> Result<Self> {
        wanted.query.check()?;
        let columns = wanted.columns.iter().map(ColumnProfile::new).collect();
        Ok(Self {
            wanted,
            options,
            work,
            piece,
            found: TableProfile { columns, ..TableProfile::default() },
            stretch: Segment { keys: (0, 0), through: None, rows: 0, bytes: 0 },
            stretch_bytes: (options.chunk_bytes / STRETCHES_PER_CHUNK).max(1),
        })
    }

    fn run(mut self, connection: &SourceConnection) -> Result<TableProfile> {
        let query = &self.wanted.query;
        let failed = |error: rusqlite::Error| read_error(&query.table, error);
        let range = match (&query.address, self.piece.keys) {
            (RowAddress::Integer { .. }, Some((first, last))) => KeyRange::Integer { first, last },
            (RowAddress::Integer { column }, None) => {
                let Some((first, last)) = ends(connection, &query.table, column).map_err(failed)?
                else {
                    return Ok(self.found);
                };
                self.piece.keys = Some((first, last));
                KeyRange::Integer { first, last }
            }
            (RowAddress::Key { .. }, _) => KeyRange::Key { after: None, through: None },
            (RowAddress::Ordinal, _) => KeyRange::Ordinal { skip: 0, rows: 0 },
        };
        let mut scratch = BytesMut::new();
        scan(connection, query, &range, |row| {
            let place = match self.piece.keys {
                Some((_, last)) => {
                    let key = row.integer_key();
                    // The rest of the range may have been given away since the scan began.
                    if key > last {
                        return Ok(Next::Stop);
                    }
                    key
                }
                None => self.found.rows as i64 + 1,
            };
            let mut bytes = 2 + 4 * query.columns.len() as u64;
            let columns = &mut self.found.columns;
            for ((raw, column), wanted) in row.zip(columns).zip(&self.wanted.columns) {
                bytes += raw.width() as u64;
                column.add(raw, place, wanted, &mut scratch);
            }
            if scratch.capacity() as u64 > self.options.chunk_bytes {
                scratch = BytesMut::new();
            }
            self.add_row(place, bytes);
            if self.stretch.bytes >= self.stretch_bytes {
                let mut key = row.key_values();
                // One value is enough to see later that the key is too long, and none is kept.
                key.iter_mut().for_each(|value| value.truncate(MAX_BOUND + 1));
                self.stretch.through = Some(key);
                self.end_stretch();
            }
            if self.found.rows.is_multiple_of(ROWS_BETWEEN_CHECKS) {
                self.look(place)?;
            }
            Ok(Next::Row)
        })?;
        self.end_stretch();
        self.options
            .progress
            .done
            .fetch_add(self.found.rows % ROWS_BETWEEN_CHECKS, Ordering::Relaxed);
        Ok(self.found)
    }

    fn add_row(&mut self, place: i64, bytes: u64) {
        // A row too large for a chunk gets one to itself, so that it passes the memory budget
        // alone. (Where chunks end at composite keys, it shares one with a stretch at most.)
        if bytes > self.options.chunk_bytes && self.piece.keys.is_some() {
            self.end_stretch();
        }
        if self.stretch.rows == 0 {
            self.stretch.keys.0 = place;
        }
        self.stretch.keys.1 = place;
        self.stretch.rows += 1;
        self.stretch.bytes += bytes;
        self.found.rows += 1;
        self.found.bytes += bytes;
        self.found.largest_row = self.found.largest_row.max(bytes);
    }

    fn end_stretch(&mut self) {
        if self.stretch.rows > 0 {
            let empty = Segment { keys: (0, 0), through: None, rows: 0, bytes: 0 };
            self.found.stretches.push(std::mem::replace(&mut self.stretch, empty));
        }
    }

    /// Every now and then: count, stop, share.
    fn look(&mut self, place: i64) -> Result<()> {
        self.options.progress.done.fetch_add(ROWS_BETWEEN_CHECKS, Ordering::Relaxed);
        if self.options.stop.load(Ordering::Relaxed) || self.work.over.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        if let Some((_, last)) = &mut self.piece.keys
            && self.work.idle.load(Ordering::Relaxed) > 0
            && i128::from(*last) - i128::from(place) > i128::from(4 * ROWS_BETWEEN_CHECKS)
        {
            let middle = (i128::from(place) + (i128::from(*last) - i128::from(place)) / 2) as i64;
            let rest = Piece { keys: Some((middle + 1, *last)), ..self.piece };
            *last = middle;
            self.work.give(rest);
        }
        Ok(())
    }
}

/// The least and the greatest integer key. Two queries: asked for both at once, SQLite reads the
/// whole table.
fn ends(
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

//! Pages: a table's rows read from the pages of the database file itself.
//!
//! SQLite's virtual machine and its interface take two thirds of the time of a scan; the b-tree
//! underneath is simple. Only what is plain is read this way: a table with integer keys, UTF-8
//! text, and a file that nobody changes and beside which no log stands. Whatever looks otherwise
//! than expected, to the last byte of a row, is left to SQLite, which either reads it or says
//! what is wrong with it. Verification reads through SQLite alone, so that nothing is proven by the
//! code that it is to prove.
//!
//! Source of all numbers here: <https://sqlite.org/fileformat2.html>, sections 1 and 2.

pub(crate) mod layout;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use crate::sqlite::read::btree::layout::Layout;
use crate::sqlite::read::btree::record::Fields;
use crate::sqlite::read::collector::BatchBuilder;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::fingerprint::{FileState, Header};
use rusqlite::Connection;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The first byte of a page with the children of a table's b-tree.
const INTERIOR: u8 = 5;
/// The first byte of a page with its rows.
const LEAF: u8 = 13;
/// No b-tree of SQLite is deeper.
const MAX_DEPTH: usize = 20;
/// Bytes that are read at a time where pages that are wanted stand side by side.
const RUN: usize = 128 * 1024;
/// Bytes of memory for rows that do not fit a page; more is given back after each.
const SPILL: usize = 1 << 20;

/// The database file, open for reading.
///
/// It is opened before any lock is taken on the file, and closed after all connections to it:
/// closing it would drop the locks that SQLite holds in this process.
#[derive(Debug)]
pub(crate) struct PageFile {
    file: File,
    page_size: usize,
    /// Bytes of a page that are in use.
    usable: usize,
    /// Bytes of the file.
    size: u64,
}

impl PageFile {
    /// Opens the database at `path`, which has this header.
    pub(crate) fn open(path: &Path, header: &Header) -> Option<Self> {
        let file = File::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        let (page_size, usable) = header.page_sizes()?;
        Some(Self { file, page_size, usable, size })
    }

    /// It is the file that `state` describes.
    pub(crate) fn is(&self, state: &FileState) -> bool {
        self.file.metadata().is_ok_and(|metadata| FileState::from_metadata(&metadata) == *state)
    }

    /// Reads pages that stand side by side.
    fn read(&self, first: u32, into: &mut [u8]) -> Option<()> {
        let before = u64::from(first.checked_sub(1)?);
        self.file.read_exact_at(into, before * self.page_size as u64).ok()
    }
}

/// A reader of pages: with its connection it sees the state that all readers see.
pub(crate) struct PageReader {
    file: Arc<PageFile>,
    /// By table's name; `None` for those that are left to SQLite.
    layouts: HashMap<String, Option<Arc<Layout>>>,
    run: Vec<u8>,
    /// The page at the start of `run`.
    run_first: u32,
    read_overflow: Vec<u8>,
    fields: Fields,
}

/// Whether the walk goes on.
#[derive(PartialEq, Eq)]
enum WalkStep {
    On,
    End,
}

impl PageReader {
    pub(crate) fn new(file: Arc<PageFile>) -> Self {
        Self {
            file,
            layouts: HashMap::new(),
            run: Vec::new(),
            run_first: 0,
            read_overflow: Vec::new(),
            fields: Fields::default(),
        }
    }

    /// Fills an empty batch with the rows of `query` from the key `first` to `last`, both
    /// included, until it is full. Gives it back as an error, empty, where SQLite has to do that.
    pub(crate) fn fill(
        &mut self,
        connection: &Connection,
        query: &TableQuery,
        keys: (i64, i64),
        mut filling: BatchBuilder,
    ) -> Result<BatchBuilder, BatchBuilder> {
        let known = self.layouts.get(&query.table).cloned();
        let layout = known.unwrap_or_else(|| {
            let layout = Layout::of(connection, query).ok().flatten().map(Arc::new);
            self.layouts.insert(query.table.clone(), layout.clone());
            layout
        });
        let walked = layout
            .filter(|layout| layout.is_of(query))
            .and_then(|layout| self.walk(&layout, layout.root, 0, 1, keys, &mut filling));
        if walked.is_some() {
            return Ok(filling);
        }
        self.layouts.insert(query.table.clone(), None);
        filling.reset();
        Err(filling)
    }

    #[cfg(test)]
    pub(crate) fn reads(&self, table: &str) -> bool {
        self.layouts.get(table).is_some_and(Option::is_some)
    }

    /// Reads the part of the b-tree at page `number` that holds `keys`; `sibling` pages behind it
    /// are wanted next.
    fn walk(
        &mut self,
        layout: &Layout,
        number: u32,
        depth: usize,
        sibling: usize,
        keys: (i64, i64),
        filling: &mut BatchBuilder,
    ) -> Option<WalkStep> {
        if depth > MAX_DEPTH {
            return None;
        }
        let at = self.page(number, sibling)?;
        let page = &self.run[at..at + self.file.usable];
        match *page.first()? {
            INTERIOR => {
                let children = children(page, keys)?;
                for (place, &child) in children.iter().enumerate() {
                    let sibling =
                        children[place..].windows(2).take_while(|two| two[1] == two[0] + 1);
                    let sibling = 1 + sibling.count();
                    if self.walk(layout, child, depth + 1, sibling, keys, filling)? == WalkStep::End
                    {
                        return Some(WalkStep::End);
                    }
                }
                Some(WalkStep::On)
            }
            LEAF => {
                // Taken out while it is read, as rows are put together in other memory of ours.
                let run = std::mem::take(&mut self.run);
                let walked = self.leaf(layout, &run[at..at + self.file.usable], keys, filling);
                self.run = run;
                walked
            }
            _ => None,
        }
    }

    /// Where page `number` stands in the run, after it was read, together with as many of the
    /// `sibling` pages from it on as a run holds.
    fn page(&mut self, number: u32, sibling: usize) -> Option<usize> {
        let page_size = self.file.page_size;
        let there = number.checked_sub(self.run_first).filter(|_| self.run_first > 0);
        let at = there.and_then(|pages| page_size.checked_mul(pages as usize));
        if let Some(at) = at.filter(|at| at + page_size <= self.run.len()) {
            return Some(at);
        }
        let pages = sibling.min(RUN / page_size).max(1);
        self.run_first = 0;
        self.run.resize(pages * page_size, 0);
        self.file.read(number, &mut self.run)?;
        self.run_first = number;
        Some(0)
    }

    /// Reads the rows of a leaf.
    fn leaf(
        &mut self,
        layout: &Layout,
        page: &[u8],
        (first, last): (i64, i64),
        filling: &mut BatchBuilder,
    ) -> Option<WalkStep> {
        for cell in cells(page, 8)? {
            let cell = page.get(cell..)?;
            let (length, cell) = record::varint(cell)?;
            let (key, cell) = record::varint(cell)?;
            let key = key.cast_signed();
            if key < first {
                continue;
            }
            if key > last {
                return Some(WalkStep::End);
            }
            let length = usize::try_from(length).ok()?;
            filling.start(key).ok()?;
            let here = self.local_payload_len(length);
            if here == length {
                self.fields.push(layout, key, cell.get(..length)?, &mut filling.batch)?;
            } else {
                self.read_overflow(length, cell, here)?;
                self.fields.push(layout, key, &self.read_overflow, &mut filling.batch)?;
                if self.read_overflow.capacity() > SPILL {
                    self.read_overflow = Vec::new();
                }
            }
            if filling.end() {
                return Some(WalkStep::End);
            }
        }
        Some(WalkStep::On)
    }

    /// Bytes of a row of `length` bytes that stand in the leaf.
    fn local_payload_len(&self, length: usize) -> usize {
        let most = self.file.usable - 35;
        if length <= most {
            return length;
        }
        let least = (self.file.usable - 12) * 32 / 255 - 23;
        let here = least + (length - least) % (self.file.usable - 4);
        if here <= most { here } else { least }
    }

    /// Puts together a row of `length` bytes of which the first `here` stand in `cell`, and the
    /// rest in a chain of pages.
    fn read_overflow(&mut self, length: usize, cell: &[u8], here: usize) -> Option<()> {
        // Before memory is taken for what a damaged page says.
        if length as u64 > self.file.size {
            return None;
        }
        let mut next = page_number(cell.get(here..)?)?;
        self.read_overflow.clear();
        self.read_overflow.reserve(length);
        self.read_overflow.extend_from_slice(&cell[..here]);
        let mut page = vec![0; self.file.usable];
        while self.read_overflow.len() < length {
            self.file.read(next, &mut page)?;
            let held = (length - self.read_overflow.len()).min(self.file.usable - 4);
            self.read_overflow.extend_from_slice(&page[4..4 + held]);
            next = page_number(&page)?;
        }
        Some(())
    }
}

/// Where a page's cells stand in it, its head being `head` bytes long.
fn cells(page: &[u8], head: usize) -> Option<impl Iterator<Item = usize> + '_> {
    let count = u16::from_be_bytes([*page.get(3)?, *page.get(4)?]);
    let places = page.get(head..head + 2 * usize::from(count))?.as_chunks::<2>().0;
    Some(places.iter().map(|place| usize::from(u16::from_be_bytes(*place))))
}

/// The children of an interior page that hold keys of the range, in order.
fn children(page: &[u8], (first, last): (i64, i64)) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    for cell in cells(page, 12)? {
        let cell = page.get(cell..)?;
        let greatest = record::varint(cell.get(4..)?)?.0.cast_signed();
        if greatest >= first {
            children.push(page_number(cell)?);
        }
        if greatest >= last {
            return Some(children);
        }
    }
    children.push(page_number(page.get(8..)?)?);
    Some(children)
}

/// The page number at the start of `bytes`.
fn page_number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|number| u32::from_be_bytes(*number))
}

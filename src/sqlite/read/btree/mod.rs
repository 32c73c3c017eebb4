//! B-tree pages: the rows of a table, read from the database file itself.
//!
//! SQLite's virtual machine and interface take two thirds of the time of a scan; the b-tree below
//! is simple. Only simple cases are read this way: integer keys, UTF-8 text, and a locked file
//! without a WAL. Any unexpected byte leaves the table to SQLite, which reads it or reports the
//! fault: a page that SQLite calls malformed is never read here, nor are keys out of order, which
//! SQLite does not notice. Verification reads only through SQLite, so that this code does not prove
//! itself.
//!
//! Source of all numbers: <https://sqlite.org/fileformat2.html>, sections 1 and 2.

pub(crate) mod index;
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
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// The type byte of an interior page of a table's b-tree.
const INTERIOR: u8 = 5;
/// The type byte of a leaf page of a table's b-tree.
const LEAF: u8 = 13;
/// The maximum depth of a b-tree (`BTCURSOR_MAX_DEPTH`).
const MAX_DEPTH: usize = 20;
/// The offset of the bytes that SQLite locks. No b-tree has their page.
const LOCK_BYTES: u32 = 1 << 30;
/// The most bytes of adjacent pages that are read at once.
const MAX_RUN_BYTES: usize = 128 * 1024;
/// The most memory in bytes that is kept for rows with overflow pages.
const MAX_KEPT_OVERFLOW: usize = 1 << 20;

/// The database file, open for reading.
///
/// It is opened before any lock is taken on the file, and closed after all connections to it:
/// closing it would drop the locks that SQLite holds in this process.
#[derive(Debug)]
pub(crate) struct PageFile {
    file: File,
    page_size: usize,
    /// The usable bytes of a page.
    usable: usize,
    /// The size of the file in bytes.
    size: u64,
    /// The number of pages that the database has.
    pages: u32,
}

impl PageFile {
    /// Opens the database at `path` with its header.
    pub(crate) fn open(path: &Path, header: &Header) -> Option<Self> {
        let file = File::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        let (page_size, usable) = header.page_sizes()?;
        let in_file = || u32::try_from(size / page_size as u64).unwrap_or(u32::MAX);
        let pages = header.page_count().unwrap_or_else(in_file);
        Some(Self { file, page_size, usable, size, pages })
    }

    /// Whether this is the file that `state` describes.
    pub(crate) fn is(&self, state: &FileState) -> bool {
        self.file.metadata().is_ok_and(|metadata| FileState::from_metadata(&metadata) == *state)
    }

    /// Whether a b-tree may have page `number`.
    fn has(&self, number: u32) -> bool {
        let lock = LOCK_BYTES / self.page_size as u32 + 1;
        number >= 1 && number <= self.pages && number != lock
    }

    /// Reads adjacent pages.
    fn read(&self, first: u32, into: &mut [u8]) -> Option<()> {
        let before = u64::from(first.checked_sub(1)?);
        self.file.read_exact_at(into, before * self.page_size as u64).ok()
    }
}

/// A reader of pages. It sees the same state as the connections of the source.
pub(crate) struct PageReader {
    file: Arc<PageFile>,
    /// The layouts by table name; `None` for tables that SQLite reads.
    layouts: HashMap<String, Option<Arc<Layout>>>,
    /// Adjacent pages, read at once.
    run: Vec<u8>,
    /// The number of the first page in `run`.
    run_first: u32,
    overflow_row: Vec<u8>,
    fields: Fields,
}

impl PageReader {
    pub(crate) fn new(file: Arc<PageFile>) -> Self {
        Self {
            file,
            layouts: HashMap::new(),
            run: Vec::new(),
            run_first: 0,
            overflow_row: Vec::new(),
            fields: Fields::default(),
        }
    }

    /// Fills an empty batch with the rows of `query` whose key is in `keys` (both ends included),
    /// until it is full. Returns the empty batch as the error if SQLite must read the table.
    pub(crate) fn fill(
        &mut self,
        connection: &Connection,
        query: &TableQuery,
        keys: (i64, i64),
        mut builder: BatchBuilder,
    ) -> Result<BatchBuilder, BatchBuilder> {
        let known = self.layouts.get(&query.table).cloned();
        let layout = known.unwrap_or_else(|| {
            let layout = Layout::for_query(connection, query).ok().flatten().map(Arc::new);
            self.layouts.insert(query.table.clone(), layout.clone());
            layout
        });
        let walked = layout.filter(|layout| layout.fits(query)).and_then(|layout| {
            let whole = Subtree { root: layout.root, bounds: (i64::MIN, i64::MAX) };
            self.walk(&layout, whole, (0, 1), keys, &mut builder)
        });
        if walked.is_some() {
            return Ok(builder);
        }
        self.layouts.insert(query.table.clone(), None);
        builder.reset();
        Err(builder)
    }

    /// Whether all rows of a table so far were read from pages.
    pub(crate) fn reads(&self, table: &str) -> bool {
        self.layouts.get(table).is_some_and(Option::is_some)
    }

    /// Reads the rows with `keys` in a subtree, whose root is at `depth`. The `adjacent` pages from
    /// its root on are needed next.
    fn walk(
        &mut self,
        layout: &Layout,
        subtree: Subtree,
        (depth, adjacent): (usize, usize),
        keys: (i64, i64),
        builder: &mut BatchBuilder,
    ) -> Option<ControlFlow<()>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let at = self.page(subtree.root, adjacent)?;
        let page = &self.run[at..at + self.file.usable];
        let kind = *page.first()?;
        let cells = usize::from(cell_count(page)?);
        // Only the root of an empty table has no cells.
        let is_empty = cells == 0 && (depth > 0 || kind == INTERIOR);
        if is_empty || cells > (self.file.page_size - 8) / MIN_CELL_BYTES {
            return None;
        }
        match kind {
            INTERIOR => {
                let children = children(page, keys, subtree.bounds)?;
                for (index, &child) in children.iter().enumerate() {
                    let pairs = children[index..].windows(2);
                    let follows =
                        |two: &&[Subtree]| Some(two[1].root) == two[0].root.checked_add(1);
                    let ahead = (depth + 1, 1 + pairs.take_while(follows).count());
                    if self.walk(layout, child, ahead, keys, builder)?.is_break() {
                        return Some(ControlFlow::Break(()));
                    }
                }
                Some(ControlFlow::Continue(()))
            }
            LEAF => {
                // Taken out of `self`, which the leaf borrows mutably.
                let run = std::mem::take(&mut self.run);
                let page = &run[at..at + self.file.usable];
                let walked = self.leaf(layout, page, subtree.bounds, keys, builder);
                self.run = run;
                walked
            }
            _ => None,
        }
    }

    /// The offset of page `number` in the run. A missing page is read with as many of the
    /// `adjacent` pages as a run holds.
    fn page(&mut self, number: u32, adjacent: usize) -> Option<usize> {
        if !self.file.has(number) {
            return None;
        }
        let page_size = self.file.page_size;
        let index = number.checked_sub(self.run_first).filter(|_| self.run_first > 0);
        let at = index.and_then(|pages| page_size.checked_mul(pages as usize));
        if let Some(at) = at.filter(|at| at + page_size <= self.run.len()) {
            return Some(at);
        }
        let pages = adjacent.min(MAX_RUN_BYTES / page_size).max(1);
        self.run_first = 0;
        self.run.resize(pages * page_size, 0);
        self.file.read(number, &mut self.run)?;
        self.run_first = number;
        Some(0)
    }

    /// Reads the rows of a leaf. Its keys must ascend within `bounds`: a key out of order could be
    /// outside every range that is read.
    fn leaf(
        &mut self,
        layout: &Layout,
        page: &[u8],
        (mut min, max): (i64, i64),
        (first, last): (i64, i64),
        builder: &mut BatchBuilder,
    ) -> Option<ControlFlow<()>> {
        for cell in cells(page, 8)? {
            let cell = page.get(cell..)?;
            let (length, cell) = record::varint(cell)?;
            let (key, cell) = record::varint(cell)?;
            let key = key.cast_signed();
            if key < min || key > max {
                return None;
            }
            min = key.saturating_add(1);
            if key < first {
                continue;
            }
            if key > last {
                return Some(ControlFlow::Break(()));
            }
            let length = usize::try_from(length).ok()?;
            builder.start(key).ok()?;
            let local = self.local_payload_len(length, self.file.usable - 35);
            if local == length {
                self.fields.push(layout, key, cell.get(..length)?, &mut builder.batch)?;
            } else {
                self.read_overflow(length, cell, local)?;
                self.fields.push(layout, key, &self.overflow_row, &mut builder.batch)?;
                if self.overflow_row.capacity() > MAX_KEPT_OVERFLOW {
                    self.overflow_row = Vec::new();
                }
            }
            if builder.end() {
                return Some(ControlFlow::Break(()));
            }
        }
        Some(ControlFlow::Continue(()))
    }

    /// The bytes of a row of `length` bytes that are stored in the page, which takes rows of at most
    /// `max` bytes as a whole.
    fn local_payload_len(&self, length: usize, max: usize) -> usize {
        if length <= max {
            return length;
        }
        let min = (self.file.usable - 12) * 32 / 255 - 23;
        let local = min + (length - min) % (self.file.usable - 4);
        if local <= max { local } else { min }
    }

    /// Assembles a row of `length` bytes: the first `local` bytes are in `cell`, the rest in a
    /// chain of overflow pages.
    fn read_overflow(&mut self, length: usize, cell: &[u8], local: usize) -> Option<()> {
        // A damaged page must not cause a huge allocation.
        if length as u64 > self.file.size {
            return None;
        }
        let mut next = page_number(cell.get(local..)?)?;
        self.overflow_row.clear();
        self.overflow_row.reserve(length);
        self.overflow_row.extend_from_slice(&cell[..local]);
        let mut page = vec![0; self.file.usable];
        while self.overflow_row.len() < length {
            if !self.file.has(next) {
                return None;
            }
            self.file.read(next, &mut page)?;
            let held = (length - self.overflow_row.len()).min(self.file.usable - 4);
            self.overflow_row.extend_from_slice(&page[4..4 + held]);
            next = page_number(&page)?;
        }
        Some(())
    }
}

/// A part of a b-tree: the page of its root, and the least and the greatest key that it may have.
#[derive(Clone, Copy)]
struct Subtree {
    root: u32,
    bounds: (i64, i64),
}

/// The least bytes of a cell with its offset, by which SQLite limits the cells of a page.
const MIN_CELL_BYTES: usize = 6;

/// The number of cells of a page.
fn cell_count(page: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*page.get(3)?, *page.get(4)?]))
}

/// The offsets of the cells of a page with a header of `head` bytes.
fn cells(page: &[u8], head: usize) -> Option<impl Iterator<Item = usize> + '_> {
    let count = usize::from(cell_count(page)?);
    let offsets = page.get(head..head + 2 * count)?.as_chunks::<2>().0;
    Some(offsets.iter().map(|offset| usize::from(u16::from_be_bytes(*offset))))
}

/// The children of an interior page with keys in the range, in order. The keys of the cells must
/// ascend within the bounds of the page.
fn children(
    page: &[u8],
    (first, last): (i64, i64),
    (mut min, max): (i64, i64),
) -> Option<Vec<Subtree>> {
    let mut children = Vec::new();
    for cell in cells(page, 12)? {
        let cell = page.get(cell..)?;
        let max_key = record::varint(cell.get(4..)?)?.0.cast_signed();
        if max_key < min || max_key > max {
            return None;
        }
        if max_key >= first {
            children.push(Subtree { root: page_number(cell)?, bounds: (min, max_key) });
        }
        if max_key >= last {
            return Some(children);
        }
        min = max_key.checked_add(1)?;
    }
    children.push(Subtree { root: page_number(page.get(8..)?)?, bounds: (min, max) });
    Some(children)
}

/// The page number at the start of `bytes`.
fn page_number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|number| u32::from_be_bytes(*number))
}

//! Index pages: the entries of an index, which all pages of its b-tree hold.

use crate::codec::sqlite_value::SqliteValue;
use crate::sqlite::read::btree::record;
use crate::sqlite::read::btree::{
    MAX_DEPTH, MAX_KEPT_OVERFLOW, MIN_CELL_BYTES, PageReader, cell_count, cells, page_number,
};
use crate::sqlite::read::entries::{EntryCheck, EntryKey};

/// The most fields of an entry; SQLite reads an index with more.
const MAX_FIELDS: usize = 8;
/// The type byte of an interior page of an index.
const INTERIOR: u8 = 2;
/// The type byte of a leaf page of an index.
const LEAF: u8 = 10;

/// A part of the b-tree of an index.
#[derive(Debug, Clone)]
pub(crate) struct IndexTree {
    /// The page of its root.
    page: u32,
    depth: usize,
    /// The entries before and after its own.
    after: Option<EntryKey>,
    before: Option<EntryKey>,
}

impl IndexTree {
    /// The whole index with this root page.
    pub(crate) fn whole(page: u32) -> Self {
        Self { page, depth: 0, after: None, before: None }
    }
}

impl PageReader {
    /// Adds the entries of `tree` to `check`. The parts of it that have several levels are left to
    /// `give`, so that several threads share an index. Returns `None` if SQLite must read the index.
    pub(crate) fn check_entries(
        &mut self,
        tree: &IndexTree,
        check: &mut EntryCheck<'_>,
        give: &mut dyn FnMut(IndexTree),
    ) -> Option<()> {
        let children = self.index_page(tree, 1, check)?;
        for (number, child) in children.iter().enumerate() {
            let pairs = children[number..].windows(2);
            let follows = |two: &&[IndexTree]| Some(two[1].page) == two[0].page.checked_add(1);
            let adjacent = 1 + pairs.take_while(follows).count();
            let at = self.page(child.page, adjacent)?;
            if *self.run.get(at)? == LEAF {
                self.index_page(child, adjacent, check)?;
            } else {
                give(child.clone());
            }
        }
        Some(())
    }

    /// Adds the entries of one page, and returns the parts between them.
    fn index_page(
        &mut self,
        tree: &IndexTree,
        adjacent: usize,
        check: &mut EntryCheck<'_>,
    ) -> Option<Vec<IndexTree>> {
        let at = self.page(tree.page, adjacent)?;
        // Taken out of `self`, which the entries borrow mutably.
        let run = std::mem::take(&mut self.run);
        let children = self.index_cells(&run[at..at + self.file.usable], tree, check);
        self.run = run;
        children
    }

    fn index_cells(
        &mut self,
        page: &[u8],
        tree: &IndexTree,
        check: &mut EntryCheck<'_>,
    ) -> Option<Vec<IndexTree>> {
        let kind = *page.first()?;
        let count = usize::from(cell_count(page)?);
        // Only the root of an empty index has no cells.
        let is_empty = count == 0 && (tree.depth > 0 || kind == INTERIOR);
        let is_too_full = count > (self.file.page_size - 8) / MIN_CELL_BYTES;
        let max = (self.file.usable - 12) * 64 / 255 - 23;
        if ![INTERIOR, LEAF].contains(&kind) || is_empty || is_too_full || tree.depth >= MAX_DEPTH {
            return None;
        }
        let is_interior = kind == INTERIOR;
        let fields = check.layout.fields.len();
        let child = |page, after, before| IndexTree { page, depth: tree.depth + 1, after, before };
        let mut children = Vec::new();
        // Entries are compared where they are. Those with overflow pages, and those around the page, are
        // compared by their sort keys.
        let mut after = tree.after.clone();
        let mut local: Option<usize> = None;
        let mut values = [[SqliteValue::Null; MAX_FIELDS]; 2];
        for (number, cell) in cells(page, if is_interior { 12 } else { 8 })?.enumerate() {
            let cell = page.get(cell..)?;
            let payload = if is_interior { cell.get(4..)? } else { cell };
            let (length, payload) = record::varint(payload)?;
            let length = usize::try_from(length).ok()?;
            let stored = self.local_payload_len(length, max);
            let current = number % 2;
            if stored == length && !is_interior {
                let entry = payload.get(..length)?;
                record::read(entry, values[current].get_mut(..fields)?)?;
                check.add(&values[current][..fields])?;
                match local {
                    Some(last) => check.compare(&values[last], &values[current]),
                    None if after.is_some() => {
                        let key = check.layout.key(&values[current]);
                        check.compare_keys(after.as_ref(), Some(&key));
                    }
                    None => {}
                }
                local = Some(current);
                continue;
            }
            if let Some(last) = local.take() {
                after = Some(check.layout.key(&values[last]));
            }
            let key = if stored == length {
                add(payload.get(..length)?, fields, check)?
            } else {
                self.read_overflow(length, payload, stored)?;
                let entry = std::mem::take(&mut self.overflow_row);
                let key = add(&entry, fields, check)?;
                if entry.capacity() <= MAX_KEPT_OVERFLOW {
                    self.overflow_row = entry;
                }
                key
            };
            check.compare_keys(after.as_ref(), Some(&key));
            if is_interior {
                children.push(child(page_number(cell)?, after.take(), Some(key.clone())));
            }
            after = Some(key);
        }
        if let Some(last) = local {
            after = Some(check.layout.key(&values[last]));
        }
        check.compare_keys(after.as_ref(), tree.before.as_ref());
        if is_interior {
            children.push(child(page_number(page.get(8..)?)?, after, tree.before.clone()));
        }
        Some(children)
    }
}

/// Adds an entry and returns its sort key.
fn add(entry: &[u8], fields: usize, check: &mut EntryCheck<'_>) -> Option<EntryKey> {
    let mut values = [SqliteValue::Null; MAX_FIELDS];
    let values = values.get_mut(..fields)?;
    record::read(entry, values)?;
    check.add(values)?;
    Some(check.layout.key(values))
}

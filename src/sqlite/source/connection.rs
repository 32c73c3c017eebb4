//! A connection to an open source: a read transaction on the state that all connections share.

use crate::sqlite::read::btree::PageReader;
use crate::sqlite::read::btree::index::IndexTree;
use crate::sqlite::read::collector::{BatchBuilder, Collector};
use crate::sqlite::read::entries::EntryCheck;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::open_file::OpenFile;
use rusqlite::Connection;
use std::cell::RefCell;
use std::ops::Deref;
use std::sync::Arc;

/// A connection to a source, with a transaction of its own. It keeps the source open.
pub struct SourceConnection {
    // Closed before the source can be: fields are dropped in this order.
    connection: Connection,
    collector: Collector,
    pages: Option<RefCell<PageReader>>,
    _source: Arc<OpenFile>,
}

impl SourceConnection {
    /// Wraps a connection whose read transaction has begun.
    pub(crate) fn new(source: Arc<OpenFile>, connection: Connection) -> rusqlite::Result<Self> {
        let collector = Collector::install(&connection)?;
        source.interrupter.add(connection.get_interrupt_handle());
        Ok(Self { connection, collector, pages: None, _source: source })
    }

    /// The same connection, which also reads pages.
    pub(crate) fn with_pages(self, pages: Option<PageReader>) -> Self {
        Self { pages: pages.map(RefCell::new), ..self }
    }

    /// Fills a batch with the rows of `query` whose key is in `keys` (both ends included), until
    /// it is full. `collect` is the SQL for the collector, used where pages cannot be read.
    pub(crate) fn collect(
        &self,
        query: &TableQuery,
        collect: &str,
        keys: (i64, i64),
        batch: BatchBuilder,
    ) -> rusqlite::Result<BatchBuilder> {
        let from_pages = match &self.pages {
            Some(pages) => pages.borrow_mut().fill(&self.connection, query, keys, batch),
            None => Err(batch),
        };
        from_pages.or_else(|batch| self.collector.fill(&self.connection, collect, keys, batch))
    }

    /// Adds the entries of a part of an index to `check`, as [`PageReader::check_entries`] does.
    pub(crate) fn check_entries(
        &self,
        tree: &IndexTree,
        check: &mut EntryCheck<'_>,
        give: &mut dyn FnMut(IndexTree),
    ) -> Option<()> {
        self.pages.as_ref()?.borrow_mut().check_entries(tree, check, give)
    }

    /// Whether all rows of this table so far were read from pages.
    pub(crate) fn reads_pages_of(&self, table: &str) -> bool {
        self.pages.as_ref().is_some_and(|pages| pages.borrow().reads(table))
    }
}

impl Deref for SourceConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

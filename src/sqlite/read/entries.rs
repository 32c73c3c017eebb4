//! The entries of a unique index: their digest and their order.

use crate::codec::digest::{Digest, KeyHash};
use crate::codec::sort_key;
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::expression::Collation;
use std::cmp::Ordering;

/// How the entries of an index are digested and compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntryLayout {
    /// The collation of each field that is read, and whether it descends.
    pub(crate) fields: Vec<(Collation, bool)>,
    /// The number of fields that are terms of the index.
    pub(crate) terms: usize,
    /// SQLite's order of the entries is known.
    pub(crate) is_ordered: bool,
    /// The field that is the rowid.
    pub(crate) rowid: Option<usize>,
    /// The other fields, in the order in which a scan of the rows meets them.
    pub(crate) hashed: Vec<usize>,
}

/// The sort key of the terms of an entry.
#[derive(Debug, Clone)]
pub(crate) struct EntryKey {
    bytes: Vec<u8>,
    /// A term is NULL: equal terms are no duplicates.
    has_null: bool,
}

/// The digest of the entries of an index, or of a part of it, and whether they strictly ascend.
pub(crate) struct EntryCheck<'a> {
    pub(crate) layout: &'a EntryLayout,
    pub(crate) digest: Digest,
    /// An entry is not greater than the one before it.
    pub(crate) is_disordered: bool,
    /// SQLite calls the index malformed.
    pub(crate) is_malformed: bool,
}

impl EntryLayout {
    /// The sort key of an entry with these fields.
    pub(crate) fn key(&self, values: &[SqliteValue<'_>]) -> EntryKey {
        let mut key = EntryKey { bytes: Vec::new(), has_null: false };
        for ((collation, descending), value) in self.fields[..self.terms].iter().zip(values) {
            sort_key::push(*value, collation, *descending, &mut key.bytes);
            key.has_null |= *value == SqliteValue::Null;
        }
        key
    }
}

impl<'a> EntryCheck<'a> {
    pub(crate) fn new(layout: &'a EntryLayout) -> Self {
        Self { layout, digest: Digest::default(), is_disordered: false, is_malformed: false }
    }

    /// Adds an entry with its fields. Returns `None` if its rowid is no integer.
    #[inline]
    pub(crate) fn add(&mut self, values: &[SqliteValue<'_>]) -> Option<()> {
        let rowid = match self.layout.rowid.map(|field| values[field]) {
            Some(SqliteValue::Integer(rowid)) => rowid,
            None => 0,
            Some(_) => return None,
        };
        let mut hash = KeyHash::new(rowid);
        for &field in &self.layout.hashed {
            hash.add(values[field]);
        }
        self.digest.add_key(hash);
        Some(())
    }

    /// Compares two entries that follow each other.
    #[inline]
    pub(crate) fn compare(&mut self, last: &[SqliteValue<'_>], next: &[SqliteValue<'_>]) {
        let mut has_null = false;
        let fields = self.layout.fields[..self.layout.terms].iter();
        for (((collation, descending), last), next) in fields.zip(last).zip(next) {
            match sort_key::compare(*last, *next, collation) {
                Ordering::Equal => has_null |= *next == SqliteValue::Null,
                order => {
                    let ascends = (order == Ordering::Less) != *descending;
                    self.is_disordered |= !ascends && self.layout.is_ordered;
                    return;
                }
            }
        }
        self.is_disordered |= !has_null;
    }

    /// Compares the sort keys of two entries that follow each other.
    pub(crate) fn compare_keys(&mut self, last: Option<&EntryKey>, next: Option<&EntryKey>) {
        let (Some(last), Some(next)) = (last, next) else { return };
        self.is_disordered |= match last.bytes.cmp(&next.bytes) {
            Ordering::Less => false,
            Ordering::Equal => !next.has_null,
            Ordering::Greater => self.layout.is_ordered,
        };
    }
}

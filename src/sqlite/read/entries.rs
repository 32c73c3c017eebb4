//! The entries of a unique index: their digest and their order.

use crate::codec::digest::Digest;
use crate::codec::sort_key;
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::expression::Collation;
use std::cmp::Ordering;

/// The most memory in bytes that is kept for the sort key of an entry.
const MAX_KEPT_KEY: usize = 1 << 20;

/// How the entries of an index are compared.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntryLayout {
    /// The collation of each field that is compared, and whether it descends.
    pub(crate) fields: Vec<(Collation, bool)>,
    /// The number of fields that are terms of the index.
    pub(crate) terms: usize,
    /// The sort keys have the order of the index.
    pub(crate) is_ordered: bool,
}

/// The sort key of an entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct EntryKey {
    /// The sort keys of all fields.
    bytes: Vec<u8>,
    /// The length of those that are terms.
    terms: usize,
    /// A term is NULL: equal terms are no duplicates.
    has_null: bool,
}

/// The digest of the entries of an index, or of a part of it, and whether they strictly ascend.
pub(crate) struct EntryCheck<'a> {
    layout: &'a EntryLayout,
    pub(crate) digest: Digest,
    /// An entry is not greater than the one before it.
    pub(crate) is_disordered: bool,
    /// The last entry.
    last: Option<EntryKey>,
    spare: EntryKey,
}

impl EntryKey {
    /// Whether this entry may follow `last` in an index.
    fn follows(&self, last: &Self, is_ordered: bool) -> bool {
        match self.bytes[..self.terms].cmp(&last.bytes[..last.terms]) {
            Ordering::Greater => true,
            Ordering::Equal => self.has_null,
            Ordering::Less => !is_ordered,
        }
    }
}

impl<'a> EntryCheck<'a> {
    pub(crate) fn new(layout: &'a EntryLayout) -> Self {
        Self {
            layout,
            digest: Digest::default(),
            is_disordered: false,
            last: None,
            spare: EntryKey::default(),
        }
    }

    /// The number of fields of an entry that are compared.
    pub(crate) fn fields(&self) -> usize {
        self.layout.fields.len()
    }

    /// Starts a part of the index, whose entries follow `after`.
    pub(crate) fn start(&mut self, after: Option<&EntryKey>) {
        self.last = after.cloned();
    }

    /// Ends a part of the index, whose entries `before` follows.
    pub(crate) fn end(&mut self, before: Option<&EntryKey>) {
        if let (Some(before), Some(last)) = (before, &self.last) {
            self.is_disordered |= !before.follows(last, self.layout.is_ordered);
        }
    }

    /// The last entry.
    pub(crate) fn last(&self) -> Option<&EntryKey> {
        self.last.as_ref()
    }

    /// Adds an entry with its fields in order. A missing field ends it with `None`.
    #[inline]
    pub(crate) fn add<'v>(
        &mut self,
        mut values: impl Iterator<Item = Option<SqliteValue<'v>>>,
    ) -> Option<()> {
        let mut key = std::mem::take(&mut self.spare);
        (key.terms, key.has_null) = (0, false);
        key.bytes.clear();
        key.bytes.shrink_to(MAX_KEPT_KEY);
        for (number, (collation, descending)) in self.layout.fields.iter().enumerate() {
            let value = values.next()??;
            sort_key::push(value, collation, *descending, &mut key.bytes);
            if number < self.layout.terms {
                key.terms = key.bytes.len();
                key.has_null |= value == SqliteValue::Null;
            }
        }
        self.digest.add_row(&key.bytes);
        if let Some(last) = &self.last {
            self.is_disordered |= !key.follows(last, self.layout.is_ordered);
        }
        self.spare = self.last.replace(key).unwrap_or_default();
        Some(())
    }
}

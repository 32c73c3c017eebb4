//! Names: quoting, PostgreSQL's limits, and shortening without collisions.

use std::collections::HashSet;
use xxhash_rust::xxh3::xxh3_64;

/// The longest identifier PostgreSQL keeps, in bytes (`NAMEDATALEN` - 1).
pub(crate) const MAX_NAME_BYTES: usize = 63;

/// The names of PostgreSQL's system columns, which no column may have.
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// `name` as a quoted identifier of either database: both double an inner quote.
pub(crate) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.name`, both quoted.
pub(crate) fn qualify(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// `text` as a string literal that does not depend on `standard_conforming_strings`: with a
/// backslash it is an `E''` string.
pub(crate) fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Assigns names that PostgreSQL can hold, each once.
///
/// A name that fits is kept exactly. A name that is empty, longer than 63 bytes, taken or not allowed
/// gets a suffix from a hash of the whole name, so that every run assigns the same name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Allocator {
    taken: HashSet<String>,
}

impl Allocator {
    /// An allocator with names that are already taken.
    pub(crate) fn new(taken: impl IntoIterator<Item = String>) -> Self {
        Self { taken: taken.into_iter().collect() }
    }

    /// A name for a table, index, constraint or sequence.
    pub(crate) fn relation(&mut self, wanted: &str) -> String {
        self.allocate(wanted, wanted.is_empty())
    }

    /// A name for a column. Each table has its own allocator.
    pub(crate) fn column(&mut self, wanted: &str) -> String {
        self.allocate(wanted, wanted.is_empty() || SYSTEM_COLUMNS.contains(&wanted))
    }

    fn allocate(&mut self, wanted: &str, forbidden: bool) -> String {
        if !forbidden && wanted.len() <= MAX_NAME_BYTES && self.taken.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        let mut round = 0_u32;
        loop {
            let hash = xxh3_64(format!("{round}{wanted}").as_bytes());
            let suffix = format!("_{:08x}", hash as u32);
            let stem = wanted.floor_char_boundary(MAX_NAME_BYTES - suffix.len());
            let name = format!("{}{suffix}", &wanted[..stem]);
            if self.taken.insert(name.clone()) {
                return name;
            }
            round += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_inside_names_are_doubled() {
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
    }

    #[test]
    fn names_that_collide_at_63_bytes_stay_apart_and_stable() {
        let long = "x".repeat(70);
        let (a, b) = (format!("{long}a"), format!("{long}b"));
        let mut names = Allocator::default();
        let (first, second) = (names.relation(&a), names.relation(&b));
        assert_ne!(first, second);
        assert!(first.len() <= MAX_NAME_BYTES && second.len() <= MAX_NAME_BYTES);
        let mut again = Allocator::default();
        assert_eq!(again.relation(&b), second);
        assert_eq!(again.relation(&a), first);
    }

    #[test]
    fn a_name_is_never_cut_inside_a_character() {
        let mut names = Allocator::default();
        let name = names.relation(&"é".repeat(40));
        assert!(name.len() <= MAX_NAME_BYTES);
        assert!(name.starts_with('é'));
    }

    #[test]
    fn system_columns_and_empty_names_are_renamed() {
        let mut names = Allocator::default();
        assert!(names.column("xmin").starts_with("xmin_"));
        assert!(names.column("").starts_with('_'));
        assert_eq!(names.column("oid"), "oid");
    }
}

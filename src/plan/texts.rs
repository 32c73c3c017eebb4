//! Texts that both directions use.

use crate::error::Error;
use crate::schema::names::quote;

/// The names that a list has at most.
const MAX_NAMES: usize = 10;

/// The note that a table, index or view gets another name, where it does.
pub(crate) fn renamed(kind: &str, old: &str, new: &str) -> Option<String> {
    (old != new).then(|| format!("{kind} {} becomes {}", quote(old), quote(new)))
}

/// The note that a column of a table or view gets another name, where it does.
pub(crate) fn column_renamed((kind, owner): (&str, &str), old: &str, new: &str) -> Option<String> {
    let (owner, column) = (quote(owner), quote(old));
    (old != new).then(|| format!("column {column} of {kind} {owner} becomes {}", quote(new)))
}

/// The refusal of a source without rows and a target with rows.
pub(crate) fn swapped() -> Error {
    Error::refused("the source has no rows, but the target has: are --from and --to swapped?")
        .caused_by("only --yes with --clean, --drop-all or --restart drops the rows of the target")
        .hint("check which of the two databases has the rows to move, and give it with --from")
}

/// The first names, and how many more there are.
pub(crate) fn list_names(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MAX_NAMES);
    let more = (more > 0).then(|| format!("and {more} more"));
    names.take(MAX_NAMES).chain(more).collect::<Vec<_>>().join(", ")
}

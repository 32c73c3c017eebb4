//! The modules of virtual tables: which ordinary tables are their storage ("shadow tables"), and
//! which of these hold rows of content.
//!
//! SQLite knows the shadow tables of loaded modules only. Its list of tables also connects every
//! virtual table, which runs the module's code on a file that is not trusted. So shadow tables are
//! recognized by name, module by module, as in SQLite.

use crate::sqlite::sql::parse::create::ModuleText;

/// The shadow tables of a module: the suffixes after the virtual table's name and an underscore.
struct ShadowTables {
    /// Separated by spaces.
    suffixes: &'static str,
    /// Suffixes that are followed by digits.
    numbered: &'static [&'static str],
    /// The suffix of the table that has a row for each row of content.
    content: Option<&'static str>,
}

/// Sources: `xShadowName` in SQLite's `fts3.c`, `fts5_main.c`, `rtree.c` (also of `geopoly`) and
/// `spellfix.c`; the table names in `sqlite-vec.c` and `sqlite-vss`.
fn shadow_tables(module: &str) -> ShadowTables {
    let (suffixes, numbered, content): (_, &[_], _) = match module {
        "fts3" | "fts4" => ("content segments segdir docsize stat", &[], Some("content")),
        "fts5" => ("data idx content docsize config", &[], Some("content")),
        "rtree" | "rtree_i32" | "geopoly" => ("node parent rowid", &[], Some("rowid")),
        "spellfix1" => ("vocab", &[], Some("vocab")),
        "vec0" => {
            let numbered = &["vector_chunks", "metadatachunks", "metadatatext"];
            ("chunks rowids info auxiliary", numbered, Some("rowids"))
        }
        "vss0" => ("index data", &[], Some("data")),
        _ => ("", &[], None),
    };
    ShadowTables { suffixes, numbered, content }
}

/// Whether the table with this suffix is a shadow table of a virtual table.
pub(crate) fn is_shadow(module: &ModuleText, suffix: &str) -> bool {
    let suffix = suffix.to_ascii_lowercase();
    // A full-text index with external content has no content table: a table of that name belongs to
    // the application.
    if suffix == "content" && !keeps_content(module) {
        return false;
    }
    let tables = shadow_tables(&module.name);
    tables.suffixes.split_ascii_whitespace().any(|known| known == suffix)
        || tables.numbered.iter().any(|stem| {
            suffix
                .strip_prefix(stem)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// The suffix of the shadow table that has one row for each row of content; `None` if the module
/// keeps no content or is unknown.
pub(crate) fn content(module: &ModuleText) -> Option<&'static str> {
    shadow_tables(&module.name).content.filter(|_| keeps_content(module))
}

/// Whether the module keeps its content: the full-text modules' option `content=` names another
/// table, or none.
fn keeps_content(module: &ModuleText) -> bool {
    !module.name.starts_with("fts")
        || !module.arguments.iter().any(|argument| {
            argument
                .split_once('=')
                .is_some_and(|(key, _)| key.trim().eq_ignore_ascii_case("content"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, arguments: &[&str]) -> ModuleText {
        ModuleText {
            name: name.to_owned(),
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
        }
    }

    #[test]
    fn shadow_tables_are_known_by_module_and_suffix() {
        assert!(is_shadow(&module("fts5", &["a"]), "Config"));
        assert!(!is_shadow(&module("fts5", &["a"]), "segdir"));
        assert!(is_shadow(&module("rtree", &[]), "node"));
        assert!(is_shadow(&module("vec0", &[]), "vector_chunks00"));
        assert!(!is_shadow(&module("vec0", &[]), "vector_chunks"));
        assert!(!is_shadow(&module("somebodys", &[]), "data"));
    }

    #[test]
    fn a_content_table_of_the_application_is_not_a_shadow_table() {
        let external = module("fts5", &["a", " content = 'posts_content'"]);
        assert!(!is_shadow(&external, "content"));
        assert!(is_shadow(&external, "data"));
        assert_eq!(content(&external), None);
        assert_eq!(content(&module("fts5", &["a", "content_rowid='id'"])), Some("content"));
    }
}

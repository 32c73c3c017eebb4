//! Virtual tables, known by the text of their declaration alone: which ordinary tables are their
//! storage ("shadow tables"), and which of these hold rows of content.
//!
//! SQLite itself classifies shadow tables only for modules that are loaded, and merely asking it
//! for its list of tables makes it connect every virtual table, which runs the module's code on
//! a file that we do not trust. So the names decide, module by module, as they do in SQLite.

use crate::sqlite::sql::parse::create::ModuleText;

/// What is known of a module's shadow tables: the words that follow the virtual table's name and
/// an underscore.
struct Known {
    /// These words exactly.
    suffixes: &'static [&'static str],
    /// Words that begin so and end in digits.
    numbered: &'static [&'static str],
    /// The one that has a row for each row of content.
    content: Option<&'static str>,
}

/// Sources: `xShadowName` in SQLite's `fts3.c`, `fts5_main.c`, `rtree.c` (also of `geopoly`) and
/// `spellfix.c`; the table names in `sqlite-vec.c` and `sqlite-vss`.
fn known(module: &str) -> Known {
    let (suffixes, numbered, content): (&[_], &[_], _) = match module {
        "fts3" | "fts4" => {
            (&["content", "segments", "segdir", "docsize", "stat"], &[], Some("content"))
        }
        "fts5" => (&["data", "idx", "content", "docsize", "config"], &[], Some("content")),
        "rtree" | "rtree_i32" | "geopoly" => (&["node", "parent", "rowid"], &[], Some("rowid")),
        "spellfix1" => (&["vocab"], &[], Some("vocab")),
        "vec0" => (
            &["chunks", "rowids", "info", "auxiliary"],
            &["vector_chunks", "metadatachunks", "metadatatext"],
            Some("rowids"),
        ),
        "vss0" => (&["index", "data"], &[], Some("data")),
        _ => (&[], &[], None),
    };
    Known { suffixes, numbered, content }
}

/// The table whose name is the virtual table's, an underscore and `rest` is one of its shadows.
pub(crate) fn is_shadow(module: &ModuleText, rest: &str) -> bool {
    let rest = rest.to_ascii_lowercase();
    // A full-text index over somebody else's rows makes no table of its own for them: one of
    // that name is the application's.
    if rest == "content" && !keeps_content(module) {
        return false;
    }
    let known = known(&module.name);
    known.suffixes.contains(&rest.as_str())
        || known.numbered.iter().any(|stem| {
            rest.strip_prefix(stem)
                .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// The word after the virtual table's name and an underscore that makes the name of the table
/// with one row for each row of its content; `None` where it keeps no content, or where the
/// module is not known.
pub(crate) fn content(module: &ModuleText) -> Option<&'static str> {
    known(&module.name).content.filter(|_| keeps_content(module))
}

/// The full-text modules' option `content=` says that the text is kept elsewhere, or nowhere.
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
    fn shadows_are_known_by_module_and_suffix() {
        assert!(is_shadow(&module("fts5", &["a"]), "Config"));
        assert!(!is_shadow(&module("fts5", &["a"]), "segdir"));
        assert!(is_shadow(&module("rtree", &[]), "node"));
        assert!(is_shadow(&module("vec0", &[]), "vector_chunks00"));
        assert!(!is_shadow(&module("vec0", &[]), "vector_chunks"));
        assert!(!is_shadow(&module("somebodys", &[]), "data"));
    }

    #[test]
    fn a_content_table_of_the_application_is_no_shadow() {
        let external = module("fts5", &["a", " content = 'posts_content'"]);
        assert!(!is_shadow(&external, "content"));
        assert!(is_shadow(&external, "data"));
        assert_eq!(content(&external), None);
        assert_eq!(content(&module("fts5", &["a", "content_rowid='id'"])), Some("content"));
    }
}

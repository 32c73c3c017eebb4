//! The statements that create tables. SQLite accepts constraints only in CREATE TABLE.

use crate::schema::ddl::quote_list;
use crate::schema::names::quote;
use crate::schema::{Action, Conflict, ForeignKey, Key, KeyColumn};

/// A table to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableDdl {
    pub(crate) name: String,
    pub(crate) columns: Vec<ColumnDdl>,
    /// The primary key. If a column has `key`, its definition contains it.
    pub(crate) primary_key: Option<Key>,
    pub(crate) uniques: Vec<Key>,
    /// CHECKs: name, if given, and translated condition.
    pub(crate) checks: Vec<(Option<String>, String)>,
    /// The foreign keys, with the names in SQLite.
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) without_rowid: bool,
    pub(crate) strict: bool,
    /// The statement that once created the table in SQLite, if it means the same.
    pub(crate) original: Option<String>,
}

/// A column of a table to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnDdl {
    pub(crate) name: String,
    /// The declared type; may be empty.
    pub(crate) declared: String,
    /// The collation, if it is not BINARY.
    pub(crate) collation: Option<String>,
    pub(crate) not_null: bool,
    /// The conflict clause of NOT NULL.
    pub(crate) conflict: Option<Conflict>,
    /// The translated DEFAULT.
    pub(crate) default: Option<String>,
    /// The translated expression of a generated column, and whether it is stored.
    pub(crate) generated: Option<(String, bool)>,
    /// Set if the column alone is the primary key.
    pub(crate) key: Option<ColumnKey>,
}

/// The kind of a single-column primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKey {
    /// An alias of the rowid.
    Rowid,
    /// An alias of the rowid whose values are never reused.
    Autoincrement,
    /// A key that is not the rowid although its type is INTEGER: INTEGER PRIMARY KEY DESC
    /// (<https://sqlite.org/lang_createtable.html#rowid>).
    Descending,
}

impl TableDdl {
    /// CREATE TABLE.
    pub(crate) fn create(&self) -> String {
        if let Some(original) = &self.original {
            return original.clone();
        }
        let key = self.primary_key.as_ref();
        let columns = self.columns.iter();
        let mut parts: Vec<String> = columns.map(|column| column.definition(key)).collect();
        if self.columns.iter().all(|column| column.key.is_none()) {
            parts.extend(key.map(|key| self.key("PRIMARY KEY", key)));
        }
        parts.extend(self.uniques.iter().map(|key| self.key("UNIQUE", key)));
        for (name, condition) in &self.checks {
            parts.push(format!("{}CHECK ({condition})", named(name.as_ref())));
        }
        parts.extend(self.foreign_keys.iter().map(foreign_key));
        let options = match (self.without_rowid, self.strict) {
            (false, false) => "",
            (true, false) => " WITHOUT ROWID",
            (false, true) => " STRICT",
            (true, true) => " WITHOUT ROWID, STRICT",
        };
        let name = quote(&self.name);
        format!("CREATE TABLE {name} (\n  {}\n){options}", parts.join(",\n  "))
    }

    fn key(&self, kind: &str, key: &Key) -> String {
        let term = |term: &KeyColumn| {
            let column = self.columns.iter().find(|column| column.name == term.name);
            let own = column.and_then(|column| column.collation.as_deref()).unwrap_or("BINARY");
            let collation =
                Some(term.collation.as_sql()).filter(|name| !name.eq_ignore_ascii_case(own));
            let collation =
                collation.map_or_else(String::new, |name| format!(" COLLATE {}", declared(name)));
            let direction = if term.descending { " DESC" } else { "" };
            format!("{}{collation}{direction}", quote(&term.name))
        };
        let terms = key.columns.iter().map(term).collect::<Vec<_>>().join(", ");
        let conflict = key.conflict.map_or("", Conflict::as_clause);
        format!("{}{kind} ({terms}){conflict}", named(key.name.as_ref()))
    }

    /// The number of values per inserted row: one for each column that is not generated.
    pub(crate) fn width(&self) -> usize {
        self.inserted().count()
    }

    /// The INSERT of `rows` rows.
    pub(crate) fn insert(&self, rows: usize) -> String {
        let names: Vec<String> = self.inserted().map(|column| column.name.clone()).collect();
        let row = format!("({})", vec!["?"; names.len()].join(","));
        let rows = vec![row; rows].join(",");
        format!("INSERT INTO {} ({}) VALUES {rows}", quote(&self.name), quote_list(&names))
    }

    fn inserted(&self) -> impl Iterator<Item = &ColumnDdl> {
        self.columns.iter().filter(|column| column.generated.is_none())
    }
}

impl ColumnDdl {
    fn definition(&self, primary_key: Option<&Key>) -> String {
        let mut text = quote(&self.name);
        if !self.declared.is_empty() {
            text.push_str(&format!(" {}", declared(&self.declared)));
        }
        if let Some(collation) = &self.collation {
            text.push_str(&format!(" COLLATE {}", declared(collation)));
        }
        if let Some((expression, stored)) = &self.generated {
            let stored = if *stored { "STORED" } else { "VIRTUAL" };
            text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {stored}"));
        }
        if let Some(default) = &self.default {
            text.push_str(&format!(" DEFAULT {default}"));
        }
        if self.not_null {
            text.push_str(" NOT NULL");
            text.push_str(self.conflict.map_or("", Conflict::as_clause));
        }
        if let Some(kind) = self.key {
            let name = named(primary_key.and_then(|key| key.name.as_ref()));
            let conflict = primary_key.and_then(|key| key.conflict).map_or("", Conflict::as_clause);
            let descending = if kind == ColumnKey::Descending { " DESC" } else { "" };
            let automatic = if kind == ColumnKey::Autoincrement { " AUTOINCREMENT" } else { "" };
            text.push_str(&format!(" {name}PRIMARY KEY{descending}{conflict}{automatic}"));
        }
        text
    }
}

fn foreign_key(key: &ForeignKey) -> String {
    let mut text = format!("{}{}", named(key.name.as_ref()), key.clause());
    for (event, action) in [("DELETE", key.on_delete), ("UPDATE", key.on_update)] {
        if action != Action::NoAction {
            text.push_str(&format!(" ON {event} {}", action.as_sql()));
        }
    }
    text + key.deferrable.as_clause()
}

fn named(name: Option<&String>) -> String {
    name.map_or_else(String::new, |name| format!("CONSTRAINT {} ", quote(name)))
}

/// A declared type, quoted unless it consists of plain words and numbers: it may come from a comment
/// that any user can write.
fn declared(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let (words, arguments) = match text.split_once('(') {
        Some((words, rest)) => (words, rest.strip_suffix(')')),
        None => (text, Some("")),
    };
    let fine_words = words
        .split(' ')
        .filter(|word| !word.is_empty())
        .all(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(plain));
    let is_number = |part: &str| {
        let part = part.trim();
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let fine_arguments =
        arguments.is_some_and(|list| !text.contains('(') || list.split(',').all(is_number));
    if fine_words && fine_arguments && !words.trim().is_empty() && !is_keyword(words) {
        text.to_owned()
    } else {
        quote(text)
    }
}

/// Whether a word would start a constraint where a type is expected.
fn is_keyword(words: &str) -> bool {
    const KEYWORDS: &str = "CONSTRAINT PRIMARY NOT NULL UNIQUE CHECK DEFAULT COLLATE REFERENCES \
                            GENERATED AS ON FOREIGN SELECT";
    words
        .split(' ')
        .any(|word| KEYWORDS.split(' ').any(|keyword| word.eq_ignore_ascii_case(keyword)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Deferrable;
    use crate::schema::expression::Collation;

    #[test]
    fn a_table_is_defined_with_its_constraints() {
        let column = |name: &str, declared: &str| ColumnDdl {
            name: name.into(),
            declared: declared.into(),
            ..ColumnDdl::default()
        };
        let table = TableDdl {
            name: "a\"b".into(),
            columns: vec![
                ColumnDdl { key: Some(ColumnKey::Autoincrement), ..column("id", "INTEGER") },
                ColumnDdl {
                    collation: Some("NOCASE".into()),
                    default: Some("'x'".into()),
                    not_null: true,
                    ..column("n", "VARCHAR(40)")
                },
                ColumnDdl { generated: Some(("id + 1".into(), true)), ..column("g", "") },
            ],
            uniques: vec![Key {
                columns: vec![KeyColumn {
                    name: "n".into(),
                    collation: Collation::NoCase,
                    descending: false,
                }],
                ..Key::default()
            }],
            checks: vec![(Some("c".into()), "id > 0".into())],
            foreign_keys: vec![ForeignKey {
                columns: vec!["n".into()],
                parent: "p".into(),
                parent_columns: vec!["k".into()],
                on_delete: Action::Cascade,
                deferrable: Deferrable::InitiallyDeferred,
                ..ForeignKey::default()
            }],
            ..TableDdl::default()
        };
        assert_eq!(
            table.create(),
            r#"CREATE TABLE "a""b" (
  "id" INTEGER PRIMARY KEY AUTOINCREMENT,
  "n" VARCHAR(40) COLLATE NOCASE DEFAULT 'x' NOT NULL,
  "g" GENERATED ALWAYS AS (id + 1) STORED,
  UNIQUE ("n"),
  CONSTRAINT "c" CHECK (id > 0),
  FOREIGN KEY ("n") REFERENCES "p" ("k") ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED
)"#
        );
        assert_eq!(table.insert(1), r#"INSERT INTO "a""b" ("id", "n") VALUES (?,?)"#);
        assert_eq!(table.insert(2), r#"INSERT INTO "a""b" ("id", "n") VALUES (?,?),(?,?)"#);
        assert_eq!(table.width(), 2);
    }

    #[test]
    fn a_type_that_is_not_plain_words_is_quoted() {
        for plain in ["INTEGER", "unsigned big int", "DECIMAL(10, 5)", "_t"] {
            let expected = if plain == "_t" { quote(plain) } else { plain.to_owned() };
            assert_eq!(declared(plain), expected);
        }
        for odd in ["x', y", "INTEGER) --", "DEFAULT", "int NOT NULL", "a(b)", "a\"b", "(1)"] {
            assert_eq!(declared(odd), quote(odd));
        }
    }
}

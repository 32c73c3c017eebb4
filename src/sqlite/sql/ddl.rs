//! The statements that create tables. SQLite accepts constraints only in CREATE TABLE.

use crate::schema::ddl::quote_list;
use crate::schema::names::quote;
use crate::schema::{Action, Deferrable};

/// A table to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableDdl {
    pub(crate) name: String,
    pub(crate) columns: Vec<ColumnDdl>,
    /// The columns of the primary key, if no column has `key`.
    pub(crate) primary_key: Vec<String>,
    pub(crate) uniques: Vec<Vec<String>>,
    /// CHECKs: name, if given, and translated condition.
    pub(crate) checks: Vec<(Option<String>, String)>,
    pub(crate) foreign_keys: Vec<ForeignKeyDdl>,
    pub(crate) without_rowid: bool,
    pub(crate) strict: bool,
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

/// A foreign key.
#[derive(Debug, Clone)]
pub(crate) struct ForeignKeyDdl {
    pub(crate) name: Option<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    pub(crate) parent_columns: Vec<String>,
    pub(crate) on_delete: Action,
    pub(crate) on_update: Action,
    pub(crate) deferrable: Deferrable,
}

impl TableDdl {
    /// CREATE TABLE.
    pub(crate) fn create(&self) -> String {
        let mut parts: Vec<String> = self.columns.iter().map(ColumnDdl::definition).collect();
        if !self.primary_key.is_empty() {
            parts.push(format!("PRIMARY KEY ({})", quote_list(&self.primary_key)));
        }
        parts
            .extend(self.uniques.iter().map(|columns| format!("UNIQUE ({})", quote_list(columns))));
        parts.extend(
            self.checks
                .iter()
                .map(|(name, condition)| format!("{}CHECK ({condition})", named(name.as_ref()))),
        );
        parts.extend(self.foreign_keys.iter().map(ForeignKeyDdl::definition));
        let mut options = Vec::new();
        if self.without_rowid {
            options.push(" WITHOUT ROWID");
        }
        if self.strict {
            options.push(" STRICT");
        }
        let (name, options) = (quote(&self.name), options.join(","));
        format!("CREATE TABLE {name} (\n  {}\n){options}", parts.join(",\n  "))
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
    fn definition(&self) -> String {
        let mut text = quote(&self.name);
        if !self.declared.is_empty() {
            text.push(' ');
            text.push_str(&declared(&self.declared));
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
        }
        text.push_str(match self.key {
            None => "",
            Some(ColumnKey::Rowid) => " PRIMARY KEY",
            Some(ColumnKey::Autoincrement) => " PRIMARY KEY AUTOINCREMENT",
            Some(ColumnKey::Descending) => " PRIMARY KEY DESC",
        });
        text
    }
}

impl ForeignKeyDdl {
    fn definition(&self) -> String {
        let mut text = format!(
            "{}FOREIGN KEY ({}) REFERENCES {} ({})",
            named(self.name.as_ref()),
            quote_list(&self.columns),
            quote(&self.parent),
            quote_list(&self.parent_columns)
        );
        for (event, action) in [("DELETE", self.on_delete), ("UPDATE", self.on_update)] {
            if action != Action::NoAction {
                text.push_str(&format!(" ON {event} {}", action.as_sql()));
            }
        }
        text.push_str(self.deferrable.as_clause());
        text
    }
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
    const WORDS: [&str; 14] = [
        "CONSTRAINT",
        "PRIMARY",
        "NOT",
        "NULL",
        "UNIQUE",
        "CHECK",
        "DEFAULT",
        "COLLATE",
        "REFERENCES",
        "GENERATED",
        "AS",
        "ON",
        "FOREIGN",
        "SELECT",
    ];
    words.split(' ').any(|word| WORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_defined_with_its_constraints() {
        let table = TableDdl {
            name: "a\"b".into(),
            columns: vec![
                ColumnDdl {
                    name: "id".into(),
                    declared: "INTEGER".into(),
                    key: Some(ColumnKey::Autoincrement),
                    ..ColumnDdl::default()
                },
                ColumnDdl {
                    name: "n".into(),
                    declared: "VARCHAR(40)".into(),
                    collation: Some("NOCASE".into()),
                    default: Some("'x'".into()),
                    not_null: true,
                    ..ColumnDdl::default()
                },
                ColumnDdl {
                    name: "g".into(),
                    generated: Some(("id + 1".into(), true)),
                    ..ColumnDdl::default()
                },
            ],
            uniques: vec![vec!["n".into()]],
            checks: vec![(Some("c".into()), "id > 0".into())],
            foreign_keys: vec![ForeignKeyDdl {
                name: None,
                columns: vec!["n".into()],
                parent: "p".into(),
                parent_columns: vec!["k".into()],
                on_delete: Action::Cascade,
                on_update: Action::NoAction,
                deferrable: Deferrable::InitiallyDeferred,
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

//! Definitions: the statements that make tables and indexes. SQLite takes constraints only with
//! the table itself, so they all stand in CREATE TABLE.

use crate::schema::names::quote;
use crate::schema::{Action, Deferrable};

/// A table to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct TableDdl {
    /// Its name.
    pub(crate) name: String,
    /// Its columns in order.
    pub(crate) columns: Vec<ColumnDdl>,
    /// The primary key's columns, where it is not a column's own.
    pub(crate) primary_key: Vec<String>,
    /// UNIQUE constraints.
    pub(crate) uniques: Vec<Vec<String>>,
    /// CHECKs: their names and translated conditions.
    pub(crate) checks: Vec<(Option<String>, String)>,
    /// Foreign keys.
    pub(crate) foreign_keys: Vec<ForeignKeyDdl>,
    /// WITHOUT ROWID.
    pub(crate) without_rowid: bool,
    /// STRICT.
    pub(crate) strict: bool,
}

/// A column of a table to create.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnDdl {
    /// Its name.
    pub(crate) name: String,
    /// Its declared type; may be empty.
    pub(crate) declared: String,
    /// Its collation, where it is not BINARY.
    pub(crate) collation: Option<String>,
    /// NOT NULL.
    pub(crate) not_null: bool,
    /// The translated DEFAULT.
    pub(crate) default: Option<String>,
    /// The translated expression of a generated column, and whether its values are stored.
    pub(crate) generated: Option<(String, bool)>,
    /// It is the primary key by itself.
    pub(crate) key: Option<ColumnKey>,
}

/// How a column is the primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKey {
    /// The rowid under another name.
    Rowid,
    /// The same; no value is handed out twice.
    Autoincrement,
    /// A key of its own beside the rowid, although its type is INTEGER: a column that is declared
    /// INTEGER PRIMARY KEY DESC is not the rowid
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
            parts.push(format!("PRIMARY KEY ({})", list(&self.primary_key)));
        }
        parts.extend(self.uniques.iter().map(|columns| format!("UNIQUE ({})", list(columns))));
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

    /// How many values a row is inserted with: one for each column that is not generated.
    pub(crate) fn width(&self) -> usize {
        self.inserted().count()
    }

    /// The insertion of `rows` rows by one statement.
    pub(crate) fn insert(&self, rows: usize) -> String {
        let names: Vec<String> = self.inserted().map(|column| column.name.clone()).collect();
        let row = format!("({})", vec!["?"; names.len()].join(","));
        let rows = vec![row; rows].join(",");
        format!("INSERT INTO {} ({}) VALUES {rows}", quote(&self.name), list(&names))
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
            list(&self.columns),
            quote(&self.parent),
            list(&self.parent_columns)
        );
        for (event, action) in [("DELETE", self.on_delete), ("UPDATE", self.on_update)] {
            let action = match action {
                Action::NoAction => continue,
                Action::Restrict => "RESTRICT",
                Action::Cascade => "CASCADE",
                Action::SetNull => "SET NULL",
                Action::SetDefault => "SET DEFAULT",
            };
            text.push_str(&format!(" ON {event} {action}"));
        }
        text.push_str(match self.deferrable {
            Deferrable::No => "",
            Deferrable::InitiallyImmediate => " DEFERRABLE INITIALLY IMMEDIATE",
            Deferrable::InitiallyDeferred => " DEFERRABLE INITIALLY DEFERRED",
        });
        text
    }
}

/// CREATE INDEX. `terms` and `filter` are finished SQL.
pub(crate) fn create_index(
    table: &str,
    name: &str,
    unique: bool,
    terms: &[String],
    filter: Option<&str>,
) -> String {
    let unique = if unique { "UNIQUE " } else { "" };
    let filter = filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"));
    let (name, table) = (quote(name), quote(table));
    format!("CREATE {unique}INDEX {name} ON {table} ({}){filter}", terms.join(", "))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

fn named(name: Option<&String>) -> String {
    name.map_or_else(String::new, |name| format!("CONSTRAINT {} ", quote(name)))
}

/// A type as it was declared, in quotes where it is not made of plain words and numbers: it may
/// come from a comment that anybody can have written.
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
        arguments.is_some_and(|text_of| !text.contains('(') || text_of.split(',').all(is_number));
    if fine_words && fine_arguments && !words.trim().is_empty() && !is_keyword(words) {
        text.to_owned()
    } else {
        quote(text)
    }
}

/// Words that would begin a constraint where a type is expected.
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
    fn a_table_is_defined_so() {
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
    fn a_type_that_is_no_plain_words_is_quoted() {
        for plain in ["INTEGER", "unsigned big int", "DECIMAL(10, 5)", "_t"] {
            let expected = if plain == "_t" { quote(plain) } else { plain.to_owned() };
            assert_eq!(declared(plain), expected);
        }
        for odd in ["x', y", "INTEGER) --", "DEFAULT", "int NOT NULL", "a(b)", "a\"b", "(1)"] {
            assert_eq!(declared(odd), quote(odd));
        }
    }
}

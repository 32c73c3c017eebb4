//! The properties of a database file that PostgreSQL does not have.

use crate::error::Result;
use crate::sqlite::catalog::query::unreadable;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The pragmas, in the order in which a new file must be given them, and SQLite's defaults.
const PRAGMAS: [(&str, &str); 5] = [
    ("page_size", "4096"),
    ("auto_vacuum", "0"),
    ("encoding", "UTF-8"),
    ("user_version", "0"),
    ("application_id", "0"),
];
const ENCODINGS: [&str; 3] = ["UTF-8", "UTF-16le", "UTF-16be"];

/// The properties that are not SQLite's defaults, by the names of their pragmas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileProperties(BTreeMap<&'static str, String>);

impl FileProperties {
    /// Reads the properties of the connection's main database.
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let mut properties = Self::default();
        for (name, default) in PRAGMAS {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(match row.get_ref(0)? {
                    ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str().unwrap_or(default).to_owned(),
                })
            };
            let sql = format!("PRAGMA main.{name}");
            let value: String = connection.query_row(&sql, [], read).map_err(unreadable)?;
            if value != default {
                properties.0.insert(name, value);
            }
        }
        Ok(properties)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The form in which a comment keeps them.
    pub(crate) fn to_json(&self) -> Value {
        json!(self.0)
    }

    /// Adds the properties that a comment keeps. Returns the names of those that have another value
    /// already.
    pub(crate) fn add_json(&mut self, kept: &Value) -> Vec<&'static str> {
        let mut differing = Vec::new();
        for (name, _) in PRAGMAS {
            let Some(value) = kept[name].as_str().filter(|value| is_valid(name, value)) else {
                continue;
            };
            let known = self.0.entry(name).or_insert_with(|| value.to_owned());
            if known != value {
                differing.push(name);
            }
        }
        differing
    }

    /// The properties of a replaced file, which has these, that the new file does not have, each with
    /// both values. It has the properties `new`, and the page size of the replaced file.
    pub(crate) fn lost(&self, new: &Self) -> Vec<(&'static str, String)> {
        let lost = |(name, default)| {
            let old = self.0.get(name)?.as_str();
            let new = match new.0.get(name) {
                Some(new) => new.as_str(),
                None if name == "page_size" => old,
                None => default,
            };
            let text = format!("the replaced file has {old}, the new file gets {new}");
            (old != new).then_some((name, text))
        };
        PRAGMAS.into_iter().filter_map(lost).collect()
    }

    /// The statements that give them to a new, empty file. Its pages have `page_size` bytes unless
    /// they are a property.
    pub(crate) fn statements(&self, page_size: u32) -> String {
        let page_size = page_size.to_string();
        let value = |name| match (name, self.0.get(name)) {
            (_, Some(value)) => Some(value),
            ("page_size", None) => Some(&page_size),
            _ => None,
        };
        let statement = |(name, _)| Some(format!("PRAGMA {name} = '{}'; ", value(name)?));
        PRAGMAS.into_iter().filter_map(statement).collect()
    }

    /// Names and values, for notes.
    pub(crate) fn list(&self) -> String {
        let listed = |(name, _)| Some(format!("{name} {}", self.0.get(name)?));
        PRAGMAS.into_iter().filter_map(listed).collect::<Vec<_>>().join(", ")
    }
}

fn is_valid(name: &str, value: &str) -> bool {
    match name {
        "encoding" => ENCODINGS.contains(&value),
        _ => value.parse::<i32>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gets_the_properties_that_a_comment_keeps() {
        let open = || Connection::open_in_memory().unwrap();
        let source = open();
        source
            .execute_batch(
                "PRAGMA page_size = 8192; PRAGMA auto_vacuum = 2; PRAGMA encoding = 'UTF-16le';
                 PRAGMA user_version = -42; PRAGMA application_id = 252006674; CREATE TABLE t (a)",
            )
            .unwrap();
        let properties = FileProperties::read(&source).unwrap();
        let text = "page_size 8192, auto_vacuum 2, encoding UTF-16le, user_version -42, \
                    application_id 252006674";
        assert_eq!(properties.list(), text);
        let mut kept = FileProperties::default();
        assert_eq!(kept.add_json(&properties.to_json()), Vec::<&str>::new());
        assert_eq!(kept, properties);
        let new = open();
        new.execute_batch(&format!("{} CREATE TABLE t (a)", kept.statements(4096))).unwrap();
        assert_eq!(FileProperties::read(&new).unwrap(), properties);
        assert!(FileProperties::read(&open()).unwrap().is_empty());
    }

    #[test]
    fn differing_and_unusable_values_of_comments_are_not_taken() {
        let mut kept = FileProperties::default();
        kept.add_json(&json!({"user_version": "1", "encoding": "'; DROP", "page_size": "x"}));
        assert_eq!(kept.list(), "user_version 1");
        assert_eq!(kept.add_json(&json!({"user_version": "2"})), ["user_version"]);
        assert_eq!(kept.list(), "user_version 1");
    }
}

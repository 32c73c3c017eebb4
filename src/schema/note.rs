//! Notes: the facts of a SQLite object that PostgreSQL cannot hold otherwise, as JSON in the comment
//! on the object that was created from it. They are the comment's last line. What precedes them is
//! the user's own comment.
//!
//! A dropped object takes its comment with it. Where an object can change under its comment, the fact
//! [`MADE`] shows whether it is still the one that was created.

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

/// The fact with the fingerprint of the definition as the server printed it.
pub(crate) const MADE: &str = "made";

/// A comment, split into the user's own text and our facts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Note {
    /// The user's own text; empty if there is none.
    pub(crate) text: String,
    /// The facts of the SQLite object; null if there are none.
    pub(crate) facts: Value,
}

impl Note {
    /// Splits a comment, if there is one.
    pub(crate) fn parse(comment: Option<&str>) -> Self {
        let comment = comment.unwrap_or_default();
        let (text, line) = comment.rsplit_once('\n').unwrap_or(("", comment));
        let object = serde_json::from_str::<Value>(line).unwrap_or_default();
        match object.get("sqlite") {
            Some(facts) => Self { text: text.to_owned(), facts: facts.clone() },
            None => Self { text: comment.to_owned(), facts: Value::Null },
        }
    }

    /// The comment with these facts and no other text; `None` if there are none.
    pub(crate) fn of_facts<const N: usize>(facts: [(&str, Option<Value>); N]) -> Option<String> {
        let facts = facts.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?)));
        let facts: Map<String, Value> = facts.collect();
        let facts = if facts.is_empty() { Value::Null } else { facts.into() };
        Self { facts, ..Self::default() }.render()
    }

    /// The comment with one more fact.
    pub(crate) fn add(comment: Option<&str>, name: &str, fact: Value) -> Option<String> {
        let mut note = Self::parse(comment);
        note.facts[name] = fact;
        note.render()
    }

    /// The comment; `None` if it would be empty.
    pub(crate) fn render(&self) -> Option<String> {
        let facts = json!({ "sqlite": self.facts });
        match (self.text.as_str(), self.facts.is_null()) {
            ("", true) => None,
            (text, true) => Some(text.to_owned()),
            ("", false) => Some(facts.to_string()),
            (text, false) => Some(format!("{text}\n{facts}")),
        }
    }
}

/// The fingerprint of a definition.
pub(crate) fn fingerprint(definition: &str) -> String {
    format!("{:016x}", xxh3_64(definition.as_bytes()))
}

/// The fingerprint of an index, whatever its schema.
pub(crate) fn fingerprint_of_index(definition: &str) -> String {
    fingerprint(definition.split_once(" USING ").map_or(definition, |(_, parts)| parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_split_into_the_text_of_the_user_and_our_facts() {
        for (comment, text, facts) in [
            (r#"{"sqlite":{"name":"t\u0000"}}"#, "", json!({"name": "t\0"})),
            (
                "users\nof all\n{\"sqlite\":{\"type\":\"INT\"}}",
                "users\nof all",
                json!({"type": "INT"}),
            ),
            ("users of the service", "users of the service", Value::Null),
            ("two\nlines", "two\nlines", Value::Null),
            ("[1]", "[1]", Value::Null),
        ] {
            let note = Note::parse(Some(comment));
            assert_eq!((note.text.as_str(), &note.facts), (text, &facts), "{comment}");
            assert_eq!(note.render().as_deref(), Some(comment));
        }
        assert_eq!(Note::parse(None).render(), None);
    }
}

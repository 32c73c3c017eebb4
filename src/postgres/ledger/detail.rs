//! The content of a data set's row in the ledger.

use crate::error::{Error, Result};
use crate::schema::names::quote;
use crate::schema::{LeftOut, ObjectKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The format of the rows that this version writes. Rows without a number have format 1.
pub(crate) const FORMAT: u32 = 3;

/// The content of a data set's row.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LedgerDetail {
    /// The format of all rows of the data set.
    pub(crate) format: u32,
    /// The state; `None` if the row cannot be read.
    pub(crate) state: Option<State>,
    /// The run that writes.
    pub(crate) run: String,
    /// The version of the program that writes.
    pub(crate) version: String,
    /// The fingerprint of the SQLite file.
    pub(crate) source: Value,
    /// When the run began, in UTC.
    pub(crate) begun: String,
    /// The options that shaped the plan.
    pub(crate) options: Value,
    #[serde(rename = "made")]
    pub(crate) created: Value,
    pub(crate) left_out: Vec<Omission>,
    /// The number of skipped rows of each table that has some.
    pub(crate) rows_left_out: BTreeMap<String, u64>,
    /// The type of each column, by table.
    pub(crate) types: BTreeMap<String, BTreeMap<String, String>>,
    /// The digests of a verification, by table.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) tables: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) depth: Option<String>,
}

/// An object that was not migrated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Omission {
    pub(crate) kind: ObjectKind,
    pub(crate) table: Option<String>,
    pub(crate) name: String,
}

impl Omission {
    /// The omission of an object that the report lists.
    pub(crate) fn from_left_out(left_out: &LeftOut) -> Self {
        let LeftOut { kind, table, name, .. } = left_out.clone();
        Self { kind, table, name }
    }
}

/// The state of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Rows are being copied, or a run was interrupted while it copied.
    Copying,
    /// All rows are copied; indexes and constraints may be missing.
    Finishing,
    /// Everything is copied and not compared.
    NotVerified,
    /// Everything is copied and compared.
    Verified,
    /// Everything is copied, and a comparison found differences, or another run replaced a part.
    Differs,
    /// The provider was switched to it: its service writes.
    Live,
}

impl State {
    pub(crate) fn is_complete(self) -> bool {
        !matches!(self, Self::Copying | Self::Finishing)
    }
}

impl LedgerDetail {
    /// Reads a row of the ledger in `schema`. A row that cannot be read gives no state. Refused if
    /// a newer version wrote the row.
    pub(crate) fn read(text: Option<String>, schema: &str) -> Result<Self> {
        let value: Value =
            text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let format = value["format"].as_u64().unwrap_or(1);
        if format > u64::from(FORMAT) {
            return Err(Error::refused(format!(
                "a newer version of migrate wrote the ledger of schema {}",
                quote(schema)
            ))
            .caused_by(format!("its format is {format}; this version reads up to {FORMAT}"))
            .hint("use the newer version"));
        }
        let detail: Self = serde_json::from_value(value).unwrap_or_default();
        Ok(Self { format: format as u32, ..detail })
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state.is_some_and(State::is_complete)
    }

    /// The row as the ledger stores it.
    pub(crate) fn to_json(&self) -> Value {
        // Cannot fail: every field has a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LedgerDetail> {
        LedgerDetail::read(Some(text.to_owned()), "s")
    }

    #[test]
    fn a_row_without_a_number_has_format_one() {
        let row = read(r#"{"state":"verified","options":{"--strict":false}}"#).unwrap();
        assert_eq!((row.format, row.state), (1, Some(State::Verified)));
        let unreadable = read("{").unwrap();
        assert_eq!((unreadable.format, unreadable.state), (1, None));
    }

    #[test]
    fn a_row_reads_back_as_it_was_written() {
        let row = LedgerDetail {
            format: FORMAT,
            state: Some(State::Copying),
            rows_left_out: [("t".to_owned(), 3)].into(),
            ..LedgerDetail::default()
        };
        let back = read(&row.to_json().to_string()).unwrap();
        assert_eq!(back.to_json(), row.to_json());
    }

    #[test]
    fn a_row_of_a_newer_version_is_refused() {
        let error = read(r#"{"format":4,"state":"verified"}"#).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Refused);
        assert!(error.message().contains("newer version"), "{error:?}");
    }
}

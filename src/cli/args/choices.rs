//! The values of flags that take one of a few words.

use crate::options::plan_options::LargeObjects;
use crate::options::run_options::Depth;
use crate::product::Provider;
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// The parser of the argument of `provider`.
pub(crate) fn provider_parser() -> impl TypedValueParser<Value = Provider> {
    let postgres = PossibleValue::new("postgres").alias("pgx");
    let sqlite = PossibleValue::new("sqlite").alias("sqlite3");
    PossibleValuesParser::new([postgres, sqlite]).map(|word| match word.as_str() {
        "sqlite" | "sqlite3" => Provider::Sqlite,
        _ => Provider::Postgres,
    })
}

/// The parser of --depth.
pub(crate) fn depth_parser() -> impl TypedValueParser<Value = Depth> {
    let words = PossibleValuesParser::new(["rows", "full"]);
    words.map(|word| if word == "rows" { Depth::Rows } else { Depth::Full })
}

/// A guard that --allow overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guard {
    Duplicates,
}

/// The parser of --large-objects.
pub(crate) fn large_objects_parser() -> impl TypedValueParser<Value = LargeObjects> {
    let words = PossibleValuesParser::new(["blob", "skip"]);
    words.map(|word| if word == "blob" { LargeObjects::Blob } else { LargeObjects::Skip })
}

/// A value of --on-misfit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MisfitArg {
    Refuse,
    Widen,
    Reject,
}

//! The column types of a SQLite file: candidates for each column, the best one first. A candidate
//! names the values that it cannot hold. The server counts them before the first row is read, and
//! the first candidate that holds all values is chosen.

use crate::codec::encoding::Encoding;
use crate::codec::types::temporal::epoch::Epoch;
use crate::error::{Error, Result};
use crate::postgres::catalog::model::ColumnFacts;
use crate::schema::Column;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation};
use crate::schema::names::quote;
use crate::sqlite::sql::declared_type::column_affinity;
use crate::sqlite::sql::from_postgres::node::Kind;

/// One way to store a column.
#[derive(Debug, Clone)]
pub(crate) struct MappingCandidate {
    /// The declared type in SQLite.
    pub(crate) declared: String,
    /// How its fields are read, and how its stored values are compared with the fields.
    pub(crate) encoding: Encoding,
    /// The expression that is read instead of the column.
    pub(crate) read: Option<String>,
    /// The expression of the text that stored values are compared with, if fields are not compared.
    pub(crate) compared: Option<String>,
    /// The kind of its values, for expressions.
    pub(crate) kind: Kind,
    /// The condition of values that it cannot hold, and their description.
    pub(crate) rejects: Option<(String, &'static str)>,
    /// The affinity of a column in which SQLite turns text that looks like a number into a number;
    /// such texts must be checked.
    pub(crate) numeric_text: Option<Affinity>,
    /// If it does not hold all values, the next candidate needs the user's consent.
    pub(crate) fallback_needs_consent: bool,
    /// The reason for this candidate, if it is not the first.
    pub(crate) reason: Option<&'static str>,
    /// Its values may be negative zeros, which SQLite turns into zeros.
    pub(crate) negative_zero: bool,
}

/// The facts that decide about a column.
pub(crate) struct ColumnInput<'a> {
    pub(crate) column: &'a Column,
    pub(crate) facts: &'a ColumnFacts,
    /// It goes into a STRICT table.
    pub(crate) strict: bool,
    /// The epoch of the numbers that an earlier run from SQLite turned into dates.
    pub(crate) epoch: Option<Epoch>,
    /// The user's override.
    pub(crate) fixed: Option<&'a Encoding>,
}

impl ColumnInput<'_> {
    fn quoted(&self) -> String {
        quote(&self.column.name)
    }

    /// The declared type that the column had in SQLite.
    fn origin(&self) -> Option<&str> {
        self.facts.origin["type"].as_str()
    }

    fn affinity(&self, declared: &str) -> Affinity {
        column_affinity(declared, self.strict)
    }

    /// The declared type that it had in SQLite, if its affinity is one of these; otherwise `own`.
    fn declared(&self, fine: &[Affinity], own: &str) -> String {
        match self.origin() {
            Some(origin) if fine.contains(&self.affinity(origin)) => origin.to_owned(),
            _ => own.to_owned(),
        }
    }

    fn candidate(
        &self,
        declared: String,
        encoding: impl Into<Encoding>,
        kind: Kind,
    ) -> MappingCandidate {
        MappingCandidate {
            declared,
            encoding: encoding.into(),
            read: None,
            compared: None,
            kind,
            rejects: None,
            numeric_text: None,
            fallback_needs_consent: false,
            reason: None,
            negative_zero: false,
        }
    }

    /// The value as the server prints it.
    fn printed(&self) -> String {
        let column = self.quoted();
        let value = match self.facts.domain {
            true => format!("{column}::{}", self.facts.base_type),
            false => column,
        };
        format!("pg_catalog.textin({}({value}))", self.facts.output)
    }

    /// Text as the server prints it.
    fn as_printed(&self, declared: String, kind: Kind) -> MappingCandidate {
        let numeric_text = Some(self.affinity(&declared)).filter(|affinity| affinity.is_numeric());
        let candidate = self.candidate(declared, ColumnType::Text, kind);
        MappingCandidate { read: Some(self.printed()), numeric_text, ..candidate }
    }

    /// Text as the server prints it, in a column that is declared as TEXT in SQLite.
    fn as_plain_text(&self) -> MappingCandidate {
        self.as_printed("TEXT".to_owned(), Kind::Opaque)
    }

    /// The fallback to text as the server prints it.
    fn fallback(&self, reason: &'static str) -> MappingCandidate {
        MappingCandidate { reason: Some(reason), ..self.as_plain_text() }
    }

    /// Text whose binary form is its bytes.
    fn as_text(&self, declared: String, kind: Kind) -> MappingCandidate {
        MappingCandidate { read: None, ..self.as_printed(declared, kind) }
    }
}

const ANY: [Affinity; 5] =
    [Affinity::Integer, Affinity::Text, Affinity::Blob, Affinity::Real, Affinity::Numeric];
const WHOLE: [Affinity; 3] = [Affinity::Integer, Affinity::Numeric, Affinity::Blob];
const NUMBER: [Affinity; 4] =
    [Affinity::Integer, Affinity::Numeric, Affinity::Real, Affinity::Blob];
/// An application does not expect dates in a column of integers: comparisons with numbers would find
/// nothing.
const DATED: [Affinity; 3] = [Affinity::Numeric, Affinity::Text, Affinity::Blob];

/// The candidates for a column, at least one.
pub(crate) fn candidates(given: &ColumnInput<'_>) -> Result<Vec<MappingCandidate>> {
    if let Some(fixed) = given.fixed {
        return overridden(given, fixed).map(|candidate| vec![candidate]);
    }
    let column = given.quoted();
    let text = Kind::Text { bytewise: given.facts.bytewise };
    Ok(match given.facts.base.as_str() {
        "bool" => {
            let declared = given.declared(&WHOLE, "BOOLEAN");
            vec![given.candidate(declared, ColumnType::Boolean, Kind::Boolean)]
        }
        "int2" | "int4" | "int8" => vec![integers(given)],
        "oid" => {
            let declared = given.declared(&WHOLE, "INTEGER");
            let candidate = given.candidate(declared, ColumnType::BigInt, Kind::Integer);
            vec![MappingCandidate { read: Some(format!("{column}::pg_catalog.int8")), ..candidate }]
        }
        "float4" | "float8" => doubles(given),
        "numeric" => decimals(given),
        "text" | "varchar" => {
            let declared = given.declared(&ANY, "TEXT");
            with_wide(given.as_text(declared, text), given.as_text("TEXT".to_owned(), text))
        }
        "bpchar" | "name" => vec![given.as_text("TEXT".to_owned(), Kind::Opaque)],
        "json" | "jsonb" => documents(given),
        "bytea" => {
            let declared = given.declared(&ANY, "BLOB");
            vec![given.candidate(declared, ColumnType::Bytea, Kind::Blob)]
        }
        "date" | "time" | "timestamp" | "timestamptz" => dates(given),
        "interval" => exact_texts(given, ColumnType::Interval),
        "inet" => exact_texts(given, ColumnType::Inet),
        "uuid" => {
            let declared = given.declared(&DATED, "TEXT");
            vec![given.candidate(declared, ColumnType::Uuid, Kind::Word)]
        }
        _ if given.column.collation == Collation::NoCase => vec![given.as_plain_text()],
        // Enums are equal if their texts are; ordered or nested values are not compared.
        base => {
            let word = if base.is_empty() { Kind::Word } else { Kind::Opaque };
            vec![given.as_printed("TEXT".to_owned(), word)]
        }
    })
}

fn integers(given: &ColumnInput<'_>) -> MappingCandidate {
    let as_keys = given
        .origin()
        .filter(|origin| given.facts.base == "int8" && given.affinity(origin) == Affinity::Text);
    if let Some(origin) = as_keys {
        let text = Kind::Opaque;
        return given.candidate(origin.to_owned(), Encoding::INTEGER_TEXT, text);
    }
    let declared = given.declared(&WHOLE, "INTEGER");
    let column_type = match given.facts.base.as_str() {
        "int2" => ColumnType::SmallInt,
        "int4" => ColumnType::Integer,
        _ => ColumnType::BigInt,
    };
    given.candidate(declared, column_type, Kind::Integer)
}

const NAN: &str = "NaN, which SQLite does not have";

fn doubles(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    let column = given.quoted();
    let column_type =
        if given.facts.base == "float4" { ColumnType::Real } else { ColumnType::Double };
    let nan = format!("{column} = 'NaN'");
    let own = MappingCandidate {
        rejects: Some((nan.clone(), NAN)),
        fallback_needs_consent: true,
        negative_zero: true,
        ..given.candidate("REAL".to_owned(), column_type, Kind::Real)
    };
    let declared = given.declared(&NUMBER, "REAL");
    let mut candidates = Vec::new();
    if declared != "REAL" {
        // In these columns a double without fraction becomes an integer, and is compared as such.
        let negative_zero = given.affinity(&declared).is_numeric();
        let whole = matches!(given.affinity(&declared), Affinity::Integer | Affinity::Numeric);
        let wide = match whole {
            true => format!("{nan} OR abs({column}) > 9007199254740992 AND abs({column}) < 9.3e18"),
            false => nan,
        };
        let rejects = Some((wide, "doubles that the declared type would turn into integers"));
        candidates.push(MappingCandidate {
            rejects,
            negative_zero,
            ..given.candidate(declared, column_type, Kind::Real)
        });
    }
    candidates.extend([own, given.fallback("it holds NaN")]);
    candidates
}

fn decimals(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    let column = given.quoted();
    let limits = match ColumnType::parse(&given.facts.base_type) {
        Some(ColumnType::Numeric(limits)) => limits,
        _ => None,
    };
    let printed = MappingCandidate {
        reason: Some("not all of its values survive as numbers"),
        ..given.as_printed("DECIMAL_TEXT".to_owned(), Kind::Opaque)
    };
    let declared = match (given.origin(), limits) {
        (Some(origin), _) if NUMBER.contains(&given.affinity(origin)) => origin.to_owned(),
        (_, Some((precision, scale))) => format!("DECIMAL({precision},{scale})"),
        _ => return vec![MappingCandidate { reason: None, ..printed }],
    };
    // With 15 digits a double holds every decimal; with more, the server is asked for each value.
    let digits = limits.map_or(u16::MAX, |(precision, _)| precision);
    let real = given.affinity(&declared) == Affinity::Real;
    let lost = if digits <= 15 && !real {
        format!("{column} = 'NaN'")
    } else {
        let whole =
            if real { "false" } else { "scale({c}) = 0 AND abs({c}) < 9223372036854775808" };
        let whole = whole.replace("{c}", &column).replace("scale(", "pg_catalog.scale(");
        format!(
            "CASE WHEN {column} = 'NaN' THEN true \
             WHEN {column} IN ('Infinity', '-Infinity') THEN false \
             WHEN {whole} THEN false \
             WHEN abs({column}) > 1.7976931348623157e308 \
             OR {column} <> 0 AND abs({column}) < 5e-324 THEN true \
             ELSE {column}::pg_catalog.float8::pg_catalog.text::pg_catalog.numeric <> {column} END"
        )
    };
    let number = MappingCandidate {
        rejects: Some((lost, "digits that a double cannot hold")),
        ..given.candidate(declared, ColumnType::Numeric(None), Kind::Decimal)
    };
    vec![number, printed]
}

fn documents(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    let own = |declared: String| {
        let text = given.as_text(declared, Kind::Opaque);
        if given.facts.base == "json" {
            return text;
        }
        let compared = Some(given.printed());
        MappingCandidate { encoding: ColumnType::Jsonb.into(), compared, ..text }
    };
    with_wide(own(given.declared(&ANY, "JSON")), own("TEXT".to_owned()))
}

/// `first`, and `wide` if SQLite would turn texts of `first` into numbers.
fn with_wide(first: MappingCandidate, wide: MappingCandidate) -> Vec<MappingCandidate> {
    let reason = Some("SQLite would turn its texts into other numbers");
    let wide = first.numeric_text.map(|_| MappingCandidate { reason, ..wide });
    std::iter::once(first).chain(wide).collect()
}

fn dates(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    const YEARS: &str = "infinity, or a year outside 0001 to 9999";
    let column = given.quoted();
    let (column_type, kind, own) = match given.facts.base.as_str() {
        "date" => (ColumnType::Date, Kind::Date, "DATE"),
        "time" => (ColumnType::Time, Kind::Time, "TIME"),
        "timestamp" => (ColumnType::Timestamp, Kind::Timestamp, "TIMESTAMP"),
        _ => (ColumnType::TimestampTz, Kind::TimestampTz, "DATETIME"),
    };
    let rejects = match given.facts.base.as_str() {
        "time" => (format!("{column} = '24:00:00'"), "the hour 24"),
        base => {
            let time = match base {
                "date" => "",
                "timestamp" => " 00:00:00",
                _ => " 00:00:00+00",
            };
            let (first, end) = (format!("0001-01-01{time}"), format!("10000-01-01{time}"));
            (format!("{column} < '{first}' OR {column} >= '{end}'"), YEARS)
        }
    };
    let printed = given.fallback("it holds dates that ISO text cannot express");
    let rejects = Some(rejects);
    if let (Some(epoch), Some(origin)) = (given.epoch, given.origin()) {
        return vec![epoch_candidate(given, epoch, origin.to_owned(), rejects), printed];
    }
    let declared = given.declared(&DATED, own);
    let replaced = given.origin().is_some_and(|origin| origin != declared);
    let reason = replaced.then_some("dates are text, which does not belong in a column of numbers");
    let first = given.candidate(declared, column_type, kind);
    vec![MappingCandidate { rejects, fallback_needs_consent: true, reason, ..first }, printed]
}

/// Text of a type whose values have one text each, which is compared by value. Where that is not
/// certain for a value (infinite intervals), the server prints the texts.
fn exact_texts(given: &ColumnInput<'_>, column_type: ColumnType) -> Vec<MappingCandidate> {
    let declared = given.declared(&[Affinity::Text, Affinity::Blob], "TEXT");
    let own = given.candidate(declared, column_type, Kind::Opaque);
    if column_type != ColumnType::Interval {
        return vec![own];
    }
    // The largest and the smallest value are infinite or finite, by the server's version.
    let column = given.quoted();
    let rejects = format!(
        "pg_catalog.interval_send({column}) IN ('\\x7fffffffffffffff7fffffff7fffffff', '\\x80000000000000008000000080000000')"
    );
    vec![
        MappingCandidate { rejects: Some((rejects, "infinite intervals")), ..own },
        given.as_plain_text(),
    ]
}

/// Dates as numbers that count from an epoch.
fn epoch_candidate(
    given: &ColumnInput<'_>,
    unit: Epoch,
    declared: String,
    rejects: Option<(String, &'static str)>,
) -> MappingCandidate {
    let column_type = match given.facts.base.as_str() {
        "date" => ColumnType::Date,
        "timestamp" => ColumnType::Timestamp,
        _ => ColumnType::TimestampTz,
    };
    let encoding = Encoding::from_epoch(unit, column_type);
    MappingCandidate {
        rejects,
        fallback_needs_consent: true,
        ..given.candidate(declared, encoding, Kind::Opaque)
    }
}

/// The candidate for the user's override: the server's text, its JSON, or a number for a date.
fn overridden(given: &ColumnInput<'_>, fixed: &Encoding) -> Result<MappingCandidate> {
    let base = ColumnType::parse(&given.facts.base_type);
    match (&fixed.column_type, fixed.epoch()) {
        (ColumnType::Text, None) => Ok(given.as_plain_text()),
        (ColumnType::Json | ColumnType::Jsonb, None) => {
            let json = format!("pg_catalog.to_json({})::pg_catalog.text", given.quoted());
            Ok(MappingCandidate { read: Some(json), ..given.as_plain_text() })
        }
        (column_type, Some(unit)) if base.as_ref() == Some(column_type) => {
            Ok(epoch_candidate(given, unit, "INTEGER".to_owned(), None))
        }
        _ => {
            let refusal = Error::usage(format!(
                "--cast: column {} is {} and cannot become {fixed} in SQLite",
                given.quoted(),
                given.column.declared
            ))
            .hint("a column can become text or json, and a date its own type with a unit, such as timestamp:s");
            let own = candidates(&ColumnInput { fixed: None, ..*given })?;
            Err(match own.iter().all(|candidate| candidate.declared == "TEXT") {
                true => refusal.hint("without a cast it becomes TEXT"),
                false => refusal,
            })
        }
    }
}

//! What a column becomes: proposals, the best one first. Each says which values it cannot take;
//! the first that takes all of them is chosen. The server counts such values, before any is read.

use crate::codec::decode::field_decoder::FieldDecoder;
use crate::codec::encode::column_encoder::{Encoding, TemporalType};
use crate::codec::types::epoch::Epoch;
use crate::error::{Error, Result};
use crate::options::type_override::OverrideType;
use crate::postgres::catalog::model::ColumnFacts;
use crate::schema::Column;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Affinity, Collation};
use crate::schema::names::quote;
use crate::sqlite::sql::declared_type::column_affinity;
use crate::sqlite::sql::from_postgres::node::Kind;

/// One way in which a column can arrive.
#[derive(Debug, Clone)]
pub(crate) struct MappingCandidate {
    /// The declared type in SQLite.
    pub(crate) declared: String,
    /// How its fields are read.
    pub(crate) wire: FieldDecoder,
    /// How its stored values are compared with the fields.
    pub(crate) form: Encoding,
    /// What is read in place of the column itself.
    pub(crate) read: Option<String>,
    /// The same for comparisons, where it is another expression.
    pub(crate) compared: Option<String>,
    /// What it holds, for expressions.
    pub(crate) kind: Kind,
    /// The condition of values that it cannot take, and what they are.
    pub(crate) unless: Option<(String, &'static str)>,
    /// Texts that look like numbers have to be looked at, as SQLite makes numbers of them: in
    /// columns of this affinity.
    pub(crate) looks: Option<Affinity>,
    /// Where it cannot be, the user has to say so before another is taken.
    pub(crate) strict: bool,
    /// Why it is this one, where it is not the first.
    pub(crate) reason: Option<&'static str>,
    /// It can hold negative zeros, of which SQLite makes zeros.
    pub(crate) zeros: bool,
}

/// What decides about a column.
pub(crate) struct ColumnInput<'a> {
    pub(crate) column: &'a Column,
    pub(crate) facts: &'a ColumnFacts,
    /// It goes into a STRICT table.
    pub(crate) strict: bool,
    /// What the run that came from SQLite turned numbers into, where it did.
    pub(crate) epoch: Option<Epoch>,
    /// What the user wants.
    pub(crate) pin: Option<&'a OverrideType>,
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

    /// The declared type that it had, if its affinity is one of these; else `own`.
    fn declared(&self, fine: &[Affinity], own: &str) -> String {
        match self.origin() {
            Some(origin) if fine.contains(&self.affinity(origin)) => origin.to_owned(),
            _ => own.to_owned(),
        }
    }

    fn proposal(
        &self,
        declared: String,
        wire: FieldDecoder,
        form: Encoding,
        kind: Kind,
    ) -> MappingCandidate {
        MappingCandidate {
            declared,
            wire,
            form,
            read: None,
            compared: None,
            kind,
            unless: None,
            looks: None,
            strict: false,
            reason: None,
            zeros: false,
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
        let looks = Some(self.affinity(&declared)).filter(|affinity| affinity.is_numeric());
        let proposal = self.proposal(declared, FieldDecoder::Text, Encoding::Text, kind);
        MappingCandidate { read: Some(self.printed()), looks, ..proposal }
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
/// In a column of integers nobody looks for dates: comparisons with numbers would find nothing.
const DATED: [Affinity; 3] = [Affinity::Numeric, Affinity::Text, Affinity::Blob];

/// The proposals for a column, at least one.
pub(crate) fn proposals(given: &ColumnInput<'_>) -> Result<Vec<MappingCandidate>> {
    if let Some(pin) = given.pin {
        return pinned(given, pin).map(|proposal| vec![proposal]);
    }
    let column = given.quoted();
    let text = Kind::Text { bytewise: given.facts.bytewise };
    Ok(match given.facts.base.as_str() {
        "bool" => {
            let declared = given.declared(&WHOLE, "BOOLEAN");
            vec![given.proposal(declared, FieldDecoder::Boolean, Encoding::Boolean, Kind::Boolean)]
        }
        "int2" | "int4" | "int8" => vec![integers(given)],
        "oid" => {
            let declared = given.declared(&WHOLE, "INTEGER");
            let proposal =
                given.proposal(declared, FieldDecoder::Integer, Encoding::BigInt, Kind::Integer);
            vec![MappingCandidate { read: Some(format!("{column}::pg_catalog.int8")), ..proposal }]
        }
        "float4" | "float8" => doubles(given),
        "numeric" => decimals(given),
        "text" | "varchar" => {
            let declared = given.declared(&ANY, "TEXT");
            let first = given.as_text(declared, text);
            let wide = MappingCandidate {
                reason: Some("SQLite would make other numbers of its texts"),
                ..given.as_text("TEXT".to_owned(), text)
            };
            if first.looks.is_some() { vec![first, wide] } else { vec![first] }
        }
        "bpchar" | "name" => vec![given.as_text("TEXT".to_owned(), Kind::Opaque)],
        "json" | "jsonb" => documents(given),
        "bytea" => {
            let declared = given.declared(&ANY, "BLOB");
            vec![given.proposal(declared, FieldDecoder::Bytea, Encoding::Bytea, Kind::Blob)]
        }
        "date" | "time" | "timestamp" | "timestamptz" => dates(given),
        "uuid" => {
            let declared = given.declared(&DATED, "TEXT");
            vec![given.proposal(declared, FieldDecoder::Uuid, Encoding::Uuid, Kind::Word)]
        }
        _ if given.column.collation == Collation::NoCase => {
            vec![given.as_printed("TEXT".to_owned(), Kind::Opaque)]
        }
        // Enums are equal where their texts are; what is ordered or nested is not compared.
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
        return given.proposal(
            origin.to_owned(),
            FieldDecoder::Integer,
            Encoding::BigIntText,
            text,
        );
    }
    let declared = given.declared(&WHOLE, "INTEGER");
    let form = match given.facts.base.as_str() {
        "int2" => Encoding::SmallInt,
        "int4" => Encoding::Integer,
        _ => Encoding::BigInt,
    };
    given.proposal(declared, FieldDecoder::Integer, form, Kind::Integer)
}

const NAN: &str = "NaN, which SQLite does not have";

fn doubles(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    let column = given.quoted();
    let form = if given.facts.base == "float4" { Encoding::Real } else { Encoding::Double };
    let nan = format!("{column} = 'NaN'");
    let own = MappingCandidate {
        unless: Some((nan.clone(), NAN)),
        strict: true,
        zeros: true,
        ..given.proposal("REAL".to_owned(), FieldDecoder::Real, form, Kind::Real)
    };
    let printed = MappingCandidate {
        reason: Some("it holds NaN"),
        ..given.as_printed("TEXT".to_owned(), Kind::Opaque)
    };
    let declared = given.declared(&NUMBER, "REAL");
    let mut proposals = Vec::new();
    if declared != "REAL" {
        // In these columns a double without fraction becomes an integer, and is compared as such.
        let zeros = given.affinity(&declared).is_numeric();
        let whole = matches!(given.affinity(&declared), Affinity::Integer | Affinity::Numeric);
        let wide = match whole {
            true => format!("{nan} OR abs({column}) > 9007199254740992 AND abs({column}) < 9.3e18"),
            false => nan,
        };
        let unless = Some((wide, "doubles that the declared type would turn into integers"));
        proposals.push(MappingCandidate {
            unless,
            zeros,
            ..given.proposal(declared, FieldDecoder::Real, form, Kind::Real)
        });
    }
    proposals.extend([own, printed]);
    proposals
}

fn decimals(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    let column = given.quoted();
    let limits = match ColumnType::parse(&given.facts.base_type) {
        Some(ColumnType::Numeric(limits)) => limits,
        _ => None,
    };
    let printed = MappingCandidate {
        reason: Some("not all its values survive as numbers"),
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
        unless: Some((lost, "digits that a double does not hold")),
        ..given.proposal(declared, FieldDecoder::NumericNumber, Encoding::Numeric, Kind::Decimal)
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
        MappingCandidate { wire: FieldDecoder::Jsonb, compared, ..text }
    };
    let first = own(given.declared(&ANY, "JSON"));
    let wide = MappingCandidate {
        reason: Some("SQLite would make other numbers of its texts"),
        ..own("TEXT".to_owned())
    };
    if first.looks.is_some() { vec![first, wide] } else { vec![first] }
}

fn dates(given: &ColumnInput<'_>) -> Vec<MappingCandidate> {
    const YEARS: &str = "infinity, or a year outside 0001 to 9999";
    let column = given.quoted();
    let (wire, form, kind, own) = match given.facts.base.as_str() {
        "date" => (FieldDecoder::Date, Encoding::Date, Kind::Date, "DATE"),
        "time" => (FieldDecoder::Time, Encoding::Time, Kind::Time, "TIME"),
        "timestamp" => (FieldDecoder::Timestamp, Encoding::Timestamp, Kind::Timestamp, "TIMESTAMP"),
        _ => (FieldDecoder::TimestampTz, Encoding::TimestampTz, Kind::TimestampTz, "DATETIME"),
    };
    let unless = match given.facts.base.as_str() {
        "time" => (format!("{column} = '24:00:00'"), "the hour 24"),
        base => {
            let zone = if base == "timestamptz" { "+00" } else { "" };
            let bounds = match base {
                "date" => ("0001-01-01".to_owned(), "10000-01-01".to_owned()),
                _ => (format!("0001-01-01 00:00:00{zone}"), format!("10000-01-01 00:00:00{zone}")),
            };
            (format!("{column} < '{}' OR {column} >= '{}'", bounds.0, bounds.1), YEARS)
        }
    };
    let printed = MappingCandidate {
        reason: Some("it holds dates that ISO text has no place for"),
        ..given.as_printed("TEXT".to_owned(), Kind::Opaque)
    };
    let unless = Some(unless);
    if let (Some(epoch), Some(origin)) = (given.epoch, given.origin()) {
        return vec![epoch_proposal(given, epoch, origin.to_owned(), unless), printed];
    }
    let declared = given.declared(&DATED, own);
    let replaced = given.origin().is_some_and(|origin| origin != declared);
    let reason = replaced.then_some("dates are text, which is not looked for among numbers");
    let first = given.proposal(declared, wire, form, kind);
    vec![MappingCandidate { unless, strict: true, reason, ..first }, printed]
}

/// Dates as numbers that count from an epoch.
fn epoch_proposal(
    given: &ColumnInput<'_>,
    unit: Epoch,
    declared: String,
    unless: Option<(String, &'static str)>,
) -> MappingCandidate {
    let (wire, to) = match given.facts.base.as_str() {
        "date" => (FieldDecoder::Day(unit), TemporalType::Date),
        "timestamp" => (FieldDecoder::Moment(unit), TemporalType::Timestamp),
        _ => (FieldDecoder::Moment(unit), TemporalType::TimestampTz),
    };
    let form = Encoding::Epoch { unit, to };
    MappingCandidate { unless, strict: true, ..given.proposal(declared, wire, form, Kind::Opaque) }
}

/// What the user wants: the server's text, its JSON, or a number for a date.
fn pinned(given: &ColumnInput<'_>, pin: &OverrideType) -> Result<MappingCandidate> {
    let base = ColumnType::parse(&given.facts.base_type);
    match (&pin.column_type, pin.epoch) {
        (ColumnType::Text, None) => Ok(given.as_printed("TEXT".to_owned(), Kind::Opaque)),
        (ColumnType::Json | ColumnType::Jsonb, None) => {
            let json = format!("pg_catalog.to_json({})::pg_catalog.text", given.quoted());
            let printed = given.as_printed("TEXT".to_owned(), Kind::Opaque);
            Ok(MappingCandidate { read: Some(json), ..printed })
        }
        (column_type, Some(unit)) if base.as_ref() == Some(column_type) => {
            let epoch = epoch_proposal(given, unit, "INTEGER".to_owned(), None);
            Ok(epoch)
        }
        _ => Err(Error::usage(format!(
            "--cast cannot make {pin} of column {}, which is {}",
            given.quoted(),
            given.column.declared
        ))
        .hint("into SQLite a column can be cast to text, to json, or (a date) to its own type with a unit, such as timestamp:s")),
    }
}

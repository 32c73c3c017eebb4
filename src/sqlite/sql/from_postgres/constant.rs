//! Constants: literals with the casts that the server prints, in the form of stored values.

use crate::codec::types::temporal::iso as temporal;
use crate::codec::types::uuid;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Expression;
use crate::sqlite::sql::from_postgres::node::{Kind, Node};

/// A text literal; `None` if SQLite has no literal for it.
pub(crate) fn quoted(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', "''")))
}

/// A literal without a cast.
pub(crate) fn node(expression: &Expression) -> Option<Node> {
    Some(match expression {
        Expression::Null => Node::new("NULL", Kind::Null),
        Expression::Boolean(value) => Node::new(if *value { "1" } else { "0" }, Kind::Boolean),
        Expression::Number(text) => number(text)?,
        Expression::String(text) => self::text(text, Kind::Text { bytewise: true })?,
        _ => return None,
    })
}

fn text(text: &str, kind: Kind) -> Option<Node> {
    Some(Node { sql: quoted(text)?, kind, constant: Some(text.to_owned()) })
}

fn number(text: &str) -> Option<Node> {
    if let Ok(integer) = text.parse::<i64>() {
        return Some(Node::new(integer.to_string(), Kind::Integer));
    }
    let real: f64 = text.parse().ok()?;
    // A number literal of SQLite starts with a digit.
    (real.is_finite() && text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()))
        .then(|| Node::new(text, Kind::Decimal))
}

/// A literal with a cast to the type `to`.
pub(crate) fn cast(operand: &Expression, to: &str) -> Option<Node> {
    let word = to.split('(').next()?.trim();
    let literal = match operand {
        Expression::String(literal) => literal.as_str(),
        Expression::Null => return Some(Node::new("NULL", Kind::Null)),
        Expression::Number(literal) => {
            let node = number(literal)?;
            let kind = match (node.kind, word) {
                (_, "numeric") => Kind::Decimal,
                (_, "double precision" | "real") => Kind::Real,
                (Kind::Integer, "smallint" | "integer" | "bigint") => Kind::Integer,
                _ => return None,
            };
            return Some(Node { kind, ..node });
        }
        // A literal that is cast twice: '..'::varchar::text.
        Expression::Cast(inner, first) => {
            let node = cast(inner, first)?;
            return (node.kind.is_text() && word == "text").then_some(node);
        }
        _ => return None,
    };
    let (column_type, kind) = match word {
        "text" | "character varying" | "citext" | "name" => {
            return text(literal, Kind::Text { bytewise: true });
        }
        "smallint" | "integer" | "bigint" => {
            return number(literal).filter(|node| node.kind == Kind::Integer);
        }
        "numeric" => return number(literal).map(|node| Node { kind: Kind::Decimal, ..node }),
        "double precision" => {
            let node = match literal {
                "Infinity" => Node::new("9e999", Kind::Real),
                "-Infinity" => Node::new("-9e999", Kind::Real),
                _ => number(literal)?,
            };
            return Some(Node { kind: Kind::Real, ..node });
        }
        "boolean" => {
            let value = matches!(literal, "t" | "true");
            let known = value || matches!(literal, "f" | "false");
            return known.then(|| Node::new(if value { "1" } else { "0" }, Kind::Boolean));
        }
        "bytea" => {
            let hex = literal.strip_prefix("\\x")?;
            let digits = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            return digits.then(|| Node::new(format!("x'{hex}'"), Kind::Blob));
        }
        "uuid" => (ColumnType::Uuid, Kind::Word),
        "date" => (ColumnType::Date, Kind::Date),
        "time without time zone" => (ColumnType::Time, Kind::Time),
        "timestamp without time zone" => (ColumnType::Timestamp, Kind::Timestamp),
        "timestamp with time zone" => (ColumnType::TimestampTz, Kind::TimestampTz),
        "json" | "jsonb" => return text(literal, Kind::Opaque),
        // An enum, a network address, an array: the text as the server prints it.
        _ => return text(literal, Kind::Word),
    };
    text(&canonical_text(column_type, literal)?, kind)
}

/// The text in which a value of the type is stored; `None` if `text` is not one.
fn canonical_text(column_type: ColumnType, text: &str) -> Option<String> {
    let (bytes, mut out) = (text.as_bytes(), Vec::new());
    match column_type {
        ColumnType::Uuid => uuid::format(uuid::parse(bytes)?.0, &mut out),
        ColumnType::Date => temporal::format_date(temporal::parse_date(bytes)?, &mut out)?,
        ColumnType::Time => temporal::format_time(temporal::parse_time(bytes)?.micros, &mut out)?,
        _ => {
            let timestamp = temporal::parse_timestamp(bytes)?;
            if timestamp.zoned != (column_type == ColumnType::TimestampTz) {
                return None;
            }
            temporal::format_timestamp(timestamp.micros, timestamp.zoned, &mut out)?;
        }
    }
    String::from_utf8(out).ok()
}

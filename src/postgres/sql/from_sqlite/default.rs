//! DEFAULTs: constants in the form of the new type, and the clock.

use crate::codec::types::is_canonical;
use crate::postgres::sql::from_sqlite::constant::Constant;
use crate::postgres::sql::from_sqlite::value::bytea;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::{Current, Expression, Sql};
use crate::schema::names::literal;
use crate::schema::reason::{Reason, tree};

/// The value of a DEFAULT clause for a column of the type `to`.
///
/// A constant becomes the value that the column would have stored: SQLite applies the column's
/// affinity at the INSERT. The clock gives UTC to the second, or as the format says.
pub(crate) fn default_clause(sql: &Sql, to: &ColumnType) -> Result<String, Reason> {
    let expr = tree(sql)?;
    if matches!(expr, Expression::Null) {
        return Ok("NULL".to_owned());
    }
    if let Some(constant) = constant(expr) {
        return constant_default(&constant, to)
            .ok_or_else(|| format!("gives a value that {to} cannot hold"));
    }
    let clock = clock(expr)
        .ok_or_else(|| format!("computes its value with an unknown expression ({})", sql.text))?;
    clock_default(clock, to).ok_or_else(|| format!("gives the time in another form than {to}"))
}

/// The value of an expression that is a constant, or plain arithmetic over integers.
fn constant(expr: &Expression) -> Option<Constant> {
    Some(match expr {
        Expression::Number(text) => Constant::number(text),
        Expression::String(text) | Expression::DoubleQuoted(text) => Constant::Text(text.clone()),
        Expression::Blob(bytes) => Constant::Blob(bytes.clone()),
        Expression::Boolean(value) => Constant::Integer(i64::from(*value)),
        Expression::Unary("-", operand) => constant(operand)?.negated()?,
        Expression::Unary("+", operand) => constant(operand)?,
        Expression::Binary(left, op, right) => {
            let (Constant::Integer(a), Constant::Integer(b)) = (constant(left)?, constant(right)?)
            else {
                return None;
            };
            Constant::Integer(match *op {
                "+" => a.checked_add(b)?,
                "-" => a.checked_sub(b)?,
                "*" => a.checked_mul(b)?,
                _ => return None,
            })
        }
        _ => return None,
    })
}

fn constant_default(constant: &Constant, to: &ColumnType) -> Option<String> {
    match to {
        ColumnType::Boolean => boolean(constant).map(|value| value.to_string()),
        ColumnType::SmallInt => integer(constant).filter(|&n| i16::try_from(n).is_ok()).map(signed),
        ColumnType::Integer => integer(constant).filter(|&n| i32::try_from(n).is_ok()).map(signed),
        ColumnType::BigInt => integer(constant).map(signed),
        ColumnType::Real | ColumnType::Double => double(constant, to),
        ColumnType::Numeric(limits) => numeric(constant, *limits),
        ColumnType::Text => text(constant).map(|text| literal(&text)),
        ColumnType::Varchar(longest) => text(constant)
            .filter(|text| text.chars().count() <= *longest as usize)
            .map(|text| literal(&text)),
        // Text in a BLOB column becomes its bytes.
        ColumnType::Bytea => match constant {
            Constant::Blob(bytes) => Some(bytea(bytes)),
            Constant::Text(text) => Some(bytea(text.as_bytes())),
            _ => None,
        },
        ColumnType::Json | ColumnType::Jsonb => match constant {
            Constant::Text(text) if is_plain_json(text) => Some(format!("{}::{to}", literal(text))),
            _ => None,
        },
        _ => match constant {
            Constant::Text(text) if is_canonical(*to, text) => {
                Some(format!("{}::{to}", literal(text)))
            }
            _ => None,
        },
    }
}

/// An integer literal. The smallest bigint without its sign is not a bigint in PostgreSQL.
fn signed(n: i64) -> String {
    if n < 0 { format!("'{n}'::bigint") } else { n.to_string() }
}

fn boolean(constant: &Constant) -> Option<bool> {
    match constant {
        Constant::Integer(0) => Some(false),
        Constant::Integer(1) => Some(true),
        Constant::Text(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "yes" | "on" => Some(true),
            "0" | "f" | "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The integer that INTEGER affinity makes of a constant.
fn integer(constant: &Constant) -> Option<i64> {
    match constant {
        Constant::Integer(n) => Some(*n),
        Constant::Text(text) => text.parse().ok(),
        Constant::Real(text) if constant.is_exact_number() => {
            let value: f64 = text.parse().ok()?;
            // At most 15 digits: the conversion is exact.
            (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i64)
        }
        _ => None,
    }
}

fn double(constant: &Constant, to: &ColumnType) -> Option<String> {
    let text = match constant {
        Constant::Integer(n) if constant.is_exact_number() => n.to_string(),
        Constant::Real(text) | Constant::Text(text) => text.clone(),
        _ => return None,
    };
    let shaped = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let value: f64 = text.parse().ok().filter(|_| shaped)?;
    Some(if value.is_infinite() {
        let sign = if value < 0.0 { "-" } else { "" };
        format!("'{sign}Infinity'::{to}")
    } else {
        // Rust prints the shortest decimal that reads back as the same double.
        format!("'{value:?}'::{to}")
    })
}

fn numeric(constant: &Constant, limits: Option<(u16, u16)>) -> Option<String> {
    let text = match constant {
        Constant::Integer(n) => n.to_string(),
        Constant::Real(text) | Constant::Text(text) => text.clone(),
        Constant::Blob(_) => return None,
    };
    let digits = text.strip_prefix(['-', '+']).unwrap_or(&text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || digits.len() > 16 || whole.len() + fraction.len() == 0 {
        return None;
    }
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if text.starts_with('-') { "-" } else { "" };
    let fits = limits.is_none_or(|(precision, scale)| {
        fraction.len() <= usize::from(scale)
            && whole.len() <= usize::from(precision.saturating_sub(scale))
    });
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    fits.then(|| format!("'{sign}{whole}{point}{fraction}'::numeric"))
}

/// The text that TEXT affinity makes of a constant.
fn text(constant: &Constant) -> Option<String> {
    match constant {
        Constant::Text(text) => Some(text.clone()),
        Constant::Integer(n) => Some(n.to_string()),
        Constant::Real(text) if constant.is_exact_number() => {
            let value: f64 = text.parse().ok()?;
            // In this range SQLite prints a plain decimal, as Rust does.
            (value == 0.0 || (1e-4..1e15).contains(&value.abs())).then(|| format!("{value:?}"))
        }
        Constant::Real(_) | Constant::Blob(_) => None,
    }
}

fn is_plain_json(text: &str) -> bool {
    !text.contains("\\u0000") && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The result of a call to the clock, in SQLite always UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    Date,
    Time,
    /// `YYYY-MM-DD HH:MM:SS`, with T instead of the space and a zone if given.
    Timestamp {
        t: bool,
        zone: &'static str,
        milliseconds: bool,
    },
    /// Whole seconds since 1970, times a factor.
    Epoch(i64),
}

/// Reads a call to the clock.
fn clock(expr: &Expression) -> Option<Clock> {
    const PLAIN: Clock = Clock::Timestamp { t: false, zone: "", milliseconds: false };
    let now = |arguments: &[Expression]| match arguments {
        [] => true,
        [Expression::String(now) | Expression::DoubleQuoted(now)] => {
            now.eq_ignore_ascii_case("now")
        }
        _ => false,
    };
    match expr {
        Expression::Current(Current::Date) => Some(Clock::Date),
        Expression::Current(Current::Time) => Some(Clock::Time),
        Expression::Current(Current::Timestamp) => Some(PLAIN),
        Expression::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("date", arguments) if now(arguments) => Some(Clock::Date),
            ("time", arguments) if now(arguments) => Some(Clock::Time),
            ("datetime", arguments) if now(arguments) => Some(PLAIN),
            ("unixepoch", arguments) if now(arguments) => Some(Clock::Epoch(1)),
            ("strftime", [Expression::String(format), rest @ ..]) if now(rest) => {
                strftime_clock(format)
            }
            _ => None,
        },
        // strftime('%s') is text, and becomes a number when it is stored or computed with.
        Expression::Cast(operand, declared) => {
            let whole =
                ["INTEGER", "INT", "BIGINT"].iter().any(|w| declared.eq_ignore_ascii_case(w));
            clock(operand).filter(|clock| whole && matches!(clock, Clock::Epoch(_)))
        }
        Expression::Binary(left, "*", right) => match (clock(left)?, constant(right)?) {
            (Clock::Epoch(1), Constant::Integer(factor @ (1_000 | 1_000_000))) => {
                Some(Clock::Epoch(factor))
            }
            _ => None,
        },
        _ => None,
    }
}

fn strftime_clock(format: &str) -> Option<Clock> {
    let format =
        format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S").replace("%R:%S", "%H:%M:%S");
    match format.as_str() {
        "%s" => return Some(Clock::Epoch(1)),
        "%Y-%m-%d" => return Some(Clock::Date),
        "%H:%M:%S" => return Some(Clock::Time),
        _ => {}
    }
    let rest = format.strip_prefix("%Y-%m-%d")?;
    let t = rest.starts_with('T');
    let rest = rest.strip_prefix(['T', ' '])?.strip_prefix("%H:%M:")?;
    let (milliseconds, rest) = match rest.strip_prefix("%f") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix("%S")?),
    };
    let zone = ["", "Z", "+00:00"].into_iter().find(|zone| *zone == rest)?;
    Some(Clock::Timestamp { t, zone, milliseconds })
}

fn clock_default(clock: Clock, to: &ColumnType) -> Option<String> {
    const UTC: &str = "now() AT TIME ZONE 'UTC'";
    let text = |format: &str, length: usize| {
        let fits = match to {
            ColumnType::Text => true,
            ColumnType::Varchar(longest) => *longest as usize >= length,
            _ => false,
        };
        fits.then(|| format!("to_char({UTC}, '{format}')"))
    };
    let is_text = to.is_text();
    match clock {
        Clock::Date if is_text => text("YYYY-MM-DD", 10),
        Clock::Time if is_text => text("HH24:MI:SS", 8),
        Clock::Timestamp { t, zone, milliseconds } if is_text => {
            let between = if t { "\"T\"" } else { " " };
            let (seconds, digits) = if milliseconds { ("SS.MS", 4) } else { ("SS", 0) };
            let length = 19 + digits + zone.len();
            let zone = if zone == "Z" { "\"Z\"" } else { zone };
            text(&format!("YYYY-MM-DD{between}HH24:MI:{seconds}{zone}"), length)
        }
        Clock::Epoch(factor) => {
            let seconds = "floor(extract(epoch FROM now()))::bigint";
            match to {
                ColumnType::BigInt if factor == 1 => Some(seconds.to_owned()),
                ColumnType::BigInt => Some(format!("{seconds} * {factor}")),
                ColumnType::Text if factor == 1 => Some(format!("{seconds}::text")),
                _ => None,
            }
        }
        Clock::Date => (*to == ColumnType::Date).then(|| format!("({UTC})::date")),
        Clock::Time => {
            (*to == ColumnType::Time).then(|| format!("date_trunc('second', {UTC})::time"))
        }
        Clock::Timestamp { zone, milliseconds, .. } => {
            let unit = if milliseconds { "milliseconds" } else { "second" };
            match to {
                ColumnType::Timestamp if zone.is_empty() => {
                    Some(format!("date_trunc('{unit}', {UTC})"))
                }
                ColumnType::TimestampTz => Some(format!("date_trunc('{unit}', now())")),
                _ => None,
            }
        }
    }
}

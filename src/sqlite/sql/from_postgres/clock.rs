//! DEFAULTs that use the clock. SQLite's clock is UTC, so a value that depends on the time zone of
//! the session cannot be translated.

use crate::schema::expression::{Current, Expression};
use crate::sqlite::sql::from_postgres::node::Kind;

/// The current time, as PostgreSQL's clock gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    /// A timestamp without time zone, in UTC.
    utc: bool,
    /// Truncated to whole seconds.
    seconds: bool,
}

/// The DEFAULT in SQLite; `None` if it does not use the clock in a known way.
pub(crate) fn default(expression: &Expression, kind: Kind) -> Option<String> {
    if let Some(Clock { utc, seconds }) = read(expression)
        && kind == if utc { Kind::Timestamp } else { Kind::TimestampTz }
    {
        let sql = match (utc, seconds) {
            (false, true) => "(datetime('now') || '+00:00')",
            (false, false) => "(strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))",
            (true, true) => "CURRENT_TIMESTAMP",
            (true, false) => "(strftime('%Y-%m-%d %H:%M:%f', 'now'))",
        };
        return Some(sql.to_owned());
    }
    match (expression, kind) {
        (Expression::Cast(inner, to), Kind::Date) if to == "date" => {
            read(inner)?.utc.then(|| "CURRENT_DATE".to_owned())
        }
        (Expression::Cast(inner, to), Kind::Time) if to.starts_with("time ") => {
            let whole = read(inner)? == Clock { utc: true, seconds: true };
            whole.then(|| "CURRENT_TIME".to_owned())
        }
        (Expression::Call(name, arguments), Kind::Text { .. }) if name == "to_char" => {
            let [clock, format] = arguments.as_slice() else { return None };
            from_to_char(text_of(format)?).filter(|_| read(clock).is_some_and(|clock| clock.utc))
        }
        (Expression::Cast(inner, to), Kind::Integer) if to == "bigint" => {
            is_epoch(inner).then(|| "(CAST(strftime('%s', 'now') AS INTEGER))".to_owned())
        }
        (Expression::Binary(left, "*", right), Kind::Integer) => {
            let factor = match right.as_ref() {
                Expression::Number(factor) => factor,
                Expression::Cast(inner, _) => text_of(inner)?,
                _ => return None,
            };
            let Expression::Cast(inner, to) = left.as_ref() else { return None };
            (is_epoch(inner) && to == "bigint" && factor.parse::<i64>().is_ok())
                .then(|| format!("(CAST(strftime('%s', 'now') AS INTEGER) * {factor})"))
        }
        _ => None,
    }
}

fn read(expression: &Expression) -> Option<Clock> {
    let now = Clock { utc: false, seconds: false };
    let (name, arguments) = match expression {
        Expression::Current(Current::Timestamp) => return Some(now),
        Expression::Call(name, arguments) => (name.as_str(), arguments.as_slice()),
        _ => return None,
    };
    match (name, arguments) {
        ("now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", []) => {
            Some(now)
        }
        ("timezone", [zone, inner]) => {
            let clock = read(inner)?;
            (text_of(zone)?.eq_ignore_ascii_case("utc") && !clock.utc)
                .then_some(Clock { utc: true, ..clock })
        }
        ("date_trunc", [unit, inner]) => {
            let unit = text_of(unit)?;
            let clock = Clock { seconds: unit == "second", ..read(inner)? };
            ["second", "milliseconds"].contains(&unit).then_some(clock)
        }
        _ => None,
    }
}

/// The text of a constant.
fn text_of(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::String(text) | Expression::Number(text) => Some(text),
        Expression::Cast(inner, _) => text_of(inner),
        _ => None,
    }
}

/// Whether the expression gives whole seconds since 1970.
fn is_epoch(expression: &Expression) -> bool {
    let Expression::Call(floor, arguments) = expression else { return false };
    let [Expression::Call(extract, arguments)] = arguments.as_slice() else { return false };
    let [Expression::String(field), clock] = arguments.as_slice() else { return false };
    (floor.as_str(), extract.as_str(), field.as_str()) == ("floor", "extract", "epoch")
        && read(clock).is_some_and(|clock| !clock.utc)
}

/// The formats of `to_char` that the migration to PostgreSQL writes.
fn from_to_char(format: &str) -> Option<String> {
    Some(match format {
        "YYYY-MM-DD" => "CURRENT_DATE".to_owned(),
        "HH24:MI:SS" => "CURRENT_TIME".to_owned(),
        "YYYY-MM-DD HH24:MI:SS" => "CURRENT_TIMESTAMP".to_owned(),
        other => {
            let format = other
                .replace("YYYY-MM-DD", "%Y-%m-%d")
                .replace("HH24:MI:SS.MS", "%H:%M:%f")
                .replace("HH24:MI:SS", "%H:%M:%S")
                .replace("\"T\"", "T")
                .replace("\"Z\"", "Z");
            let rest = ["%Y-%m-%d", "%H:%M:%f", "%H:%M:%S", "T", "Z", "+00:00", " "]
                .iter()
                .fold(format.clone(), |rest, part| rest.replace(part, ""));
            return rest.is_empty().then(|| format!("(strftime('{format}', 'now'))"));
        }
    })
}

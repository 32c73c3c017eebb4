//! DEFAULTs that use the clock. SQLite's clock is UTC, so a value that depends on the time zone of
//! the session cannot be translated.

use crate::schema::expression::{Current, Expression};
use crate::sqlite::sql::from_postgres::node::Kind;

/// The result of a call to PostgreSQL's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// The current time.
    Now { seconds: bool },
    /// The current time in UTC.
    Utc { seconds: bool },
}

/// The DEFAULT in SQLite; `None` if it does not use the clock in a known way.
pub(crate) fn default(expression: &Expression, kind: Kind) -> Option<String> {
    const SECONDS: &str = "%Y-%m-%d %H:%M:%f";
    match (read(expression), kind) {
        (Some(Clock::Now { seconds: true }), Kind::TimestampTz) => {
            return Some("(datetime('now') || '+00:00')".to_owned());
        }
        (Some(Clock::Now { seconds: false }), Kind::TimestampTz) => {
            return Some(format!("(strftime('{SECONDS}+00:00', 'now'))"));
        }
        (Some(Clock::Utc { seconds: true }), Kind::Timestamp) => {
            return Some("CURRENT_TIMESTAMP".to_owned());
        }
        (Some(Clock::Utc { seconds: false }), Kind::Timestamp) => {
            return Some(format!("(strftime('{SECONDS}', 'now'))"));
        }
        _ => {}
    }
    match (expression, kind) {
        (Expression::Cast(inner, to), Kind::Date) if to == "date" => {
            matches!(read(inner), Some(Clock::Utc { .. })).then(|| "CURRENT_DATE".to_owned())
        }
        (Expression::Cast(inner, to), Kind::Time) if to.starts_with("time ") => {
            let seconds = read(inner) == Some(Clock::Utc { seconds: true });
            seconds.then(|| "CURRENT_TIME".to_owned())
        }
        (Expression::Call(name, arguments), Kind::Text { .. }) if name == "to_char" => {
            let [clock, format] = arguments.as_slice() else { return None };
            let utc = matches!(read(clock), Some(Clock::Utc { .. }));
            from_to_char(text_of(format)?).filter(|_| utc)
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
    match expression {
        Expression::Current(Current::Timestamp) => Some(Clock::Now { seconds: false }),
        Expression::Call(name, arguments) => match (name.as_str(), arguments.as_slice()) {
            ("now" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", []) => {
                Some(Clock::Now { seconds: false })
            }
            ("timezone", [zone, inner]) => match (text_of(zone)?, read(inner)?) {
                (zone, Clock::Now { seconds }) if zone.eq_ignore_ascii_case("utc") => {
                    Some(Clock::Utc { seconds })
                }
                _ => None,
            },
            ("date_trunc", [unit, inner]) => {
                let seconds = match text_of(unit)? {
                    "second" => true,
                    "milliseconds" => false,
                    _ => return None,
                };
                Some(match read(inner)? {
                    Clock::Now { .. } => Clock::Now { seconds },
                    Clock::Utc { .. } => Clock::Utc { seconds },
                })
            }
            _ => None,
        },
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
        && matches!(read(clock), Some(Clock::Now { .. }))
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

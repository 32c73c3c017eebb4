//! The driver's errors as errors of this program, without any stored value.
//!
//! PostgreSQL puts stored values into an error's detail, where and hint fields, and for data and
//! constraint errors into the message itself. Of those errors only the code, its name and the names
//! of table, column and constraint are reported.

use crate::error::Error;
use postgres::error::DbError;
use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::iter::successors;

/// The SQLSTATE of a statement that was cancelled.
const QUERY_CANCELED: &str = "57014";

/// The report of the server or of the connection, in one line.
pub fn describe(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return describe_report(error);
    }
    let mut text = error.to_string();
    for cause in successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        // Wrapped errors often repeat the inner one's text as their own.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Converts the driver's error; `context` is what failed.
pub(crate) fn db_error(context: &str) -> impl Fn(postgres::Error) -> Error {
    move |error| classify(Error::failed(context).caused_by(describe(&error)), &error)
}

/// Marks `ours` where the driver's `error` is an interruption or a lost connection.
pub(crate) fn classify(ours: Error, error: &postgres::Error) -> Error {
    if sqlstate(error) == Some(QUERY_CANCELED) {
        ours.interruption()
    } else if is_connection_lost(error) {
        ours.retryable()
    } else {
        ours
    }
}

/// Whether the server refuses a statement (unsupported, data, integrity, syntax or access, limits),
/// as opposed to a failure of disk, memory, locks or connections.
pub(crate) fn is_refusal(error: &postgres::Error) -> bool {
    const CLASSES: [&str; 5] = ["0A", "22", "23", "42", "54"];
    sqlstate(error).is_some_and(|code| CLASSES.iter().any(|class| code.starts_with(class)))
}

/// The SQLSTATE, where the error is a report of the server.
pub fn sqlstate(error: &postgres::Error) -> Option<&str> {
    error.code().map(postgres::error::SqlState::code)
}

/// Whether the connection is lost, so that the same work may succeed on a new one.
pub fn is_connection_lost(error: &postgres::Error) -> bool {
    if let Some(code) = sqlstate(error) {
        // Connection exceptions; a server that shuts down, crashes or starts; two idle timeouts.
        return code.starts_with("08")
            || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03");
    }
    error.is_closed() || io_error(error).is_some_and(|error| is_loss(error.kind()))
}

/// The I/O error behind a driver's error, where there is one.
pub(crate) fn io_error(error: &postgres::Error) -> Option<&io::Error> {
    error.source()?.downcast_ref::<io::Error>()
}

fn is_loss(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::TimedOut
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
    )
}

fn describe_report(error: &DbError) -> String {
    let code = error.code().code();
    let Some(condition) = condition(code) else {
        return format!("{} (SQLSTATE {code})", error.message());
    };
    let schema = error.schema().map_or_else(String::new, |schema| format!("{schema}."));
    let named = [
        error.table().map(|name| format!("table {schema}{name}")),
        error.column().map(|name| format!("column {name}")),
        error.constraint().map(|name| format!("constraint {name}")),
        error.datatype().map(|name| format!("data type {schema}{name}")),
    ];
    let named: Vec<String> = named.into_iter().flatten().collect();
    let colon = if named.is_empty() { "" } else { ": " };
    format!("{condition} (SQLSTATE {code}){colon}{}", named.join(", "))
}

/// The name of a condition whose message can contain values: data exceptions, constraint violations,
/// and errors raised by functions in the database. `None` for all others. The names are those of
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn condition(code: &str) -> Option<&'static str> {
    Some(match code {
        "22001" => "string data right truncation",
        "22003" => "numeric value out of range",
        "22004" => "null value not allowed",
        "22007" => "invalid datetime format",
        "22008" => "datetime field overflow",
        "22009" => "invalid time zone displacement value",
        "22012" => "division by zero",
        "22015" => "interval field overflow",
        "22021" => "character not in repertoire",
        "22023" => "invalid parameter value",
        "22026" => "string data length mismatch",
        "22030" => "duplicate JSON object key value",
        "22032" => "invalid JSON text",
        "2202E" => "array subscript error",
        "2200N" | "2200M" | "2200S" => "invalid XML",
        "22P01" => "floating point exception",
        "22P02" => "invalid text representation",
        "22P03" => "invalid binary representation",
        "22P04" => "bad COPY file format",
        "22P05" => "untranslatable character",
        "23001" => "restrict violation",
        "23502" => "not-null violation",
        "23503" => "foreign key violation",
        "23505" => "unique violation",
        "23514" => "check violation",
        "23P01" => "exclusion violation",
        _ if code.starts_with("22") => "data exception",
        _ if code.starts_with("23") => "integrity constraint violation",
        _ if code.starts_with("P0") => "an error raised by a function in the database",
        _ => return None,
    })
}

//! The oracle: is every value of the source in the target, as both databases print them?
//!
//! It shares no code with the program. SQLite's side is read cell by cell with its storage
//! class; PostgreSQL's side is its own text output. Both are brought into one spelling that the
//! PostgreSQL type of the column decides, and the rows are compared as sorted lists, so that no
//! key is needed.

use crate::outcome::{Target, list, quoted, target_name};
use crate::source::Copy;
use rusqlite::types::ValueRef;
use serde_json::Value;

/// Compares all reported tables. `only` holds conditions on a source table's rows.
pub(crate) fn assert_same_values(
    source: &Copy,
    target: &mut Target,
    report: &Value,
    only: &[(String, String)],
) {
    for set in list(&report["data_sets"]) {
        for entry in list(&set["tables"]) {
            let name = entry["name"].as_str().unwrap();
            let condition = only.iter().find(|(table, _)| table == name);
            let condition = condition.map_or("1", |(_, condition)| condition.as_str());
            assert_same_table(source, target, name, &target_name(entry), condition);
        }
    }
}

/// Compares one table: the source's rows under `condition` with all rows of the target's table.
pub(crate) fn assert_same_table(
    source: &Copy,
    target: &mut Target,
    name: &str,
    target_name: &str,
    condition: &str,
) {
    let oid = target.tables().into_iter().find(|(_, table)| table == target_name);
    let oid = oid.unwrap_or_else(|| panic!("no table {target_name} in the target")).0;
    let columns = target.columns(&oid);
    let forms: Vec<Form> = columns.iter().map(|(_, type_name)| Form::of(type_name)).collect();

    let mut expected = source_rows(source, name, condition, &forms);
    let terms: Vec<String> =
        columns.iter().zip(&forms).map(|((column, _), form)| form.term(&quoted(column))).collect();
    let query = format!("SELECT {} FROM ONLY {}", terms.join(", "), quoted(target_name));
    let mut found: Vec<Vec<String>> = target
        .rows(&query)
        .into_iter()
        .map(|row| {
            row.iter().zip(&forms).map(|(cell, form)| form.target(cell.as_deref())).collect()
        })
        .collect();

    expected.sort_unstable();
    found.sort_unstable();
    if expected != found {
        let lost = expected.iter().find(|row| found.binary_search(row).is_err());
        let alien = found.iter().find(|row| expected.binary_search(row).is_err());
        panic!(
            "{name}: {} rows in the source, {} in the target; \
             first only in the source: {lost:.1000?}; first only in the target: {alien:.1000?}",
            expected.len(),
            found.len(),
        );
    }
}

fn source_rows(source: &Copy, table: &str, condition: &str, forms: &[Form]) -> Vec<Vec<String>> {
    // hidden: 1 is a virtual table's hidden column, 2 and 3 are generated columns.
    let mut names = source
        .connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid")
        .unwrap();
    let names: Vec<String> =
        names.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(names.len(), forms.len(), "columns of {table}");
    // SQLite reads an unknown quoted name as a string, unless it is qualified.
    let terms: Vec<String> = names.iter().map(|name| format!("t.{}", quoted(name))).collect();
    let sql = format!("SELECT {} FROM {} t WHERE {condition}", terms.join(", "), quoted(table));
    let mut statement = source.connection.prepare(&sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut found = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let cell = |(i, form): (usize, &Form)| form.source(row.get_ref(i).unwrap());
        found.push(forms.iter().enumerate().map(cell).collect());
    }
    found
}

/// The spelling in which the cells of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Integer,
    Double,
    Numeric,
    Boolean,
    Text,
    Json,
    Bytes,
    Uuid,
    Date,
    Time,
    Instant,
}

impl Form {
    fn of(type_name: &str) -> Self {
        let word = type_name.split('(').next().unwrap();
        match word {
            "bigint" | "integer" | "smallint" => Self::Integer,
            "double precision" => Self::Double,
            "numeric" => Self::Numeric,
            "boolean" => Self::Boolean,
            "text" | "varchar" => Self::Text,
            "json" | "jsonb" => Self::Json,
            "bytea" => Self::Bytes,
            "uuid" => Self::Uuid,
            "date" => Self::Date,
            "time" => Self::Time,
            "timestamp" | "timestamptz" => Self::Instant,
            other => panic!("no way to compare a column of type {other}"),
        }
    }

    /// The term that selects a column of this form as text.
    fn term(self, column: &str) -> String {
        match self {
            Self::Bytes => format!("encode({column}, 'hex')"),
            _ => format!("{column}::text"),
        }
    }

    /// The text of a stored value. A value that has no text is marked, so that it differs.
    fn source(self, value: ValueRef<'_>) -> String {
        let (class, shown) = match value {
            ValueRef::Null => return "NULL".to_owned(),
            ValueRef::Integer(i) => ('i', i.to_string()),
            ValueRef::Real(r) => ('r', shortest(r)),
            ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => ('t', text.to_owned()),
                Err(_) => ('x', hex(bytes)),
            },
            ValueRef::Blob(bytes) => ('b', hex(bytes)),
        };
        match (self, class) {
            (Self::Integer, 'i') => shown,
            // Only where nothing but the number's one spelling is lost with the text.
            (Self::Integer, 't') if shown.parse::<i64>().is_ok_and(|i| i.to_string() == shown) => {
                shown
            }
            (Self::Double, 'i' | 'r') => bits(&shown),
            (Self::Numeric, 'i' | 'r') => decimal(&shown),
            (Self::Boolean, 'i' | 't') => truth(&shown),
            (Self::Text, 'i' | 'r' | 't') => real_or_text(&shown),
            (Self::Json, 't') => shown,
            (Self::Bytes, 'b' | 'x') => shown,
            (Self::Bytes, _) => hex(shown.as_bytes()),
            (Self::Uuid, 't') => shown.to_ascii_lowercase().replace(['{', '}', '-'], ""),
            (Self::Date, 't') => shown,
            (Self::Time, 't') => instant(&format!("2000-01-01 {shown}")),
            (Self::Instant, 't') => instant(&shown),
            _ => format!("?{class}:{shown}"),
        }
    }

    /// The spelling of PostgreSQL's output.
    fn target(self, cell: Option<&str>) -> String {
        let Some(text) = cell else { return "NULL".to_owned() };
        match self {
            Self::Integer | Self::Json | Self::Bytes | Self::Date => text.to_owned(),
            Self::Double => bits(text),
            Self::Numeric => decimal(text),
            Self::Boolean => truth(text),
            Self::Text => real_or_text(text),
            Self::Uuid => text.replace('-', ""),
            Self::Time => instant(&format!("2000-01-01 {text}")),
            Self::Instant => instant(text),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A double's shortest decimal that reads back as the same double; marked as no integer.
fn shortest(real: f64) -> String {
    if real.is_infinite() {
        return if real > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    format!("{real:?}")
}

/// The bits of the double that a text means; an integer must be one that a double can hold.
fn bits(text: &str) -> String {
    if let Ok(integer) = text.parse::<i128>() {
        let exact = (integer as f64) as i128 == integer;
        if !exact {
            return format!("?inexact:{text}");
        }
    }
    text.parse::<f64>()
        .map_or_else(|_| format!("?{text}"), |real| format!("{:016x}", real.to_bits()))
}

/// A decimal without exponent, leading or trailing zeros.
fn decimal(text: &str) -> String {
    if text.ends_with("Infinity") {
        return text.to_owned();
    }
    let (text, minus) = text.strip_prefix('-').map_or((text, ""), |rest| (rest, "-"));
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let digits = all.trim_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    // 0.DIGITS times ten to the power of `point`.
    let point = whole.len() as i64 - leading as i64 + exponent;
    format!("{minus}0.{digits}e{point}")
}

fn truth(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" | "on" => "true".to_owned(),
        "0" | "f" | "false" | "no" | "off" => "false".to_owned(),
        other => format!("?{other}"),
    }
}

/// A text as it is; one that a real may have become, by the real's bits, because exponents
/// can be spelt in more than one way.
fn real_or_text(text: &str) -> String {
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
        && text.contains(['.', 'e'])
        && text.chars().all(|c| c.is_ascii_digit() || "+-.e".contains(c));
    match text.parse::<f64>() {
        Ok(real) if numeric && shortest(real).parse() == Ok(real) && canonical(text, real) => {
            format!("real {:016x}", real.to_bits())
        }
        _ => text.to_owned(),
    }
}

/// The text has no more digits than the real needs, so that it may be a real's.
fn canonical(text: &str, real: f64) -> bool {
    let mantissa = text.split('e').next().unwrap_or_default();
    let padded = mantissa.contains('.') && mantissa.ends_with('0') && !mantissa.ends_with(".0");
    !padded && decimal(text) == decimal(&shortest(real))
}

/// Microseconds from 1970-01-01 UTC of `YYYY-MM-DD[ T]HH:MM[:SS[.digits]][zone]` or of a date.
fn instant(text: &str) -> String {
    micros(text).map_or_else(|| format!("?{text}"), |micros| micros.to_string())
}

fn micros(text: &str) -> Option<i128> {
    let (date, rest) = match text.find([' ', 'T']) {
        Some(place) => (&text[..place], text[place + 1..].trim_start()),
        None => (text, "00:00"),
    };
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i128>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);

    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = (rest[..zone_at].trim_end(), &rest[zone_at..]);
    let mut parts = clock.split(':');
    let hour: i128 = parts.next()?.parse().ok()?;
    let minute: i128 = parts.next()?.parse().ok()?;
    let (second, fraction) = match parts.next() {
        Some(part) => part.split_once('.').unwrap_or((part, "")),
        None => ("0", ""),
    };
    let second: i128 = second.parse().ok()?;
    let nanos: i128 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;

    let offset = match zone {
        "" | "Z" => 0,
        zone => {
            let digits = zone[1..].replace(':', "");
            let hours: i128 = digits.get(..2)?.parse().ok()?;
            let minutes: i128 = digits.get(2..4).unwrap_or("0").parse().ok()?;
            let seconds = hours * 3600 + minutes * 60;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000 + (nanos + 500) / 1000)
}

/// Days from 1970-01-01 in the Gregorian calendar: whole years, then whole months.
fn days(year: i128, month: i128, day: i128) -> i128 {
    let leap = |year: i128| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = year - 1;
    let whole_years = before * 365 + before / 4 - before / 100 + before / 400;
    let months: i128 = lengths.iter().take(month as usize - 1).sum();
    whole_years + months + day - 1 - 719_162
}

#[test]
fn the_oracle_knows_its_own_arithmetic() {
    assert_eq!(instant("1970-01-01"), "0");
    assert_eq!(instant("2000-02-29T12:00Z"), "951825600000000");
    assert_eq!(instant("2000-02-29 05:00:00.000000500-07:00"), "951825600000001");
    assert_eq!(instant("2000-02-29 12:00:00+00"), "951825600000000");
    assert_eq!(instant("0001-01-01 00:00:00"), "-62135596800000000");
    assert_eq!(decimal("100.50"), decimal("1.005e2"));
    assert_eq!(decimal("-0.001"), decimal("-1e-3"));
    assert_ne!(decimal("10"), decimal("1"));
    assert_ne!(bits("9007199254740993"), bits("9007199254740992"));
    assert_eq!(real_or_text("1e+300"), real_or_text("1e300"));
    assert_ne!(real_or_text("1.50"), real_or_text("1.5"));
}

#[test]
fn the_oracle_sees_a_single_changed_value() {
    let source = crate::source::Source::of_sql(
        "CREATE TABLE t (i INTEGER, r REAL, n NUMERIC, b BOOLEAN, s TEXT, x BLOB, u UUID, d DATE, \
         m DATETIME, z DATETIME);
         INSERT INTO t VALUES (9007199254740993, 0.1, 1.005, 1, 'a', x'00ff', \
         '0188f7a0-0000-7000-8000-000000000001', '2024-02-29', '2024-02-29T01:02', \
         '2024-02-29 01:02:03.000000001+02:00');
         INSERT INTO t VALUES (NULL, 1e999, -0.5, 0, '', 'text', NULL, NULL, NULL, NULL)",
    );
    let database = crate::harness::server();
    let mut target = Target::open(&database.url);
    target.rows(
        "CREATE TABLE t (i bigint, r float8, n numeric, b boolean, s text, x bytea, u uuid, d date, \
         m timestamp, z timestamptz);
         INSERT INTO t VALUES (9007199254740993, 0.1, 1.0050, true, 'a', '\\x00ff', \
         '0188f7a0-0000-7000-8000-000000000001', '2024-02-29', '2024-02-29 01:02:00', \
         '2024-02-28 23:02:03+00');
         INSERT INTO t VALUES (NULL, 'Infinity', -0.5, false, '', 'text', NULL, NULL, NULL, NULL)",
    );
    let copy = source.reading_copy();
    assert_same_table(&copy, &mut target, "t", "t", "1");
    for change in [
        "i = i - 1 WHERE i IS NOT NULL",
        "r = 0.10000000000000002 WHERE r < 1",
        "n = 1.00500001 WHERE n > 0",
        "b = NOT b",
        "s = NULL WHERE s = ''",
        "x = '\\x00' WHERE s = 'a'",
        "u = '0188f7a0-0000-7000-8000-000000000002' WHERE s = 'a'",
        "d = d + 1",
        "m = m + interval '1 microsecond'",
        "z = z + interval '1 hour'",
    ] {
        target.rows(&format!("BEGIN; UPDATE t SET {change}"));
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            assert_same_table(&copy, &mut target, "t", "t", "1");
        }));
        assert!(seen.is_err(), "not seen: {change}");
        target.rows("ROLLBACK");
    }
}

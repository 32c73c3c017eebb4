//! `interval`: months, days and microseconds, each with its own sign.
//!
//! The binary form is the microseconds (8 bytes), the days and the months (4 bytes each):
//! `interval_send` in `src/backend/utils/adt/timestamp.c`. Values are compared by these three
//! numbers: `1 day` and `24:00:00` are equal in SQL, but print differently and add differently.

mod parse;
#[cfg(test)]
mod tests;

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_fixed;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::interval::parse::Fields;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;
use std::io::Write as _;

const SECOND: u64 = 1_000_000;

/// A value of the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Interval {
    months: i32,
    days: i32,
    micros: i64,
}

/// The two values that mean `infinity` and `-infinity` since PostgreSQL 17.
const INFINITIES: [Interval; 2] = [
    Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX },
    Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN },
];

pub(crate) fn encode(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    const INVALID: Misfit = Misfit::NotValid(ColumnType::Interval);
    let SqliteValue::Text(text) = value else { return Err(INVALID) };
    let interval = Interval::parse(text).ok_or(INVALID)?;
    put_fixed(out, interval.to_binary());
    let mut printed = Vec::with_capacity(48);
    interval.write_text(&mut printed);
    Ok(Fidelity::exact_if(printed == text))
}

/// The length of an interval in microseconds, with months of 30 days and days of 24 hours: intervals
/// of one length are equal in SQL (`interval_cmp_value` in the same file).
pub(crate) fn length(text: &[u8]) -> Option<i128> {
    let Interval { months, days, micros } = Interval::parse(text)?;
    let days = i128::from(months) * 30 + i128::from(days);
    Some(days * 24 * 3600 * i128::from(SECOND) + i128::from(micros))
}

/// Appends the text of a field as PostgreSQL prints it with `IntervalStyle` `postgres`.
pub(crate) fn decode(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let interval = Interval::from_binary(field)?;
    // The meaning of these depends on the server's version.
    if INFINITIES.contains(&interval) {
        return None;
    }
    interval.write_text(out);
    Some(())
}

impl Interval {
    fn parse(text: &[u8]) -> Option<Self> {
        let Fields { years, months, days, micros } = parse::parse(text)?;
        let months = i64::from(years) * 12 + i64::from(months);
        let interval = Self { months: months.try_into().ok()?, days, micros };
        (!INFINITIES.contains(&interval)).then_some(interval)
    }

    fn to_binary(self) -> [u8; 16] {
        let parts = [self.days, self.months].map(|part| u64::from(part.cast_unsigned()));
        let rest = parts[0] << 32 | parts[1];
        (u128::from(self.micros.cast_unsigned()) << 64 | u128::from(rest)).to_be_bytes()
    }

    fn from_binary(field: &[u8]) -> Option<Self> {
        let (micros, rest) = field.split_first_chunk()?;
        let (days, months) = rest.split_first_chunk()?;
        Some(Self {
            months: i32::from_be_bytes(months.try_into().ok()?),
            days: i32::from_be_bytes(*days),
            micros: i64::from_be_bytes(*micros),
        })
    }

    /// Writes `1 year 2 mons 3 days 04:05:06.789`, without the parts that are zero.
    fn write_text(self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut after_negative = false;
        let parts = [(self.months / 12, "year"), (self.months % 12, "mon"), (self.days, "day")];
        for (number, unit) in parts.into_iter().filter(|(number, _)| *number != 0) {
            let space = if out.len() > start { " " } else { "" };
            // A positive part after a negative one has its sign.
            let sign = if after_negative && number > 0 { "+" } else { "" };
            let plural = if number == 1 { "" } else { "s" };
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{space}{sign}{number} {unit}{plural}");
            after_negative = number < 0;
        }
        let empty = out.len() == start;
        if self.micros == 0 && !empty {
            return;
        }
        let space = if empty { "" } else { " " };
        let sign = match self.micros {
            ..0 => "-",
            _ if after_negative => "+",
            _ => "",
        };
        let (seconds, micros) =
            (self.micros.unsigned_abs() / SECOND, self.micros.unsigned_abs() % SECOND);
        let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let _ = write!(out, "{space}{sign}{hours:02}:{minutes:02}:{seconds:02}");
        if micros > 0 {
            let _ = write!(out, ".{micros:06}");
            while out.last() == Some(&b'0') {
                out.pop();
            }
        }
    }
}

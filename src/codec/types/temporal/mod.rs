//! `date`, `time`, `timestamp` and `timestamptz`: ISO text, or numbers that count from an epoch.

pub(crate) mod epoch;
pub mod iso;

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_fixed;
use crate::codec::sqlite_value::SqliteValue;
use crate::codec::types::temporal::epoch::Epoch;
use crate::codec::types::temporal::iso::DAY;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;

pub(crate) fn encode_date(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    let days = parse(value, iso::parse_date, ColumnType::Date)?;
    put_fixed(out, days.to_be_bytes());
    Ok(Fidelity::Exact)
}

pub(crate) fn encode_time(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    let time = parse(value, iso::parse_time, ColumnType::Time)?;
    put_fixed(out, time.micros.to_be_bytes());
    Ok(fidelity(time.canonical, time.nanos_lost))
}

/// Appends a `timestamptz` if `zoned`, otherwise a `timestamp`.
#[inline]
pub(crate) fn encode_timestamp(
    value: SqliteValue<'_>,
    zoned: bool,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    let column_type = if zoned { ColumnType::TimestampTz } else { ColumnType::Timestamp };
    let timestamp = parse(value, iso::parse_timestamp, column_type)?;
    match (timestamp.zoned, zoned) {
        (true, false) => return Err(Misfit::ZonePresent),
        (false, true) => return Err(Misfit::ZoneMissing),
        _ => put_fixed(out, timestamp.micros.to_be_bytes()),
    }
    Ok(fidelity(timestamp.canonical, timestamp.nanos_lost))
}

#[inline]
fn fidelity(canonical: bool, nanos_lost: bool) -> Fidelity {
    if nanos_lost { Fidelity::Rounded } else { Fidelity::exact_if(canonical) }
}

#[inline]
fn parse<T>(
    value: SqliteValue<'_>,
    parse: impl Fn(&[u8]) -> Option<T>,
    column_type: ColumnType,
) -> Result<T, Misfit> {
    let SqliteValue::Text(text) = value else { return Err(Misfit::NotValid(column_type)) };
    parse(text).ok_or(Misfit::NotValid(column_type))
}

/// Appends the date or timestamp of a number that counts from an epoch. A date is exact at
/// midnight only.
pub(crate) fn encode_epoch(
    epoch: Epoch,
    column_type: ColumnType,
    value: SqliteValue<'_>,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    let point = match value {
        SqliteValue::Integer(integer) => epoch.from_integer(integer),
        SqliteValue::Real(real) => epoch.from_real(real),
        _ => return Err(Misfit::NotNumber),
    };
    let (micros, mut exact) = point.ok_or(Misfit::OutOfRange)?;
    if column_type == ColumnType::Date {
        exact &= micros.rem_euclid(DAY) == 0;
        let days = i32::try_from(micros.div_euclid(DAY)).map_err(|_| Misfit::OutOfRange)?;
        put_fixed(out, days.to_be_bytes());
    } else {
        put_fixed(out, micros.to_be_bytes());
    }
    Ok(match exact {
        true => Fidelity::Exact,
        // The double of a Julian day is less precise than a microsecond.
        false if epoch == Epoch::Julian && column_type != ColumnType::Date => Fidelity::Converted,
        false => Fidelity::Rounded,
    })
}

pub(crate) fn decode_date(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    iso::format_date(i32::from_be_bytes(field.try_into().ok()?), out)
}

pub(crate) fn decode_time(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    iso::format_time(i64::from_be_bytes(field.try_into().ok()?), out)
}

pub(crate) fn decode_timestamp(field: &[u8], zoned: bool, out: &mut Vec<u8>) -> Option<()> {
    iso::format_timestamp(i64::from_be_bytes(field.try_into().ok()?), zoned, out)
}

/// The number of a date or timestamp: an integer where that is exact, otherwise a real.
pub(crate) fn decode_epoch(
    epoch: Epoch,
    column_type: ColumnType,
    field: &[u8],
) -> Option<SqliteValue<'static>> {
    let micros = match column_type {
        ColumnType::Date => {
            i64::from(i32::from_be_bytes(field.try_into().ok()?)).checked_mul(DAY)?
        }
        _ => i64::from_be_bytes(field.try_into().ok()?),
    };
    let whole = epoch.to_integer(micros);
    Some(match whole.filter(|&whole| epoch.from_integer(whole) == Some((micros, true))) {
        Some(whole) => SqliteValue::Integer(whole),
        None => SqliteValue::Real(epoch.to_real(micros)),
    })
}

//! `real` and `double precision`.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_fixed;
use crate::codec::sqlite_value::{EXACT_IN_DOUBLE, SqliteValue};
use bytes::BytesMut;
use std::io::Write as _;

/// Appends a `real`: a double that 32 bits hold exactly, or a small integer.
pub(crate) fn encode_single(
    value: SqliteValue<'_>,
    restores_numbers: bool,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    match value {
        SqliteValue::Real(real) => {
            let short = real as f32;
            if f64::from(short).to_bits() != real.to_bits() {
                return Err(Misfit::TooManyDigits);
            }
            put_fixed(out, short.to_be_bytes());
            Ok(Fidelity::Exact)
        }
        SqliteValue::Integer(integer) if integer.unsigned_abs() <= 1 << 24 => {
            put_fixed(out, (integer as f32).to_be_bytes());
            Ok(Fidelity::exact_if(restores_numbers))
        }
        _ => Err(Misfit::NotNumber),
    }
}

/// Appends a `double precision`: a double, or an integer that a double holds exactly.
#[inline]
pub(crate) fn encode_double(
    value: SqliteValue<'_>,
    restores_numbers: bool,
    out: &mut BytesMut,
) -> Result<Fidelity, Misfit> {
    match value {
        SqliteValue::Real(real) => {
            put_fixed(out, real.to_be_bytes());
            Ok(Fidelity::Exact)
        }
        SqliteValue::Integer(integer) if integer.unsigned_abs() <= EXACT_IN_DOUBLE => {
            put_fixed(out, (integer as f64).to_be_bytes());
            Ok(Fidelity::exact_if(restores_numbers))
        }
        SqliteValue::Integer(_) => Err(Misfit::NotExactAsDouble),
        _ => Err(Misfit::NotNumber),
    }
}

/// Reads a real of 4 or 8 bytes; 4 bytes are widened exactly. `None` for NaN, which SQLite would
/// store as NULL.
#[inline]
pub(crate) fn decode(field: &[u8]) -> Option<SqliteValue<'static>> {
    let real = match *field {
        [a, b, c, d] => f64::from(f32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => f64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    };
    (!real.is_nan()).then_some(SqliteValue::Real(real))
}

/// Appends the decimal text of a double: its shortest round-trip decimal, with a point or an
/// exponent so that it reads as a real again. Infinity is written as a number too large to be
/// finite, as SQLite itself writes it.
pub(crate) fn write_text(real: f64, out: &mut Vec<u8>) {
    if real.is_infinite() {
        out.extend_from_slice(if real > 0.0 { b"9e999" } else { b"-9e999" });
    } else {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{real:?}");
    }
}

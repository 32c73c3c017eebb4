//! Epochs: stored numbers that stand for moments, in a unit that the user names.
//!
//! A number is exact where the very same number, bit for bit, would be made of the timestamp
//! again ([`Epoch::to_integer`], [`Epoch::to_real`]); everything else is a conversion.

use super::temporal::DAY;
use serde::{Deserialize, Serialize};

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_SECONDS: i64 = 946_684_800;
/// Microseconds from the start of Julian day 0 (noon of 4714-11-24 BC) to 2000-01-01 00:00:00.
const JULIAN_MICROS: i64 = 2_451_544 * DAY + DAY / 2;
/// PostgreSQL's first timestamp, 4714-11-24 00:00:00 BC (`MIN_TIMESTAMP`).
const FIRST: i64 = -211_813_488_000_000_000;
/// The first microsecond past PostgreSQL's last timestamp, 294277-01-01 (`END_TIMESTAMP`).
const END: i64 = 9_223_371_331_200_000_000;

/// What a number counts, and from when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Epoch {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    Seconds,
    /// Milliseconds since then.
    Millis,
    /// Microseconds since then.
    Micros,
    /// Nanoseconds since then.
    Nanos,
    /// Days since noon of Julian day 0, as SQLite's `julianday()` counts.
    Julian,
}

impl Epoch {
    /// The timestamp of an integer, in microseconds since 2000-01-01 00:00:00, and whether it is
    /// exact. `None` where PostgreSQL has no such timestamp. Nanoseconds are rounded, half up.
    #[must_use]
    pub fn from_integer(self, value: i64) -> Option<(i64, bool)> {
        let since_zero = match self.micros_per_unit() {
            Some(unit) => i128::from(value) * i128::from(unit),
            None => i128::from(nanos_to_micros(value)),
        };
        let micros = self.in_range(since_zero)?;
        Some((micros, self.to_integer(micros) == Some(value)))
    }

    /// The timestamp of a real, in microseconds since 2000-01-01 00:00:00, and whether it is
    /// exact. `None` for what is not finite and where PostgreSQL has no such timestamp.
    ///
    /// A Julian day's double is some 40 microseconds coarse, and SQLite itself counts
    /// milliseconds: where the millisecond makes the same double again, that is the moment
    /// meant. All else is rounded to the nearest microsecond, half up.
    #[must_use]
    pub fn from_real(self, value: f64) -> Option<(i64, bool)> {
        if !value.is_finite() {
            return None;
        }
        let is_exact = |micros: i64| self.to_real(micros).to_bits() == value.to_bits();
        if self == Self::Julian {
            // Split like this nothing is rounded but the fraction of a day.
            let millis = ((value - value.floor()) * 86_400_000.0).round() as i128;
            let millis = value.floor() as i128 * 86_400_000 + millis;
            if let Some(micros) = self.in_range(millis.saturating_mul(1_000))
                && is_exact(micros)
            {
                return Some((micros, true));
            }
        }
        // Conversions to integers saturate, far outside the range that is checked afterwards.
        let whole = value.floor();
        let since_zero = match self.micros_per_unit() {
            Some(unit) => (whole as i128)
                .saturating_mul(i128::from(unit))
                .saturating_add(((value - whole) * unit as f64 + 0.5).floor() as i128),
            None => (whole as i128).saturating_add(500).div_euclid(1_000),
        };
        let micros = self.in_range(since_zero)?;
        Some((micros, is_exact(micros)))
    }

    /// The number of whole units up to a timestamp, given in microseconds since 2000-01-01
    /// 00:00:00, rounded down (as Go's `Time.Unix` does). `None` beyond 64 bits, which only
    /// nanoseconds reach. What is not a whole number of units shows in [`Epoch::from_integer`]
    /// of the result being another timestamp.
    #[must_use]
    pub fn to_integer(self, micros: i64) -> Option<i64> {
        let since_zero = i128::from(micros) + i128::from(self.zero());
        match self.micros_per_unit() {
            Some(unit) => match i64::try_from(since_zero) {
                Ok(near) => Some(near.div_euclid(unit)),
                Err(_) => i64::try_from(since_zero.div_euclid(i128::from(unit))).ok(),
            },
            None => i64::try_from(since_zero * 1_000).ok(),
        }
    }

    /// The real nearest to a timestamp, given in microseconds since 2000-01-01 00:00:00.
    #[must_use]
    pub fn to_real(self, micros: i64) -> f64 {
        let since_zero = i128::from(micros) + i128::from(self.zero());
        let Some(unit) = self.micros_per_unit() else { return (since_zero * 1_000) as f64 };
        if self == Self::Julian && since_zero % 1_000 == 0 {
            // One division of exact numbers, as SQLite makes its Julian days.
            return (since_zero / 1_000) as f64 / 86_400_000.0;
        }
        // Whole units and the rest have the same sign, so that nothing cancels out.
        let (whole, rest) = (since_zero / i128::from(unit), since_zero % i128::from(unit));
        whole as f64 + rest as f64 / unit as f64
    }

    /// Microseconds in one unit; `None` for nanoseconds, which are less than one.
    fn micros_per_unit(self) -> Option<i64> {
        match self {
            Self::Seconds => Some(1_000_000),
            Self::Millis => Some(1_000),
            Self::Micros => Some(1),
            Self::Nanos => None,
            Self::Julian => Some(DAY),
        }
    }

    /// Microseconds from the epoch's zero to 2000-01-01 00:00:00.
    fn zero(self) -> i64 {
        if self == Self::Julian { JULIAN_MICROS } else { UNIX_SECONDS * 1_000_000 }
    }

    /// Microseconds since the epoch's zero as microseconds since 2000, where PostgreSQL has
    /// that timestamp.
    fn in_range(self, since_zero: i128) -> Option<i64> {
        let micros = i64::try_from(since_zero.saturating_sub(i128::from(self.zero()))).ok()?;
        (FIRST..END).contains(&micros).then_some(micros)
    }
}

/// Nanoseconds as microseconds, half up, without overflow.
fn nanos_to_micros(nanos: i64) -> i64 {
    nanos.div_euclid(1_000) + i64::from(nanos.rem_euclid(1_000) >= 500)
}

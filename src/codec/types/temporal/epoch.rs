//! Epochs: stored numbers that count from a moment, in a unit that the user names.
//!
//! A number is exact if the timestamp gives the same number again, bit for bit
//! ([`Epoch::to_integer`], [`Epoch::to_real`]). Everything else is a conversion.

use crate::codec::types::temporal::iso::DAY;
use serde::{Deserialize, Serialize};

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_SECONDS: i64 = 946_684_800;
/// Microseconds from the start of Julian day 0 (noon of 4714-11-24 BC) to 2000-01-01 00:00:00.
const JULIAN_MICROS: i64 = 2_451_544 * DAY + DAY / 2;
/// PostgreSQL's first timestamp, 4714-11-24 00:00:00 BC (`MIN_TIMESTAMP`).
const FIRST: i64 = -211_813_488_000_000_000;
/// The first microsecond past PostgreSQL's last timestamp, 294277-01-01 (`END_TIMESTAMP`).
const END: i64 = 9_223_371_331_200_000_000;

/// The unit of a number, and the moment from which it counts.
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
    /// exact. `None` if PostgreSQL has no such timestamp. Nanoseconds are rounded, half up.
    pub fn from_integer(self, value: i64) -> Option<(i64, bool)> {
        let since_zero = match self.micros_per_unit() {
            Some(unit) => i128::from(value) * i128::from(unit),
            None => i128::from(nanos_to_micros(value)),
        };
        let micros = self.in_range(since_zero)?;
        Some((micros, self.to_integer(micros) == Some(value)))
    }

    /// The timestamp of a real, in microseconds since 2000-01-01 00:00:00, and whether it is
    /// exact. `None` if the real is not finite or PostgreSQL has no such timestamp.
    ///
    /// The double of a Julian day has a precision of about 40 microseconds, and SQLite itself counts
    /// milliseconds. If a millisecond gives the same double again, it is the timestamp. Everything
    /// else is rounded to the nearest microsecond, half up.
    pub fn from_real(self, value: f64) -> Option<(i64, bool)> {
        if !value.is_finite() {
            return None;
        }
        let is_exact = |micros: i64| self.to_real(micros).to_bits() == value.to_bits();
        // Only the part of a unit is rounded. Conversions and products saturate, far outside the
        // range that is checked afterwards.
        let whole = value.floor() as i128;
        let count = |per_unit: i64| {
            let part = ((value - value.floor()) * per_unit as f64 + 0.5).floor();
            whole.saturating_mul(i128::from(per_unit)).saturating_add(part as i128)
        };
        if self == Self::Julian
            && let Some(micros) = self.in_range(count(DAY / 1_000).saturating_mul(1_000))
            && is_exact(micros)
        {
            return Some((micros, true));
        }
        let since_zero = match self.micros_per_unit() {
            Some(unit) => count(unit),
            None => whole.saturating_add(500).div_euclid(1_000),
        };
        let micros = self.in_range(since_zero)?;
        Some((micros, is_exact(micros)))
    }

    /// The number of whole units up to a timestamp, given in microseconds since 2000-01-01
    /// 00:00:00, rounded down (as Go's `Time.Unix` does). `None` beyond 64 bits, which only
    /// nanoseconds reach. If the timestamp is not a whole number of units,
    /// [`Epoch::from_integer`] of the result is another timestamp.
    pub(crate) fn to_integer(self, micros: i64) -> Option<i64> {
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

    /// Microseconds since the epoch's zero as microseconds since 2000, if PostgreSQL has that
    /// timestamp.
    fn in_range(self, since_zero: i128) -> Option<i64> {
        let micros = i64::try_from(since_zero.saturating_sub(i128::from(self.zero()))).ok()?;
        (FIRST..END).contains(&micros).then_some(micros)
    }
}

/// Nanoseconds as microseconds, half up, without overflow.
fn nanos_to_micros(nanos: i64) -> i64 {
    nanos.div_euclid(1_000) + i64::from(nanos.rem_euclid(1_000) >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2024-02-29 06:07:08.090807 in microseconds since 2000, from PostgreSQL's timestamp_send.
    const MOMENT: i64 = 762_502_028_090_807;

    #[test]
    fn an_integer_counts_its_unit_from_1970() {
        for (epoch, value) in [
            (Epoch::Seconds, 1_709_186_828),
            (Epoch::Millis, 1_709_186_828_000),
            (Epoch::Micros, 1_709_186_828_000_000),
            (Epoch::Nanos, 1_709_186_828_000_000_000),
        ] {
            let micros = MOMENT - 90_807;
            assert_eq!(epoch.from_integer(value), Some((micros, true)), "{epoch:?}");
            assert_eq!(epoch.to_integer(micros), Some(value), "{epoch:?}");
        }
        assert_eq!(Epoch::Julian.from_integer(2_451_545), Some((DAY / 2, true)));
    }

    #[test]
    fn nanoseconds_are_rounded_and_exact_only_in_whole_microseconds() {
        let zero = UNIX_SECONDS * 1_000_000;
        for (nanos, micros, exact) in [
            (1_000, 1, true),
            (1_499, 1, false),
            (1_500, 2, false),
            (-500, 0, false),
            (-501, -1, false),
        ] {
            assert_eq!(Epoch::Nanos.from_integer(nanos), Some((micros - zero, exact)), "{nanos}");
        }
    }

    #[test]
    fn whole_units_of_a_timestamp_are_rounded_down() {
        assert_eq!(Epoch::Seconds.to_integer(MOMENT), Some(1_709_186_828));
        assert_eq!(Epoch::Seconds.to_integer(-UNIX_SECONDS * 1_000_000 - 1), Some(-1));
        assert_eq!(Epoch::Nanos.to_integer(END - 1), None);
        assert_eq!(Epoch::Micros.to_integer(END - 1), None);
        assert_eq!(Epoch::Seconds.to_integer(END - 1), Some(9_224_318_015_999));
    }

    #[test]
    fn a_real_is_exact_where_the_same_bits_come_back() {
        for (epoch, value, micros, exact) in [
            (Epoch::Seconds, 1_709_186_828.090_807, MOMENT, true),
            (Epoch::Seconds, 1_709_186_828.090_807_2, MOMENT, false),
            (Epoch::Seconds, -0.5, -946_684_800_500_000, true),
            (Epoch::Seconds, -0.0, -946_684_800_000_000, false),
            (Epoch::Millis, 1_709_186_828_090.807, MOMENT, true),
            (Epoch::Micros, 0.5, -946_684_799_999_999, false),
            (Epoch::Nanos, 1_500.0, -946_684_799_999_998, false),
        ] {
            assert_eq!(epoch.from_real(value), Some((micros, exact)), "{epoch:?} {value}");
        }
    }

    #[test]
    fn a_julian_day_of_sqlite_is_its_millisecond() {
        // julianday('2024-02-29 06:07:08.091') and julianday('0001-01-01 00:00:00.001').
        for (value, micros) in [
            (2_460_369.754_954_757, 762_502_028_091_000),
            (1_721_425.500_000_011_6, -63_082_281_599_999_000),
        ] {
            assert_eq!(Epoch::Julian.from_real(value), Some((micros, true)));
            assert_eq!(Epoch::Julian.to_real(micros).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn the_range_is_that_of_postgresqls_timestamps() {
        assert_eq!(Epoch::Julian.from_real(-0.5), Some((FIRST, true)));
        assert_eq!(Epoch::Julian.from_real(-0.500_000_1), None);
        assert_eq!(Epoch::Seconds.from_integer(9_224_318_015_999), Some((END - 1_000_000, true)));
        assert_eq!(Epoch::Seconds.from_integer(9_224_318_016_000), None);
        for epoch in [Epoch::Seconds, Epoch::Millis, Epoch::Julian] {
            assert_eq!(epoch.from_integer(i64::MAX), None);
            assert_eq!(epoch.from_integer(i64::MIN), None);
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN] {
            for epoch in [Epoch::Seconds, Epoch::Micros, Epoch::Nanos, Epoch::Julian] {
                assert_eq!(epoch.from_real(value), None);
            }
        }
    }

    proptest! {
        #![proptest_config(crate::codec::test_cases::same_cases())]

        #[test]
        fn no_number_overflows(
            bits: u64,
            shift in 0_u32..64,
            epoch in prop::sample::select(vec![
                Epoch::Seconds, Epoch::Millis, Epoch::Micros, Epoch::Nanos, Epoch::Julian,
            ]),
        ) {
            let (integer, real) = (bits as i64 >> shift, f64::from_bits(bits));
            if let Some((micros, exact)) = epoch.from_integer(integer) {
                prop_assert_eq!(exact, epoch != Epoch::Nanos || integer % 1_000 == 0);
                prop_assert!((FIRST..END).contains(&micros));
            }
            if let Some((micros, exact)) = epoch.from_real(real) {
                prop_assert_eq!(exact, epoch.to_real(micros).to_bits() == bits);
            }
            let _ = (epoch.to_integer(integer), epoch.to_real(integer));
        }

        #[test]
        fn microseconds_of_our_days_survive_real_seconds(micros in -3_000_000_000_000_000..3_000_000_000_000_000_i64) {
            let real = Epoch::Seconds.to_real(micros);
            prop_assert_eq!(Epoch::Seconds.from_real(real), Some((micros, true)));
        }
    }
}

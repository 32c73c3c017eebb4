//! ISO text of dates and times, and PostgreSQL's counts from 2000-01-01.
//!
//! A timestamp is microseconds since 2000-01-01 00:00:00 (in UTC if there is a zone), a date
//! is days since that day, a time is microseconds since midnight: what PostgreSQL's
//! `timestamp_send`, `date_send` and `time_send` put on the wire. The calendar is the Gregorian
//! one, carried backwards, in both databases.
//!
//! The text read here is `YYYY-MM-DD[(' '|T)HH:MM[:SS[.digits]][zone]]`, for the years 0001 to
//! 9999. Year 0000, hour 24 and second 60 are refused: PostgreSQL refuses the first and prints the
//! other two as another moment.

/// Microseconds in a day.
pub(crate) const DAY: i64 = 86_400 * SECOND;
const SECOND: i64 = 1_000_000;
/// Days from 0000-03-01, the zero of the calendar's arithmetic, to 2000-01-01.
const ZERO: i32 = 730_425;
/// 0001-01-01 in days since 2000-01-01.
const FIRST_DAY: i32 = -730_119;
/// 9999-12-31 in days since 2000-01-01.
const LAST_DAY: i32 = 2_921_939;
/// The hours by which PostgreSQL lets a zone differ from UTC (`MAX_TZDISP_HOUR`).
const MAX_ZONE_HOURS: i64 = 15;

/// A timestamp as read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp {
    /// Microseconds since 2000-01-01 00:00:00, in UTC if the text has a zone.
    pub(crate) micros: i64,
    /// The text names a zone.
    pub(crate) zoned: bool,
    /// The text is exactly what [`format_timestamp`] writes for this value.
    pub(crate) canonical: bool,
    /// Nonzero digits beyond the microseconds were rounded off.
    pub(crate) nanos_lost: bool,
}

/// A time of day as read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time {
    /// Microseconds since midnight, less than a day.
    pub(crate) micros: i64,
    /// The text is exactly what [`format_time`] writes for this value.
    pub(crate) canonical: bool,
    /// Nonzero digits beyond the microseconds were rounded off.
    pub(crate) nanos_lost: bool,
}

/// Reads a timestamp. A date alone is its midnight, without a zone. A zone is `Z`, `z`, `+HH`,
/// `+HHMM`, `+HH:MM` or `+HH:MM:SS`, at once or after one space; digits beyond the microseconds
/// are rounded, half up. `None` for another text, or a moment (in UTC) outside the years 0001 to
/// 9999.
pub fn parse_timestamp(text: &[u8]) -> Option<Timestamp> {
    let (day, rest) = read_date(text)?;
    let midnight = i64::from(day) * DAY;
    let [separator, rest @ ..] = rest else {
        let (zoned, canonical, nanos_lost) = (false, false, false);
        return Some(Timestamp { micros: midnight, zoned, canonical, nanos_lost });
    };
    if !matches!(separator, b' ' | b'T') {
        return None;
    }
    let (clock, rest) = read_clock(rest)?;
    let offset = if rest.is_empty() { None } else { Some(read_zone(rest)?) };
    let micros = midnight + clock.micros - offset.unwrap_or(0) * SECOND;
    in_years(micros).then_some(Timestamp {
        micros,
        zoned: offset.is_some(),
        canonical: clock.canonical && *separator == b' ' && (offset.is_none() || rest == b"+00:00"),
        nanos_lost: clock.nanos_lost,
    })
}

/// Reads a date, `YYYY-MM-DD`, as days since 2000-01-01. There is one spelling of each.
pub fn parse_date(text: &[u8]) -> Option<i32> {
    let (day, rest) = read_date(text)?;
    rest.is_empty().then_some(day)
}

/// Reads a time of day, `HH:MM[:SS[.digits]]`, without a zone. Digits beyond the microseconds
/// are rounded, half up. `None` for another text, and if rounding gives 24:00:00.
pub(crate) fn parse_time(text: &[u8]) -> Option<Time> {
    let (clock, rest) = read_clock(text)?;
    (rest.is_empty() && clock.micros < DAY).then_some(clock)
}

/// Writes a timestamp as `YYYY-MM-DD HH:MM:SS[.ffffff]`, the fraction without trailing zeros,
/// with `+00:00` at the end if it is `zoned`. `None`, and nothing written, for PostgreSQL's
/// infinities and for years outside 0001 to 9999, which have no ISO text.
pub fn format_timestamp(micros: i64, zoned: bool, out: &mut Vec<u8>) -> Option<()> {
    if !in_years(micros) {
        return None;
    }
    out.extend_from_slice(&date_text(micros.div_euclid(DAY) as i32));
    out.push(b' ');
    write_clock(micros.rem_euclid(DAY), out);
    if zoned {
        out.extend_from_slice(b"+00:00");
    }
    Some(())
}

/// Writes a date as `YYYY-MM-DD`. `None`, and nothing written, for PostgreSQL's infinities and
/// for years outside 0001 to 9999.
pub(crate) fn format_date(days: i32, out: &mut Vec<u8>) -> Option<()> {
    if !(FIRST_DAY..=LAST_DAY).contains(&days) {
        return None;
    }
    out.extend_from_slice(&date_text(days));
    Some(())
}

/// Writes a time as `HH:MM:SS[.ffffff]`, the fraction without trailing zeros. `None`, and
/// nothing written, outside the day: PostgreSQL's 24:00:00 is not read back by [`parse_time`].
pub(crate) fn format_time(micros: i64, out: &mut Vec<u8>) -> Option<()> {
    if !(0..DAY).contains(&micros) {
        return None;
    }
    write_clock(micros, out);
    Some(())
}

fn in_years(micros: i64) -> bool {
    (i64::from(FIRST_DAY) * DAY..(i64::from(LAST_DAY) + 1) * DAY).contains(&micros)
}

/// The number of ASCII digits; `None` if one of the bytes is not a digit.
fn number<const N: usize>(digits: [u8; N]) -> Option<u32> {
    let mut value = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

/// `number` no greater than `max`.
fn field(tens: u8, ones: u8, max: u32) -> Option<i64> {
    number([tens, ones]).filter(|value| *value <= max).map(i64::from)
}

/// Takes `YYYY-MM-DD` off the front of `text`.
fn read_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = text else { return None };
    let (year, month, day) =
        (number([*y1, *y2, *y3, *y4])?, number([*m1, *m2])?, number([*d1, *d2])?);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > last {
        return None;
    }
    // Years are counted from March, so that the leap day is the last one of its year and the
    // lengths of the months before a date follow one line: 153 days in five months.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    Some((days as i32 - ZERO, rest))
}

/// Takes `HH:MM[:SS[.digits]]` off the front of `text`. Rounding may lead to 24:00:00 exactly.
fn read_clock(text: &[u8]) -> Option<(Time, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let minutes = field(*h1, *h2, 23)? * 60 + field(*m1, *m2, 59)?;
    let mut time = Time { micros: minutes * 60 * SECOND, canonical: false, nanos_lost: false };
    let [b':', s1, s2, rest @ ..] = rest else { return Some((time, rest)) };
    time.micros += field(*s1, *s2, 59)? * SECOND;
    let [b'.', rest @ ..] = rest else {
        time.canonical = true;
        return Some((time, rest));
    };
    let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(length);
    let kept = &digits[..length.min(6)];
    let mut fraction = kept.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    for _ in kept.len()..6 {
        fraction *= 10;
    }
    let lost = &digits[kept.len()..];
    time.micros += fraction + i64::from(lost.first().is_some_and(|digit| *digit >= b'5'));
    time.nanos_lost = lost.iter().any(|digit| *digit != b'0');
    time.canonical = lost.is_empty() && *kept.last()? != b'0';
    Some((time, rest))
}

/// Reads a zone, which is all of `text`, as seconds ahead of UTC.
fn read_zone(text: &[u8]) -> Option<i64> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let [sign, digits @ ..] = text else { return None };
    let (hours, minutes, seconds) = match (sign, digits) {
        (b'Z' | b'z', []) => return Some(0),
        (b'+' | b'-', [h1, h2]) => ([h1, h2], [&b'0'; 2], [&b'0'; 2]),
        (b'+' | b'-', [h1, h2, m1, m2] | [h1, h2, b':', m1, m2]) => {
            ([h1, h2], [m1, m2], [&b'0'; 2])
        }
        (b'+' | b'-', [h1, h2, b':', m1, m2, b':', s1, s2]) => ([h1, h2], [m1, m2], [s1, s2]),
        _ => return None,
    };
    let [hours, minutes, seconds] = [(hours, MAX_ZONE_HOURS as u32), (minutes, 59), (seconds, 59)]
        .map(|([tens, ones], max)| field(*tens, *ones, max));
    let offset = (hours? * 60 + minutes?) * 60 + seconds?;
    Some(if *sign == b'-' { -offset } else { offset })
}

/// `YYYY-MM-DD` of a day between [`FIRST_DAY`] and [`LAST_DAY`].
fn date_text(days: i32) -> [u8; 10] {
    // The inverse of the arithmetic in `read_date`, over eras of 400 years (146,097 days), as
    // in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
    let days = (days + ZERO) as u32;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let ([y1, y2], [y3, y4]) = (two(year / 100), two(year % 100));
    let ([m1, m2], [d1, d2]) = (two(month), two(day));
    [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]
}

/// `HH:MM:SS[.ffffff]` of microseconds within a day.
fn write_clock(micros: i64, out: &mut Vec<u8>) {
    let (seconds, fraction) = ((micros / SECOND) as u32, (micros % SECOND) as u32);
    let ([h1, h2], [m1, m2]) = (two(seconds / 3_600), two(seconds / 60 % 60));
    let [s1, s2] = two(seconds % 60);
    out.extend_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2]);
    if fraction != 0 {
        let ([f1, f2], [f3, f4]) = (two(fraction / 10_000), two(fraction / 100 % 100));
        let [f5, f6] = two(fraction % 100);
        let digits = [b'.', f1, f2, f3, f4, f5, f6];
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        out.extend_from_slice(&digits[..digits.len() - zeros]);
    }
}

/// A number under 100 as two digits.
fn two(value: u32) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

#[cfg(test)]
mod tests;

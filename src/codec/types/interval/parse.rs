//! Interval texts: PostgreSQL's own style, the verbose style and ISO 8601.
//!
//! Every text that is read here has the value that `interval_in` gives it
//! (`src/backend/utils/adt/datetime.c`), in all supported versions. PostgreSQL also reads other
//! texts, for example numbers without units and fractions that it rounds. Those are refused.

/// The longest text: PostgreSQL's own buffers are larger, and no value needs as much.
const MAX_TEXT: usize = 120;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The sums of an interval's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields {
    pub(super) years: i32,
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) micros: i64,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Year,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Microsecond,
}

/// The words for units, in lower case.
const WORDS: [(Unit, &[&str]); 9] = [
    (Unit::Year, &["year", "years", "yr", "yrs", "y"]),
    (Unit::Month, &["mon", "mons", "month", "months"]),
    (Unit::Week, &["week", "weeks", "w"]),
    (Unit::Day, &["day", "days", "d"]),
    (Unit::Hour, &["hour", "hours", "hr", "hrs", "h"]),
    (Unit::Minute, &["minute", "minutes", "min", "mins", "m"]),
    (Unit::Second, &["second", "seconds", "sec", "secs", "s"]),
    (Unit::Millisecond, &["millisecond", "milliseconds", "msec", "msecs", "ms"]),
    (Unit::Microsecond, &["microsecond", "microseconds", "usec", "usecs", "us"]),
];

/// A decimal number: sign, digits before the point, digits after the point.
#[derive(Debug, Clone, Copy)]
struct Number<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// The fraction as the double with which PostgreSQL calculates.
    double: f64,
}

/// Reads an interval. `None` for a text that is not read, or whose value is out of range.
pub(super) fn parse(text: &[u8]) -> Option<Fields> {
    let text = std::str::from_utf8(text).ok()?;
    if !text.is_ascii() || text.len() > MAX_TEXT {
        return None;
    }
    match text.strip_prefix('P') {
        Some(rest) => parse_iso(rest),
        None => parse_words(&text.to_ascii_lowercase()),
    }
}

/// Reads `[@] 1 year 2 mons -3 days [+-]04:05:06.789 [ago]`, in lower case.
fn parse_words(text: &str) -> Option<Fields> {
    let is_space = |c: char| matches!(c, ' ' | '\t'..='\r');
    let mut rest = text.trim_start_matches(is_space);
    rest = rest.strip_prefix('@').unwrap_or(rest).trim_start_matches(is_space);
    let mut counts = Vec::new();
    let mut clock = None;
    let mut ago = false;
    while !rest.is_empty() {
        if rest.trim_end_matches(is_space) == "ago" {
            ago = true;
            break;
        }
        // Nothing but `ago` follows a time of day.
        if clock.is_some() {
            return None;
        }
        let (number, after) = take_number(rest)?;
        if after.starts_with(':') {
            let (micros, after) = take_clock(number, after)?;
            clock = Some(micros);
            rest = after;
        } else {
            let after = after.trim_start_matches(is_space);
            let length = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
            let (word, after) = after.split_at(length);
            let (unit, _) = WORDS.into_iter().find(|(_, words)| words.contains(&word))?;
            counts.push((number, unit));
            // A digit may follow a unit of one letter: 1h30m.
            match after.chars().next() {
                Some(next) if next.is_ascii_digit() && length == 1 && unit != Unit::Week => {
                    rest = after;
                    continue;
                }
                Some(',') => {
                    rest = after[1..].trim_start_matches(is_space);
                    continue;
                }
                _ => rest = after,
            }
        }
        if rest.starts_with(|c| !is_space(c)) {
            return None;
        }
        rest = rest.trim_start_matches(is_space);
    }
    if counts.is_empty() && clock.is_none() {
        return None;
    }
    let mut fields = sum(&counts, clock)?;
    if ago {
        fields = Fields {
            years: fields.years.checked_neg()?,
            months: fields.months.checked_neg()?,
            days: fields.days.checked_neg()?,
            micros: fields.micros.checked_neg()?,
        };
    }
    Some(fields)
}

/// Reads what follows the P of `P1Y2M3W4DT5H6M7.5S` or `P0001-02-03T04:05:06`.
fn parse_iso(text: &str) -> Option<Fields> {
    let (date, time) = text.split_once('T').map_or((text, None), |(d, t)| (d, Some(t)));
    if date.get(1..).is_some_and(|rest| rest.contains('-')) && !date.contains('D') {
        return parse_iso_alternative(date, time);
    }
    let mut counts = Vec::new();
    let units: [(&str, &[(char, Unit)]); 2] = [
        (date, &[('Y', Unit::Year), ('M', Unit::Month), ('W', Unit::Week), ('D', Unit::Day)]),
        (time.unwrap_or_default(), &[('H', Unit::Hour), ('M', Unit::Minute), ('S', Unit::Second)]),
    ];
    for (mut rest, units) in units {
        while !rest.is_empty() {
            let (number, after) = take_number(rest).filter(|_| !rest.starts_with('+'))?;
            // PostgreSQL reads the whole number as a double, which may change its fraction.
            let double: f64 = format!("{}.{}0", number.whole, number.fraction).parse().ok()?;
            let number = Number { double: double.fract(), ..number };
            let letter = after.chars().next()?;
            let (_, unit) = units.iter().find(|(name, _)| *name == letter)?;
            counts.push((number, *unit));
            rest = &after[1..];
        }
    }
    if counts.is_empty() || time == Some("") {
        return None;
    }
    sum(&counts, None)
}

/// Reads `0001-02-03` and `04:05:06`, each with any number of digits.
fn parse_iso_alternative(date: &str, time: Option<&str>) -> Option<Fields> {
    let mut parts = [None; 3];
    for (index, part) in date.split('-').enumerate() {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        *parts.get_mut(index)? = part.parse::<i32>().ok().filter(|_| digits);
    }
    let [years, months, days] = parts;
    let mut micros = 0;
    if let Some(time) = time {
        let (number, after) = take_number(time)?;
        let rest;
        (micros, rest) = take_clock(number, after)?;
        if !time.starts_with(|c: char| c.is_ascii_digit()) || !rest.is_empty() {
            return None;
        }
    }
    Some(Fields { years: years?, months: months?, days: days?, micros })
}

/// Takes `[+-]digits[.digits]` off the front of a text. Spaces may follow the sign.
fn take_number(text: &str) -> Option<(Number<'_>, &str)> {
    let unsigned = match text.strip_prefix(['+', '-']) {
        Some(unsigned) => unsigned.trim_start_matches(' '),
        None => text,
    };
    let (whole, mut rest) = take_digits(unsigned)?;
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = take_digits(after)?;
    }
    let double = format!("0.{fraction}0").parse().ok()?;
    Some((Number { negative: text.starts_with('-'), whole, fraction, double }, rest))
}

/// Takes digits, at least one, off the front of a text.
fn take_digits(text: &str) -> Option<(&str, &str)> {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

/// Takes `:MM[:SS[.digits]]` after the hours off the front of a text: microseconds.
fn take_clock<'a>(hours: Number<'_>, text: &'a str) -> Option<(i64, &'a str)> {
    let below_sixty = |digits: &str| digits.parse::<i64>().ok().filter(|number| *number < 60);
    let (minutes, mut rest) = take_digits(text.strip_prefix(':')?)?;
    let mut micros = below_sixty(minutes)? * 60 * SECOND;
    if let Some(after) = rest.strip_prefix(':') {
        let (number, after) = take_number(after).filter(|_| !after.starts_with(['+', '-']))?;
        micros += below_sixty(number.whole)? * SECOND + exact_fraction(number.fraction, SECOND)?;
        rest = after;
    }
    if !hours.fraction.is_empty() || rest.starts_with(':') {
        return None;
    }
    let hours_micros = hours.whole.parse::<i64>().ok()?.checked_mul(3_600 * SECOND)?;
    let micros = hours_micros.checked_add(micros)?;
    Some((if hours.negative { -micros } else { micros }, rest))
}

/// The fraction `.digits` of `scale`, if it is a whole number.
fn exact_fraction(digits: &str, scale: i64) -> Option<i64> {
    if digits.len() > 6 {
        return None;
    }
    let numerator = if digits.is_empty() { 0 } else { digits.parse::<i64>().ok()? } * scale;
    let denominator = 10_i64.pow(digits.len() as u32);
    (numerator % denominator == 0).then_some(numerator / denominator)
}

/// Adds up the numbers, each unit at most once. PostgreSQL reads from right to left; the order
/// decides which intermediate sums overflow.
fn sum(counts: &[(Number<'_>, Unit)], clock: Option<i64>) -> Option<Fields> {
    let mut fields = Fields { micros: clock.unwrap_or(0), ..Fields::default() };
    for (index, (number, unit)) in counts.iter().enumerate().rev() {
        if counts[..index].iter().any(|(_, other)| other == unit) {
            return None;
        }
        let sign = if number.negative { -1 } else { 1 };
        let whole: i64 = match number.negative {
            true => format!("-{}", number.whole).parse().ok()?,
            false => number.whole.parse().ok()?,
        };
        let small = || i32::try_from(whole).ok();
        // The fraction in a smaller unit. It must be exact, also with PostgreSQL's doubles: it
        // truncates days and months, and rounds microseconds.
        let part = |scale: i64, tolerance: f64| {
            let exact = exact_fraction(number.fraction, scale)?;
            let error = (number.double * scale as f64 - exact as f64).abs();
            (error <= tolerance).then_some(sign * exact)
        };
        let small_part = |scale: i64| part(scale, 0.0).map(|part| part as i32);
        let micros_part = |scale: i64| part(scale, 0.25);
        let time = match unit {
            Unit::Year => {
                fields.years = fields.years.checked_add(small()?)?;
                fields.months = fields.months.checked_add(small_part(12)?)?;
                continue;
            }
            Unit::Month => {
                fields.months = fields.months.checked_add(small()?)?;
                fields.days = fields.days.checked_add(small_part(30)?)?;
                continue;
            }
            Unit::Week => {
                let days = small()?.checked_mul(7)?;
                fields.days = fields.days.checked_add(days)?.checked_add(small_part(7)?)?;
                continue;
            }
            Unit::Day => {
                fields.days = fields.days.checked_add(small()?)?;
                fields.micros = fields.micros.checked_add(micros_part(DAY)?)?;
                continue;
            }
            Unit::Hour => 3_600 * SECOND,
            Unit::Minute => 60 * SECOND,
            Unit::Second => SECOND,
            Unit::Millisecond => 1_000,
            Unit::Microsecond => 1,
        };
        // A time of day has hours, minutes and seconds of its own, and seconds with a fraction
        // have milliseconds and microseconds of their own.
        let subsecond = [Unit::Millisecond, Unit::Microsecond];
        let has_subseconds = |(other, other_unit): &(Number<'_>, Unit)| {
            *other_unit == Unit::Second && other.fraction.bytes().any(|digit| digit != b'0')
        };
        if clock.is_some() || subsecond.contains(unit) && counts.iter().any(has_subseconds) {
            return None;
        }
        fields.micros = fields.micros.checked_add(whole.checked_mul(time)?)?;
        fields.micros = fields.micros.checked_add(micros_part(time)?)?;
    }
    Some(fields)
}

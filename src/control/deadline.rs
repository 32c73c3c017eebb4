//! The deadline of a run: a time of day, a point in time or a duration.

use jiff::civil::Time;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};
use std::fmt;

/// The time at which a run must be over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// The point in time, in the time zone in which it is displayed.
    at: Zoned,
    /// A warning about a time that clocks skip or show twice.
    warning: Option<String>,
}

/// The accepted forms of a deadline.
const FORMS: &str = "a deadline is a time of day such as 04:30, or a date and time with its \
                     offset such as 2026-03-01T04:30:00+01:00";

impl Deadline {
    /// Parses a local time of day (the next one after `now`), or a point in time with its offset
    /// (RFC 3339).
    ///
    /// For a time that clocks skip or show twice on that day, it takes the earlier reading that is
    /// still in the future, because a run may end early.
    pub(crate) fn parse(text: &str, now: &Zoned) -> Result<Self, String> {
        let text = text.trim();
        let zone = now.time_zone();
        if let Ok(at) = text.parse::<Timestamp>() {
            if at <= now.timestamp() {
                return Err(format!("{text} is in the past"));
            }
            return Ok(Self { at: at.to_zoned(zone.clone()), warning: None });
        }
        let time = time_of_day(text).ok_or(FORMS)?;
        let mut day = now.date();
        loop {
            if let Some(deadline) = Self::on(day.to_datetime(time), zone, now) {
                return Ok(deadline);
            }
            day = day.tomorrow().map_err(|error| error.to_string())?;
        }
    }

    /// The first reading of a local date and time after `now`.
    fn on(local: jiff::civil::DateTime, zone: &TimeZone, now: &Zoned) -> Option<Self> {
        let ambiguous = zone.to_ambiguous_zoned(local);
        let what = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => None,
            AmbiguousOffset::Gap { .. } => Some("does not exist"),
            AmbiguousOffset::Fold { .. } => Some("occurs twice"),
        };
        let readings = [ambiguous.clone().earlier(), ambiguous.later()];
        let at = readings.into_iter().flatten().find(|at| at > now)?;
        let warning = what.map(|what| {
            let (date, time) = (local.date(), local.time().strftime("%H:%M:%S"));
            format!("{time} {what} on {date}; the deadline is {}", format_time(&at))
        });
        Some(Self { at, warning })
    }

    /// Parses a duration after `now`, such as `2h`, `90m` or `1h30m`.
    pub(crate) fn after(text: &str, now: &Zoned) -> Result<Self, String> {
        let length = text.trim().parse::<SignedDuration>().ok();
        let length = length.filter(|length| *length > SignedDuration::ZERO);
        let length = length.ok_or("a window is a duration such as 2h, 90m or 1h30m")?;
        let at = now.checked_add(length).map_err(|_| "the duration is too long".to_owned())?;
        Ok(Self { at, warning: None })
    }

    /// The warning about the reading of the time, where there is one.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// The seconds until the deadline by the system's clock; negative after it.
    pub(crate) fn seconds_left(&self) -> f64 {
        self.at.timestamp().duration_since(Timestamp::now()).as_secs_f64()
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_time(&self.at))
    }
}

fn format_time(at: &Zoned) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Parses `4:30`, `04:30` or `04:30:15`.
fn time_of_day(text: &str) -> Option<Time> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &str| {
        let digits = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<i8>().ok()).flatten()
    };
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (number(hour)?, number(minute)?, 0),
        [hour, minute, second] => (number(hour)?, number(minute)?, number(second)?),
        _ => return None,
    };
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn parsed(text: &str, at: &str) -> Result<String, String> {
        Deadline::parse(text, &now(at)).map(|deadline| deadline.to_string())
    }

    const WINTER: &str = "2026-01-10T22:00:00[Europe/Berlin]";

    #[test]
    fn a_time_of_day_is_the_next_one() {
        for (text, expected) in [
            ("04:30", "2026-01-11T04:30:00+01:00"),
            ("4:30", "2026-01-11T04:30:00+01:00"),
            ("22:00:01", "2026-01-10T22:00:01+01:00"),
            // Not now.
            ("22:00", "2026-01-11T22:00:00+01:00"),
        ] {
            assert_eq!(parsed(text, WINTER).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(Deadline::parse("04:30", &now(WINTER)).unwrap().warning(), None);
    }

    #[test]
    fn a_point_in_time_has_its_own_offset_and_is_displayed_in_the_local_zone() {
        for (text, expected) in [
            ("2026-01-11T04:30:00Z", Ok("2026-01-11T05:30:00+01:00")),
            ("2026-01-11T04:30:00-05:00", Ok("2026-01-11T10:30:00+01:00")),
            ("2026-01-10T21:00:00Z", Err("2026-01-10T21:00:00Z is in the past")),
        ] {
            let parsed = parsed(text, WINTER);
            assert_eq!(parsed.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }

    #[test]
    fn a_time_that_clocks_skip_gets_a_warning_and_is_taken_early() {
        let deadline =
            Deadline::parse("02:30", &now("2026-03-28T23:00:00[Europe/Berlin]")).unwrap();
        assert_eq!(deadline.to_string(), "2026-03-29T01:30:00+01:00");
        assert_eq!(
            deadline.warning(),
            Some(
                "02:30:00 does not exist on 2026-03-29; the deadline is 2026-03-29T01:30:00+01:00"
            )
        );
    }

    #[test]
    fn a_time_that_occurs_twice_gets_a_warning_and_the_first_future_one_is_taken() {
        let before = now("2026-10-25T00:30:00[Europe/Berlin]");
        let deadline = Deadline::parse("02:30", &before).unwrap();
        assert_eq!(deadline.to_string(), "2026-10-25T02:30:00+02:00");
        assert!(deadline.warning().unwrap().contains("02:30:00 occurs twice on 2026-10-25"));
        let between: Timestamp = "2026-10-25T00:45:00Z".parse().unwrap();
        let between = between.to_zoned(before.time_zone().clone());
        assert_eq!(between.to_string(), "2026-10-25T02:45:00+02:00[Europe/Berlin]");
        let deadline = Deadline::parse("02:30", &between).unwrap();
        assert_eq!(deadline.to_string(), "2026-10-25T02:30:00+01:00");
    }

    #[test]
    fn an_invalid_time_is_refused() {
        for text in ["", "soon", "25:00", "04:60", "4", "04:30pm", "+4:30", "2026-01-11T04:30:00"] {
            assert_eq!(parsed(text, WINTER), Err(FORMS.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_window_is_a_duration() {
        let after = |text| Deadline::after(text, &now(WINTER)).map(|at| at.to_string());
        for (text, expected) in [
            ("2h", "2026-01-11T00:00:00+01:00"),
            ("90m", "2026-01-10T23:30:00+01:00"),
            ("1h30m", "2026-01-10T23:30:00+01:00"),
            ("45s", "2026-01-10T22:00:45+01:00"),
        ] {
            assert_eq!(after(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "2", "-2h", "0s", "2h ago", "04:30", "99999999999999999h"] {
            assert!(after(text).is_err(), "{text}");
        }
    }
}

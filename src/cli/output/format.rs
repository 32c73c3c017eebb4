//! The format of numbers, sizes, times and names in readable output.

use crate::error::plural;
use std::borrow::Cow;
use std::fmt::Write as _;

/// `2 rows`, `1 row`: a count with its noun, which is given in the singular.
pub(crate) fn counted(number: u64, what: &str) -> String {
    if let Some(rest) = what.strip_prefix("set of ") {
        return plural(number, what, &format!("sets of {rest}"));
    }
    let many = match what.strip_suffix("cy") {
        Some(stem) => format!("{stem}cies"),
        None => format!("{what}{}", if what.ends_with('x') { "es" } else { "s" }),
    };
    plural(number, what, &many)
}

/// A number of bytes in decimal units: `999 B`, `1.6 kB`, `1.65 GB`.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1000.0;
    let mut unit = "kB";
    for next in ["MB", "GB", "TB", "PB", "EB"] {
        // 999.95 would be printed as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    match unit {
        "kB" | "MB" => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// A length of time: `0.04 s`, `12.3 s`, `1m 20s`, `2h 05m`.
pub(crate) fn time(seconds: f64) -> String {
    if seconds < 9.995 {
        format!("{:.2} s", seconds.max(0.0))
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else {
        time_left(seconds)
    }
}

/// An approximate length of time: `8s`, `1m 20s`, `2h 05m`, `3d 04h`.
pub(crate) fn time_left(seconds: f64) -> String {
    // The cast saturates: infinity becomes the largest number, NaN zero.
    let whole = seconds.round() as u64;
    let (minutes, hours) = (whole / 60, whole / 3600);
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{minutes}m {:02}s", whole % 60),
        3600..86_400 => format!("{hours}h {:02}m", minutes % 60),
        _ => format!("{}d {:02}h", hours / 24, hours % 24),
    }
}

/// The number per second; `None` if the time is too short.
pub(crate) fn rate(number: u64, seconds: f64) -> Option<u64> {
    (number > 0 && seconds >= 0.001).then(|| (number as f64 / seconds).round() as u64)
}

/// A text from a database or a command line, made safe for a terminal: control characters, and those
/// that reorder or hide others, become escapes.
pub(crate) fn escape_for_terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(hides_or_moves) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if hides_or_moves(c) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Control characters; line and paragraph separators; zero-width and bidirectional controls.
fn hides_or_moves(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || c == '\u{feff}'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::count;

    #[test]
    fn numbers_have_commas_between_thousands() {
        assert_eq!([0, 999, 1000, 12_572_000].map(count), ["0", "999", "1,000", "12,572,000"]);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!([0, 1, 2000].map(|n| counted(n, "row")), ["0 rows", "1 row", "2,000 rows"]);
        assert_eq!(counted(3, "index"), "3 indexes");
    }

    #[test]
    fn sizes_are_in_decimal_units_and_never_read_a_thousand() {
        assert_eq!(
            [0, 999, 1000, 999_949, 999_950, 1_647_000_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "1.65 GB"]
        );
        assert_eq!(bytes(u64::MAX), "18.45 EB");
    }

    #[test]
    fn times_get_coarser_as_they_get_longer() {
        assert_eq!(
            [0.0, -1.0, 0.044, 12.34, 59.96, 80.0, 7500.0, 100_000.0].map(time),
            ["0.00 s", "0.00 s", "0.04 s", "12.3 s", "1m 00s", "1m 20s", "2h 05m", "1d 03h"]
        );
        assert_eq!(time_left(8.2), "8s");
    }

    #[test]
    fn a_rate_needs_rows_and_time() {
        assert_eq!(rate(10, 0.0), None);
        assert_eq!(rate(0, 1.0), None);
        assert_eq!(rate(10, 2.0), Some(5));
    }

    #[test]
    fn control_characters_in_names_are_escaped() {
        assert_eq!(escape_for_terminal("plain é 表"), "plain é 表");
        assert_eq!(escape_for_terminal("a\nb\u{1b}[31m\u{202e}"), "a\\nb\\u{1b}[31m\\u{202e}");
    }
}

//! Parsers of flag values: sizes, rates, times.

use crate::control::deadline::Deadline;
use crate::control::sizing::{MAX_CHUNK_ASKED, MIN_CHUNK};
use jiff::{SignedDuration, Zoned};
use std::time::Duration;

/// The least memory for a reader, an encoder and a writer that each hold a chunk of a useful size.
const MIN_MEMORY: u64 = 16 << 20;

/// Parses a size in bytes, with binary multiples: `256M`, `1G`, `64MiB`, `16777216`.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    match size(text)? {
        size if size < MIN_MEMORY => Err("at least 16M are needed".to_owned()),
        size => Ok(size),
    }
}

/// Parses a chunk size, in the same form.
pub(crate) fn chunk_size(text: &str) -> Result<u64, String> {
    match size(text)? {
        size if (MIN_CHUNK..=MAX_CHUNK_ASKED).contains(&size) => Ok(size),
        _ => Err("a chunk has from 64K to 256M".to_owned()),
    }
}

/// Parses a whole number from 1 to `MAX`.
pub(crate) fn number<const MAX: u16>(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX).contains(number));
    number.ok_or_else(|| format!("a whole number between 1 and {MAX} is needed"))
}

fn size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let shift = match unit.trim_start() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        "t" | "tb" | "tib" => Some(40),
        _ => None,
    };
    let size = digits.parse::<u64>().ok().zip(shift);
    let size = size.and_then(|(number, shift)| number.checked_mul(1 << shift));
    size.ok_or_else(|| "a size is a whole number and one of K, M, G, T, such as 256M".to_owned())
}

/// Parses a number of bytes per second: a number and KB, MB, GB, KiB, MiB or GiB, with or without
/// `/s`. A number alone is ambiguous and not accepted.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix("/s").unwrap_or(&lower);
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(end);
    let unit = match unit.trim() {
        "kb" => Some(1e3),
        "mb" => Some(1e6),
        "gb" => Some(1e9),
        "kib" => Some(1024.0),
        "mib" => Some(1024.0 * 1024.0),
        "gib" => Some(1024.0 * 1024.0 * 1024.0),
        _ => None,
    };
    let rate = digits.parse::<f64>().ok().zip(unit).map(|(number, unit)| (number * unit) as u64);
    match rate {
        Some(rate) if rate > 0 => Ok(rate),
        _ => Err("a rate is a number and KB, MB, GB, KiB, MiB or GiB a second, such as 50MB/s"
            .to_owned()),
    }
}

/// Parses a deadline; see [`Deadline::parse`].
pub(crate) fn deadline(text: &str) -> Result<Deadline, String> {
    Deadline::parse(text, &Zoned::now())
}

/// Parses a window that begins now; see [`Deadline::after`].
pub(crate) fn window(text: &str) -> Result<Deadline, String> {
    Deadline::after(text, &Zoned::now())
}

/// Parses a time with its unit: `90s`, `5m`, `1h30m`; `0` needs none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let read = text.parse::<SignedDuration>().ok();
    let read = read.and_then(|duration| Duration::try_from(duration).ok());
    read.ok_or_else(|| "a time is a number and its unit, such as 30s, 5m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_unit() {
        let rates = ["50MB/s", "1.5 gb", "8MiB/s", "1KiB/s"].map(rate);
        assert_eq!(rates, [50_000_000, 1_500_000_000, 8 << 20, 1024].map(Ok));
        for text in ["50", "50/s", "MB/s", "0MB/s", "-1MB/s", "1TB/s", "1MB/h", "1.2.3MB"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn memory_is_in_binary_multiples_and_has_a_minimum() {
        let sizes = ["256M", "1g", "64 MiB", "16777216"].map(memory);
        assert_eq!(sizes, [256 << 20, 1 << 30, 64 << 20, 16 << 20].map(Ok));
        assert_eq!(memory("15M"), Err("at least 16M are needed".to_owned()));
        for text in ["", "M", "1.5G", "-1G", "1X", "99999999999T"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_chunk_size_has_limits() {
        let sizes = ["64K", "32MiB", "256M"].map(chunk_size);
        assert_eq!(sizes, [64 << 10, 32 << 20, 256 << 20].map(Ok));
        for text in ["63K", "257M", "0", "1.5M", "M"] {
            assert!(chunk_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_has_limits() {
        assert_eq!(["1", "99"].map(number::<99>), [Ok(1), Ok(99)]);
        for text in ["0", "100", "-1", "1.5", "many", "", "99999"] {
            assert!(number::<99>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_has_a_unit_and_is_never_negative() {
        let times = ["90s", "5m", "1h30m", "0"].map(duration);
        assert_eq!(times, [90, 300, 5400, 0].map(|seconds| Ok(Duration::from_secs(seconds))));
        for text in ["", "5", "-5m", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}

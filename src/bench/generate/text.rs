//! Random identifiers and growing times. Every row has a time, so times are written without
//! `format!`, which takes longer.

use crate::bench::generate::random::Random;
use jiff::Timestamp;

/// Appends `number`, which is below 100, as two digits.
fn push_pair(text: &mut String, number: u64) {
    text.push(char::from(b'0' + number as u8 / 10));
    text.push(char::from(b'0' + number as u8 % 10));
}

/// A canonical random UUID (version 4).
pub(crate) fn uuid(random: &mut Random) -> String {
    let (high, low) = (random.bits(), random.bits());
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xfff | 0x4000);
    let (fourth, fifth) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
    format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}")
}

/// A clock that only moves forward and writes its time as ISO text.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// Microseconds since 1970.
    now: u64,
    /// The average step, in microseconds.
    step: u64,
    day: u64,
    /// The day, as `YYYY-MM-DD`.
    date: String,
    /// The last time that was written.
    text: String,
}

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;

/// 2021-01-01, the start of the usage.
const BEGIN: u64 = 18_628 * DAY;

/// The length of the usage.
const SPAN: u64 = 3 * 365 * DAY;

impl Clock {
    /// A clock that covers the whole span in about `ticks` ticks.
    pub(crate) fn new(ticks: u64) -> Self {
        Self { now: BEGIN, step: (SPAN / ticks.max(1)).max(2), ..Self::default() }
    }

    /// Moves forward by a random step.
    pub(crate) fn tick(&mut self, random: &mut Random) {
        // In a small table a step may be as long as the span: more than 32 bits.
        let milli = random.below(2000);
        self.now += self.step / 1000 * milli + self.step % 1000 * milli / 1000;
    }

    /// The same clock some microseconds later.
    pub(crate) fn later(&self, micros: u64) -> Self {
        Self { now: self.now + micros, step: self.step, ..Self::default() }
    }

    /// Sets the clock to some microseconds after another.
    pub(crate) fn set(&mut self, other: &Self, micros: u64) -> &mut Self {
        self.now = other.now + micros;
        self
    }

    /// The day as `YYYY-MM-DD`.
    pub(crate) fn date(&mut self) -> &str {
        let day = self.now / DAY;
        if day != self.day {
            self.day = day;
            let midnight = Timestamp::from_second((day * 86_400) as i64).unwrap_or_default();
            self.date = midnight.strftime("%F").to_string();
        }
        &self.date
    }

    /// The time as `YYYY-MM-DD HH:MM:SS`.
    pub(crate) fn seconds(&mut self) -> &str {
        self.date();
        self.text.clone_from(&self.date);
        let seconds = self.now % DAY / SECOND;
        for (before, number) in
            [(' ', seconds / 3600), (':', seconds / 60 % 60), (':', seconds % 60)]
        {
            self.text.push(before);
            push_pair(&mut self.text, number);
        }
        &self.text
    }

    /// The time as `YYYY-MM-DD HH:MM:SS.ffffff`. The last digit is never 0, as in the text that a
    /// database prints.
    pub(crate) fn micros(&mut self) -> &str {
        self.seconds();
        let micros = self.now % SECOND;
        let micros = micros + u64::from(micros.is_multiple_of(10));
        self.text.push('.');
        for number in [micros / 10_000, micros / 100 % 100, micros % 100] {
            push_pair(&mut self.text, number);
        }
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_writes_its_time_to_the_microsecond() {
        for (micros, written) in [
            (DAY + 3_723 * SECOND + 45, "2021-01-02 01:02:03.000045"),
            (1_154 * DAY + 45_296_789_000, "2024-02-29 12:34:56.789001"),
            (1_155 * DAY - 1, "2024-02-29 23:59:59.999999"),
            (1_155 * DAY, "2024-03-01 00:00:00.000001"),
        ] {
            assert_eq!(Clock::new(1000).later(micros).micros(), written);
        }
    }

    #[test]
    fn a_uuid_is_canonical() {
        let text = uuid(&mut Random::new(7));
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        assert!(text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{text}");
    }
}

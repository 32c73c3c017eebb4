//! Text without `format!`, which would take longer than the rows themselves.

use crate::bench::generate::random::Random;

/// The digits of 00 to 99.
const PAIRS: &str = "000102030405060708091011121314151617181920212223242526272829303132333435363738\
                     394041424344454647484950515253545556575859606162636465666768697071727374757677\
                     78798081828384858687888990919293949596979899";

/// Appends `number`, which is below 100, as two digits.
fn push_pair(text: &mut String, number: u64) {
    let at = number as usize * 2;
    text.push_str(&PAIRS[at..at + 2]);
}

/// Appends `number` in decimal.
pub(crate) fn push_number(text: &mut String, number: u64) {
    if number >= 100 {
        push_number(text, number / 100);
        push_pair(text, number % 100);
    } else if number >= 10 {
        push_pair(text, number);
    } else {
        text.push_str(&PAIRS[number as usize * 2 + 1..number as usize * 2 + 2]);
    }
}

/// Appends a canonical random UUID (version 4).
pub(crate) fn push_uuid(text: &mut String, random: &mut Random) {
    const DIGITS: &str = "0123456789abcdef";
    let mut bits = [random.bits(), random.bits()];
    bits[0] = (bits[0] & !0xF000) | 0x4000;
    bits[1] = (bits[1] & !(0b11 << 62)) | (0b10 << 62);
    for index in 0..32 {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        let digit = (bits[index / 16] >> (60 - 4 * (index % 16))) as usize & 15;
        text.push_str(&DIGITS[digit..=digit]);
    }
}

/// A clock that only moves forward and writes its time as ISO text.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Microseconds since 1970.
    now: u64,
    /// The average step, in microseconds.
    step: u64,
    day: u64,
    /// The day, as `YYYY-MM-DD`.
    date: String,
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
        Self { now: BEGIN, step: (SPAN / ticks.max(1)).max(2), day: 0, date: String::new() }
    }

    /// Moves on by a random step.
    pub(crate) fn tick(&mut self, random: &mut Random) {
        // In a small table a step may be as long as the span: more than 32 bits.
        let milli = random.below(2000);
        self.now += self.step / 1000 * milli + self.step % 1000 * milli / 1000;
    }

    /// The same clock some microseconds later.
    pub(crate) fn later(&self, micros: u64) -> Self {
        Self { now: self.now + micros, step: self.step, day: 0, date: String::new() }
    }

    /// Sets the clock to some microseconds after another.
    pub(crate) fn set(&mut self, other: &Self, micros: u64) {
        self.now = other.now + micros;
    }

    /// Writes `YYYY-MM-DD` into `text`.
    pub(crate) fn date(&mut self, text: &mut String) {
        let day = self.now / DAY;
        if day != self.day {
            self.day = day;
            let (year, month, in_month) = civil(day);
            self.date.clear();
            push_number(&mut self.date, year);
            self.date.push('-');
            push_pair(&mut self.date, month);
            self.date.push('-');
            push_pair(&mut self.date, in_month);
        }
        text.clear();
        text.push_str(&self.date);
    }

    /// Writes `YYYY-MM-DD HH:MM:SS` into `text`.
    pub(crate) fn seconds(&mut self, text: &mut String) {
        self.date(text);
        let seconds = self.now % DAY / SECOND;
        for (before, number) in
            [(' ', seconds / 3600), (':', seconds / 60 % 60), (':', seconds % 60)]
        {
            text.push(before);
            push_pair(text, number);
        }
    }

    /// Writes `YYYY-MM-DD HH:MM:SS.ffffff` into `text`. The last digit is never 0, as in the text
    /// that a database prints.
    pub(crate) fn micros(&mut self, text: &mut String) {
        self.seconds(text);
        let micros = self.now % SECOND;
        let micros = micros + u64::from(micros.is_multiple_of(10));
        text.push('.');
        for number in [micros / 10_000, micros / 100 % 100, micros % 100] {
            push_pair(text, number);
        }
    }
}

/// Year, month and day of a day since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn civil(day: u64) -> (u64, u64, u64) {
    let z = day + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        for number in [0, 7, 10, 99, 100, 101, 999, 1000, 12_345, 9_898_987, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
        for number in 0..100 {
            let mut text = String::new();
            push_pair(&mut text, number);
            assert_eq!(text, format!("{number:02}"));
        }
    }

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(BEGIN / DAY), (2021, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(19_783), (2024, 3, 1));
    }

    #[test]
    fn a_clock_writes_its_time_to_the_microsecond() {
        let start = Clock::new(1000);
        let mut clock = start.later(DAY + 3_723 * SECOND + 45);
        let mut text = String::new();
        clock.micros(&mut text);
        assert_eq!(text, "2021-01-02 01:02:03.000045");
    }

    #[test]
    fn a_uuid_is_canonical() {
        let mut text = String::new();
        push_uuid(&mut text, &mut Random::new(7));
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "4");
        assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        assert!(text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')), "{text}");
    }
}

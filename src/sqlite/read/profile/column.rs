//! The profile of a column: storage classes, ranges, shapes, and the candidate encoders that fit.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::check_text;
use crate::codec::sqlite_value::{EXACT_IN_DOUBLE, SqliteValue};
use crate::codec::types::boolean;
use crate::codec::types::text::count_characters;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;
use serde::{Deserialize, Serialize};

/// Rows kept of each kind of finding.
const MAX_FIRST_ROWS: usize = 3;

/// A count of findings with their first rows: rowids, or row numbers in storage order (from 1) in
/// a table without rowids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    /// The first rows, ascending.
    #[serde(rename = "places")]
    pub(crate) first_rows: Vec<i64>,
}

impl Tally {
    /// Counts a finding in `row`. Rows come in ascending order.
    #[inline]
    pub(crate) fn add(&mut self, row: i64) {
        self.count += 1;
        if self.first_rows.len() < MAX_FIRST_ROWS {
            self.first_rows.push(row);
        }
    }

    /// Adds the findings of another part of the scan.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.first_rows.extend_from_slice(&other.first_rows);
        self.first_rows.sort_unstable();
        self.first_rows.truncate(MAX_FIRST_ROWS);
    }
}

/// The result of one candidate encoder.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) encoder: ColumnEncoder,
    /// Values that the encoder converts or rounds.
    pub(crate) converted: u64,
    /// Those of them that lose digits.
    pub(crate) rounded: u64,
    /// Values that do not fit. Only the first candidate of a column counts all of them; a later
    /// one stops at its first misfit.
    pub(crate) misfits: Tally,
    /// The reason of the first misfit.
    pub(crate) reason: Option<Misfit>,
}

/// The profile of a column.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnProfile {
    pub(crate) nulls: u64,
    pub(crate) integers: Tally,
    pub(crate) reals: Tally,
    pub(crate) texts: Tally,
    pub(crate) blobs: Tally,
    /// The smallest and the largest integer.
    pub(crate) range: Option<(i64, i64)>,
    /// Integers that a double cannot hold exactly.
    pub(crate) wide_integers: Tally,
    /// Reals without a fraction (infinities included).
    pub(crate) whole_reals: u64,
    /// Texts with a NUL character.
    pub(crate) nul_texts: Tally,
    /// Texts that are not valid in their encoding.
    pub(crate) invalid_texts: Tally,
    /// The longest text or blob, in bytes.
    pub(crate) longest: u64,
    /// The longest text in characters; measured only if the declared type limits it.
    pub(crate) longest_characters: u64,
    /// The pairs of [`boolean::WORDS`] that occur, as bits; only if a boolean is a candidate.
    pub(crate) word_pairs: u8,
    /// The candidates, in order of preference.
    pub(crate) candidates: Vec<Candidate>,
}

impl ColumnProfile {
    pub(crate) fn new(spec: &ColumnProfileSpec) -> Self {
        let candidate = |&encoder| Candidate {
            encoder,
            converted: 0,
            rounded: 0,
            misfits: Tally::default(),
            reason: None,
        };
        let candidates = spec.candidates.iter().map(candidate).collect();
        Self { candidates, ..Self::default() }
    }

    /// Values that are not NULL.
    pub(crate) fn values(&self) -> u64 {
        self.integers.count + self.reals.count + self.texts.count + self.blobs.count
    }

    /// Adds the value of `row`.
    #[inline]
    pub(crate) fn add(
        &mut self,
        raw: SqliteValue<'_>,
        row: i64,
        spec: &ColumnProfileSpec,
        scratch: &mut BytesMut,
    ) {
        match raw {
            SqliteValue::Null => {
                self.nulls += 1;
                return;
            }
            SqliteValue::Integer(integer) => {
                self.integers.add(row);
                let (min, max) = self.range.get_or_insert((integer, integer));
                *min = (*min).min(integer);
                *max = (*max).max(integer);
                if integer.unsigned_abs() > EXACT_IN_DOUBLE {
                    self.wide_integers.add(row);
                }
            }
            SqliteValue::Real(real) => {
                self.reals.add(row);
                if real.fract() == 0.0 || real.is_infinite() {
                    self.whole_reals += 1;
                }
            }
            SqliteValue::Text(text) => self.add_text(text, row, spec),
            SqliteValue::Blob(blob) => {
                self.blobs.add(row);
                self.longest = self.longest.max(blob.len() as u64);
            }
        }
        if !self.candidates.is_empty() {
            self.try_candidates(raw, row, scratch);
        }
    }

    #[inline]
    fn add_text(&mut self, text: &[u8], row: i64, spec: &ColumnProfileSpec) {
        self.texts.add(row);
        self.longest = self.longest.max(text.len() as u64);
        match check_text(text) {
            Err(Misfit::NulInText) => self.nul_texts.add(row),
            Err(Misfit::InvalidText) => self.invalid_texts.add(row),
            _ => {}
        }
        if spec.characters {
            self.longest_characters = self.longest_characters.max(count_characters(text));
        }
    }

    fn try_candidates(&mut self, raw: SqliteValue<'_>, row: i64, scratch: &mut BytesMut) {
        for (index, candidate) in self.candidates.iter_mut().enumerate() {
            if index > 0 && candidate.misfits.count > 0 {
                continue;
            }
            if candidate.encoder.encoding.is(ColumnType::Boolean)
                && let SqliteValue::Text(text) = raw
                && let Some((pair, _)) = boolean::parse_word(text)
            {
                const { assert!(boolean::WORDS.len() <= 8) };
                self.word_pairs |= 1 << pair;
            }
            scratch.clear();
            match candidate.encoder.encode(raw, scratch) {
                Ok(Fidelity::Exact) => {}
                Ok(Fidelity::Converted) => candidate.converted += 1,
                Ok(Fidelity::Rounded) => {
                    candidate.converted += 1;
                    candidate.rounded += 1;
                }
                Err(misfit) => {
                    candidate.misfits.add(row);
                    candidate.reason.get_or_insert(misfit);
                }
            }
        }
    }

    /// Adds the profile of another part of the scan, or of another column. Only equal candidates
    /// are added up.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.nulls += other.nulls;
        for (mine, theirs) in [
            (&mut self.integers, &other.integers),
            (&mut self.reals, &other.reals),
            (&mut self.texts, &other.texts),
            (&mut self.blobs, &other.blobs),
            (&mut self.wide_integers, &other.wide_integers),
            (&mut self.nul_texts, &other.nul_texts),
            (&mut self.invalid_texts, &other.invalid_texts),
        ] {
            mine.merge(theirs);
        }
        self.range = match (self.range, other.range) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (range, None) | (None, range) => range,
        };
        self.whole_reals += other.whole_reals;
        self.longest = self.longest.max(other.longest);
        self.longest_characters = self.longest_characters.max(other.longest_characters);
        self.word_pairs |= other.word_pairs;
        for (mine, theirs) in self.candidates.iter_mut().zip(&other.candidates) {
            if mine.encoder == theirs.encoder {
                mine.converted += theirs.converted;
                mine.rounded += theirs.rounded;
                mine.misfits.merge(&theirs.misfits);
                mine.reason = mine.reason.or(theirs.reason);
            }
        }
    }
}

/// What to profile of a column.
#[derive(Debug, Clone, Default)]
pub(crate) struct ColumnProfileSpec {
    /// Encoders to try on each value, in order of preference.
    pub(crate) candidates: Vec<ColumnEncoder>,
    /// Measure the longest text in characters.
    pub(crate) characters: bool,
}

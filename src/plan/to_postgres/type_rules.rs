//! The type rules, SQLite to PostgreSQL: the type of each column, and the reason.
//!
//! The user's override comes first, then the declared type, then the profile of the stored values. A
//! rule applies only if every value fits it. Otherwise the column gets the next wider type of
//! `bigint`, `double precision` or `numeric`, `text`, `bytea`, with a reason that has the count and
//! the first rows.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encoding::Encoding;
use crate::codec::fidelity::{Misfit, lost_digits};
use crate::error::plural;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::sqlite::read::profile::column::{Candidate, ColumnProfile, ColumnProfileSpec, Tally};
use crate::sqlite::sql::declared_type::DeclaredType;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The facts about a column before its values are read.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// The meaning of its declared type.
    pub(crate) declared: DeclaredType,
    pub(crate) affinity: Affinity,
    /// It is the rowid's alias.
    pub(crate) identity: bool,
    /// It is in a primary key, a unique constraint or index, or a foreign key.
    pub(crate) in_key: bool,
    pub(crate) indexed: bool,
    /// It has text affinity and is joined by a foreign key to a column of integers.
    pub(crate) joins_integers: bool,
    /// The encoding that the user fixed.
    pub(crate) fixed: Option<Encoding>,
}

/// The type of a column, and the notes about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TypeDecision {
    /// The encoder of its values.
    pub(crate) encoder: ColumnEncoder,
    /// The conversions and their counts.
    pub(crate) conversions: Vec<(Cow<'static, str>, u64)>,
    /// The reason why it is not the type of its declaration.
    pub(crate) reason: Option<String>,
    /// The declaration is a number, a boolean or a date, and the column has a wider type.
    pub(crate) needs_review: bool,
    /// Values that the target cannot hold in this form.
    pub(crate) misfits: Vec<(Misfit, Tally)>,
}

impl TypeDecision {
    fn from_candidate(candidate: &Candidate) -> Self {
        let (encoder, conversions) = (candidate.encoder, conversions_of(candidate));
        Self { encoder, conversions, reason: None, needs_review: false, misfits: Vec::new() }
    }

    pub(crate) fn column_type(&self) -> ColumnType {
        self.encoder.encoding.column_type
    }
}

impl Column {
    /// The encoders that the profile tries on each value, the preferred one first.
    pub(crate) fn profile_spec(&self) -> ColumnProfileSpec {
        let mut characters = false;
        let types = match self.declared {
            _ if self.fixed.is_some() || self.identity => vec![],
            DeclaredType::Named(ColumnType::Timestamp) => {
                vec![ColumnType::Timestamp, ColumnType::TimestampTz]
            }
            DeclaredType::Named(ColumnType::Varchar(_)) => {
                characters = true;
                vec![]
            }
            DeclaredType::Named(ColumnType::Numeric(None))
            | DeclaredType::Untyped
            | DeclaredType::Plain(_) => vec![],
            DeclaredType::Named(column_type) => vec![column_type],
        };
        let mut encodings: Vec<Encoding> = types.into_iter().map(Encoding::from).collect();
        match self.fixed {
            Some(fixed) => encodings.push(fixed),
            None if self.joins_integers => encodings.push(Encoding::INTEGER_TEXT),
            None => {}
        }
        let candidates = encodings.into_iter().map(|encoding| self.encoder(encoding)).collect();
        ColumnProfileSpec { candidates, characters }
    }

    fn encoder(&self, encoding: Encoding) -> ColumnEncoder {
        ColumnEncoder { encoding, affinity_restores_numbers: self.affinity.is_numeric() }
    }

    /// Decides by the profile. With `widen`, a column with invalid text becomes `bytea`.
    pub(crate) fn decide(&self, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        if let Some(encoding) = self.fixed {
            return self.decide_fixed(encoding, profile, widen);
        }
        if self.identity {
            return self.decide_general(ColumnType::BigInt, profile, widen);
        }
        if let Some(candidate) = self.fitting(profile) {
            let mut decision = TypeDecision::from_candidate(candidate);
            if candidate.encoder.encoding == Encoding::INTEGER_TEXT {
                let reason = "all its texts are integers, as the column that its foreign key names";
                decision.reason = Some(reason.to_owned());
                decision.needs_review = true;
            }
            return decision;
        }
        let mut decision = self.decide_general(self.fallback_type(profile), profile, widen);
        self.add_reason(profile, &mut decision);
        decision
    }

    /// The decision for a column that shares the type of the columns that foreign keys join to it.
    pub(crate) fn decide_shared(
        &self,
        column_type: ColumnType,
        profile: &ColumnProfile,
        widen: bool,
    ) -> TypeDecision {
        let mut decision = self.decide_general(column_type, profile, widen);
        let own = self.decide(profile, widen).encoder.encoding;
        if decision.encoder.encoding != own {
            decision.reason =
                Some("has the type of the columns that a foreign key joins to it".to_owned());
            // SQLite enforces no length, so another length of text is no change.
            decision.needs_review = !(own.column_type.is_text() && column_type.is_text());
        }
        decision
    }

    /// The first candidate that every value fits, if the rules allow it for this column.
    fn fitting<'a>(&self, profile: &'a ColumnProfile) -> Option<&'a Candidate> {
        profile.candidates.iter().find(|candidate| {
            let encoding = candidate.encoder.encoding;
            candidate.misfits.count == 0
                && (encoding != Encoding::INTEGER_TEXT || profile.values() > 0)
                // UUIDs in other spellings stay text unless the user asks: the application may
                // compare them with texts in the same spelling.
                && !((self.in_key || encoding.is(ColumnType::Uuid)) && candidate.converted > 0)
                && !(encoding.is(ColumnType::Json) && (self.in_key || self.indexed))
                && !(encoding.is(ColumnType::Boolean) && mixes_words(profile))
        })
    }

    fn decide_fixed(&self, fixed: Encoding, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        let tried = profile.candidates.iter().find(|candidate| candidate.encoder.encoding == fixed);
        let Some(candidate) = tried else {
            return self.decide_general(fixed.column_type, profile, widen);
        };
        if candidate.misfits.count > 0 && widen {
            let mut decision = self.decide_general(self.fallback_type(profile), profile, widen);
            decision.reason = Some(format!(
                "--cast asks for {}, but it does not fit {}{}",
                fixed.column_type,
                format_tally(&candidate.misfits),
                candidate.reason.map_or_else(String::new, |reason| format!(": {reason}")),
            ));
            decision.needs_review = true;
            return decision;
        }
        let misfits = candidate.reason.map(|reason| (reason, candidate.misfits.clone()));
        TypeDecision {
            reason: Some("set by --cast".to_owned()),
            misfits: misfits.into_iter().collect(),
            ..TypeDecision::from_candidate(candidate)
        }
    }

    /// The narrowest general type that holds every value.
    fn fallback_type(&self, profile: &ColumnProfile) -> ColumnType {
        let declared_blob = self.declared == DeclaredType::Plain(Affinity::Blob);
        if profile.values() == 0 {
            self.type_of_empty()
        } else if profile.blobs.count > 0 || declared_blob && profile.texts.count > 0 {
            ColumnType::Bytea
        } else if profile.texts.count > 0 {
            match self.declared {
                DeclaredType::Named(ColumnType::Varchar(length))
                    if profile.integers.count + profile.reals.count == 0
                        && profile.longest_characters <= u64::from(length) =>
                {
                    ColumnType::Varchar(length)
                }
                _ => ColumnType::Text,
            }
        } else if matches!(self.declared, DeclaredType::Named(ColumnType::Numeric(_))) {
            ColumnType::Numeric(None)
        } else if profile.reals.count == 0 {
            ColumnType::BigInt
        } else if profile.wide_integers.count == 0 {
            ColumnType::Double
        } else {
            ColumnType::Numeric(None)
        }
    }

    /// The type of an empty column: the first rule of its declaration.
    fn type_of_empty(&self) -> ColumnType {
        match self.declared {
            DeclaredType::Named(ColumnType::Varchar(length)) => ColumnType::Varchar(length),
            DeclaredType::Named(ColumnType::Numeric(_)) => ColumnType::Numeric(None),
            DeclaredType::Plain(Affinity::Integer) => ColumnType::BigInt,
            DeclaredType::Plain(Affinity::Real) => ColumnType::Double,
            DeclaredType::Plain(Affinity::Blob) => ColumnType::Bytea,
            // This includes indexed JSON.
            _ => ColumnType::Text,
        }
    }

    /// The decision for a general type, with its conversions and misfits.
    fn decide_general(
        &self,
        column_type: ColumnType,
        profile: &ColumnProfile,
        widen: bool,
    ) -> TypeDecision {
        let flawed = [
            (Misfit::NulInText, &profile.nul_texts),
            (Misfit::InvalidText, &profile.invalid_texts),
        ];
        let is_flawed = |tally: &Tally| tally.count > 0 && column_type != ColumnType::Bytea;
        let flawed = flawed.into_iter().filter(|(_, tally)| is_flawed(tally));
        let mut misfits: Vec<(Misfit, Tally)> =
            flawed.map(|(misfit, tally)| (misfit, tally.clone())).collect();
        let (mut column_type, mut reason) = (column_type, None);
        if widen && !misfits.is_empty() {
            let texts = misfits.drain(..);
            let texts = texts.map(|(misfit, tally)| format!("{misfit} ({})", format_tally(&tally)));
            reason = Some(texts.collect::<Vec<_>>().join(", "));
            column_type = ColumnType::Bytea;
        }
        let encoder = self.encoder(column_type.into());
        let returning = |count: u64| if encoder.affinity_restores_numbers { 0 } else { count };
        let numbers = profile.integers.count + profile.reals.count;
        let conversions = match column_type {
            ColumnType::Double => vec![("integers as doubles", returning(profile.integers.count))],
            ColumnType::Numeric(None) => {
                vec![("reals without a fraction as decimals", returning(profile.whole_reals))]
            }
            ColumnType::Text => vec![("numbers as their decimal text", returning(numbers))],
            ColumnType::Bytea => vec![
                ("text as its bytes", profile.texts.count),
                ("numbers as the bytes of their decimal text", numbers),
            ],
            _ => vec![],
        };
        TypeDecision {
            encoder,
            conversions: conversions
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(what, count)| (what.into(), count))
                .collect(),
            needs_review: false,
            reason,
            misfits,
        }
    }

    /// Adds the reason if the column does not have the type of its declaration.
    fn add_reason(&self, profile: &ColumnProfile, decision: &mut TypeDecision) {
        let to = decision.column_type();
        let classes = [
            ("integers", &profile.integers),
            ("reals", &profile.reals),
            ("texts", &profile.texts),
            ("blobs", &profile.blobs),
        ];
        let (is_kept, is_number, strangers): (bool, bool, &[usize]) = match self.declared {
            DeclaredType::Untyped => (true, false, &[]),
            DeclaredType::Plain(Affinity::Integer) => (to == ColumnType::BigInt, true, &[1, 2, 3]),
            DeclaredType::Plain(Affinity::Real) => (to == ColumnType::Double, true, &[2, 3]),
            DeclaredType::Plain(Affinity::Text) => (to == ColumnType::Text, false, &[3]),
            DeclaredType::Plain(Affinity::Blob) => (to == ColumnType::Bytea, false, &[0, 1]),
            DeclaredType::Plain(Affinity::Numeric) => (true, false, &[]),
            DeclaredType::Named(named) => match named {
                ColumnType::Numeric(None) => (to == named, true, &[2, 3]),
                ColumnType::Numeric(_) => (false, to != ColumnType::Numeric(None), &[2, 3]),
                ColumnType::Varchar(_) => (matches!(to, ColumnType::Varchar(_)), false, &[3]),
                ColumnType::Boolean => (false, true, &[1, 2, 3]),
                ColumnType::Date | ColumnType::Time | ColumnType::Timestamp => {
                    // Numbers are not a wider type than a date: their unit is unknown.
                    (false, !matches!(to, ColumnType::BigInt | ColumnType::Double), &[3])
                }
                _ => (false, false, &[0, 1, 3]),
            },
        };
        if is_kept || profile.values() == 0 && decision.reason.is_none() {
            return;
        }
        let mut parts: Vec<String> = decision.reason.take().into_iter().collect();
        for &class in strangers {
            let (word, tally) = classes[class];
            if tally.count > 0 {
                parts.push(format!("{word} ({})", format_tally(tally)));
            }
        }
        if let Some(candidate) = profile.candidates.first() {
            if let Some(reason) = candidate.reason
                && parts.is_empty()
            {
                parts.push(format!("{reason} ({})", format_tally(&candidate.misfits)));
            } else if candidate.misfits.count == 0 && candidate.converted > 0 {
                let key = if self.in_key { "in a key, and " } else { "" };
                let (count, how) = match candidate.rounded {
                    0 => (candidate.converted, "not in canonical form"),
                    rounded => (rounded, "with digits beyond microseconds"),
                };
                parts.push(format!("{key}{} {how}", plural(count, "value", "values")));
            } else if candidate.misfits.count == 0
                && candidate.encoder.encoding.is(ColumnType::Json)
            {
                parts.push("indexed, and json has no equality".to_owned());
            } else if mixes_words(profile) {
                parts.push("different words for true and false".to_owned());
            }
        }
        if let DeclaredType::Named(ColumnType::Varchar(length)) = self.declared
            && profile.longest_characters > u64::from(length)
        {
            parts.push(format!("the longest text has {} characters", profile.longest_characters));
        }
        if matches!(to, ColumnType::BigInt | ColumnType::Double)
            && let DeclaredType::Named(ColumnType::Date | ColumnType::Time | ColumnType::Timestamp) =
                self.declared
        {
            parts = vec!["numbers of an unknown unit; use --cast to make them dates".to_owned()];
        }
        decision.needs_review = is_number;
        decision.reason = Some(parts.join(", "));
    }
}

/// Several pairs of words for true and false, or words and numbers.
fn mixes_words(profile: &ColumnProfile) -> bool {
    profile.word_pairs.count_ones() > 1 || profile.word_pairs > 0 && profile.integers.count > 0
}

/// How wide a type is, for columns that share one.
pub(crate) fn type_rank(column_type: ColumnType) -> u8 {
    match column_type {
        ColumnType::Boolean | ColumnType::SmallInt | ColumnType::Integer | ColumnType::BigInt => 0,
        ColumnType::Real | ColumnType::Double => 1,
        ColumnType::Numeric(_) => 2,
        ColumnType::Bytea => 4,
        _ => 3,
    }
}

/// A tally as text: `3 values, first at 5, 9, 12`.
pub(crate) fn format_tally(tally: &Tally) -> String {
    format!("{}, first at {}", plural(tally.count, "value", "values"), first_rows(tally))
}

/// The first rows of a tally: `5, 9, 12`.
pub(crate) fn first_rows(tally: &Tally) -> String {
    tally.first_rows.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}

fn conversions_of(candidate: &Candidate) -> Vec<(Cow<'static, str>, u64)> {
    let encoding = candidate.encoder.encoding;
    let what: Cow<'static, str> = match encoding.column_type {
        _ if encoding.epoch().is_some() => "Julian days in another form".into(),
        ColumnType::Boolean => "words as true and false".into(),
        ColumnType::Jsonb => "JSON text normalized".into(),
        ColumnType::Bytea => "text and numbers as bytes".into(),
        ColumnType::Text | ColumnType::Json => "numbers in another form".into(),
        number if type_rank(number) < 3 => "numbers in another form".into(),
        other => format!("other spellings of the same {other}").into(),
    };
    let others = candidate.converted - candidate.rounded;
    let lost = lost_digits(encoding.column_type);
    let counts = [(lost.into(), candidate.rounded), (what, others)];
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

//! The type rules, SQLite to PostgreSQL: the type of each column, and the reason.
//!
//! Decided from what the user pinned, the declared type, and the profile of the stored values, in
//! this order. A rule holds only if every value fits it; else the column falls to the next wider
//! type of the ladder `bigint`, `double precision` or `numeric`, `text`, `bytea`, and the reason is
//! told with a count and the first places.

use crate::codec::encode::column_encoder::ColumnEncoder;
use crate::codec::encoding::Encoding;
use crate::codec::fidelity::Misfit;
use crate::schema::column_type::ColumnType;
use crate::schema::expression::Affinity;
use crate::sqlite::read::profile::column::{Candidate, ColumnProfile, ColumnProfileSpec, Tally};
use crate::sqlite::sql::declared_type::DeclaredType;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What is known of a column before its values are.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// Its declared type, read.
    pub(crate) declared: DeclaredType,
    /// Its affinity.
    pub(crate) affinity: Affinity,
    /// It is the rowid's alias.
    pub(crate) identity: bool,
    /// It is in a primary key, a unique constraint or index, or a foreign key.
    pub(crate) in_key: bool,
    /// It is in any index at all.
    pub(crate) indexed: bool,
    /// It has text affinity and is joined by a foreign key to a column of integers.
    pub(crate) joins_integers: bool,
    /// The encoding that the user pinned.
    pub(crate) pinned: Option<Encoding>,
}

/// What a column becomes, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TypeDecision {
    /// The cast of every value.
    pub(crate) cast: ColumnEncoder,
    /// Values that change form: what changes, and how many.
    pub(crate) conversions: Vec<(Cow<'static, str>, u64)>,
    /// Why it is not the type its declaration promises.
    pub(crate) reason: Option<String>,
    /// The declaration was a number, a boolean or a date, and the column became something wider.
    pub(crate) needs_review: bool,
    /// Values that the target cannot hold in this form.
    pub(crate) misfits: Vec<(Misfit, Tally)>,
}

impl Column {
    /// The casts that the profile has to try on each value, in order of preference.
    pub(crate) fn wanted(&self) -> ColumnProfileSpec {
        let mut characters = false;
        let types = match self.declared {
            _ if self.pinned.is_some() || self.identity => vec![],
            DeclaredType::Named(ColumnType::Timestamp) => {
                vec![ColumnType::Timestamp, ColumnType::TimestampTz]
            }
            DeclaredType::Named(ColumnType::Numeric(None)) => vec![],
            DeclaredType::Named(ColumnType::Varchar(_)) => {
                characters = true;
                vec![]
            }
            DeclaredType::Named(column_type) => vec![column_type],
            DeclaredType::Untyped | DeclaredType::Plain(_) => vec![],
        };
        let mut encodings: Vec<Encoding> = types.into_iter().map(Encoding::from).collect();
        match self.pinned {
            Some(pinned) => encodings.push(pinned),
            None if self.joins_integers => encodings.push(Encoding::INTEGER_TEXT),
            None => {}
        }
        let candidates = encodings.into_iter().map(|encoding| self.encoder(encoding)).collect();
        ColumnProfileSpec { candidates, characters }
    }

    fn encoder(&self, encoding: Encoding) -> ColumnEncoder {
        ColumnEncoder { encoding, affinity_restores_numbers: self.affinity.is_numeric() }
    }

    /// Decides from what the scan found. `widen` lets a column with values that no text can hold
    /// become `bytea`.
    pub(crate) fn decide(&self, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        if let Some(encoding) = self.pinned {
            return self.decide_pinned(encoding, profile, widen);
        }
        if self.identity {
            return self.plain(ColumnType::BigInt, profile, widen);
        }
        if let Some(candidate) = self.fitting(profile) {
            return TypeDecision {
                cast: candidate.encoder,
                conversions: conversions_of(candidate),
                reason: None,
                needs_review: false,
                misfits: Vec::new(),
            };
        }
        let mut decision = self.plain(self.fallback_type(profile), profile, widen);
        self.explain(profile, &mut decision);
        decision
    }

    /// The decision for a column that shares the form of the columns it is joined to.
    pub(crate) fn decide_shared(
        &self,
        column_type: ColumnType,
        profile: &ColumnProfile,
        widen: bool,
    ) -> TypeDecision {
        let mut decision = self.plain(column_type, profile, widen);
        if decision.cast.encoding != self.decide(profile, widen).cast.encoding {
            decision.reason =
                Some("shares the type of the columns that a foreign key joins it to".to_owned());
        }
        decision
    }

    /// The first candidate that every value fits, and that may stand in this column.
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

    fn decide_pinned(
        &self,
        pinned: Encoding,
        profile: &ColumnProfile,
        widen: bool,
    ) -> TypeDecision {
        let tried =
            profile.candidates.iter().find(|candidate| candidate.encoder.encoding == pinned);
        let Some(candidate) = tried else { return self.plain(pinned.column_type, profile, widen) };
        if candidate.misfits.count > 0 && widen {
            let mut decision = self.plain(self.fallback_type(profile), profile, widen);
            decision.reason = Some(format!(
                "pinned to {}, but {} {}",
                pinned.column_type,
                told(&candidate.misfits),
                candidate.reason.map_or_else(String::new, |reason| format!("({reason})")),
            ));
            decision.needs_review = true;
            return decision;
        }
        let misfits = candidate.reason.map(|reason| (reason, candidate.misfits.clone()));
        TypeDecision {
            cast: candidate.encoder,
            conversions: conversions_of(candidate),
            reason: Some("pinned".to_owned()),
            needs_review: false,
            misfits: misfits.into_iter().collect(),
        }
    }

    /// The narrowest form of the ladder that holds every value.
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

    /// The type of a column without a single value: the first rule of its declaration.
    fn type_of_empty(&self) -> ColumnType {
        match self.declared {
            DeclaredType::Named(ColumnType::Varchar(length)) => ColumnType::Varchar(length),
            DeclaredType::Named(ColumnType::Numeric(_)) => ColumnType::Numeric(None),
            DeclaredType::Plain(Affinity::Integer) => ColumnType::BigInt,
            DeclaredType::Plain(Affinity::Real) => ColumnType::Double,
            DeclaredType::Plain(Affinity::Blob) => ColumnType::Bytea,
            // Indexed JSON ends here too.
            _ => ColumnType::Text,
        }
    }

    /// A form of the ladder with its conversions and misfits, as the counts give them.
    fn plain(&self, column_type: ColumnType, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        let flawed = [
            (Misfit::NulInText, &profile.nul_texts),
            (Misfit::InvalidText, &profile.invalid_texts),
        ];
        let mut misfits = Vec::new();
        let mut column_type = column_type;
        let mut reason = None;
        if !matches!(column_type, ColumnType::Bytea) {
            misfits = flawed
                .into_iter()
                .filter(|(_, tally)| tally.count > 0)
                .map(|(misfit, tally)| (misfit, tally.clone()))
                .collect();
            if widen && !misfits.is_empty() {
                reason = Some(
                    misfits
                        .drain(..)
                        .map(|(misfit, tally)| format!("{misfit}: {}", told(&tally)))
                        .collect::<Vec<_>>()
                        .join(", "),
                );
                column_type = ColumnType::Bytea;
            }
        }
        let cast = self.encoder(column_type.into());
        let returning = |count: u64| if cast.affinity_restores_numbers { 0 } else { count };
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
            cast,
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

    /// Says why the column is not what its declaration promises, if it is not.
    fn explain(&self, profile: &ColumnProfile, decision: &mut TypeDecision) {
        let to = decision.cast.encoding.column_type;
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
                parts.push(format!("{word}: {}", told(tally)));
            }
        }
        if let Some(candidate) = profile.candidates.first() {
            if let Some(reason) = candidate.reason
                && parts.is_empty()
            {
                parts.push(format!("{reason}: {}", told(&candidate.misfits)));
            } else if candidate.misfits.count == 0 && candidate.converted > 0 {
                let key = if self.in_key { "in a key, and " } else { "" };
                parts.push(format!(
                    "{key}{} of its values are not in canonical form",
                    candidate.converted
                ));
            } else if candidate.misfits.count == 0
                && candidate.encoder.encoding.is(ColumnType::Json)
            {
                parts.push("indexed: json has no equality".to_owned());
            } else if mixes_words(profile) {
                parts.push("several kinds of words for true and false".to_owned());
            }
        }
        if let DeclaredType::Named(ColumnType::Varchar(length)) = self.declared
            && profile.longest_characters > u64::from(length)
        {
            parts.push(format!("its longest text has {} characters", profile.longest_characters));
        }
        if matches!(to, ColumnType::BigInt | ColumnType::Double)
            && let DeclaredType::Named(ColumnType::Date | ColumnType::Time | ColumnType::Timestamp) =
                self.declared
        {
            parts = vec!["numbers, whose unit cannot be known; --cast makes them dates".to_owned()];
        }
        decision.needs_review = is_number;
        decision.reason = Some(parts.join(", "));
    }
}

/// More than one pair of words for true and false, or words beside numbers.
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

/// A tally as a person reads it: `3 (first at 5, 9, 12)`.
pub(crate) fn told(tally: &Tally) -> String {
    let places = tally.first_rows.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    format!("{} (first at {places})", tally.count)
}

fn conversions_of(candidate: &Candidate) -> Vec<(Cow<'static, str>, u64)> {
    let encoding = candidate.encoder.encoding;
    let what: Cow<'static, str> = match encoding.column_type {
        _ if encoding.epoch().is_some() => "numbers rounded to the type's precision".into(),
        ColumnType::Boolean => "words as true and false".into(),
        ColumnType::Jsonb => "JSON text normalized".into(),
        ColumnType::Bytea => "text and numbers as bytes".into(),
        ColumnType::Text | ColumnType::Json => "numbers in another form".into(),
        number if type_rank(number) < 3 => "numbers in another form".into(),
        other => format!("other spellings of the same {other}").into(),
    };
    if candidate.converted > 0 { vec![(what, candidate.converted)] } else { Vec::new() }
}

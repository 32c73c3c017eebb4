//! The cast rules, SQLite to PostgreSQL: which type a column becomes, and why.
//!
//! Decided from what the user pinned, the declared type, and the profile of the stored values, in
//! this order. A rule holds only if every value fits it; else the column falls to the next wider
//! type of the ladder `bigint`, `double precision` or `numeric`, `text`, `bytea`, and the reason is
//! told with a count and the first places.

use crate::codec::encode::column_encoder::{ColumnEncoder, Encoding, Misfit};
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
    /// The form the user pinned.
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
        let forms = match (self.pinned, self.declared) {
            (Some(form), _) => vec![form],
            _ if self.identity => vec![],
            (None, DeclaredType::Boolean) => vec![Encoding::Boolean],
            (None, DeclaredType::Date) => vec![Encoding::Date],
            (None, DeclaredType::Time) => vec![Encoding::Time],
            (None, DeclaredType::Timestamp) => vec![Encoding::Timestamp, Encoding::TimestampTz],
            (None, DeclaredType::Uuid) => vec![Encoding::Uuid],
            (None, DeclaredType::Json) => vec![Encoding::Json],
            (None, DeclaredType::Decimal(Some((precision, scale)))) => {
                vec![Encoding::Decimal { precision, scale }]
            }
            (None, DeclaredType::Varchar(_)) => {
                characters = true;
                vec![]
            }
            _ => vec![],
        };
        let mut candidates: Vec<ColumnEncoder> =
            forms.into_iter().map(|form| self.cast(form)).collect();
        if self.joins_integers && self.pinned.is_none() {
            candidates.push(self.cast(Encoding::BigIntText));
        }
        ColumnProfileSpec { candidates, characters }
    }

    fn cast(&self, form: Encoding) -> ColumnEncoder {
        let affinity_restores_numbers =
            matches!(self.affinity, Affinity::Integer | Affinity::Numeric | Affinity::Real);
        ColumnEncoder { form, affinity_restores_numbers }
    }

    /// Decides from what the scan found. `widen` lets a column with values that no text can hold
    /// become `bytea`.
    pub(crate) fn decide(&self, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        if let Some(form) = self.pinned {
            return self.decide_pinned(form, profile, widen);
        }
        if self.identity {
            return self.plain(Encoding::BigInt, profile, widen);
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
        let form = self.fallback_type(profile);
        let mut decision = self.plain(form, profile, widen);
        self.explain(profile, &mut decision);
        decision
    }

    /// The decision for a column that shares the form of the columns it is joined to.
    pub(crate) fn decide_shared(
        &self,
        form: Encoding,
        profile: &ColumnProfile,
        widen: bool,
    ) -> TypeDecision {
        let mut decision = self.plain(form, profile, widen);
        if decision.cast.form != self.decide(profile, widen).cast.form {
            decision.reason =
                Some("shares the type of the columns that a foreign key joins it to".to_owned());
        }
        decision
    }

    /// The first candidate that every value fits, and that may stand in this column.
    fn fitting<'a>(&self, profile: &'a ColumnProfile) -> Option<&'a Candidate> {
        profile.candidates.iter().find(|candidate| {
            let form = candidate.encoder.form;
            candidate.misfits.count == 0
                && (form != Encoding::BigIntText || profile.values() > 0)
                // A UUID in another spelling is not made one unasked: what the application
                // compares it with may be spelt so, too.
                && !((self.in_key || form == Encoding::Uuid) && candidate.converted > 0)
                && !(form == Encoding::Json && (self.in_key || self.indexed))
                && !(form == Encoding::Boolean && mixes_words(profile))
        })
    }

    fn decide_pinned(&self, form: Encoding, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        let tried = profile.candidates.iter().find(|candidate| candidate.encoder.form == form);
        let Some(candidate) = tried else { return self.plain(form, profile, widen) };
        if candidate.misfits.count > 0 && widen {
            let mut decision = self.plain(self.fallback_type(profile), profile, widen);
            decision.reason = Some(format!(
                "pinned to {}, but {} {}",
                form.column_type(),
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
    fn fallback_type(&self, profile: &ColumnProfile) -> Encoding {
        let declared_blob = self.declared == DeclaredType::Plain(Affinity::Blob);
        if profile.values() == 0 {
            self.of_empty()
        } else if profile.blobs.count > 0 || declared_blob && profile.texts.count > 0 {
            Encoding::Bytea
        } else if profile.texts.count > 0 {
            match self.declared {
                DeclaredType::Varchar(length)
                    if profile.integers.count + profile.reals.count == 0
                        && profile.longest_characters <= u64::from(length) =>
                {
                    Encoding::Varchar(length)
                }
                _ => Encoding::Text,
            }
        } else if matches!(self.declared, DeclaredType::Decimal(_)) {
            Encoding::Numeric
        } else if profile.reals.count == 0 {
            Encoding::BigInt
        } else if profile.wide_integers.count == 0 {
            Encoding::Double
        } else {
            Encoding::Numeric
        }
    }

    /// The type of a column without a single value: the first rule of its declaration.
    fn of_empty(&self) -> Encoding {
        match self.declared {
            DeclaredType::Varchar(length) => Encoding::Varchar(length),
            DeclaredType::Decimal(_) => Encoding::Numeric,
            DeclaredType::Plain(Affinity::Integer) => Encoding::BigInt,
            DeclaredType::Plain(Affinity::Real) => Encoding::Double,
            DeclaredType::Plain(Affinity::Blob) => Encoding::Bytea,
            // Indexed JSON ends here too.
            _ => Encoding::Text,
        }
    }

    /// A form of the ladder with its conversions and misfits, as the counts give them.
    fn plain(&self, form: Encoding, profile: &ColumnProfile, widen: bool) -> TypeDecision {
        let flawed = [
            (Misfit::NulInText, &profile.nul_texts),
            (Misfit::InvalidText, &profile.invalid_texts),
        ];
        let mut misfits = Vec::new();
        let mut form = form;
        let mut reason = None;
        if !matches!(form, Encoding::Bytea) {
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
                form = Encoding::Bytea;
            }
        }
        let cast = self.cast(form);
        let returning = |count: u64| if cast.affinity_restores_numbers { 0 } else { count };
        let numbers = profile.integers.count + profile.reals.count;
        let conversions = match form {
            Encoding::Double => vec![("integers as doubles", returning(profile.integers.count))],
            Encoding::Numeric => {
                vec![("reals without a fraction as decimals", returning(profile.whole_reals))]
            }
            Encoding::Text => vec![("numbers as their decimal text", returning(numbers))],
            Encoding::Bytea => vec![
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
        let form = decision.cast.form;
        let classes = [
            ("integers", &profile.integers),
            ("reals", &profile.reals),
            ("texts", &profile.texts),
            ("blobs", &profile.blobs),
        ];
        let (is_kept, is_number, strangers): (bool, bool, &[usize]) = match self.declared {
            DeclaredType::Untyped => (true, false, &[]),
            DeclaredType::Plain(Affinity::Integer) => (form == Encoding::BigInt, true, &[1, 2, 3]),
            DeclaredType::Plain(Affinity::Real) => (form == Encoding::Double, true, &[2, 3]),
            DeclaredType::Plain(Affinity::Text) => (form == Encoding::Text, false, &[3]),
            DeclaredType::Plain(Affinity::Blob) => (form == Encoding::Bytea, false, &[0, 1]),
            DeclaredType::Plain(Affinity::Numeric) => (true, false, &[]),
            DeclaredType::Decimal(None) => (form == Encoding::Numeric, true, &[2, 3]),
            DeclaredType::Decimal(Some(_)) => (false, form != Encoding::Numeric, &[2, 3]),
            DeclaredType::Varchar(_) => (matches!(form, Encoding::Varchar(_)), false, &[3]),
            DeclaredType::Uuid | DeclaredType::Json => (false, false, &[0, 1, 3]),
            DeclaredType::Boolean => (false, true, &[1, 2, 3]),
            DeclaredType::Date | DeclaredType::Time | DeclaredType::Timestamp => {
                // Numbers are no widening of a date: their unit cannot be known.
                (false, !matches!(form, Encoding::BigInt | Encoding::Double), &[3])
            }
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
            } else if candidate.misfits.count == 0 && candidate.encoder.form == Encoding::Json {
                parts.push("indexed: json has no equality".to_owned());
            } else if mixes_words(profile) {
                parts.push("several kinds of words for true and false".to_owned());
            }
        }
        if let DeclaredType::Varchar(length) = self.declared
            && profile.longest_characters > u64::from(length)
        {
            parts.push(format!("its longest text has {} characters", profile.longest_characters));
        }
        if matches!(form, Encoding::BigInt | Encoding::Double)
            && matches!(
                self.declared,
                DeclaredType::Date | DeclaredType::Time | DeclaredType::Timestamp
            )
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

/// How wide a form is, for columns that have to share one.
pub(crate) fn type_rank(form: Encoding) -> u8 {
    match form {
        Encoding::Boolean
        | Encoding::SmallInt
        | Encoding::Integer
        | Encoding::BigInt
        | Encoding::BigIntText => 0,
        Encoding::Real | Encoding::Double => 1,
        Encoding::Numeric | Encoding::Decimal { .. } => 2,
        Encoding::Bytea => 4,
        _ => 3,
    }
}

/// A tally as a person reads it: `3 (first at 5, 9, 12)`.
pub(crate) fn told(tally: &Tally) -> String {
    let places = tally.first_rows.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    format!("{} (first at {places})", tally.count)
}

fn conversions_of(candidate: &Candidate) -> Vec<(Cow<'static, str>, u64)> {
    let what = match candidate.encoder.form {
        Encoding::Boolean => "words as true and false",
        Encoding::Time | Encoding::Timestamp | Encoding::TimestampTz => "other spellings of a time",
        Encoding::Uuid => "other spellings of a UUID",
        Encoding::Jsonb => "JSON text normalised",
        Encoding::Epoch { .. } => "numbers rounded to the type's precision",
        Encoding::Bytea => "text and numbers as bytes",
        _ => "numbers in another form",
    };
    if candidate.converted > 0 { vec![(what.into(), candidate.converted)] } else { Vec::new() }
}

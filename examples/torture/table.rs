//! The table at the end: faults, outcomes, counts.

use crate::Outcome;
use crate::fault::{Fault, Moment};
use crate::round::Done;
use std::collections::BTreeMap;
use std::io::Write;

/// Counts by fault and outcome.
#[derive(Default)]
pub struct Table {
    counts: BTreeMap<(Fault, String), BTreeMap<Moment, usize>>,
}

impl Table {
    pub fn add(&mut self, fault: Fault, moment: Moment, ended: &Outcome<Done>) {
        let outcome = match ended {
            Ok(done) => done.outcome(),
            Err(_) => "FAILED".to_owned(),
        };
        *self.counts.entry((fault, outcome)).or_default().entry(moment).or_default() += 1;
    }

    /// Writes one line for each fault and outcome.
    pub fn write(&self, out: &mut dyn Write, markdown: bool) -> Outcome<()> {
        if markdown {
            writeln!(out, "| fault | outcome | profile | copy | finish | verify |")?;
            writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
        }
        for ((fault, outcome), times) in &self.counts {
            let times = Moment::ALL.map(|moment| match times.get(&moment) {
                Some(times) => times.to_string(),
                None => String::new(),
            });
            let description = fault.description();
            if markdown {
                writeln!(out, "| {description} | {outcome} | {} |", times.join(" | "))?;
            } else {
                let [profile, copy, finish, verify] = times;
                writeln!(
                    out,
                    "{description:<58} {outcome:<46} {profile:>4} {copy:>4} {finish:>4} {verify:>4}"
                )?;
            }
        }
        Ok(())
    }
}

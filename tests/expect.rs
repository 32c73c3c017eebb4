//! Expectations: the outcome that a fixture must have, one fact per line.
//!
//! `#` starts a comment line. The first lines are about the run:
//!
//! - `run ARGUMENTS`: further arguments of the command.
//! - `exit N`: its exit code; 0 without this line.
//! - `only TABLE CONDITION`: only these rows of the source's table arrive.
//! - `note WORDS`: one note, warning or left-out entry of the report, or one printed line, has all the
//!   words.
//! - `error WORDS`: standard error has all the words.
//!
//! Every other line is one fact about the target's catalog or the report, as `outcome` writes it.
//! The set of facts is closed: a fact that is not expected is as wrong as a missing one. An indented line belongs to the `table` line above it. `…` stands for any text,
//! and a line that starts with `?` may be missing.

use std::fmt::Write;

/// A parsed expectation.
#[derive(Debug, Default)]
pub(crate) struct Expectation {
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
    /// The exit code.
    pub(crate) exit: i32,
    /// Conditions on the source's rows, by table.
    pub(crate) only: Vec<(String, String)>,
    /// Words that must be in one note of the report.
    pub(crate) notes: Vec<Vec<String>>,
    /// Words that must be in standard error.
    pub(crate) errors: Vec<Vec<String>>,
    /// The facts, flattened to one line each.
    facts: Vec<Fact>,
}

#[derive(Debug)]
struct Fact {
    pattern: String,
    optional: bool,
}

impl Expectation {
    /// Reads the text of an expectation.
    pub(crate) fn parse(text: &str) -> Self {
        let mut expectation = Self::default();
        let mut table = String::new();
        let mut columns: Vec<String> = Vec::new();
        for line in text.lines() {
            let indented = line.starts_with(' ');
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "run" => expectation.arguments.extend(words(rest)),
                "exit" => expectation.exit = rest.parse().unwrap(),
                "note" => expectation.notes.push(words(rest)),
                "error" => expectation.errors.push(words(rest)),
                "only" => {
                    let (table, condition) = rest.split_once(' ').unwrap();
                    expectation.only.push((table.to_owned(), condition.to_owned()));
                }
                _ if indented => {
                    if word == "column" {
                        columns.push(first_name(rest).to_owned());
                    }
                    let (optional, line) = optional(line);
                    expectation.facts.push(Fact { pattern: format!("{table}> {line}"), optional });
                }
                _ => {
                    expectation.end_of_table(&table, &mut columns);
                    let (optional, line) = optional(line);
                    table = match line.strip_prefix("table ") {
                        Some(rest) => first_name(rest).to_owned(),
                        None => String::new(),
                    };
                    expectation.facts.push(Fact { pattern: line.to_owned(), optional });
                }
            }
        }
        expectation.end_of_table(&table, &mut columns);
        expectation
    }

    /// The order of a table's columns is a fact of its own.
    fn end_of_table(&mut self, table: &str, columns: &mut Vec<String>) {
        if !columns.is_empty() {
            let pattern = format!("{table}> order {}", columns.join(", "));
            self.facts.push(Fact { pattern, optional: false });
            columns.clear();
        }
    }

    /// Compares with the facts found; the answer lists what is missing and what is too much.
    pub(crate) fn differences(&self, found: &[String]) -> String {
        let mut left: Vec<&String> = found.iter().collect();
        let mut missing: Vec<&Fact> = Vec::new();
        // Exact lines first, so that a pattern cannot take a line that another needs.
        let (patterns, exact): (Vec<&Fact>, Vec<&Fact>) =
            self.facts.iter().partition(|fact| fact.pattern.contains('…'));
        for fact in exact.into_iter().chain(patterns) {
            match left.iter().position(|line| matches(&fact.pattern, line)) {
                Some(place) => {
                    left.remove(place);
                }
                None if fact.optional => {}
                None => missing.push(fact),
            }
        }
        let mut text = String::new();
        for fact in missing {
            writeln!(text, "  expected  {}", fact.pattern).unwrap();
        }
        for line in left {
            writeln!(text, "  but found {line}").unwrap();
        }
        text
    }
}

/// `name` as facts spell it: bare where it is plain, else as a JSON string.
pub(crate) fn spell(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        serde_json::to_string(name).unwrap()
    }
}

/// The pattern fits the whole line; `…` fits any text.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn optional(line: &str) -> (bool, &str) {
    match line.strip_prefix('?') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, line),
    }
}

/// The first name of `text`, with its quotes.
fn first_name(text: &str) -> &str {
    if text.starts_with('"') {
        let mut escaped = false;
        for (place, c) in text.char_indices().skip(1) {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => return &text[..=place],
                _ => escaped = false,
            }
        }
        panic!("a name without its closing quote: {text}");
    }
    text.split(' ').next().unwrap()
}

/// The words of `text`; one that has spaces is written as a JSON string.
fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let word = first_name(rest);
        rest = rest[word.len()..].trim_start();
        found.push(match word.starts_with('"') {
            true => serde_json::from_str(word).unwrap(),
            false => word.to_owned(),
        });
    }
    found
}

#[test]
fn a_pattern_fits_whole_lines_only() {
    assert!(matches("index … (a)", "index t_a unique (a)"));
    assert!(matches("a…", "a"));
    assert!(!matches("a", "ab"));
    assert!(!matches("index … (a)", "index t_a (a, b)"));
}

#[test]
fn a_missing_and_a_surplus_fact_are_both_reported() {
    let expectation = Expectation::parse("table t 1\n    column a bigint\n    ? column b text\n");
    let found = ["table t 1", "t> column a text", "t> order a"].map(str::to_owned);
    let message = expectation.differences(&found);
    assert!(message.contains("expected  t> column a bigint"), "{message}");
    assert!(message.contains("but found t> column a text"), "{message}");
}

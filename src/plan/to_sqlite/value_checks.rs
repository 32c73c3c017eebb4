//! What the server is asked before anything is written: how many rows a table has, between which
//! keys, and how many values a proposal cannot take. One query a table, several tables at a time.

use crate::codec::decode::field_decoder::number_returns;
use crate::codec::tuple::{Field, fields};
use crate::control::cancel::CancelScope;
use crate::error::Result;
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::errors::db_error;
use crate::schema::expression::Affinity;
use crate::schema::names::quote;
use postgres::SimpleQueryMessage;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// One table, and what is asked of it.
pub(crate) struct TableProbe<'a> {
    /// The table's name, for people.
    pub(crate) name: &'a str,
    /// What its rows are selected from.
    pub(crate) from: String,
    /// The column of an integer key by which it is read in ranges.
    pub(crate) key: Option<String>,
    /// The bytes of a row, where rows may be large.
    pub(crate) width: Option<String>,
    /// The proposals for each column.
    pub(crate) columns: &'a [(String, Vec<MappingCandidate>)],
}

/// What the server answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProbeResult {
    /// Rows.
    pub(crate) rows: u64,
    /// The least and the greatest integer key.
    pub(crate) range: Option<(i64, i64)>,
    /// Bytes of the widest row; 0 where it was not asked for.
    pub(crate) widest: u64,
    /// For each column and proposal: values that it cannot take.
    pub(crate) refused: Vec<Vec<u64>>,
    /// For each column: negative zeros.
    pub(crate) zeros: Vec<u64>,
}

/// Asks all questions over connections that `connect` makes.
pub(crate) fn ask(
    questions: &[TableProbe<'_>],
    connect: &(dyn Fn() -> Result<TupleReader> + Sync),
    connections: usize,
    cancel: &CancelScope,
) -> Result<Vec<ProbeResult>> {
    let cancel = cancel.child();
    let places: Mutex<VecDeque<usize>> = Mutex::new((0..questions.len()).collect());
    let answers: Vec<Mutex<ProbeResult>> = questions.iter().map(|_| Mutex::default()).collect();
    let work = || -> Result<()> {
        let next = || places.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut client = None;
        while let Some(place) = next().filter(|_| !cancel.is_cancelled()) {
            let client = match &mut client {
                Some(client) => client,
                none => none.insert(connect()?),
            };
            let answer = questions[place].ask(client, &cancel)?;
            *answers[place].lock().unwrap_or_else(PoisonError::into_inner) = answer;
        }
        Ok(())
    };
    cancel.clone().run_threads(connections.min(questions.len()), "a reader", work)?;
    let answer =
        |answer: Mutex<ProbeResult>| answer.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(answers.into_iter().map(answer).collect())
}

impl TableProbe<'_> {
    fn ask(&self, client: &mut TupleReader, cancel: &CancelScope) -> Result<ProbeResult> {
        let mut list = vec!["count(*)".to_owned()];
        if let Some(key) = &self.key {
            let key = quote(key);
            list.push(format!("min({key})::int8"));
            list.push(format!("max({key})::int8"));
        }
        list.extend(self.width.iter().map(|width| format!("max({width})")));
        let conditions = self.columns.iter().flat_map(|(_, proposals)| {
            proposals.iter().filter_map(|proposal| proposal.unless.as_ref())
        });
        list.extend(conditions.map(|(sql, _)| format!("count(*) FILTER (WHERE {sql})")));
        list.extend(self.zeros().map(|(_, name)| {
            let zero = format!("{name} = 0 AND {name}::text = '-0'");
            format!("count(*) FILTER (WHERE {zero})")
        }));
        let sql = format!("SELECT {} FROM {}", list.join(", "), self.from);
        let what = format!("cannot look at table {}", quote(self.name));
        let messages = client.simple_query(&sql).map_err(db_error(&what))?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let cell = |place: usize| row.and_then(|row| row.get(place));
        let count = |place| cell(place).and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut answer = ProbeResult {
            rows: count(0),
            zeros: vec![0; self.columns.len()],
            ..ProbeResult::default()
        };
        let mut place = 1;
        if self.key.is_some() {
            let key = |place| cell(place).and_then(|text| text.parse().ok());
            answer.range = key(1).zip(key(2));
            place = 3;
        }
        if self.width.is_some() {
            answer.widest = count(place);
            place += 1;
        }
        for (name, proposals) in self.columns {
            let mut refused = Vec::with_capacity(proposals.len());
            for proposal in proposals {
                let mut number = 0;
                if proposal.unless.is_some() {
                    number = count(place);
                    place += 1;
                }
                if let Some(affinity) = proposal.looks
                    && number == 0
                    && proposals.len() > 1
                {
                    let as_real = affinity == Affinity::Real;
                    number = self.changed_numbers(client, name, (proposal, as_real), cancel)?;
                }
                refused.push(number);
            }
            answer.refused.push(refused);
        }
        for (column, _) in self.zeros() {
            answer.zeros[column] = count(place);
            place += 1;
        }
        Ok(answer)
    }

    /// The columns that can hold negative zeros.
    fn zeros(&self) -> impl Iterator<Item = (usize, String)> {
        self.columns
            .iter()
            .enumerate()
            .filter(|(_, (_, proposals))| proposals.iter().any(|proposal| proposal.zeros))
            .map(|(place, (name, _))| (place, quote(name)))
    }

    /// Texts of which SQLite would make a number with another text. The server picks those that
    /// look like numbers; what SQLite makes of them is decided here.
    fn changed_numbers(
        &self,
        client: &mut TupleReader,
        name: &str,
        (proposal, as_real): (&MappingCandidate, bool),
        cancel: &CancelScope,
    ) -> Result<u64> {
        let column = proposal.compared.clone().or(proposal.read.clone());
        let column = column.unwrap_or_else(|| quote(name));
        let select = format!(
            "SELECT {column}::pg_catalog.text FROM {} \
             WHERE {column}::pg_catalog.text ~ '^[ \\t\\n\\v\\f\\r]*[-+]?[.]?[0-9]'",
            self.from
        );
        let mut changed = 0;
        let what = format!("cannot look at table {}", quote(self.name));
        client.tuples(&select, &what, |tuple| {
            cancel.check()?;
            if let Some(Field::Bytes(text)) = fields(tuple).next() {
                changed += u64::from(number_returns(text, as_real) == Some(false));
            }
            Ok(())
        })?;
        Ok(changed)
    }
}

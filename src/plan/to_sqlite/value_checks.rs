//! The checks of values on the server before anything is written: rows, the range of keys, and the
//! values that each candidate cannot hold. One query per table, several tables at a time.

use crate::codec::decode::number_returns;
use crate::codec::tuple::{Field, fields};
use crate::control::cancel::CancelScope;
use crate::control::lock;
use crate::error::Result;
use crate::plan::to_sqlite::column_types::MappingCandidate;
use crate::postgres::connect::driver::Driver as _;
use crate::postgres::copy_out::TupleReader;
use crate::postgres::errors::db_error;
use crate::schema::expression::Affinity;
use crate::schema::names::quote;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The questions about one table.
pub(crate) struct TableProbe<'a> {
    pub(crate) name: &'a str,
    /// The FROM clause of its rows.
    pub(crate) from: String,
    /// The column of an integer key by which it is read in ranges.
    pub(crate) key: Option<String>,
    /// The expression of the bytes of a row, if rows may be large.
    pub(crate) width: Option<String>,
    pub(crate) columns: &'a [(String, Vec<MappingCandidate>)],
}

/// The answers of the server.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProbeResult {
    /// The number of rows.
    pub(crate) rows: u64,
    /// The smallest and the largest integer key.
    pub(crate) range: Option<(i64, i64)>,
    /// The bytes of the widest row; 0 if not asked.
    pub(crate) widest: u64,
    /// For each column and candidate: the number of values that it cannot hold.
    pub(crate) refused: Vec<Vec<u64>>,
    /// For each column: the number of negative zeros.
    pub(crate) zeros: Vec<u64>,
}

/// Asks all questions on connections from `connect`.
pub(crate) fn ask(
    questions: &[TableProbe<'_>],
    connect: &(dyn Fn() -> Result<TupleReader> + Sync),
    connections: usize,
    cancel: &CancelScope,
) -> Result<Vec<ProbeResult>> {
    let cancel = cancel.child();
    let pending: Mutex<VecDeque<usize>> = Mutex::new((0..questions.len()).collect());
    let answers: Vec<Mutex<ProbeResult>> = questions.iter().map(|_| Mutex::default()).collect();
    let work = || -> Result<()> {
        let next = || lock(&pending).pop_front();
        let mut client = None;
        while let Some(index) = next().filter(|_| !cancel.is_cancelled()) {
            let client = match &mut client {
                Some(client) => client,
                none => none.insert(connect()?),
            };
            let answer = questions[index].ask(client, &cancel)?;
            *lock(&answers[index]) = answer;
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
        let conditions = self.columns.iter().flat_map(|(_, candidates)| {
            candidates.iter().filter_map(|candidate| candidate.rejects.as_ref())
        });
        list.extend(conditions.map(|(sql, _)| format!("count(*) FILTER (WHERE {sql})")));
        list.extend(self.zero_columns().map(|(_, name)| {
            let zero = format!("{name} = 0 AND {name}::text = '-0'");
            format!("count(*) FILTER (WHERE {zero})")
        }));
        let sql = format!("SELECT {} FROM {}", list.join(", "), self.from);
        let context = format!("cannot check the values of table {}", quote(self.name));
        let row = client.first_row(&sql).map_err(db_error(&context))?;
        let mut cells = (0..).map(|index| row.as_ref()?.get(index)?.parse::<i64>().ok());
        let mut next = || cells.next().flatten();
        let count = |cell: Option<i64>| cell.map_or(0, i64::unsigned_abs);
        let rows = count(next());
        let range = self.key.as_ref().and_then(|_| next().zip(next()));
        let widest = self.width.as_ref().map_or(0, |_| count(next()));
        let mut answer = ProbeResult {
            rows,
            range,
            widest,
            refused: Vec::with_capacity(self.columns.len()),
            zeros: vec![0; self.columns.len()],
        };
        for (name, candidates) in self.columns {
            let mut refused = Vec::with_capacity(candidates.len());
            for candidate in candidates {
                let mut number = candidate.rejects.as_ref().map_or(0, |_| count(next()));
                if let Some(affinity) = candidate.numeric_text
                    && number == 0
                    && candidates.len() > 1
                {
                    let as_real = affinity == Affinity::Real;
                    number = self.changed_numbers(client, name, (candidate, as_real), cancel)?;
                }
                refused.push(number);
            }
            answer.refused.push(refused);
        }
        for (column, _) in self.zero_columns() {
            answer.zeros[column] = count(next());
        }
        Ok(answer)
    }

    /// The columns that may hold negative zeros.
    fn zero_columns(&self) -> impl Iterator<Item = (usize, String)> {
        self.columns
            .iter()
            .enumerate()
            .filter(|(_, (_, candidates))| {
                candidates.iter().any(|candidate| candidate.negative_zero)
            })
            .map(|(index, (name, _))| (index, quote(name)))
    }

    /// The number of texts that SQLite would turn into a number with another text. The server selects
    /// texts that look like numbers, and the check is done here.
    fn changed_numbers(
        &self,
        client: &mut TupleReader,
        name: &str,
        (candidate, as_real): (&MappingCandidate, bool),
        cancel: &CancelScope,
    ) -> Result<u64> {
        let column = candidate.compared.clone().or(candidate.read.clone());
        let column = column.unwrap_or_else(|| quote(name));
        let select = format!(
            "SELECT {column}::pg_catalog.text FROM {} \
             WHERE {column}::pg_catalog.text ~ '^[ \\t\\n\\v\\f\\r]*[-+]?[.]?[0-9]'",
            self.from
        );
        let mut changed = 0;
        let context = format!("cannot check the values of table {}", quote(self.name));
        client.tuples(&select, &context, |tuple| {
            cancel.check()?;
            if let Some(Field::Bytes(text)) = fields(tuple).next() {
                changed += u64::from(number_returns(text, as_real) == Some(false));
            }
            Ok(())
        })?;
        Ok(changed)
    }
}

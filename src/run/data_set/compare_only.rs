//! A comparison: a data set of `--verify`, opened and waiting for the word to begin.

use crate::control::progress::Phase;
use crate::control::run_control::RunControl;
use crate::error::Result;
use crate::options::{Depth, Options};
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::build::queries;
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::ledger::{Ledger, TABLE};
use crate::report::{DataSetPlan, DataSetReport, RowsLeftOut, TablePlan, TableReport, Verdict};
use crate::run::data_set::to_postgres::RunEnv;
use crate::run::open::OpenDataSet;
use crate::run::service_check::CheckTime;
use crate::schema::LeftOut;
use crate::schema::chunk::Chunk;
use crate::schema::names::qualify;
use crate::sqlite::catalog;
use crate::sqlite::catalog::Catalog;
use crate::sqlite::read::key_ranges;
use crate::sqlite::read::query;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::open::Source;
use crate::verify::match_tables;
use crate::verify::match_tables::match_up;
use crate::verify::schema_check;
use crate::verify::schema_check::Omission;
use crate::verify::table_pair::ComparedTable;
use crate::verify::verdict::{VerdictReport, conversions};
use crate::verify::{Compared, Ends, Settings, compare, under_snapshot};
use postgres::Client;
use serde_json::Value;

/// A data set to compare.
pub(crate) struct Comparison {
    /// The fenced source.
    pub(crate) source: Source,
    /// The target.
    pub(crate) claim: RunLock,
    data_set: String,
    schema: String,
    keeper: Client,
    catalog: Catalog,
    queries: Vec<TableQuery>,
    ranges: Vec<Vec<Chunk>>,
    left_out: Vec<LeftOut>,
    /// What the ledger says of the run that filled the target; null where it says nothing.
    ledger: Value,
    half_loaded: bool,
}

impl Comparison {
    /// Opens both sides and finds out what there is to compare.
    pub(crate) fn prepare(opened: OpenDataSet, depth: Depth, options: &Options) -> Result<Self> {
        let OpenDataSet { data_set, source, claim, mut keeper, schema, .. } = opened;
        let reader = source.connect()?;
        let mut catalog = catalog::read(&reader)?;
        let mut left_out = choose_tables(&mut catalog.schema, options)?;
        let content = |left: &LeftOut| left.rows.is_some_and(|rows| rows > 0);
        left_out.extend(catalog.schema.left_out.drain(..).filter(content));
        let queries = queries(query::encoding(&reader)?, &catalog.schema);
        let entry = Ledger::entry(&mut keeper, &schema, &data_set)?;
        let half_loaded = entry.as_ref().is_some_and(|e| !e.state.is_some_and(|s| s.is_complete()));
        let ranges = match depth {
            Depth::Rows => vec![Vec::new(); queries.len()],
            Depth::Full => {
                let cut = queries.iter().map(|query| key_ranges::cut(&reader, query));
                cut.collect::<Result<_>>()?
            }
        };
        drop(reader);
        Ok(Self {
            source,
            claim,
            data_set,
            schema,
            keeper,
            catalog,
            queries,
            ranges,
            left_out,
            ledger: entry.map(|entry| entry.detail).unwrap_or_default(),
            half_loaded,
        })
    }

    /// Asks the guard.
    pub(crate) fn look(&mut self, options: &Options, moment: CheckTime) -> Result<Vec<String>> {
        let client = (&mut self.keeper, self.claim.connection().user.as_str());
        options.service_check.look(moment, Some(self.source.path()), Some(client))
    }

    /// What will be compared.
    pub(crate) fn summary(&self) -> DataSetPlan {
        let tables = self.catalog.schema.tables.iter().zip(&self.ranges);
        let tables = tables.map(|(table, ranges)| TablePlan {
            name: table.name.clone(),
            target_name: None,
            rows: ranges.iter().map(|range| range.rows).sum(),
            bytes: 0,
            columns: Vec::new(),
            conversions: Vec::new(),
            rows_left_out: Vec::new(),
        });
        DataSetPlan {
            name: self.data_set.clone(),
            target_schema: self.schema.clone(),
            continues: None,
            tables: tables.collect(),
            left_out: self.left_out.clone(),
            drops: Vec::new(),
            notes: vec!["nothing is written: the two sides are only compared".to_owned()],
            casts: Vec::new(),
        }
    }

    /// Compares.
    ///
    /// # Errors
    /// Either side cannot be read. That they differ is no error.
    pub(crate) fn run(&mut self, depth: Depth, env: &RunEnv<'_>) -> Result<DataSetReport> {
        let RunEnv { options, resources, control, .. } = *env;
        let RunControl { cancel, progress, .. } = control;
        progress.enter(Phase::Verify);
        self.look(options, CheckTime::DuringRun)?;
        let ranges = std::mem::take(&mut self.ranges);
        let unwanted: Vec<String> = self.left_out.iter().map(|left| left.name.clone()).collect();
        let reader = self.source.connect()?;
        let inputs = match_tables::Inputs {
            catalog: &self.catalog,
            connection: &reader,
            queries: &self.queries,
            ranges,
            schema: &self.schema,
            casts: &options.casts,
            ledger: &self.ledger,
            unwanted: &unwanted,
        };
        let mut matched = match_up(inputs, &mut self.keeper)?;
        let names: Vec<String> = matched.subjects.iter().map(|s| s.target.clone()).collect();
        let omitted: Vec<Omission> =
            serde_json::from_value(self.ledger["left_out"].clone()).unwrap_or_default();
        if self.half_loaded {
            let what = "the target is half loaded: a copy into it did not come to its end";
            matched.differences.push(what.to_owned());
        }
        let known = !self.ledger.is_null();
        let settings = Settings {
            depth,
            options,
            resources,
            progress: progress.phase(Phase::Verify),
            cancel,
            ledger: known.then(|| (qualify(&self.schema, TABLE), self.data_set.clone())),
        };
        let ends = Ends {
            source: &|| self.source.connect(),
            target: &|lost| Ends::session(&self.claim, lost),
            in_flight: self.claim.in_flight(),
        };
        let (schema, pairs, subjects) = (&self.schema, &matched.pairs, &matched.subjects);
        let retry_policy = env.retry_policy(Phase::Verify);
        let (held, compared) = under_snapshot(&self.claim, &names, &retry_policy, |snapshot| {
            let held = schema_check::of_source(snapshot.client(), schema, pairs, &omitted)?;
            Ok((held, compare(subjects, snapshot, &ends, &settings)?))
        })?;
        matched.differences.extend(held.differences);
        matched.notes.extend(held.notes);
        let judged = VerdictReport::new(&matched.subjects, &compared, matched.differences, depth);
        let mut report = self.report(&matched.subjects, &compared, matched.notes);
        judged.apply_to(&mut report);
        self.look(options, CheckTime::DuringRun)?;
        if options.drop_ledger && known && !judged.differs {
            retry_policy.retry(|_| {
                let mut client: Client = self.claim.session("control", None)?.client;
                Ledger::new(&self.schema, &self.data_set).remove(&mut client)
            })?;
        }
        Ok(report)
    }

    fn report(
        &self,
        subjects: &[ComparedTable],
        compared: &[Compared],
        notes: Vec<String>,
    ) -> DataSetReport {
        let tables = subjects.iter().zip(compared).map(|(subject, table)| {
            let rows_left_out = RowsLeftOut {
                count: subject.rows_left_out,
                reason: "left out by the run that filled the target".to_owned(),
            };
            TableReport {
                name: subject.name.clone(),
                target_name: None,
                rows: table.report.source_rows,
                bytes: 0,
                seconds: 0.0,
                conversions: conversions(subject, table),
                rows_left_out: if subject.leave_out { vec![rows_left_out] } else { Vec::new() },
                verification: None,
            }
        });
        DataSetReport {
            name: self.data_set.clone(),
            target_schema: self.schema.clone(),
            continues: None,
            verdict: Verdict::NotVerified,
            tables: tables.collect(),
            left_out: self.left_out.clone(),
            steps: Vec::new(),
            notes,
            differences: Vec::new(),
            hints: Vec::new(),
        }
    }
}

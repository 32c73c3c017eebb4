//! The comparison of one data set without a copy.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::options::run_options::{Depth, RunOptions};
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::build::queries;
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::ledger::detail::LedgerDetail;
use crate::postgres::ledger::{Ledger, TABLE};
use crate::report::{DataSetPlan, DataSetReport, RowsLeftOut, TablePlan, TableReport, Verdict};
use crate::run::env::RunEnv;
use crate::run::open::to_postgres::OpenDataSet;
use crate::run::service_check;
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
use crate::verify::table_pair::ComparedTable;
use crate::verify::verdict::{VerdictReport, conversions};
use crate::verify::{Compared, Ends, Settings, compare, under_snapshot};
use postgres::Client;

/// A data set to compare.
pub(crate) struct Comparison {
    /// The source, locked against writers.
    pub(crate) source: Source,
    /// The lock of the target schema.
    pub(crate) lock: RunLock,
    data_set: String,
    schema: String,
    control: Client,
    catalog: Catalog,
    queries: Vec<TableQuery>,
    ranges: Vec<Vec<Chunk>>,
    left_out: Vec<LeftOut>,
    /// The ledger's row of the data set, if there is one.
    ledger: Option<LedgerDetail>,
}

impl Comparison {
    /// Finds the tables to compare.
    pub(crate) fn prepare(opened: OpenDataSet, depth: Depth, options: &RunOptions) -> Result<Self> {
        let OpenDataSet { data_set, source, lock, mut control, schema, .. } = opened;
        let reader = source.connect()?;
        let mut catalog = catalog::read(&reader)?;
        let mut left_out = choose_tables(&mut catalog.schema, &options.plan)?;
        let has_rows = |left: &LeftOut| left.rows.is_some_and(|rows| rows > 0);
        left_out.extend(catalog.schema.left_out.drain(..).filter(has_rows));
        let queries = queries(query::encoding(&reader)?, &catalog.schema);
        let entry = Ledger::entry(&mut control, &schema, &data_set)?;
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
            lock,
            data_set,
            schema,
            control,
            catalog,
            queries,
            ranges,
            left_out,
            ledger: entry.map(|entry| entry.detail),
        })
    }

    /// Checks that the service does not use the databases. Returns warnings.
    pub(crate) fn check_service(
        &mut self,
        options: &RunOptions,
        time: CheckTime,
    ) -> Result<Vec<String>> {
        let client = (&mut self.control, self.lock.connection().user.as_str());
        service_check::check(&options.service_check, time, Some(self.source.path()), Some(client))
    }

    /// The tables to compare, as a plan.
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
            notes: vec!["the two sides are only compared; nothing is written".to_owned()],
            casts: Vec::new(),
        }
    }

    /// Compares.
    ///
    /// # Errors
    /// Either side cannot be read. A difference is not an error.
    pub(crate) fn run(&mut self, depth: Depth, env: &RunEnv<'_>) -> Result<DataSetReport> {
        let RunEnv { options, resources, progress, canceller, .. } = *env;
        let stop = canceller.stop();
        progress.enter(Phase::Verify);
        self.check_service(options, CheckTime::DuringRun)?;
        let ranges = std::mem::take(&mut self.ranges);
        let ledger = self.ledger.clone().unwrap_or_default();
        let unwanted: Vec<String> = self.left_out.iter().map(|left| left.name.clone()).collect();
        let reader = self.source.connect()?;
        let inputs = match_tables::Inputs {
            catalog: &self.catalog,
            connection: &reader,
            queries: &self.queries,
            ranges,
            schema: &self.schema,
            casts: &options.plan.casts,
            ledger: &ledger,
            unwanted: &unwanted,
        };
        let mut matched = match_up(inputs, &mut self.control)?;
        let names: Vec<String> = matched.subjects.iter().map(|s| s.target.clone()).collect();
        if self.ledger.as_ref().is_some_and(|ledger| !ledger.is_complete()) {
            let what = "the target is half loaded: a copy into it did not finish";
            matched.differences.push(what.to_owned());
        }
        let has_ledger = self.ledger.is_some();
        let settings = Settings {
            depth,
            options,
            resources,
            progress: progress.phase(Phase::Verify),
            stop,
            ledger: has_ledger.then(|| (qualify(&self.schema, TABLE), self.data_set.clone())),
        };
        let ends = Ends {
            source: &|| self.source.connect(),
            target: &|lost| Ends::session(&self.lock, lost),
        };
        let (schema, pairs, subjects) = (&self.schema, &matched.pairs, &matched.subjects);
        let retry_policy = env.retry_policy(Phase::Verify);
        let (schema_diff, compared) =
            under_snapshot(&self.lock, &names, &retry_policy, |snapshot| {
                let omitted = &ledger.left_out;
                let diff = schema_check::of_source(snapshot.client(), schema, pairs, omitted)?;
                Ok((diff, compare(subjects, snapshot, &ends, &settings)?))
            })?;
        matched.differences.extend(schema_diff.differences);
        matched.notes.extend(schema_diff.notes);
        let verdict = VerdictReport::new(&matched.subjects, &compared, matched.differences, depth);
        let mut report = self.report(&matched.subjects, &compared, matched.notes);
        verdict.apply_to(&mut report);
        self.check_service(options, CheckTime::DuringRun)?;
        if options.drop_ledger && has_ledger && !verdict.differs {
            retry_policy.retry(|_| {
                let mut client: Client = self.lock.session("control", None)?.client;
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
                reason: "skipped by the run that loaded the target".to_owned(),
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

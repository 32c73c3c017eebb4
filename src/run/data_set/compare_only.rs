//! The comparison of one data set without a copy.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::options::run_options::{Depth, RunOptions, Verify};
use crate::plan::table_selection::{BY_REQUEST, choose_tables};
use crate::plan::to_postgres::decisions::queries;
use crate::postgres;
use crate::postgres::catalog::target_objects;
use crate::postgres::ledger::Ledger;
use crate::postgres::ledger::detail::LedgerDetail;
use crate::report::{DataSetPlan, DataSetReport, RowsLeftOut, TablePlan, TableReport};
use crate::run::data_set::sides::Sides;
use crate::run::env::RunEnv;
use crate::run::open::to_postgres::OpenDataSet;
use crate::run::service_check::{self, CheckTime};
use crate::schema::chunk::Chunk;
use crate::schema::{LeftOut, ObjectKind, Table};
use crate::sqlite::catalog;
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::key_ranges;
use crate::sqlite::read::query::{self, TableQuery};
use crate::verify::compared_table::ComparedTable;
use crate::verify::match_tables::{MatchInputs, compared_tables, match_tables};
use crate::verify::schema_check::expected::Expected;
use crate::verify::schema_check::matched;
use crate::verify::verdict::VerdictReport;
use ::postgres::Client;

/// A data set to compare.
pub(crate) struct Comparison {
    pub(crate) opened: OpenDataSet,
    catalog: Catalog,
    queries: Vec<TableQuery>,
    ranges: Vec<Vec<Chunk>>,
    left_out: Vec<LeftOut>,
    depth: Depth,
    /// An earlier run copied and verified it, so it is not copied again.
    already_verified: bool,
    /// The ledger's row of the data set, if there is one.
    ledger: Option<LedgerDetail>,
}

impl Comparison {
    /// Finds the tables to compare.
    pub(crate) fn prepare(
        mut opened: OpenDataSet,
        depth: Depth,
        options: &RunOptions,
    ) -> Result<Self> {
        let reader = opened.source.connect()?;
        let mut catalog = catalog::read(&reader)?;
        let mut left_out = choose_tables(&mut catalog.schema, &options.plan, false)?;
        let has_rows = |left: &LeftOut| left.rows.is_some_and(|rows| rows > 0);
        left_out.extend(catalog.schema.left_out.drain(..).filter(has_rows));
        let entry = Ledger::entry(&mut opened.control, &opened.schema, &opened.data_set)?;
        // The user may name such a table: then its absence is a difference.
        if let Some(entry) = entry.as_ref().filter(|_| options.plan.tables.is_empty()) {
            let existing = target_objects::existing(&mut opened.control, &opened.schema)?;
            let is_excluded = |table: &mut Table| {
                let mut omissions = entry.detail.left_out.iter();
                omissions.any(|it| it.kind == ObjectKind::Table && it.name == table.name)
                    && existing.iter().all(|object| object.name != table.name)
            };
            let excluded = catalog.schema.tables.extract_if(.., is_excluded);
            let reason = format!("{BY_REQUEST} of the run that loaded the target");
            left_out.extend(excluded.map(|table| {
                LeftOut::object(ObjectKind::Table, &table.name, None).because(reason.as_str())
            }));
        }
        let queries = queries(query::encoding(&reader)?, &catalog.schema);
        let ranges = match depth {
            Depth::Rows => vec![Vec::new(); queries.len()],
            Depth::Full => {
                let cut = queries.iter().map(|query| key_ranges::cut(&reader, query));
                cut.collect::<Result<_>>()?
            }
        };
        drop(reader);
        Ok(Self {
            opened,
            catalog,
            queries,
            ranges,
            left_out,
            depth,
            already_verified: !matches!(options.verify, Verify::Only(_)),
            ledger: entry.map(|entry| entry.detail),
        })
    }

    /// Checks that the service does not use the databases. Returns warnings.
    pub(crate) fn check_service(
        &mut self,
        options: &RunOptions,
        time: CheckTime,
    ) -> Result<Vec<String>> {
        let client = (&mut self.opened.control, self.opened.lock.connection().user.as_str());
        service_check::check(
            &options.service_check,
            time,
            Some(self.opened.source.path()),
            Some(client),
        )
    }

    /// The tables to compare, as a plan.
    pub(crate) fn summary(&self) -> DataSetPlan {
        let tables = self.catalog.schema.tables.iter().zip(&self.ranges);
        let tables = tables.map(|(table, ranges)| TablePlan {
            name: table.name.clone(),
            rows: ranges.iter().map(|range| range.rows).sum(),
            ..TablePlan::default()
        });
        DataSetPlan {
            name: self.opened.data_set.clone(),
            target_schema: self.opened.schema.clone(),
            tables: tables.collect(),
            left_out: self.left_out.clone(),
            notes: vec![match self.already_verified {
                true => format!(
                    "{} was already copied and verified: it is only compared again",
                    self.opened.data_set
                ),
                false => "the two sides are only compared; nothing is written".to_owned(),
            }],
            ..DataSetPlan::default()
        }
    }

    /// Compares. Errors: either side cannot be read. A difference is not an error.
    pub(crate) fn run(&mut self, env: &RunEnv<'_>) -> Result<DataSetReport> {
        let (depth, options) = (self.depth, env.options);
        env.control.progress.enter(Phase::Verify);
        self.check_service(options, CheckTime::DuringRun)?;
        let chunks = std::mem::take(&mut self.ranges);
        let ignored: Vec<String> = self.left_out.iter().map(|left| left.name.clone()).collect();
        let ledger = self.ledger.clone().unwrap_or_default();
        let reader = self.opened.source.connect()?;
        let target = postgres::catalog::read_all(&mut self.opened.control, &self.opened.schema)?;
        let pairs = match_tables(&self.catalog, &target, &reader)?;
        let inputs = MatchInputs {
            catalog: &self.catalog,
            queries: &self.queries,
            schema: &self.opened.schema,
            casts: &options.plan.casts,
            ledger: &ledger,
        };
        let mut matched = compared_tables(&pairs, chunks, &inputs)?;
        let omissions = ledger.left_out.clone();
        let expected = Expected { omissions, ..matched::for_postgres(&pairs, ignored) };
        if self.ledger.as_ref().is_some_and(|ledger| !ledger.is_complete()) {
            let what = "the target is half loaded: a copy into it did not finish";
            matched.differences.push(what.to_owned());
        }
        let has_ledger = self.ledger.is_some();
        let sides = Sides {
            source: &self.opened.source,
            lock: &self.opened.lock,
            schema: &self.opened.schema,
            data_set: has_ledger.then_some(self.opened.data_set.as_str()),
        };
        let tables = &matched.tables;
        let (schema_diff, compared) = sides.compare(tables, &expected, depth, env)?;
        matched.differences.extend(schema_diff.differences);
        matched.notes.extend(schema_diff.notes);
        let verdict = VerdictReport::new(tables, &compared, matched.differences, depth);
        let differs = verdict.differs;
        let mut report = self.report(tables, matched.notes);
        verdict.apply_to(&mut report, false);
        self.check_service(options, CheckTime::DuringRun)?;
        if options.drop_ledger && has_ledger && !differs {
            let note = env.retry_policy(Phase::Verify).retry(|_| {
                let mut client: Client = self.opened.lock.session("control", None)?.client;
                Ledger::new(&self.opened.schema, &self.opened.data_set).remove(&mut client)
            })?;
            report.notes.extend(note);
        }
        Ok(report)
    }

    fn report(&self, tables: &[ComparedTable], notes: Vec<String>) -> DataSetReport {
        let tables = tables.iter().map(|table| {
            let rows_left_out = RowsLeftOut {
                count: table.rows_left_out,
                reason: "skipped by the run that loaded the target".to_owned(),
            };
            TableReport {
                name: table.name.clone(),
                rows_left_out: if table.skips_misfits { vec![rows_left_out] } else { Vec::new() },
                ..TableReport::default()
            }
        });
        DataSetReport {
            name: self.opened.data_set.clone(),
            target_schema: self.opened.schema.clone(),
            tables: tables.collect(),
            left_out: self.left_out.clone(),
            notes,
            ..DataSetReport::default()
        }
    }
}

//! A comparison: a data set of `--verify`, opened and waiting for the word to begin.

use crate::control::progress::Phase;
use crate::control::run_control::RunControl;
use crate::error::Result;
use crate::options::{Depth, Options};
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::decisions::queries;
use crate::postgres;
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
use crate::sqlite::catalog::model::Catalog;
use crate::sqlite::read::key_ranges;
use crate::sqlite::read::query;
use crate::sqlite::read::query::TableQuery;
use crate::sqlite::source::open::Source;
use crate::verify::compare::{compare, under_snapshot};
use crate::verify::compared_table::ComparedTable;
use crate::verify::match_tables::{MatchInputs, compared_tables, match_tables};
use crate::verify::roles::SourceSide;
use crate::verify::schema_check::diff::check_postgres;
use crate::verify::schema_check::expected::{Expected, Omission};
use crate::verify::schema_check::matched;
use crate::verify::settings::{Readers, VerifySettings};
use crate::verify::verdict::VerdictReport;
use ::postgres::Client;
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
        let chunks = std::mem::take(&mut self.ranges);
        let ignored: Vec<String> = self.left_out.iter().map(|left| left.name.clone()).collect();
        let reader = self.source.connect()?;
        let target = postgres::catalog::read_all(&mut self.keeper, &self.schema)?;
        let pairs = match_tables(&self.catalog, &target, &reader)?;
        let inputs = MatchInputs {
            catalog: &self.catalog,
            queries: &self.queries,
            schema: &self.schema,
            casts: &options.casts,
            ledger: &self.ledger,
        };
        let mut matched = compared_tables(&pairs, chunks, &inputs)?;
        let omissions: Vec<Omission> =
            serde_json::from_value(self.ledger["left_out"].clone()).unwrap_or_default();
        let expected = Expected { omissions, ..matched::for_postgres(&pairs, ignored) };
        let names: Vec<String> = matched.tables.iter().map(|t| t.postgres.clone()).collect();
        if self.half_loaded {
            let what = "the target is half loaded: a copy into it did not come to its end";
            matched.differences.push(what.to_owned());
        }
        let known = !self.ledger.is_null();
        let settings = VerifySettings {
            depth,
            source: SourceSide::Sqlite,
            options,
            resources,
            progress: progress.phase(Phase::Verify),
            cancel,
            ledger: known.then(|| (qualify(&self.schema, TABLE), self.data_set.clone())),
        };
        let readers = Readers {
            sqlite: &|| self.source.connect(),
            postgres: &|lost| Readers::session(&self.claim, lost),
            in_flight: self.claim.in_flight(),
        };
        let (schema, tables) = (&self.schema, &matched.tables);
        let retry_policy = env.retry_policy(Phase::Verify);
        let (schema_diff, compared) =
            under_snapshot(&self.claim, &names, &retry_policy, |snapshot| {
                let schema_diff = check_postgres(snapshot.client(), schema, &expected)?;
                Ok((schema_diff, compare(tables, snapshot, &readers, &settings)?))
            })?;
        matched.differences.extend(schema_diff.differences);
        matched.notes.extend(schema_diff.notes);
        let verdict = VerdictReport::new(tables, &compared, matched.differences, depth);
        let differs = verdict.differs;
        let mut report = self.report(tables, matched.notes);
        verdict.apply_to(&mut report, false);
        self.look(options, CheckTime::DuringRun)?;
        if options.drop_ledger && known && !differs {
            retry_policy.retry(|_| {
                let mut client: Client = self.claim.session("control", None)?.client;
                Ledger::new(&self.schema, &self.data_set).remove(&mut client)
            })?;
        }
        Ok(report)
    }

    fn report(&self, tables: &[ComparedTable], notes: Vec<String>) -> DataSetReport {
        let tables = tables.iter().map(|table| {
            let rows_left_out = RowsLeftOut {
                count: table.rows_left_out,
                reason: "left out by the run that filled the target".to_owned(),
            };
            TableReport {
                name: table.name.clone(),
                target_name: None,
                rows: 0,
                bytes: 0,
                seconds: 0.0,
                conversions: Vec::new(),
                rows_left_out: if table.skips_misfits { vec![rows_left_out] } else { Vec::new() },
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

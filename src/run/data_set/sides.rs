//! The comparison of a SQLite source with a schema of a PostgreSQL target.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::options::run_options::Depth;
use crate::postgres::lease::run_lock::RunLock;
use crate::postgres::ledger::TABLE;
use crate::run::env::RunEnv;
use crate::schema::names::qualify;
use crate::sqlite::source::open::Source;
use crate::verify::compare::{Compared, compare, under_snapshot};
use crate::verify::compared_table::ComparedTable;
use crate::verify::roles::SourceSide;
use crate::verify::schema_check::diff::check_postgres;
use crate::verify::schema_check::expected::Expected;
use crate::verify::schema_check::table_diff::SchemaDiff;
use crate::verify::settings::Readers;

/// The two sides of a comparison.
pub(crate) struct Sides<'a> {
    pub(crate) source: &'a Source,
    pub(crate) lock: &'a RunLock,
    /// The schema of the target.
    pub(crate) schema: &'a str,
    /// The data set in the ledger of the target, if there is one.
    pub(crate) data_set: Option<&'a str>,
}

impl Sides<'_> {
    /// Compares the schema and the tables under one snapshot of the target. Errors: either side
    /// cannot be read.
    pub(crate) fn compare(
        &self,
        tables: &[ComparedTable],
        expected: &Expected,
        depth: Depth,
        env: &RunEnv<'_>,
    ) -> Result<(SchemaDiff, Vec<Compared>)> {
        let ledger = self.data_set.map(|name| (qualify(self.schema, TABLE), name.to_owned()));
        let settings = env.verify_settings(depth, SourceSide::Sqlite, ledger);
        let readers = Readers {
            sqlite: &|| self.source.connect(),
            postgres: &|lost| Readers::session(self.lock, lost),
            in_flight: self.lock.in_flight(),
        };
        let names: Vec<String> = tables.iter().map(|table| table.postgres.clone()).collect();
        under_snapshot(self.lock, &names, &env.retry_policy(Phase::Verify), |snapshot| {
            let schema_diff = check_postgres(snapshot.client(), self.schema, expected)?;
            Ok((schema_diff, compare(tables, &[], snapshot, &readers, &settings)?))
        })
    }
}

//! The row of the ledger that a load writes about itself.

use crate::control::progress::Phase;
use crate::error::{Error, Result};
use crate::finish::finished::Finished;
use crate::plan::model::Plan;
use crate::plan::strict;
use crate::plan::to_postgres::inputs::CreatedObjects;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::attached::restore::protect;
use crate::postgres::attached::store::{pending, report_lost, restore_kept};
use crate::postgres::errors::db_error;
use crate::postgres::ledger::detail::{FORMAT, LedgerDetail, Omission, State};
use crate::postgres::ledger::{self, Ledger};
use crate::report::DataSetReport;
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::env::RunEnv;
use crate::schema::names::quote;
use postgres::Client;
use serde_json::{Value, json};

impl PostgresLoad {
    /// Creates the tables, or replaces the interrupted run that created them.
    pub(crate) fn begin(&mut self, env: &RunEnv<'_>) -> Result<()> {
        let (ledger, detail) = (self.ledger(), self.detail_in(State::Copying));
        let retry_policy = env.retry_policy(Phase::Copy);
        if self.is_resumed() {
            // Whichever run wrote the row: that run has ended, as this one holds the run lock.
            return self
                .control
                .run(&retry_policy, |client| ledger.set_detail(client, None, &detail, false));
        }
        let internal = |error| Error::failed("internal error: the plan").caused_by(error);
        let text = serde_json::to_string(&self.plan).map_err(internal)?;
        let (plan, run) = (&self.plan, self.lock.run().to_string());
        self.detail.created = self.control.run(&retry_policy, |client| {
            // An earlier attempt may have committed although its answer was lost.
            let entry = Ledger::entry(client, &plan.target_schema, &plan.data_set)?;
            match entry.filter(|entry| entry.detail.run == run) {
                Some(entry) => Ok(entry.detail.created),
                None => create(client, plan, &ledger, &detail, &text),
            }
        })?;
        Ok(())
    }

    /// Records the state in the ledger.
    pub(crate) fn set_state(&mut self, env: &RunEnv<'_>, state: State) -> Result<()> {
        let (ledger, detail, run) = (self.ledger(), self.detail_in(state), self.lock.run());
        self.control.run(&env.retry_policy(env.control.progress.current()), |client| {
            ledger.set_detail(client, Some(run), &detail, false)
        })
    }

    /// Records the last state, and deletes the rows that only a resumed run needs. In the same
    /// transaction it restores what was attached to dropped tables. Not earlier: forced row-level
    /// security would hide rows from the verification. With `--strict` the run fails if something
    /// cannot be restored, and the same command tries it again.
    pub(crate) fn end(
        &mut self,
        env: &RunEnv<'_>,
        state: State,
        report: &mut DataSetReport,
    ) -> Result<()> {
        let (ledger, detail, run) = (self.ledger(), self.detail_in(state), self.lock.run());
        let (plan, what) = (&self.plan, "cannot complete the target");
        let reporter = format!("{run} {}", plan.data_set);
        let (tables, indexes) = (plan.created_names().collect(), plan.index_names());
        let (missing, lost) =
            self.control.run(&env.retry_policy(env.control.progress.current()), |client| {
                let mut transaction = client.transaction().map_err(db_error(what))?;
                let place = (&ledger, plan.target_schema.as_str());
                let missing = restore_kept(&mut transaction, place, &tables, &indexes)?;
                let lost = report_lost(&mut transaction, &ledger, &reporter)?;
                if missing.is_empty() || !env.options.plan.strict {
                    ledger.set_detail(&mut transaction, Some(run), &detail, true)?;
                    transaction.commit().map_err(db_error(what))?;
                }
                Ok((missing, lost))
            })?;
        let parts = || lost.iter().filter(|one| one.table.is_some());
        report.left_out.retain(|old| !parts().any(|new| new.is_same(old)));
        report.left_out.splice(0..0, lost);
        strict::enforce_finished(&env.options.plan, &missing)
    }

    /// Notes what a later comparison needs: the omissions, and the type of each column.
    pub(crate) fn note_outcome(&mut self, finished: &Finished) {
        let tables = &self.plan.tables;
        let left_out = self.plan.left_out.iter().chain(&finished.left_out);
        self.detail.left_out = left_out.map(Omission::from_left_out).collect();
        let rejecting = tables.iter().filter(|table| table.rows_rejected() > 0);
        self.detail.rows_left_out =
            rejecting.map(|table| (table.name.clone(), table.rows_rejected())).collect();
        let types = tables.iter().map(|table| {
            let types = table
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.mapping.encoding.to_string()));
            (table.name.clone(), types.collect())
        });
        self.detail.types = types.collect();
    }

    /// The data set's row of the ledger in `state`.
    fn detail_in(&self, state: State) -> LedgerDetail {
        LedgerDetail {
            format: FORMAT,
            state: Some(state),
            run: self.lock.run().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: json!(self.source.fingerprint()),
            ..self.detail.clone()
        }
    }
}

/// Creates the tables and records them, their chunks and the plan, in one transaction. Returns the
/// created objects.
fn create(
    client: &mut Client,
    plan: &Plan<ToPostgres>,
    ledger: &Ledger,
    detail: &LedgerDetail,
    text: &str,
) -> Result<Value> {
    let what = "cannot create the tables in the target";
    let mut transaction = client.transaction().map_err(db_error(what))?;
    transaction.batch_execute(&ledger.create()).map_err(db_error(what))?;
    for table in &plan.tables {
        let what = format!("cannot create table {}", quote(&table.name));
        transaction.batch_execute(&table.ddl.create()).map_err(db_error(&what))?;
    }
    let (names, mut attached) = (plan.table_names(), pending(&mut transaction, ledger)?);
    attached.retain(|table, _| names.contains(table));
    // The ledger decides what counts as written by migrate: default privileges open it to nobody.
    attached.insert(ledger::TABLE.to_owned(), Vec::new());
    protect(&mut transaction, &plan.target_schema, &attached)?;
    let created = json!(CreatedObjects::from_plan(plan, &mut transaction)?);
    let detail = LedgerDetail { created: created.clone(), ..detail.clone() };
    transaction.batch_execute(&ledger.begin(&detail, text)).map_err(db_error(what))?;
    for table in &plan.tables {
        let chunks = json!(table.read.chunks);
        transaction
            .batch_execute(&ledger.add_table(&table.ddl.qualified(), &table.name, &chunks))
            .map_err(db_error(what))?;
    }
    transaction.commit().map_err(db_error(what))?;
    Ok(created)
}

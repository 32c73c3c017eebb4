//! Dropping what the plan replaces.

use crate::control::progress::Phase;
use crate::error::Result;
use crate::plan::model::Plan;
use crate::plan::to_postgres::inputs::CreatedObjects;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::attached::store::drop_and_keep;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::Ledger;
use crate::postgres::ledger::detail::{LedgerDetail, State};
use crate::run::data_set::to_postgres::PostgresLoad;
use crate::run::env::RunEnv;
use postgres::GenericClient;
use serde_json::json;
use std::collections::HashSet;

impl PostgresLoad {
    /// Drops the existing objects that the plan replaces. The tables and views `created` are created
    /// again.
    pub(crate) fn drop_existing(
        &mut self,
        env: &RunEnv<'_>,
        created: &HashSet<String>,
    ) -> Result<()> {
        let (ledger, plan) = (self.ledger(), &self.plan);
        if plan.objects.dropped.is_empty() && !plan.objects.drop_all {
            return Ok(());
        }
        let what = "cannot drop the existing objects of the target";
        self.control.run(&env.retry_policy(Phase::Copy), |client| {
            let mut transaction = client.transaction().map_err(db_error(what))?;
            let place = (&ledger, plan.target_schema.as_str());
            let objects = (plan.objects.dropped.as_slice(), plan.objects.drop_all);
            drop_and_keep(&mut transaction, place, objects, created)?;
            withdraw_others(&mut transaction, plan)?;
            transaction.commit().map_err(db_error(what))
        })
    }
}

/// Records in the ledger that other data sets lost the objects that this plan drops: their verdicts do
/// not hold any more. A data set without tables leaves the ledger.
fn withdraw_others(client: &mut impl GenericClient, plan: &Plan<ToPostgres>) -> Result<()> {
    let entries = Ledger::entries(client, &plan.target_schema)?.unwrap_or_default();
    for entry in entries.into_iter().filter(|entry| entry.data_set != plan.data_set) {
        let dropped = &plan.objects.dropped;
        let mut created = CreatedObjects::read(&entry.detail.created);
        if !created.remove(dropped) {
            continue;
        }
        let ledger = Ledger::new(&plan.target_schema, &entry.data_set);
        if !created.has_tables() {
            ledger.remove(client)?;
            continue;
        }
        let mut detail =
            LedgerDetail { state: Some(State::Differs), created: json!(created), ..entry.detail };
        detail.types.retain(|table, _| dropped.iter().all(|object| object.name != *table));
        ledger.set_detail(client, None, &detail, false)?;
    }
    Ok(())
}

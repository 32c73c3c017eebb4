//! The record of a loading: what it writes into the ledger beside the chunks.

use crate::control::progress::Phase;
use crate::error::{Error, Result};
use crate::finish::finished::Finished;
use crate::options::Verify;
use crate::plan::model::Plan;
use crate::plan::to_postgres::inputs::CreatedObjects;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::{Ledger, State};
use crate::run::data_set::to_postgres::{PostgresLoad, RunEnv};
use crate::run::resume::MADE;
use crate::schema::names::quote;
use crate::verify::schema_check::expected::Omission;
use postgres::Client;
use serde_json::{Map, Value, json};

impl PostgresLoad {
    /// Creates the tables, or takes the place of the run that did.
    pub(crate) fn begin(&mut self, env: &RunEnv<'_>) -> Result<()> {
        let (ledger, detail) = (self.ledger(), self.detail(State::Copying));
        let retry_policy = env.retry_policy(Phase::Copy);
        if self.is_continued() {
            // Whichever run's row it is: that run is over, as the claim is ours.
            return self
                .keeper
                .run(&retry_policy, |client| ledger.set_detail(client, None, &detail, false));
        }
        let internal = |error| Error::failed("internal error: the plan").caused_by(error);
        let text = serde_json::to_string(&self.plan).map_err(internal)?;
        let (plan, run) = (&self.plan, self.claim.run().to_string());
        let made = self.keeper.run(&retry_policy, |client| {
            // The answer to an earlier attempt's commit may have been lost.
            let entry = Ledger::entry(client, &plan.target_schema, &plan.data_set)?;
            match entry.filter(|entry| entry.detail["run"] == run.as_str()) {
                Some(entry) => Ok(entry.detail[MADE].clone()),
                None => create(client, plan, &ledger, &detail, &text),
            }
        })?;
        self.known.insert(MADE.to_owned(), made);
        Ok(())
    }

    /// Says in the ledger how far the loading is. With the verdict, or where nobody wants one, all
    /// goes that a run would need to go on.
    pub(crate) fn set_state(&mut self, env: &RunEnv<'_>, state: State) -> Result<()> {
        let forget = match state {
            State::Copying | State::Finishing => false,
            State::NotVerified => env.options.verify == Verify::No,
            State::Verified | State::Differs => true,
        };
        let (ledger, detail, run) = (self.ledger(), self.detail(state), self.claim.run());
        self.keeper.run(&env.retry_policy(env.control.progress.current()), |client| {
            ledger.set_detail(client, Some(run), &detail, forget)
        })
    }

    /// Keeps in mind for the ledger what a later comparison has to know of this run: what was
    /// left out, and the type that each column was given.
    pub(crate) fn learn(&mut self, finished: &Finished) {
        let left_out = self.plan.left_out.iter().chain(&finished.left_out);
        let left_out: Vec<Omission> = left_out.map(Omission::from_left_out).collect();
        let mut rows = Map::new();
        let mut types = Map::new();
        for table in &self.plan.tables {
            if table.rows_rejected() > 0 {
                rows.insert(table.name.clone(), table.rows_rejected().into());
            }
            let pins = table
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.mapping.encoding.to_string().into()));
            let pins: Map<String, Value> = pins.collect();
            types.insert(table.name.clone(), pins.into());
        }
        self.known.insert("left_out".to_owned(), json!(left_out));
        self.known.insert("rows_left_out".to_owned(), rows.into());
        self.known.insert("types".to_owned(), types.into());
    }

    /// What the data set's row of the ledger says.
    fn detail(&self, state: State) -> Value {
        let mut detail = self.known.clone();
        detail.insert("state".to_owned(), json!(state));
        detail.insert("run".to_owned(), json!(self.claim.run().to_string()));
        detail.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        detail.insert("source".to_owned(), json!(self.source.fingerprint()));
        Value::Object(detail)
    }
}

/// Creates the tables and records them, their chunks and the plan, in one transaction. Returns what
/// was made.
fn create(
    client: &mut Client,
    plan: &Plan<ToPostgres>,
    ledger: &Ledger,
    detail: &Value,
    text: &str,
) -> Result<Value> {
    let what = "cannot create the tables in the target";
    let mut transaction = client.transaction().map_err(db_error(what))?;
    transaction.batch_execute(&ledger.create()).map_err(db_error(what))?;
    for table in &plan.tables {
        let what = format!("cannot create table {}", quote(&table.name));
        transaction.batch_execute(&table.ddl.create()).map_err(db_error(&what))?;
    }
    let made = json!(CreatedObjects::from_plan(plan, &mut transaction)?);
    let mut detail = detail.clone();
    detail[MADE] = made.clone();
    transaction.batch_execute(&ledger.begin(&detail, text)).map_err(db_error(what))?;
    for table in &plan.tables {
        let chunks = json!(table.read.chunks);
        transaction
            .batch_execute(&ledger.add_table(&table.qualified(), &table.name, &chunks))
            .map_err(db_error(what))?;
    }
    transaction.commit().map_err(db_error(what))?;
    Ok(made)
}

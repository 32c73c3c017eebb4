//! Opening both databases of a data set for a run into SQLite, under a snapshot of the source.

use crate::error::{Error, Result};
use crate::options::location::{DataSet, Location};
use crate::options::run_options::Verify;
use crate::plan::to_sqlite::build::build_plan;
use crate::plan::to_sqlite::inputs::PlanInputs;
use crate::postgres::catalog;
use crate::postgres::connect::connect;
use crate::postgres::connect::session::Session;
use crate::postgres::copy_out::Snapshot;
use crate::postgres::errors::db_error;
use crate::postgres::lease::advisory_lock;
use crate::postgres::ledger::Ledger;
use crate::run::data_set::to_sqlite::SqliteLoad;
use crate::run::env::RunEnv;
use crate::run::open::source_sessions::{Locks, open_reader};
use crate::run::open::{cancel_statements, parse_connection};
use crate::schema::names::{qualify, quote};
use crate::schema::{LeftOut, ObjectKind};
use crate::sqlite::catalog::file_properties::FileProperties;
use crate::sqlite::write::stale_log;
use crate::sqlite::write::target_file::TargetFile;
use postgres::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Opens and plans one data set. Errors: the data set cannot be planned. Nothing was written.
pub(crate) fn open(data_set: &DataSet, env: &RunEnv<'_>) -> Result<SqliteLoad> {
    let RunEnv { options, resources, control: run_control, canceller } = *env;
    let (Location::Postgres(source), Location::Sqlite(file)) = (&data_set.source, &data_set.target)
    else {
        return Err(Error::refused("all data sets of a run must have the same direction"));
    };
    let connection = parse_connection(source, data_set)?;
    let mut target = TargetFile::inspect(file, data_set.file_mode)?;
    let only_compare = matches!(options.verify, Verify::Only(_));
    if !only_compare && !target.is_occupied() {
        stale_log::refuse(&target.path, false, Error::refused)?;
    }
    if !only_compare && !target.objects.is_empty() {
        target.count_rows();
    }
    let Session { client: mut control, schema, .. } = connect(&connection, "control")?;
    let schema = choose_schema(&mut control, options.plan.schema.clone(), schema)?;
    let locks = Locks::new(&schema);
    share_locks(&mut control, &schema, locks)?;
    cancel_statements(canceller, &connection, locks.own);
    let types = types_of_prior_run(&mut control, &schema)?;
    // The first catalog gives the names to lock. The second one is read under the locks.
    let unlocked = catalog::read_all(&mut control, &schema)?;
    let names: Vec<String> =
        unlocked.schema.tables.iter().map(|table| qualify(&schema, &table.name)).collect();
    let mut snapshot = Snapshot::take(control, &names)?;
    let mut catalog = catalog::read(snapshot.client(), &schema)?;
    // The user named the schema, or the other data sets are the other schemas.
    let is_chosen = options.plan.schema.is_some() || options.data_sets.len() > 1;
    let is_other = |left: &mut LeftOut| is_chosen && left.kind == ObjectKind::Schema;
    let others: Vec<LeftOut> = catalog.schema.left_out.extract_if(.., is_other).collect();
    let import_snapshot = snapshot.import_sql();
    let inputs = PlanInputs {
        data_set: &data_set.name,
        is_only: options.data_sets.len() == 1,
        schema: &schema,
        target: &target.path.display().to_string(),
        options: &options.plan,
        resources,
        control: run_control,
        connect: &|| open_reader(&connection, "profile", locks, &import_snapshot),
        existing: if only_compare { &[] } else { &target.objects },
        replaced: if only_compare { &FileProperties::default() } else { &target.properties },
        replace: options.replace,
        types: &types,
    };
    let mut plan = build_plan(&inputs, catalog, &mut snapshot)?;
    plan.notes.extend(others.iter().map(LeftOut::describe));
    Ok(SqliteLoad { connection, snapshot, schema, plan, target, locks, staged: None })
}

/// The schema that the user named, or the first one of the search path.
fn choose_schema(
    client: &mut Client,
    wanted: Option<String>,
    first: Option<String>,
) -> Result<String> {
    let Some(name) = wanted else {
        return first.ok_or_else(|| {
            Error::refused("the source's search path names no existing schema")
                .hint("name the schema with --schema")
        });
    };
    let sql = "SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1";
    let what = "cannot find the schema";
    if client.query_opt(sql, &[&name]).map_err(db_error(what))?.is_none() {
        return Err(Error::refused(format!("the source has no schema {}", quote(&name))));
    }
    Ok(name)
}

/// Takes the locks. Refused if another run loads the schema.
fn share_locks(client: &mut Client, schema: &str, locks: Locks) -> Result<()> {
    let what = "cannot lock the source";
    let taken: bool = client
        .query_one("SELECT pg_catalog.pg_try_advisory_lock_shared($1)", &[&locks.schema])
        .map_err(db_error(what))?
        .get(0);
    if taken {
        return client.batch_execute(&advisory_lock::hold(&[locks.own])).map_err(db_error(what));
    }
    Err(Error::refused(format!(
        "another run of migrate is loading schema {} of the source",
        quote(schema)
    ))
    .hint("wait until that run has ended, or stop it"))
}

/// The SQLite column types that the ledger keeps, if a run from SQLite loaded the schema. Refused
/// if that run did not finish.
fn types_of_prior_run(client: &mut Client, schema: &str) -> Result<Value> {
    let mut types = BTreeMap::new();
    for entry in Ledger::entries(client, schema)?.unwrap_or_default() {
        if !entry.detail.is_complete() {
            let (schema, data_set) = (quote(schema), quote(&entry.data_set));
            return Err(Error::refused(format!("schema {schema} of the source is half loaded"))
                .caused_by(format!("an earlier run of {data_set} did not finish"))
                .hint("finish that run first"));
        }
        types.extend(entry.detail.types);
    }
    Ok(json!(types))
}

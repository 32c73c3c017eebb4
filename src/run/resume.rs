//! What to do with each data set after an earlier run: copy it, only compare it because it was
//! verified already, or resume the interrupted run.

use crate::error::{Error, Result};
use crate::options::run_options::{Depth, Replace, RunOptions, Verify};
use crate::plan::model::Plan;
use crate::plan::table_selection::choose_tables;
use crate::plan::to_postgres::inputs::{CreatedObjects, DropScope};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::catalog::target_objects::schema_id;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::detail::{FORMAT, LedgerDetail, State};
use crate::postgres::ledger::{Ledger, TableRow};
use crate::postgres::sql::ddl::TableDdl;
use crate::run::open::to_postgres::OpenDataSet;
use crate::schema::column_type::ColumnType;
use crate::schema::names::quote;
use crate::sqlite::catalog;
use postgres::Client;
use serde_json::{Value, json};
use std::collections::HashMap;

/// What to do with a data set.
pub(crate) enum Action {
    Compare(Depth),
    /// Plan and copy it.
    Copy(DropScope),
    Resume(Box<ResumableRun>),
}

/// An interrupted run.
pub(crate) struct ResumableRun {
    pub(crate) plan: Plan<ToPostgres>,
    /// The data set's row of the ledger.
    pub(crate) detail: LedgerDetail,
}

/// What an earlier run left of a data set.
enum PriorRun {
    Nothing,
    /// A complete copy without a good verdict on the unchanged source.
    Unverified,
    /// A good verdict on the unchanged source.
    Verified,
    /// An interrupted run that can be resumed.
    Resumable(Box<ResumableRun>),
    /// An interrupted run that cannot be resumed, and the refusal.
    NotResumable(Error),
}

/// A data set in the target, as an earlier run left it.
struct Found {
    prior: PriorRun,
    /// The objects that the earlier run created.
    created: Value,
    schema_id: String,
}

/// The actions for all data sets, in their order. Refused if a run cannot be resumed and
/// `--restart` was not given. Failed on a server error.
pub(crate) fn choose_actions(
    options: &RunOptions,
    opened: &mut [OpenDataSet],
) -> Result<Vec<Action>> {
    if let Verify::Only(depth) = options.verify {
        return Ok(opened.iter().map(|_| Action::Compare(depth)).collect());
    }
    let found = opened.iter_mut().map(|data_set| find(options, data_set));
    let found: Vec<Found> = found.collect::<Result<_>>()?;
    let restart = Restart::new(options, &found);
    let mut actions = Vec::new();
    for found in found {
        let drop = restart.drop_scope(&found);
        actions.push(match found.prior {
            _ if restart.includes(&found) => Action::Copy(drop),
            PriorRun::Verified => Action::Compare(match options.verify {
                Verify::AfterCopy(depth) => depth,
                _ => Depth::Rows,
            }),
            PriorRun::Resumable(run) => Action::Resume(run),
            PriorRun::NotResumable(error) => return Err(error),
            PriorRun::Nothing | PriorRun::Unverified => Action::Copy(drop),
        });
    }
    Ok(actions)
}

/// The data sets that are copied from scratch because the user asked for it.
struct Restart<'a> {
    options: &'a RunOptions,
    /// All data sets: the user asked for a restart, and all are verified.
    everything: bool,
    /// The schemas that `--drop-all` empties.
    emptied: Vec<String>,
}

impl<'a> Restart<'a> {
    fn new(options: &'a RunOptions, found: &[Found]) -> Self {
        let asked = options.restart || options.replace != Replace::Nothing;
        let everything =
            asked && found.iter().all(|found| matches!(found.prior, PriorRun::Verified));
        // A run that was interrupted after it dropped everything is resumed, unless a data set of
        // the same schema cannot be resumed.
        let is_resumed = |schema_id: &str| {
            let mut same = found.iter().filter(|found| found.schema_id == schema_id);
            same.clone().any(|found| matches!(found.prior, PriorRun::Resumable(_)))
                && !same.any(|found| matches!(found.prior, PriorRun::NotResumable(_)))
        };
        let is_kept = |schema_id: &str| {
            found.iter().all(|f| f.schema_id != schema_id || matches!(f.prior, PriorRun::Verified))
                && !everything
        };
        let schema_ids = found.iter().map(|found| found.schema_id.as_str());
        let emptied = schema_ids
            .filter(|schema_id| options.replace == Replace::Everything && !is_kept(schema_id))
            .filter(|schema_id| options.restart || !is_resumed(schema_id));
        Self { options, everything, emptied: emptied.map(str::to_owned).collect() }
    }

    /// Whether the data set is copied from scratch.
    fn includes(&self, found: &Found) -> bool {
        self.everything
            || self.emptied.contains(&found.schema_id)
            || self.options.restart && !matches!(found.prior, PriorRun::Verified)
            || self.options.replace == Replace::Planned
                && matches!(found.prior, PriorRun::NotResumable(_))
    }

    fn drop_scope(&self, found: &Found) -> DropScope {
        if self.emptied.contains(&found.schema_id) {
            return DropScope::Everything;
        }
        let created = serde_json::from_value::<CreatedObjects>(found.created.clone());
        let created = created.ok().filter(|_| self.options.restart);
        match (self.options.replace, created) {
            (Replace::Planned, created) => DropScope::Planned(created.unwrap_or_default()),
            (_, Some(created)) => DropScope::CreatedObjects(created),
            (_, None) => DropScope::Nothing,
        }
    }
}

fn find(options: &RunOptions, opened: &mut OpenDataSet) -> Result<Found> {
    let schema_id = schema_id(&mut opened.control, &opened.schema)?;
    let entry = Ledger::entry(&mut opened.control, &opened.schema, &opened.data_set)?;
    let Some(detail) = entry.map(|entry| entry.detail) else {
        return Ok(Found { prior: PriorRun::Nothing, created: Value::Null, schema_id });
    };
    let created = detail.created.clone();
    Ok(Found { prior: prior_run(options, opened, detail)?, created, schema_id })
}

fn prior_run(
    options: &RunOptions,
    opened: &mut OpenDataSet,
    detail: LedgerDetail,
) -> Result<PriorRun> {
    let same_source = detail.source == json!(opened.source.fingerprint());
    match detail.state {
        Some(State::Verified) if same_source => {
            let has_all = has_all_tables(options, opened, &detail)?;
            return Ok(if has_all { PriorRun::Verified } else { PriorRun::Unverified });
        }
        Some(State::Verified | State::Differs | State::Live) => return Ok(PriorRun::Unverified),
        _ => {}
    }
    let ledger = Ledger::new(&opened.schema, &opened.data_set);
    let text = ledger.plan(&mut opened.control)?;
    if text.is_none() && detail.state == Some(State::NotVerified) {
        return Ok(PriorRun::Unverified);
    }
    if detail.format != FORMAT || detail.version != env!("CARGO_PKG_VERSION") {
        return Ok(PriorRun::NotResumable(other_version(opened, &detail)));
    }
    let tables = ledger.tables(&mut opened.control)?;
    let plan = text.and_then(|text| read_plan(&text, &tables));
    let mut reasons = Vec::new();
    if plan.is_none() {
        reasons.push("the ledger has no readable plan".to_owned());
    }
    if !same_source {
        reasons.push(format!("{} has changed since", opened.source.path().display()));
    }
    let mut flags = options.plan.flags_that_differ(&detail.options);
    // A complete copy that fails only with --strict is accepted without it.
    let is_accepted = detail.state == Some(State::NotVerified) && !options.plan.strict;
    flags.retain(|flag| flag != "--strict" || !is_accepted);
    reasons.extend(flags.into_iter().map(|flag| format!("{flag} has changed")));
    if let Some(plan) = &plan {
        reasons.extend(changed_tables(&mut opened.control, plan, &tables)?);
    }
    match plan {
        Some(plan) if reasons.is_empty() => {
            Ok(PriorRun::Resumable(Box::new(ResumableRun { plan, detail })))
        }
        _ => Ok(PriorRun::NotResumable(not_resumable(opened, reasons))),
    }
}

/// Whether the earlier run created all tables that this run selects.
fn has_all_tables(
    options: &RunOptions,
    opened: &OpenDataSet,
    detail: &LedgerDetail,
) -> Result<bool> {
    let flags = options.plan.flags_that_differ(&detail.options);
    if !flags.iter().any(|flag| ["--tables", "--exclude"].contains(&flag.as_str())) {
        return Ok(true);
    }
    let mut schema = catalog::read(&*opened.source.connect()?)?.schema;
    choose_tables(&mut schema, &options.plan, false)?;
    Ok(CreatedObjects::read(&detail.created).has_all_tables(&schema))
}

/// The plan with its chunks; `None` if it cannot be read.
fn read_plan(text: &str, tables: &HashMap<String, TableRow>) -> Option<Plan<ToPostgres>> {
    let mut plan: Plan<ToPostgres> = serde_json::from_str(text).ok()?;
    for table in &mut plan.tables {
        table.read.chunks = tables.get(&table.name)?.chunks.clone();
    }
    Some(plan)
}

/// Descriptions of the target tables that are not as the run left them.
fn changed_tables(
    client: &mut Client,
    plan: &Plan<ToPostgres>,
    tables: &HashMap<String, TableRow>,
) -> Result<Vec<String>> {
    const SQL: &str = "\
        SELECT c.relname::text, c.oid::bigint, pg_catalog.pg_relation_filenode(c.oid)::bigint, \
          (SELECT pg_catalog.min(t.tgname::text) FROM pg_catalog.pg_trigger t \
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal) \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind = 'r'";
    let rows = client
        .query(SQL, &[&plan.target_schema])
        .map_err(db_error("cannot read the target's catalog"))?;
    let existing: HashMap<&str, (i64, Option<i64>, Option<&str>)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect();
    let mut changes = Vec::new();
    for table in &plan.tables {
        let (name, row) = (quote(&table.ddl.name), tables.get(&table.name));
        match (existing.get(table.ddl.name.as_str()), row) {
            (None, _) => changes.push(format!("table {name} is missing in the target")),
            (Some((oid, ..)), Some(row)) if *oid != row.oid => {
                changes.push(format!("table {name} of the target was dropped and created again"));
            }
            (Some((_, filenode, _)), Some(row)) if *filenode != Some(row.filenode) => {
                changes.push(format!("table {name} of the target was emptied or rewritten"));
            }
            (Some((_, _, Some(trigger))), _) => {
                let trigger = quote(trigger);
                changes.push(format!("table {name} of the target has the trigger {trigger}"));
            }
            _ => {}
        }
    }
    changes.extend(changed_columns(client, plan)?);
    Ok(changes)
}

/// Descriptions of the columns of the target tables that are not as the run created them.
fn changed_columns(client: &mut Client, plan: &Plan<ToPostgres>) -> Result<Vec<String>> {
    const SQL: &str = "\
        SELECT c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod) \
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped \
        ORDER BY a.attnum";
    let rows = client
        .query(SQL, &[&plan.target_schema])
        .map_err(db_error("cannot read the target's catalog"))?;
    let mut existing: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for row in &rows {
        existing.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let mut changes = Vec::new();
    for TableDdl { name: table, columns: planned, .. } in plan.tables.iter().map(|one| &one.ddl) {
        let Some(found) = existing.get(table.as_str()) else { continue };
        let mut change = |column: &str, what: &str| {
            let (column, table) = (quote(column), quote(table));
            changes.push(format!("column {column} of table {table} {what}"));
        };
        for column in planned {
            match found.iter().find(|(name, _)| *name == column.name) {
                None => change(&column.name, "is missing in the target"),
                Some((_, found)) if ColumnType::parse(found) != Some(column.column_type) => {
                    let to = column.column_type;
                    change(&column.name, &format!("is {found} in the target, not {to}"));
                }
                Some(_) => {}
            }
        }
        let extra = |name: &str| planned.iter().all(|column| column.name != name);
        for (name, _) in found.iter().filter(|(name, _)| extra(name)) {
            change(name, "was added in the target");
        }
    }
    Ok(changes)
}

fn not_resumable(opened: &OpenDataSet, reasons: Vec<String>) -> Error {
    let error = Error::refused(format!(
        "schema {} of the target is half loaded, and the run of {} cannot be resumed",
        quote(&opened.schema),
        quote(&opened.data_set)
    ));
    reasons
        .into_iter()
        .fold(error, Error::caused_by)
        .remedy("drop what that run created and start from scratch", &["--restart"])
}

/// The refusal to resume a run of another version of this program.
fn other_version(opened: &OpenDataSet, detail: &LedgerDetail) -> Error {
    let version = if detail.version.is_empty() { "unknown" } else { &detail.version };
    let reason = format!(
        "another version of migrate started it ({version}, ledger format {}); this one is {}, \
         ledger format {FORMAT}",
        detail.format,
        env!("CARGO_PKG_VERSION"),
    );
    not_resumable(opened, vec![reason]).hint("resume it with that version of migrate")
}

//! What an earlier run left in the target, and what comes of each data set for that: it is copied,
//! or only compared because that run did it all, or the run is continued where it was cut off.

use crate::error::{Error, Result};
use crate::options::{Depth, Options, Verify};
use crate::plan::model::Plan;
use crate::plan::to_postgres::inputs::{CreatedObjects, DropScope};
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::catalog::target_objects::schema_id;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::{Entry, Ledger, State, TableRow};
use crate::run::open::OpenDataSet;
use crate::schema::names::quote;
use postgres::Client;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What is done with a data set.
pub(crate) enum Action {
    /// It is only compared, so deep.
    Compare(Depth),
    /// It is planned and copied.
    Copy(DropScope),
    /// The run that was cut off is continued.
    Continue(Box<ResumableRun>),
}

/// A run that did not come to its end.
pub(crate) struct ResumableRun {
    /// Its plan, with the chunks.
    pub(crate) plan: Plan<ToPostgres>,
    /// What the data set's row of the ledger says.
    pub(crate) known: Map<String, Value>,
}

/// Where in [`ResumableRun::known`] it stands when the run began.
pub(crate) const BEGUN: &str = "begun";
/// ... by which flags the plan was made.
pub(crate) const OPTIONS: &str = "options";
/// ... what was made in the target.
pub(crate) const MADE: &str = "made";

/// What the ledger says of one data set.
enum PriorRun {
    Nothing,
    /// A run that came to its end, but for the verdict.
    Other,
    /// A good verdict on the source as it is.
    Done,
    ResumableRun(Box<ResumableRun>),
    /// A run that cannot be continued, and why.
    Stuck(Error),
}

/// The ways of all data sets, in their order, and what to tell about those that are done.
///
/// # Errors
/// Refused: a run cannot be continued, and was not thrown away; or the server's error.
pub(crate) fn ways(
    options: &Options,
    opened: &mut [OpenDataSet],
) -> Result<(Vec<Action>, Vec<String>)> {
    if let Verify::Only(depth) = options.verify {
        return Ok((opened.iter().map(|_| Action::Compare(depth)).collect(), Vec::new()));
    }
    let mut found = Vec::with_capacity(opened.len());
    for one in opened.iter_mut() {
        let place = schema_id(&mut one.keeper, &one.schema)?;
        let entry = Ledger::entry(&mut one.keeper, &one.schema, &one.data_set)?;
        let made = entry.as_ref().map(|entry| entry.detail[MADE].clone()).unwrap_or_default();
        found.push(Found { left: left(options, one, entry)?, made, place });
    }
    let anew = Restart::of(options, &found);
    let (mut ways, mut told) = (Vec::new(), Vec::new());
    for (one, found) in opened.iter().zip(found) {
        let drop = anew.drop(options, &found);
        ways.push(match found.left {
            _ if anew.counts(&found) => Action::Copy(drop),
            PriorRun::Done => {
                told.push(format!(
                    "{} is done: an earlier run copied and verified it, and it is only compared \
                     retry",
                    one.data_set
                ));
                Action::Compare(match options.verify {
                    Verify::AfterCopy(depth) => depth,
                    _ => Depth::Rows,
                })
            }
            PriorRun::ResumableRun(unfinished) => Action::Continue(unfinished),
            PriorRun::Stuck(error) => return Err(error),
            PriorRun::Nothing | PriorRun::Other => Action::Copy(drop),
        });
    }
    Ok((ways, told))
}

struct Found {
    left: PriorRun,
    made: Value,
    place: String,
}

/// What is thrown away and done anew, by the user's word.
struct Restart {
    /// All of it: everything was done already, so it was asked for anew.
    everything: bool,
    /// The schemas that `--drop-all` empties.
    emptied: Vec<String>,
    /// `--restart`: what is not done.
    unfinished: bool,
}

impl Restart {
    fn of(options: &Options, found: &[Found]) -> Self {
        let asked = options.restart || options.drop_all;
        let everything = asked && found.iter().all(|found| matches!(found.left, PriorRun::Done));
        // A run that dropped everything and was cut off afterwards is continued, unless something
        // of it cannot be: then all that shares its schema begins anew.
        let goes_on = |place: &str| {
            let mut here = found.iter().filter(|found| found.place == place);
            here.clone().any(|found| matches!(found.left, PriorRun::ResumableRun(_)))
                && !here.any(|found| matches!(found.left, PriorRun::Stuck(_)))
        };
        let stays_done = |place: &str| {
            found.iter().all(|f| f.place != place || matches!(f.left, PriorRun::Done))
                && !everything
        };
        let places = found.iter().map(|found| found.place.as_str());
        let emptied = places
            .filter(|place| options.drop_all && !stays_done(place))
            .filter(|place| options.restart || !goes_on(place));
        Self {
            everything,
            emptied: emptied.map(str::to_owned).collect(),
            unfinished: options.restart,
        }
    }

    /// Whatever was left of it, it is copied anew.
    fn counts(&self, found: &Found) -> bool {
        self.everything
            || self.emptied.contains(&found.place)
            || self.unfinished && !matches!(found.left, PriorRun::Done)
    }

    fn drop(&self, options: &Options, found: &Found) -> DropScope {
        if self.emptied.contains(&found.place) {
            return DropScope::Everything;
        }
        match serde_json::from_value::<CreatedObjects>(found.made.clone()) {
            Ok(made) if options.restart => DropScope::CreatedObjects(made),
            _ => DropScope::Nothing,
        }
    }
}

fn left(options: &Options, opened: &mut OpenDataSet, entry: Option<Entry>) -> Result<PriorRun> {
    let Some(entry) = entry else { return Ok(PriorRun::Nothing) };
    let same_source = entry.detail["source"] == json!(opened.source.fingerprint());
    match entry.state {
        Some(State::Verified) if same_source => return Ok(PriorRun::Done),
        Some(State::Verified | State::Differs) => return Ok(PriorRun::Other),
        _ => {}
    }
    let ledger = Ledger::new(&opened.schema, &opened.data_set);
    let text = ledger.plan(&mut opened.keeper)?;
    if text.is_none() && entry.state == Some(State::NotVerified) {
        return Ok(PriorRun::Other);
    }
    let tables = ledger.tables(&mut opened.keeper)?;
    let plan = text.and_then(|text| read(&text, &tables));
    let mut changes = Vec::new();
    if entry.detail["version"] != env!("CARGO_PKG_VERSION") {
        changes.push("another version of this program planned it".to_owned());
    } else if plan.is_none() {
        changes.push("the ledger does not hold its plan".to_owned());
    }
    if !same_source {
        changes.push(format!("{} has changed since", opened.source.path().display()));
    }
    for (flag, value) in options.plan_options() {
        if entry.detail[OPTIONS][&flag] != value {
            changes.push(format!("{flag} was another one"));
        }
    }
    if let Some(plan) = &plan {
        changes.extend(other_tables(&mut opened.keeper, plan, &tables)?);
    }
    let (Some(plan), true, Value::Object(known)) = (plan, changes.is_empty(), entry.detail) else {
        return Ok(PriorRun::Stuck(stuck(opened, changes)));
    };
    Ok(PriorRun::ResumableRun(Box::new(ResumableRun { plan, known })))
}

/// The plan with its chunks; `None` where it cannot be read.
fn read(text: &str, tables: &HashMap<String, TableRow>) -> Option<Plan<ToPostgres>> {
    let mut plan: Plan<ToPostgres> = serde_json::from_str(text).ok()?;
    for table in &mut plan.tables {
        table.read.chunks = tables.get(&table.name)?.chunks.clone();
    }
    Some(plan)
}

/// The tables that are not those that the run made, or hold other files.
fn other_tables(
    client: &mut Client,
    plan: &Plan<ToPostgres>,
    tables: &HashMap<String, TableRow>,
) -> Result<Vec<String>> {
    const SQL: &str = "\
        SELECT c.relname::text, c.oid::bigint, pg_catalog.pg_relation_filenode(c.oid)::bigint \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind = 'r'";
    let rows = client
        .query(SQL, &[&plan.target_schema])
        .map_err(db_error("cannot read the target's catalog"))?;
    let there: HashMap<&str, (i64, Option<i64>)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    let mut changes = Vec::new();
    for table in &plan.tables {
        let (name, row) = (quote(&table.ddl.name), tables.get(&table.name));
        match (there.get(table.ddl.name.as_str()), row) {
            (None, _) => changes.push(format!("table {name} of the target is gone")),
            (Some((oid, _)), Some(row)) if *oid != row.oid => {
                changes.push(format!("table {name} of the target is another one"));
            }
            (Some((_, filenode)), Some(row)) if *filenode != Some(row.filenode) => {
                changes.push(format!("table {name} of the target was emptied or rewritten"));
            }
            _ => {}
        }
    }
    Ok(changes)
}

fn stuck(opened: &OpenDataSet, changes: Vec<String>) -> Error {
    let error = Error::refused(format!(
        "schema {} of the target is half loaded, and the run of {} that did it cannot be continued",
        quote(&opened.schema),
        quote(&opened.data_set)
    ));
    changes
        .into_iter()
        .fold(error, Error::caused_by)
        .hint(
            "--restart throws away what that run made and does all anew; a service that was \
             started on the source has changed it, so that there is no other way then",
        )
        .suggest_flag("--restart")
}

//! Pausing: how a run into PostgreSQL ends that the user or the clock stopped. What was in flight
//! is committed, what is there is made durable and counted, and the next run goes on from it.
//!
//! An interruption is a pause at whatever moment it comes, before the first write, too: the same
//! command is right to go on with, and nothing has to be looked after.

use crate::control::cancel::CancelScope;
use crate::error::{Error, Result};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::{Ledger, State};
use postgres::Client;

/// What of a data set is in the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LoadedRows {
    /// Rows that are committed.
    pub(crate) rows: u64,
    /// Rows that there will be.
    pub(crate) of: u64,
    /// Indexes and constraints are there, too.
    pub(crate) finished: bool,
}

/// Whether a run was stopped and `error` is what that brought about, rather than a failure of its
/// own: a thread that left, a statement that was cancelled, or a connection that is not tried
/// for any longer.
pub(crate) fn caused_by_stop(cancel: &CancelScope, error: &Error) -> bool {
    cancel.is_cancelled() && (error.is_interrupted() || error.is_retryable())
}

/// Why a run pauses.
fn why(late: bool) -> &'static str {
    if late { "paused, as the time is up" } else { "paused, as you said" }
}

/// The end of a run that has written nothing.
pub(crate) fn before_writing(late: bool) -> Error {
    Error::paused(format!("{}: nothing was written", why(late)))
}

/// The end of a run that has written: `there` are its data sets.
pub(crate) fn while_writing(late: bool, there: &[LoadedRows]) -> Error {
    let (rows, of) = there.iter().fold((0, 0), |sum, set| (sum.0 + set.rows, sum.1 + set.of));
    let what = if there.iter().all(|set| set.finished) {
        "everything is in the target, and was not compared to the end".to_owned()
    } else if rows == of {
        format!("all {of} rows are in the target; indexes or constraints are missing")
    } else {
        format!("{rows} of {of} rows are in the target")
    };
    Error::paused(format!("{}: {what}", why(late))).hint(
        "continue only while the service stays stopped; once it was started, use --restart, which \
         does all of it retry",
    )
}

/// Makes what is there of a data set durable, and counts it.
pub(crate) fn there(
    client: &mut Client,
    ledger: &Ledger,
    plan: &Plan<ToPostgres>,
) -> Result<LoadedRows> {
    let of = plan.tables.iter().map(|table| table.rows - table.rows_rejected()).sum();
    let state = durable_state(client, ledger)?;
    let rows = match state {
        None => 0,
        Some(State::Copying) => ledger.chunks(client)?.values().flat_map(|t| t.values()).sum(),
        Some(_) => of,
    };
    Ok(LoadedRows { rows, of, finished: state.is_some_and(State::is_complete) })
}

/// The data set's state, after a commit that is waited for until it is on the disk, and with it all
/// commits before it. `None` where the data set was not begun.
fn durable_state(client: &mut Client, ledger: &Ledger) -> Result<Option<State>> {
    let failed = db_error("cannot make sure of what is in the target");
    let mut transaction = client.transaction().map_err(&failed)?;
    transaction.batch_execute("SET LOCAL synchronous_commit = on").map_err(&failed)?;
    let Some(touch) = ledger.touch(&mut transaction)? else { return Ok(None) };
    transaction.commit().map_err(&failed)?;
    Ok(Some(touch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_stop_brought_about_is_a_pause() {
        let (going, stopped) = (CancelScope::default(), CancelScope::default());
        stopped.cancel();
        let cancelled = Error::failed("cannot build an index")
            .caused_by("canceling statement due to user request (SQLSTATE 57014)")
            .interruption();
        let left = Error::interrupted();
        let full = Error::failed("cannot write").caused_by("no space left (SQLSTATE 53100)");
        assert!(caused_by_stop(&stopped, &cancelled) && caused_by_stop(&stopped, &left));
        assert!(!caused_by_stop(&stopped, &full), "a full disk is told all the same");
        assert!(!caused_by_stop(&going, &cancelled), "somebody else cancelled it");
    }

    #[test]
    fn a_pause_says_how_much_is_there() {
        let set = |rows, finished| LoadedRows { rows, of: 10, finished };
        let told = |there: &[LoadedRows]| while_writing(false, there).message().to_owned();
        assert_eq!(
            told(&[set(10, true), set(3, false)]),
            "paused, as you said: 13 of 20 rows are in the target"
        );
        assert_eq!(
            told(&[set(10, false)]),
            "paused, as you said: all 10 rows are in the target; indexes or constraints are missing"
        );
        assert!(told(&[set(10, true)]).contains("was not compared to the end"));
        assert!(before_writing(true).message().ends_with("the time is up: nothing was written"));
    }
}

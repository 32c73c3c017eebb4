//! The pause of a run into PostgreSQL at a stop request or at the deadline. The rows in flight are
//! committed, made durable and counted, and the next run resumes.
//!
//! A stop request is a pause at any time, also before the first write: the same command resumes.

use crate::control::cancel::CancelScope;
use crate::error::{Error, Result, count};
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::errors::db_error;
use crate::postgres::ledger::Ledger;
use crate::postgres::ledger::detail::State;
use postgres::Client;

/// The rows of a data set in the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LoadedRows {
    /// Committed rows.
    pub(crate) rows: u64,
    /// Rows of the whole data set.
    pub(crate) total: u64,
    /// Indexes and constraints are complete, too.
    pub(crate) finished: bool,
}

/// Whether a stop request caused `error`: a thread that ended, a cancelled statement, or a lost
/// connection that is no longer retried.
pub(crate) fn caused_by_stop(cancel: &CancelScope, error: &Error) -> bool {
    cancel.is_cancelled() && (error.is_interrupted() || error.is_retryable())
}

fn reason(late: bool) -> &'static str {
    if late { "paused at the deadline" } else { "paused as requested" }
}

/// The pause of a run that has not written anything.
pub(crate) fn before_writing(late: bool) -> Error {
    Error::paused(format!("{}: nothing was written", reason(late)))
}

/// The pause of a run that has written `loaded`, one entry for each data set.
pub(crate) fn while_writing(late: bool, loaded: &[LoadedRows]) -> Error {
    let (rows, total) =
        loaded.iter().fold((0, 0), |sum, set| (sum.0 + set.rows, sum.1 + set.total));
    let state = if loaded.iter().all(|set| set.finished) {
        "everything is copied, but the comparison is not complete".to_owned()
    } else if rows == total {
        format!("all {} rows are copied; indexes or constraints are missing", count(total))
    } else {
        format!("{} of {} rows are copied", count(rows), count(total))
    };
    Error::paused(format!("{}: {state}", reason(late)))
        .hint("resume only while the service is stopped; after it was started, use --restart")
}

/// Makes the committed rows of a data set durable, and counts them.
pub(crate) fn loaded_rows(
    client: &mut Client,
    ledger: &Ledger,
    plan: &Plan<ToPostgres>,
) -> Result<LoadedRows> {
    let total = plan.tables.iter().map(|table| table.rows - table.rows_rejected()).sum();
    let state = durable_state(client, ledger)?;
    let rows = match state {
        None => 0,
        Some(State::Copying) => ledger.chunks(client)?.values().flat_map(|t| t.values()).sum(),
        Some(_) => total,
    };
    Ok(LoadedRows { rows, total, finished: state.is_some_and(State::is_complete) })
}

/// The state of the data set after a commit that is on disk, as are all commits before it; `None`
/// if the data set was not begun.
fn durable_state(client: &mut Client, ledger: &Ledger) -> Result<Option<State>> {
    let failed = db_error("cannot make the copied rows durable");
    let mut transaction = client.transaction().map_err(&failed)?;
    transaction.batch_execute("SET LOCAL synchronous_commit = on").map_err(&failed)?;
    let Some(state) = ledger.touch(&mut transaction)? else { return Ok(None) };
    transaction.commit().map_err(&failed)?;
    Ok(Some(state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_caused_by_the_stop_is_a_pause() {
        let (going, stopped) = (CancelScope::default(), CancelScope::default());
        stopped.cancel();
        let cancelled = Error::failed("cannot build an index")
            .caused_by("canceling statement due to user request (SQLSTATE 57014)")
            .interruption();
        let ended = Error::interrupted();
        let full = Error::failed("cannot write").caused_by("no space left (SQLSTATE 53100)");
        assert!(caused_by_stop(&stopped, &cancelled) && caused_by_stop(&stopped, &ended));
        assert!(!caused_by_stop(&stopped, &full), "a full disk is reported");
        assert!(!caused_by_stop(&going, &cancelled), "another user cancelled it");
    }

    #[test]
    fn a_pause_reports_the_copied_rows() {
        let set = |rows, finished| LoadedRows { rows, total: 10, finished };
        let message = |loaded: &[LoadedRows]| while_writing(false, loaded).message().to_owned();
        assert_eq!(
            message(&[set(10, true), set(3, false)]),
            "paused as requested: 13 of 20 rows are copied"
        );
        assert_eq!(
            message(&[set(10, false)]),
            "paused as requested: all 10 rows are copied; indexes or constraints are missing"
        );
        assert!(message(&[set(10, true)]).contains("the comparison is not complete"));
        assert!(before_writing(true).message().ends_with("at the deadline: nothing was written"));
    }
}

//! Supervision of a run: it works on its own thread, so that the program can end while the run
//! waits for a server that no longer answers.

use crate::control::POLL_INTERVAL;
use crate::control::run_control::RunControl;
use crate::error::{Error, Result};
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

/// Runs `work` on a thread and waits for its result. If the server no longer answers, the thread is
/// abandoned and ends with the program. Errors: the server does not answer, or no thread can be
/// started. A panic is resumed in the caller.
pub(crate) fn supervised<T: Send + 'static>(
    control: &RunControl,
    work: impl FnOnce(&RunControl) -> T + Send + 'static,
) -> Result<T> {
    let (done, is_done) = channel();
    let shared = control.clone();
    let run = move || {
        // The receiver is gone if the server was silent for too long.
        let _ = done.send(work(&shared));
    };
    let thread = thread::Builder::new().name("run".to_owned()).spawn(run);
    let thread = thread.map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
    loop {
        match is_done.recv_timeout(POLL_INTERVAL) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) if control.is_stalled.load(Ordering::Relaxed) => {
                return Err(Error::failed("the server no longer answers")
                    .caused_by("a connection was silent for longer than --retry-for")
                    .hint("check the server and the network; --retry-for sets how long to wait"));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => {
                    return Err(Error::failed("internal error: the run ended without a result"));
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_run_is_abandoned_if_the_server_is_silent() {
        let control = RunControl::default();
        assert_eq!(supervised(&control, |_| 7).unwrap(), 7);
        let error = supervised(&control, |control| {
            control.is_stalled.store(true, Ordering::Relaxed);
            loop {
                thread::park();
            }
        });
        let error: Error = error.map(|never: ()| never).unwrap_err();
        assert_eq!(error.message(), "the server no longer answers");
    }

    #[test]
    #[should_panic(expected = "a panic of the run")]
    fn a_panic_is_resumed_in_the_caller() {
        let _ = supervised(&RunControl::default(), |_| panic!("a panic of the run"));
    }
}

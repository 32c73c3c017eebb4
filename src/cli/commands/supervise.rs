//! Attending a run: it is at work on a thread of its own, so that the program can end where the
//! run waits for a server that does not answer any more.

use crate::control::POLL_INTERVAL;
use crate::control::run_control::RunControl;
use crate::error::{Error, Result};
use std::panic::resume_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;

/// Does `work` and waits for it, but not for a server's answer that does not come: then the thread
/// is left alone, and ends with the program.
///
/// # Errors
/// The server does not answer, or no thread can be had. A panic goes on in the caller.
pub(crate) fn supervised<T: Send + 'static>(
    control: &RunControl,
    work: impl FnOnce(&RunControl) -> T + Send + 'static,
) -> Result<T> {
    let (done, is_done) = channel();
    let at_work = control.clone();
    let run = move || {
        // Nobody waits any more where it took too long.
        let _ = done.send(work(&at_work));
    };
    let thread = thread::Builder::new().name("run".to_owned()).spawn(run);
    let thread = thread.map_err(|error| Error::failed("cannot start a thread").caused_by(error))?;
    loop {
        match is_done.recv_timeout(POLL_INTERVAL) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) if control.stall.is_set() => {
                return Err(Error::failed("the server does not answer any more")
                    .caused_by("a connection to it stands still, and was waited for long enough")
                    .hint(
                        "look at the server, and at what lies between; --retry-for sets the time",
                    ));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => return Err(Error::failed("internal error: a run without an end")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_waits_for_ever_is_left_alone_once_the_server_is_silent() {
        let control = RunControl::default();
        assert_eq!(supervised(&control, |_| 7).unwrap(), 7);
        let error = supervised(&control, |control| {
            control.stall.set();
            loop {
                thread::park();
            }
        });
        let error: Error = error.map(|never: ()| never).unwrap_err();
        assert_eq!(error.message(), "the server does not answer any more");
    }

    #[test]
    #[should_panic(expected = "as a run may")]
    fn a_panic_is_the_caller_s() {
        let _ = supervised(&RunControl::default(), |_| panic!("as a run may"));
    }
}

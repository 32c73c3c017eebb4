//! Channel operations that end when the copy is cancelled.

use crate::control::POLL_INTERVAL;
use crate::control::cancel::CancelScope;
use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender};

/// Sends `message`, or drops it where the copy is cancelled or the receiver has ended.
pub(crate) fn send<T>(channel: &Sender<T>, mut message: T, cancel: &CancelScope) {
    while !cancel.is_cancelled() {
        match channel.send_timeout(message, POLL_INTERVAL) {
            Err(SendTimeoutError::Timeout(unsent)) => message = unsent,
            Ok(()) | Err(SendTimeoutError::Disconnected(_)) => return,
        }
    }
}

/// The next message; `None` if all senders have ended or the copy is cancelled.
pub(crate) fn receive<T>(channel: &Receiver<T>, cancel: &CancelScope) -> Option<T> {
    while !cancel.is_cancelled() {
        match channel.recv_timeout(POLL_INTERVAL) {
            Ok(message) => return Some(message),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    }
    None
}

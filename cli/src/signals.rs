//! Being asked to stop, or to look at the files again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// Listens for SIGINT and SIGTERM, from when it is made: a signal that comes before anyone waits is
/// not missed, and ends the program no more by itself.
#[derive(Debug)]
pub(crate) struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    pub(crate) fn listen() -> Result<Self, Error> {
        let no_handler = |source| Error::Runtime { source };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(no_handler)?,
            terminate: signal(SignalKind::terminate()).map_err(no_handler)?,
        })
    }

    /// Waits for one; answers which it was.
    pub(crate) async fn asked_to_stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Listens for SIGHUP, which ends the program no more by itself.
pub(crate) fn hangup() -> Result<Signal, Error> {
    signal(SignalKind::hangup()).map_err(|source| Error::Runtime { source })
}

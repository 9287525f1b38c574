//! Being asked to stop, or to look at the files again.

use std::time::Duration;

use midflight_runtime::{Handle, Task};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);

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

/// Waits until it is time to look at files again; answers whether a SIGHUP asks for it.
pub(crate) async fn time_to_look(runtime: &Handle, hangup: &mut Signal) -> bool {
    tokio::select! {
        () = runtime.sleep(LOOK_EVERY) => false,
        asked = hangup.recv() => asked.is_some(),
    }
}

/// A task that looks at files, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch(pub(crate) Task);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

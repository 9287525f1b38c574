//! Being asked to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

/// Waits for SIGINT or SIGTERM; answers which it was.
pub(crate) async fn asked_to_stop() -> Result<&'static str, Error> {
    let no_handler = |source| Error::Runtime { source };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_handler)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_handler)?;
    tokio::select! {
        _ = interrupt.recv() => Ok("SIGINT"),
        _ = terminate.recv() => Ok("SIGTERM"),
    }
}

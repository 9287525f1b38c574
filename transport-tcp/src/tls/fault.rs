//! What ends a session, and what the peer is told of it.

use rustls::{AlertDescription, Error, InvalidMessage, PeerMisbehaved};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: Error,
    /// None when it was the peer that ended the session.
    pub(super) alert: Option<AlertDescription>,
}

impl Fault {
    pub(super) fn new(alert: AlertDescription, error: impl Into<Error>) -> Self {
        Self { error: error.into(), alert: Some(alert) }
    }

    /// Something came that may not come, or not now.
    pub(super) fn unexpected(error: impl Into<Error>) -> Self {
        Self::new(AlertDescription::UnexpectedMessage, error)
    }

    /// The peer has said why it ends the session: that is not answered.
    pub(super) const fn told(alert: AlertDescription) -> Self {
        Self { error: Error::AlertReceived(alert), alert: None }
    }

    /// The fault is on this side.
    pub(super) fn ours(error: Error) -> Self {
        Self::new(AlertDescription::InternalError, error)
    }
}

impl From<InvalidMessage> for Fault {
    /// It cannot be read.
    fn from(error: InvalidMessage) -> Self {
        Self::new(AlertDescription::DecodeError, error)
    }
}

impl From<PeerMisbehaved> for Fault {
    fn from(error: PeerMisbehaved) -> Self {
        Self::unexpected(error)
    }
}

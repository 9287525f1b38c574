//! What a moving process takes along beside its state: what it has set for later, and how it wants to be told
//! of others' ends. What others have tied to it, such as monitors, links and names, stays with the cell that it
//! leaves, which stands in for it.

use midflight_message::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::ReconnectPolicy;
use crate::destination::OwnedAddress;

/// The most bytes of it: what is larger does not move.
pub(crate) const BYTES_MAX: usize = 1 << 20;

/// What a moving process takes along; its form is the node's own affair.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Baggage {
    pub(crate) traps_exits: bool,
    /// What it has said of losses, if anything: whether it accepts them.
    pub(crate) accepts_losses: Option<bool>,
    pub(crate) timers: Vec<Timer>,
}

/// A timer that is not running: its process moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub(crate) number: u64,
    /// What was left of its time when it was stopped, in nanoseconds.
    pub(crate) left: u64,
    /// Whom its message is for.
    pub(crate) to: OwnedAddress,
    /// The message's type, as its own node knows it.
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) bytes: Vec<u8>,
}

/// Baggage that came from another node is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what a process took along does not read: the nodes are of different releases")]
pub struct BadBaggage;

impl Baggage {
    /// As bytes, for the way.
    ///
    /// # Panics
    /// Never: it is plain data.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data encodes")
    }

    /// From the bytes of [`Baggage::to_bytes`].
    ///
    /// # Errors
    /// [`BadBaggage`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadBaggage> {
        match postcard::take_from_bytes(bytes) {
            Ok((baggage, [])) if bytes.len() <= BYTES_MAX => Ok(baggage),
            _ => Err(BadBaggage),
        }
    }

    pub(crate) fn policy(&self) -> Option<ReconnectPolicy> {
        self.accepts_losses.map(|accepts| match accepts {
            true => ReconnectPolicy::Accept,
            false => ReconnectPolicy::Ask,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn baggage_is_read_as_it_was_written_and_nothing_else_is() {
        let timer = Timer {
            number: 7,
            left: 8,
            to: OwnedAddress::Name("x".into()),
            name: "m".into(),
            version: 2,
            fingerprint: Fingerprint([3; 16]),
            bytes: vec![1, 2],
        };
        let baggage =
            Baggage { traps_exits: true, accepts_losses: Some(false), timers: vec![timer] };
        let bytes = baggage.to_bytes();
        assert_eq!(Baggage::from_bytes(&bytes), Ok(baggage));
        assert_eq!(Baggage::from_bytes(&bytes[..bytes.len() - 1]), Err(BadBaggage));
        assert_eq!(Baggage::from_bytes(&[&bytes[..], &[0]].concat()), Err(BadBaggage));
    }
}

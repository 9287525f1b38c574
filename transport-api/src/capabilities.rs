//! What a transport can do, as data, and what somebody cannot do without.

use crate::{OpenError, OpenErrorKind};

/// What an endpoint offers. A request beyond it is refused, never ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The longest message, in bytes. A longer one is refused with
    /// [`SendErrorKind::TooLarge`](crate::SendErrorKind::TooLarge).
    pub max_message: usize,
    /// Whether what is on the wire is unreadable to others.
    pub encrypted: bool,
    /// Whether [`Peer::identity`](crate::Peer::identity) is proven by the transport itself.
    pub peer_identity: bool,
    /// Whether a link can reach another operating-system process.
    pub crosses_processes: bool,
}

/// What somebody cannot do without: an endpoint that offers less is not opened. The default needs
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Needs {
    /// See [`Capabilities::max_message`].
    pub max_message: usize,
    /// See [`Capabilities::encrypted`].
    pub encrypted: bool,
    /// See [`Capabilities::peer_identity`].
    pub peer_identity: bool,
    /// See [`Capabilities::crosses_processes`].
    pub crosses_processes: bool,
}

impl Capabilities {
    /// The least a transport offers: nothing but messages of at most `max_message` bytes.
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        Self { max_message, encrypted: false, peer_identity: false, crosses_processes: false }
    }

    /// Refuses `needs` that are not met. Ask before an endpoint is opened.
    ///
    /// # Errors
    /// [`OpenErrorKind::Unsupported`] with the first of them.
    pub fn meet(&self, needs: &Needs) -> Result<(), OpenError> {
        let unmet = [
            (needs.encrypted && !self.encrypted, "encryption"),
            (needs.peer_identity && !self.peer_identity, "proof of who the peer is"),
            (needs.crosses_processes && !self.crosses_processes, "links to other processes"),
            (needs.max_message > self.max_message, "messages of that length"),
        ];
        match unmet.into_iter().find(|(unmet, _)| *unmet) {
            Some((_, what)) => Err(OpenErrorKind::Unsupported(what).into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_offered_is_refused_by_name() {
        let mut offered = Capabilities::new(1000);
        offered.encrypted = true;
        let met = Needs { max_message: 1000, encrypted: true, ..Needs::default() };
        assert!(offered.meet(&met).is_ok());
        for (needs, what) in [
            (Needs { peer_identity: true, ..met.clone() }, "proof of who the peer is"),
            (Needs { crosses_processes: true, ..met.clone() }, "links to other processes"),
            (Needs { max_message: 1001, ..met }, "messages of that length"),
        ] {
            let refused = offered.meet(&needs).unwrap_err();
            assert_eq!(*refused.kind(), OpenErrorKind::Unsupported(what));
        }
        let bare = Capabilities::new(1000).meet(&Needs { encrypted: true, ..Needs::default() });
        assert_eq!(*bare.unwrap_err().kind(), OpenErrorKind::Unsupported("encryption"));
    }
}

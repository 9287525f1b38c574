//! What has come from a node and lies unhandled on this one, in whatever mailboxes: the receiver's side of the credit
//! that all processes of a node have together (P6).
//!
//! It outlives a link, as what lies in mailboxes does: over the next link the node is told what lies here still.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Signal;
use crate::send::account::fits;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Unhandled(Mutex<Bytes>);

#[derive(Debug, Default)]
struct Bytes {
    lying: u64,
    /// What lay here when the link was made. Until the node has heard of it, it may send a window beyond it.
    before: u64,
    /// Handled, and not credited yet.
    due: u64,
    /// Whether credit can be given.
    linked: bool,
}

impl Unhandled {
    /// A link is made. Answers what lies here from before: the node is told that before anything is credited.
    pub(crate) fn begin(&self) -> u64 {
        let mut bytes = self.0.lock();
        let lying = bytes.lying;
        *bytes = Bytes { lying, before: lying, due: 0, linked: false };
        lying
    }

    /// The node has been told, or its link is lost.
    pub(crate) fn set_linked(&self, linked: bool) {
        self.0.lock().linked = linked;
    }

    /// Whether more lies here than may: then no link is made.
    pub(crate) fn is_over(&self, window: u64) -> bool {
        self.0.lock().lying > window
    }

    /// So much has come. Answers false when the node had no credit for it: it has the same rule.
    pub(crate) fn came(&self, more: u64, window: u64) -> bool {
        let mut bytes = self.0.lock();
        let fits = fits(bytes.lying, more, window.saturating_add(bytes.before));
        bytes.lying += more;
        fits
    }

    /// So much of what came has been handled, or goes nowhere. Answers what is to be credited now, where there
    /// is a link: never so little that it is the most of what is said, and so early that the node never waits
    /// for it alone.
    pub(crate) fn handled(&self, less: u64, window: u64) -> Option<u64> {
        let mut bytes = self.0.lock();
        bytes.lying = bytes.lying.saturating_sub(less);
        bytes.due += less;
        let is_due = bytes.linked && bytes.due > 0 && bytes.due >= window / 8;
        is_due.then(|| std::mem::take(&mut bytes.due))
    }
}

impl Inner {
    /// Messages from a node with so many bytes have been handled. Answers the peer, if there is a link.
    pub(crate) fn has_handled(self: &Arc<Self>, number: u32, bytes: u64) -> Option<Arc<Peer>> {
        let unhandled = self.numbers.unhandled(number)?;
        let peer = self.peer_numbered(number);
        let due = unhandled.handled(bytes, self.limits.peer_bytes);
        if let (Some(bytes), Some(peer)) = (due, &peer) {
            self.signal(peer, &Signal::Handled { bytes });
        }
        peer
    }
}

/// Bytes handled, by the number of their sender's node.
#[derive(Debug, Default)]
pub(crate) struct HandledBytes(Vec<(u32, u64)>);

impl HandledBytes {
    pub(crate) fn add(&mut self, node: u32, bytes: u32) {
        match self.0.iter_mut().find(|(other, _)| *other == node) {
            Some((_, sum)) => *sum += u64::from(bytes),
            None => self.0.push((node, bytes.into())),
        }
    }

    /// Books them, in the order of the nodes' numbers, and lets `tell` know the peers.
    pub(crate) fn book(&mut self, inner: &Arc<Inner>, tell: impl Fn(&Arc<Peer>)) {
        self.0.sort_unstable();
        for (node, bytes) in self.0.drain(..) {
            inner.has_handled(node, bytes).iter().for_each(&tell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 800;

    #[test]
    fn credit_is_due_before_the_node_waits_for_it() {
        let unhandled = Unhandled::default();
        unhandled.set_linked(true);
        assert!(unhandled.came(700, WINDOW) && unhandled.came(100, WINDOW));
        assert_eq!(unhandled.handled(99, WINDOW), None);
        assert_eq!(unhandled.handled(1, WINDOW), Some(100));
        assert!(unhandled.came(100, WINDOW) && !unhandled.came(1, WINDOW));
        assert_eq!(unhandled.handled(801, WINDOW), Some(801));
        assert!(unhandled.came(10_000, WINDOW), "alone, it may be larger than all");
    }

    #[test]
    fn what_lies_here_from_before_counts_over_the_next_link() {
        let unhandled = Unhandled::default();
        assert!(unhandled.came(700, WINDOW));
        assert_eq!(unhandled.handled(200, WINDOW), None, "nobody can be told");
        assert_eq!(unhandled.begin(), 500);
        unhandled.set_linked(true);
        assert!(unhandled.came(800, WINDOW), "it may not have heard of it");
        assert!(!unhandled.came(1, WINDOW) && unhandled.is_over(WINDOW));
        assert_eq!(unhandled.handled(1_301, WINDOW), Some(1_301), "and not what was before");
    }
}

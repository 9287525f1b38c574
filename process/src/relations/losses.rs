//! What a process has lost with links between nodes, and not accepted yet. Pure.

use midflight_message::NodeId;

use crate::small_map::SmallMap;

/// What becomes of a process's sending when a link it had sent messages on is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReconnectPolicy {
    /// It is told by a [`Disconnected`](crate::Disconnected) message, and what it sends to that node
    /// fails until it has called [`Context::reconnect`](crate::Context::reconnect).
    #[default]
    Ask,
    /// It has accepted whatever is lost: its sending goes on over the next link. It is not told; the loss
    /// is counted and logged.
    Accept,
}

/// Losses that a process may leave as they are before those of nodes that are gone are forgotten.
const LOSSES_KEPT: usize = 1_024;

/// The nodes that a process does not send to, as it was told of a loss and has not accepted it.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// What the process has said, if anything.
    policy: Option<ReconnectPolicy>,
    nodes: SmallMap<NodeId, ()>,
}

impl Losses {
    /// Other words for the losses to come; accepting accepts those from before. Answers what was said
    /// before.
    pub(crate) fn set_policy(&mut self, policy: ReconnectPolicy) -> ReconnectPolicy {
        if policy == ReconnectPolicy::Accept {
            self.nodes = SmallMap::default();
        }
        self.policy.replace(policy).unwrap_or_default()
    }

    /// Whether the process accepts losses, if it has said anything about that.
    pub(crate) fn policy(&self) -> Option<bool> {
        self.policy.map(|policy| policy == ReconnectPolicy::Accept)
    }

    /// Whether the process has said that it wants to be told.
    pub(crate) fn asks(&self) -> bool {
        self.policy == Some(ReconnectPolicy::Ask)
    }

    /// The link to `node` is lost, on which the process had sent. Answers whether it is to be told. Where
    /// it has left many losses as they are, those of nodes that `may_return` does not know are forgotten:
    /// nothing that is sent there arrives anyway.
    pub(crate) fn lost(&mut self, node: NodeId, may_return: impl Fn(NodeId) -> bool) -> bool {
        if self.policy == Some(ReconnectPolicy::Accept) {
            return false;
        }
        if self.nodes.len() >= LOSSES_KEPT {
            self.nodes.retain(|node| may_return(*node));
        }
        self.nodes.insert(node, ()).is_none()
    }

    /// The process accepts the loss. Answers whether there was one.
    pub(crate) fn accept(&mut self, node: NodeId) -> bool {
        self.nodes.remove(&node).is_some()
    }

    /// Whether the process has not accepted the loss of a link to `node`.
    pub(crate) fn is_open(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_once_until_it_is_accepted() {
        let (mut losses, node) = (Losses::default(), NodeId(1));
        assert!(!losses.is_open(node) && !losses.accept(node));
        let lost = |losses: &mut Losses, node| losses.lost(node, |_| true);
        assert!(lost(&mut losses, node) && !lost(&mut losses, node));
        assert!(losses.is_open(node) && !losses.is_open(NodeId(2)));
        assert!(losses.accept(node) && lost(&mut losses, node));
        assert_eq!(losses.set_policy(ReconnectPolicy::Accept), ReconnectPolicy::Ask);
        assert!(!losses.is_open(node) && !lost(&mut losses, node));
    }

    #[test]
    fn losses_of_nodes_that_are_gone_are_bounded() {
        let mut losses = Losses::default();
        let living = NodeId(7);
        for node in 0..10_000 {
            losses.lost(NodeId(node), |node| node == living);
        }
        assert!(losses.nodes.len() <= LOSSES_KEPT + 1);
        assert!(losses.is_open(living) && losses.is_open(NodeId(9_999)));
        assert!(!losses.is_open(NodeId(8)));
    }
}

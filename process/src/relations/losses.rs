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

/// The nodes that a process does not send to, as it was told of a loss and has not accepted it.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    policy: ReconnectPolicy,
    nodes: SmallMap<NodeId, ()>,
}

impl Losses {
    /// Other words for the losses to come; accepting accepts those from before. Answers what was said
    /// before.
    pub(crate) fn set_policy(&mut self, policy: ReconnectPolicy) -> ReconnectPolicy {
        if policy == ReconnectPolicy::Accept {
            self.nodes = SmallMap::default();
        }
        std::mem::replace(&mut self.policy, policy)
    }

    /// The link to `node` is lost, on which the process had sent. Answers whether it is to be told.
    pub(crate) fn lost(&mut self, node: NodeId) -> bool {
        self.policy == ReconnectPolicy::Ask && self.nodes.insert(node, ()).is_none()
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
        assert!(losses.lost(node) && !losses.lost(node));
        assert!(losses.is_open(node) && !losses.is_open(NodeId(2)));
        assert!(losses.accept(node) && losses.lost(node));
        assert_eq!(losses.set_policy(ReconnectPolicy::Accept), ReconnectPolicy::Ask);
        assert!(!losses.is_open(node) && !losses.lost(node));
    }
}

//! What a body does with the ends of other processes, and of nodes. Where it takes a link to another node
//! and there is none, what it sets fires at once: whoever would rather have one asks for it first.

use midflight_message::{NodeId, Pid};

use crate::relations::{Relations, Watched};
use crate::scheduler::turn::Turn;
use crate::send::Route;
use crate::{MonitorRef, ReconnectPolicy};

impl Turn<'_> {
    /// The node of `target`, when there is no link to it: [`Turn::connect`].
    #[must_use]
    pub fn out_of_reach(&self, target: Pid) -> Option<NodeId> {
        match self.node.inner.route(target) {
            Route::NotConnected(node) => Some(node),
            _ => None,
        }
    }

    /// Whether there is a link to `node`, or it is this one.
    #[must_use]
    pub fn reaches(&self, node: NodeId) -> bool {
        node == self.node.inner.id || self.node.inner.peer(node).is_some()
    }

    /// Watches `target`; see [`Context::monitor`](crate::Context::monitor).
    pub fn monitor(&mut self, target: Pid) -> MonitorRef {
        self.node.inner.monitor(self.place, target, None)
    }

    /// Takes back all monitors of this process's on `target`.
    pub fn demonitor(&mut self, target: Pid) {
        self.node.inner.demonitor_all(self.place, Watched::Process(target));
    }

    /// Watches a node; see [`Context::monitor_node`](crate::Context::monitor_node).
    pub fn monitor_node(&mut self, node: NodeId) -> MonitorRef {
        self.node.inner.monitor_node(self.place, node)
    }

    /// Takes back all monitors of this process's on `node`.
    pub fn demonitor_node(&mut self, node: NodeId) {
        self.node.inner.demonitor_all(self.place, Watched::Node(node));
    }

    /// Links this process and `target`; see [`Context::link`](crate::Context::link).
    pub fn link(&mut self, target: Pid) {
        self.node.inner.link(self.place, target);
    }

    /// Ends the link with `target`; see [`Context::unlink`](crate::Context::unlink).
    pub fn unlink(&mut self, target: Pid) {
        self.node.inner.unlink(self.place, target);
    }

    /// Says whether exit signals become messages; see
    /// [`Context::trap_exits`](crate::Context::trap_exits).
    pub fn trap_exits(&mut self, traps: bool) {
        self.node.inner.trap_exits(self.place, traps);
    }

    /// Says what becomes of sending when a link is lost; see
    /// [`Context::reconnect_policy`](crate::Context::reconnect_policy). A body accepts losses until then.
    pub fn reconnect_policy(&mut self, policy: ReconnectPolicy) {
        let set = |relations: &mut Relations| relations.losses.set_policy(policy);
        self.node.inner.relate(self.place, set);
    }

    /// Accepts a loss; see [`Context::reconnect`](crate::Context::reconnect).
    pub fn reconnect(&mut self, node: NodeId) {
        self.node.inner.relations_of(self.place, |relations| relations.losses.accept(node));
    }
}

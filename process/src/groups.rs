//! Process groups across the cluster, with the semantics of Erlang's `pg`.
//!
//! A group is a name; it is there while anyone is in it. Each node keeps the groups of all nodes it has a
//! link to: asking takes no time, and may be a little behind. Where somebody watches a group, links stay
//! that would be closed for being idle. What is decided is in the kernel.

mod kernel;

use std::sync::Arc;

use midflight_message::{Message, Pid, Schema};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::MonitorRef;
use crate::context::Context;
use crate::mailbox::envelope::{Envelope, Sender};
use crate::names::registry::NAME_MAX;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal};
use crate::table::NotDelivered;

pub(crate) use kernel::GroupNews;
use kernel::{Action, Change, Groups, TooMany};

/// The groups of a node, with who carries out what the kernel wants done.
pub(crate) struct GroupTable {
    kernel: Mutex<(Groups, bool)>,
}

impl GroupTable {
    pub(crate) fn new(own: midflight_message::NodeId, max: usize) -> Self {
        Self { kernel: Mutex::new((Groups::new(own, max), false)) }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Groups) -> T) -> T {
        act(&mut self.kernel.lock().0)
    }
}

/// A process could not join or watch a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The process does not live on this node: each node says who of its own is in a group.
    #[error("{0} does not live on this node")]
    NoProcess(Pid),
    /// The group's name is empty or longer than 255 bytes.
    #[error("a group's name has 1 to 255 bytes, this one has {0}")]
    BadName(usize),
    /// Processes of this node are in groups, or watch them, as often as they may
    /// (`Limits::group_members`).
    #[error("as many of this node are in groups, or watch them, as may (Limits::group_members)")]
    TooMany,
}

/// A group that a process watches has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.GroupChange", version = 1)]
pub struct GroupChange {
    /// Which monitor.
    pub monitor: MonitorRef,
    /// The group.
    pub group: String,
    /// What has happened.
    pub what: GroupEvent,
    /// To whom; a process that has joined twice is there twice.
    pub processes: Vec<Pid>,
}

/// What happens to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum GroupEvent {
    /// Processes have joined, or the link to their node has come up.
    Joined,
    /// Processes have left or ended, or the link to their node was lost.
    Left,
    /// The watcher's mailbox had no room for a change: this was the monitor's last word.
    Overrun,
}

impl Node {
    /// Lets a process of this node join a group; one that joins twice is in it twice.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn join_group(&self, group: &str, pid: Pid) -> Result<(), GroupError> {
        let inner = &self.inner;
        inner.in_group(group, pid, |groups, place| groups.join(group, place))?;
        inner.carry_out_group_actions();
        Ok(())
    }

    /// Lets a process of this node leave a group, once. Answers whether it was in it.
    pub fn leave_group(&self, group: &str, pid: Pid) -> bool {
        let place = Place::of(pid);
        let inner = &self.inner;
        let left = pid.node == inner.id && inner.groups.with(|groups| groups.leave(group, place));
        inner.carry_out_group_actions();
        left
    }

    /// Who is in a group on this node and on all it has a link to: its own first, each as often as it has
    /// joined.
    #[must_use]
    pub fn group_members(&self, group: &str) -> Vec<Pid> {
        self.inner.groups.with(|groups| groups.members(group))
    }

    /// Who of this node is in a group.
    #[must_use]
    pub fn local_group_members(&self, group: &str) -> Vec<Pid> {
        self.inner.groups.with(|groups| groups.local_members(group))
    }

    /// The groups that anyone is in, in order.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        self.inner.groups.with(|groups| groups.all())
    }
}

impl Context {
    /// Joins a group; see [`Node::join_group`]. A process leaves its groups when it ends.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn join_group(&self, group: &str) -> Result<(), GroupError> {
        self.node.join_group(group, self.me())
    }

    /// Leaves a group, once. Answers whether the process was in it.
    #[expect(clippy::must_use_candidate, reason = "most know that they are in it")]
    pub fn leave_group(&self, group: &str) -> bool {
        self.node.leave_group(group, self.me())
    }

    /// Watches a group: every change from now on comes as a [`GroupChange`], until the monitor is taken
    /// back. Answers who is in it now. The node's links stay from now on, idle or not.
    ///
    /// # Errors
    /// See [`GroupError`].
    pub fn monitor_group(&self, group: &str) -> Result<(MonitorRef, Vec<Pid>), GroupError> {
        let inner = &self.node.inner;
        let monitor = MonitorRef(inner.next());
        let watch = |groups: &mut Groups, place| groups.monitor(group, monitor, place);
        let members = inner.in_group(group, self.me(), watch)?;
        inner.peers.read().values().for_each(|peer| _ = peer.uses());
        Ok((monitor, members))
    }

    /// Takes the monitor of a group back. A change that has come already stays in the mailbox. Answers
    /// whether it was set.
    #[expect(clippy::must_use_candidate, reason = "most know that they have set it")]
    pub fn demonitor_group(&self, monitor: MonitorRef) -> bool {
        self.node.inner.groups.with(|groups| groups.demonitor(monitor, self.place))
    }
}

impl Inner {
    /// Does something with the groups for a living process of this node.
    fn in_group<T>(
        &self,
        group: &str,
        pid: Pid,
        act: impl FnOnce(&mut Groups, Place) -> Result<T, TooMany>,
    ) -> Result<T, GroupError> {
        if !(1..=NAME_MAX).contains(&group.len()) {
            return Err(GroupError::BadName(group.len()));
        }
        let place = Place::of(pid);
        let slot = self.table.slot(place.index).filter(|_| pid.node == self.id);
        let mut slot = slot.ok_or(GroupError::NoProcess(pid))?.lock();
        if !slot.is(place.generation) {
            return Err(GroupError::NoProcess(pid));
        }
        slot.rare().in_groups = true;
        // Under the cell's lock, so that the process cannot end between the two.
        self.groups.with(|groups| act(groups, place)).map_err(|_too_many| GroupError::TooMany)
    }

    /// A process that was in groups, or watched some, has ended.
    pub(crate) fn end_groups(self: &Arc<Self>, process: Place) {
        self.groups.with(|groups| groups.ended(process));
        self.carry_out_group_actions();
    }

    /// A peer is told who is in which group here.
    pub(crate) fn groups_link_up(self: &Arc<Self>, peer: &Peer) {
        let is_watched = self.groups.with(|groups| {
            groups.link_up(peer.id, peer.unique);
            groups.is_watched()
        });
        if is_watched {
            // Nothing is sent, and what is said over it is to come.
            peer.uses();
        }
        self.carry_out_group_actions();
    }

    pub(crate) fn groups_link_down(self: &Arc<Self>, peer: &Peer) {
        self.groups.with(|groups| groups.link_down(peer.id, peer.unique));
        self.carry_out_group_actions();
    }

    /// A peer says who is in which group there.
    pub(crate) fn groups_heard(self: &Arc<Self>, peer: &Peer, news: GroupNews) {
        if let GroupNews::Joined { group, .. } = &news
            && !(1..=NAME_MAX).contains(&group.len())
        {
            return tracing::warn!(peer = %peer.name, "a group with a bad name was not taken");
        }
        if !self.groups.with(|groups| groups.heard(peer.id, peer.unique, news)) {
            tracing::warn!(peer = %peer.name, "more in groups than may be: not all were taken");
        }
        self.carry_out_group_actions();
    }

    /// Does what the kernel wants done, in its order: one does it for all.
    fn carry_out_group_actions(self: &Arc<Self>) {
        let mut mine = false;
        loop {
            let action = {
                let mut kernel = self.groups.kernel.lock();
                let (groups, busy) = &mut *kernel;
                if *busy && !mine {
                    return;
                }
                let next = groups.next();
                *busy = next.is_some();
                next
            };
            mine = true;
            match action {
                None => return,
                Some(Action::Tell { peer, link, news }) => {
                    let peer = self.peers.read().get(&peer).cloned();
                    if let Some(peer) = peer.filter(|peer| peer.unique == link) {
                        self.signal(&peer, &Signal::Groups(news));
                    }
                }
                Some(Action::Notify { watcher, monitor, change }) => {
                    self.notify_group(watcher, monitor, change);
                }
            }
        }
    }

    /// Tells a watcher of a change, if it has room: groups may change faster than it looks.
    fn notify_group(self: &Arc<Self>, watcher: Place, monitor: MonitorRef, change: Change) {
        let Change { group, joined, processes } = change;
        let what = if joined { GroupEvent::Joined } else { GroupEvent::Left };
        let told = GroupChange { monitor, group: group.clone(), what, processes };
        let entry = Envelope::Value { from: Sender::NOBODY, value: Box::new(told) };
        if let Err(NotDelivered::Full(_)) = self.deliver(watcher, entry, Some(self.room()))
            && self.groups.with(|groups| groups.demonitor(monitor, watcher))
        {
            let (what, processes) = (GroupEvent::Overrun, Vec::new());
            let last = GroupChange { monitor, group, what, processes };
            // The last: whatever the mailbox's bounds, and unless it has ended.
            let last = Envelope::Value { from: Sender::NOBODY, value: Box::new(last) };
            let _ = self.deliver(watcher, last, None);
        }
    }
}

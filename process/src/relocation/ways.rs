//! By which cell this node sends to a process that is of another node.
//!
//! By the one at home, wherever the process lives, here among that, and for as long as its home may come back: so
//! everything that a pair sends goes by the same cells, and keeps its order through every move, also through one that is
//! called off. Only when the home is gone is another cell taken, where the directory knows the process to be; and that
//! one is kept, for the same reason.

use midflight_message::{NodeId, Pid};
use rustc_hash::FxHashMap;

use super::directory::{KNOWN_MAX, Location};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::send::Route;

/// By which cells this node sends to processes whose home is gone.
#[derive(Debug, Default)]
pub(super) struct Ways {
    by_pid: FxHashMap<Pid, Location>,
}

impl Ways {
    fn find(&self, pid: Pid) -> Option<Location> {
        self.by_pid.get(&pid).copied()
    }

    /// Sends to `pid` by that cell from now on, where it goes by none. Answers by which it goes; `None`: there are
    /// too many.
    fn take(&mut self, pid: Pid, at: Location) -> Option<Location> {
        if self.by_pid.len() >= KNOWN_MAX && !self.by_pid.contains_key(&pid) {
            return None;
        }
        Some(*self.by_pid.entry(pid).or_insert(at))
    }

    /// The link to `node` is lost: all who have sent by way of it are told, and may go another way.
    pub(super) fn lost(&mut self, node: NodeId) {
        self.by_pid.retain(|_, way| way.node != node);
    }

    /// This node's cell there is no more.
    pub(super) fn ended(&mut self, node: NodeId, place: Place) {
        self.by_pid.retain(|_, way| (way.node, way.place) != (node, place));
    }
}

impl Inner {
    /// The way to `pid`: every look-up of where a process is goes through here.
    #[inline]
    pub(crate) fn route(&self, pid: Pid) -> Route {
        if pid.node == self.id {
            return Route::Local(Place::of(pid));
        }
        if self.relocation.has_any()
            && let Some(way) = self.relocation.ways.read().find(pid)
        {
            return self.route_to(way.node, way.place);
        }
        match self.peer(pid.node) {
            Some(peer) => Route::Remote(peer, Place::of(pid)),
            None => self.route_without_home(pid),
        }
    }

    /// As [`Inner::route`], from the process in the cell `from`: what it does to itself goes nowhere else.
    #[inline]
    pub(crate) fn route_from(&self, from: Place, pid: Pid) -> Route {
        match self.relocation.guest_at(from) == Some(pid) {
            true => Route::Local(from),
            false => self.route(pid),
        }
    }

    /// As [`Inner::route_from`], for a message: who has not accepted what may be lost with a process's home sends to it no other
    /// way.
    #[inline]
    pub(crate) fn route_to_send(&self, from: Place, pid: Pid) -> Route {
        let route = self.route_from(from, pid);
        if self.relocation.has_any()
            && is_past_home(&route, self.id, pid)
            && self.has_lost(from, pid.node)
        {
            return Route::NotConnected(pid.node);
        }
        route
    }

    fn route_to(&self, node: NodeId, place: Place) -> Route {
        if node == self.id {
            return Route::Local(place);
        }
        match self.peer(node) {
            Some(peer) => Route::Remote(peer, place),
            None => Route::NotConnected(node),
        }
    }

    /// The way to a process to whose home there is no link.
    #[cold]
    fn route_without_home(&self, pid: Pid) -> Route {
        let at = self.relocation.directory.read().find(pid);
        match at.filter(|_| !self.may_return(pid.node)) {
            Some(at) => {
                let way = self.relocation.ways.write().take(pid, at);
                way.map_or(Route::NotConnected(pid.node), |way| self.route_to(way.node, way.place))
            }
            None => Route::NotConnected(pid.node),
        }
    }

    /// Whether a node is a member that neither is down nor has left.
    fn may_return(&self, node: NodeId) -> bool {
        self.gossip.kernel.lock().get(node).is_some_and(|member| member.is_up())
    }
}

fn is_past_home(route: &Route, here: NodeId, pid: Pid) -> bool {
    match route {
        Route::Local(_) => pid.node != here,
        Route::Remote(peer, _) => peer.id != pid.node,
        Route::NotConnected(_) => false,
    }
}

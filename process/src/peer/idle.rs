//! Links that nothing but gossip has used are closed again, once not even gossip has gone over them for
//! [`Limits::idle_timeout`](crate::Limits::idle_timeout): in a large cluster each node would have one to
//! every other in time.
//!
//! Nothing is lost by that, and no process is told of a loss:
//!
//! ```text
//!  one side                                     the other
//!  unused, idle, in nobody's hand
//!     │ sets the peer aside ── MayClose ──────────>│ has it been used, or is it in somebody's hand?
//!     │                                            │
//!     │ takes it back <─────── StaysOpen ──────────│ yes
//!     │ takes it back <─────── what uses it ───────│ yes, and it had been sent before
//!     │                                            │ no: sets it aside, too, and closes the transport's
//!     │ <───────────────────── goodbye ────────────│ link, which is by agreement
//! ```
//!
//! A peer that is set aside is found by nobody. Who wants it waits for what becomes of it
//! ([`Inner::keeps`]), which is not long, and makes another link then. That nobody holds it from before
//! is seen by the count of those who do: whoever has it, to send or to enter something that waits for a
//! word from there, keeps it from being set aside. So each side is still before it says so.

use std::collections::BTreeMap;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use midflight_message::NodeId;
use midflight_runtime::Instant;
use parking_lot::Mutex;

use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Signal;

/// Who holds a peer that is in nobody's hand: the table of peers, and the link's sink.
const AT_REST: usize = 2;
/// Between two looks at all links, at the least.
const LOOKS_MIN: Duration = Duration::from_millis(10);

/// The peers that are set aside.
#[derive(Default)]
pub(crate) struct SetAside(Mutex<BTreeMap<NodeId, Entry>>);

pub(crate) struct Entry {
    peer: Arc<Peer>,
    since: Instant,
    /// Those who want to know what becomes of it.
    waiting: Vec<oneshot::Sender<()>>,
}

impl SetAside {
    /// Puts a peer aside, unless it is used. Whoever uses it first looks here after: it finds the peer, or
    /// the peer is seen to be used.
    fn put(&self, peer: Arc<Peer>, since: Instant) -> bool {
        let mut entries = self.0.lock();
        let is_unused = !peer.is_used();
        if is_unused {
            entries.insert(peer.id, Entry { peer, since, waiting: Vec::new() });
        }
        is_unused
    }

    fn has(&self, peer: &Arc<Peer>) -> bool {
        self.0.lock().get(&peer.id).is_some_and(|entry| Arc::ptr_eq(&entry.peer, peer))
    }

    /// Takes the entry of this very peer.
    pub(crate) fn take(&self, peer: &Arc<Peer>) -> Option<Entry> {
        let mut entries = self.0.lock();
        entries.get(&peer.id).filter(|entry| Arc::ptr_eq(&entry.peer, peer))?;
        entries.remove(&peer.id)
    }

    /// Is told when it is decided what becomes of a peer; `None` when it is not set aside.
    fn decided(&self, id: NodeId) -> Option<oneshot::Receiver<()>> {
        let mut entries = self.0.lock();
        let (tell, told) = oneshot::channel();
        entries.get_mut(&id)?.waiting.push(tell);
        Some(told)
    }

    fn overdue(&self, now: Instant, after: Duration) -> Vec<Arc<Peer>> {
        let entries = self.0.lock();
        let overdue = entries.values().filter(|entry| now.since(entry.since) >= after);
        overdue.map(|entry| entry.peer.clone()).collect()
    }
}

/// Looks at all links every now and then, until the node ends.
pub(crate) async fn run(node: Weak<Inner>) {
    loop {
        // In between it does not keep the node.
        let Some((runtime, pause)) = node.upgrade().map(|inner| {
            let pause = (inner.limits.idle_timeout / 4).min(inner.limits.connect_timeout);
            (inner.runtime.clone(), pause.max(LOOKS_MIN))
        }) else {
            return;
        };
        runtime.sleep(pause).await;
        let Some(inner) = node.upgrade().filter(|inner| !inner.is_leaving()) else { return };
        inner.close_idle();
    }
}

impl Inner {
    /// Offers to close the links that are idle, and gives up those whose other side does not answer.
    fn close_idle(self: &Arc<Self>) {
        let now = self.runtime.now();
        let idle_timeout = self.limits.idle_timeout;
        let is_idle = |peer: &Arc<Peer>| peer.is_idle(now, idle_timeout);
        // Who cannot be dialled, or has been by one who cannot, could not be reached any more.
        let own = self.gossip.kernel.lock().own().address.is_some();
        let mut idle: Vec<_> =
            self.peers.read().values().filter(|peer| own && is_idle(peer)).map(|p| p.id).collect();
        idle.sort_unstable();
        for id in idle {
            if let Some(peer) = self.set_aside(id, idle_timeout, 0) {
                self.signal(&peer, &Signal::MayClose);
            }
        }
        for peer in self.idle.overdue(now, self.limits.connect_timeout) {
            peer.link.abort("it does not answer whether the idle link may be closed");
        }
    }

    /// Sets a peer aside, if it is idle for so long and nobody holds it but at rest and so many more.
    fn set_aside(&self, id: NodeId, quiet: Duration, held: usize) -> Option<Arc<Peer>> {
        let now = self.runtime.now();
        let mut peers = self.peers.write();
        let found = peers.get(&id)?;
        if Arc::strong_count(found) != AT_REST + held || !found.is_idle(now, quiet) {
            return None;
        }
        // What those did who have let go of it is seen from here on.
        fence(Ordering::Acquire);
        if !self.idle.put(found.clone(), now) {
            return None;
        }
        peers.remove(&id)
    }

    /// The other side would have the link closed. Called by the link's sink, which holds the peer twice.
    pub(crate) fn may_close(self: &Arc<Self>, peer: &Arc<Peer>) {
        // Its own clock says half of what the other's does at the least: then both are still.
        let quiet = self.limits.idle_timeout / 2;
        if self.idle.has(peer) || self.set_aside(peer.id, quiet, 1).is_some() {
            return peer.link.close();
        }
        self.signal(peer, &Signal::StaysOpen);
    }

    /// A link that was set aside is used by the other side, or is to stay: it is as it was.
    pub(crate) fn take_back(self: &Arc<Self>, peer: &Arc<Peer>) {
        let Some(entry) = self.idle.take(peer) else { return };
        let placed = {
            let mut peers = self.peers.write();
            self.has_place(&peers, peer.id).map(|()| {
                peer.touch(self.runtime.now());
                let regranted = self.regrant(peer);
                peers.insert(peer.id, peer.clone());
                regranted
            })
        };
        let Ok(regranted) = placed else {
            // Another has taken its place meanwhile.
            return peer.link.abort("this node has as many peers as it may");
        };
        peer.say_regranted(regranted);
        // What has changed here meanwhile was not said to it.
        self.groups_link_up(peer);
        self.tell_code(peer);
        entry.tell();
    }

    /// Whether there is a link to a node, which stays for a while then. Waits until that is decided.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub(crate) async fn keeps(&self, id: NodeId) -> bool {
        while let Some(decided) = self.idle.decided(id) {
            // Who has decided is gone: then it is decided, too.
            let _ = decided.await;
        }
        let now = self.runtime.now();
        // Under the lock: whoever sets it aside sees that it was touched.
        let peers = self.peers.read();
        peers.get(&id).inspect(|peer| peer.touch(now)).is_some()
    }
}

impl Entry {
    /// It is decided what becomes of the peer.
    pub(crate) fn tell(self) {
        for waiting in self.waiting {
            // Whoever has stopped waiting needs no answer.
            let _ = waiting.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use midflight_runtime::SimRuntime;
    use midflight_transport_api::Address;
    use midflight_transport_inmem::Hub;

    use super::*;
    use crate::node::Node;

    #[test]
    fn a_peer_that_is_used_or_in_somebodys_hand_is_not_set_aside() {
        let sim = SimRuntime::new(1);
        let runtime = sim.handle();
        let transport = Hub::new(1).transport(runtime.clone());
        let scenario = async move {
            let at = |name: &str| Address::new("mem", name).unwrap();
            let builder = |name: &str| Node::builder(name).listen(at(name));
            let a = builder("a").start(&transport, runtime.clone()).await.unwrap();
            let b = builder("b").start(&transport, runtime.clone()).await.unwrap();
            let id = a.connect(&at("b")).await.unwrap();
            runtime.sleep(Duration::from_millis(100)).await;
            let aside = |quiet| a.inner.set_aside(id, quiet, 0);

            assert!(aside(Duration::from_secs(60)).is_none(), "it is not idle for so long");
            let held = a.inner.peer(id).unwrap();
            assert!(aside(Duration::ZERO).is_none(), "somebody may be about to use it");
            drop(held);
            let peer = aside(Duration::ZERO).unwrap();
            assert!(a.inner.peer(id).is_none() && a.peers().is_empty());
            assert!(aside(Duration::ZERO).is_none(), "it is no peer");
            a.inner.take_back(&peer);
            drop(peer);
            assert!(a.inner.keeps(id).await);
            a.inner
                .peer(id)
                .unwrap()
                .signal(&Signal::Gone { process: crate::peer::wire::Place::NOBODY });
            assert!(aside(Duration::ZERO).is_none(), "it is used");
            runtime.sleep(Duration::from_millis(100)).await;
            assert!(b.inner.set_aside(a.id(), Duration::ZERO, 0).is_none(), "there, too");
        };
        sim.run(1_000_000, scenario).unwrap();
    }
}

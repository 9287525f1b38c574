//! The shell around the membership's kernel: its packets go over the nodes' links, on the control lane;
//! its timers are one task's; what it comes to know is told to those who watch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use midflight_message::NodeId;
use midflight_runtime::{Instant, spawn};
use parking_lot::Mutex;

use crate::membership::news::News;
use crate::membership::{Action, Identity, Input, Kernel};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Signal;
use crate::peer::{Lane, Peer};

/// Members that are dialled for gossip at one time. What is for others is lost, as gossip may be.
const DIALS_MAX: usize = 64;
/// Packets that wait for one of them; the oldest goes first.
const WAITING_MAX: usize = 4;

/// What a node knows of the cluster, and whom it tells.
pub(crate) struct Gossip {
    pub(crate) kernel: Mutex<Kernel>,
    pub(crate) news: Mutex<News>,
    bell: Bell,
    /// Members that are being dialled, with what is for them.
    dials: Mutex<BTreeMap<NodeId, VecDeque<Vec<u8>>>>,
}

/// Wakes the task that waits for the kernel's timers.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}

impl Gossip {
    pub(crate) fn new(kernel: Kernel) -> Self {
        Self {
            kernel: Mutex::new(kernel),
            news: Mutex::default(),
            bell: Bell::default(),
            dials: Mutex::default(),
        }
    }

    /// Has the task look again: the node closes, or somebody watches.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }
}

/// Sees to the kernel's timers and tells its news, until the node closes.
pub(crate) async fn run(node: Node) {
    let inner = &node.inner;
    while !inner.is_closing() {
        let now = inner.runtime.now();
        if inner.gossip.kernel.lock().next_wake().is_some_and(|due| due <= now) {
            inner.take_input(Input::Wake);
        }
        inner.tell_news();
        rest(inner).await;
    }
}

/// Waits for the bell or the next timer.
async fn rest(inner: &Inner) {
    let due = inner.gossip.kernel.lock().next_wake();
    let mut sleep = due.map(|due| inner.runtime.sleep_until(due));
    std::future::poll_fn(|cx| {
        let bell = &inner.gossip.bell;
        // Registered first, looked at after: a ring in between is not missed.
        bell.waker.register(cx.waker());
        if bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    })
    .await;
}

impl Inner {
    /// Tells the kernel something, and does what it wants done.
    pub(crate) fn membership(self: &Arc<Self>, input: Input<'_>) {
        if self.take_input(input) {
            self.gossip.bell.ring();
        }
    }

    /// Takes one of a peer's signals about the membership.
    pub(crate) fn membership_signal(self: &Arc<Self>, peer: &Peer, signal: Signal) {
        match signal {
            Signal::Members(members) => self.membership(Input::Told(members)),
            Signal::Gossip(bytes) => {
                peer.touch(self.runtime.now());
                self.membership(Input::Packet { peer: &peer.card, bytes: &bytes });
            }
            Signal::Outranked { started } => self.membership(Input::Outranked { started }),
            _ => {}
        }
    }

    /// Answers whether the task has something to see to now.
    fn take_input(self: &Arc<Self>, input: Input<'_>) -> bool {
        let now = self.runtime.now();
        let (actions, look) = {
            let mut kernel = self.gossip.kernel.lock();
            let before = kernel.next_wake();
            let actions = kernel.take(now, input);
            let earlier = |next: Instant| before.is_none_or(|before| next < before);
            (actions, kernel.has_changed() || kernel.next_wake().is_some_and(earlier))
        };
        for action in actions {
            match action {
                Action::Send { to, packet } => self.send_gossip(to, packet),
                Action::Outranked { peer, started } => {
                    let peer = self.peers.read().get(&peer).cloned();
                    if let Some(peer) = peer {
                        self.signal(&peer, &Signal::Outranked { started });
                    }
                }
            }
        }
        look
    }

    fn send_gossip(self: &Arc<Self>, to: Identity, packet: Vec<u8>) {
        let peer = self.peers.read().get(&to.card().id).cloned();
        match peer {
            Some(peer) => self.gossip_to(&peer, packet),
            None if self.is_leaving() => {}
            None => self.dial_for_gossip(to, packet),
        }
    }

    /// Gossip to who takes nothing now is lost, as it may be.
    fn gossip_to(self: &Arc<Self>, peer: &Arc<Peer>, packet: Vec<u8>) {
        if !peer.is_full(Lane::Control) {
            peer.touch(self.runtime.now());
            self.signal(peer, &Signal::Gossip(packet));
        }
    }

    fn dial_for_gossip(self: &Arc<Self>, to: Identity, packet: Vec<u8>) {
        let id = to.card().id;
        {
            let mut dials = self.gossip.dials.lock();
            let many = dials.len() >= DIALS_MAX;
            match dials.get_mut(&id) {
                Some(waiting) => {
                    if waiting.len() >= WAITING_MAX {
                        waiting.pop_front();
                    }
                    return waiting.push_back(packet);
                }
                None if many => return,
                None => drop(dials.insert(id, VecDeque::from([packet]))),
            }
        }
        let node = Node { inner: self.clone() };
        spawn(&self.runtime, "dial a member", async move {
            node.find_again(id).await;
            let inner = &node.inner;
            let packets = inner.gossip.dials.lock().remove(&id).unwrap_or_default();
            let peer = inner.peers.read().get(&id).cloned();
            if let Some(peer) = peer {
                packets.into_iter().for_each(|packet| inner.gossip_to(&peer, packet));
            }
        });
    }

    /// Tells those who watch what has changed since they were told last.
    fn tell_news(self: &Arc<Self>) {
        let members = {
            let mut kernel = self.gossip.kernel.lock();
            if !kernel.take_changed() {
                return;
            }
            kernel.members()
        };
        let (events, watchers) = self.gossip.news.lock().update(members);
        if events.is_empty() {
            return;
        }
        for event in &events {
            tracing::debug!(?event, "membership");
        }
        for watcher in watchers {
            self.tell_watcher(watcher, &events);
        }
        let mut peers: Vec<_> = self.peers.read().values().cloned().collect();
        peers.sort_by_key(|peer| peer.id);
        peers.iter().for_each(|peer| self.tell_observer(peer));
    }

    /// Tells a peer that is no member, such as an operator's program, who the members are.
    pub(crate) fn tell_observer(self: &Arc<Self>, peer: &Arc<Peer>) {
        /// So many fit into one message of any link.
        const TOLD_MAX: usize = 128;
        if peer.address.is_some() || peer.is_full(Lane::Control) {
            return;
        }
        let mut members = self.gossip.kernel.lock().members();
        members.retain(|member| member.address.is_some());
        members.truncate(TOLD_MAX);
        self.signal(peer, &Signal::Members(members));
    }
}

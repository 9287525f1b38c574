//! What happens on a node, told as messages to processes of it that want to know (Cloud Haskell's management events,
//! Erlang's `monitor_nodes` and `system_monitor`).
//!
//! Where nobody listens, each event is one look at a flag. Who listens has a mailbox like anybody's: what it has no room
//! for it misses, and the next event says how many that were.

use std::ops::BitOr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use midflight_message::{Message, NodeId, Pid, Schema};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::ExitReason;
use crate::context::Context;
use crate::mailbox::envelope::{Envelope, Sender};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::table::NotDelivered;

/// Kinds of events of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventKinds(u8);

impl EventKinds {
    /// None.
    pub const NONE: Self = Self(0);
    /// Processes that start and end.
    pub const PROCESSES: Self = Self(1);
    /// Names that are given and taken.
    pub const NAMES: Self = Self(2);
    /// Links to other nodes that are made, and lost or closed.
    pub const LINKS: Self = Self(4);
    /// What other nodes say of the code that they have.
    pub const CODE: Self = Self(8);
    /// All there are.
    pub const ALL: Self = Self(15);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for EventKinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// An event of a node, as [`Context::watch_events`] has it told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.NodeEvent", version = 1)]
pub struct NodeEvent {
    /// When, by the node: microseconds since the beginning of 1970.
    pub unix_micros: u64,
    /// How many events this process has missed since the last one, as it had no room.
    pub missed: u64,
    /// What.
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum Happened {
    /// A process is about to start.
    Spawned {
        /// Which.
        pid: Pid,
        /// What it runs.
        name: String,
    },
    /// A process has ended; its names were taken before.
    Exited {
        /// Which.
        pid: Pid,
        /// Why.
        reason: ExitReason,
    },
    /// A process, of whatever node, got a name on this one.
    Registered {
        /// Which.
        pid: Pid,
        /// The name.
        name: String,
    },
    /// A process lost a name: it was taken away, given to another, or the process has ended or is out of reach.
    Unregistered {
        /// Which.
        pid: Pid,
        /// The name.
        name: String,
    },
    /// A link to a node was made.
    LinkUp {
        /// Which.
        node: NodeId,
        /// What it is called.
        name: String,
    },
    /// The link to a node was lost, or closed, as it was idle.
    LinkDown {
        /// Which.
        node: NodeId,
        /// What it is called.
        name: String,
        /// Why.
        reason: String,
    },
    /// A node has said what code it has, or takes back what it has said: see
    /// [`Node::peers_code`](crate::Node::peers_code).
    CodeTold {
        /// Which.
        node: NodeId,
    },
}

impl Happened {
    const fn kind(&self) -> EventKinds {
        match self {
            Self::Spawned { .. } | Self::Exited { .. } => EventKinds::PROCESSES,
            Self::Registered { .. } | Self::Unregistered { .. } => EventKinds::NAMES,
            Self::LinkUp { .. } | Self::LinkDown { .. } => EventKinds::LINKS,
            Self::CodeTold { .. } => EventKinds::CODE,
        }
    }
}

/// Who wants to know what.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The kinds that anybody wants.
    wanted: AtomicU8,
    watchers: RwLock<Arc<[Arc<Watcher>]>>,
}

#[derive(Debug)]
struct Watcher {
    place: Place,
    kinds: EventKinds,
    missed: AtomicU64,
}

impl Events {
    pub(crate) fn wants(&self, kind: EventKinds) -> bool {
        EventKinds(self.wanted.load(Ordering::Relaxed)).contains(kind)
    }

    /// Has `place` told of these kinds and no others, and leaves out who has ended.
    fn set(&self, place: Place, kinds: EventKinds, lives: impl Fn(Place) -> bool) {
        let mut watchers = self.watchers.write();
        let others = watchers.iter().filter(|other| other.place != place && lives(other.place));
        let mut now: Vec<_> = others.cloned().collect();
        if kinds != EventKinds::NONE {
            now.push(Arc::new(Watcher { place, kinds, missed: AtomicU64::new(0) }));
        }
        let wanted = now.iter().fold(EventKinds::NONE, |wanted, watcher| wanted | watcher.kinds);
        self.wanted.store(wanted.0, Ordering::Relaxed);
        *watchers = now.into();
    }
}

impl Inner {
    /// Tells of what happened who wants to know. Called with no lock in hand.
    #[inline]
    pub(crate) fn event(&self, kind: EventKinds, what: impl FnOnce() -> Happened) {
        if self.events.wants(kind) {
            self.tell_event(what());
        }
    }

    #[cold]
    fn tell_event(&self, what: Happened) {
        let watchers = self.events.watchers.read().clone();
        let unix_micros = u64::try_from(self.runtime.unix_time().as_micros()).unwrap_or(u64::MAX);
        let mut is_dead = None;
        for watcher in watchers.iter().filter(|watcher| watcher.kinds.contains(what.kind())) {
            let missed = watcher.missed.swap(0, Ordering::Relaxed);
            let event = NodeEvent { unix_micros, missed, what: what.clone() };
            let entry = Envelope::Value { from: Sender::NOBODY, value: Box::new(event) };
            let Place { index, generation } = watcher.place;
            match self.table.deliver(index, generation, entry, Some(self.room())) {
                Ok(true) => self.queues.push(index),
                Ok(false) => {}
                Err(NotDelivered::Full(_)) => {
                    watcher.missed.fetch_add(missed + 1, Ordering::Relaxed);
                }
                Err(NotDelivered::Dead(_)) => is_dead = Some(watcher.place),
            }
        }
        if let Some(place) = is_dead {
            self.watch_events(place, EventKinds::NONE);
        }
    }

    fn watch_events(&self, place: Place, kinds: EventKinds) {
        self.events.set(place, kinds, |other| {
            let slot = self.table.slot(other.index);
            slot.is_some_and(|slot| slot.lock().is(other.generation))
        });
    }
}

impl Context {
    /// Tells this process of what happens on its node, as [`NodeEvent`] messages, from now on: of these kinds, and no
    /// more of those before; [`EventKinds::NONE`] ends it. What there is already is asked for
    /// ([`Node::processes`](crate::Node::processes), [`names`](crate::Node::names), [`peers`](crate::Node::peers)).
    ///
    /// Of one process the start is told first and the end last, and of one link it is so, too. Names that several
    /// processes give and take at the same moment may be told in another order; one that a process gets as it ends may be
    /// told after its end, and then that it is taken. As much as the process's mailbox has no
    /// room for it misses, and is told how much with the next event.
    pub fn watch_events(&self, kinds: EventKinds) {
        self.node.inner.watch_events(self.place, kinds);
    }
}

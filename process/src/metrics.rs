//! What a node has done and holds, in numbers, for metrics and for operators.
//!
//! Nothing is counted for each message in a place that others write to: a runner, a link's reader and a
//! batch keep counts of their own, and whoever asks adds them up. The rest is read from what is there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, Ordering};

use midflight_message::{NodeId, Pid};

use crate::ProcessInfo;
use crate::letters::DeadLetterTotals;
use crate::node::Node;
use crate::peer::wire::Place;
use crate::peer::{Staged, overflow};

/// A node in numbers. Those called totals only grow, over the node's life.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeMetrics {
    /// Processes that live.
    pub processes: usize,
    /// Total of processes that were started.
    pub spawned: u64,
    /// Total of processes that have ended.
    pub ended: u64,
    /// Of those, how many ended by a panic, an error or a kill.
    pub ended_badly: u64,
    /// Messages that have come and have not been handled, in all mailboxes.
    pub mailbox_messages: u64,
    /// What they count, in bytes.
    pub mailbox_bytes: u64,
    /// The process with the longest mailbox, if any holds something.
    pub mailbox_longest: Option<(Pid, u32)>,
    /// Processes on a run queue.
    pub runnable: usize,
    /// Total of turns that processes had.
    pub turns: u64,
    /// Total of messages that processes handled, from wherever they came.
    pub messages_handled: u64,
    /// Total of links that were made.
    pub links_made: u64,
    /// Total of links that were lost.
    pub links_lost: u64,
    /// Total of links that were closed since they were idle: these are not lost.
    pub links_idle: u64,
    /// Total of handshakes between nodes that were refused, here or there.
    pub handshakes_refused: u64,
    /// Total of violations of the nodes' protocol, each of which cuts its link.
    pub violations: u64,
    /// Total of times that messages of one type lay unreceived in a process for too long
    /// ([`Limits::unreceived_after`](crate::Limits)).
    pub unreceived: u64,
    /// Cells of processes that came from other nodes.
    pub guests: usize,
    /// Cells that hand on what comes for processes which have left them.
    pub forwarders: usize,
    /// Dead letters.
    pub dead_letters: DeadLetterTotals,
    /// The nodes this one has a link to, in order of their identity.
    pub peers: Vec<PeerMetrics>,
}

/// A peer in numbers, since its link was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerMetrics {
    /// The peer.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// What was sent to it.
    pub sent: Traffic,
    /// What came from it.
    pub received: Traffic,
}

/// What went one way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Messages, calls and replies.
    pub messages: u64,
    /// Bytes of them and of everything else that nodes say to each other, without the transport's own.
    pub bytes: u64,
}

impl Traffic {
    /// Adds frames that are on their way.
    pub(crate) fn add(&mut self, frames: &[Staged<'_>]) {
        for frame in frames {
            self.messages += u64::from(frame.ty.is_some());
            self.bytes += overflow::len(frame.head, &frame.large) as u64;
        }
    }
}

/// A count that its one writer keeps, and others read.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Shown {
    /// Shows what its writer has counted.
    pub(crate) fn show(&self, traffic: Traffic) {
        self.messages.store(traffic.messages, Ordering::Relaxed);
        self.bytes.store(traffic.bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// What happens rarely enough to be counted where it happens.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) ended_badly: AtomicU64,
    pub(crate) links_made: AtomicU64,
    pub(crate) links_lost: AtomicU64,
    pub(crate) links_idle: AtomicU64,
    pub(crate) handshakes_refused: AtomicU64,
    pub(crate) violations: AtomicU64,
    pub(crate) unreceived: AtomicU64,
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Node {
    /// The node in numbers. It looks at every living process, a million in some tens of milliseconds:
    /// where there may be many, ask from a thread that may be kept that long.
    #[must_use]
    pub fn metrics(&self) -> NodeMetrics {
        let inner = &self.inner;
        let (mut messages, mut bytes, mut longest) = (0, 0, None::<(Pid, u32)>);
        inner.table.each_mailbox(|place, mailbox| {
            messages += u64::from(mailbox.messages);
            bytes += u64::from(mailbox.bytes);
            if mailbox.messages > longest.map_or(0, |(_, most)| most) {
                longest = Some((inner.local_pid(place), mailbox.messages));
            }
        });
        let (spawned, processes) = inner.table.spawned();
        let (turns, messages_handled) = inner.queues.done();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NodeMetrics {
            processes,
            spawned,
            ended: spawned.saturating_sub(processes as u64),
            ended_badly: read(&inner.counts.ended_badly),
            mailbox_messages: messages,
            mailbox_bytes: bytes,
            mailbox_longest: longest,
            runnable: inner.queues.len(),
            turns,
            messages_handled,
            links_made: read(&inner.counts.links_made),
            links_lost: read(&inner.counts.links_lost),
            links_idle: read(&inner.counts.links_idle),
            handshakes_refused: read(&inner.counts.handshakes_refused),
            violations: read(&inner.counts.violations),
            unreceived: read(&inner.counts.unreceived),
            guests: inner.relocation.guest_count(),
            forwarders: inner.relocation.forwarder_count(),
            dead_letters: self.dead_letter_totals(),
            peers: self.peer_metrics(),
        }
    }

    /// The first processes, in order of their places; their lists have 256 entries at the most.
    #[must_use]
    pub fn first_processes(&self, limit: usize) -> Vec<ProcessInfo> {
        let pids = self.inner.table.pids().into_iter();
        let infos = pids.filter_map(|(index, generation)| {
            self.inner.info(Place { index, generation }, ProcessInfo::LISTED_MAX)
        });
        infos.take(limit).collect()
    }

    /// The processes with the longest mailboxes, the longest first; of equal ones the first by place; their
    /// lists have 256 entries at the most. As [`Node::metrics`], it looks at every process.
    #[must_use]
    pub fn longest_mailboxes(&self, limit: usize) -> Vec<ProcessInfo> {
        // The shortest of those that are kept is on top, to go first.
        let mut longest = BinaryHeap::with_capacity(limit.min(1_024));
        self.inner.table.each_mailbox(|place, mailbox| {
            longest.push(Reverse((mailbox.messages, Reverse((place.index, place.generation)))));
            if longest.len() > limit {
                longest.pop();
            }
        });
        let longest = longest.into_sorted_vec().into_iter();
        let infos = longest.filter_map(|Reverse((_, Reverse((index, generation))))| {
            self.inner.info(Place { index, generation }, ProcessInfo::LISTED_MAX)
        });
        infos.collect()
    }

    fn peer_metrics(&self) -> Vec<PeerMetrics> {
        let peers: Vec<_> = self.inner.peers.read().values().cloned().collect();
        let mut metrics: Vec<_> = peers
            .iter()
            .map(|peer| PeerMetrics {
                id: peer.id,
                name: peer.name.clone(),
                sent: peer.sent(),
                received: peer.received.read(),
            })
            .collect();
        metrics.sort_by_key(|peer| peer.id);
        metrics
    }
}

//! The end of a node: it says that it leaves, lets its processes end, writes out what waits, and closes.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::task::AtomicWaker;
use midflight_runtime::{spawn, timeout};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;

use crate::mailbox::envelope::Sender;
use crate::membership::Input;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::relations::Relations;
use crate::send::local;
use crate::waiters::Waiters;
use crate::{ExitReason, ProcessInfo};

/// How many processes a report and the log name.
const NAMED_MAX: usize = 64;
/// How long the links have to take what waits, also when the processes have used up all the time.
const WRITE_LEAST: Duration = Duration::from_secs(1);

/// What was left undone when a node was shut down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Processes that had not ended in time, the first 64 of them.
    pub abandoned: Vec<ProcessInfo>,
    /// How many there were.
    pub abandoned_total: usize,
    /// The names of peers that did not take in time what waited for them.
    pub unsent: Vec<String>,
}

impl ShutdownReport {
    /// Whether nothing was left undone.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.abandoned_total == 0 && self.unsent.is_empty()
    }
}

/// How far a node's end is.
#[derive(Default)]
pub(crate) struct Ending {
    begun: AtomicBool,
    closes: AtomicBool,
    /// How many processes have ended over the node's life, with all that had to be told of it.
    ended: AtomicU64,
    /// Woken when that changes.
    waiter: AtomicWaker,
    over: Mutex<Over>,
}

/// What those who wait for the end look at.
#[derive(Default)]
struct Over {
    report: Option<ShutdownReport>,
    waiting: Waiters,
}

impl Ending {
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub(crate) fn closes(&self) -> bool {
        self.closes.load(Ordering::Acquire)
    }

    /// A process has ended, and whom that concerns was told: whoever waits for the last looks again.
    pub(crate) fn process_ended(&self) {
        // In one order with the beginning of the end: either it is seen here, or this there.
        self.ended.fetch_add(1, Ordering::SeqCst);
        if self.begun.load(Ordering::SeqCst) {
            self.waiter.wake();
        }
    }

    fn is_over(&self, report: ShutdownReport) {
        let waiting = {
            let mut over = self.over.lock();
            over.report = Some(report);
            over.waiting.take()
        };
        waiting.for_each(std::task::Waker::wake);
    }

    async fn report(&self) -> ShutdownReport {
        let mut entered = None;
        poll_fn(|cx| {
            let over = self.over.lock();
            match &over.report {
                Some(report) => Poll::Ready(report.clone()),
                None => {
                    let entry = over.waiting.enter(cx.waker());
                    drop(over);
                    entered = Some(entry);
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Node {
    /// Ends the node in good order, and answers what was left undone.
    ///
    /// The members are told that it leaves, so that nobody suspects it, and nothing is started here any
    /// more. Every process is sent the exit signal [`ExitReason::Shutdown`]; those in the care of a
    /// supervisor are left to that one, which ends them in its own order. What has not ended within
    /// [`Limits::shutdown_timeout`](crate::Limits::shutdown_timeout) is ended without being asked, and
    /// named in the log and the report; what is in its turn at that moment ends when that is over, and if the
    /// node is closed before, others see it go with the link. Then what waits for other nodes is written out, within what is
    /// left of the time or a second, and the links are closed politely.
    ///
    /// Idempotent: whoever calls it again waits for the same end. A process may end its own node; it
    /// ends as all the others do.
    ///
    /// # Cancel safety
    /// Once it was polled, the node ends whether or not anybody waits for that.
    pub async fn shutdown(&self) -> ShutdownReport {
        if !self.inner.ending.begun.swap(true, Ordering::SeqCst) {
            let node = self.clone();
            // Told before the first wait: a caller that is dropped has told all the same.
            self.inner.leave();
            spawn(&self.inner.runtime, "shut down", async move {
                let report = node.drain().await;
                node.inner.ending.is_over(report);
            });
        }
        self.inner.ending.report().await
    }

    async fn drain(&self) -> ShutdownReport {
        let inner = &self.inner;
        let (began, limit) = (inner.runtime.now(), inner.limits.shutdown_timeout);
        inner.ask_to_end();
        // Late is seen below, by who is left.
        let _ = timeout(&*inner.runtime, limit, inner.last_process_ended()).await;
        let mut report = ShutdownReport::default();
        self.abandon(&mut report);
        let left = limit.saturating_sub(inner.runtime.now().since(began)).max(WRITE_LEAST);
        report.unsent = inner.write_out(left).await;
        inner.ending.closes.store(true, Ordering::Release);
        inner.gossip.ring();
        if let Some(end_point) = inner.end_point.get() {
            end_point.close().await;
        }
        inner.queues.wake_all();
        inner.timers.wake_all();
        // What was being started meanwhile, and what is in its turn still.
        inner.end_processes();
        report
    }

    /// Ends the processes that are left, and names them.
    fn abandon(&self, report: &mut ShutdownReport) {
        let left = self.inner.table.pids();
        let infos = left.iter().filter_map(|(index, generation)| {
            self.inner
                .info(Place { index: *index, generation: *generation }, ProcessInfo::LISTED_MAX)
        });
        report.abandoned = infos.take(NAMED_MAX).collect();
        // With those that have left their cell, and are held up by the destructor of what lay there.
        report.abandoned_total = left.len().max(self.inner.living_processes());
        for ProcessInfo { pid, label, names, status, .. } in &report.abandoned {
            let runs = label.as_ref().map_or("", |label| &label.name);
            tracing::warn!(%pid, runs, ?names, ?status, "it has not ended in time: abandoned");
        }
        if report.abandoned_total > report.abandoned.len() {
            tracing::warn!(in_all = report.abandoned_total, "more were abandoned");
        }
        self.inner.end_processes_at_rest();
    }
}

impl Inner {
    /// Tells the members that the node leaves.
    fn leave(self: &Arc<Self>) {
        self.membership(Input::Leave);
    }

    /// Sends the exit signal to all processes but those in the care of a supervisor.
    fn ask_to_end(&self) {
        let mut places = Vec::new();
        let mut supervisors = FxHashSet::default();
        for (index, generation) in self.table.pids() {
            let place = Place { index, generation };
            if self.relations_of(place, |relations| relations.supervises) == Some(true) {
                supervisors.insert(local(place));
            }
            places.push(place);
        }
        for place in places {
            let in_care = |relations: &mut Relations| {
                relations.monitors.watchers().any(|watcher| supervisors.contains(&watcher.watcher))
            };
            if self.relations_of(place, in_care) != Some(true) {
                self.exit_came(place, Sender::NOBODY, ExitReason::Shutdown);
            }
        }
    }

    /// Asks a process to end that was being started when all were asked.
    pub(crate) fn end_if_leaving(&self, place: Place) {
        if self.is_leaving() {
            self.exit_came(place, Sender::NOBODY, ExitReason::Shutdown);
        }
    }

    async fn last_process_ended(&self) {
        poll_fn(|cx| {
            // Entered first, looked at after: an end in between is not missed.
            self.ending.waiter.register(cx.waker());
            if self.living_processes() == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// How many processes have not ended, or of whose end not all was told.
    fn living_processes(&self) -> usize {
        // In this order: no more have ended than had begun.
        let ended = self.ending.ended.load(Ordering::SeqCst);
        let (begun, _) = self.table.spawned();
        usize::try_from(begun.saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    /// Waits until the links have taken what waits for them. Answers whose has not.
    async fn write_out(&self, limit: Duration) -> Vec<String> {
        let mut peers: Vec<_> = self.peers.read().values().cloned().collect();
        peers.sort_by_key(|peer| peer.id);
        let written = peers.iter().map(|peer| async move {
            let late = timeout(&*self.runtime, limit, peer.written_out()).await.is_err();
            late.then(|| peer.name.clone())
        });
        let unsent: Vec<_> = join_all(written).await.into_iter().flatten().collect();
        if !unsent.is_empty() {
            tracing::warn!(peers = ?unsent, "they did not take in time what waits for them");
        }
        unsent
    }
}

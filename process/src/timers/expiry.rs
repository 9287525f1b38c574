//! What happens when a timer's time has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use midflight_runtime::{Instant, spawn};

use super::set::Ticket;
use super::wheel::Key;
use super::{Due, Entry, State};
use crate::context::Context;
use crate::destination::OwnedAddress;
use crate::mailbox::envelope::Content;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::scheduler::contain::{contain, discard};
use crate::scheduler::function::Shared;
use crate::send::{NotSent, Route, entry, local};
use crate::{ExitReason, SendError};

/// A timer that is set.
pub(crate) struct Timer {
    pub(super) ticket: Ticket,
    /// Whom it is for.
    pub(super) to: OwnedAddress,
    pub(super) what: What,
}

/// What it does.
pub(crate) enum What {
    Send(Content),
    Tick(Arc<Interval>),
    Exit(ExitReason),
    Kill(String),
}

/// A message again and again.
pub(crate) struct Interval {
    period: Duration,
    message: Box<dyn Fn() -> Content + Send + Sync>,
    /// A tick is on its way to another node: those that come meanwhile are left out.
    waits: AtomicBool,
}

impl Interval {
    pub(super) fn new(
        period: Duration,
        message: Box<dyn Fn() -> Content + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self { period, message, waits: AtomicBool::new(false) })
    }

    /// The first tick after `now`, where one was due at `at`.
    pub(super) fn next(&self, at: Instant, now: Instant) -> Instant {
        let missed = now.since(at).as_nanos() / self.period.as_nanos().max(1);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX);
        at + self.period.saturating_mul(missed.saturating_add(1))
    }
}

/// What became of a content that was to be sent at once.
enum Sent {
    /// It was, or never can be.
    Over,
    /// There is no room.
    Full(Content),
    /// It takes a link, or another node's word.
    Far(Content),
}

impl State {
    /// What is to happen by an entry that is due. An interval stays, for its next tick.
    pub(super) fn expire(&mut self, key: Key, now: Instant) -> Option<Due> {
        let (at, entry) = self.wheel.get(key)?;
        if let Entry::Timer(timer) = entry
            && let What::Tick(interval) = &timer.what
        {
            let due = Due::Tick(timer.ticket.set_by, timer.to.clone(), interval.clone());
            let next = interval.next(at, now);
            self.wheel.set(key, next);
            return Some(due);
        }
        let (_, entry) = self.wheel.remove(key)?;
        Some(match entry {
            Entry::Alarm(process) => Due::Alarm(process, key),
            Entry::Wake(waker) => Due::Wake(waker),
            Entry::Look(shared, process) => Due::Look(shared, process),
            Entry::Timer(timer) => {
                self.timers.remove(&timer.ticket.id());
                Due::Timer(timer)
            }
        })
    }
}

impl Inner {
    /// What is due happens. A panic of what users have written goes no further.
    pub(super) fn happen(self: &Arc<Self>, due: Due) {
        contain(|| match due {
            Due::Alarm(process, key) => self.alarm(process, key),
            Due::Wake(waker) => waker.wake(),
            Due::Timer(timer) => self.expired(*timer),
            Due::Look(shared, process) => self.look_at_shelf(process, &shared),
            Due::Tick(set_by, to, interval) => self.ticked(set_by, to, interval),
        });
    }

    fn expired(self: &Arc<Self>, timer: Timer) {
        let Timer { ticket, to, what } = timer;
        let set_by = ticket.set_by;
        match what {
            What::Tick(_) => {}
            What::Exit(_) | What::Kill(_) => self.signal_after(ticket, to, what),
            What::Send(content) if self.is_for(&to, set_by) => {
                // Before the message, which may have it set the next.
                self.let_go(ticket);
                // It has its place whatever the mailbox's bounds: the process set it.
                discard(self.deliver(set_by, entry(local(set_by), None, content), None));
            }
            What::Send(content) => match self.send_now(set_by, &to, content) {
                Sent::Over => self.let_go(ticket),
                Sent::Full(content) | Sent::Far(content) => {
                    let inner = self.clone();
                    spawn(&self.runtime, "a timer's message", async move {
                        inner.send_later(set_by, &to, content).await;
                        // Not earlier, so that these tasks are as bounded as timers are.
                        inner.let_go(ticket);
                    });
                }
            },
        }
    }

    fn ticked(self: &Arc<Self>, set_by: Place, to: OwnedAddress, interval: Arc<Interval>) {
        let content = (interval.message)();
        match self.send_now(set_by, &to, content) {
            Sent::Over => {}
            Sent::Full(content) => discard(content),
            Sent::Far(content) if interval.waits.swap(true, Ordering::AcqRel) => discard(content),
            Sent::Far(content) => {
                let inner = self.clone();
                spawn(&self.runtime, "an interval's message", async move {
                    inner.send_later(set_by, &to, content).await;
                    interval.waits.store(false, Ordering::Release);
                });
            }
        }
    }

    fn signal_after(self: &Arc<Self>, ticket: Ticket, to: OwnedAddress, what: What) {
        self.let_go(ticket);
        let OwnedAddress::Pid(to) = to else { return };
        let cx = self.context(ticket.set_by);
        let signal = async move {
            match what {
                What::Exit(reason) => cx.exit(to, reason).await,
                What::Kill(reason) => cx.kill(to, reason).await,
                What::Send(_) | What::Tick(_) => {}
            }
        };
        match self.route(to) {
            Route::NotConnected(_) => {
                spawn(&self.runtime, "a timer's exit signal", signal);
            }
            // There is nothing to wait for.
            _ => signal.now_or_never().unwrap_or_default(),
        }
    }

    /// Whether `to` is the process at `place`.
    fn is_for(&self, to: &OwnedAddress, place: Place) -> bool {
        let to = match to {
            OwnedAddress::Pid(pid) => Some(*pid),
            OwnedAddress::Name(name) => self.registry.whereis(name),
            OwnedAddress::NameOn(..) => None,
        };
        to == Some(self.local_pid(place))
    }

    /// Sends what can be sent at once.
    fn send_now(self: &Arc<Self>, set_by: Place, to: &OwnedAddress, content: Content) -> Sent {
        let to = match to {
            OwnedAddress::Pid(pid) => *pid,
            OwnedAddress::Name(name) => match self.registry.whereis(name) {
                Some(pid) => pid,
                None => {
                    discard(content);
                    return Sent::Over;
                }
            },
            OwnedAddress::NameOn(..) => return Sent::Far(content),
        };
        match self.try_send(self.sender(set_by), to, None, content) {
            Ok(()) => Sent::Over,
            Err(NotSent::Full(content)) => Sent::Full(content),
            Err(NotSent::NotConnected(_, content)) => Sent::Far(content),
            Err(why) => {
                lost(&OwnedAddress::Pid(to), &SendError::from_not_sent(why, to));
                Sent::Over
            }
        }
    }

    /// Sends once there is room and a link, as a process would.
    async fn send_later(self: &Arc<Self>, set_by: Place, to: &OwnedAddress, content: Content) {
        let cx = self.context(set_by);
        let sent = match cx.node.find(to.get()).await {
            Ok(pid) => cx.send_waiting(pid, None, content).await,
            Err(why) => Err(why),
        };
        if let Err(why) = sent {
            lost(to, &why);
        }
    }

    /// Who set a timer, as a sender; nobody, when it has ended.
    fn sender(&self, set_by: Place) -> Place {
        match self.held(set_by, |_| ()) {
            Some(()) => set_by,
            None => Place::NOBODY,
        }
    }

    /// What acts for who set a timer outside its turns.
    fn context(self: &Arc<Self>, set_by: Place) -> Context {
        let node = Node { inner: self.clone() };
        Context { node, place: self.sender(set_by), shared: Arc::new(Shared::default()) }
    }
}

fn lost(to: &OwnedAddress, why: &SendError) {
    tracing::warn!(?to, %why, "a timer's message is given up");
}

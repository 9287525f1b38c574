//! Who waits for whom (P6): what a process that has nothing to do waits for, and the circles in which processes
//! wait for each other.
//!
//! Nothing is noted while a process gets on. One that has to wait for room or a link notes it, in a list that most
//! never have; of a call the entry is there in any case, and of a receive only that there is one, at the end of the
//! turn.

mod cycles;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::stream::{FuturesUnordered, StreamExt};
use midflight_message::Pid;
use midflight_runtime::{Instant, timeout_at};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::node::Node;
use crate::peer::wire::Place;
use crate::scheduler::function::Arrived;
use crate::table::slot::Run;

/// What a process waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WaitKind {
    /// A message or a value that one of its receives takes.
    Message,
    /// Room in the mailbox of the process it sends to, or on the way there.
    Room,
    /// The answer to a call.
    Reply,
    /// A link to the node of the process it sends to.
    Link,
    /// The schema of a message's type, by whose rules it reads it.
    Schema,
}

/// Something that a process waits for, as of its last turn. (Where several things are awaited at once and one of them
/// has come, the others may count as waited for until the next turn.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Wait {
    /// What it is.
    pub kind: WaitKind,
    /// On whom; `None`: on nobody in particular, or on a process whose pid is not known yet.
    pub on: Option<Pid>,
    /// For how long, to some hundred microseconds; `None` where that is not noted.
    pub waited: Option<Duration>,
}

impl Wait {
    /// Something that is waited for now.
    #[must_use]
    pub const fn new(kind: WaitKind, on: Option<Pid>, waited: Option<Duration>) -> Self {
        Self { kind, on, waited }
    }
}

impl WaitKind {
    /// The kind in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Room => "room",
            Self::Reply => "reply",
            Self::Link => "link",
            Self::Schema => "schema",
        }
    }
}

/// What was begun to be waited for, as a process notes it.
#[derive(Debug)]
pub(crate) struct Begun {
    number: u64,
    kind: WaitKind,
    on: Pid,
    since: Instant,
}

/// A process waits as long as this is there.
pub(crate) struct Waiting<'a> {
    context: &'a Context,
    number: u64,
}

impl<'a> Waiting<'a> {
    /// Notes that the process waits.
    pub(crate) fn begin(context: &'a Context, kind: WaitKind, on: Pid) -> Self {
        let inner = &context.node.inner;
        let (number, since) = (inner.next(), inner.runtime.now());
        let begun = Begun { number, kind, on, since };
        context.shared.lock().aside().waits.push(begun);
        Self { context, number }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut arrived = self.context.shared.lock();
        if let Some(aside) = &mut arrived.aside {
            aside.waits.retain(|begun| begun.number != self.number);
        }
    }
}

impl Arrived {
    /// What the process waits for of others, in order, when it was polled so often.
    pub(crate) fn waits(&self, now: Instant, polls: u32) -> Vec<Wait> {
        let begun = self.aside.iter().flat_map(|aside| &aside.waits);
        let begun =
            begun.map(|begun| Wait::new(begun.kind, Some(begun.on), Some(now.since(begun.since))));
        let asked = self.calls.values().filter(|asked| asked.is_awaited(polls));
        let asked = asked.map(|asked| {
            // Who works for a call by a function's name is known to its node alone.
            let on = Some(asked.to).filter(|to| Place::of(*to) != Place::NOBODY);
            Wait::new(WaitKind::Reply, on, Some(now.since(asked.since)))
        });
        let mut waits: Vec<_> = begun.chain(asked).collect();
        waits.sort_unstable();
        waits
    }
}

/// Processes of other nodes that are asked whom they wait for, to find circles.
const ASKED_MAX: usize = 256;

impl Node {
    /// The circles in which processes wait for each other, of those that a process of this node is in, or waits for: the
    /// first waits for the second, and so on, the last for the first. Who waits for messages of anybody as well is in
    /// none. Of circles that share processes only some are found, and 64 in all at the most. A circle ends when the first
    /// of its waits does, at its deadline.
    ///
    /// As [`Node::metrics`], it looks at every process, apart. Of processes of other nodes at the most 256 are asked after, over
    /// links that there are, and what has not been answered within [`Limits::connect_timeout`](crate::Limits::connect_timeout)
    /// of all of them is not waited for.
    ///
    /// # Cancel safety
    /// A dropped future has changed nothing.
    pub async fn wait_cycles(&self) -> Vec<Vec<Pid>> {
        let (tell, told) = oneshot::channel();
        let node = self.clone();
        let look = move || drop(tell.send(node.waits_on()));
        self.inner.runtime.spawn_blocking("who waits for whom", Box::new(look));
        let mut edges = told.await.unwrap_or_default();
        self.follow(&mut edges).await;
        cycles::find(&edges)
    }

    /// Who waits for whom of this node's processes.
    fn waits_on(&self) -> Vec<(Pid, Pid)> {
        let inner = &self.inner;
        let now = inner.runtime.now();
        let mut edges = Vec::new();
        for (index, generation) in inner.table.pids() {
            let me = inner.local_pid(Place { index, generation });
            let Some(slot) = inner.table.slot(index).map(Mutex::lock) else { continue };
            let rests = slot.is(generation) && matches!(slot.run, Run::Idle | Run::Parked);
            let body = slot.body.as_ref().filter(|_| rests);
            let waits = body.map(|body| body.waits(now)).unwrap_or_default();
            drop(slot);
            edges.extend(edges_of(me, &waits));
        }
        edges
    }

    /// Adds whom the processes of other nodes wait for that are waited for, as far as that is known in time.
    async fn follow(&self, edges: &mut Vec<(Pid, Pid)>) {
        let inner = &self.inner;
        let deadline = inner.runtime.now() + inner.limits.connect_timeout;
        let (mut asked, mut next) = (BTreeSet::new(), 0);
        let mut answers = FuturesUnordered::new();
        loop {
            while let Some((_, pid)) = edges.get(next).copied() {
                next += 1;
                let is_far = pid.node != self.id() && inner.peer(pid.node).is_some();
                if is_far && asked.len() < ASKED_MAX && asked.insert(pid) {
                    answers.push(async move { (pid, self.info_of(pid).await) });
                }
            }
            match timeout_at(&*inner.runtime, deadline, answers.next()).await {
                Ok(Some((pid, Ok(info)))) => {
                    edges.extend(info.iter().flat_map(|info| edges_of(pid, &info.waits)));
                }
                Ok(Some((pid, Err(why)))) => {
                    tracing::debug!(%pid, %why, "whom it waits for is not known");
                }
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// Whom a process waits for that goes on by no other's message.
fn edges_of(me: Pid, waits: &[Wait]) -> impl Iterator<Item = (Pid, Pid)> {
    let is_free = waits.iter().any(|wait| wait.kind == WaitKind::Message);
    let on = waits.iter().filter(move |_| !is_free).filter_map(|wait| wait.on);
    on.map(move |on| (me, on))
}

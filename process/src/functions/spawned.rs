//! Starting a registered function as a process (P8): the side where it runs.
//!
//! The process is made at once and its first act is to read its argument, which may take asking for a
//! schema: so neither the link's reader nor any other process waits for that. What its spawner asked for
//! is set up between reading and running.

use std::num::NonZeroU32;
use std::sync::Arc;

use midflight_message::{NodeId, Pid};
use midflight_runtime::Instant;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::functions::{Entry, Given};
use crate::mailbox::envelope::{CallRef, Content, Refusal, Sender};
use crate::names::registry::{NAME_MAX, RegisterError};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::pending::Expected;
use crate::peer::wire::{Place, Signal};
use crate::roles::NotAllowed;
use crate::scheduler::body::{Body, Flow, Label};
use crate::scheduler::function::FunctionBody;
use crate::scheduler::turn::{Batch, Turn};
use crate::send::reply_to::{ReplyTo, read_when_known};
use crate::{ExitReason, MonitorRef, Unreceived, Wait};

/// A request to start a function, but for its argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpawnHead {
    /// The spawner's number for it.
    pub(crate) request: u64,
    /// The spawner.
    pub(crate) from: Place,
    /// The argument's type, by the spawner's number on the link.
    pub(crate) ty: u32,
    pub(crate) function: String,
    /// The name the process is to have.
    pub(crate) name: Option<String>,
    /// The spawner watches it.
    pub(crate) monitor: Option<MonitorRef>,
    /// The spawner is linked to it.
    pub(crate) link: bool,
    /// The spawner waits for its result.
    pub(crate) call: Option<CallRef>,
    /// The spawner is to have the sending end of its channel, for values of the type of this name.
    pub(crate) channel: Option<String>,
}

/// What the answer says of a function that runs, besides who it is: the port it was given.
pub(crate) type Port = Option<NonZeroU32>;

/// Why a function was not started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NotSpawned {
    NoFunction,
    Argument(Refusal),
    NotCallable,
    Full,
    NameTaken {
        name: String,
        owner: Pid,
    },
    BadName(u32),
    Aborted,
    NotAllowed(NotAllowed),
    /// It has no channel, or one for values of the type of this name.
    Channel(Option<String>),
}

/// A request that has come.
pub(crate) struct Request {
    pub(crate) from: Sender,
    pub(crate) head: SpawnHead,
    pub(crate) content: Content,
}

/// Who is to be told what became of a request. Told exactly once: dropped, it says `unless`.
pub(crate) struct Answer {
    inner: Arc<Inner>,
    to: Option<Spawner>,
    unless: NotSpawned,
}

enum Spawner {
    Here(Expected),
    There { peer: Arc<Peer>, spawner: Place, request: u64, weight: u32 },
}

impl Answer {
    pub(crate) const fn here(inner: Arc<Inner>, expected: Expected) -> Self {
        Self { inner, to: Some(Spawner::Here(expected)), unless: NotSpawned::Full }
    }

    /// For a request of `peer`'s; `None` when it has sent more than it may have under way.
    pub(crate) fn there(
        inner: Arc<Inner>,
        peer: Arc<Peer>,
        head: &SpawnHead,
        weight: u32,
    ) -> Option<Self> {
        if !peer.spawning.take(weight, crate::send::account::Window::of(&inner.limits)) {
            return None;
        }
        let (spawner, request) = (head.from, head.request);
        let to = Some(Spawner::There { peer, spawner, request, weight });
        Some(Self { inner, to, unless: NotSpawned::Full })
    }

    pub(crate) fn refuse(mut self, why: NotSpawned) {
        self.unless = why;
    }

    /// The process is about to run.
    fn accept(mut self, place: Place, port: Port) {
        self.tell(Ok((place, port)));
    }

    fn tell(&mut self, result: Result<(Place, Port), NotSpawned>) {
        match self.to.take() {
            None => {}
            Some(Spawner::Here(expected)) => {
                let result = result.map(|(place, port)| (self.inner.local_pid(place), port));
                self.inner.spawned(None, expected, result);
            }
            Some(Spawner::There { peer, spawner, request, weight }) => {
                peer.spawning.give(1, weight.into());
                let from = result.as_ref().map_or(Place::NOBODY, |(place, _)| *place);
                let result = result.map(|(_, port)| port);
                let signal = Signal::Spawned { to: spawner, from, request, result };
                self.inner.signal_pair(&peer, from, spawner, signal);
            }
        }
    }

    /// The spawner's link, when it is on another node.
    fn peer(&self) -> Option<Arc<Peer>> {
        match &self.to {
            Some(Spawner::There { peer, .. }) => Some(peer.clone()),
            _ => None,
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let unless = std::mem::replace(&mut self.unless, NotSpawned::Aborted);
        self.tell(Err(unless));
    }
}

impl Node {
    /// Starts what was asked for.
    pub(crate) fn start_function(&self, request: Request, mut answer: Answer) {
        let inner = &self.inner;
        let head = &request.head;
        if let Some(len) = [Some(&head.function), head.name.as_ref()]
            .into_iter()
            .flatten()
            .map(String::len)
            .find(|len| !(1..=NAME_MAX).contains(len))
        {
            return answer.refuse(NotSpawned::BadName(u32::try_from(len).unwrap_or(u32::MAX)));
        }
        let argument = match &request.content {
            Content::Value(value) => value.type_info().fingerprint(),
            Content::Bytes { ty, .. } => inner.types.entry(*ty).fingerprint,
        };
        let entries = inner.functions.find(&head.function, argument);
        if entries.is_empty() {
            return answer.refuse(NotSpawned::NoFunction);
        }
        let name = head.function.as_str().into();
        // Full: the answer says so when it is dropped.
        let _ = self.spawn_function(|context, shared| {
            answer.unless = NotSpawned::Aborted;
            let running = Box::pin(run(context, entries, request, answer));
            Box::new(Started { body: FunctionBody::new("", running, shared), name })
        });
    }
}

/// The life of a process that was started by name.
async fn run(
    context: Context,
    entries: Vec<Arc<Entry>>,
    request: Request,
    answer: Answer,
) -> ExitReason {
    let Request { from, head, content } = request;
    let inner = context.node.inner.clone();
    let (entry, argument) = match choose(&inner, entries, content, inner.pid_node(from)).await {
        Ok(chosen) => chosen,
        Err(refusal) => {
            answer.refuse(NotSpawned::Argument(refusal));
            return ExitReason::Normal;
        }
    };
    if head.call.is_some() && !entry.callable {
        answer.refuse(NotSpawned::NotCallable);
        return ExitReason::Normal;
    }
    if head.channel.is_some() && head.channel.as_deref() != entry.channel {
        answer.refuse(NotSpawned::Channel(entry.channel.map(str::to_owned)));
        return ExitReason::Normal;
    }
    if let Some(name) = &head.name
        && let Err(error) = context.register(name)
    {
        answer.refuse(match error {
            RegisterError::Taken { name, owner } => NotSpawned::NameTaken { name, owner },
            _ => NotSpawned::Aborted,
        });
        return ExitReason::Normal;
    }
    let peer = answer.peer();
    let watch = |monitor| inner.watched_by(peer.as_ref(), context.place, from, monitor, 0);
    let watched = head.monitor.is_none_or(watch);
    if !watched || head.link && !inner.link_came(context.place, from, peer.as_ref()) {
        answer.refuse(NotSpawned::Aborted);
        return ExitReason::Normal;
    }
    let (mut given, mut port) = (Given::Nothing, None);
    if let Some(call) = head.call {
        given = Given::Caller(ReplyTo::new(&context, from, call));
    } else if entry.channel.is_some() {
        // Open before anybody hears of it.
        let number = context.open_port();
        (given, port) = (Given::Port(number), NonZeroU32::new(number));
    }
    let working = head.call.is_some().then(|| Working::begin(peer, context.place)).flatten();
    if working.as_ref().is_some_and(|working| !working.is_wanted) {
        return ExitReason::NoConnection("the link to its caller's node was lost".into());
    }
    answer.accept(context.place, port);
    let reason = entry.start(context, argument, given).await;
    drop(working);
    reason
}

/// The first function that can read the argument, with the argument; the reason why the first cannot,
/// where none can.
async fn choose(
    inner: &Arc<Inner>,
    entries: Vec<Arc<Entry>>,
    mut content: Content,
    from: NodeId,
) -> Result<(Arc<Entry>, Box<dyn std::any::Any + Send>), Refusal> {
    let mut first = None;
    for entry in entries {
        match read_when_known(inner, from, content, |content| entry.read(inner, content)).await {
            Ok(argument) => return Ok((entry, argument)),
            Err((given_back, refusal)) => {
                content = given_back;
                first.get_or_insert(refusal);
            }
        }
    }
    Err(first.unwrap_or(Refusal::NoProcess))
}

/// A process that works for a caller on another node: it is ended when the link to there is lost.
struct Working {
    peer: Arc<Peer>,
    place: Place,
    is_wanted: bool,
}

impl Working {
    /// `None`: the caller is here, and sees to it itself.
    fn begin(peer: Option<Arc<Peer>>, place: Place) -> Option<Self> {
        let peer = peer?;
        let is_wanted = peer.pending.add_worker(place);
        Some(Self { peer, place, is_wanted })
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.peer.pending.remove_worker(self.place);
    }
}

/// A function process that is called what its function is.
struct Started {
    body: FunctionBody,
    name: Arc<str>,
}

impl Body for Started {
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        self.body.turn(batch, turn)
    }

    fn is_quiescent(&self) -> bool {
        self.body.is_quiescent()
    }

    fn label(&self) -> Label {
        Label::new(&*self.name, 0)
    }

    fn unreceived(&self, is_old: &dyn Fn(Instant) -> bool) -> Vec<Unreceived> {
        self.body.unreceived(is_old)
    }

    fn waits(&self, now: Instant) -> Vec<Wait> {
        self.body.waits(now)
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

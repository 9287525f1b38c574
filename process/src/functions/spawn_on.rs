//! Starting a registered function as a process, here or on another node (P8): the asking side.
//!
//! The request goes as a frame of its own, under credit as messages do, so that many large arguments
//! fill neither the link nor the other node. The answer comes on the lane of child and spawner: nothing
//! that the child does overtakes it.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use midflight_message::{Encoding, Message, NodeId, Pid};
use midflight_runtime::{Instant, timeout_at};

use crate::MonitorRef;
use crate::context::Context;
use crate::functions::Function;
use crate::functions::spawn_error::SpawnOnError;
use crate::functions::spawned::{Answer, NotSpawned, Port, Request, SpawnHead};
use crate::mailbox::envelope::{CallRef, Content, encoded_weight};
use crate::mailbox::value::Value;
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::pending::Expected;
use crate::peer::wire::{Place, put_spawn};
use crate::send::stage::{self, Charge, NotStaged, stage};
use crate::send::{SMALL_MAX, local};
use crate::types::TypeNo;

/// How a registered function is to be started.
#[derive(Debug, Clone, Default)]
#[must_use = "options do nothing until something is started with them"]
pub struct SpawnOptions {
    linked: bool,
    monitored: bool,
    name: Option<String>,
    timeout: Option<Duration>,
}

impl SpawnOptions {
    /// Neither linked nor monitored nor named, within the node's `spawn_timeout`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The process is linked to its spawner from before it runs; see [`Context::link`]. Whoever stops
    /// waiting for its start ends it.
    pub const fn linked(mut self) -> Self {
        self.linked = true;
        self
    }

    /// The spawner watches the process from before it runs.
    pub const fn monitored(mut self) -> Self {
        self.monitored = true;
        self
    }

    /// The process has this name on its node before it runs.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long all of it may take: the link, the request and the answer.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// A process that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spawned {
    /// The process.
    pub pid: Pid,
    /// The monitor, if one was asked for.
    pub monitor: Option<MonitorRef>,
}

impl Context {
    /// Starts a registered function as a process on `node`, which may be this one, and answers once it
    /// runs. Makes a link where there is none.
    ///
    /// # Errors
    /// See [`SpawnOnError`]. After `Lost` and `TimedOut` the process may run all the same.
    ///
    /// # Cancel safety
    /// After a future was dropped the process may run; nothing of it comes to this one.
    pub async fn spawn_on<A: Message, R>(
        &self,
        node: NodeId,
        function: Function<A, R>,
        argument: A,
    ) -> Result<Pid, SpawnOnError> {
        let spawned = self.spawn_on_with(node, function, argument, SpawnOptions::new()).await?;
        Ok(spawned.pid)
    }

    /// As [`Context::spawn_on`], with options. What they ask for is there before the function runs.
    ///
    /// # Errors
    /// See [`SpawnOnError`].
    ///
    /// # Cancel safety
    /// As [`Context::spawn_on`].
    pub async fn spawn_on_with<A: Message, R>(
        &self,
        node: NodeId,
        function: Function<A, R>,
        argument: A,
        options: SpawnOptions,
    ) -> Result<Spawned, SpawnOnError> {
        let order = Order::new(&self.node, self.place, node, function.name(), options);
        Ok(Box::pin(order.carry_out(Box::new(argument))).await?.0)
    }
}

impl Node {
    /// As [`Context::spawn_on`], from outside any process.
    ///
    /// # Errors
    /// See [`SpawnOnError`].
    ///
    /// # Cancel safety
    /// After a future was dropped the process may run.
    pub async fn spawn_on<A: Message, R>(
        &self,
        node: NodeId,
        function: Function<A, R>,
        argument: A,
    ) -> Result<Pid, SpawnOnError> {
        let options = SpawnOptions::new();
        let order = Order::new(self, Place::NOBODY, node, function.name(), options);
        Ok(Box::pin(order.carry_out(Box::new(argument))).await?.0.pid)
    }
}

/// What is to be started, where, and for whom.
pub(crate) struct Order<'a> {
    here: &'a Node,
    node: NodeId,
    head: SpawnHead,
    after: Duration,
    pub(crate) deadline: Instant,
}

impl<'a> Order<'a> {
    pub(crate) fn new(
        here: &'a Node,
        from: Place,
        node: NodeId,
        function: &str,
        options: SpawnOptions,
    ) -> Self {
        let SpawnOptions { linked, monitored, name, timeout } = options;
        let inner = &here.inner;
        let after = timeout.unwrap_or(inner.limits.spawn_timeout);
        let monitor = monitored.then(|| MonitorRef(inner.next()));
        let function = function.to_owned();
        let head = SpawnHead {
            request: inner.next(),
            from,
            ty: 0,
            function,
            name,
            monitor,
            link: linked,
            call: None,
            channel: None,
        };
        Self { here, node, head, after, deadline: inner.runtime.now() + after }
    }

    /// The process is to answer this call.
    pub(crate) const fn answering(mut self, call: CallRef) -> Self {
        self.head.call = Some(call);
        self
    }

    /// The process's channel for values of the type of this name is wanted.
    pub(crate) fn with_channel(mut self, values: &str) -> Self {
        self.head.channel = Some(values.to_owned());
        self
    }

    pub(crate) async fn carry_out(
        mut self,
        argument: Box<dyn Value>,
    ) -> Result<(Spawned, Port), SpawnOnError> {
        let (inner, node, after) = (&self.here.inner, self.node, self.after);
        let deadline = self.deadline;
        let function = self.head.function.clone();
        let monitor = self.head.monitor;
        let told = async {
            let waiting = if node == inner.id {
                self.ask_here(argument)
            } else {
                self.ask_there(argument).await?
            };
            Ok(waiting.answer().await)
        };
        let told = timeout_at(&*inner.runtime, deadline, told);
        match told.await.map_err(|_elapsed| SpawnOnError::TimedOut { node, after })?? {
            Some(Ok((pid, port))) => Ok((Spawned { pid, monitor }, port)),
            Some(Err(why)) => Err(SpawnOnError::new(node, &function, why)),
            None => Err(SpawnOnError::Lost(node)),
        }
    }

    fn ask_here(&self, argument: Box<dyn Value>) -> Waiting {
        let (expected, waiting) = self.expect(0);
        let from = local(self.head.from);
        let request = Request { from, head: self.head.clone(), content: Content::Value(argument) };
        self.here.start_function(request, Answer::here(self.here.inner.clone(), expected));
        waiting
    }

    /// What is waited for here, and those who wait.
    fn expect(&self, weight: u32) -> (Expected, Waiting) {
        let (tell, told) = oneshot::channel();
        let SpawnHead { from: spawner, monitor, link, call, .. } = self.head;
        let owned = link || call.is_some();
        let expected = Expected { spawner, monitor, owned, link, weight, tell };
        let inner = self.here.inner.clone();
        (expected, Waiting { inner, told, spawner, monitor, owned })
    }

    async fn ask_there(&mut self, argument: Box<dyn Value>) -> Result<Waiting, SpawnOnError> {
        let (inner, node) = (&self.here.inner, self.node);
        let unreachable = |why: String| SpawnOnError::Unreachable { node, why };
        let connected = self.here.connect_node(node).await;
        connected.map_err(|why| unreachable(why.to_string()))?;
        let peer = inner.peer(node).ok_or_else(|| unreachable("the link was lost".into()))?;
        let ty = inner.types.intern_static(argument.type_info());
        let ty = ty.map_err(|_too_many| SpawnOnError::TooManyTypes)?;
        self.head.ty = ty.0;
        let mut bytes = Vec::new();
        argument.encode(&mut bytes).map_err(SpawnOnError::Encode)?;
        let argument = Bytes::from(bytes);
        // Registered first, tried again after: room made in between is not missed.
        let mut entered = None;
        std::future::poll_fn(|cx| {
            let mut tried = self.try_ask(&peer, ty, &argument);
            if matches!(tried, Ok(None)) {
                let credit = peer.accounts.of(Place::NOBODY).wait(cx.waker());
                entered = Some([peer.wait_for_room(cx.waker()), credit]);
                tried = self.try_ask(&peer, ty, &argument);
            }
            match tried {
                Ok(Some(waiting)) => Poll::Ready(Ok(waiting)),
                Ok(None) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }

    /// Sends the request. `None`: there is no room for it now.
    fn try_ask(
        &self,
        peer: &Arc<Peer>,
        ty: TypeNo,
        argument: &Bytes,
    ) -> Result<Option<Waiting>, SpawnOnError> {
        let inner = &self.here.inner;
        let mut head = Vec::new();
        put_spawn(&mut head, &self.head);
        let uncharged = head.len();
        let (expected, waiting) = self.expect(encoded_weight(argument.len()));
        let request = self.head.request;
        let added = peer.pending.add_spawn(request, expected)
            && self.head.call.is_none_or(|call| peer.pending.add_call(call, self.head.from));
        if !added {
            return Err(SpawnOnError::Lost(self.node));
        }
        let large = (argument.len() > SMALL_MAX).then(|| argument.clone());
        let mut put = |into: &mut Encoding| {
            let buffer = into.buffer();
            buffer.extend_from_slice(&head);
            if large.is_none() {
                buffer.extend_from_slice(argument);
            }
            Ok(())
        };
        let staged = stage(
            inner,
            peer,
            stage::Request {
                lane: peer.lane(self.head.from, Place::NOBODY),
                ty: Some(ty),
                credit: Some(Charge { process: Place::NOBODY, head: uncharged }),
                large: large.clone(),
                context: None,
                behalf: None,
                head: &mut put,
            },
        );
        if staged.is_err() {
            peer.pending.take_spawn(request, self.head.from);
            self.head.call.map(|call| peer.pending.take_call(call));
        }
        match staged {
            Ok(()) => Ok(Some(waiting)),
            Err(NotStaged::Full) => Ok(None),
            Err(NotStaged::TooLarge { max }) => Err(SpawnOnError::TooLarge { max }),
            Err(NotStaged::Encode(error)) => Err(SpawnOnError::Encode(error)),
        }
    }
}

/// Somebody waits for an answer. Whoever stops waiting gives up what was asked for.
struct Waiting {
    inner: Arc<Inner>,
    told: oneshot::Receiver<Result<(Pid, Port), NotSpawned>>,
    spawner: Place,
    monitor: Option<MonitorRef>,
    owned: bool,
}

impl Waiting {
    /// `None`: the link was lost.
    async fn answer(mut self) -> Option<Result<(Pid, Port), NotSpawned>> {
        (&mut self.told).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.told.close();
        // The answer may lie there already: then nobody else sees to it.
        if let Ok(Some(Ok((child, _)))) = self.told.try_recv() {
            self.inner.abandon(self.spawner, child, self.monitor, self.owned);
        }
    }
}

impl Inner {
    /// A peer says what became of a request.
    pub(crate) fn spawn_answered(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        (spawner, child): (Place, Place),
        request: u64,
        result: Result<Port, NotSpawned>,
    ) {
        // Only who was asked may answer, and only once.
        if let Some(expected) = peer.pending.take_spawn(request, spawner) {
            let Place { index, generation } = child;
            let result = result.map(|port| (Pid { node: peer.id, index, generation }, port));
            self.spawned(Some(peer), expected, result);
        }
    }

    /// The answer to a request is here: what was asked for is set up before anybody hears of it.
    pub(crate) fn spawned(
        self: &Arc<Self>,
        peer: Option<&Arc<Peer>>,
        expected: Expected,
        result: Result<(Pid, Port), NotSpawned>,
    ) {
        let Expected { spawner, monitor, owned, link, weight, tell } = expected;
        if let Some(peer) = peer {
            peer.accounts.give(Place::NOBODY, 1, weight);
        }
        if let (Ok((child, _)), Some(monitor)) = (&result, monitor) {
            self.monitor_spawned(peer, spawner, *child, monitor);
        }
        if let Ok((child, _)) = &result
            && link
        {
            let child = Place::of(*child);
            let child = peer.map_or_else(|| local(child), |peer| peer.sender(child));
            self.link_spawned(spawner, child, peer);
        }
        if let Err(Ok((child, _))) = tell.send(result) {
            self.abandon(spawner, child, monitor, owned);
        }
    }

    /// Nobody waits for this child any more: it is not watched, and one that belongs to its spawner is
    /// ended.
    fn abandon(
        self: &Arc<Self>,
        spawner: Place,
        child: Pid,
        monitor: Option<MonitorRef>,
        owned: bool,
    ) {
        if let Some(monitor) = monitor {
            self.demonitor(spawner, monitor);
        }
        if owned {
            // Its end is no news for its spawner.
            self.unlink(spawner, child);
            self.kill(spawner, child, "nobody waits for it any more".into());
        }
    }
}

//! What a body does in its turn: the process layer's face towards hosted behaviours, whose messages
//! are bytes.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use midflight_message::{Address, Mismatch, NodeId, Pid, TypeInfo};
use midflight_runtime::{Instant, spawn};
use parking_lot::Mutex;

use crate::events::{EventKinds, Happened};
use crate::letters::unread::refuse;
use crate::mailbox::envelope::{CallRef, Content, Refusal};
use crate::node::Node;
use crate::peer::wire::Place;
use crate::receive::{Unread, encoded};
use crate::scheduler::runner::bury_unborn;
use crate::scheduler::turn::{Caller, Origin, Turn, View};
use crate::send::{NotSent, Route, SMALL_MAX, local};
use crate::table::slot::Run;
use crate::timers::expiry::What;
use crate::trace;
use crate::types::TypeNo;
use crate::{Body, SpawnError, TimerError, TimerRef, Undelivered};

/// Why a body's message was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unsent {
    /// The receiver has no room now: [`Turn::wait_for_room`].
    Full,
    /// There is no link to the receiver's node: [`Turn::connect`].
    NotConnected(NodeId),
    /// It can never be sent, with the reason.
    Never(String),
    /// The receiver has said before that it cannot read messages of this type.
    Incompatible(Box<Mismatch>),
}

/// What a body may know of a writer's type.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Written {
    /// All of it.
    Known(Arc<TypeInfo>),
    /// Its schema is on its way; the process is woken when it has come, or cannot be had.
    Later,
    /// Its schema cannot be had.
    Unavailable,
}

impl Turn<'_> {
    /// A type's name and version.
    #[must_use]
    pub fn type_name(&self, ty: TypeNo) -> (Arc<str>, u32) {
        let entry = self.node.inner.types.entry(ty);
        (entry.name.clone(), entry.version)
    }

    /// The whole of the type of something from `origin`, if need be from the node that has sent it here.
    pub fn written(&mut self, origin: Origin, ty: TypeNo) -> Written {
        let inner = self.node.inner.clone();
        if let Some(info) = inner.types.entry(ty).info() {
            return Written::Known(info.clone());
        }
        if !inner.request_schema(origin.via, ty) {
            return Written::Unavailable;
        }
        let waker = self.waker();
        // Asked after: what was decided in between is not missed.
        let waits = inner.types.wait_for_schema(ty, &waker) && inner.request_schema(origin.via, ty);
        if !waits {
            waker.wake();
        }
        Written::Later
    }

    /// A view as bytes: a moved value is encoded. `None` when it does not encode.
    #[must_use]
    pub fn encoded<'v>(&self, view: View<'v>) -> Option<View<'v>> {
        match view {
            View::Value(value) => encoded(&self.node.inner, &*value).map(Into::into),
            other => Some(other),
        }
    }

    /// The pid behind an origin; `None` for a sender outside any process.
    #[must_use]
    pub fn pid(&self, origin: Origin) -> Option<Pid> {
        self.node.inner.pid(origin.of)
    }

    /// Sends an encoded message, or with `call` a request, if there is room.
    ///
    /// # Errors
    /// See [`Unsent`].
    pub fn try_send(
        &mut self,
        to: Pid,
        ty: TypeNo,
        payload: &[u8],
        call: Option<CallRef>,
    ) -> Result<(), Unsent> {
        let inner = &self.node.inner;
        let route = inner.route_to_send(self.place, to);
        match &route {
            Route::Local(place)
                if call.is_none() && payload.len() <= SMALL_MAX && !trace::is_on() =>
            {
                if let Some(mismatch) = inner.known_refusal(&inner.refused, *place, ty) {
                    return Err(Unsent::Incompatible(mismatch));
                }
                let room = inner.room();
                let message = (local(self.place), ty, payload);
                let table = &inner.table;
                return match table.deliver_small(place.index, place.generation, message, room) {
                    Some(Err(_no_room)) => Err(Unsent::Full),
                    Some(Ok(true)) => {
                        inner.queues.push(place.index);
                        Ok(())
                    }
                    // A dead process's messages go nowhere.
                    Some(Ok(false)) | None => Ok(()),
                };
            }
            Route::Remote(peer, _) => inner.behaviour_sends(self.place, peer, call.is_some()),
            _ => {}
        }
        let content = Content::Bytes { ty, bytes: Bytes::copy_from_slice(payload) };
        inner.send_by(route, self.place, call, content).map_err(|error| match error {
            NotSent::Full(_) => Unsent::Full,
            NotSent::NotConnected(node, _) => Unsent::NotConnected(node),
            NotSent::Disconnected(_) => Unsent::Never(
                "a link was lost, and what may be lost with it is not accepted".into(),
            ),
            NotSent::TooLarge { max } => {
                Unsent::Never(format!("it is larger than {max} bytes, the transport's limit"))
            }
            NotSent::Encode(error) => Unsent::Never(error.to_string()),
            NotSent::TooManyTypes => Unsent::Never("the node knows too many types".into()),
            NotSent::Incompatible(mismatch) => Unsent::Incompatible(mismatch),
            NotSent::Closed(_) => Unsent::Never("the port is closed".into()),
        })
    }

    /// Tells this process that a message of its was not sent to `to`, as that one cannot read it.
    pub fn tell_undelivered(&mut self, to: Pid, mismatch: Box<Mismatch>) {
        let notice = Undelivered::new(to, &Refusal::Incompatible(mismatch));
        self.node.inner.notify(local(self.place), self.place, Box::new(notice));
    }

    /// A number for a call of this process's.
    #[must_use]
    pub fn next_call(&self) -> CallRef {
        self.node.inner.next_call()
    }

    /// Replies to a caller. Never waits.
    pub fn reply(&mut self, to: Caller, ty: TypeNo, payload: &[u8]) {
        let bytes = Bytes::copy_from_slice(payload);
        let content = Content::Bytes { ty, bytes };
        self.node.inner.reply(self.place, to.from, to.call, Ok(content));
    }

    /// Tells a caller that there is no reply, and why.
    pub fn abort(&mut self, to: Caller, reason: String) {
        let refusal = Refusal::Aborted { reason };
        self.node.inner.reply(self.place, to.from, to.call, Err(refusal));
    }

    /// Refuses a message: its sender is told, it becomes a dead letter.
    pub fn refuse(
        &mut self,
        origin: Origin,
        caller: Option<Caller>,
        content: View<'_>,
        refusal: Refusal,
    ) {
        let content = match content {
            View::Value(value) => Content::Value(value),
            View::Bytes(ty, bytes) => Content::Bytes { ty, bytes: Bytes::copy_from_slice(bytes) },
            View::Large(ty, bytes) => Content::Bytes { ty, bytes },
        };
        let unread = Unread { from: origin.of, caller, content, reader: None };
        refuse(&self.node.inner, self.place, unread, refusal);
    }

    /// Gives this process another turn once `to` may have room.
    pub fn wait_for_room(&mut self, to: Pid) {
        let waker = self.waker();
        let inner = &self.node.inner;
        let entered = inner.wait_for_room(self.place, to, &waker);
        let slot = inner.table.slot(self.place.index).map(Mutex::lock);
        // What it waited for before is dropped when no lock is held.
        let before = slot.map(|mut slot| slot.rare().waits_for_room.replace(entered));
        drop(before);
    }

    /// Makes a link to `node`, and gives this process another turn when that is done or has failed.
    pub fn connect(&mut self, node: NodeId) {
        let (waker, here) = (self.waker(), self.node.clone());
        spawn(&self.node.inner.runtime, "connect for a process", async move {
            if let Err(error) = here.connect_node(node).await {
                tracing::warn!(%node, %error, "no link");
            }
            waker.wake();
        });
    }

    /// Gives this process another turn at `deadline`. It may have one earlier, for an earlier deadline or
    /// for nothing, and then asks again.
    pub fn wake_at(&mut self, deadline: Instant) {
        self.node.inner.wake_at(self.place, deadline);
    }

    /// Sends `to` an encoded message after `delay`; see
    /// [`Context::send_after`](crate::Context::send_after). The timer's number is the process's choice, and
    /// none that one of its timers has; `None`: the node's.
    ///
    /// # Errors
    /// See [`TimerError`].
    pub fn send_after(
        &mut self,
        number: Option<NonZeroU64>,
        delay: Duration,
        to: Address<'_>,
        (ty, payload): (TypeNo, &[u8]),
    ) -> Result<(), TimerError> {
        let inner = &self.node.inner;
        let me = self.me();
        let timer =
            number.map_or_else(|| inner.new_timer(me), |number| TimerRef::new(me, number.get()));
        if inner.read_timer(timer).is_some() {
            return Err(TimerError::InUse);
        }
        let what = What::Send(Content::Bytes { ty, bytes: Bytes::copy_from_slice(payload) });
        inner.set_named_timer(timer, delay, to.into(), what)
    }

    /// Cancels a timer; see [`Context::cancel_timer`](crate::Context::cancel_timer).
    pub fn cancel_timer(&mut self, timer: TimerRef) {
        self.node.inner.cancel_timer(timer);
    }
}

impl Node {
    /// The number of a type; `None` when the node knows as many types as it may.
    #[must_use]
    pub fn type_no(&self, info: &TypeInfo) -> Option<TypeNo> {
        self.inner.types.intern(info).ok()
    }

    /// A call is not waited for any more; a reply that comes all the same is dropped.
    pub fn forget_call(&self, to: Pid, call: CallRef) {
        if let Route::Remote(peer, _) = self.inner.route(to) {
            peer.pending.take_call(call);
        }
    }

    /// Tells a caller that there is no reply, and why.
    pub fn refuse_call(&self, caller: Caller, refusal: Refusal) {
        self.inner.reply(Place::NOBODY, caller.from, caller.call, Err(refusal));
    }

    /// A pid for a process that is to come. Messages to it wait until [`Node::fill`] gives it a
    /// body; [`Node::unreserve`] gives it up.
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn reserve(&self) -> Result<Pid, SpawnError> {
        let (index, generation) = self.inner.table.reserve().map_err(|_full| SpawnError)?;
        Ok(self.inner.local_pid(Place { index, generation }))
    }

    /// Starts the process of a reserved pid. Answers false when the pid is not reserved.
    pub fn fill(&self, pid: Pid, body: Box<dyn Body>) -> bool {
        if self.inner.events.wants(EventKinds::PROCESSES) && self.is_reserved(pid) {
            // First: a process may end before its start was told else.
            let name = body.label().name;
            self.inner.event(EventKinds::PROCESSES, || Happened::Spawned { pid, name });
        }
        let filled = pid.node == self.inner.id
            && self.inner.table.fill(pid.index, pid.generation, body, Run::Queued);
        if filled {
            self.inner.queues.push(pid.index);
        }
        filled
    }

    fn is_reserved(&self, pid: Pid) -> bool {
        let slot = self.inner.table.slot(pid.index).filter(|_| pid.node == self.inner.id);
        slot.map(Mutex::lock)
            .is_some_and(|slot| slot.is(pid.generation) && slot.run == Run::Reserved)
    }

    /// Gives a reserved pid up: messages to it go nowhere, its calls are refused, its watchers are
    /// told that there is no such process. A pid that is not reserved stays as it is.
    pub fn unreserve(&self, pid: Pid) {
        let place = Place::of(pid);
        let slot = self.inner.table.slot(place.index).filter(|_| pid.node == self.inner.id);
        let Some(slot) = slot else { return };
        {
            let mut slot = slot.lock();
            if !slot.is(place.generation) || slot.run != Run::Reserved {
                return;
            }
            // From here on nobody can fill it, and nobody else gives it up.
            slot.run = Run::Running;
        }
        if let Some(slot) = self.inner.table.remove(place.index, place.generation) {
            bury_unborn(&self.inner, place, slot);
        }
    }
}

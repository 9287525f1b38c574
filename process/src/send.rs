//! Sending: the one way by which anything leaves a process.
//!
//! A pid's place is looked up; a local receiver's mailbox takes the value itself, a remote one gets
//! it encoded on the lane of the pair.

pub(crate) mod account;
pub(crate) mod buffers;
mod moved;
mod parts;
pub(crate) mod remote;
mod reply;
pub(crate) mod reply_to;
pub(crate) mod stage;

use std::sync::Arc;
use std::task::Waker;

use midflight_message::{EncodeError, Mismatch, NodeId, Pid};
use parking_lot::Mutex;

use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::node::inner::Inner;
use crate::peer::wire::{
    CALL_HEAD, MESSAGE_HEAD, PORT_HEAD, Place, Signal, put_call, put_message, put_port,
};
use crate::peer::{Peer, WriteOutcome};
use crate::table::{NotDelivered, Room};
use crate::trace::{self, TraceContext};
use crate::types::TypeNo;
use crate::waiters::Entry;

/// Payloads up to this size are copied into mailboxes and batches; larger ones go by reference.
pub(crate) const SMALL_MAX: usize = 4 * 1_024;

/// What a moved value counts against the bounds of a mailbox.
pub(crate) const MOVED_WEIGHT: (u32, u32) = (1, 64);

/// Why something cannot be sent now; the content is given back where it can be sent later.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// The receiver has no room.
    Full(Content),
    /// There is no link to the receiver's node.
    NotConnected(NodeId, Content),
    /// The sender has not accepted that what it sent there before may be lost.
    Disconnected(Content),
    TooLarge {
        max: usize,
    },
    Encode(EncodeError),
    TooManyTypes,
    /// The receiver has said that it cannot read this type.
    Incompatible(Box<Mismatch>),
    /// The receiver has no such port.
    Closed(Content),
}

/// As what a content is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    /// A request that wants a reply.
    Call(CallRef),
    /// A value for a port of the receiver's; a moved one is a [`Ported`](crate::mailbox::value::Ported).
    Port(u32),
}

impl Kind {
    /// Bytes of its frame's head.
    pub(crate) const fn head(self) -> usize {
        match self {
            Self::Message => MESSAGE_HEAD,
            Self::Call(_) => CALL_HEAD,
            Self::Port(_) => PORT_HEAD,
        }
    }

    /// Appends that head. `ty` is the type's number on this node.
    pub(crate) fn put(self, buffer: &mut Vec<u8>, to: Place, from: Place, ty: u32) {
        match self {
            Self::Message => put_message(buffer, to, from, ty),
            Self::Call(call) => put_call(buffer, to, from, ty, call),
            Self::Port(port) => put_port(buffer, to, from, ty, port),
        }
    }
}

impl From<Option<CallRef>> for Kind {
    fn from(call: Option<CallRef>) -> Self {
        call.map_or(Self::Message, Self::Call)
    }
}

/// Who waits for room for a process, wherever on the way it may be missing.
pub(crate) type RoomWait = [Option<Entry>; 3];

/// The way to a process.
pub(crate) enum Route {
    Local(Place),
    Remote(Arc<Peer>, Place),
    NotConnected(NodeId),
}

impl Inner {
    /// Puts an entry into a local mailbox and sees that the process runs. A dead process's
    /// messages go nowhere, as in Erlang; its calls are refused.
    #[inline]
    pub(crate) fn deliver(
        self: &Arc<Self>,
        to: Place,
        entry: Envelope,
        room: Option<Room>,
    ) -> Result<(), NotDelivered> {
        let queue = self.table.deliver(to.index, to.generation, entry, room)?;
        if queue {
            self.queues.push(to.index);
        }
        Ok(())
    }

    /// As [`Inner::deliver`], with the context it is sent under, if there is one.
    #[inline]
    pub(crate) fn deliver_under(
        self: &Arc<Self>,
        context: Option<TraceContext>,
        to: Place,
        entry: Envelope,
        room: Option<Room>,
    ) -> Result<(), NotDelivered> {
        let Some(context) = context else { return self.deliver(to, entry, room) };
        let place = (to.index, to.generation);
        if self.table.deliver_marked(place, context, entry, room)? {
            self.queues.push(to.index);
        }
        Ok(())
    }

    /// What a sender on this node may leave in one mailbox.
    pub(crate) const fn room(&self) -> Room {
        Room { messages: self.limits.mailbox_messages, bytes: self.limits.mailbox_bytes }
    }

    /// Sends a message, a request or a value for a port, if the receiver has room.
    pub(crate) fn try_send(
        self: &Arc<Self>,
        from: Place,
        to: Pid,
        kind: impl Into<Kind>,
        content: Content,
    ) -> Result<(), NotSent> {
        self.send_by(self.route_to_send(from, to), from, kind, content)
    }

    /// As [`Inner::try_send`], by a way that has been looked up.
    pub(crate) fn send_by(
        self: &Arc<Self>,
        route: Route,
        from: Place,
        kind: impl Into<Kind>,
        content: Content,
    ) -> Result<(), NotSent> {
        let kind = kind.into();
        match route {
            Route::Local(place) => self.send_local(from, place, kind, content),
            Route::Remote(peer, place) => self.send_remote(from, &peer, place, kind, content),
            Route::NotConnected(node) if self.has_lost(from, node) => {
                Err(NotSent::Disconnected(content))
            }
            Route::NotConnected(node) => Err(NotSent::NotConnected(node, content)),
        }
    }

    fn send_local(
        self: &Arc<Self>,
        from: Place,
        to: Place,
        kind: Kind,
        content: Content,
    ) -> Result<(), NotSent> {
        if !self.refused.is_empty()
            && let Some(ty) = self.type_of(&content)
            && let Some(mismatch) = self.known_refusal(&self.refused, to, ty)
        {
            return Err(NotSent::Incompatible(mismatch));
        }
        let context = trace::outgoing(self);
        let named = context.and_then(|_| trace::name_of(self, &content));
        let entry = entry(local(from), kind, content);
        let delivered = match kind {
            // A traced one is refused by its receiver, should its port be closed.
            Kind::Port(port) if context.is_none() => {
                match self.table.deliver_value(to, port, entry, Some(self.room())) {
                    Ok(Err(closed)) => return Err(NotSent::Closed(content_of(closed))),
                    Ok(Ok(queue)) => {
                        if queue {
                            self.queues.push(to.index);
                        }
                        Ok(())
                    }
                    Err(not) => Err(not),
                }
            }
            _ => self.deliver_under(context, to, entry, Some(self.room())),
        };
        match delivered {
            Ok(()) => {
                trace::sent(self, context, self.local_pid(to), named);
                Ok(())
            }
            Err(NotDelivered::Full(entry)) => Err(NotSent::Full(content_of(entry))),
            Err(NotDelivered::Dead(_)) => {
                if let Kind::Call(call) = kind {
                    self.reply(to, local(from), call, Err(Refusal::NoProcess));
                }
                Ok(())
            }
        }
    }

    /// Sends a signal on the control lane.
    pub(crate) fn signal(self: &Arc<Self>, peer: &Arc<Peer>, signal: &Signal) {
        if peer.signal(signal) == WriteOutcome::KeptFirst {
            self.write_kept_later(peer.clone());
        }
    }

    /// Wakes `waker` once `to` may have room, for as long as the answer is kept. Whoever calls this tries once more
    /// after: what came before is not told.
    pub(crate) fn wait_for_room(&self, from: Place, to: Pid, waker: &Waker) -> RoomWait {
        match self.route_from(from, to) {
            Route::Local(place) => {
                let slot = self.table.slot(place.index).map(Mutex::lock);
                let slot = slot.filter(|slot| slot.is(place.generation));
                if let Some(mut slot) = slot {
                    return [Some(slot.rare().room.enter(waker)), None, None];
                }
            }
            // Either may be what is missing: the link's room, or the process's credit.
            Route::Remote(peer, place) => {
                let [process, together] = peer.accounts.wait(place, waker);
                return [Some(peer.wait_for_room(waker)), Some(process), Some(together)];
            }
            Route::NotConnected(_) => {}
        }
        waker.wake_by_ref();
        RoomWait::default()
    }

    /// The number of a content's type.
    pub(crate) fn type_of(&self, content: &Content) -> Option<TypeNo> {
        match content {
            Content::Bytes { ty, .. } => Some(*ty),
            Content::Value(value) => self.types.intern_static(value.type_info()).ok(),
        }
    }
}

/// A local process, or nobody, as a sender.
#[inline]
pub(crate) const fn local(place: Place) -> Sender {
    if place.index == Place::NOBODY.index {
        return Sender::NOBODY;
    }
    Sender { node: 0, index: place.index, generation: place.generation }
}

/// The mailbox entry for a content.
#[inline]
pub(crate) fn entry(from: Sender, kind: impl Into<Kind>, content: Content) -> Envelope {
    let parcel = |parcel| Envelope::Parcel { from, parcel: Box::new(parcel) };
    match (kind.into(), content) {
        (Kind::Call(call), content) => parcel(Parcel::Call { call, content }),
        (Kind::Message, Content::Value(value)) => Envelope::Value { from, value },
        (Kind::Message, Content::Bytes { ty, bytes }) => parcel(Parcel::Large { ty, bytes }),
        (Kind::Port(_), Content::Value(value)) => Envelope::Port { from, value },
        (Kind::Port(port), Content::Bytes { ty, bytes }) => {
            parcel(Parcel::Port { port, ty, bytes })
        }
    }
}

/// The content of an entry that [`entry`] has made.
pub(crate) fn content_of(entry: Envelope) -> Content {
    match entry {
        Envelope::Value { value, .. } | Envelope::Port { value, .. } => Content::Value(value),
        Envelope::Parcel { parcel, .. } => match *parcel {
            Parcel::Large { ty, bytes } | Parcel::Port { ty, bytes, .. } => {
                Content::Bytes { ty, bytes }
            }
            Parcel::Call { content, .. } => content,
            other => unreachable!("`entry` makes no {other:?}"),
        },
        Envelope::Small { .. } | Envelope::Told { .. } => {
            unreachable!("`entry` makes none of these")
        }
    }
}

//! To a process of another node: encoded, on the lane of the pair, by credit.

use std::sync::Arc;

use bytes::Bytes;
use midflight_message::{EncodeError, Encoding, Message};

use super::{Kind, NotSent, SMALL_MAX};
use crate::error::TrySendError;
use crate::mailbox::envelope::Content;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{
    MESSAGE_HEAD, PORT_HEAD, Place, Signal, put_message, put_port, put_signal,
};
use crate::reconnect::MayNot;
use crate::send::stage::{Charge, NotStaged, Request, stage};
use crate::trace;

impl Inner {
    pub(super) fn send_remote(
        self: &Arc<Self>,
        from: Place,
        peer: &Arc<Peer>,
        to: Place,
        kind: Kind,
        content: Content,
    ) -> Result<(), NotSent> {
        let is_call = matches!(kind, Kind::Call(_));
        if !peer.senders.knows(from, is_call)
            && let Err(why) = self.first_send(from, peer, is_call)
        {
            return Err(match why {
                MayNot::Disconnected => NotSent::Disconnected(content),
                MayNot::NotConnected => NotSent::NotConnected(peer.id, content),
            });
        }
        let ty = self.type_of(&content).ok_or(NotSent::TooManyTypes)?;
        if let Some(mismatch) = self.known_refusal(&peer.refused, to, ty) {
            return Err(NotSent::Incompatible(mismatch));
        }
        if let Kind::Port(port) = kind
            && peer.refused.is_closed(to, port)
        {
            return Err(NotSent::Closed(content));
        }
        if let Kind::Call(call) = kind
            && !peer.pending.add_call(call, from)
        {
            return Err(NotSent::NotConnected(peer.id, content));
        }
        let lane = peer.lane(from, to);
        let large = large_of(&content);
        let mut head = |into: &mut Encoding| {
            kind.put(into.buffer(), to, from, ty.0);
            encode_small(&content, into)
        };
        let credit = Some(Charge { process: to, head: kind.head() });
        let context = trace::outgoing(self);
        let behalf = None;
        let request =
            Request { lane, ty: Some(ty), credit, large, context, behalf, head: &mut head };
        let staged = stage(self, peer, request);
        if let (Err(_), Kind::Call(call)) = (&staged, kind) {
            peer.pending.take_call(call);
        }
        if context.is_some() && staged.is_ok() {
            trace::sent(self, context, peer.pid(to), trace::name_of(self, &content));
        }
        staged.map_err(|error| error.not_sent(content))
    }

    /// As [`Inner::try_send`] to a remote process, for a message that has not been boxed.
    pub(crate) fn send_remote_ref<M: Message>(
        self: &Arc<Self>,
        from: Place,
        peer: &Arc<Peer>,
        to: Place,
        port: Option<u32>,
        message: M,
    ) -> Result<(), TrySendError<M>> {
        if !peer.senders.knows(from, false)
            && let Err(why) = self.first_send(from, peer, false)
        {
            return Err(match why {
                MayNot::Disconnected => TrySendError::Disconnected(message),
                MayNot::NotConnected => TrySendError::NotConnected(message),
            });
        }
        let ty = self.types.of::<M>().map_err(|_too_many| TrySendError::TooManyTypes)?;
        if let Some(mismatch) = self.known_refusal(&peer.refused, to, ty) {
            return Err(TrySendError::Incompatible(mismatch));
        }
        if port.is_some_and(|port| peer.refused.is_closed(to, port)) {
            return Err(TrySendError::Closed(message));
        }
        let mut head = |into: &mut Encoding| {
            match port {
                None => put_message(into.buffer(), to, from, ty.0),
                Some(port) => put_port(into.buffer(), to, from, ty.0, port),
            }
            into.encode(&message)
        };
        let lane = peer.lane(from, to);
        let head_len = if port.is_some() { PORT_HEAD } else { MESSAGE_HEAD };
        let credit = Some(Charge { process: to, head: head_len });
        let context = trace::outgoing(self);
        let (large, behalf) = (None, None);
        let request =
            Request { lane, ty: Some(ty), credit, large, context, behalf, head: &mut head };
        let staged = stage(self, peer, request);
        if context.is_some() && staged.is_ok() {
            trace::sent(self, context, peer.pid(to), trace::name_of_type(self, ty));
        }
        staged.map_err(|error| match error {
            NotStaged::Full => TrySendError::Full(message),
            NotStaged::TooLarge { max } => TrySendError::TooLarge { max },
            NotStaged::Encode(error) => TrySendError::Encode(error),
        })
    }

    /// Sends a signal on the lane of the pair, behind the messages that were sent before it. Texts that
    /// are too long are shortened.
    pub(crate) fn signal_pair(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        from: Place,
        to: Place,
        mut signal: Signal,
    ) {
        signal.shorten();
        let mut head = |into: &mut Encoding| {
            put_signal(into.buffer(), &signal);
            Ok(())
        };
        let lane = peer.lane(from, to);
        let (ty, credit, large, context, behalf) = (None, None, None, None, None);
        let request = Request { lane, ty, credit, large, context, behalf, head: &mut head };
        if let Err(error) = stage(self, peer, request) {
            // It must not be missing without a word.
            tracing::error!(peer = %peer.name, ?error, "a signal could not be sent: link cut");
            peer.link.abort("a signal could not be sent");
        }
    }
}

pub(crate) fn large_of(content: &Content) -> Option<Bytes> {
    match content {
        Content::Bytes { bytes, .. } if bytes.len() > SMALL_MAX => Some(bytes.clone()),
        _ => None,
    }
}

/// Appends the content, unless it goes by reference.
pub(crate) fn encode_small(content: &Content, into: &mut Encoding) -> Result<(), EncodeError> {
    match content {
        Content::Value(value) => value.encode_shared(into),
        Content::Bytes { bytes, .. } => {
            if bytes.len() <= SMALL_MAX {
                into.buffer().extend_from_slice(bytes);
            }
            Ok(())
        }
    }
}

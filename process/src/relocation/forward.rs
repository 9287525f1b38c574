//! Handing one message on, to the next cell of a process that has moved.

use std::sync::Arc;

use bytes::Bytes;
use midflight_message::Encoding;

use super::word::Behalf;
use crate::mailbox::envelope::{Content, Envelope, Parcel, Refusal};
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Place;
use crate::send::remote::{encode_small, large_of};
use crate::send::stage::{Charge, Request, stage};
use crate::send::{Kind, NotSent, local};
use crate::table::NotDelivered;

impl Inner {
    /// Hands a message on: as a send from the cell `from`, with its first sender beside it. It takes credit as
    /// any does; whose it was at this node has it back when it is taken out of the mailbox here.
    pub(super) fn hand_on(
        self: &Arc<Self>,
        (from, behalf): (Place, Behalf),
        peer: &Arc<Peer>,
        to: Place,
        kind: Kind,
        content: Content,
    ) -> Result<(), NotSent> {
        let Some(ty) = self.type_of(&content) else { return Err(NotSent::TooManyTypes) };
        let large: Option<Bytes> = large_of(&content);
        let mut head = |into: &mut Encoding| {
            kind.put(into.buffer(), to, from, ty.0);
            encode_small(&content, into)
        };
        let request = Request {
            lane: peer.lane(from, to),
            ty: Some(ty),
            credit: Some(Charge { process: to, head: kind.head() }),
            large,
            context: None,
            behalf: Some(behalf),
            head: &mut head,
        };
        stage(self, peer, request).map_err(|error| error.not_sent(content))
    }

    /// As [`Inner::hand_on`], to another cell of this node.
    pub(super) fn hand_on_here(
        self: &Arc<Self>,
        (from, behalf): (Place, Behalf),
        to: Place,
        kind: Kind,
        content: Content,
    ) -> Result<(), NotSent> {
        let ty = self.type_of(&content).ok_or(NotSent::TooManyTypes)?;
        let bytes = match content {
            Content::Bytes { bytes, .. } => bytes,
            Content::Value(value) => {
                let mut bytes = Vec::new();
                value.encode(&mut bytes).map_err(NotSent::Encode)?;
                bytes.into()
            }
        };
        let kept = bytes.clone();
        let parcel = match kind {
            Kind::Message => Parcel::Large { ty, bytes },
            Kind::Port(port) => Parcel::Port { port, ty, bytes },
            Kind::Call(call) => Parcel::Call { call, content: Content::Bytes { ty, bytes } },
        };
        let origin = self.sender_of(behalf.origin);
        let parcel = Parcel::Forwarded { origin, hops: behalf.hops, parcel: Box::new(parcel) };
        let entry = Envelope::Parcel { from: local(from), parcel: Box::new(parcel) };
        match self.deliver(to, entry, Some(self.room())) {
            Ok(()) => Ok(()),
            Err(NotDelivered::Full(_)) => Err(NotSent::Full(Content::Bytes { ty, bytes: kept })),
            Err(NotDelivered::Dead(_)) => {
                if let Kind::Call(call) = kind {
                    self.reply(to, local(from), call, Err(Refusal::NoProcess));
                }
                Ok(())
            }
        }
    }
}

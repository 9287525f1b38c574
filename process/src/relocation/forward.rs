//! Handing one message on, to the next cell of a process that has moved.

use std::sync::Arc;

use bytes::Bytes;
use midflight_message::Encoding;

use super::word::Behalf;
use crate::mailbox::envelope::Content;
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::Place;
use crate::send::remote::{encode_small, large_of};
use crate::send::stage::{Charge, Request, stage};
use crate::send::{Kind, NotSent};

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
}

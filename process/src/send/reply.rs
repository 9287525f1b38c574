//! The way back of a call.

use std::sync::Arc;

use midflight_message::Encoding;

use super::local;
use super::remote::{encode_small, large_of};
use crate::mailbox::envelope::{CallRef, Content, Envelope, Parcel, Refusal, Sender};
use crate::node::inner::Inner;
use crate::peer::Peer;
use crate::peer::wire::{Place, Signal, put_reply};
use crate::send::stage::{NotStaged, Request, stage};
use crate::trace;

impl Inner {
    /// Sends the reply to a call, or why there is none. Never waits: the call reserved its place.
    pub(crate) fn reply(
        self: &Arc<Self>,
        from: Place,
        to: Sender,
        call: CallRef,
        result: Result<Content, Refusal>,
    ) {
        let to_place = to.place();
        if !to.is_remote() {
            let context = trace::outgoing(self);
            let answer = result.as_ref().ok().filter(|_| context.is_some());
            let named = answer.and_then(|content| trace::name_of(self, content));
            let parcel = Box::new(Parcel::Reply { call, result });
            let entry = Envelope::Parcel { from: local(from), parcel };
            // A caller that has ended wants no reply.
            let _ = self.deliver_under(context, to_place, entry, None);
            trace::sent(self, context, self.local_pid(to_place), named);
            return;
        }
        // A lost link has told the caller already.
        let Some(peer) = self.peer_numbered(to.node) else { return };
        let refusal = match result {
            Ok(content) => match self.reply_remote(from, &peer, to_place, call, &content) {
                Ok(()) => return,
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        self.signal_pair(
            &peer,
            from,
            to_place,
            Signal::Refuse { to: to_place, from, call, refusal },
        );
    }

    fn reply_remote(
        self: &Arc<Self>,
        from: Place,
        peer: &Arc<Peer>,
        to: Place,
        call: CallRef,
        content: &Content,
    ) -> Result<(), Refusal> {
        let aborted = |reason: String| Refusal::Aborted { reason };
        let ty =
            self.type_of(content).ok_or_else(|| aborted("the node knows too many types".into()))?;
        let mut head = |into: &mut Encoding| {
            put_reply(into.buffer(), to, from, ty.0, call);
            encode_small(content, into)
        };
        let context = trace::outgoing(self);
        let request = Request {
            lane: peer.lane(from, to),
            ty: Some(ty),
            credit: None,
            large: large_of(content),
            context,
            behalf: None,
            head: &mut head,
        };
        let staged = stage(self, peer, request);
        if context.is_some() && staged.is_ok() {
            trace::sent(self, context, peer.pid(to), trace::name_of(self, content));
        }
        staged.map_err(|error| match error {
            NotStaged::Full => aborted("the link is full".into()),
            NotStaged::TooLarge { max } => {
                aborted(format!("the reply is larger than {max} bytes, the transport's limit"))
            }
            NotStaged::Encode(error) => aborted(format!("the reply does not encode: {error}")),
        })
    }
}

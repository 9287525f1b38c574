//! Messages whose types a program knows by their schema alone, as operators' tools do.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use midflight_message::{Address, Pid, TypeInfo};

use super::request;
use crate::context::Context;
use crate::error::{CallError, SendError};
use crate::mailbox::envelope::{Content, Refusal};
use crate::node::Node;
use crate::node::inner::Inner;
use crate::receive::{Read, encoded};
use crate::send::NotSent;
use crate::send::reply_to::read_when_known;

/// A message of any type: the type, and what its value encodes to.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// The type.
    pub ty: Arc<TypeInfo>,
    /// The value, as a writer of that type has it. Bytes that are none are refused by whoever reads them.
    pub bytes: Bytes,
}

impl Node {
    /// As [`Node::call`], for types that are not compiled in.
    ///
    /// # Errors
    /// As [`Node::call`]. `Unreadable` when the reply's schema cannot be had from its node, which may take
    /// `Limits::schema_timeout` beyond the `timeout`.
    ///
    /// # Cancel safety
    /// As [`Node::call`].
    pub async fn call_encoded(
        &self,
        to: Pid,
        message: Encoded,
        timeout: Duration,
    ) -> Result<Encoded, CallError> {
        let call = move |cx: Context| async move { ask_encoded(&cx, to, message, timeout).await };
        self.call_apart(to, call).await
    }

    /// The newest version of the message type of that name that this program has compiled in, and has used by now.
    #[must_use]
    pub fn own_type(&self, name: &str) -> Option<Arc<TypeInfo>> {
        self.inner.types.own(name)
    }
}

async fn ask_encoded(
    cx: &Context,
    to: Pid,
    message: Encoded,
    timeout: Duration,
) -> Result<Encoded, CallError> {
    let inner = &cx.node.inner;
    let too_many = |_| SendError::from_not_sent(NotSent::TooManyTypes, to);
    let ty = inner.types.intern(&message.ty).map_err(too_many)?;
    let content = Content::Bytes { ty, bytes: message.bytes };
    let (guard, deadline) = request(cx, Address::Pid(to), content, timeout).await?;
    let reply = guard.reply(deadline).await;
    let reply = reply.ok_or(CallError::TimedOut { to, after: timeout })?;
    let reply = reply.map_err(|refusal| CallError::Refused { to, refusal })?;
    let reading = read_when_known(inner, to.node, reply, |content| as_it_is(inner, content));
    reading.await.map_err(|(_, refusal)| CallError::Unreadable { to, refusal })
}

/// A content with its type, once that is known.
fn as_it_is(inner: &Inner, content: Content) -> Read<Encoded> {
    match content {
        Content::Bytes { ty, bytes } => match inner.types.entry(ty).info() {
            Some(info) => Read::Message(Encoded { ty: info.clone(), bytes }),
            None => Read::Undecided(Content::Bytes { ty, bytes }, ty),
        },
        Content::Value(value) => match encoded(inner, &*value) {
            Some(content) => as_it_is(inner, content),
            None => {
                let type_name = value.type_info().name().to_owned();
                let detail = "it does not encode".to_owned();
                Read::Unreadable(Content::Value(value), Refusal::Garbled { type_name, detail })
            }
        },
    }
}

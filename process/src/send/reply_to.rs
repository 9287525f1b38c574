//! Replies to calls.

use std::sync::Arc;

use midflight_message::{Message, NodeId, Pid};

use crate::context::Context;
use crate::error::CallError;
use crate::mailbox::envelope::{CallRef, Content, Refusal, Sender};
#[cfg(doc)]
use crate::node::Node;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::receive::{Read, read, schema_missing};
use crate::roles::{NotAllowed, Role};

/// Who waits for a reply. It can be kept, and answered later. Dropped without a reply, it tells the
/// caller so.
#[must_use = "somebody waits for the reply"]
pub struct ReplyTo {
    inner: Arc<Inner>,
    me: Place,
    caller: Sender,
    call: CallRef,
    replied: bool,
}

impl ReplyTo {
    pub(crate) fn new(context: &Context, caller: Sender, call: CallRef) -> Self {
        Self::of(context.node.inner.clone(), context.place, caller, call)
    }

    pub(crate) const fn of(inner: Arc<Inner>, me: Place, caller: Sender, call: CallRef) -> Self {
        Self { inner, me, caller, call, replied: false }
    }

    /// Passes on another process's reply, or why there is none.
    pub(crate) fn relay(mut self, result: Result<Content, Refusal>) {
        self.replied = true;
        self.inner.reply(self.me, self.caller, self.call, result);
    }

    /// Replies. Never waits: the call reserved the reply's place.
    pub fn reply<R: Message>(mut self, reply: R) {
        self.replied = true;
        let content = Content::Value(Box::new(reply));
        self.inner.reply(self.me, self.caller, self.call, Ok(content));
    }
}

impl ReplyTo {
    /// Whether the caller's node may do something on this one, as [`Node::may`].
    ///
    /// # Errors
    /// [`NotAllowed`], to be told with [`ReplyTo::not_allowed`].
    pub fn may(&self, role: Role) -> Result<(), NotAllowed> {
        let asker = self.inner.asker(self.caller).ok_or(NotAllowed { role, link: false })?;
        self.inner.may(asker, role)
    }

    /// Tells the caller that its node may not have this done here.
    pub fn not_allowed(mut self, no: NotAllowed) {
        self.replied = true;
        self.inner.reply(self.me, self.caller, self.call, Err(Refusal::NotAllowed(no)));
    }

    /// Tells the caller that there is no reply, and why.
    pub(crate) fn abort(mut self, reason: String) {
        self.replied = true;
        self.inner.reply(self.me, self.caller, self.call, Err(Refusal::Aborted { reason }));
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if !self.replied {
            let reason = String::from("the receiver dropped the call without a reply");
            self.inner.reply(self.me, self.caller, self.call, Err(Refusal::Aborted { reason }));
        }
    }
}

impl std::fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReplyTo({:?})", self.inner.pid(self.caller))
    }
}

/// Reads the reply to a call as the type its caller wants.
pub(crate) async fn read_reply<R: Message>(
    inner: Arc<Inner>,
    to: Pid,
    content: Content,
) -> Result<R, CallError> {
    let reading = read_when_known(&inner, to.node, content, |content| read::<R>(&inner, content));
    reading.await.map_err(|(_, refusal)| CallError::Unreadable { to, refusal })
}

/// Reads a content of `node`'s; where that takes the writer's schema, asks for it and waits. What cannot
/// be read comes back, with the reason.
pub(crate) async fn read_when_known<T>(
    inner: &Arc<Inner>,
    node: NodeId,
    content: Content,
    mut read: impl FnMut(Content) -> Read<T>,
) -> Result<T, (Content, Refusal)> {
    let mut content = Some(content);
    while let Some(attempt) = content.take() {
        match read(attempt) {
            Read::Message(reply) => return Ok(reply),
            Read::Unreadable(given_back, refusal) => return Err((given_back, refusal)),
            Read::Undecided(given_back, ty) => {
                if !inner.await_schema(ty, || inner.request_schema_of(node, ty)).await {
                    return Err((given_back, schema_missing(inner, ty)));
                }
                content = Some(given_back);
            }
        }
    }
    unreachable!("every way out of the loop returns")
}

//! What a process written as a loop can do: all an `async` handler can, receive, and name the points at which its
//! code may be replaced.

pub(crate) mod desk;
mod futures;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use midflight_message::{Message, Pid};

use crate::async_context::{AsyncContext, Shared, lock};
use crate::behaviour::{Accepts, Behaviour, Receives};
use crate::error::Failure;
use crate::host::Level;
use desk::Posted;
pub use futures::{Receive, UpdatePoint};

/// A running loop. It owns its state.
pub type Looping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads a message for a loop.
pub type ReadFn = fn(&[u8]) -> Result<Box<dyn Any + Send>, Failure>;

/// The process, as its loop sees it: all of [`AsyncContext`], and what only loops have.
///
/// ```
/// # use midflight_abi::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Message)]
/// # struct Ping { n: u64 }
/// # #[derive(Serialize, Deserialize, Message)]
/// # struct Pong { n: u64 }
/// #[derive(Serialize, Deserialize, State)]
/// #[state(version = 1)]
/// pub struct Ponger {
///     pongs: u64,
/// }
///
/// #[behaviour(name = "ponger", version = 1, receives(Ping -> Pong))]
/// impl Ponger {
///     fn init(_cx: &mut Context<Self>) -> Self {
///         Ponger { pongs: 0 }
///     }
///
///     #[run]
///     async fn run(mut self, cx: Loop<Self>) {
///         loop {
///             // Here, and nowhere else, this process may go on in another version of the code.
///             let letter = cx.receive_at_point(&mut self).await;
///             if let Ok(Ping { n }) = letter.open() {
///                 self.pongs += 1;
///                 cx.reply::<Ping>(&Pong { n });
///             }
///         }
///     }
/// }
/// ```
pub struct Loop<B> {
    context: AsyncContext<B>,
}

impl<B: Behaviour> Loop<B> {
    pub(crate) const fn new(shared: Arc<Mutex<Shared>>) -> Self {
        Self { context: AsyncContext::new(shared) }
    }

    /// Awaits the next message. While the loop waits here its code is not replaced: an update waits until it comes
    /// to a point, and says what it is in when it does not.
    pub fn receive(&self) -> Receive<'_, B> {
        Receive::new(self.context.shared(), None)
    }

    /// Awaits the next message at an update point: until one comes, the code may be replaced.
    ///
    /// It is then as with [`update_point`](Self::update_point): the loop of the other version starts from its top, with
    /// the state lent here, and meets the message.
    pub fn receive_at_point<'a>(&self, state: &'a mut B) -> Receive<'a, B> {
        Receive::new(self.context.shared(), Some(state))
    }

    /// A point at which the code may be replaced. When no update is wanted it is passed at once.
    ///
    /// When one is, the process rests here, and what is lent here is its state: it is converted and given to the loop of
    /// the other version, which starts from its top. This future is then never polled again. If the update comes to
    /// nothing, the loop goes on from here as if nothing had been.
    ///
    /// The process does not rest while it awaits a reply, or owes one; what else it awaits beside the point is given up
    /// with the loop.
    pub fn update_point<'a>(&self, state: &'a mut B) -> UpdatePoint<'a, B> {
        UpdatePoint::new(self.context.shared(), state)
    }

    /// Answers the message received last, which is a `M`, if it is a call that was not answered yet. A call that
    /// is not answered when the loop receives again is aborted: its caller is told.
    pub fn reply<M: Message>(&self, reply: &<B as Receives<M>>::Reply)
    where
        B: Receives<M>,
    {
        let shared = self.context.shared();
        let mut shared = lock(&shared);
        let Some(open) = shared.desk.open.take() else { return };
        if open.index == <B as Accepts<M>>::INDEX {
            shared.effects.reply(open.call, open.index, reply);
        } else {
            shared.desk.open = Some(open);
            let text =
                format!("{}: not a reply to {}, which was not received last", B::NAME, M::NAME);
            shared.host().log(Level::Error, &text);
        }
    }
}

impl<B> Deref for Loop<B> {
    type Target = AsyncContext<B>;

    fn deref(&self) -> &AsyncContext<B> {
        &self.context
    }
}

impl<B> fmt::Debug for Loop<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop").finish_non_exhaustive()
    }
}

/// A message that a loop has received, of one of the types it declares.
pub struct Letter<B> {
    index: u32,
    message: Box<dyn Any + Send>,
    from: Option<Pid>,
    behaviour: PhantomData<fn() -> B>,
}

impl<B: Behaviour> Letter<B> {
    fn new(Posted { index, message, from, .. }: Posted) -> Self {
        Self { index, message, from, behaviour: PhantomData }
    }

    /// Who sent it, when that is known (it is for calls).
    #[must_use]
    pub const fn from(&self) -> Option<Pid> {
        self.from
    }

    /// Whether it is a `M`.
    #[must_use]
    pub fn is<M: Message>(&self) -> bool
    where
        B: Receives<M>,
    {
        self.index == <B as Accepts<M>>::INDEX
    }

    /// The message, if it is a `M`.
    ///
    /// # Errors
    /// The letter, when it is another.
    pub fn open<M: Message>(self) -> Result<M, Self>
    where
        B: Receives<M>,
    {
        let Self { index, message, from, behaviour } = self;
        let message = message.downcast::<M>().map(|message| *message);
        message.map_err(|message| Self { index, message, from, behaviour })
    }
}

impl<B: Behaviour> fmt::Debug for Letter<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accept = B::ACCEPTS.get(self.index as usize);
        let name = accept.map(|accept| (accept.message)().name());
        f.debug_struct("Letter").field("message", &name).field("from", &self.from).finish()
    }
}

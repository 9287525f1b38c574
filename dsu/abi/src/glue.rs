//! What `#[behaviour]` writes calls to. Not for authors.
#![doc(hidden)]

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use midflight_message::Message;

use crate::async_context::{AsyncContext, lock};
use crate::behaviour::{Begin, Behaviour};
use crate::context::Context;
use crate::effect::UNIT_REPLY;
use crate::error::Failure;

/// A plain handler that answers with `R`.
pub fn answer<B, M, R>(
    index: u32,
    bytes: &[u8],
    cx: &mut Context<B>,
    handle: impl FnOnce(&mut Context<B>, M) -> R,
) -> Result<(), Failure>
where
    B: Behaviour,
    M: Message,
    R: Message,
{
    let message = crate::codec::read::<M>(bytes)?;
    let reply = handle(cx, message);
    cx.reply(index, &reply);
    Ok(())
}

/// A plain handler that returns nothing. If it is called all the same, the caller learns that it is
/// done.
pub fn cast<B, M>(
    bytes: &[u8],
    cx: &mut Context<B>,
    handle: impl FnOnce(&mut Context<B>, M),
) -> Result<(), Failure>
where
    B: Behaviour,
    M: Message,
{
    let message = crate::codec::read::<M>(bytes)?;
    handle(cx, message);
    cx.reply(UNIT_REPLY, &());
    Ok(())
}

/// A message for a loop.
pub fn read<M: Message>(bytes: &[u8]) -> Result<Box<dyn Any + Send>, Failure> {
    let message = crate::codec::read::<M>(bytes)?;
    Ok(Box::new(message))
}

/// The future of an `async` handler, which lends the state from the wrapper around it.
pub type Handling<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

/// An `async` handler that answers with `R`.
pub fn answer_async<B, M, R>(
    index: u32,
    bytes: &[u8],
    handle: impl for<'a> FnOnce(&'a mut B, AsyncContext<B>, M) -> Handling<'a, R> + Send + 'static,
) -> Result<Begin<B>, Failure>
where
    B: Behaviour,
    M: Message,
    R: Message,
{
    begin(index, bytes, handle)
}

/// An `async` handler that returns nothing.
pub fn cast_async<B, M>(
    bytes: &[u8],
    handle: impl for<'a> FnOnce(&'a mut B, AsyncContext<B>, M) -> Handling<'a, ()> + Send + 'static,
) -> Result<Begin<B>, Failure>
where
    B: Behaviour,
    M: Message,
{
    begin(UNIT_REPLY, bytes, handle)
}

fn begin<B, M, R>(
    index: u32,
    bytes: &[u8],
    handle: impl for<'a> FnOnce(&'a mut B, AsyncContext<B>, M) -> Handling<'a, R> + Send + 'static,
) -> Result<Begin<B>, Failure>
where
    B: Behaviour,
    M: Message,
    R: Message + 'static,
{
    let message = crate::codec::read::<M>(bytes)?;
    Ok(Box::new(move |mut state, cx| {
        Box::pin(async move {
            let shared = cx.shared();
            let reply = handle(&mut state, cx, message).await;
            let mut shared = lock(&shared);
            if let Some(call) = shared.info.call {
                shared.effects.reply(call, index, &reply);
            }
            drop(shared);
            state
        })
    }))
}

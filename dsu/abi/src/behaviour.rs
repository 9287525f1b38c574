//! What a behaviour is, in types. Authors write `#[behaviour]` and `#[derive(State)]`; these traits
//! are what the macros make of it.

use std::future::Future;
use std::pin::Pin;

use midflight_message::{Message, Schema, TypeInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::async_context::AsyncContext;
use crate::context::Context;
use crate::error::{ConvertError, Failure};
use crate::looping::{Loop, Looping, ReadFn};
use crate::translate::ReaderFn;

/// The state of a behaviour, in one version of its shape. Derived by `#[derive(State)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state",
    note = "derive it: `#[derive(Serialize, Deserialize, State)] #[state(version = 1)]`"
)]
pub trait State: Schema + Serialize + DeserializeOwned {
    /// Counts the changes of shape or meaning, from 1.
    const VERSION: u32;
}

/// A unit of replaceable code: a state and its handlers. Written by `#[behaviour]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a behaviour",
    note = "put `#[behaviour(name = \"…\", version = 1)]` on its `impl` block"
)]
pub trait Behaviour: State + Sized + Send + 'static {
    /// What a process of it starts from.
    type Start: Message;

    /// Its name: what makes two versions the same behaviour.
    const NAME: &'static str;

    /// The version of the code.
    const CODE_VERSION: u32;

    /// The messages it handles, in the order of the `type_index` of `start`.
    const ACCEPTS: &'static [Accept<Self>];

    /// The messages it sends unasked.
    const SENDS: &'static [fn() -> &'static TypeInfo];

    /// The calls its `async` handlers make.
    const CALLS: &'static [Called];

    /// The versions of state it converts from and to, besides its own.
    const CONVERSIONS: &'static [Conversion<Self>];

    /// Its loop, if it is written as one.
    const RUN: Option<RunFn<Self>> = None;

    /// What says of its state whether it is well, if anything does.
    const HEALTH: Option<HealthFn<Self>> = None;

    /// Begins a process.
    ///
    /// # Errors
    /// What the author's `init` says.
    fn begin(cx: &mut Context<Self>, start: Self::Start) -> Result<Self, Failure>;
}

/// The behaviour handles the message `M`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle `{M}`",
    note = "what a process sends itself needs a handler: add `#[handle] fn …(&mut self, cx, msg: {M})`"
)]
pub trait Accepts<M> {
    /// Where it is in [`Behaviour::ACCEPTS`].
    const INDEX: u32;
}

/// The loop receives the message `M`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not declare that it receives `{M}`",
    note = "declare it, with its reply where it has one: `#[behaviour(…, receives({M} -> Reply))]`"
)]
pub trait Receives<M>: Accepts<M> {
    /// What a call with it gets; `()` where that is only that it was done.
    type Reply: Message;
}

/// The behaviour may send the message `M`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not declare that it sends `{M}`",
    note = "declare it: `#[behaviour(…, sends({M}))]`, so that an update can check who understands it"
)]
pub trait Sends<M> {
    /// Where it is in [`Behaviour::SENDS`].
    const INDEX: u32;
}

/// The behaviour may call with the message `M`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not declare that it calls with `{M}`",
    note = "declare it with its reply: `#[behaviour(…, calls({M} -> Reply))]`"
)]
pub trait Calls<M> {
    /// What it gets back.
    type Reply: Message;
    /// Where it is in [`Behaviour::CALLS`].
    const INDEX: u32;
}

/// A message handled.
#[derive(Debug)]
pub struct Accept<B: Behaviour> {
    /// The message.
    pub message: fn() -> &'static TypeInfo,
    /// Its reply; none for a cast.
    pub reply: Option<fn() -> &'static TypeInfo>,
    /// What handles it.
    pub handler: Handler<B>,
    /// What reads it where it has another form.
    pub reader: ReaderFn,
}

/// A call made.
#[derive(Debug)]
pub struct Called {
    /// The message.
    pub message: fn() -> &'static TypeInfo,
    /// The reply expected.
    pub reply: fn() -> &'static TypeInfo,
    /// What reads the reply where it has another form.
    pub reader: ReaderFn,
}

/// A handler: decodes, runs the author's function, writes the reply.
pub enum Handler<B: Behaviour> {
    /// A plain one.
    Plain(PlainFn<B>),
    /// The behaviour's loop, which this reads the message for.
    Received(ReadFn),
    /// An `async` one. Decoding comes first, so that a message that cannot be read costs nothing.
    Async(fn(&[u8]) -> Result<Begin<B>, Failure>),
}

impl<B: Behaviour> std::fmt::Debug for Handler<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Received(_) => "Received",
            Self::Async(_) => "Async",
        })
    }
}

/// Begins a behaviour's loop.
pub type RunFn<B> = fn(B, Loop<B>) -> Looping;

/// Says of a state whether the process is well; `Err`: why it is not.
pub type HealthFn<B> = fn(&B) -> Result<(), Failure>;

/// A plain handler: decodes the message, runs the author's function, writes the reply.
pub type PlainFn<B> = fn(&mut B, &mut Context<B>, &[u8]) -> Result<(), Failure>;

/// Reads an older or newer state and converts it.
pub type FromFn<B> = fn(&[u8]) -> Result<B, Failure>;

/// Converts to an older or newer state and writes it.
pub type ToFn<B> = fn(&B) -> Result<Vec<u8>, Failure>;

/// Begins an `async` handler whose message is decoded.
pub type Begin<B> = Box<dyn FnOnce(B, AsyncContext<B>) -> Running<B>>;

/// A running `async` handler. It owns the state and gives it back at its end.
pub type Running<B> = Pin<Box<dyn Future<Output = B> + Send>>;

/// A way to or from another version of the state.
pub struct Conversion<B: Behaviour> {
    /// The other version.
    pub version: u32,
    /// Its shape, told the behaviour's name.
    pub state: fn(&str) -> Result<TypeInfo, Failure>,
    /// What reads it where it has another form.
    pub reader: ReaderFn,
    /// From it.
    pub from: Option<FromFn<B>>,
    /// To it.
    pub to: Option<ToFn<B>>,
}

impl<B: Behaviour> std::fmt::Debug for Conversion<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversion")
            .field("version", &self.version)
            .field("from", &self.from.is_some())
            .field("to", &self.to.is_some())
            .finish_non_exhaustive()
    }
}

/// Reads a state of version `O` and converts it by the author's function.
///
/// # Errors
/// [`Failure`] when the bytes are not such a state, or the author's function says no.
pub fn convert_from<O: State, B>(
    bytes: &[u8],
    convert: impl FnOnce(O) -> Result<B, ConvertError>,
) -> Result<B, Failure> {
    let old = crate::codec::read_state::<O>(bytes)?;
    convert(old).map_err(|e| Failure::new(crate::Status::CONVERT, e.to_string()))
}

/// Converts by the author's function and writes the state of version `O`.
///
/// # Errors
/// [`Failure`] when the author's function says no, or what it made cannot be encoded.
pub fn convert_to<O: State>(converted: Result<O, ConvertError>) -> Result<Vec<u8>, Failure> {
    let old = converted.map_err(|e| Failure::new(crate::Status::CONVERT, e.to_string()))?;
    crate::codec::write_state(&old, Vec::new())
}

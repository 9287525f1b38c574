//! All that a bundle links to: the C table by which it meets its host, and the SDK a behaviour is
//! written against. No runtime, and nothing of the host.
//!
//! A behaviour is a struct, its state, with one `impl` block:
//!
//! ```
//! use midflight_abi::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "greeter.Hello", version = 1)]
//! pub struct Hello {
//!     pub name: String,
//! }
//!
//! #[derive(Serialize, Deserialize, Message)]
//! #[message(name = "greeter.Greeting", version = 1)]
//! pub struct Greeting {
//!     pub text: String,
//! }
//!
//! #[derive(Serialize, Deserialize, State)]
//! #[state(version = 1)]
//! pub struct Greeter {
//!     greeted: u64,
//! }
//!
//! #[behaviour(name = "greeter", version = 1)]
//! impl Greeter {
//!     fn init(_cx: &mut Context<Self>) -> Self {
//!         Greeter { greeted: 0 }
//!     }
//!
//!     #[handle]
//!     fn hello(&mut self, _cx: &mut Context<Self>, msg: Hello) -> Greeting {
//!         self.greeted += 1;
//!         Greeting { text: format!("hello {}, you are number {}", msg.name, self.greeted) }
//!     }
//! }
//!
//! midflight_abi::export!(Greeter);
//! ```
//!
//! A behaviour may also have `#[health] fn health(&self) -> Result<(), String>`. After an update, while its version is on
//! probation, each process is asked, and one that says why it is not well counts as a failure of the version. It must
//! be quick: in a tenth of a second.
//!
//! The same source is compiled in as an ordinary crate, or made a bundle by `midflight build`, which
//! sets `--cfg midflight_bundle`: then [`export!`] exports the table.
#![deny(improper_ctypes, improper_ctypes_definitions)]

// The macros write paths into this crate; this makes them good in here too.
extern crate self as midflight_abi;

mod async_context;
mod behaviour;
mod cell;
mod codec;
mod context;
mod description;
pub mod effect;
mod entry;
mod error;
#[doc(hidden)]
pub mod glue;
mod host;
mod list;
mod looping;
mod panic;
pub mod prelude;
pub mod raw;
mod status;
mod system;
pub mod table;
mod timer;
mod translate;

pub use async_context::{AsyncContext, Call, Sleep};
pub use behaviour::{
    Accept, Accepts, Begin, Behaviour, Called, Calls, Conversion, FromFn, Handler, HealthFn,
    PlainFn, Receives, RunFn, Running, Sends, State, ToFn, convert_from, convert_to,
};
pub use context::Context;
pub use description::{
    AcceptDescription, BehaviourDescription, CallDescription, ConversionDescription, Description,
    DescriptionError, state_info,
};
pub use error::{CallError, ConvertError, Failure, SpawnError};
pub use host::{HostTable, Level};
pub use list::Behaviours;
pub use looping::{Letter, Loop, Looping, ReadFn, Receive, UpdatePoint};
/// Derives [`trait@State`] and [`trait@Schema`](message::Schema) for the state of a behaviour.
pub use midflight_macros::State;
/// Makes an `impl` block a behaviour.
pub use midflight_macros::behaviour;
/// Messages, schemas and pids, for bundles that depend on this crate alone.
pub use midflight_message as message;
pub use status::{Outcome, Status};
pub use system::{Disconnected, Down, Exited, NodeDown, ReconnectPolicy, Undelivered};
pub use timer::Timer;
pub use translate::{ReaderFn, message_reader, state_reader};

/// Lists the behaviours of a bundle: `midflight_abi::export!(Counter, Other);`, once in the crate.
///
/// The bundle takes its name from the first, and its version is the highest of theirs. Compiled as
/// an ordinary dependency this does nothing.
#[macro_export]
macro_rules! export {
    ($($behaviour:ty),+ $(,)?) => {
        #[allow(unexpected_cfgs, reason = "only `midflight build` sets it")]
        const _: () = {
            #[cfg(midflight_bundle)]
            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals, reason = "the name is the ABI's")]
            pub static midflight_table_v1: $crate::table::TableV1 =
                $crate::table::TableV1::of::<($($behaviour,)+)>();
        };
    };
}

//! What a message is: its name, its version, its schema, its fingerprint and its encoding.
//!
//! A user writes `#[derive(Serialize, Deserialize, Message)]` and is done. The rest of this crate
//! answers one question: may bytes written by *that* type be read as *this* type, and if not, why?
//!
//! ```
//! use midflight_message::{Message, decode, encode};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
//! #[message(name = "counter.Add", version = 1)]
//! struct Add {
//!     amount: i64,
//! }
//!
//! let mut bytes = Vec::new();
//! encode(&Add { amount: 3 }, &mut bytes).unwrap();
//! assert_eq!(decode::<Add>(&bytes).unwrap(), Add { amount: 3 });
//! assert_eq!(Add::type_info().to_string(), "counter.Add@1");
//! ```
#![forbid(unsafe_code)]

// The derives write `::midflight_message::…`; this makes that path good in here and in our tests too.
extern crate self as midflight_message;

mod binary;
mod builder;
mod chain;
mod codec;
mod conversion;
mod cursor;
mod decode;
mod decode_parts;
mod descriptor;
mod destination;
mod driven;
mod encoding;
mod error;
mod failure;
mod findings;
mod fingerprint;
#[cfg(feature = "json")]
mod json;
mod limits;
mod message;
mod mismatch;
mod parse;
mod path;
mod pid;
mod plan;
#[cfg(test)]
mod prediction;
mod process_ref;
mod protocol;
mod render;
mod resolve;
mod resolve_parts;
mod scan;
mod schema;
mod schema_impls;
mod send_port;
mod shape;
mod stated;
mod text;
mod told;
mod tree;
mod type_info;

pub use binary::{Binary, REFERENCE_MIN, decoding};
pub use codec::{decode, encode};
pub use conversion::Conversion;
pub use decode::{decode_resolved, translate};
pub use descriptor::{ConversionsFn, Descriptor, DescriptorFn};
pub use destination::{Address, Destination};
pub use encoding::Encoding;
pub use error::{DecodeError, DecodeReason, EncodeError};
pub use fingerprint::{Fingerprint, FingerprintError};
#[cfg(feature = "json")]
pub use json::JsonError;
pub use limits::{
    MAX_DEFINITIONS, MAX_FREE_VALUES, MAX_NAME_BYTES, MAX_SCHEMA_BYTES, MAX_TYPE_DEPTH,
    MAX_VALUE_DEPTH, VALUES_PER_BYTE,
};
pub use message::Message;
/// Derives [`trait@Message`] and [`trait@Schema`]; `#[message(name = "…", version = N)]` says how it is called.
pub use midflight_macros::Message;
/// Derives [`trait@Schema`] for a type that is only ever a part of messages.
pub use midflight_macros::Schema;
pub use mismatch::{Mismatch, MismatchReason};
pub use pid::{NodeId, ParsePidError, Pid};
pub use plan::{Certainty, Converted, Plan, Resolution, Risk};
pub use process_ref::ProcessRef;
pub use protocol::{Anything, Protocol, Takes};
pub use render::Render;
pub use resolve::resolve;
pub use schema::Schema;
pub use send_port::SendPort;
pub use shape::{Body, Definition, Field, Shape, Variant};
#[doc(hidden)]
pub use stated::Stated;
pub use told::{ToldConversions, ToldError};
pub use tree::{Scalar, SchemaError, SchemaTree, Type};
pub use type_info::{TypeInfo, TypeInfoError};

/// The examples of the page on schemas.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/schemas.md")]
struct Page;

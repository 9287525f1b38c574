//! What the derives generate passes the strictest lints, and finds its crate where it is told to.
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unused_lifetimes,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::or_fun_call
)]

use midflight_message::{Message, Schema, decode, encode};
use serde::{Deserialize, Serialize};

/// The message crate under another name.
mod carrier {
    pub(super) use midflight_message as message;
}

/// A message with a bit of everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "tidy.Everything", version = 7, crate = "crate::tidy::carrier::message")]
pub(crate) enum Everything {
    /// Nothing.
    Nothing,
    /// One.
    One(Part<u8>),
    /// Some.
    Some(u8, Option<Box<Self>>),
    /// Named.
    Named {
        /// A field.
        #[serde(default, rename = "other", alias = "third")]
        field: String,
    },
}

/// A part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Schema)]
#[schema(crate = "crate::tidy::carrier::message")]
pub(crate) struct Part<T>(Vec<T>);

#[test]
fn the_crate_is_where_it_is_said_to_be() {
    let one = Everything::Some(1, Some(Box::new(Everything::One(Part(vec![1])))));
    let mut bytes = Vec::new();
    assert_eq!(encode(&one, &mut bytes), Ok(()));
    assert_eq!(decode(&bytes), Ok(one));
    assert_eq!(Everything::type_info().to_string(), "tidy.Everything@7");
}

//! The trait of everything that is sent.

use std::sync::OnceLock;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Schema, TypeInfo};

/// A type that processes send each other.
///
/// Derive it with `#[derive(Serialize, Deserialize, Message)]`. The name is what the type is called
/// on every node and in every version; `<package>.<Type>` unless `#[message(name = "…")]` says
/// otherwise. The version is the author's word on meaning: as long as it stays, serde's own rules may
/// bridge a changed structure; once it rises, the author's conversion must.
///
/// A message is one concrete type, and the derive refuses what its schema could not follow:
///
/// ```compile_fail
/// # use midflight_message::Message; use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, Message)]
/// struct Generic<T> {
///     of: T,
/// }
/// ```
///
/// ```compile_fail
/// # use midflight_message::Message; use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize, Message)]
/// #[serde(untagged)]
/// enum Untagged {
///     Number(u8),
///     Text(String),
/// }
/// ```
///
/// ```compile_fail,E0277
/// # use midflight_message::Message; use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Part;
///
/// #[derive(Serialize, Deserialize, Message)]
/// struct Whole {
///     part: Part, // the schema of `Part` is not known
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message",
    note = "write `#[derive(Serialize, Deserialize, Message)]` on it"
)]
pub trait Message: Schema + Serialize + DeserializeOwned + Send + 'static {
    /// What the type is called on the wire.
    const NAME: &'static str;

    /// The author's version.
    const VERSION: u32;

    /// The type's name, version, schema and fingerprint, worked out once.
    fn type_info() -> &'static TypeInfo;
}

macro_rules! plain_messages {
    ($($ty:ty => $name:literal),* $(,)?) => {$(
        impl Message for $ty {
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;

            fn type_info() -> &'static TypeInfo {
                static INFO: OnceLock<TypeInfo> = OnceLock::new();
                INFO.get_or_init(TypeInfo::of::<Self>)
            }
        }
    )*};
}

plain_messages! {
    () => "unit", bool => "bool", u64 => "u64", i64 => "i64", u32 => "u32",
    String => "string", Vec<u8> => "bytes",
}

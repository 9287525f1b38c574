//! Messages and states as bytes: postcard, and every byte must be used.

use midflight_message::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::status::Status;

pub(crate) fn read<M: Message>(bytes: &[u8]) -> Result<M, Failure> {
    midflight_message::decode(bytes).map_err(|e| Failure::new(Status::DECODE, e.to_string()))
}

pub(crate) fn read_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let bad = |why: String| {
        let name = std::any::type_name::<T>();
        Failure::new(Status::DECODE, format!("not a {name}: {why}"))
    };
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|e| bad(e.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(bad(format!("{} bytes too many", rest.len()))) }
}

/// Writes into a vector whose room is used again.
pub(crate) fn write_state<T: Serialize>(value: &T, mut spare: Vec<u8>) -> Result<Vec<u8>, Failure> {
    spare.clear();
    postcard::to_extend(value, spare).map_err(|e| {
        let name = std::any::type_name::<T>();
        Failure::new(Status::REFUSED, format!("{name} cannot be encoded: {e}"))
    })
}

/// How many bytes `value` would take.
pub(crate) fn size<T: Serialize>(value: &T) -> u64 {
    let size = postcard::serialize_with_flavor(value, postcard::ser_flavors::Size::default());
    size.map_or(u64::MAX, |size| size as u64)
}

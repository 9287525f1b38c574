//! Decoding a message as its resolution says.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{decode_plainly, encode_as};
use crate::cursor::Cursor;
use crate::driven::Driven;
use crate::error::{DecodeError, DecodeReason};
use crate::failure::Failure;
use crate::{Message, Plan, Resolution, TypeInfo};

/// Decodes a message as its resolution says. The message must fill the bytes.
///
/// # Errors
///
/// When the types are incompatible, when a risk of the plan came true, or when the bytes are not
/// exactly one value of the writer's type.
///
/// # Panics
///
/// When a conversion does, as any code of its author's.
pub fn decode_resolved<M: Message>(
    bytes: &[u8],
    resolution: &Resolution,
) -> Result<M, DecodeError> {
    decode_as(M::type_info(), bytes, resolution)
}

fn decode_as<T: DeserializeOwned + 'static>(
    reader: &TypeInfo,
    bytes: &[u8],
    resolution: &Resolution,
) -> Result<T, DecodeError> {
    let plain = || decode_plainly(reader.tree(), bytes);
    let done = match resolution {
        Resolution::Same => plain().map_err(Failure::from),
        Resolution::Structural(plan) | Resolution::Chain(plan)
            if plan.reader != reader.fingerprint() =>
        {
            Err(DecodeReason::Refused("the plan is for another type".to_owned()).into())
        }
        // What fails is read again by the plan, which knows where.
        Resolution::Structural(plan) if plan.verbatim => plain().or_else(|_| read(plan, bytes)),
        Resolution::Structural(plan) | Resolution::Chain(plan) => read(plan, bytes),
        Resolution::Incompatible(mismatch) => {
            Err(DecodeReason::Incompatible(Box::new(mismatch.clone())).into())
        }
    };
    done.map_err(|failure: Failure| DecodeError {
        type_name: reader.to_string(),
        field_path: failure.path(),
        reason: failure.reason,
    })
}

/// From the bytes that a writer wrote to those that `T` itself would write: the whole of a resolution
/// as a function over bytes, for a reader that takes only its own form. `reader` is the type `T`, which
/// need not be a message.
///
/// # Errors
///
/// As [`decode_resolved`]; also when the value cannot be written again.
///
/// # Panics
///
/// As [`decode_resolved`].
pub fn translate<T: Serialize + DeserializeOwned + 'static>(
    reader: &TypeInfo,
    bytes: &[u8],
    resolution: &Resolution,
) -> Result<Vec<u8>, DecodeError> {
    let value: T = decode_as(reader, bytes, resolution)?;
    let mut ours = Vec::new();
    encode_as(reader, &value, &mut ours, None).map_err(|error| DecodeError {
        type_name: error.type_name,
        field_path: String::new(),
        reason: DecodeReason::Refused(error.reason),
    })?;
    Ok(ours)
}

/// Reads a whole message by its plan. Where all of it is converted, the last step makes it.
fn read<T: DeserializeOwned + 'static>(plan: &Plan, bytes: &[u8]) -> Result<T, Failure> {
    let mut cursor = Cursor::new(bytes);
    let root = &plan.writer.root;
    let driven = Driven::new(&mut cursor, &plan.writer, root, 0, plan.chains.ours())?;
    let message = match driven.chain {
        Some(chain) => {
            let (made, last) = driven.run(chain)?;
            match made.downcast::<T>() {
                Ok(message) => *message,
                // What was converted is only wrapped in the message.
                Err(made) => last.read_back(&*made, 0, |driven| T::deserialize(driven))?,
            }
        }
        None => T::deserialize(driven)?,
    };
    cursor.finish()?;
    Ok(message)
}

/// Walks bytes and schema together.
#[cfg(test)]
pub(crate) fn follow<'de, S: serde::de::DeserializeSeed<'de>>(
    writer: &crate::SchemaTree,
    bytes: &[u8],
    seed: S,
) -> Result<S::Value, Failure> {
    let mut cursor = Cursor::new(bytes);
    let value = seed.deserialize(Driven::new(&mut cursor, writer, &writer.root, 0, None)?)?;
    cursor.finish()?;
    Ok(value)
}

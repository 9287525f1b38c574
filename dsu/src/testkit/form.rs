//! Bringing bytes into the form that some code reads, as a node does.

use midflight_message::{TypeInfo, resolve};

use crate::code::{Code, CodeError, Reader};
use crate::convert::{Reading, Reads};

/// The bytes in the code's own form, as a node would bring them into it.
pub(super) fn own_form(
    code: &dyn Code,
    (behaviour, reader): (u32, Reader),
    (ours, written): (&TypeInfo, &TypeInfo),
    bytes: &[u8],
) -> Result<Vec<u8>, String> {
    match Reads::of(code.description()).reading(&resolve(written, ours)) {
        Reading::AsTheyAre => Ok(bytes.to_vec()),
        Reading::Translated => {
            code.translate(behaviour, reader, written, bytes).map_err(|error| error.to_string())
        }
        Reading::OwnFormOnly => Err(CodeError::OwnFormOnly.to_string()),
        Reading::Incompatible(mismatch) => Err(mismatch.to_string()),
    }
}

//! What nodes say to each other, above the transport.

use midflight_process::fuzz;

use crate::Trail;

/// A frame's payload that is read is written and read again as it was, and is bounded by its bytes.
pub fn node(bytes: &[u8], trail: &mut Trail) {
    trail.note(fuzz::frame(bytes));
}

//! The membership's packets.

use midflight_process::fuzz;

use crate::Trail;

/// Whatever a peer's packet says, no more members are kept than may be, and the node stays one.
pub fn gossip(bytes: &[u8], trail: &mut Trail) {
    trail.note(fuzz::gossip(bytes));
}

//! What a node itself tells its processes, in messages of its own. Nobody has sent them: so nobody is
//! told when one is not taken, or two processes could refuse each other's refusals for ever.

use midflight_message::Message;

use crate::trace::TraceEvent;
use crate::{Disconnected, Down, Exited, GroupChange, MemberEvent, NodeDown, Undelivered};

/// Whether messages of this name are a node's own.
pub(crate) fn is_notice(name: &str) -> bool {
    const ASKED_FOR: [&str; 6] = [
        Down::NAME,
        Exited::NAME,
        GroupChange::NAME,
        MemberEvent::NAME,
        NodeDown::NAME,
        TraceEvent::NAME,
    ];
    is_unasked(name) || ASKED_FOR.contains(&name)
}

/// Whether messages of this name come to processes that never asked for them: whoever does nothing
/// about them is well all the same.
pub(crate) fn is_unasked(name: &str) -> bool {
    [Undelivered::NAME, Disconnected::NAME].contains(&name)
}

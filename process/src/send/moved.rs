//! The way of most messages: from a process to another of the same node, where nobody looks at them.

use std::sync::Arc;

use super::{Kind, NotSent, content_of, local};
use crate::mailbox::envelope::{Content, Envelope};
use crate::mailbox::value::Value;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::table::NotDelivered;
use crate::trace;

impl Inner {
    /// Moves a message to a process of this node, if it has room. Nothing is looked up, unless the sender is
    /// traced or somebody has refused something.
    #[inline]
    pub(crate) fn send_moved(
        self: &Arc<Self>,
        from: Place,
        to: Place,
        value: Box<dyn Value>,
    ) -> Result<(), NotSent> {
        if trace::is_on() || !self.refused.is_empty() {
            return self.send_local(from, to, Kind::Message, Content::Value(value));
        }
        let entry = Envelope::Value { from: local(from), value };
        match self.deliver(to, entry, Some(self.room())) {
            Ok(()) | Err(NotDelivered::Dead(_)) => Ok(()),
            Err(NotDelivered::Full(entry)) => Err(NotSent::Full(content_of(entry))),
        }
    }
}

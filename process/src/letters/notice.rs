//! What a node itself tells its processes, in messages of its own. Nobody has sent them: so nobody is
//! told when one is not taken, or two processes could refuse each other's refusals for ever.
//!
//! Those that come unasked take no room from messages, and have a bound of their own: a process that
//! never reads them is as well off as one that does.

use midflight_message::Message;

use crate::mailbox::envelope::{Envelope, Parcel, Sender};
use crate::mailbox::value::Value;
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::table::slot::Slot;
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

impl Inner {
    /// Puts a notice into a mailbox in which there are not many. A process that does not live any more is
    /// told nothing.
    pub(crate) fn notify(&self, from: Sender, to: Place, notice: Box<dyn Value>) {
        self.notify_by(from, to, |_| Some(notice));
    }

    /// As [`Inner::notify`], of what `tell` finds to be told at the process's cell, under its lock.
    /// `None`: it does not live.
    pub(crate) fn notify_by(
        &self,
        from: Sender,
        to: Place,
        tell: impl FnOnce(&mut Slot) -> Option<Box<dyn Value>>,
    ) -> Option<()> {
        let mut untold = None;
        let queue = self.table.visit(to.index, to.generation, |slot| {
            let notice = tell(slot)?;
            if slot.mailbox.notices >= self.limits.mailbox_messages {
                untold = Some(notice);
                return None;
            }
            Some(Envelope::Parcel { from, parcel: Box::new(Parcel::Notice(notice)) })
        })?;
        if queue {
            self.queues.push(to.index);
        }
        if let Some(notice) = untold {
            let (to, notice) = (self.local_pid(to), notice.type_info().name());
            tracing::warn!(%to, notice, "no room for a notice: so many lie there unread");
        }
        Some(())
    }
}

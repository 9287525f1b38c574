//! The end of a process's body: nobody is left waiting for a reply, and what it has not used is given back.

use std::fmt;

use midflight_process::Refusal;

use super::Hosted;

impl Drop for Hosted {
    fn drop(&mut self) {
        // Where a list is of a suspended handler, both have the same caller.
        let suspended = self.suspended.as_ref().and_then(|suspended| suspended.caller());
        let effects = self.effects.caller().filter(|_| suspended.is_none());
        let held = self.held.as_ref().and_then(|held| held.caller);
        for caller in [suspended, effects, held].into_iter().flatten() {
            let reason = String::from("the process ended before it replied");
            self.node.refuse_call(caller, Refusal::Aborted { reason });
        }
        self.effects.give_back(&self.node);
        self.state_bytes.leave(&self.residence.version);
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hosted({} version {})", self.behaviour(), self.version().version)
    }
}

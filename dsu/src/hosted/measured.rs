//! What a process does, for whoever compares its version with another (R3).

use midflight_process::Body as _;
use midflight_runtime::Instant;

use super::Hosted;

impl Hosted {
    /// Now, if anybody wants to know how long a message is handled.
    pub(super) fn begins(&self) -> Option<Instant> {
        self.version().is_measured().then(|| self.node.runtime().now())
    }

    /// What began then has ended well.
    pub(super) fn took(&self, began: Option<Instant>) {
        if let Some(began) = began
            && self.version().is_measured()
        {
            self.version().took(self.node.runtime().now().since(began));
        }
    }

    /// Counts what the state takes, while anybody wants to know; a handler that waits has it.
    pub(super) fn measure_state(&mut self) {
        if !self.version().is_measured() || !self.is_quiescent() {
            return;
        }
        let now = self.node.runtime().now();
        if self.state_bytes.is_due(now) {
            let bytes = self.size();
            self.state_bytes.are(bytes, &self.residence.version, now);
        }
    }
}

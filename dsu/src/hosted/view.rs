//! What a call into code may ask of the node at once.

use midflight_abi::Level;
use midflight_message::Pid;
use midflight_process::Node;
use midflight_runtime::Instant;
use parking_lot::Mutex;

use crate::code::Host;

/// The node, for one call.
pub(super) struct HostView<'a> {
    node: &'a Node,
    /// Pids reserved in this call.
    reserved: Mutex<Vec<Pid>>,
}

impl<'a> HostView<'a> {
    pub(super) const fn new(node: &'a Node) -> Self {
        Self { node, reserved: Mutex::new(Vec::new()) }
    }

    /// The call went well: its pids are used by its effects, or given back after them.
    pub(super) fn into_reserved(self) -> Vec<Pid> {
        self.reserved.into_inner()
    }

    /// The call failed: its pids are not used.
    pub(super) fn give_back(self) {
        for pid in self.reserved.into_inner() {
            self.node.unreserve(pid);
        }
    }
}

impl Host for HostView<'_> {
    fn log(&self, level: Level, text: &str) {
        match level {
            Level::Error => tracing::error!(target: "midflight::behaviour", "{text}"),
            Level::Warn => tracing::warn!(target: "midflight::behaviour", "{text}"),
            Level::Info => tracing::info!(target: "midflight::behaviour", "{text}"),
            Level::Debug => tracing::debug!(target: "midflight::behaviour", "{text}"),
        }
    }

    fn now_nanos(&self) -> u64 {
        self.node
            .runtime()
            .now()
            .since(Instant::default())
            .as_nanos()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    fn unix_nanos(&self) -> u64 {
        self.node.runtime().unix_time().as_nanos().try_into().unwrap_or(u64::MAX)
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.node.runtime().fill_random(buffer);
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        self.node.whereis(name)
    }

    fn reserve(&self) -> Option<Pid> {
        /// Pids one call may reserve.
        const RESERVED_MAX: usize = 65_536;
        let mut reserved = self.reserved.lock();
        if reserved.len() >= RESERVED_MAX {
            return None;
        }
        let pid = self.node.reserve().ok()?;
        reserved.push(pid);
        Some(pid)
    }
}

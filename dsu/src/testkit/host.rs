//! A node for one process under test: a clock that stands until it is moved, chance that is always the same, and no
//! one else there.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use midflight_abi::Level;
use midflight_message::{NodeId, Pid};

use crate::code::Host;

const NODE: NodeId = NodeId(1);
/// When it is, in nanoseconds since 1970: some time in 2026.
const EPOCH_NANOS: u64 = 1_780_000_000_000_000_000;

pub(super) const fn pid(index: u32) -> Pid {
    Pid { node: NODE, index, generation: 1 }
}

/// The process itself.
pub(super) const ME: Pid = pid(1);
/// Who sends it messages.
pub(super) const SENDER: Pid = pid(2);
/// Its first child.
const FIRST_CHILD: u32 = 1_000;

#[derive(Debug, Default)]
pub(super) struct TestHost {
    /// In nanoseconds since the process began.
    now: AtomicU64,
    /// How many random bytes were asked for.
    drawn: AtomicU64,
    children: AtomicU32,
}

impl Clone for TestHost {
    fn clone(&self) -> Self {
        Self {
            now: self.now.load(Ordering::Relaxed).into(),
            drawn: self.drawn.load(Ordering::Relaxed).into(),
            children: self.children.load(Ordering::Relaxed).into(),
        }
    }
}

impl TestHost {
    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.now_nanos())
    }

    /// The clock never goes back.
    pub(super) fn set(&self, now: Duration) {
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.now.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl Host for TestHost {
    fn log(&self, _level: Level, _text: &str) {}

    fn now_nanos(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn unix_nanos(&self) -> u64 {
        EPOCH_NANOS.saturating_add(self.now_nanos())
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let number = self.drawn.fetch_add(1, Ordering::Relaxed) + 1;
            chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        }
    }

    fn whereis(&self, _name: &str) -> Option<Pid> {
        None
    }

    fn reserve(&self) -> Option<Pid> {
        let number = self.children.fetch_add(1, Ordering::Relaxed);
        Some(pid(FIRST_CHILD.saturating_add(number)))
    }
}

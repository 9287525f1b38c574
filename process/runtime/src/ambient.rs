//! The runtime of the caller, for libraries that take theirs as a type and not as a value.

use std::cell::RefCell;

use crate::{Handle, TokioRuntime};

thread_local! {
    static SIMULATED: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// The runtime that runs the calling task: the simulator, or tokio. All that it answers on one machine have one clock.
///
/// # Panics
/// When called outside both, as `tokio::runtime::Handle::current` does.
#[must_use]
pub fn current() -> Handle {
    SIMULATED.with_borrow(Option::clone).unwrap_or_else(TokioRuntime::ambient)
}

/// Makes a simulator the runtime of this thread until it is dropped.
pub(crate) struct Simulated(Option<Handle>);

impl Simulated {
    pub(crate) fn begin(runtime: Handle) -> Self {
        Self(SIMULATED.replace(Some(runtime)))
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        SIMULATED.set(self.0.take());
    }
}

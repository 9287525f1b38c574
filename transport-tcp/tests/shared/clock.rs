//! Waiting that is what a test is about: a peer that takes its time.
#![allow(dead_code, reason = "each test program uses a part")]

use std::time::Duration;

use midflight_runtime::Handle;

/// Does nothing for so long.
pub(crate) async fn pause(runtime: &Handle, duration: Duration) {
    runtime.sleep(duration).await;
}

/// The time since any fixed point.
pub(crate) fn now(runtime: &Handle) -> Duration {
    Duration::from_nanos(runtime.now().as_nanos())
}

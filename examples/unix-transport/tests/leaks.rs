//! What is gone leaves nothing: the suite's cases about leaks, in a process of their own.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use midflight_transport_api::conformance::{CaseFuture, Fixture, Usage};
use peak_alloc::PeakAlloc;

#[path = "shared/folder.rs"]
mod folder;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What this process holds; called on the case's runtime.
fn usage() -> Usage {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    // Where there is no such folder, sockets are not counted.
    let sockets = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Usage { tasks, sockets, bytes: HEAP.current_usage() }
}

fn measured(case: &dyn Fn(Fixture) -> CaseFuture) {
    folder::unix(&|fixture| case(Fixture { usage: Ok(Arc::new(usage)), ..fixture }));
}

midflight_transport_api::conformance_leaks!(measured);

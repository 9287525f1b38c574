//! What is gone leaves nothing: the suite's cases about leaks, in a process of their own. Not under the
//! simulator, which does not count its tasks.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{TokioRuntime, timeout};
use midflight_transport_api::conformance::{CaseFuture, Fixture, Usage};
use peak_alloc::PeakAlloc;

#[path = "shared/network.rs"]
mod network;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What this process holds; called on the case's runtime.
fn usage() -> Usage {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    Usage { tasks, sockets: 0, bytes: HEAP.current_usage() }
}

fn memory(case: &dyn Fn(Fixture) -> CaseFuture) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let fixture = network::on(&runtime, 0, |memory| Arc::new(memory));
    let case = case(Fixture { usage: Ok(Arc::new(usage)), ..fixture });
    tokio
        .block_on(timeout(&*runtime, Duration::from_secs(60), case))
        .expect("the case ends within a minute");
}

midflight_transport_api::conformance_leaks!(memory);

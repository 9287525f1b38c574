//! The suite over sockets on the loopback.

use std::sync::Arc;

use midflight_transport_api::conformance::{CaseFuture, Fixture};
use midflight_transport_tcp::TcpTransport;

#[path = "shared/loopback.rs"]
mod loopback;

fn tcp(case: &dyn Fn(Fixture) -> CaseFuture) {
    loopback::run(case, "tcp", |config, runtime| Arc::new(TcpTransport::new(config, runtime)));
}

midflight_transport_api::conformance_suite!(tcp);

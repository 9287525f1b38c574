//! The suite over sockets on the loopback, bare and under TLS.

use std::sync::Arc;

use midflight_transport_api::conformance::{CaseFuture, Fixture};
use midflight_transport_tcp::TcpTransport;

#[path = "shared/certificates.rs"]
mod certificates;
#[path = "shared/loopback.rs"]
mod loopback;

mod tcp {
    use super::*;

    fn tcp(case: &dyn Fn(Fixture) -> CaseFuture) {
        loopback::run(case, "tcp", |config, runtime| Arc::new(TcpTransport::new(config, runtime)));
    }

    midflight_transport_api::conformance_suite!(tcp);
}

mod tls {
    use super::*;

    fn tls(case: &dyn Fn(Fixture) -> CaseFuture) {
        loopback::run(case, "tls", certificates::tls);
    }

    midflight_transport_api::conformance_suite!(tls);
}

/// The cases in which the path falls silent.
mod relayed {
    mod tcp {
        use super::super::*;

        fn tcp(case: &dyn Fn(Fixture) -> CaseFuture) {
            loopback::run_relayed(case, "tcp", |config, runtime| {
                Arc::new(TcpTransport::new(config, runtime))
            });
        }

        midflight_transport_api::conformance_suite! { @cases tcp;
            failing: silent_peer_noticed, a_half_open_link_is_told_lost_before_the_next;
        }
    }

    mod tls {
        use super::super::*;

        fn tls(case: &dyn Fn(Fixture) -> CaseFuture) {
            loopback::run_relayed(case, "tls", certificates::tls);
        }

        midflight_transport_api::conformance_suite! { @cases tls;
            failing: silent_peer_noticed, a_half_open_link_is_told_lost_before_the_next;
        }
    }
}

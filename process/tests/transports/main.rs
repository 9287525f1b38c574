//! The cases of `tests/it` once more, over real sockets in real time: bare TCP and TLS on the
//! loopback. Only what must have the simulator, for its faults, its clock or its seeds, is left out; of the
//! files, `impostor`, whose peer speaks by hand over the network in memory and has paths of it cut.
#![expect(clippy::unwrap_used, reason = "a test may")]
#![expect(clippy::duplicate_mod, reason = "the same cases, on each transport")]
#![allow(dead_code, unused_imports, reason = "helpers of the cases that are left out")]

/// Cases that only the simulator can run.
macro_rules! simulated {
    ($($item:item)*) => {};
}

/// All cases, over one of [`loopback`]'s transports: under the names they have in `tests/it`.
macro_rules! cases {
    ($transport:ident) => {
        mod world {
            use std::future::Future;

            pub(crate) use crate::loopback::{LARGEST, QUIET, SLACK, World, keep, took, until};

            pub(crate) fn simulate<F>(scenario: impl Fn(World) -> F)
            where
                F: Future<Output = ()> + Send + 'static,
            {
                crate::loopback::$transport(scenario);
            }

            pub(crate) fn run<F>(_seed: u64, scenario: impl Fn(World) -> F)
            where
                F: Future<Output = ()> + Send + 'static,
            {
                simulate(scenario);
            }
        }

        #[path = "../it/binaries.rs"]
        mod binaries;
        #[path = "../it/call_on.rs"]
        mod call_on;
        #[path = "../it/calls.rs"]
        mod calls;
        #[path = "../it/channels.rs"]
        mod channels;
        #[path = "../it/cloud_haskell.rs"]
        mod cloud_haskell;
        #[path = "../it/events.rs"]
        mod events;
        #[path = "../it/exits.rs"]
        mod exits;
        #[path = "../it/groups.rs"]
        mod groups;
        #[path = "../it/incarnations.rs"]
        mod incarnations;
        #[path = "../it/info.rs"]
        mod info;
        #[path = "../it/kinds.rs"]
        mod kinds;
        #[path = "../it/letters.rs"]
        mod letters;
        #[path = "../it/links.rs"]
        mod links;
        #[path = "../it/losses.rs"]
        mod losses;
        #[path = "../it/managed.rs"]
        mod managed;
        #[path = "../it/members.rs"]
        mod members;
        #[path = "../it/metrics.rs"]
        mod metrics;
        #[path = "../it/mismatch.rs"]
        mod mismatch;
        #[path = "../it/monitors.rs"]
        mod monitors;
        #[path = "../it/names.rs"]
        mod names;
        #[path = "../it/order.rs"]
        mod order;
        #[path = "../it/processes.rs"]
        mod processes;
        #[path = "../it/receive.rs"]
        mod receive;
        #[path = "../it/refusals.rs"]
        mod refusals;
        #[path = "../it/requests.rs"]
        mod requests;
        #[path = "../it/roles.rs"]
        mod roles;
        #[path = "../it/room.rs"]
        mod room;
        #[path = "../it/scene.rs"]
        mod scene;
        #[path = "../it/shutdown.rs"]
        mod shutdown;
        #[path = "../it/silent.rs"]
        mod silent;
        #[path = "../it/sources.rs"]
        mod sources;
        #[path = "../it/spawn_on.rs"]
        mod spawn_on;
        #[path = "../it/supervisors.rs"]
        mod supervisors;
        #[path = "../it/timers.rs"]
        mod timers;
        #[path = "../it/traces.rs"]
        mod traces;
    };
}

mod loopback;
mod tcp;
mod tls;

//! The suite that every backend runs: one list of named cases.
//!
//! A backend writes one function that makes a [`Fixture`] and runs a case with it, in about thirty
//! lines, and `midflight_transport_api::conformance_suite!(its_function);` in a test file: that makes
//! one `#[test]` of each case. A case that cannot run says why, and the reason is printed.
//!
//! ```ignore
//! fn loopback(run: &dyn Fn(Fixture) -> CaseFuture) {
//!     let runtime = …;
//!     runtime.block_on(run(Fixture { … }));
//! }
//!
//! midflight_transport_api::conformance_suite!(loopback);
//! ```
//!
//! The function may run the case several times, each with a fixture of its own, and panics when that
//! takes longer than a minute or so.

#![allow(
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    reason = "every case panics when the backend fails it, and answers an error to be skipped"
)]

pub mod connecting;
pub mod failing;
mod fixture;
mod party;
pub mod script;
pub mod sending;

pub use fixture::{CaseFuture, Cut, Fixture, Outcome, Speaking, report};
pub use party::{Party, Seen, nobody, send, send_large};

/// Makes one `#[test]` of each case for a function that runs a case with a
/// [`Fixture`](crate::conformance::Fixture).
#[macro_export]
macro_rules! conformance_suite {
    ($backend:path) => {
        $crate::conformance_suite! { @cases $backend;
            sending: ping_pong, end_points, connections_are_separate, close_one_connection,
                close_one_direction, close_reopen, send_after_close, close_twice,
                large_message_does_not_starve_small, messages_of_all_sizes_keep_their_order,
                bounded_outgoing_says_full, a_slow_reader_slows_no_one_else,
                unsupported_size_refused, extensions_arrive;
            connecting: parallel_connects, crossing, connect_to_nobody, connect_closed_end_point,
                connect_bad_address, connect_to_self, dial_only, listening_twice_is_refused,
                a_second_connect_gives_the_same_link;
            failing: lost_told_once_and_before_reconnect, handles_refuse_after_loss, break_link,
                break_link_from_both_sides, abort, polite_close_delivers_first,
                polite_close_from_both_sides, end_point_close, dropped_end_point,
                silent_peer_noticed, idle_link_lives, a_paused_reader_is_not_silent,
                who_waits_for_room_learns_of_the_loss, closing_and_connecting_again;
            script: scripts_of_two, scripts_of_three;
        }
    };
    (@cases $backend:path; $($group:ident: $($case:ident),*;)*) => {
        $($(
            #[test]
            fn $case() {
                $backend(&|fixture| {
                    let case = $crate::conformance::$group::$case(fixture);
                    ::std::boxed::Box::pin($crate::conformance::report(stringify!($case), case))
                });
            }
        )*)*
    };
}

//! The suite that every backend runs: one list of named cases.
//!
//! A backend writes one function that makes a [`Fixture`] and runs a case with it, in about thirty
//! lines, and `midflight_transport_api::conformance_suite!(its_function);` in a test file: that makes
//! one `#[test]` of each case. A case that cannot run says why, and the reason is printed.
//!
//! ```ignore
//! fn loopback(case: &dyn Fn(Fixture) -> CaseFuture) {
//!     let runtime = MyRuntime::new();
//!     let transport = Arc::new(MyTransport::new(&runtime));
//!     runtime.block_on(case(Fixture { transport, .. }));
//! }
//!
//! midflight_transport_api::conformance_suite!(loopback);
//! ```
//!
//! The function may run the case several times, each with a fixture of its own, and panics when that
//! takes longer than a minute or so.
//!
//! # The generic cases of Cloud Haskell
//!
//! The oldest suite of this kind is that of `network-transport`, with twenty cases (and one that no
//! transport of theirs runs). What became of each here:
//!
//! | there | here |
//! |---|---|
//! | PingPong | [`ping_pong`](sending::ping_pong) |
//! | EndPoints | [`end_points`](sending::end_points) |
//! | Connections | [`connections_are_separate`](sending::connections_are_separate) |
//! | CloseOneConnection | [`close_one_connection`](sending::close_one_connection) |
//! | CloseOneDirection | [`close_one_direction`](sending::close_one_direction) |
//! | CloseReopen | [`close_reopen`](sending::close_reopen) |
//! | ParallelConnects | [`parallel_connects`](connecting::parallel_connects) |
//! | SelfSend | none: an endpoint has no link to itself, [`connect_to_self`](connecting::connect_to_self) |
//! | SendAfterClose | [`send_after_close`](sending::send_after_close) |
//! | Crossing | [`crossing`](connecting::crossing); neither side may fail here |
//! | CloseTwice | [`close_twice`](sending::close_twice) |
//! | ConnectToSelf, ConnectToSelfTwice, CloseSelf | none, as SelfSend |
//! | CloseEndPoint | [`end_point_close`](failing::end_point_close); the way back to an address that cannot be dialled is in [`dial_only`](connecting::dial_only) |
//! | CloseTransport | a transport has nothing to close; [`end_point_close_leaves_another`](failing::end_point_close_leaves_another) has what is left of it |
//! | ConnectClosedEndPoint | [`connect_closed_end_point`](connecting::connect_closed_end_point) |
//! | ExceptionOnReceive | nothing is received by call; that nothing comes after the loss is in every [`script`] |
//! | SendException | [`a_fill_that_panics_harms_nothing`](sending::a_fill_that_panics_harms_nothing); there the link is given up, here it lives |
//! | Kill | [`kill`](crowd::kill) |
//! | Multicast | none: no transport here or there has it |

#![allow(
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    reason = "every case panics when the backend fails it, and answers an error to be skipped"
)]

pub mod connecting;
pub mod crowd;
pub mod failing;
mod fixture;
pub mod leaks;
pub mod limits;
mod party;
pub mod script;
pub mod sending;

pub use fixture::{CaseFuture, Cut, Fixture, Outcome, Speaking, Usage, report};
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
                bounded_outgoing_says_full, long_messages_leave_room_for_short,
                a_slow_reader_slows_no_one_else, unsupported_size_refused, extensions_arrive,
                a_fill_that_panics_harms_nothing;
            connecting: parallel_connects, crossing, connect_to_nobody, connect_closed_end_point,
                connect_bad_address, connect_to_self, dial_only, listening_twice_is_refused,
                a_second_connect_gives_the_same_link, a_cancelled_connect_harms_nothing;
            crowd: many_end_points_to_one, kill, bulk_streams_get_fair_shares;
            limits: connections_of_a_link, capabilities_tell_the_truth, a_common_version_is_found,
                no_common_version;
            failing: lost_told_once_and_before_reconnect,
                a_half_open_link_is_told_lost_before_the_next, handles_refuse_after_loss, break_link,
                break_link_from_both_sides, abort, polite_close_delivers_first,
                polite_close_from_both_sides, end_point_close, end_point_close_leaves_another,
                end_point_close_has_a_deadline, dropped_end_point,
                silent_peer_noticed, idle_link_lives, a_paused_reader_is_not_silent,
                who_waits_for_room_learns_of_the_loss, closing_and_connecting_again;
            script: scripts_of_one, scripts_of_two, scripts_of_three,
                closing_the_last_from_both_sides, break_and_send, break_here_and_connect,
                break_there_and_connect, break_send_and_reconnect;
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

/// Makes one `#[test]` of each case about leaks, for a function as in
/// [`conformance_suite`](crate::conformance_suite) whose fixture measures the process. They run one
/// after the other, in a test file of their own: what runs beside them would be measured too.
#[macro_export]
macro_rules! conformance_leaks {
    ($backend:path) => {
        $crate::conformance_leaks! { @cases $backend;
            leaks: connections_leave_nothing, links_leave_nothing;
        }
    };
    (@cases $backend:path; $($group:ident: $($case:ident),*;)*) => {
        static ALONE: ::std::sync::Mutex<()> = ::std::sync::Mutex::new(());

        $($(
            #[test]
            fn $case() {
                let _alone = ALONE.lock().unwrap_or_else(::std::sync::PoisonError::into_inner);
                $backend(&|fixture| {
                    let case = $crate::conformance::$group::$case(fixture);
                    ::std::boxed::Box::pin($crate::conformance::report(stringify!($case), case))
                });
            }
        )*)*
    };
}

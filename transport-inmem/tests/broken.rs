//! The suite is itself tested: backends that break one promise each fail the case that is about it,
//! in words that say so, and what wraps them passes it when it breaks nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use midflight_runtime::SimRuntime;
use midflight_transport_api::conformance::script::{Found, search};
use midflight_transport_api::conformance::{
    Fixture, Outcome, connecting, crowd, failing, limits, sending,
};
use midflight_transport_api::{Limits, Transport};
use midflight_transport_inmem::InMemory;

#[path = "shared/altered.rs"]
mod altered;
#[path = "shared/network.rs"]
mod network;

use altered::{Altered, Fault};

/// Runs a case on a network whose transport is made by `wrap`; the words with which it failed.
fn run<C>(
    case: impl FnOnce(Fixture) -> C,
    wrap: impl FnOnce(InMemory) -> Arc<dyn Transport>,
    versions: Option<Fault>,
) -> Result<(), String>
where
    C: Future<Output = Outcome> + Send + 'static,
{
    let sim = SimRuntime::new(1);
    let mut altered = None;
    let mut fixture = network::on(&sim.handle(), 1, |memory| {
        altered = versions.map(|fault| Altered::new(memory.clone(), fault));
        wrap(memory)
    });
    if let Some(altered) = altered {
        fixture.speaking = Ok(Arc::new(move |low, high| Arc::new(altered.speaking(low, high))));
    }
    let case = case(fixture);
    let ran = std::panic::catch_unwind(AssertUnwindSafe(|| sim.run(3_000_000, case)));
    let words = |panic: Box<dyn std::any::Any + Send>| match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(panic) => panic.downcast::<&str>().unwrap().to_string(),
    };
    match ran {
        Ok(Ok(outcome)) => outcome.map_err(|reason| format!("skipped: {reason}")),
        Ok(Err(stopped)) => Err(stopped.to_string()),
        Err(panic) => Err(words(panic)),
    }
}

/// The backend with this fault fails the case, with these words in what it says; the one without
/// passes.
fn fails<C>(fault: Fault, case: impl Fn(Fixture) -> C, words: &str)
where
    C: Future<Output = Outcome> + Send + 'static,
{
    let with = |fault| run(&case, |memory| Arc::new(Altered::new(memory, fault)), Some(fault));
    assert_eq!(with(Fault::Nothing), Ok(()), "the wrapper itself breaks nothing");
    let said = with(fault).expect_err("the case does not see the fault");
    assert!(said.contains(words), "{fault:?}: {said}");
}

#[test]
fn reordering_is_seen() {
    fails(
        Fault::Reorders,
        sending::messages_of_all_sizes_keep_their_order,
        "every stream is whole and in order",
    );
    fails(Fault::Reorders, crowd::many_end_points_to_one, "its link, its order");
}

#[test]
fn dropping_is_seen() {
    fails(Fault::Drops, sending::close_reopen, "the next message of the connection");
}

#[test]
fn duplicating_is_seen() {
    fails(Fault::Duplicates, crowd::kill, "each message came once");
}

#[test]
fn a_lost_loss_is_seen() {
    fails(
        Fault::LosesLosses,
        failing::lost_told_once_and_before_reconnect,
        "the loss of a link is told before the next is up",
    );
    fails(
        Fault::LosesLosses,
        failing::a_half_open_link_is_told_lost_before_the_next,
        "the loss of a link is told before the next is up",
    );
}

#[test]
fn an_unbounded_queue_is_seen() {
    let limited = |memory: InMemory| -> Arc<dyn Transport> { Arc::new(memory) };
    assert_eq!(run(sending::bounded_outgoing_says_full, limited, None), Ok(()));
    let unbounded = |memory: InMemory| -> Arc<dyn Transport> {
        let limits = Limits { small: usize::MAX, bulk: usize::MAX, max_message: 8 << 20 };
        Arc::new(memory.limits(limits))
    };
    let said = run(sending::bounded_outgoing_says_full, unbounded, None).unwrap_err();
    assert!(said.contains("nothing bounds it"), "{said}");
}

#[test]
fn wrong_version_ranges_are_seen() {
    fails(Fault::SwapsVersions, limits::no_common_version, "cannot connect: no common protocol");
}

/// Where there is something in common, all goes on.
#[test]
fn versions_in_common_are_used() {
    let altered = |memory| -> Arc<dyn Transport> { Arc::new(Altered::new(memory, Fault::Nothing)) };
    assert_eq!(run(limits::a_common_version_is_found, altered, Some(Fault::Nothing)), Ok(()));
    assert_eq!(run(connecting::crossing, altered, None), Ok(()));
}

/// The first script that finds the fault, shrunk.
fn found(fault: Fault) -> Option<Found> {
    let sim = SimRuntime::new(1);
    let fixture = network::on(&sim.handle(), 1, |memory| Arc::new(Altered::new(memory, fault)));
    sim.run(10_000_000, async move { search(&fixture, 2, 0..50).await }).unwrap()
}

/// Nobody wrote these scripts for these faults, and what is left of them is short enough to read.
#[test]
fn scripts_find_faults_and_are_shrunk() {
    assert!(found(Fault::Nothing).is_none());
    for (fault, steps, words) in [
        // A connection and three messages, of which the last overtakes the one before.
        (Fault::Reorders, 4, "came out of order"),
        (Fault::LosesLosses, 1, "was never told"),
    ] {
        let found = found(fault).unwrap();
        assert!(found.script.len() <= steps && found.why.contains(words), "{found}");
        assert!(found.steps_at_first > found.script.len(), "{found}");
    }
}

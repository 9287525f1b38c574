//! States that go to the new version and back.

use counter_v1::Add;
use midflight_dsu::testkit::{Script, TestError};
use proptest::prelude::*;

use super::behaviours::{Good, Narrows, Scale};
use super::update;

const CASES: u32 = 100_000;

fn scales() -> impl Strategy<Value = Scale> {
    (any::<u64>(), any::<u64>(), "[a-z]{0,8}").prop_map(|(grams, puts, note)| Scale {
        grams,
        puts,
        note,
    })
}

#[test]
fn a_hundred_thousand_states_are_what_they_were_but_for_what_is_declared_lost() {
    let test = update::<(Scale,), (Good,)>("scale").lossy("note");
    let trip = test.round_trip(scales(), CASES).unwrap();
    assert!(trip.is_ok() && trip.states == u64::from(CASES), "{trip}");
    // Most have a note, and some have none to lose.
    assert!((50_000..100_000).contains(&trip.lost["note"]), "{trip}");
}

#[test]
fn what_is_lost_and_not_declared_is_told_with_the_simplest_state() {
    let trip = update::<(Scale,), (Good,)>("scale").round_trip(scales(), CASES).unwrap();
    let violation = trip.violation.as_ref().unwrap();
    assert!(violation.why.contains("`note` is \"\", and should be \"a\""), "{trip}");
    assert!(violation.state.contains("grams: 0, puts: 0, note: \"a\""), "{trip}");
}

#[test]
fn a_way_back_that_cuts_large_numbers_is_found_and_its_bound_with_it() {
    let test = update::<(Scale,), (Narrows,)>("scale").lossy("note");
    let trip = test.round_trip(scales(), CASES).unwrap();
    let violation = trip.violation.as_ref().unwrap();
    assert!(violation.state.contains("grams: 5000000001, puts: 0"), "{trip}");
    assert!(violation.why.contains("should be 5000000001"), "{trip}");
}

#[test]
fn states_that_a_script_has_brought_go_as_well() {
    let test = update::<(counter_v1::Counter,), (counter_v2::Counter,)>("counter");
    let script = (0..50)
        .fold(Script::new(&()), |script, seq| script.call(&Add { seq, amount: 25 - seq as i64 }));
    let states = test.recorded(&script).unwrap();
    assert_eq!(states.len(), 51, "before the first message and after each");
    let trip = test.round_trip_of(states.clone());
    assert!(trip.is_ok() && trip.states == states.len() as u64, "{trip}");
}

#[test]
fn states_of_another_type_are_refused() {
    #[derive(Debug, serde::Serialize, serde::Deserialize, midflight_abi::State)]
    #[state(version = 1)]
    struct Other {
        grams: u64,
    }
    let others = any::<u64>().prop_map(|grams| Other { grams });
    let refused = update::<(Scale,), (Good,)>("scale").round_trip(others, 10).unwrap_err();
    assert!(matches!(refused, TestError::State { .. }), "{refused}");
}

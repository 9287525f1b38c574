//! The update at every point of a script.

use std::time::Duration;

use counter_v1::{Add, Get};
use counter_v2::Reset;
use midflight_dsu::testkit::{Answered, Failure, Point, Points, Script, TestError, UpdateTest};
use midflight_message::{NodeId, Pid};
use spoiler::{Become, How};

use super::behaviours::{Brief, Fill, Forgets, Good, Jar, Put, Scale, Unsavable};
use super::{bundled, update};

fn counting() -> Script {
    Script::new(&())
        .call(&Add { seq: 1, amount: 5 })
        .call(&Get { seq: 2 })
        .call(&Reset { seq: 3 })
        .cast(&Add { seq: 4, amount: 2 })
        .call(&Get { seq: 5 })
}

fn inputs_of(points: &Points, are: impl Fn(&Point) -> bool) -> Vec<usize> {
    points.points.iter().filter(|point| are(point)).map(|point| point.inputs).collect()
}

/// What the old version refuses, such as a message that only the new one has, is not held against the update.
#[test]
fn a_good_update_passes_at_every_point_and_the_table_says_so() {
    let test = update::<(counter_v1::Counter,), (counter_v2::Counter,)>("counter");
    let points = test.at_every_point(&counting()).unwrap();
    assert_eq!(inputs_of(&points, |_| true), [0, 1, 2, 3, 4, 5]);
    assert!(points.is_ok(), "{points}");
    let table = points.to_string();
    assert!(table.starts_with("counter 1 -> 2: 6 points, 0 failures\n"), "{table}");
    assert!(table.contains("0  its start") && table.contains("4  cast counter.Add"), "{table}");
}

#[tokio::test]
async fn bundles_pass_or_fail_as_what_is_compiled_in() {
    let (v1, v2) = (bundled("examples/counter-v1").await, bundled("examples/counter-v2").await);
    let loaded = UpdateTest::new(v1, v2, "counter").unwrap().at_every_point(&counting()).unwrap();
    let compiled = update::<(counter_v1::Counter,), (counter_v2::Counter,)>("counter");
    assert_eq!(loaded, compiled.at_every_point(&counting()).unwrap());
}

#[test]
fn a_conversion_that_forgets_is_found_at_the_points_where_it_does() {
    let script = (1..=5).fold(Script::new(&()), |script, grams| script.call(&Put { grams }));
    let points = update::<(Scale,), (Forgets,)>("scale").at_every_point(&script).unwrap();
    assert_eq!(inputs_of(&points, |point| point.failure.is_some()), [3, 4, 5], "{points}");
    let Some(Failure::Handling { input: 4, differences, .. }) = &points.points[3].failure else {
        panic!("{points}")
    };
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    // What is sent differs as well as what is answered; 1 + 2 + 3 are forgotten.
    assert_eq!(
        told,
        [
            "send scale.Printed to `printer`: `grams` is 4, and should be 10",
            "reply scale.Shows: `grams` is 4, and should be 10"
        ]
    );
    let Some(Failure::State(differences)) = &points.points[5].failure else { panic!("{points}") };
    assert!(differences.iter().all(|it| it.is_in_state("grams")), "{differences:?}");
}

#[test]
fn a_conversion_that_refuses_or_panics_fails_at_the_points_whose_state_it_is() {
    let become_ = |how| Become { how };
    let script = Script::new(&())
        .call(&become_(How::Well))
        .call(&become_(How::Refuses))
        .call(&become_(How::Panics))
        .call(&become_(How::Well));
    let test = update::<(spoiler::v1::Spoiler,), (spoiler::Spoiler,)>("spoiler");
    let points = test.at_every_point(&script).unwrap();
    let is_not_converted =
        |point: &Point| matches!(&point.failure, Some(Failure::Conversion(why)) if !why.is_empty());
    assert_eq!(inputs_of(&points, is_not_converted), [2, 3], "{points}");
    assert_eq!(points.failures().count(), 2, "{points}");
    let table = points.to_string();
    assert!(table.contains("it does not like this state"), "{table}");
    assert!(table.contains("the conversion panics"), "{table}");
}

/// Notes are told another way by the new version: those from before the update differ, and are allowed to.
#[test]
fn what_is_meant_to_differ_is_allowed_and_forms_are_bridged() {
    let note = |text: &str| clerk_v1::Note { text: text.into(), weight: 3 };
    let script = Script::new(&())
        .cast(&note("milk"))
        .call(&clerk_v1::Order { item: "tea".into(), pence: 250 })
        .cast(&clerk_v1::Later { text: "later".into(), millis: 1_500 })
        .call(&clerk_v1::Nap { millis: 500 })
        .wait(Duration::from_secs(2))
        .call(&clerk_v1::Look {});
    let test = update::<(clerk_v1::Clerk,), (clerk_v2::Clerk,)>("clerk");
    let points = test.clone().at_every_point(&script).unwrap();
    // From the first note on, until the end.
    assert!(points.points[0].failure.is_none(), "{points}");
    assert!(points.points[1..].iter().all(|point| point.failure.is_some()), "{points}");
    let test = test.allowing(|it| {
        let is_text = it.is_in_state("notes[].about") || it.is_in_state("notes[].text");
        is_text
            || it.is_in_state("stamped")
            || (it.field.starts_with("notes[") && it.field.ends_with("].0"))
    });
    let points = test.at_every_point(&script).unwrap();
    assert!(points.is_ok(), "{points}");
    // In the wait, it is after the timer.
    assert_eq!(inputs_of(&points, |_| true), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn calls_are_answered_by_the_test() {
    let to = Pid { node: NodeId(7), index: 4, generation: 1 };
    let script = Script::new(&()).call(&clerk_v1::Relay { to, item: "tea".into() });
    let test = update::<(clerk_v1::Clerk,), (clerk_v2::Clerk,)>("clerk");
    let by_relay = |test: &UpdateTest| test.at_every_point(&script).unwrap();
    assert!(by_relay(&test).is_ok(), "nobody is there, to both");
    let test = test.answering(|asked| match asked.message::<clerk_v1::Order>() {
        // Answers to the old version in the old form alone: the new one is told that nobody is there.
        Some(_) => Answered::reply(&clerk_v1::Receipt { number: 7 }),
        None => Answered::Gone,
    });
    assert!(by_relay(&test).is_ok(), "the switched one and the one that begins cold hear the same");
}

/// Points that lie deep in a loop are points as well, and those at which it owes a reply are none.
#[test]
fn a_loop_is_tried_at_each_of_its_update_points() {
    let from = Pid { node: NodeId(7), index: 4, generation: 1 };
    let script = Script::new(&())
        .cast(&rally_v1::Ping { n: 1, from })
        .cast(&rally_v1::Walk { steps: 3 })
        .call(&rally_v1::Look { after: 2 })
        // It is never answered: until the next message it owes a reply.
        .call(&rally_v1::Look { after: 4_000 })
        .cast(&rally_v1::Ping { n: 2, from });
    let test = update::<(rally_v1::Rally,), (rally_v2::Rally,)>("rally");
    let points = test.clone().at_every_point(&script).unwrap();
    assert_eq!(inputs_of(&points, |_| true), [0, 1, 2, 2, 2, 3, 5], "{points}");
    // Which code has walked is what differs.
    let is_meant = |field: &str| {
        let by_version = ["before", "since", "steps", "old_steps", "new_steps"];
        by_version.iter().any(|name| field.starts_with(name))
    };
    let points = test.allowing(move |it| is_meant(&it.field)).at_every_point(&script).unwrap();
    assert!(points.is_ok(), "{points}");
}

fn filled(numbers: &[u32]) -> Script {
    numbers.iter().fold(Script::new(&()), |script, number| script.cast(&Fill { number: *number }))
}

/// Nothing that it does differs, as its state is only looked at in the end.
#[test]
fn a_new_version_that_cannot_save_its_state_is_no_success() {
    let test = update::<(Jar,), (Unsavable,)>("jar");
    let points = test.at_every_point(&filled(&[5, 7])).unwrap();
    assert_eq!(inputs_of(&points, |point| point.failure.is_some()), [2], "{points}");
    let Some(Failure::Lost(why)) = &points.points[2].failure else { panic!("{points}") };
    assert!(why.contains("after 2 inputs its state cannot be saved"), "{why}");
    assert!(test.at_every_point(&filled(&[5])).unwrap().is_ok());
}

#[test]
fn a_point_at_which_the_old_version_cannot_save_its_state_does_not_vanish() {
    let test = update::<(Jar,), (Unsavable,)>("jar");
    let script = filled(&[13, 1]);
    for error in [test.at_every_point(&script).unwrap_err(), test.recorded(&script).unwrap_err()] {
        assert!(matches!(error, TestError::Save { inputs: 1, .. }), "{error}");
    }
    let error = test.shadow(&filled(&[13])).unwrap_err();
    assert!(matches!(error, TestError::Save { inputs: 1, .. }), "{error}");
}

#[test]
fn a_report_of_nothing_is_no_success() {
    let test = update::<(Brief,), (Brief,)>("brief");
    let script = Script::new(&());
    let points = test.at_every_point(&script).unwrap();
    assert_eq!(points.points, []);
    assert!(!points.is_ok() && points.to_string().contains("nothing was tried"), "{points}");
    let trip = test.round_trip_of(test.recorded(&script).unwrap());
    assert!(!trip.is_ok() && trip.to_string().contains("nothing was tried"), "{trip}");
}

#[test]
fn an_update_that_a_node_would_refuse_is_refused_with_the_reason() {
    let old = midflight_dsu::compiled::compiled::<(Scale,)>().unwrap();
    let other = midflight_dsu::compiled::compiled::<(counter_v1::Counter,)>().unwrap();
    let refused = UpdateTest::new(old.clone(), other, "scale").unwrap_err();
    let TestError::Conflict(why) = refused else { panic!("{refused:?}") };
    assert!(why.contains("no behaviour `scale`"), "{why}");
    let new = midflight_dsu::compiled::compiled::<(Good,)>().unwrap();
    let unknown = UpdateTest::new(old, new, "balance").unwrap_err();
    assert!(unknown.to_string().contains("no behaviour `balance`"), "{unknown}");
}

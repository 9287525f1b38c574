//! What is worse is stopped, what is as before is let through, and what cannot be told waits.

use super::*;
use crate::protocol::Measured;

const SECOND: Duration = Duration::from_secs(1);

/// What a side does in a second, by the second.
type Load<'a> = &'a dyn Fn(u64) -> Measured;

/// A side that handles so many messages a second, in that many microseconds each.
fn well(messages: u64, micros: u64) -> impl Fn(u64) -> Measured {
    move |second| Measured {
        handled: messages * second,
        times: [(times::step(Duration::from_micros(micros)), messages * second)].into(),
        processes: 10,
        states: 10,
        state_bytes: 1_000,
        ..Measured::default()
    }
}

/// The first answer that ends the wait, and after how many seconds it comes.
fn ends(gates: &Gates, new: Load<'_>, old: Load<'_>) -> (Looked, u64) {
    let mut watch = Watch::default();
    for second in 0..3_600 {
        let sides = Sides { new: new(second), old: old(second) };
        match watch.look(gates, &sides, SECOND * u32::try_from(second).unwrap()) {
            Looked::NotYet => {}
            ended => return (ended, second),
        }
    }
    panic!("it never ends")
}

fn stops(new: Load<'_>, old: Load<'_>, why: &str) -> u64 {
    let (looked, second) = ends(&Gates::default(), new, old);
    let Looked::Stop(words) = looked else { panic!("{looked:?}") };
    assert!(words.contains(why), "{words}");
    second
}

#[test]
fn what_does_as_before_goes_on_after_its_time_and_not_earlier() {
    let (looked, second) = ends(&Gates::default(), &well(100, 50), &well(900, 50));
    assert!(matches!(looked, Looked::Go(_)), "{looked:?}");
    assert_eq!(second, 30);
}

#[test]
fn one_failed_call_in_thirty_is_stopped_and_one_in_a_thousand_is_not() {
    let fails = |one_in: u64| {
        move |second: u64| {
            let failed = 300 * second / one_in;
            let good = well(300, 50)(second);
            Measured { handled: good.handled - failed, errors: failed, ..good }
        }
    };
    assert!(stops(&fails(30), &well(300, 50), "errors: new") <= 5);
    let (looked, _) = ends(&Gates::default(), &fails(1_000), &well(300, 50));
    assert!(matches!(looked, Looked::Go(_)), "{looked:?}");
    let (looked, _) = ends(&Gates::default(), &fails(30), &fails(30));
    assert!(matches!(looked, Looked::Go(_)), "what was so before is no reason: {looked:?}");
}

#[test]
fn processes_that_end_are_stopped_where_as_many_errors_would_pass() {
    let failing = |panics: bool| {
        move |second: u64| {
            let (few, good) = (second * 2, well(1_000, 50)(second));
            let (errors, failed) = if panics { (0, few) } else { (few, 0) };
            Measured { errors, failed, ..good }
        }
    };
    stops(&failing(true), &well(1_000, 50), "panics: new");
    let (looked, _) = ends(&Gates::default(), &failing(false), &well(1_000, 50));
    assert!(matches!(looked, Looked::Go(_)), "{looked:?}");
}

#[test]
fn half_as_slow_again_is_stopped_and_a_tenth_is_not() {
    assert!(stops(&well(100, 150), &well(100, 100), "latency: half of the messages") <= 2);
    let (looked, _) = ends(&Gates::default(), &well(100, 110), &well(100, 100));
    assert!(matches!(looked, Looked::Go(_)), "{looked:?}");
}

#[test]
fn mailboxes_that_grow_are_stopped_unless_those_of_the_old_grow_alike() {
    let waits =
        |each: u64| move |second: u64| Measured { waiting: each * second, ..well(100, 50)(second) };
    assert!(stops(&waits(20), &waits(0), "mailboxes: grown") <= 12);
    let (looked, _) = ends(&Gates::default(), &waits(20), &waits(20));
    assert!(matches!(looked, Looked::Go(_)), "more is sent than before: {looked:?}");
}

#[test]
fn a_leak_is_stopped_unless_the_old_grows_as_much_with_each_message() {
    let leaks = |each: u64, messages: u64| {
        move |second: u64| {
            let good = well(messages, 50)(second);
            Measured { state_bytes: 1_000 + each * messages * second, ..good }
        }
    };
    assert!(stops(&leaks(64, 100), &leaks(0, 100), "states: grown") <= 12);
    let (looked, _) = ends(&Gates::default(), &leaks(64, 300), &leaks(64, 100));
    assert!(matches!(looked, Looked::Go(_)), "it has three times as much to do: {looked:?}");
}

#[test]
fn too_few_samples_wait_and_then_ask_a_person() {
    let gates = Gates::default();
    for (new, old) in [(0, 100), (100, 0), (0, 0)] {
        let (looked, second) = ends(&gates, &well(new, 50), &well(old, 50));
        let Looked::Unsure(words) = looked else { panic!("{looked:?}") };
        assert!(words.contains("too few") && second == 600, "{second}: {words}");
    }
    // So many must have gone well that one in a hundred is out of the question: some more than five hundred.
    let slow = |second| Measured { processes: 1, ..well(1, 50)(second) };
    let (looked, second) = ends(&gates, &slow, &well(100, 50));
    assert!(matches!(looked, Looked::Go(_)) && second == 538, "{second}: {looked:?}");
}

#[test]
fn gates_can_be_left_out() {
    let gates = Gates { gates: vec![Gate::Errors], ..Gates::default() };
    let (looked, _) = ends(&gates, &well(100, 900), &well(100, 100));
    assert!(matches!(looked, Looked::Go(_)), "{looked:?}");
    let none = Gates { gates: Vec::new(), ..Gates::default() };
    let (looked, second) = ends(&none, &well(0, 0), &well(0, 0));
    assert!(matches!(looked, Looked::Go(_)) && second == 30, "a while, and no more: {looked:?}");
}

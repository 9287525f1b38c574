//! Behaviours that are loops: what the host sees of them, and what it may do.

use std::time::Duration;

use midflight_abi::effect::Effect;
use midflight_abi::prelude::*;
use midflight_dsu::code::{CodeError, OpEnd, Progress};
use midflight_dsu::compiled::compiled;
use serde::{Deserialize, Serialize};

use crate::fixtures::{Process, bytes, load};

#[derive(Debug, Serialize, Deserialize, Message)]
struct Add {
    n: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
struct Sum {
    sum: u32,
}

/// A bool, so that some bytes are none.
#[derive(Debug, Serialize, Deserialize, Message)]
struct Spin {
    ends: bool,
}

#[derive(Debug, Serialize, Deserialize, Message)]
struct Ask {}

#[derive(Debug, Serialize, Deserialize, Message)]
struct Race {}

#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
struct Adder {
    sum: u32,
}

#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 7)]
struct Never {}

#[behaviour(
    name = "adder",
    version = 1,
    calls(Ask -> Sum),
    receives(Add -> Sum, Spin, Ask, Race)
)]
impl Adder {
    fn init(_cx: &mut Context<Self>) -> Self {
        Adder { sum: 0 }
    }

    #[run]
    async fn run(mut self, cx: Loop<Self>) {
        let second = Duration::from_secs(1);
        loop {
            let letter = cx.receive_at_point(&mut self).await;
            if letter.is::<Ask>() {
                let call = cx.call("somebody", &Ask {}, second);
                // Beside a point: it does not rest.
                let letter = futures_util::join!(cx.update_point(&mut self), call).1;
                self.sum += letter.map_or(1_000, |answer| answer.sum);
                continue;
            }
            if letter.is::<Race>() {
                let call = cx.call("somebody", &Ask {}, second);
                let receive = cx.receive_at_point(&mut self);
                // The one that loses is dropped.
                drop(futures_util::future::select(receive, call).await);
                self.sum += 100;
                continue;
            }
            match letter.open() {
                Ok(Spin { ends: true }) => return,
                Ok(Spin { ends: false }) => {
                    for _ in 0..100 {
                        self.sum += 1;
                        cx.update_point(&mut self).await;
                    }
                }
                Err(add) => {
                    self.sum += add.open::<Add>().map_or(0, |add| add.n);
                    cx.reply::<Add>(&Sum { sum: self.sum });
                    cx.reply::<Add>(&Sum { sum: 9_999 });
                }
            }
        }
    }

    #[health]
    fn health(&self) -> Result<(), String> {
        match self.sum {
            13 => Err("13 is unlucky".into()),
            14 => panic!("14 is worse"),
            _ => Ok(()),
        }
    }

    #[convert_to(7)]
    fn to_never(&self) -> Result<Never, ConvertError> {
        panic!("it never converts {}", self.sum)
    }
}

/// A loop that has come to its first point.
fn adder() -> Process {
    let mut adder = Process::create(&*compiled::<(Adder,)>().unwrap(), 0, &());
    assert!(adder.instance.is_loop() && adder.effects.is_empty(), "it has not begun");
    assert_eq!(adder.instance.save(1).unwrap(), [0]);
    assert_eq!(adder.resume(0, OpEnd::Done(b"")), Ok(Progress::Suspended));
    adder
}

/// The point at which it is.
fn point(process: &Process) -> Option<u64> {
    let point = |effect: &Effect<'_>| match effect {
        Effect::UpdatePoint { op } => Some(*op),
        _ => None,
    };
    process.effects().iter().find_map(point)
}

#[test]
fn at_a_point_the_state_is_there_and_the_loop_goes_on_all_the_same() {
    let mut adder = adder();
    for n in 1..=3 {
        assert!(matches!(adder.effects().last(), Some(Effect::UpdatePoint { .. })));
        assert!(adder.effects().contains(&Effect::Receive));
        assert_eq!(adder.start(&Add { n: 7 }), Ok(Progress::Suspended));
        assert_eq!(adder.reply::<Sum>(), Sum { sum: 7 * n });
        let replies = adder.effects().into_iter().filter(|e| matches!(e, Effect::Reply { .. }));
        assert_eq!(replies.count(), 1, "a call has one reply");
        assert_eq!(adder.instance.save(1).unwrap(), [7 * n as u8]);
        assert_eq!(adder.instance.size(), 1);
    }
    let code = compiled::<(Adder,)>().unwrap();
    let mut other = Process::restore(&*code, 0, 1, &adder.instance.save(1).unwrap()).unwrap();
    assert!(other.instance.is_loop());
    assert_eq!(other.resume(0, OpEnd::Done(b"")), Ok(Progress::Suspended));
    assert_eq!(other.start(&Add { n: 1 }), Ok(Progress::Suspended));
    assert_eq!(other.reply::<Sum>(), Sum { sum: 22 });
}

#[test]
fn at_a_point_a_loop_is_asked_whether_it_is_well_and_goes_on() {
    let mut adder = adder();
    assert_eq!(adder.instance.health(), Ok(()));
    assert_eq!(adder.start(&Add { n: 13 }), Ok(Progress::Suspended));
    assert_eq!(adder.instance.health(), Err(CodeError::Unhealthy("13 is unlucky".into())));
    assert_eq!(adder.start(&Add { n: 1 }), Ok(Progress::Suspended));
    let panicked = adder.instance.health().unwrap_err();
    assert!(
        matches!(&panicked, CodeError::Panicked(text) if text.contains("14 is worse")),
        "{panicked}"
    );
    assert_eq!(adder.start(&Add { n: 1 }), Ok(Progress::Suspended));
    assert_eq!(adder.instance.health(), Ok(()));
    assert_eq!(adder.reply::<Sum>(), Sum { sum: 15 });
    let other = Process::create(&*compiled::<(counter_v1::Counter,)>().unwrap(), 0, &());
    assert!(
        matches!(other.instance.health(), Err(CodeError::Unknown(_))),
        "its author does not say"
    );
}

#[test]
fn a_conversion_that_panics_does_the_loop_no_harm() {
    let mut adder = adder();
    assert_eq!(adder.start(&Add { n: 7 }), Ok(Progress::Suspended));
    for _ in 0..2 {
        let panicked = adder.instance.save(7).unwrap_err();
        let CodeError::Panicked(text) = panicked else { panic!("{panicked}") };
        assert!(text.starts_with("it never converts 7"), "{text}");
        assert!(matches!(adder.instance.save(8), Err(CodeError::Unknown(_))));
    }
    assert_eq!(adder.start(&Add { n: 1 }), Ok(Progress::Suspended));
    assert_eq!(adder.reply::<Sum>(), Sum { sum: 8 });
}

#[test]
fn a_message_that_cannot_be_read_leaves_the_loop_where_it_was() {
    let mut adder = adder();
    let host = crate::fixtures::TestHost::default();
    let (me, from) = (crate::fixtures::pid(1), None);
    let call =
        midflight_dsu::code::Call { me, from, reply_to: None, is_wanted: false, host: &host };
    let mut effects = Vec::new();
    let garbled = adder.instance.start(1, &[7], &call, &mut effects);
    assert!(matches!(garbled, Err(CodeError::Decode(_))), "{garbled:?}");
    assert_eq!(adder.start(&Add { n: 1 }), Ok(Progress::Suspended));
    assert_eq!(adder.reply::<Sum>(), Sum { sum: 1 });
}

#[test]
fn a_point_is_passed_until_an_update_is_wanted_and_lets_the_host_in_now_and_then() {
    let mut adder = adder();
    assert_eq!(adder.start(&Spin { ends: false }), Ok(Progress::Suspended));
    assert!(!adder.effects().contains(&Effect::Receive), "it is not where it receives");
    // It was called, which has no reply but that it is done.
    assert!(matches!(adder.effects()[0], Effect::Reply { type_index: u32::MAX, .. }));
    assert_eq!(adder.instance.save(1).unwrap(), [64]);
    assert_eq!(adder.resume(point(&adder).unwrap(), OpEnd::Done(b"")), Ok(Progress::Suspended));
    assert!(adder.effects().contains(&Effect::Receive), "the other 36 are passed");
    assert_eq!(adder.instance.save(1).unwrap(), [100]);
    // Wanted, it stops at each.
    adder.is_wanted = true;
    assert_eq!(adder.start(&Spin { ends: false }), Ok(Progress::Suspended));
    for n in 101..=200_u8 {
        assert_eq!(adder.instance.size(), if n < 128 { 1 } else { 2 });
        assert_eq!(adder.instance.save(1).unwrap()[0] & 0x7f, n & 0x7f);
        let progress = adder.resume(point(&adder).unwrap(), OpEnd::Done(b""));
        assert_eq!(progress, Ok(Progress::Suspended));
    }
    assert!(adder.effects().contains(&Effect::Receive));
}

#[test]
fn a_point_beside_a_call_can_be_told_from_one_alone() {
    let mut adder = adder();
    adder.is_wanted = true;
    assert_eq!(adder.start(&Ask {}), Ok(Progress::Suspended));
    let point = point(&adder).unwrap();
    let effects = adder.effects();
    let call = effects.iter().find_map(|effect| match effect {
        Effect::Call { op, .. } => Some(*op),
        _ => None,
    });
    let call = call.unwrap();
    // Asked for its state the loop has not gone on.
    assert_eq!(adder.instance.save(1).unwrap(), [0]);
    assert_eq!(adder.resume(call, OpEnd::Done(&bytes(&Sum { sum: 3 }))), Ok(Progress::Suspended));
    assert_eq!(adder.resume(point, OpEnd::Done(b"")), Ok(Progress::Suspended));
    assert_eq!(adder.instance.save(1).unwrap(), [3]);
}

#[test]
fn a_receive_that_was_given_up_takes_nothing() {
    let mut adder = adder();
    assert_eq!(adder.start(&Race {}), Ok(Progress::Suspended));
    let effects = adder.effects();
    let call = effects.iter().find_map(|effect| match effect {
        Effect::Call { op, .. } => Some(*op),
        _ => None,
    });
    let call = call.unwrap();
    assert!(effects.contains(&Effect::Receive));
    assert_eq!(adder.resume(call, OpEnd::Timeout), Ok(Progress::Suspended));
    // It is where it receives, and at one point.
    assert_eq!(adder.instance.save(1).unwrap(), [100]);
    assert_eq!(adder.start(&Add { n: 1 }), Ok(Progress::Suspended));
    assert_eq!(adder.reply::<Sum>(), Sum { sum: 101 });
}

#[test]
fn a_loop_that_returns_ends_its_process() {
    let mut adder = adder();
    assert_eq!(adder.start(&Spin { ends: true }), Ok(Progress::Done));
    assert!(adder.effects().contains(&Effect::Exit { reason: "normal" }));
    assert_eq!(adder.instance.save(1), Err(CodeError::Lost));
}

#[test]
fn what_is_not_received_now_is_not_taken() {
    let mut adder = Process::create(&*compiled::<(Adder,)>().unwrap(), 0, &());
    assert_eq!(adder.start(&Add { n: 1 }), Err(CodeError::Busy), "it has not begun");
    assert_eq!(adder.resume(0, OpEnd::Done(b"")), Ok(Progress::Suspended));
    adder.is_wanted = true;
    assert_eq!(adder.start(&Spin { ends: false }), Ok(Progress::Suspended));
    assert_eq!(adder.start(&Add { n: 1 }), Err(CodeError::Busy), "it is elsewhere");
}

#[tokio::test]
async fn a_loop_of_a_bundle_rests_and_goes_on_in_the_next_version_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (
        load(folder.path(), "tests/fixtures/rally-v1").await,
        load(folder.path(), "tests/fixtures/rally-v2").await,
    );
    let mut old = Process::create(&*one, 0, &());
    assert_eq!(old.resume(0, OpEnd::Done(b"")), Ok(Progress::Suspended));
    let state = old.instance.save(1).unwrap();
    let mut new = Process::restore(&*two, 0, 1, &state).unwrap();
    assert_eq!(new.resume(0, OpEnd::Done(b"")), Ok(Progress::Suspended));
    let back = new.instance.save(1).unwrap();
    assert_eq!(back, state);
    assert!(Process::restore(&*one, 0, 1, &back).unwrap().instance.is_loop());
}

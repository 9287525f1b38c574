//! Calls that hosted behaviours make and get: each comes to an end, with the reason.

use std::sync::Arc;
use std::time::Duration;

use midflight_abi::Description;
use midflight_dsu::code::{Call, Code, CodeError, Instance, OpEnd, Progress};
use midflight_dsu::hash::{CodeId, ContentAddress};
use midflight_dsu::versions::Version;
use midflight_process::message::{Message, NodeId, encode};
use midflight_process::{CallError, Down, ExitReason, Pid, Received, Refusal, WaitKind};
use midflight_tests::compiled_format::code;
use midflight_tests::world::{World, simulate};
use serde::{Deserialize, Serialize, Serializer};
use waiter::{Ask, Asked, Begin, Flag, Nap, Question, Tell};

use super::{MINUTE, SECOND, ask, run, start};

#[test]
fn a_call_to_a_full_mailbox_ends_at_its_own_deadline() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let node = server.node().clone();
        let deaf = node.spawn("deaf", |_cx| std::future::pending::<()>()).unwrap();
        node.run("client", move |cx| async move {
            while cx.try_send(deaf, Question {}).is_ok() {}
            let began = cx.now();
            assert_eq!(ask(&cx, waiter, deaf, 700).await, "timeout");
            assert_eq!(cx.now().since(began), Duration::from_millis(700));
            // Longer than any other effect would wait.
            assert_eq!(ask(&cx, waiter, deaf, 20_000).await, "timeout");
            assert_eq!(cx.now().since(began), Duration::from_millis(20_700));
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_a_behaviour_waits_for_is_seen() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let (sender, one, other) = (start(&server), start(&server), start(&server));
        let node = server.node().clone();
        let deaf = node.spawn("deaf", |_cx| std::future::pending::<()>()).unwrap();
        let here = node.clone();
        let waits = move |pid| {
            let waits = here.process(pid).unwrap().waits.into_iter();
            waits.map(|wait| (wait.kind, wait.on, wait.waited)).collect::<Vec<_>>()
        };
        node.runtime().sleep(SECOND).await;
        assert_eq!(waits(sender), [(WaitKind::Message, None, None)]);
        let client = node.run("client", move |cx| async move {
            while cx.try_send(deaf, Question {}).is_ok() {}
            cx.send(sender, Tell { to: deaf }).await.unwrap();
            cx.send(one, Ask { to: other, millis: 60_000 }).await.unwrap();
            cx.send(other, Ask { to: one, millis: 60_000 }).await.unwrap();
            cx.sleep(SECOND).await;
        });
        client.await.unwrap();
        assert_eq!(waits(sender), [(WaitKind::Room, Some(deaf), Some(SECOND))]);
        assert_eq!(waits(one), [(WaitKind::Reply, Some(other), Some(SECOND))]);
        assert_eq!(node.wait_cycles().await, [[one.min(other), one.max(other)]]);
    });
}

#[test]
fn what_is_for_a_node_out_of_reach_is_given_up_at_once() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let nobody = Pid { node: NodeId(7), index: 1, generation: 1 };
        let client = server.node().run("client", move |cx| async move {
            let began = cx.now();
            assert_eq!(ask(&cx, waiter, nobody, 60_000).await, "gone");
            let told: Asked = cx.call(waiter, Tell { to: nobody }, MINUTE).await.unwrap();
            assert_eq!(told.how, "told");
            assert_eq!(cx.now(), began, "nothing waits for a time-out");
        });
        client.await.unwrap();
    });
}

/// Replies to each question with what it was told to.
async fn oracle<R: Message + Clone>(world: &World, name: &str, reply: R) -> Pid {
    let node = world.node(name, Some("a")).await.node().clone();
    let oracle = node.spawn("oracle", move |cx| async move {
        loop {
            let Received { reply_to, .. } = cx.receive_one::<Question>().await;
            reply_to.unwrap().reply(reply.clone());
        }
    });
    oracle.unwrap()
}

/// Another type with the same bytes.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "waiter.Riddle", version = 1)]
struct Riddle {
    n: u64,
}

/// The right name with another form.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "waiter.Answer", version = 1)]
struct OtherAnswer {
    n: bool,
}

/// The right name and form.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "waiter.Answer", version = 1)]
struct Answer {
    n: u64,
}

#[test]
fn a_reply_is_read_only_as_the_type_it_is() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let good = oracle(&world, "b", Answer { n: 5 }).await;
        let riddles = oracle(&world, "c", Riddle { n: 5 }).await;
        let other = oracle(&world, "d", OtherAnswer { n: true }).await;
        let client = server.node().run("client", move |cx| async move {
            assert_eq!(ask(&cx, waiter, good, 10_000).await, "answer 5");
            let riddle = ask(&cx, waiter, riddles, 10_000).await;
            assert!(riddle.starts_with("refused: ") && riddle.contains("Riddle"), "{riddle}");
            // Its schema has to be fetched first.
            let other = ask(&cx, waiter, other, 10_000).await;
            assert!(other.starts_with("refused: ") && other.contains("waiter.Answer"), "{other}");
        });
        client.await.unwrap();
    });
}

/// A flag that is none: the schema says bool, the bytes do not.
#[derive(Debug, Clone, Deserialize, Message)]
#[message(name = "waiter.Flag", version = 1)]
struct Rag {
    up: bool,
}

impl Serialize for Rag {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.up { serializer.serialize_u8(9) } else { Err(serde::ser::Error::custom("no")) }
    }
}

#[test]
fn what_cannot_be_decoded_or_encoded_is_refused_and_kept() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let node = server.node().clone();
        let letters = node.clone();
        let client = node.run("client", move |cx| async move {
            for up in [true, false] {
                let refused = cx.call::<_, Asked>(waiter, Rag { up }, SECOND).await;
                let Err(CallError::Refused { refusal: Refusal::Garbled { type_name, .. }, .. }) =
                    refused
                else {
                    panic!("{refused:?}")
                };
                assert_eq!(type_name, "waiter.Flag");
                cx.send(waiter, Rag { up }).await.unwrap();
                let notice: midflight_process::Undelivered =
                    cx.expect_timeout(SECOND).await.unwrap();
                assert_eq!((notice.to, &*notice.type_name), (waiter, "waiter.Flag"));
            }
            // It lives and works.
            let noted: Asked = cx.call(waiter, Flag { up: true }, SECOND).await.unwrap();
            assert_eq!(noted.how, "noted");
        });
        client.await.unwrap();
        assert_eq!(letters.dead_letters().len(), 4);
    });
}

#[test]
fn callers_of_a_process_that_is_ended_in_the_middle_are_told() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        let node = server.node().clone();
        let ending = node.clone();
        let client = node.run("client", move |cx| async move {
            let nap = cx.call::<_, Asked>(waiter, Nap { millis: 3_600_000 }, MINUTE);
            let end = async {
                cx.sleep(SECOND).await;
                ending.kill(waiter, "test");
            };
            let (nap, ()) = futures_util::join!(nap, end);
            assert!(aborted(&nap), "{nap:?}");
        });
        client.await.unwrap();
    });
}

fn aborted<R>(result: &Result<R, CallError>) -> bool {
    let refused = result.as_ref().err();
    refused.is_some_and(|error| {
        matches!(error, CallError::Refused { refusal: Refusal::Aborted { .. }, .. })
    })
}

/// Code whose handlers write effects that are none.
#[derive(Debug)]
struct Scribbler(Description);

struct Scribble;

impl Code for Scribbler {
    fn id(&self) -> CodeId {
        CodeId::of(b"scribbler")
    }
    fn description(&self) -> &Description {
        &self.0
    }
    fn create(
        &self,
        _behaviour: u32,
        _start: &[u8],
        _call: &Call<'_>,
        _effects: &mut Vec<u8>,
    ) -> Result<Box<dyn Instance>, CodeError> {
        Ok(Box::new(Scribble))
    }
    fn restore(&self, _: u32, _: u32, _: &[u8]) -> Result<Box<dyn Instance>, CodeError> {
        Ok(Box::new(Scribble))
    }
}

impl Instance for Scribble {
    fn start(
        &mut self,
        _type_index: u32,
        _message: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        call.host.reserve().expect("there is room");
        effects.push(0xff);
        Ok(Progress::Done)
    }
    fn resume(
        &mut self,
        _: u64,
        _: OpEnd<'_>,
        _: &Call<'_>,
        _: &mut Vec<u8>,
    ) -> Result<Progress, CodeError> {
        Ok(Progress::Done)
    }
    fn size(&self) -> u64 {
        0
    }
    fn save(&self, _: u32) -> Result<Vec<u8>, CodeError> {
        Ok(Vec::new())
    }
}

#[test]
fn code_that_breaks_its_contract_leaves_no_caller_and_no_pid_behind() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        let scribbler = Arc::new(Scribbler(code("waiter-v1").description().clone()));
        let address = ContentAddress::from([1; 32]);
        let version = Version::new(server.node(), "waiter", 1, address, scribbler);
        let version = server.versions().add(version);
        server.versions().make_current(&version);
        let waiter = start(&server);
        let node = server.node().clone();
        let client = node.run("client", move |cx| async move {
            let asked = cx.call::<_, Asked>(waiter, Ask { to: cx.me(), millis: 1 }, SECOND).await;
            assert!(aborted(&asked), "{asked:?}");
        });
        client.await.unwrap();
        assert_eq!(node.process_count(), 2, "the control process and the watchman");
    });
}

#[test]
fn a_start_that_fails_gives_its_pids_back() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let before = server.node().process_count();
        let mut begin = Vec::new();
        encode(&Begin { panics: true }, &mut begin).unwrap();
        for _ in 0..10 {
            assert!(server.start("waiter", &begin).is_err());
        }
        assert_eq!(server.node().process_count(), before);
    });
}

#[test]
fn whoever_waits_for_a_pid_that_is_given_up_is_told() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let node = server.node().clone();
        let reserved = node.reserve().unwrap();
        let (other, living) = (node.clone(), node.spawn("x", |_| std::future::pending::<()>()));
        let living = living.unwrap();
        let client = node.run("client", move |cx| async move {
            cx.monitor(reserved).await;
            let call = cx.call::<_, Asked>(reserved, Nap { millis: 1 }, MINUTE);
            let give_up = async {
                cx.sleep(SECOND).await;
                // Another node's, and one that lives: neither is given up.
                other.unreserve(Pid { node: NodeId(7), ..reserved });
                other.unreserve(living);
                assert!(other.process(living).is_some() && other.process(reserved).is_some());
                other.unreserve(reserved);
            };
            let (called, ()) = futures_util::join!(call, give_up);
            assert!(aborted(&called), "{called:?}");
            let down: Down = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!((down.process, down.reason), (reserved, ExitReason::NoProcess));
        });
        client.await.unwrap();
    });
}

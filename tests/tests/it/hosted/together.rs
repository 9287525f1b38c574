//! Processes that must change together do so, or none does; what comes from outside waits (U1; E41, E42).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::join;
use midflight_dsu::code_server::{ActivateError, CodeServer};
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{CONTROL, Deploy, Deployed, Status, StatusRequest};
use midflight_dsu::switch::SwitchError;
use midflight_process::message::Message;
use midflight_process::{Pid, Received};
use midflight_tests::steps::{self, run_version, stage};
use midflight_tests::world::{World, simulate};
use relay::{Frame, Hand, Look, Make, Nap, Seen, Spin, Took};

use super::{MINUTE, SECOND};

/// A producer, a codec and a consumer of version 1, and version 2 to be switched to.
#[derive(Clone)]
struct Relay {
    world: World,
    server: CodeServer,
    producer: Pid,
    codec: Pid,
    consumer: Pid,
    v2: ContentAddress,
}

impl Relay {
    async fn new(world: &World) -> Self {
        let server = world.node("a", None).await;
        Self::on(world, server).await
    }

    async fn on(world: &World, server: CodeServer) -> Self {
        run_version(world, &server, "relay-v1").await;
        let consumer = steps::start(&server, "consumer", &());
        Self::through(world, server, consumer, consumer).await
    }

    async fn through(world: &World, server: CodeServer, consumer: Pid, to: Pid) -> Self {
        let codec = steps::start(&server, "codec", &Hand { to });
        let producer = steps::start(&server, "producer", &Hand { to: codec });
        let v2 = stage(world, &server, "relay-v2").await;
        let world = world.clone();
        Self { world, server, producer, codec, consumer, v2 }
    }

    /// Sends so many, one after the other, from outside.
    async fn make(&self, count: u8) {
        let producer = self.producer;
        let client = self.server.node().run("client", move |cx| async move {
            for n in 0..count {
                cx.send(producer, Make { n }).await.unwrap();
                cx.sleep(Duration::from_micros(u64::from(n % 3))).await;
            }
        });
        client.await.unwrap();
    }

    async fn tell(&self, to: Pid, message: impl Message) {
        let told = self.server.node().run("client", move |cx| async move {
            cx.send(to, message).await.unwrap();
        });
        told.await.unwrap();
    }

    async fn look(&self, at: Pid) -> Seen {
        let seen = self.server.node().run("client", move |cx| async move {
            cx.call::<_, Seen>(at, Look {}, MINUTE).await.unwrap()
        });
        seen.await.unwrap()
    }

    async fn is_over(&self) -> [Seen; 2] {
        self.world.runtime.sleep(SECOND).await;
        [self.look(self.codec).await, self.look(self.consumer).await]
    }

    fn in_version(&self, version: u32) -> usize {
        let all = self.server.versions().all();
        let of = all.iter().filter(|(it, _)| it.version == version);
        of.map(|(it, _)| it.process_count()).sum()
    }

    /// Switches in the middle of two hundred messages, while the codec is behind. Answers how many were read by another
    /// version than wrote them.
    async fn switch_under_load(&self, policy: Policy) -> u64 {
        let before = self.look(self.consumer).await.read;
        self.tell(self.codec, Nap { millis: 1 }).await;
        let switch = async {
            self.world.runtime.sleep(Duration::from_micros(40)).await;
            self.server.activate_by(self.v2, policy).await.unwrap()
        };
        let ((), switched) = join!(self.make(200), switch);
        assert_eq!(switched, 3);
        let [codec, consumer] = self.is_over().await;
        assert_eq!((codec.by, consumer.by), (2, 2));
        assert_eq!(codec.read + codec.mixed, before + 200, "none is lost or refused");
        assert_eq!(consumer.read + consumer.mixed, before + 200);
        codec.mixed + consumer.mixed
    }
}

#[test]
fn nothing_that_was_written_by_old_code_of_a_group_is_read_by_new_code() {
    simulate(8, |world| async move {
        let relay = Relay::new(&world).await;
        assert_eq!(relay.switch_under_load(Policy::Quiescent).await, 0);
        assert!(relay.server.node().dead_letters().is_empty());
    });
}

/// That the test above could fail. (The codec is never without mail, and waits for its consumer in the middle of each: it rests
/// all the same, between two.)
#[test]
fn what_changes_one_by_one_or_tranquil_may_meet_what_old_code_has_written() {
    for policy in [Policy::Migrate, Policy::Tranquil] {
        let mixed = Arc::new(AtomicU64::new(0));
        let all = mixed.clone();
        simulate(4, move |world| {
            let all = all.clone();
            async move {
                let relay = Relay::new(&world).await;
                let mixed = relay.switch_under_load(policy).await;
                all.fetch_add(mixed, Ordering::Relaxed);
            }
        });
        assert!(mixed.load(Ordering::Relaxed) > 0, "{policy}");
    }
}

fn held_up(error: &ActivateError) -> Vec<(Pid, &str)> {
    let ActivateError::HeldUp(held_up) = error else { panic!("{error:?}") };
    let named = held_up.iter().map(|error| match error {
        SwitchError::HeldUp { pid, what } => (*pid, &**what),
        other => panic!("{other:?}"),
    });
    named.collect()
}

#[test]
fn who_holds_a_group_up_is_named_and_nobody_is_switched() {
    simulate(3, |world| async move {
        let relay = Relay::new(&world).await;
        relay.tell(relay.codec, Nap { millis: 3_600_000 }).await;
        world.runtime.sleep(SECOND).await;
        let began = world.runtime.now();
        let activate = relay.server.activate_by(relay.v2, Policy::Quiescent);
        let control = relay.server.node().whereis(CONTROL).unwrap();
        let status = async || {
            let status = relay.server.node().run("operator", move |cx| async move {
                cx.call::<_, Status>(control, StatusRequest, SECOND).await.unwrap()
            });
            status.await.unwrap().held_up
        };
        let meanwhile = async {
            relay.make(100).await;
            world.runtime.sleep(SECOND).await;
            let shown = status().await;
            assert!(shown.iter().any(|it| it.starts_with(&relay.codec.to_string())), "{shown:?}");
        };
        let (activated, ()) = join!(activate, meanwhile);
        assert_eq!(status().await, [""; 0]);
        assert_eq!(world.runtime.now().since(began), 5 * SECOND, "the deadline");
        let error = activated.unwrap_err();
        let named = held_up(&error);
        // The producer has handled what came before it was held, and then nothing.
        assert_eq!(named.iter().filter(|(pid, _)| *pid == relay.codec).count(), 1, "{error}");
        assert!(error.to_string().contains("suspended for 6"), "{error}");
        assert!(named.iter().all(|(pid, _)| *pid != relay.consumer), "{error}");
        assert_eq!((relay.in_version(1), relay.in_version(2)), (3, 0));
        // All is as it was, what came meanwhile included.
        world.runtime.sleep(2 * 60 * MINUTE).await;
        let [codec, consumer] = relay.is_over().await;
        assert_eq!(codec, Seen { read: 100, mixed: 0, by: 1 });
        assert_eq!(consumer, Seen { read: 100, mixed: 0, by: 1 });
        assert_eq!(relay.switch_under_load(Policy::Quiescent).await, 0);
    });
}

#[test]
fn a_group_that_never_stops_talking_is_named_and_changes_tranquil() {
    simulate(3, |world| async move {
        let relay = Relay::new(&world).await;
        relay.tell(relay.codec, Spin {}).await;
        let error = relay.server.activate_by(relay.v2, Policy::Quiescent).await.unwrap_err();
        let [(pid, what)] = held_up(&error)[..] else { panic!("{error}") };
        assert_eq!(pid, relay.codec);
        let more = format!("there is always another message for it from {pid}");
        assert!(what == more || what.contains("1 sleeps"), "{what}");
        assert_eq!(relay.server.activate_by(relay.v2, Policy::Tranquil).await.unwrap(), 3);
        assert_eq!(relay.look(relay.codec).await.by, 2);
    });
}

#[test]
fn somebody_outside_for_whom_a_member_waits_is_let_in() {
    simulate(4, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "relay-v1").await;
        let consumer = steps::start(&server, "consumer", &());
        // It answers the codec when the consumer has answered it.
        let between = server.node().spawn("between", move |cx| async move {
            loop {
                let Received { message, reply_to, .. } = cx.receive_one::<Frame>().await;
                cx.sleep(Duration::from_millis(3)).await;
                cx.call::<_, Took>(consumer, message, MINUTE).await.unwrap();
                reply_to.unwrap().reply(Took {});
            }
        });
        let relay = Relay::through(&world, server, consumer, between.unwrap()).await;
        relay.make(3).await;
        let activated = relay.server.activate_by(relay.v2, Policy::Quiescent).await;
        assert_eq!(activated.unwrap(), 3);
        let [codec, consumer] = relay.is_over().await;
        assert_eq!((codec.read, codec.mixed), (3, 0));
        assert_eq!((consumer.read, consumer.mixed), (3, 0));
    });
}

#[test]
fn what_comes_from_outside_waits_for_the_new_code() {
    simulate(4, |world| async move {
        let relay = Relay::new(&world).await;
        relay.tell(relay.codec, Nap { millis: 100 }).await;
        relay.make(2).await;
        let ask = async {
            // The consumer rests already, and is let go once more for what the codec has for it.
            world.runtime.sleep(Duration::from_millis(50)).await;
            relay.look(relay.consumer).await
        };
        let activate = relay.server.activate_by(relay.v2, Policy::Quiescent);
        let (activated, seen) = join!(activate, ask);
        assert_eq!(activated.unwrap(), 3);
        assert_eq!(seen, Seen { read: 2, mixed: 0, by: 2 });
    });
}

#[test]
fn one_whose_state_does_not_convert_keeps_all_of_its_group() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "spoiler-v1").await;
        let pids: Vec<_> = (0..70).map(|_| steps::start(&server, "spoiler", &())).collect();
        let v2 = stage(&world, &server, "spoiler-v2").await;
        let spoilt = pids[17];
        let set = async |how| {
            let set = server.node().run("client", move |cx| async move {
                let become_ = spoiler::Become { how };
                cx.call::<_, spoiler::Is>(spoilt, become_, MINUTE).await.unwrap()
            });
            set.await.unwrap()
        };
        set(spoiler::How::Refuses).await;
        let error = server.activate_by(v2, Policy::Quiescent).await.unwrap_err();
        let ActivateError::Switch { failed, not_back } = &error else { panic!("{error:?}") };
        let [SwitchError::Convert { pid, .. }] = &failed[..] else { panic!("{failed:?}") };
        assert_eq!((*pid, not_back.len()), (spoilt, 0));
        let versions = server.versions().all();
        let counts: Vec<_> = versions.iter().map(|(version, _)| version.process_count()).collect();
        assert_eq!(counts, [70, 0]);
        assert_eq!(set(spoiler::How::Well).await.by, 1);
        assert_eq!(server.activate_by(v2, Policy::Quiescent).await.unwrap(), 70);
    });
}

#[test]
fn what_another_node_refuses_goes_back_together() {
    simulate(3, |world| async move {
        let [a, b] = world.cluster(["a", "b"]).await;
        let (here, there) = (Relay::on(&world, a).await, Relay::on(&world, b).await);
        there.tell(there.codec, Nap { millis: 3_600_000 }).await;
        let (address, control) =
            (here.v2.to_string(), here.server.node().whereis(CONTROL).unwrap());
        let deployed = here.server.node().run("operator", move |cx| async move {
            let (policy, course) = (Policy::Quiescent, <_>::default());
            let deploy = Deploy { address, watcher: None, policy, course };
            cx.call::<_, Deployed>(control, deploy, MINUTE).await.unwrap()
        });
        let load = async {
            for _ in 0..30 {
                here.make(8).await;
                world.runtime.sleep(SECOND / 3).await;
            }
        };
        let (deployed, ()) = join!(deployed, load);
        let Some(Deployed::Refused(objections)) = deployed else { panic!("{deployed:?}") };
        assert_eq!(objections.len(), 1, "{objections:?}");
        let (node, reason) = (&objections[0].node, &objections[0].reason);
        assert!(node == "b" && reason.contains("held the others up"), "{objections:?}");
        assert!(reason.contains(&there.codec.to_string()), "{objections:?}");
        assert_eq!((here.in_version(1), here.in_version(2)), (3, 0));
        let [codec, consumer] = here.is_over().await;
        assert_eq!(codec, Seen { read: 240, mixed: 0, by: 1 });
        assert_eq!(consumer, Seen { read: 240, mixed: 0, by: 1 });
    });
}

#[test]
fn who_starts_meanwhile_belongs_to_the_group() {
    simulate(4, |world| async move {
        let relay = Relay::new(&world).await;
        relay.tell(relay.codec, Nap { millis: 2_000 }).await;
        world.runtime.sleep(SECOND).await;
        let start = async {
            world.runtime.sleep(SECOND / 2).await;
            let codec = steps::start(&relay.server, "codec", &Hand { to: relay.consumer });
            assert_eq!(relay.in_version(1), 4, "the old version is still that of all");
            Relay {
                codec,
                producer: steps::start(&relay.server, "producer", &Hand { to: codec }),
                ..relay.clone()
            }
        };
        let activate = relay.server.activate_by(relay.v2, Policy::Quiescent);
        let (activated, second) = join!(activate, start);
        assert_eq!(activated.unwrap(), 5);
        join!(relay.make(20), second.make(20));
        let [first, consumer] = relay.is_over().await;
        assert_eq!((first.mixed, second.look(second.codec).await.mixed, consumer.mixed), (0, 0, 0));
        assert_eq!(consumer.read, 40);
    });
}

//! Probation of a whole version: when too much of it fails, all go back, on every node (U6).

use std::sync::Arc;

use futures_util::join;
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::history::Cause;
use midflight_dsu::hosted::ProbationLimits;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{CONTROL, Deploy, Deployed, Rollback, Status, StatusRequest};
use midflight_dsu::switch::SwitchLimits;
use midflight_process::message::{Message, encode};
use midflight_process::{CallError, Pid};
use midflight_tests::compiled_format::bundle;
use midflight_tests::steps::{self, stage};
use midflight_tests::world::{World, simulate};
use serde::{Deserialize, Serialize, Serializer};
use till::{Pay, Total, UNLUCKY};
use waiter::{Asked, Begin, Nap};

use super::{MINUTE, SECOND};

/// Three nodes with five tills each, all in version 2, which have been paid 1 in each version.
struct Shop {
    world: World,
    servers: [CodeServer; 3],
    tills: Vec<Vec<Pid>>,
}

impl Shop {
    async fn open(world: World, probation: ProbationLimits) -> Self {
        let switch = SwitchLimits { probation, ..SwitchLimits::default() };
        let servers = world.cluster_with(["a", "b", "c"], switch).await;
        let mut shop = Self { world, servers, tills: Vec::new() };
        shop.deploy("till-v1").await;
        for server in &shop.servers {
            shop.tills.push((0..5).map(|_| steps::start(server, "till", &())).collect());
        }
        shop.pay_all(1, 1).await;
        shop.deploy("till-v2").await;
        shop.pay_all(1, 2).await;
        shop
    }

    async fn deploy(&self, name: &str) {
        let address = stage(&self.world, &self.servers[0], name).await.to_string();
        let (policy, course) = (Policy::Migrate, <_>::default());
        let deploy = Deploy { address, watcher: None, policy, course };
        let deployed: Deployed = ask(&self.servers[0], deploy).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
    }

    async fn pay_all(&self, amount: u64, by: u32) {
        for till in self.tills.iter().flatten() {
            let total = self.pay(*till, amount).await.unwrap();
            assert_eq!(total.by, by);
        }
    }

    async fn pay(&self, till: Pid, amount: u64) -> Result<Total, CallError> {
        let node = self.servers[0].node();
        let paid = node.run("client", move |cx| async move {
            cx.call(till, Pay { amount, receipt_to: None }, MINUTE).await
        });
        paid.await.unwrap()
    }

    fn current(&self) -> [Option<u32>; 3] {
        let current = |server: &CodeServer| Some(server.versions().current("till")?.version);
        [0, 1, 2].map(|at| current(&self.servers[at]))
    }

    /// Waits until all have gone back, and sees that nothing of them is lost.
    async fn until_back(&self, why: &str) {
        for _ in 0..60 {
            let left = |server: &CodeServer| {
                let all = server.versions().all();
                all.iter().any(|(version, _)| version.version == 2 && version.process_count() > 0)
            };
            if self.current() == [Some(1); 3] && !self.servers.iter().any(left) {
                break;
            }
            self.world.runtime.sleep(SECOND).await;
        }
        assert_eq!(self.current(), [Some(1); 3]);
        for server in &self.servers {
            let past = server.history(Some("till"));
            let versions = past.iter().map(|(_, change)| change.current.unwrap().0);
            assert_eq!(versions.collect::<Vec<_>>(), [1, 2, 1], "once");
            let last = &past[2].1;
            assert_eq!(last.cause, Cause::WentBack);
            assert!(last.why.as_ref().is_some_and(|it| it.contains(why)), "{last:?}");
            let node = server.node();
            assert!(node.first_processes(100).iter().all(|it| {
                it.label.as_ref().is_none_or(|it| it.name != "till" || it.version == 1)
            }));
        }
    }
}

async fn ask<M: Message + Send + 'static, R: Message + Send + 'static>(
    server: &CodeServer,
    message: M,
) -> R {
    let control = server.node().whereis(CONTROL).unwrap();
    let asked = server.node().run("operator", move |cx| async move {
        cx.call::<_, R>(control, message, MINUTE).await.unwrap()
    });
    asked.await.unwrap()
}

fn case<F>(
    seeds: u64,
    probation: ProbationLimits,
    then: impl Fn(Arc<Shop>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(seeds, move |world| {
        let then = then.clone();
        async move { then(Arc::new(Shop::open(world, probation).await)).await }
    });
}

#[test]
fn when_three_processes_have_gone_back_on_one_node_all_go_back_on_every_node() {
    case(10, ProbationLimits::default(), |shop| async move {
        for till in &shop.tills[1][..2] {
            assert_eq!(shop.pay(*till, UNLUCKY).await.unwrap(), Total { total: 15, by: 1 });
        }
        shop.world.runtime.sleep(10 * SECOND).await;
        assert_eq!(shop.current(), [Some(2); 3], "two are not enough");
        let status: Status = ask(&shop.servers[1], StatusRequest).await;
        let v2 = status.versions.iter().find(|version| version.version == 2).unwrap();
        assert!(v2.on_probation && v2.failures == 2 && v2.fault.is_none(), "{v2:?}");
        shop.pay(shop.tills[1][2], UNLUCKY).await.unwrap();
        shop.until_back("3 of its processes went back and 0 ended").await;
        for (at, tills) in shop.tills.iter().enumerate() {
            for (nth, till) in tills.iter().enumerate() {
                let total = if at == 1 && nth < 3 { 15 } else { 2 };
                let paid = shop.pay(*till, 0).await.unwrap();
                assert_eq!(paid, Total { total, by: 1 }, "what was written since is kept");
            }
        }
        // Version 1 is not on probation, and what failed is nothing to go back to.
        let rollback = Rollback { name: "till".into(), to: None, watcher: None };
        let Deployed::Refused(no) = ask(&shop.servers[2], rollback).await else { panic!("to v2?") };
        assert!(no[0].reason.contains("nothing else of `till`"), "{no:?}");
    });
}

#[test]
fn of_several_nodes_that_decide_at_once_one_brings_all_back() {
    case(20, ProbationLimits::default(), |shop| async move {
        for nth in 0..3 {
            for at in 0..3 {
                let (till, node) = (shop.tills[at][nth], shop.servers[at].node().clone());
                let unlucky = Pay { amount: UNLUCKY, receipt_to: None };
                node.run("client", move |cx| async move { cx.send(till, unlucky).await.unwrap() })
                    .await
                    .unwrap();
            }
        }
        shop.until_back("3 of its processes went back").await;
    });
}

#[test]
fn processes_that_end_count_though_they_were_started_in_the_version() {
    case(5, ProbationLimits::default(), |shop| async move {
        for _ in 0..3 {
            assert_eq!(shop.current(), [Some(2); 3]);
            let restarted = steps::start(&shop.servers[2], "till", &());
            let failed = shop.pay(restarted, UNLUCKY).await;
            assert!(matches!(failed, Err(CallError::Refused { .. })), "{failed:?}");
        }
        shop.until_back("0 of its processes went back and 3 ended").await;
        shop.pay_all(0, 1).await;
    });
}

#[test]
fn a_rate_of_failures_brings_all_back() {
    let (failed_processes, error_messages) = (0, 20);
    let limits = ProbationLimits { failed_processes, error_messages, ..Default::default() };
    case(5, limits, |shop| async move {
        // With the five that were handled before: 3 of 18, then 5 of 20.
        for nth in 0..10 {
            shop.pay(shop.tills[0][nth % 5], 0).await.unwrap();
        }
        for till in &shop.tills[0][..3] {
            shop.pay(*till, UNLUCKY).await.unwrap();
        }
        shop.world.runtime.sleep(5 * SECOND).await;
        assert_eq!(shop.current(), [Some(2); 3]);
        for till in &shop.tills[0][3..] {
            shop.pay(*till, UNLUCKY).await.unwrap();
        }
        shop.until_back("5 of 20 messages failed").await;
    });
}

/// A payment that is none: its schema says so, and there are no bytes.
#[derive(Debug, Deserialize, Message)]
#[message(name = "till.Pay", version = 1)]
#[expect(dead_code, reason = "its form is what counts")]
struct Air {
    amount: u64,
    receipt_to: Option<Pid>,
}

impl Serialize for Air {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

#[test]
fn messages_that_new_code_cannot_read_count_as_well() {
    case(3, ProbationLimits::default(), |shop| async move {
        let till = shop.tills[0][0];
        let node = shop.servers[0].node().clone();
        let sent = node.run("client", move |cx| async move {
            for _ in 0..60 {
                let refused =
                    cx.call::<_, Total>(till, Air { amount: 1, receipt_to: None }, MINUTE).await;
                assert!(matches!(refused, Err(CallError::Refused { .. })), "{refused:?}");
            }
        });
        sent.await.unwrap();
        // With the five that were handled before.
        shop.until_back("45 of 50 messages failed").await;
    });
}

#[test]
fn after_its_time_a_version_stays_whatever_it_does() {
    case(3, ProbationLimits::default(), |shop| async move {
        shop.world.runtime.sleep(41 * SECOND).await;
        assert!(!shop.servers[0].versions().current("till").unwrap().is_on_probation());
        for till in &shop.tills[0] {
            shop.pay(*till, UNLUCKY).await.unwrap_err();
        }
        shop.world.runtime.sleep(10 * SECOND).await;
        assert_eq!(shop.current(), [Some(2); 3]);
    });
}

#[test]
fn a_version_that_cannot_go_back_stays_and_the_status_says_why() {
    case(3, ProbationLimits::default(), |shop| async move {
        let b = &shop.servers[1];
        let (_, first) = b.history(Some("till")).swap_remove(0);
        let file = format!("/b/bundles/{}.mfb", first.current.unwrap().1);
        shop.world.runtime.files().remove(file.into()).await.unwrap();
        for till in &shop.tills[1][..3] {
            assert_eq!(shop.pay(*till, UNLUCKY).await.unwrap().by, 1, "each goes back itself");
        }
        shop.world.runtime.sleep(MINUTE).await;
        assert_eq!(shop.current(), [Some(2); 3]);
        let status: Status = ask(b, StatusRequest).await;
        let v2 = status.versions.into_iter().find(|version| version.version == 2).unwrap();
        let fault = v2.fault.unwrap();
        for part in ["3 of its processes", "could not go back", "is not on this node"] {
            assert!(fault.contains(part), "{fault}");
        }
    });
}

/// Version 2 of a waiter that comes to rest after two seconds takes the place of version 1; in the first of them
/// another is started in vain, and after it `meanwhile` is done.
async fn a_slow_update(world: &World, meanwhile: impl Fn(&CodeServer, Pid)) -> CodeServer {
    let server = world.node("a", None).await;
    steps::run_version(world, &server, "waiter-v1").await;
    let slow = steps::start(&server, "waiter", &Begin::default());
    let napping = server.node().spawn("client", move |cx| async move {
        let _ = cx.call::<_, Asked>(slow, Nap { millis: 3_000 }, MINUTE).await;
    });
    napping.unwrap();
    world.runtime.sleep(SECOND).await;
    let v2 = stage(world, &server, "waiter-v2").await;
    let start_in_vain = async {
        world.runtime.sleep(SECOND).await;
        assert_eq!(server.current("waiter"), Some(v2));
        let mut begin = Vec::new();
        encode(&Begin { panics: true }, &mut begin).unwrap();
        server.start("waiter", &begin).unwrap_err();
        meanwhile(&server, slow);
    };
    let (activated, ()) = join!(server.activate(v2), start_in_vain);
    activated.unwrap();
    world.runtime.sleep(MINUTE / 4).await;
    server
}

#[test]
fn a_failure_before_all_processes_are_there_is_not_taken_for_all_of_them() {
    simulate(5, |world| async move {
        let server = a_slow_update(&world, |_, _| {}).await;
        let current = server.versions().current("waiter").unwrap();
        assert_eq!((current.version, current.failures(), current.fault()), (2, 1, None));
        assert_eq!(current.process_count(), 1);
    });
}

#[test]
fn where_none_comes_it_is_judged_once_that_is_known() {
    simulate(5, |world| async move {
        let server = a_slow_update(&world, |server, slow| {
            server.node().kill(slow, "enough");
        });
        let server = server.await;
        assert_eq!(server.versions().current("waiter").unwrap().version, 1);
        let last = server.history(Some("waiter")).pop().unwrap().1;
        assert_eq!(last.cause, Cause::WentBack);
        let why = "0 of its processes went back and 1 ended by its fault";
        assert!(last.why.as_ref().is_some_and(|it| it.contains(why)), "{last:?}");
    });
}

#[test]
fn one_member_that_is_back_already_does_not_keep_the_others() {
    case(5, ProbationLimits::default(), |shop| async move {
        let b = &shop.servers[1];
        let (_, first) = b.history(Some("till")).swap_remove(0);
        b.activate(first.current.unwrap().1).await.unwrap();
        assert_eq!(shop.current(), [Some(2), Some(1), Some(2)]);
        for till in &shop.tills[0][..3] {
            shop.pay(*till, UNLUCKY).await.unwrap();
        }
        shop.world.runtime.sleep(10 * SECOND).await;
        assert_eq!(shop.current(), [Some(1); 3]);
        assert_eq!(b.history(Some("till")).len(), 3, "there nothing has changed");
        shop.pay_all(0, 1).await;
    });
}

#[test]
fn what_does_not_pass_is_not_tried_again() {
    case(3, ProbationLimits::default(), |shop| async move {
        let b = &shop.servers[1];
        let (mut v1, _) = bundle("till-v1", &shop.world.key);
        let soon = shop.world.runtime.unix_time() + SECOND;
        v1.sign_until(&shop.world.key, Some(soon.as_secs())).unwrap();
        b.accept(v1.address(), &v1.write().unwrap()).await.unwrap();
        shop.world.runtime.sleep(2 * SECOND).await;
        assert!(!b.has(v1.address()).await, "its signature has expired");
        for till in &shop.tills[1][..3] {
            shop.pay(*till, UNLUCKY).await.unwrap();
        }
        shop.world.runtime.sleep(5 * SECOND).await;
        assert_eq!(shop.current(), [Some(2); 3]);
        let fault = b.versions().current("till").unwrap().fault().unwrap();
        for part in ["3 of its processes", "could not go back: b (check)", "has expired"] {
            assert!(fault.contains(part), "{fault}");
        }
    });
}

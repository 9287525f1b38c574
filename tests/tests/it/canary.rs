//! Rollouts that go wave by wave: what is worse on the canary goes back by itself, what cannot be told waits (R3).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::history::Cause;
use midflight_dsu::hosted::ProbationLimits;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{
    CONTROL, Course, Deploy, Deployed, Driven, Rollouts, RolloutsRequest, Wanting, Wish, Wished,
};
use midflight_dsu::rollout::gates::{Gate, Gates};
use midflight_dsu::rollout::waves::Step;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::Pid;
use midflight_process::message::Message;
use midflight_tests::steps::{self, stage};
use midflight_tests::world::{World, simulate};
use till::{Load, Pay, PaySlowly, Total, UNLUCKY};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
/// Tills of each node.
const TILLS: usize = 40;
/// The canary: the first by name of those that do not drive.
const CANARY: usize = 1;

/// Three nodes with tills in version 1, the first of which drives the rollout of version 2.
struct Shop {
    world: World,
    servers: [CodeServer; 3],
    tills: Vec<(usize, Pid)>,
    paid: AtomicU64,
}

/// Of these probations nobody brings a version back.
fn lenient() -> ProbationLimits {
    let (messages, failed_processes, error_percent) = (u32::MAX, 0, 101);
    let time = 100 * HOUR;
    ProbationLimits { messages, time, failed_processes, error_percent, ..Default::default() }
}

impl Shop {
    async fn open(world: World, probation: ProbationLimits) -> Self {
        let switch = SwitchLimits { probation, ..SwitchLimits::default() };
        let servers = world.cluster_with(["a", "b", "c"], switch).await;
        let mut shop = Self { world, servers, tills: Vec::new(), paid: AtomicU64::new(0) };
        let deployed = shop.deploy("till-v1", Course::default()).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
        for (at, server) in shop.servers.iter().enumerate() {
            shop.tills.extend((0..TILLS).map(|_| (at, steps::start(server, "till", &()))));
        }
        shop
    }

    async fn deploy(&self, name: &str, course: Course) -> Deployed {
        let address = stage(&self.world, &self.servers[0], name).await.to_string();
        let deploy = Deploy { address, watcher: None, policy: Policy::Migrate, course };
        self.ask(deploy).await
    }

    async fn ask<M: Message, R: Message>(&self, message: M) -> R {
        let node = self.servers[0].node();
        let control = node.whereis(CONTROL).unwrap();
        let asked = node.run("operator", move |cx| async move {
            cx.call::<_, R>(control, message, 100 * HOUR).await.unwrap()
        });
        asked.await.unwrap()
    }

    /// One message to each till, five times a second, as long as `until` is not over.
    async fn under_load<M: Message, T>(
        &self,
        message: impl Fn(u64) -> M,
        until: impl Future<Output = T>,
    ) -> T {
        let load = std::pin::pin!(async {
            for round in 0.. {
                for (at, till) in &self.tills {
                    let (till, message) = (*till, message(round * 7 + till_no(*till)));
                    let node = self.servers[*at].node();
                    let paid = node.run("client", move |cx| async move {
                        cx.call::<_, Total>(till, message, HOUR).await.unwrap()
                    });
                    paid.await.unwrap();
                }
                self.world.runtime.sleep(SECOND / 5).await;
            }
        });
        match select(std::pin::pin!(until), load).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), _)) => unreachable!("there are rounds without end"),
        }
    }

    /// Pays 1, and now and then an unlucky amount, as `is_unlucky` says.
    async fn pay_until<T>(
        &self,
        is_unlucky: impl Fn(u64) -> bool,
        until: impl Future<Output = T>,
    ) -> T {
        let pay = |n| {
            let amount = if is_unlucky(n) { UNLUCKY } else { 1 };
            self.paid.fetch_add(amount, Ordering::Relaxed);
            Pay { amount, receipt_to: None }
        };
        self.under_load(pay, until).await
    }

    async fn total(&self, by: u32) -> u64 {
        let mut sum = 0;
        for (at, till) in &self.tills {
            let till = *till;
            let total = self.servers[*at].node().run("client", move |cx| async move {
                cx.call::<_, Total>(till, Pay { amount: 0, receipt_to: None }, HOUR).await.unwrap()
            });
            let total = total.await.unwrap();
            assert_eq!(total.by, by);
            sum += total.total;
        }
        sum
    }

    async fn driven(&self) -> Option<Driven> {
        let said: Rollouts = self.ask(RolloutsRequest { bundle: None }).await;
        said.driven.into_iter().next()
    }

    async fn until_step(&self, step: &str) -> Driven {
        for _ in 0..7_200 {
            if let Some(driven) = self.driven().await.filter(|driven| driven.step == step) {
                return driven;
            }
            self.world.runtime.sleep(SECOND).await;
        }
        panic!("it is never at {step}: {:?}", self.driven().await)
    }

    async fn wish(&self, wish: Wanting) {
        let wish = Wish { bundle: "till".into(), wish, is_written: false, why: None };
        assert_eq!(self.ask::<_, Wished>(wish).await, Wished::Done);
    }

    /// All run version 1, the canary again, which says why; the others have run nothing else.
    async fn is_back(&self, deployed: Deployed, why: &str) {
        let Deployed::Refused(objections) = deployed else { panic!("{deployed:?}") };
        assert!(objections[0].reason.contains(why), "{objections:?}");
        for (at, server) in self.servers.iter().enumerate() {
            let past = server.history(Some("till"));
            let versions = past.iter().map(|(_, change)| change.current.unwrap().0);
            let expected = if at == CANARY { vec![1, 2, 1] } else { vec![1] };
            assert_eq!(versions.collect::<Vec<_>>(), expected, "{at}");
        }
        let (_, last) = self.servers[CANARY].history(Some("till")).pop().unwrap();
        assert_eq!(last.cause, Cause::TakenBack);
        assert!(last.why.as_ref().is_some_and(|it| it.contains(why)), "{last:?}");
        let said: Rollouts = self.ask(RolloutsRequest { bundle: None }).await;
        let verdict = &said.names[0].1.past.back().unwrap().verdict;
        assert!(!verdict.commit && verdict.why.contains(why), "{verdict:?}");
    }
}

fn till_no(pid: Pid) -> u64 {
    pid.index.into()
}

fn one_then_all(gates: &[Gate]) -> Course {
    let gates = Some(Gates { gates: gates.to_vec(), ..Gates::default() });
    Course { steps: vec![Step::Nodes(1)], gates }
}

#[test]
fn a_canary_that_fails_one_call_in_thirty_goes_back_by_itself_and_keeps_what_it_wrote() {
    simulate(3, |world| async move {
        let shop = Shop::open(world, lenient()).await;
        let course = one_then_all(&[Gate::Errors]);
        let deployed = shop.pay_until(|n| n % 30 == 0, shop.deploy("till-v2", course)).await;
        shop.is_back(deployed, "wave 1: errors: new").await;
        assert_eq!(shop.total(1).await, shop.paid.load(Ordering::Relaxed));
    });
}

#[test]
fn a_canary_that_fails_on_probation_ends_its_rollout_at_once() {
    simulate(3, |world| async move {
        let shop = Shop::open(world, ProbationLimits::default()).await;
        let course = one_then_all(&Gate::ALL);
        let deployed = shop.pay_until(|n| n % 30 == 0, shop.deploy("till-v2", course)).await;
        shop.is_back(deployed, "b: 3 of its processes went back and 0 ended by its fault").await;
        assert_eq!(shop.total(1).await, shop.paid.load(Ordering::Relaxed));
    });
}

#[test]
fn a_canary_that_is_slower_goes_back_by_itself() {
    simulate(2, |world| async move {
        let shop = Shop::open(world, lenient()).await;
        let deploy = shop.deploy("till-v2", one_then_all(&Gate::ALL));
        let deployed = shop.under_load(|_| PaySlowly { amount: 1 }, deploy).await;
        shop.is_back(deployed, "latency: half of the messages").await;
    });
}

#[test]
fn a_canary_that_leaks_goes_back_by_itself() {
    simulate(2, |world| async move {
        let shop = Shop::open(world, lenient()).await;
        let deploy = shop.deploy("till-v2", one_then_all(&Gate::ALL));
        let deployed = shop.under_load(|_| Load { bytes: 100 }, deploy).await;
        shop.is_back(deployed, "states: grown").await;
    });
}

#[test]
fn a_canary_that_does_as_before_is_followed_by_the_others_wave_by_wave() {
    simulate(3, |world| async move {
        let shop = Shop::open(world, ProbationLimits::default()).await;
        let course =
            Course { steps: vec![Step::Nodes(1), Step::Nodes(2)], ..one_then_all(&Gate::ALL) };
        let deployed = shop.pay_until(|_| false, shop.deploy("till-v2", course)).await;
        assert!(matches!(deployed, Deployed::Everywhere { version: 2, .. }), "{deployed:?}");
        assert_eq!(shop.total(2).await, shop.paid.load(Ordering::Relaxed));
        let at = |server: &CodeServer| server.history(Some("till")).pop().unwrap().1.at;
        let [a, b, c] = [0, 1, 2].map(|node| at(&shop.servers[node]));
        assert!(b + 30 * SECOND <= c && c + 30 * SECOND <= a, "{b:?} {c:?} {a:?}");
        let said: Rollouts = shop.ask(RolloutsRequest { bundle: None }).await;
        let verdict = &said.names[0].1.past.back().unwrap().verdict;
        assert!(verdict.why.contains("errors: new 0 of"), "the numbers are kept: {verdict:?}");
    });
}

#[test]
fn with_too_few_samples_it_waits_and_never_passes_until_a_person_says_so() {
    simulate(2, |world| async move {
        let shop = Shop::open(world, ProbationLimits::default()).await;
        let deploying = shop.deploy("till-v2", one_then_all(&[Gate::Errors]));
        let watching = async {
            let driven = shop.until_step("held after wave 1").await;
            assert!(driven.blocked.is_some_and(|why| why.contains("too few")));
            assert_eq!(driven.gates[0].says, "not sure");
            shop.world.runtime.sleep(300 * SECOND).await;
            assert_eq!(shop.driven().await.unwrap().step, "held after wave 1");
            shop.wish(Wanting::Resume).await;
        };
        let (deployed, ()) = futures_util::join!(deploying, watching);
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
    });
}

#[test]
fn it_is_paused_and_aborted_in_its_middle_and_a_bad_canary_goes_back_from_a_pause_too() {
    simulate(2, |world| async move {
        let shop = Shop::open(world, lenient()).await;
        let paused = async {
            shop.until_step("gate of wave 1").await;
            shop.wish(Wanting::Pause).await;
            shop.until_step("paused before wave 2").await;
        };
        let aborted = async {
            paused.await;
            shop.wish(Wanting::Abort).await;
        };
        let deploying = shop.deploy("till-v2", one_then_all(&[Gate::Errors]));
        let both = async { futures_util::join!(deploying, aborted) };
        let (deployed, ()) = shop.pay_until(|_| false, both).await;
        let Deployed::Refused(objections) = deployed else { panic!("{deployed:?}") };
        assert_eq!(objections[0].step, "abort");
        assert_eq!(shop.total(1).await, shop.paid.load(Ordering::Relaxed));
        let spoilt = AtomicU64::new(0);
        let paused = async {
            shop.until_step("gate of wave 1").await;
            shop.wish(Wanting::Pause).await;
            shop.until_step("paused before wave 2").await;
            spoilt.store(1, Ordering::Relaxed);
        };
        let deploying = shop.deploy("till-v2", one_then_all(&[Gate::Panics]));
        let both = async { futures_util::join!(deploying, paused) };
        let is_unlucky = |n| n % 10 == 0 && spoilt.load(Ordering::Relaxed) == 1;
        let (deployed, ()) = shop.pay_until(is_unlucky, both).await;
        let Deployed::Refused(objections) = deployed else { panic!("{deployed:?}") };
        assert_eq!(objections[0].step, "gate", "{objections:?}");
        assert_eq!(shop.total(1).await, shop.paid.load(Ordering::Relaxed));
    });
}

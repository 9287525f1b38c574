//! Versions side by side: what becomes of the old by each policy, and when it is retired (U2, U3; E05, E06).

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{
    Activate, Activated, CONTROL, Claim, Claimed, Deactivate, Deactivated, Release, Released,
    Stage, Status, StatusRequest, VersionStatus, Vote,
};
use midflight_dsu::rollout::ledger::Ticket;
use midflight_dsu::switch::{SwitchLimits, Switcher};
use midflight_dsu::versions::{Cause, Holder};
use midflight_process::message::Message;
use midflight_process::{Context, Pid};
use midflight_tests::steps::{run_version, stage, start};
use midflight_tests::world::{World, simulate};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOURS: Duration = Duration::from_secs(3 * 3_600);

fn versions(server: &CodeServer) -> Vec<(u32, usize)> {
    let all = server.versions().all().into_iter();
    all.map(|(version, _)| (version.version, version.process_count())).collect()
}

/// Adds to each counter, as its version says.
async fn add_to_all(server: &CodeServer, counters: &[Pid]) -> Vec<(i64, u64)> {
    let counters = counters.to_vec();
    let answers = server.node().run("client", move |cx| async move {
        let mut answers = Vec::new();
        for counter in counters {
            let add = counter_v2::Add { seq: 0, amount: 1 };
            let total: counter_v2::Total = cx.call(counter, add, SECOND).await.unwrap();
            answers.push((total.total, total.handled));
        }
        answers
    });
    answers.await.unwrap()
}

/// A hundred counters of version 1, the first fifty of which were switched to version 2, which is current.
async fn fifty_fifty(world: &World) -> (CodeServer, Vec<Pid>) {
    let server = world.node("a", None).await;
    run_version(world, &server, "counter-v1").await;
    let counters: Vec<_> = (0..100).map(|_| start(&server, "counter", &())).collect();
    let v2 = stage(world, &server, "counter-v2").await;
    server.activate_by(v2, Policy::Keep).await.unwrap();
    assert_eq!(versions(&server), [(1, 100), (2, 0)], "each stays until it is told");
    let switcher =
        Switcher::new(server.node().clone(), server.versions().clone(), SwitchLimits::default());
    let switched = switcher.switch_all(&counters[..50], &server.versions().get(v2).unwrap()).await;
    assert_eq!((switched.done.len(), switched.failed.len()), (50, 0));
    assert_eq!(versions(&server), [(1, 50), (2, 50)]);
    (server, counters)
}

async fn activate(
    world: &World,
    server: &CodeServer,
    name: &str,
    policy: Policy,
) -> ContentAddress {
    let address = stage(world, server, name).await;
    server.activate_by(address, policy).await.unwrap();
    address
}

#[test]
fn with_keep_none_ends_and_each_works_on_in_its_version_for_hours() {
    simulate(3, |world| async move {
        let (server, counters) = fifty_fifty(&world).await;
        for round in 1..=3 {
            world.runtime.sleep(HOURS).await;
            assert_eq!(add_to_all(&server, &counters).await, [(round, round as u64); 100]);
        }
        activate(&world, &server, "counter-v2 as 3", Policy::Keep).await;
        activate(&world, &server, "counter-v2 as 4", Policy::Keep).await;
        world.runtime.sleep(HOURS).await;
        assert_eq!(versions(&server), [(1, 50), (2, 50), (3, 0), (4, 0)], "and each version stays");
        assert_eq!(add_to_all(&server, &counters).await, [(4, 4); 100]);
        // Until they are told.
        activate(&world, &server, "counter-v2 as 4", Policy::Migrate).await;
        assert_eq!(add_to_all(&server, &counters).await, [(5, 5); 100]);
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(4, 100)], "nothing needs the others any more");
    });
}

#[test]
fn with_erlang_each_load_ends_exactly_those_of_the_version_before_the_last() {
    simulate(3, |world| async move {
        let (server, counters) = fifty_fifty(&world).await;
        activate(&world, &server, "counter-v2 as 3", Policy::Erlang).await;
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(2, 50), (3, 0)]);
        assert_eq!(add_to_all(&server, &counters[..50]).await, [(1, 1); 50]);
        let newest = start(&server, "counter", &());
        activate(&world, &server, "counter-v2 as 4", Policy::Erlang).await;
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(3, 1), (4, 0)]);
        assert_eq!(add_to_all(&server, &[newest]).await, [(1, 1)]);
        let left = counters.iter().filter(|pid| server.node().process(**pid).is_some());
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn the_same_with_erlang_again_ends_nobody() {
    simulate(3, |world| async move {
        let (server, counters) = fifty_fifty(&world).await;
        for _ in 0..3 {
            activate(&world, &server, "counter-v2", Policy::Erlang).await;
            world.runtime.sleep(MINUTE).await;
            assert_eq!(versions(&server), [(1, 50), (2, 50)], "1 is the one before");
        }
        assert_eq!(add_to_all(&server, &counters).await, [(1, 1); 100]);
        for _ in 0..3 {
            activate(&world, &server, "counter-v2 as 3", Policy::Erlang).await;
            world.runtime.sleep(MINUTE).await;
            assert_eq!(versions(&server), [(2, 50), (3, 0)]);
        }
    });
}

#[test]
fn with_erlang_nobody_is_ended_where_the_version_before_is_not_known() {
    simulate(3, |world| async move {
        let (server, _) = fifty_fifty(&world).await;
        let address = server.current("counter").unwrap();
        let control = server.node().whereis(CONTROL).unwrap();
        let driven = server.node().run("coordinator", move |cx| async move {
            let again = Coordinator { cx, control, address, rollout: 1 };
            again.until_activated(Policy::Keep).await;
            again.back().await;
            again.release(false).await;
        });
        driven.await.unwrap();
        activate(&world, &server, "counter-v2", Policy::Erlang).await;
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(1, 50), (2, 50)]);
    });
}

#[test]
fn with_drain_a_version_is_retired_when_its_last_process_has_ended() {
    simulate(3, |world| async move {
        let (server, counters) = fifty_fifty(&world).await;
        activate(&world, &server, "counter-v2 as 3", Policy::Drain).await;
        for &counter in &counters[51..] {
            server.node().kill(counter, "enough");
        }
        world.runtime.sleep(HOURS).await;
        assert_eq!(versions(&server), [(1, 1), (2, 50), (3, 0)]);
        let last = Holder { pid: Some(counters[50]), cause: Cause::Process };
        let waited_for = server.versions().all()[0].0.holders(server.node(), 9);
        assert_eq!(waited_for, (vec![last], 1), "the only one it waits for");
        // Whoever has it in hand keeps it, too.
        let v1 = server.versions().all().swap_remove(0);
        server.node().kill(counters[50], "enough");
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(1, 0), (2, 50), (3, 0)]);
        assert_eq!(holders(&status(&server, 1).await), [(None, "in use")]);
        drop(v1);
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(2, 50), (3, 0)]);
    });
}

async fn status(server: &CodeServer, version: u32) -> VersionStatus {
    let control = server.node().whereis(CONTROL).unwrap();
    let status = server.node().run("operator", move |cx| async move {
        cx.call::<_, Status>(control, StatusRequest, SECOND).await.unwrap()
    });
    let all = status.await.unwrap().versions;
    all.into_iter().find(|status| status.version == version).unwrap()
}

fn holders(status: &VersionStatus) -> Vec<(Option<Pid>, &str)> {
    status.holders.iter().map(|holder| (holder.pid, &*holder.cause)).collect()
}

#[test]
fn a_suspended_handler_defers_the_end_of_its_version_and_is_named() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "waiter-v1").await;
        let waiter = start(&server, "waiter", &waiter::Begin::default());
        let answered = server.node().spawn("client", move |cx| async move {
            let nap = waiter::Nap { millis: 3_600_000 };
            cx.call::<_, waiter::Asked>(waiter, nap, HOURS).await.unwrap();
            cx.node().kill(waiter, "enough");
        });
        answered.unwrap();
        world.runtime.sleep(SECOND).await;
        activate(&world, &server, "waiter-v2", Policy::Drain).await;
        world.runtime.sleep(MINUTE).await;
        let v1 = status(&server, 1).await;
        assert_eq!((&*v1.state, v1.held), ("retiring", 1));
        assert_eq!(holders(&v1), [(Some(waiter), "suspended")]);
        // Its handler ends in its own version, and then it goes.
        world.runtime.sleep(2 * HOURS).await;
        let v1 = status(&server, 1).await;
        assert_eq!((&*v1.state, v1.held, v1.mapped), ("retired", 0, false));
        assert_eq!(&*status(&server, 2).await.state, "current");
    });
}

#[test]
fn the_way_back_of_an_idle_process_keeps_a_version_for_its_time_and_no_longer() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "counter-v1").await;
        let counter = start(&server, "counter", &());
        activate(&world, &server, "counter-v2", Policy::Migrate).await;
        let v1 = status(&server, 1).await;
        assert_eq!(holders(&v1), [(Some(counter), "probation")]);
        world.runtime.sleep(MINUTE).await;
        assert_eq!(&*status(&server, 1).await.state, "retired");
        assert_eq!(add_to_all(&server, &[counter]).await, [(1, 1)]);
        // And again from the file.
        activate(&world, &server, "counter-v1", Policy::Migrate).await;
        assert_eq!(&*status(&server, 1).await.state, "current");
    });
}

/// What drives a deployment to one node, step by step.
struct Coordinator {
    cx: Context,
    control: Pid,
    address: ContentAddress,
    rollout: u64,
}

impl Coordinator {
    async fn ask<M: Message, R: Message>(&self, message: M) -> R {
        self.cx.call(self.control, message, MINUTE).await.unwrap()
    }

    async fn until_activated(&self, policy: Policy) {
        let (by, address) = ("a".to_owned(), self.address.to_string());
        let claimed: Claimed = self.ask(Claim { ticket: self.ticket(), by }).await;
        assert_eq!(claimed.no, None);
        // It may lead to what was current before.
        let (from, goes_back) = (self.control, true);
        let vote: Vote = self.ask(Stage { address: address.clone(), from, goes_back }).await;
        assert!(matches!(vote, Vote::Yes { .. }), "{vote:?}");
        let activated: Activated =
            self.ask(Activate { address, ticket: self.ticket(), policy, back: None }).await;
        assert_eq!(activated.undone, None);
    }

    async fn release(&self, done: bool) {
        let released: Released = self.ask(Release { ticket: self.ticket(), done }).await;
        assert_eq!(released.no, None);
    }

    async fn back(&self) {
        let back =
            Deactivate { address: self.address.to_string(), ticket: self.ticket(), why: None };
        let back: Deactivated = self.ask(back).await;
        assert_eq!(back.objection, None);
    }

    fn ticket(&self) -> Ticket {
        Ticket { bundle: "counter".into(), number: self.rollout, token: 0, epoch: 1 }
    }
}

#[test]
fn nobody_is_ended_for_a_deployment_that_is_taken_back_and_what_was_kept_is_kept() {
    simulate(3, |world| async move {
        let (server, counters) = fifty_fifty(&world).await;
        let address = stage(&world, &server, "counter-v2 as 3").await;
        let control = server.node().whereis(CONTROL).unwrap();
        let watched = server.clone();
        let driven = server.node().run("coordinator", move |cx| async move {
            let refused = Coordinator { cx, control, address, rollout: 1 };
            refused.until_activated(Policy::Erlang).await;
            assert_eq!(&*status(&watched, 2).await.state, "retiring");
            refused.back().await;
            refused.release(false).await;
            assert_eq!(versions(&watched), [(1, 50), (2, 50)], "what was staged in vain is gone");
            assert_eq!(&*status(&watched, 1).await.state, "kept");
            let done = Coordinator { rollout: 2, ..refused };
            done.until_activated(Policy::Erlang).await;
            assert_eq!(versions(&watched), [(1, 50), (2, 50), (3, 0)], "not before all have it");
            done.release(true).await;
        });
        driven.await.unwrap();
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server), [(2, 50), (3, 0)]);
        assert_eq!(add_to_all(&server, &counters[..50]).await, [(1, 1); 50]);
    });
}

#[test]
fn a_deployment_to_a_version_that_is_not_empty_is_taken_back_without_those_that_ran_there() {
    simulate(3, |world| async move {
        let (server, counters) = fifty_fifty(&world).await;
        let v1 = server.versions().all()[0].0.clone();
        let (address, theirs) = (v1.address, v1.processes());
        let control = server.node().whereis(CONTROL).unwrap();
        let watched = server.clone();
        let driven = server.node().run("coordinator", move |cx| async move {
            let coordinator = Coordinator { cx, control, address, rollout: 1 };
            coordinator.until_activated(Policy::Migrate).await;
            assert_eq!(versions(&watched), [(1, 100), (2, 0)]);
            start(&watched, "counter", &());
            coordinator.back().await;
        });
        driven.await.unwrap();
        assert_eq!(versions(&server), [(1, 50), (2, 51)]);
        assert_eq!(v1.processes(), theirs);
        assert_eq!(add_to_all(&server, &counters).await, [(1, 1); 100]);
    });
}

/// It waits for a decision; the log says that there never was such a rollout.
#[test]
fn a_deployment_of_which_nobody_says_that_it_is_over_is_asked_about_and_taken_back() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run_version(&world, &server, "counter-v1").await;
        let address = stage(&world, &server, "counter-v2").await;
        let control = server.node().whereis(CONTROL).unwrap();
        let watched = server.clone();
        let driven = server.node().run("coordinator", move |cx| async move {
            Coordinator { cx, control, address, rollout: 1 }.until_activated(Policy::Migrate).await;
            assert_eq!(holders(&status(&watched, 1).await), [(None, "undo")]);
        });
        driven.await.unwrap();
        world.runtime.sleep(MINUTE).await;
        assert_eq!(versions(&server).first(), Some(&(1, 0)));
        assert_eq!(&*status(&server, 1).await.state, "current");
    });
}

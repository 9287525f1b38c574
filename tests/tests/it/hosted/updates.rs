//! Updates while processes start, wait or do not convert: all is as it was, or it is said.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::join;
use midflight_abi::Description;
use midflight_dsu::code_server::{ActivateError, CodeServer, Conflicts};
use midflight_dsu::compare::{Conflict, compare};
use midflight_dsu::convert::ConvertError;
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{CONTROL, Deploy, Deployed};
use midflight_dsu::switch::{SwitchError, SwitchLimits, Switcher};
use midflight_dsu::versions::{Version, Versions};
use midflight_process::Node;
use midflight_runtime::TokioRuntime;
use midflight_tests::compiled_format::code;
use midflight_tests::world::{World, simulate};
use midflight_transport_inmem::Hub;
use waiter::{Answer, Asked, Begin, Flag, Nap, Question, Remind, v2};

use super::{MINUTE, SECOND, run, stage, start};

#[test]
fn a_behaviour_that_is_missing_is_a_conflict() {
    let nothing = Description::default();
    let comparison = compare(code("waiter-v1").description(), &nothing);
    let missing = Conflict::State(ConvertError::NoBehaviour { behaviour: "waiter".into() });
    assert!(comparison.conflicts().eq([&missing]));
}

#[test]
fn a_process_that_starts_around_an_activation_starts_in_the_new_version() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        let v1 = run(&world, &server, "waiter-v1").await;
        let v2 = stage(&world, &server, "waiter-v2").await;
        let versions = server.versions().clone();
        waiter::on_next_init(move || {
            versions.make_current(&versions.get(v2).unwrap());
        });
        let pid = start(&server);
        assert_eq!(server.versions().get(v1).unwrap().process_count(), 0);
        assert_eq!(server.versions().get(v2).unwrap().processes(), [pid]);
    });
}

#[test]
fn names_and_timers_outlive_a_switch() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let v2 = stage(&world, &server, "waiter-v2").await;
        let waiter = start(&server);
        let node = server.node().clone();
        let watched = node.run("watches", move |cx| async move {
            let (node, to, began) = (server.node(), cx.me(), cx.now());
            node.register("waiter", waiter).unwrap();
            // Its own; one that another has set for it; one for whoever has the name.
            cx.send(waiter, Remind { to, millis: 2_000 }).await.unwrap();
            cx.send_after(3 * SECOND, waiter, Remind { to, millis: 0 }).unwrap();
            cx.send_after(4 * SECOND, "waiter", Remind { to, millis: 0 }).unwrap();
            cx.send_after(SECOND, waiter, Remind { to, millis: 0 }).unwrap();
            cx.expect::<Question>().await;
            assert_eq!(node.process(waiter).unwrap().timers, 1);
            server.activate(v2).await.unwrap();
            for seconds in 2..=4 {
                assert_eq!(cx.expect::<Answer>().await.n, 2, "the new code has it");
                assert_eq!(cx.now().since(began), seconds * SECOND);
            }
            assert_eq!(node.process(waiter).unwrap().timers, 0);
            assert_eq!(node.whereis("waiter"), Some(waiter));
        });
        watched.await.unwrap();
    });
}

/// Keeps a waiter from coming to rest.
fn nap(server: &CodeServer) {
    let waiter = start(server);
    let napping = server.node().spawn("client", move |cx| async move {
        let _ = cx.call::<_, Asked>(waiter, Nap { millis: 3_600_000 }, MINUTE).await;
    });
    napping.unwrap();
}

#[test]
fn after_an_activation_that_fails_nothing_runs_in_the_new_version() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let v1 = run(&world, &server, "waiter-v1").await;
        start(&server);
        nap(&server);
        world.runtime.sleep(SECOND).await;
        let v2 = stage(&world, &server, "waiter-v2").await;
        let start_meanwhile = async {
            world.runtime.sleep(SECOND).await;
            let pid = start(&server);
            assert_eq!(server.versions().get(v2).unwrap().processes().last(), Some(&pid));
        };
        let (activated, ()) = join!(server.activate(v2), start_meanwhile);
        let Err(ActivateError::Switch { failed, not_back }) = activated else {
            panic!("{activated:?}")
        };
        assert_eq!((failed.len(), not_back.len()), (1, 0));
        assert_eq!(server.current("waiter"), Some(v1));
        assert_eq!(server.versions().get(v1).unwrap().process_count(), 3);
        assert_eq!(server.versions().get(v2).unwrap().process_count(), 0);
    });
}

#[test]
fn what_ran_in_a_version_before_stays_there_when_its_activation_fails() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v2").await;
        let theirs = [start(&server), start(&server)];
        let v2 = server.versions().current("waiter").unwrap();
        let v1 = stage(&world, &server, "waiter-v1").await;
        server.activate_by(v1, Policy::Keep).await.unwrap();
        start(&server);
        nap(&server);
        world.runtime.sleep(SECOND).await;
        let activated = server.activate(v2.address).await;
        let Err(ActivateError::Switch { failed, not_back }) = activated else {
            panic!("{activated:?}")
        };
        assert_eq!((failed.len(), not_back.len()), (1, 0));
        assert_eq!(v2.processes(), theirs);
        assert_eq!(server.versions().get(v1).unwrap().process_count(), 2);
    });
}

#[test]
fn what_was_staged_beside_another_version_is_compared_again_when_it_is_activated() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        // Nothing runs yet: both may be staged.
        let v1 = stage(&world, &server, "counter-v1").await;
        let v3 = stage(&world, &server, "counter-v3").await;
        server.activate(v1).await.unwrap();
        let activated = server.activate(v3).await;
        let Err(ActivateError::Conflicts(Conflicts { running: 1, conflicts })) = activated else {
            panic!("{activated:?}")
        };
        assert!(!conflicts.is_empty());
        assert_eq!(server.current("counter"), Some(v1));
    });
}

#[test]
fn an_activation_goes_on_when_whoever_asked_for_it_has_gone() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        nap(&server);
        world.runtime.sleep(SECOND).await;
        let v2 = stage(&world, &server, "waiter-v2").await;
        let asking = server.activate(v2);
        let gone = midflight_runtime::timeout(&*world.runtime, SECOND, asking).await;
        assert!(gone.is_err(), "it waits for the one that sleeps");
        world.runtime.sleep(MINUTE).await;
        assert!(server.current("waiter").is_some_and(|current| current != v2), "it was undone");
    });
}

pub(super) async fn cluster(world: &World) -> [CodeServer; 3] {
    world.cluster(["a", "b", "c"]).await
}

fn versions(server: &CodeServer) -> Vec<(u32, bool, usize)> {
    let all = server.versions().all().into_iter();
    all.map(|(version, current)| (version.version, current, version.process_count())).collect()
}

#[test]
fn after_one_nodes_no_each_goes_back_to_what_it_ran_itself() {
    simulate(5, |world| async move {
        let [a, b, c] = cluster(&world).await;
        for server in [&b, &c] {
            run(&world, server, "waiter-v1").await;
            start(server);
        }
        nap(&c);
        world.runtime.sleep(SECOND).await;
        let address = stage(&world, &a, "waiter-v2").await.to_string();
        let control = a.node().whereis(CONTROL).unwrap();
        let deployed = a.node().run("operator", move |cx| async move {
            let (policy, course) = (Policy::Migrate, <_>::default());
            let deploy = Deploy { address, watcher: None, policy, course };
            cx.call::<_, Deployed>(control, deploy, MINUTE).await.unwrap()
        });
        let deployed = deployed.await.unwrap();
        let Deployed::Refused(objections) = deployed else { panic!("{deployed:?}") };
        assert_eq!(objections.len(), 1, "{objections:?}");
        assert_eq!((&*objections[0].node, &*objections[0].step), ("c", "switch"));
        assert_eq!(versions(&a), [], "it ran none before, and what was staged in vain is retired");
        assert_eq!(versions(&b), [(1, true, 1)]);
        assert_eq!(versions(&c), [(1, true, 2)]);
    });
}

/// A node in real time with waiters of version 1, all with their flag as given.
async fn real_node(flags: &[bool]) -> (Node, Arc<Versions>, Arc<Version>) {
    let runtime = TokioRuntime::current();
    let transport = Hub::new(1).transport(runtime.clone());
    let node = Node::builder("real").start(&transport, runtime).await.unwrap();
    let versions = Arc::new(Versions::default());
    let make = |name: &str, version: u32| {
        let address = ContentAddress::from([u8::try_from(version).unwrap(); 32]);
        versions.add(Version::new(&node, "waiter", version, address, code(name)))
    };
    let (v1, v2) = (make("waiter-v1", 1), make("waiter-v2", 2));
    versions.make_current(&v1);
    for &up in flags {
        let mut begin = Vec::new();
        midflight_process::message::encode(&Begin::default(), &mut begin).unwrap();
        let pid = midflight_dsu::hosted::start(&node, &versions, "waiter", &begin).unwrap();
        let flagged = node.run("client", move |cx| async move {
            cx.call::<_, Asked>(pid, Flag { up }, MINUTE).await.unwrap()
        });
        assert_eq!(flagged.await.unwrap().how, "noted");
    }
    (node, versions, v2)
}

/// Holds a conversion of `waiter` up, and lets it go at the end: also when the test fails, or the
/// runtime would wait for its thread for ever.
struct Held;

impl Held {
    fn conversion() -> Self {
        v2::HELD.store(true, Ordering::Release);
        Self
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        v2::HELD.store(false, Ordering::Release);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_group_only_the_one_whose_conversion_hangs_is_not_switched() {
    let (node, versions, v2) = real_node(&[false, true, false, false]).await;
    let pids = versions.get(ContentAddress::from([1; 32])).unwrap().processes();
    // Long enough for the others of the group on the busiest machine.
    let limits =
        SwitchLimits { convert_timeout: Duration::from_secs(3), ..SwitchLimits::default() };
    let switcher = Switcher::new(node.clone(), versions, limits);
    let held = Held::conversion();
    let switched = switcher.switch_all(&pids, &v2).await;
    let mut done: Vec<_> = switched.done.iter().map(|(pid, _)| *pid).collect();
    done.sort_by_key(|pid| pid.index);
    assert_eq!(done, [pids[0], pids[2], pids[3]]);
    let [SwitchError::Overrun { pid, .. }] = &switched.failed[..] else {
        panic!("{:?}", switched.failed)
    };
    assert_eq!(*pid, pids[1]);
    // It goes on as it was, and once its conversion lets go it can be switched.
    let pid = *pid;
    drop(held);
    let noted = node.run("client", move |cx| async move {
        cx.call::<_, Asked>(pid, Flag { up: false }, MINUTE).await.unwrap().how
    });
    assert_eq!(noted.await.unwrap(), "noted");
    switcher.switch(pid, &v2).await.unwrap();
    node.shutdown().await;
}

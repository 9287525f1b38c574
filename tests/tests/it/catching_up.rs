//! How a node catches up: whom it believes, what it learns, and what it does not do to the others (R4).

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_dsu::bundle::Bundle;
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::history::Cause;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{CONTROL, Deployed, Rollback};
use midflight_process::message::{Message, Schema, encode};
use midflight_tests::compiled_format::{bundle, bundle_of_size, bundle_that_fails_its_probe};
use midflight_tests::errands::{Begin, Errand};
use midflight_tests::steps::{push_and_deploy, push_and_deploy_file, start};
use midflight_tests::world::{World, simulate};
use serde::{Deserialize, Serialize};
use till::{Pay, Total, UNLUCKY};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What a node tells its peers of its code.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "midflight.control.CurrentVersions", version = 1)]
struct CurrentVersions {
    current: BTreeMap<String, u32>,
    committed: BTreeMap<String, Decided>,
}

#[derive(Debug, Serialize, Deserialize, Schema)]
struct Decided {
    number: u64,
    version: u32,
    address: [u8; 32],
    policy: Policy,
}

/// Says that a bundle was decided for a name.
fn say(server: &CodeServer, name: &str, number: u64, address: [u8; 32]) {
    let decided = Decided { number, version: 1, address, policy: Policy::Migrate };
    let committed = BTreeMap::from([(name.to_owned(), decided)]);
    let mut words = Vec::new();
    encode(&CurrentVersions { current: BTreeMap::new(), committed }, &mut words).unwrap();
    server.node().code_switched([7; 32], words);
}

/// A node that believes nobody and has these bundles for others to fetch.
async fn liar(world: &World, bundles: &[(Bundle, Vec<u8>)]) -> CodeServer {
    let liar = world.node("liar", None).await;
    liar.node().set_roles("* = send,inspect".parse().unwrap());
    for (bundle, file) in bundles {
        liar.accept(bundle.address(), file).await.unwrap();
    }
    liar.node().connect(&World::address("a")).await.unwrap();
    world.runtime.sleep(5 * SECOND).await;
    liar
}

async fn deploy(server: &CodeServer, name: &str, world: &World) {
    let deployed = push_and_deploy(server, name, world).await;
    assert!(matches!(deployed, Deployed::Everywhere { .. }), "{name}: {deployed:?}");
}

async fn rollback(server: &CodeServer, name: &str) -> Deployed {
    let (control, name) = (server.node().whereis(CONTROL).unwrap(), name.to_owned());
    let rollback = Rollback { name, to: None, watcher: None };
    let rolled = server.node().run("operator", move |cx| async move {
        cx.call::<_, Deployed>(control, rollback, MINUTE).await.unwrap()
    });
    rolled.await.unwrap()
}

fn current(server: &CodeServer, bundle: &str) -> Option<u32> {
    server.versions().current(bundle).map(|version| version.version)
}

fn past(server: &CodeServer, bundle: &str) -> Vec<u32> {
    let past = server.history(Some(bundle));
    past.iter().map(|(_, change)| change.current.unwrap().0).collect()
}

async fn has_caught_up(world: &World, late: &CodeServer, with: &CodeServer) {
    let is_so = || late.versions().committed() == with.versions().committed();
    world.until(2 * MINUTE, "it has caught up", is_so).await;
}

/// Three tills are started and fail.
async fn fail_three(server: &CodeServer) {
    for _ in 0..3 {
        let till = start(server, "till", &());
        let failed = server.node().run("client", move |cx| async move {
            let pay = Pay { amount: UNLUCKY, receipt_to: None };
            cx.call::<_, Total>(till, pay, MINUTE).await
        });
        failed.await.unwrap().unwrap_err();
    }
}

#[test]
fn who_may_not_deploy_decides_nothing() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        a.node().set_roles("liar = send,inspect\n* = all".parse().unwrap());
        deploy(&a, "counter-v2", &world).await;
        let (old, file) = bundle("counter-v1", &world.key);
        let address = *old.address().as_bytes();
        let liar = liar(&world, &[(old, file)]).await;
        for (number, address) in [(9, address), (u64::MAX, [1; 32])] {
            say(&liar, "counter", number, address);
            world.runtime.sleep(MINUTE / 2).await;
            assert_eq!(current(&a, "counter"), Some(2));
            assert_eq!(a.versions().behind(), BTreeMap::new());
            start(&a, "counter", &());
        }
        assert_eq!(a.versions().committed().number("counter"), 1);
    });
}

/// What was said to be decided is looked at as what is deployed is; and until it can run, what is current stays so.
#[test]
fn what_may_not_be_deployed_is_not_followed_either() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "counter-v2", &world).await;
        let bundles = [
            bundle("counter-v1", &world.key),
            bundle("ponger-v1", &world.key),
            bundle_that_fails_its_probe("counter-v2 as 3", &world.key),
        ];
        let addresses = bundles.each_ref().map(|(bundle, _)| *bundle.address().as_bytes());
        let liar = liar(&world, &bundles).await;
        let because = ["is older than release 2", "called `ponger`", "and fails its probe"];
        for (number, (address, because)) in (9..).zip(addresses.into_iter().zip(because)) {
            say(&liar, "counter", number, address);
            let why = || {
                let behind = a.versions().behind().remove("counter");
                behind.filter(|it| it.standing.number == number).and_then(|it| it.why)
            };
            world.until(2 * MINUTE, because, || why().is_some()).await;
            assert!(why().is_some_and(|why| why.contains(because)), "{because}: {:?}", why());
            assert_eq!(current(&a, "counter"), Some(2), "{because}");
            assert_eq!(past(&a, "counter"), [2]);
        }
    });
}

#[test]
fn one_that_was_overtaken_on_its_way_stays_with_what_was_decided_last() {
    simulate(10, |world| async move {
        let [a, b] = world.cluster(["a", "b"]).await;
        deploy(&a, "counter-v1", &world).await;
        b.node().shutdown().await;
        let large = bundle_of_size("counter-v2", 2 << 20, &*world.runtime, &world.key);
        let deployed = push_and_deploy_file(&a, large).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
        // The second release is on its way to it when all go back to the first.
        world.hub.set_delay(SECOND / 50);
        let b = world.node("b", Some("a")).await;
        world.until(2 * MINUTE, "it is behind", || !b.versions().behind().is_empty()).await;
        let back = rollback(&a, "counter").await;
        assert!(matches!(back, Deployed::Everywhere { version: 1, .. }), "{back:?}");
        world.runtime.sleep(MINUTE).await;
        assert_eq!([&a, &b].map(|server| current(server, "counter")), [Some(1); 2]);
        assert_eq!(b.versions().committed(), a.versions().committed());
        assert_eq!(b.versions().behind(), BTreeMap::new());
    });
}

#[test]
fn what_fails_on_one_that_came_late_is_not_taken_from_the_others() {
    simulate(5, |world| async move {
        let [a, b] = world.cluster(["a", "b"]).await;
        deploy(&a, "till-v1", &world).await;
        b.node().shutdown().await;
        deploy(&a, "till-v2", &world).await;
        world.runtime.sleep(MINUTE).await;
        let b = world.node("b", Some("a")).await;
        has_caught_up(&world, &b, &a).await;
        assert!(!b.versions().current("till").unwrap().is_on_probation());
        fail_three(&b).await;
        world.runtime.sleep(MINUTE).await;
        assert_eq!([&a, &b].map(|server| current(server, "till")), [Some(2); 2]);
    });
}

#[test]
fn one_that_came_late_goes_back_with_the_others() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "counter-v1", &world).await;
        deploy(&a, "counter-v2", &world).await;
        let late = world.node("late", Some("a")).await;
        has_caught_up(&world, &late, &a).await;
        assert_eq!(late.history(None), a.history(None));
        let back = rollback(&a, "counter").await;
        assert!(matches!(back, Deployed::Everywhere { version: 1, .. }), "{back:?}");
        assert_eq!([&a, &late].map(|server| current(server, "counter")), [Some(1); 2]);
        // It keeps that, too, and could have asked for it itself.
        late.node().shutdown().await;
        let late = world.node("late", Some("a")).await;
        late.caught_up().await.unwrap();
        assert_eq!(past(&late, "counter"), [1, 2, 1]);
        let forth = rollback(&late, "counter").await;
        assert!(matches!(forth, Deployed::Everywhere { version: 2, .. }), "{forth:?}");
    });
}

#[test]
fn one_that_slept_goes_back_to_what_it_has_slept_through() {
    simulate(5, |world| async move {
        let [a, b] = world.cluster(["a", "b"]).await;
        deploy(&a, "counter-v1", &world).await;
        b.node().shutdown().await;
        for release in ["counter-v2", "counter-v2 as 3", "counter-v2 as 4"] {
            deploy(&a, release, &world).await;
        }
        let b = world.node("b", Some("a")).await;
        has_caught_up(&world, &b, &a).await;
        assert_eq!(past(&b, "counter"), [1, 2, 3, 4]);
        let back = rollback(&a, "counter").await;
        assert!(matches!(back, Deployed::Everywhere { version: 3, .. }), "{back:?}");
        assert_eq!(current(&b, "counter"), Some(3));
    });
}

#[test]
fn a_version_that_fails_takes_one_that_came_late_back_with_the_others() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "till-v1", &world).await;
        deploy(&a, "till-v2", &world).await;
        let late = world.node("late", Some("a")).await;
        has_caught_up(&world, &late, &a).await;
        fail_three(&a).await;
        let all_are_back = || [&a, &late].map(|server| current(server, "till")) == [Some(1); 2];
        world.until(2 * MINUTE, "all are back", all_are_back).await;
        // Who comes now learns that it was no rollback: what failed is nothing to go back to.
        let later = world.node("later", Some("a")).await;
        has_caught_up(&world, &later, &a).await;
        assert_eq!(later.history(Some("till")).last().unwrap().1.cause, Cause::WentBack);
        let Deployed::Refused(no) = rollback(&later, "till").await else { panic!("to v2?") };
        assert!(no[0].reason.contains("nothing else of `till`"), "{no:?}");
    });
}

#[test]
fn until_a_node_has_caught_up_no_behaviour_starts_another_there() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "errands-v1", &world).await;
        let node = a.node().clone();
        let owner = node.spawn("owner", |cx| async move { cx.sleep(10 * MINUTE).await }).unwrap();
        let errands = start(&a, "errands", &Begin { owner });
        let errand = |errand| {
            node.run("client", move |cx| async move { cx.send(errands, errand).await.unwrap() })
        };
        let count = || a.versions().current("errands").unwrap().process_count();
        errand(Errand::Spawn).await.unwrap();
        world.until(2 * MINUTE, "another is started", || count() == 2).await;
        let liar = liar(&world, &[]).await;
        say(&liar, "errands", 9, [1; 32]);
        world.until(2 * MINUTE, "it is behind", || !a.versions().behind().is_empty()).await;
        errand(Errand::Spawn).await.unwrap();
        world.runtime.sleep(MINUTE).await;
        assert_eq!(count(), 2);
    });
}

#[test]
fn two_halves_that_took_the_same_number_agree_when_they_meet() {
    simulate(10, |world| async move {
        let [a, b] = world.cluster(["a", "b"]).await;
        deploy(&a, "counter-v1", &world).await;
        b.node().shutdown().await;
        deploy(&a, "counter-v2", &world).await;
        a.node().shutdown().await;
        let b = world.node("b", None).await;
        deploy(&b, "counter-v2 as 3", &world).await;
        let a = world.node("a", Some("b")).await;
        let numbers = [&a, &b].map(|server| server.versions().committed().number("counter"));
        assert_eq!(numbers[1], 2);
        has_caught_up(&world, &a, &b).await;
        assert_eq!([&a, &b].map(|server| current(server, "counter")), [Some(3); 2]);
        assert_eq!(past(&a, "counter"), [1, 2, 1, 3]);
    });
}

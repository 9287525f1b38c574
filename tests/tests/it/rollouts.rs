//! Rollouts that a majority of voters decides: whoever dies, and whenever, all that live end with the same (R4).

use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::protocol::{CONTROL, Deployed, Rollouts, RolloutsRequest};
use midflight_tests::steps::{push_and_deploy, start};
use midflight_tests::world::{World, simulate};

const MINUTE: Duration = Duration::from_secs(60);
const VOTERS: [&str; 3] = ["a", "b", "c"];

async fn cluster(world: &World) -> Vec<CodeServer> {
    let mut servers = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let seed = (name != "a").then_some("a");
        servers.push(world.voting_node(name, seed, &VOTERS).await);
    }
    world.have_met(&servers).await;
    servers
}

async fn rollouts(server: &CodeServer) -> Rollouts {
    let control = server.node().whereis(CONTROL).unwrap();
    let asked = server.node().run("operator", move |cx| async move {
        cx.call::<_, Rollouts>(control, RolloutsRequest { bundle: None }, MINUTE).await.unwrap()
    });
    asked.await.unwrap()
}

fn cut(world: &World, one: &str, names: &[&str], heal: bool) {
    for other in names.iter().filter(|other| **other != one) {
        let (one, other) = (World::address(one), World::address(other));
        if heal { world.hub.heal(&one, &other) } else { world.hub.cut(&one, &other) }
    }
}

fn current(server: &CodeServer) -> Option<u32> {
    server.versions().current("counter").map(|version| version.version)
}

#[test]
fn a_majority_decides_and_every_voter_knows_what() {
    simulate(5, |world| async move {
        let servers = cluster(&world).await;
        // One that is no voter drives.
        let deployed = push_and_deploy(&servers[3], "counter-v1", &world).await;
        assert!(matches!(deployed, Deployed::Everywhere { version: 1, .. }), "{deployed:?}");
        for server in &servers {
            start(server, "counter", &());
        }
        let deployed = push_and_deploy(&servers[1], "counter-v2", &world).await;
        assert!(matches!(deployed, Deployed::Everywhere { switched: 4, .. }), "{deployed:?}");
        let refused = push_and_deploy(&servers[2], "counter-v3", &world).await;
        assert!(matches!(refused, Deployed::Refused(_)), "{refused:?}");
        world.runtime.sleep(Duration::from_secs(2)).await;
        for server in &servers[..3] {
            let said = rollouts(server).await;
            assert_eq!(said.voters, VOTERS);
            let past = said.names[0].1.past.iter().map(|it| (it.version, it.verdict.commit));
            assert_eq!(past.collect::<Vec<_>>(), [(1, true), (2, true), (3, false)]);
        }
    });
}

/// Cut off for good after some time, different under each seed; the others do without it, and it follows when it can.
#[test]
fn a_driver_that_is_lost_anywhere_in_a_rollout_leaves_all_new_or_all_old() {
    simulate(25, |world| async move {
        let servers = cluster(&world).await;
        push_and_deploy(&servers[0], "counter-v1", &world).await;
        for server in &servers {
            start(server, "counter", &());
        }
        world.hub.set_delay(Duration::from_millis(4));
        let lost = usize::try_from(world.runtime.random_u64() % 4).unwrap();
        let after = Duration::from_micros(world.runtime.random_u64() % 150_000);
        let (name, others) = (["a", "b", "c", "d"][lost], ["a", "b", "c", "d"]);
        let pushed = std::pin::pin!(push_and_deploy(&servers[lost], "counter-v2", &world));
        let sleep = world.runtime.sleep(after);
        let _still_under_way = match select(pushed, sleep).await {
            Either::Left(_) => None,
            Either::Right(((), pushed)) => Some(pushed),
        };
        cut(&world, name, &others, false);
        world.hub.set_delay(Duration::ZERO);
        let living: Vec<_> = servers.iter().filter(|server| server.node().name() != name).collect();
        // Within a bound they are of one mind, and wait for nothing.
        let took = world.runtime.now();
        loop {
            let mut waits = false;
            for server in &living {
                let said = rollouts(server).await;
                waits |= !said.waiting.is_empty() || !said.driven.is_empty();
                waits |= said.names.iter().any(|(_, name)| name.open.is_some());
            }
            let same = living.iter().all(|server| current(server) == current(living[0]));
            if !waits && same {
                break;
            }
            let took = world.runtime.now().since(took);
            assert!(
                took < 2 * MINUTE,
                "{:?}",
                living.iter().map(|it| current(it)).collect::<Vec<_>>()
            );
            world.runtime.sleep(Duration::from_secs(1)).await;
        }
        let runs = current(living[0]);
        for server in &living {
            let versions = server.versions().all();
            let elsewhere = versions.iter().filter(|(version, _)| Some(version.version) != runs);
            assert!(
                elsewhere.clone().all(|(version, _)| version.process_count() == 0),
                "{versions:?}"
            );
        }
        cut(&world, name, &others, true);
        let all_same = || servers.iter().all(|server| current(server) == runs);
        world.until(5 * MINUTE, "the lost one follows", all_same).await;
        let deployed = push_and_deploy(&servers[(lost + 1) % 4], "counter-v2 as 3", &world).await;
        assert!(!matches!(deployed, Deployed::Partly { .. }), "{deployed:?}");
    });
}

#[test]
fn without_a_majority_nothing_is_begun_and_it_is_said_why() {
    simulate(5, |world| async move {
        let servers = cluster(&world).await;
        push_and_deploy(&servers[0], "counter-v1", &world).await;
        for lost in ["a", "b"] {
            cut(&world, lost, &["a", "b", "c", "d"], false);
        }
        let refused = push_and_deploy(&servers[2], "counter-v2", &world).await;
        let Deployed::Refused(objections) = refused else { panic!("{refused:?}") };
        assert!(
            objections[0].reason.contains("no majority of the voters a, b, c"),
            "{objections:?}"
        );
        assert_eq!(current(&servers[2]), Some(1));
        for lost in ["a", "b"] {
            cut(&world, lost, &["a", "b", "c", "d"], true);
        }
        world.runtime.sleep(MINUTE).await;
        let deployed = push_and_deploy(&servers[2], "counter-v2", &world).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
    });
}

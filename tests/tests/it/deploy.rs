//! A bundle spreads over a cluster: everywhere or nowhere.

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::history::Cause;
use midflight_dsu::protocol::{
    CONTROL, Claim, Claimed, Deployed, Offer, Rollback, Stage, Vote, Wanted,
};
use midflight_dsu::rollout::ledger::Ticket;
use midflight_process::message::Message;
use midflight_tests::compiled_format::{bundle, key};
use midflight_tests::steps::{push, push_and_deploy, push_and_deploy_file, run_version, start};
use midflight_tests::world::{World, simulate};

const MINUTE: Duration = Duration::from_secs(60);

async fn cluster(world: &World) -> [CodeServer; 3] {
    world.cluster(["a", "b", "c"]).await
}

fn versions(server: &CodeServer) -> Vec<(u32, bool, usize)> {
    let all = server.versions().all().into_iter();
    all.map(|(version, current)| (version.version, current, version.process_count())).collect()
}

#[test]
fn a_push_to_one_node_reaches_all_and_an_incompatible_one_reaches_none() {
    simulate(10, |world| async move {
        let servers = cluster(&world).await;
        let deployed = push_and_deploy(&servers[0], "counter-v1", &world).await;
        assert!(matches!(deployed, Deployed::Everywhere { version: 1, .. }), "{deployed:?}");
        for server in &servers {
            start(server, "counter", &());
        }
        let deployed = push_and_deploy(&servers[1], "counter-v2", &world).await;
        let Deployed::Everywhere { version: 2, switched: 3, nodes, .. } = deployed else {
            panic!("{deployed:?}")
        };
        assert_eq!(nodes.len(), 3);
        let refused = push_and_deploy(&servers[2], "counter-v3", &world).await;
        let Deployed::Refused(objections) = refused else { panic!("{refused:?}") };
        assert_eq!(objections.len(), 3, "every node says no: {objections:?}");
        assert_eq!(objections[0].type_name.as_deref(), Some("counter.Add"));
        assert!(objections[0].field.as_deref().unwrap().contains("amount"));
        for server in &servers {
            assert_eq!(versions(server), [(1, false, 0), (2, true, 1)], "untouched");
        }
        // Back to version 1: an update like any other, once it is said that it is one back.
        let replayed = push_and_deploy(&servers[0], "counter-v1", &world).await;
        let Deployed::Refused(objections) = replayed else { panic!("{replayed:?}") };
        assert_eq!(objections.len(), 3, "every node says no: {objections:?}");
        assert!(objections.iter().all(|no| no.step == "release"), "{objections:?}");
        let back = rollback(&servers[0], None).await;
        assert!(matches!(back, Deployed::Everywhere { version: 1, switched: 3, .. }), "{back:?}");
    });
}

async fn rollback(server: &CodeServer, to: Option<u32>) -> Deployed {
    let control = server.node().whereis(CONTROL).unwrap();
    let rolled_back = server.node().run("operator", move |cx| async move {
        let rollback = Rollback { name: "counter".into(), to, watcher: None };
        cx.call::<_, Deployed>(control, rollback, MINUTE).await.unwrap()
    });
    rolled_back.await.unwrap()
}

#[test]
fn a_rollback_brings_all_to_what_was_current_before_and_keeps_their_state() {
    simulate(10, |world| async move {
        let servers = cluster(&world).await;
        push_and_deploy(&servers[0], "counter-v1", &world).await;
        let Deployed::Refused(no) = rollback(&servers[0], None).await else { panic!("to what?") };
        assert!(no[0].reason.contains("nothing else of `counter`"), "{no:?}");
        let counter = start(&servers[2], "counter", &());
        push_and_deploy(&servers[1], "counter-v2", &world).await;
        let added = servers[1].node().run("client", move |cx| async move {
            let add = counter_v1::Add { seq: 1, amount: 5 };
            cx.call::<_, counter_v1::Total>(counter, add, MINUTE).await.unwrap().total
        });
        assert_eq!(added.await.unwrap(), 5);

        // By a node that the bundle was not pushed to.
        let back = rollback(&servers[2], None).await;
        assert!(matches!(back, Deployed::Everywhere { version: 1, switched: 1, .. }), "{back:?}");
        for server in &servers {
            assert!(versions(server).contains(&(2, false, 0)), "{:?}", versions(server));
            let past = server.history(Some("counter"));
            let versions = past.iter().map(|(_, change)| change.current.unwrap().0);
            assert_eq!(versions.collect::<Vec<_>>(), [1, 2, 1]);
            assert!(past.iter().all(|(_, change)| change.cause == Cause::Activated));
            assert!(past.windows(2).all(|pair| pair[0].1.at <= pair[1].1.at));
        }
        let total = servers[0].node().run("client", move |cx| async move {
            cx.call::<_, counter_v1::Total>(counter, counter_v1::Get { seq: 2 }, MINUTE)
                .await
                .unwrap()
                .total
        });
        assert_eq!(total.await.unwrap(), 5, "the state came back with it");

        let forth = rollback(&servers[0], Some(2)).await;
        assert!(matches!(forth, Deployed::Everywhere { version: 2, .. }), "{forth:?}");
        let Deployed::Refused(no) = rollback(&servers[0], Some(9)).await else { panic!("to 9?") };
        assert!(no[0].reason.contains("no version 9"), "{no:?}");
    });
}

/// A node is asked itself: that another one has run a bundle, or says that this is a rollback, does not count.
#[test]
fn no_node_goes_back_to_what_was_never_current_there() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        push_and_deploy(&server, "counter-v2", &world).await;
        let (old, file) = bundle("counter-v1", &world.key);
        let address = old.address().to_string();
        let control = server.node().whereis(CONTROL).unwrap();
        let voted = server.node().run("coordinator", move |cx| async move {
            assert_eq!(push(&cx, control, &address, &file).await, Wanted::No);
            let ticket = Ticket { bundle: "counter".into(), number: 2, token: 0, epoch: 1 };
            let claim = Claim { ticket, by: "a".into() };
            let _: Claimed = cx.call(control, claim, MINUTE).await.unwrap();
            let stage = Stage { address, from: control, goes_back: true };
            cx.call::<_, Vote>(control, stage, MINUTE).await.unwrap()
        });
        let Vote::No(no) = voted.await.unwrap() else { panic!("it would") };
        assert!(no.reason.contains("release 1 of `counter` is older than release 2"), "{no:?}");
        assert!(no.reason.contains("on this node it was never current"), "{no:?}");
    });
}

#[test]
fn a_bundle_whose_signature_has_expired_is_taken_when_it_is_signed_anew() {
    simulate(5, |world| async move {
        let servers = cluster(&world).await;
        let (mut signed, _) = bundle("counter-v1", &world.key);
        let expires = world.runtime.unix_time() + MINUTE;
        signed.sign_until(&world.key, Some(expires.as_secs())).unwrap();
        let file = signed.write().unwrap();
        let deployed = push_and_deploy_file(&servers[0], (signed.clone(), file.clone())).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");

        world.runtime.sleep(2 * MINUTE).await;
        // It runs on; but neither is it taken again nor deployed from where it lies.
        assert_eq!(versions(&servers[1]), [(1, true, 0)]);
        let address = signed.address();
        assert!(!servers[0].has(address).await);
        let staged = servers[1].stage(address).await.unwrap_err();
        assert!(staged.to_string().contains("has expired"), "{staged}");
        assert!(servers[2].accept(address, &file).await.is_err());

        // The same address with a new signature goes to all of them.
        signed.sign(&world.key).unwrap();
        let file = signed.write().unwrap();
        let deployed = push_and_deploy_file(&servers[0], (signed, file)).await;
        assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
    });
}

#[test]
fn a_bundle_that_nobody_trusts_or_that_is_garbled_is_refused() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let stranger = key(&*world.runtime);
        let (strange, file) = bundle("counter-v1", &stranger);
        let address = strange.address().to_string();
        let (good, mut garbled) = bundle("counter-v1", &world.key);
        let at = garbled.len() / 3;
        garbled[at] ^= 1;
        let good = good.address().to_string();
        let control = server.node().whereis(CONTROL).unwrap();
        server
            .node()
            .run("operator", move |cx| async move {
                let wanted = push(&cx, control, &address, &file).await;
                assert!(
                    matches!(&wanted, Wanted::Refused(why) if why.contains("does not trust")),
                    "{wanted:?}"
                );
                let wanted = push(&cx, control, &good, &garbled).await;
                assert!(matches!(wanted, Wanted::Refused(_)), "{wanted:?}");
                let huge = Offer { address: good, size: u64::MAX };
                let wanted: Wanted = cx.call(control, huge, MINUTE).await.unwrap();
                assert!(matches!(&wanted, Wanted::Refused(why) if why.contains("at most")));
            })
            .await
            .unwrap();
        assert!(server.versions().all().is_empty());
    });
}

#[test]
fn a_member_that_is_cut_off_in_mid_push_makes_it_a_no_and_harms_nobody() {
    simulate(10, |world| async move {
        let servers = cluster(&world).await;
        push_and_deploy(&servers[0], "counter-v1", &world).await;
        let counter = start(&servers[0], "counter", &());
        world.hub.cut(&World::address("a"), &World::address("c"));
        let deployed = push_and_deploy(&servers[0], "counter-v2", &world).await;
        let Deployed::Refused(objections) = deployed else { panic!("{deployed:?}") };
        assert_eq!(objections.len(), 1);
        assert_eq!(objections[0].node, "c");
        assert_eq!(versions(&servers[0]), [(1, true, 1)], "it has not even been staged");
        let answered = servers[1].node().run("client", move |cx| async move {
            let add = counter_v1::Add { seq: 1, amount: 1 };
            cx.call::<_, counter_v1::Total>(counter, add, MINUTE).await.unwrap().total
        });
        assert_eq!(answered.await.unwrap(), 1);
        assert_eq!(counter_v1::Total::NAME, "counter.Total");
    });
}

#[test]
fn of_two_pushes_at_once_one_is_refused_and_the_cluster_is_of_one_mind() {
    simulate(30, |world| async move {
        let servers = cluster(&world).await;
        push_and_deploy(&servers[0], "counter-v1", &world).await;
        for server in &servers {
            start(server, "counter", &());
        }
        world.hub.set_delay(Duration::from_millis(3));
        let (one, other) = futures_util::join!(
            push_and_deploy(&servers[1], "counter-v2", &world),
            push_and_deploy(&servers[2], "counter-v1", &world),
        );
        let went = |deployed: &Deployed| match deployed {
            Deployed::Everywhere { version, .. } => Some(*version),
            Deployed::Refused(objections) => {
                let reason = &objections[0].reason;
                assert!(reason.contains("under way"), "{reason}");
                None
            }
            partly @ Deployed::Partly { .. } => panic!("{partly:?}"),
        };
        let went = [went(&one), went(&other)];
        // One after the other is as good: then the later one counts.
        assert!(went.iter().any(Option::is_some), "one of two goes through");
        let running: Vec<_> = servers.iter().map(|s| s.current("counter")).collect();
        assert!(running.iter().all(|address| *address == running[0]), "{went:?}");
        if let [Some(version), None] | [None, Some(version)] = went {
            let current = servers[0].versions().current("counter").unwrap();
            assert_eq!(current.version, version, "what was said is what runs");
        }
    });
}

/// Nodes tell each other what they run, also those that join later, and know where it is not the same.
#[test]
fn nodes_know_who_runs_another_version() {
    simulate(10, |world| async move {
        let [a, b, c] = cluster(&world).await;
        let told = |server: &CodeServer| -> Vec<_> {
            let all = server.differences().into_iter();
            all.map(|it| (it.bundle, it.node, it.here, it.there)).collect()
        };
        let is = |node: &str, here, there| ("counter".to_owned(), node.to_owned(), here, there);
        run_version(&world, &a, "counter-v1").await;
        let expected = [is("b", Some(1), None), is("c", Some(1), None)];
        world.until(10 * MINUTE, "it is told", || told(&a) == expected).await;
        world.until(10 * MINUTE, "it is told", || told(&b).contains(&is("a", None, Some(1)))).await;
        run_version(&world, &b, "counter-v2").await;
        world
            .until(10 * MINUTE, "it is told", || {
                told(&a) == [is("b", Some(1), Some(2)), is("c", Some(1), None)]
            })
            .await;
        let late = world.node("late", Some("a")).await;
        world
            .until(10 * MINUTE, "it is told", || told(&late).contains(&is("a", None, Some(1))))
            .await;
        for server in [&a, &c, &late] {
            run_version(&world, server, "counter-v2").await;
        }
        world
            .until(10 * MINUTE, "all is the same again", || {
                [&a, &b, &c, &late].iter().all(|server| told(server).is_empty())
            })
            .await;
    });
}

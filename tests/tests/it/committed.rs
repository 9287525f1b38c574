//! What was decided outlives who knew it: restarts, late joiners, sleepers and those that were cut off (R4).

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::policy::Policy;
use midflight_dsu::protocol::{
    Activate, Activated, CONTROL, Claim, Claimed, Deployed, Stage, Status, StatusRequest, Vote,
    Wanted,
};
use midflight_dsu::rollout::ledger::Ticket;
use midflight_process::Pid;
use midflight_tests::compiled_format::bundle;
use midflight_tests::steps::{push, push_and_deploy, start};
use midflight_tests::world::{World, simulate};

const MINUTE: Duration = Duration::from_secs(60);

async fn deploy(server: &CodeServer, name: &str, world: &World) {
    let deployed = push_and_deploy(server, name, world).await;
    assert!(matches!(deployed, Deployed::Everywhere { .. }), "{name}: {deployed:?}");
}

fn current(server: &CodeServer) -> Option<u32> {
    server.versions().current("counter").map(|version| version.version)
}

async fn add(server: &CodeServer, counter: Pid, amount: i64) -> counter_v2::Total {
    let added = server.node().run("client", move |cx| async move {
        cx.call(counter, counter_v2::Add { seq: 1, amount }, MINUTE).await.unwrap()
    });
    added.await.unwrap()
}

/// Also its past is there, so that it can be rolled back.
#[test]
fn a_node_begins_again_with_what_was_committed() {
    simulate(10, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "counter-v1", &world).await;
        deploy(&a, "counter-v2", &world).await;
        let (number, past) = (a.versions().committed().number("counter"), a.history(None));
        a.node().shutdown().await;

        // Nobody is there to tell it.
        let a = world.node("a", None).await;
        a.caught_up().await.unwrap();
        assert_eq!(current(&a), Some(2));
        assert_eq!((a.versions().committed().number("counter"), a.history(None)), (number, past));
        let counter = start(&a, "counter", &());
        assert_eq!(add(&a, counter, 3).await.code_version, 2);
    });
}

/// The version runs, with new processes, and the node ends before it has heard how the rollout ended.
#[test]
fn what_was_not_committed_is_not_begun_with() {
    simulate(5, |world| async move {
        let b = world.node("b", None).await;
        deploy(&b, "counter-v1", &world).await;
        let (v2, file) = bundle("counter-v2", &world.key);
        let address = v2.address().to_string();
        let control = b.node().whereis(CONTROL).unwrap();
        let activated = b.node().run("coordinator", move |cx| async move {
            assert_eq!(push(&cx, control, &address, &file).await, Wanted::No);
            let ticket = Ticket { bundle: "counter".into(), number: 2, token: 0, epoch: 1 };
            let claim = Claim { ticket: ticket.clone(), by: "b".into() };
            let claimed: Claimed = cx.call(control, claim, MINUTE).await.unwrap();
            assert_eq!(claimed.no, None);
            let stage = Stage { address: address.clone(), from: control, goes_back: false };
            let vote: Vote = cx.call(control, stage, MINUTE).await.unwrap();
            assert!(matches!(vote, Vote::Yes { .. }), "{vote:?}");
            let activate = Activate { address, ticket, policy: Policy::default(), back: None };
            cx.call::<_, Activated>(control, activate, MINUTE).await.unwrap()
        });
        assert_eq!(activated.await.unwrap().undone, None);
        assert_eq!(current(&b), Some(2), "it ran");
        b.node().shutdown().await;

        let b = world.node("b", None).await;
        b.caught_up().await.unwrap();
        assert_eq!(current(&b), Some(1));
        let counter = start(&b, "counter", &());
        let total = b.node().run("client", move |cx| async move {
            let add = counter_v1::Add { seq: 1, amount: 3 };
            cx.call::<_, counter_v1::Total>(counter, add, MINUTE).await.unwrap()
        });
        assert_eq!(total.await.unwrap().total, 3);
    });
}

#[test]
fn a_file_that_is_damaged_is_told_and_left_as_it_is() {
    simulate(3, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "counter-v1", &world).await;
        a.node().shutdown().await;
        let (files, path) = (world.runtime.files(), std::path::PathBuf::from("/a/committed"));
        let mut file = files.read(path.clone(), 1 << 20).await.unwrap();
        file[20] ^= 1;
        files.write(path.clone(), file.clone()).await.unwrap();

        let a = world.node("a", None).await;
        let why = a.caught_up().await.unwrap_err();
        assert!(why.contains("/a/committed") && why.contains("damaged"), "{why}");
        deploy(&a, "counter-v1", &world).await;
        assert_eq!(files.read(path, 1 << 20).await.unwrap(), file);
        let control = a.node().whereis(CONTROL).unwrap();
        let status = a.node().run("operator", move |cx| async move {
            cx.call::<_, Status>(control, StatusRequest, MINUTE).await.unwrap()
        });
        assert!(status.await.unwrap().not_kept.unwrap().contains("damaged"));
    });
}

#[test]
fn one_that_joins_late_with_nothing_fetches_what_the_others_run() {
    simulate(10, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "counter-v1", &world).await;
        deploy(&a, "counter-v2", &world).await;
        deploy(&a, "ponger-v1", &world).await;
        let late = world.node("late", Some("a")).await;
        world
            .until(10 * MINUTE, "it knows what was decided", || {
                late.versions().committed() == a.versions().committed()
            })
            .await;
        assert_eq!(current(&late), Some(2));
        assert_eq!(late.current("ponger"), a.current("ponger"));
        let counter = start(&late, "counter", &());
        assert_eq!(add(&a, counter, 3).await.code_version, 2);
        // And keeps it.
        late.node().shutdown().await;
        let late = world.node("late", None).await;
        late.caught_up().await.unwrap();
        assert_eq!(current(&late), Some(2));
    });
}

#[test]
fn one_that_slept_through_three_releases_wakes_in_the_last() {
    simulate(10, |world| async move {
        let a = world.node("a", None).await;
        let b = world.node("b", Some("a")).await;
        world.have_met([&a, &b]).await;
        deploy(&a, "counter-v1", &world).await;
        b.node().shutdown().await;
        for release in ["counter-v2", "counter-v2 as 3", "counter-v2 as 4"] {
            deploy(&a, release, &world).await;
        }
        let b = world.node("b", Some("a")).await;
        world
            .until(10 * MINUTE, "it knows what was decided", || {
                b.versions().committed() == a.versions().committed()
            })
            .await;
        assert_eq!(current(&b), Some(4));
    });
}

/// Its processes live, in code that the others have left behind three releases ago; they go the way that the others'
/// went, and nothing is started in the old code meanwhile.
#[test]
fn one_that_was_cut_off_is_fenced_until_its_processes_have_followed() {
    simulate(10, |world| async move {
        let a = world.node("a", None).await;
        let b = world.node("b", Some("a")).await;
        world.have_met([&a, &b]).await;
        deploy(&a, "counter-v1", &world).await;
        let counter = start(&b, "counter", &());
        assert_eq!(add(&b, counter, 5).await.total, 5);
        world.hub.cut(&World::address("a"), &World::address("b"));
        // One that knows of nobody else: a member out of reach would say no.
        a.node().shutdown().await;
        let a = world.node("a", None).await;
        for release in ["counter-v2", "counter-v2 as 3", "counter-v2 as 4"] {
            deploy(&a, release, &world).await;
        }
        assert_eq!(add(&b, counter, 0).await.code_version, 1, "it does not know");
        world.hub.set_delay(Duration::from_millis(3));
        world.hub.heal(&World::address("a"), &World::address("b"));
        b.node().join(vec![World::address("a")]);
        // As soon as it knows better it starts nothing.
        let mut fenced = 0;
        let healed = world.runtime.now();
        while b.versions().committed() != a.versions().committed() {
            let took = world.runtime.now().since(healed);
            assert!(took < MINUTE, "{:?}", b.versions().behind());
            if !b.versions().behind().is_empty() {
                let error = b.start("counter", &[]).unwrap_err().to_string();
                assert!(error.contains("catching up"), "{error}");
                fenced += 1;
            }
            world.runtime.sleep(Duration::from_millis(1)).await;
        }
        assert!(fenced > 0);
        assert_eq!((current(&b), b.versions().behind().len()), (Some(4), 0));
        let total = add(&a, counter, 1).await;
        assert_eq!(
            (total.total, total.code_version),
            (6, 2),
            "counter-v2 says 2, whatever it is called"
        );
        start(&b, "counter", &());
    });
}

/// There is no room on the disk when a version becomes current; once there is room again, all is kept without another push.
#[test]
fn what_could_not_be_written_is_told_and_written_later() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        deploy(&a, "counter-v1", &world).await;
        world.disk.no_room_for(&["committed", "releases"]);
        deploy(&a, "counter-v2", &world).await;
        let status = async || {
            let control = a.node().whereis(CONTROL).unwrap();
            let asked = a.node().call::<_, Status>(control, StatusRequest, MINUTE);
            asked.await.unwrap().not_kept
        };
        assert!(status().await.is_some());
        world.disk.no_room_for(&[]);
        world.runtime.sleep(MINUTE).await;
        assert_eq!(status().await, None);
        a.node().shutdown().await;

        let a = world.node("a", None).await;
        a.caught_up().await.unwrap();
        assert_eq!(current(&a), Some(2));
        let refused = push_and_deploy(&a, "counter-v1", &world).await;
        let Deployed::Refused(objections) = refused else { panic!("{refused:?}") };
        assert!(objections[0].reason.contains("older than release 2"), "{objections:?}");
    });
}

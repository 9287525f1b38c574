//! Processes that say that they are not well, while their version is on probation (U6).

use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::history::Cause;
use midflight_process::Pid;
use midflight_tests::steps::{run_version, stage, start};
use midflight_tests::world::{World, simulate};
use spoiler::{Become, How, Is};

use super::{MINUTE, SECOND};

/// Spoilers in version 1, of which some will sicken in version 2; they are switched to it.
async fn ground(world: &World, well: usize, sicken: usize) -> (CodeServer, Vec<Pid>) {
    let server = world.node("a", None).await;
    run_version(world, &server, "spoiler-v1").await;
    let pids: Vec<_> = (0..well + sicken).map(|_| start(&server, "spoiler", &())).collect();
    for pid in &pids[well..] {
        tell(&server, *pid, How::Sickens).await;
    }
    let v2 = stage(world, &server, "spoiler-v2").await;
    server.activate(v2).await.unwrap();
    (server, pids)
}

async fn tell(server: &CodeServer, pid: Pid, how: How) -> Is {
    let told = server.node().run("client", move |cx| async move {
        cx.call(pid, Become { how }, MINUTE).await.unwrap()
    });
    told.await.unwrap()
}

fn current(server: &CodeServer) -> u32 {
    server.versions().current("spoiler").unwrap().version
}

/// Why it went back, if it did.
async fn why_back(world: &World, server: &CodeServer, within: Duration) -> Option<String> {
    let until = world.runtime.now() + within;
    while world.runtime.now() < until {
        if let Some((_, last)) = server.history(Some("spoiler")).pop()
            && last.cause == Cause::WentBack
        {
            assert_eq!(current(server), 1);
            return last.why;
        }
        world.runtime.sleep(SECOND / 10).await;
    }
    assert_eq!(current(server), 2);
    None
}

#[test]
fn idle_processes_are_asked_after_the_switch_and_bring_their_version_back() {
    simulate(5, |world| async move {
        let (server, pids) = ground(&world, 10, 3).await;
        let why = why_back(&world, &server, 5 * SECOND).await.expect("it goes back");
        assert_eq!(
            why,
            "0 of its processes went back, 0 ended by its fault and 3 are not well: it has caught something"
        );
        assert_eq!(tell(&server, pids[0], How::Well).await, Is { told: 1, by: 1 });
    });
}

#[test]
fn one_that_sickens_later_is_found_within_seconds() {
    simulate(5, |world| async move {
        let (server, pids) = ground(&world, 4, 0).await;
        assert_eq!(why_back(&world, &server, 5 * SECOND).await, None, "all are well");
        for (pid, how) in
            pids.iter().zip([How::Sickens, How::PanicsWhenAsked, How::PanicsWhenAsked])
        {
            assert_eq!(tell(&server, *pid, how).await.by, 2);
        }
        let why = why_back(&world, &server, 5 * SECOND).await.expect("it goes back");
        assert!(why.contains("3 are not well: "), "{why}");
    });
}

/// Just after it has said that it was well: that it gets no other message does not keep it from being asked again.
#[test]
fn one_that_sickens_at_once_is_asked_again() {
    simulate(5, |world| async move {
        let (server, pids) = ground(&world, 4, 0).await;
        for pid in &pids[..3] {
            assert_eq!(tell(&server, *pid, How::Sickens).await.by, 2);
        }
        assert!(why_back(&world, &server, 5 * SECOND).await.is_some());
    });
}

#[test]
fn a_few_of_many_bring_nobody_back_and_each_counts_once() {
    simulate(5, |world| async move {
        let (server, _) = ground(&world, 10, 2).await;
        assert_eq!(why_back(&world, &server, 20 * SECOND).await, None);
        assert_eq!(server.versions().current("spoiler").unwrap().failures(), 2);
    });
}

#[test]
fn where_fewer_run_all_of_them_do() {
    simulate(5, |world| async move {
        let (server, _) = ground(&world, 0, 1).await;
        let why = why_back(&world, &server, 5 * SECOND).await.expect("it goes back");
        assert!(why.contains("1 are not well"), "{why}");
    });
}

#[test]
fn when_probation_is_over_nobody_is_asked() {
    simulate(5, |world| async move {
        let (server, pids) = ground(&world, 4, 0).await;
        world.runtime.sleep(2 * MINUTE).await;
        for pid in &pids {
            tell(&server, *pid, How::Sickens).await;
        }
        assert_eq!(why_back(&world, &server, 20 * SECOND).await, None);
        assert_eq!(server.versions().current("spoiler").unwrap().failures(), 0);
    });
}

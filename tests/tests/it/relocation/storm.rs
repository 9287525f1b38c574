//! Many moves while many talk and nodes die: what is true of every one of them.
//!
//! `MIDFLIGHT_SEEDS=100 MIDFLIGHT_SENDERS=200 cargo test --release -p midflight-tests --test it storm` does more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use midflight_dsu::code_server::CodeServer;
use midflight_process::{Context, Pid};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::{World, simulate};

use super::{SECOND, nodes};

fn of_env(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
}

/// What the senders to one counter have seen.
#[derive(Default)]
struct Seen {
    sent: AtomicU64,
    answered: AtomicU64,
}

/// Adds one again and again until told to stop. Of a pair nothing is answered twice or out of order: the total only
/// grows.
async fn sends(cx: &Context, counter: Pid, seen: &Seen, stop: &AtomicBool) {
    let mut last = 0;
    for seq in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        seen.sent.fetch_add(1, Ordering::Relaxed);
        let add = counter_v1::Add { seq, amount: 1 };
        match cx.call::<_, counter_v1::Total>(counter, add, 2 * SECOND).await {
            Ok(total) => {
                seen.answered.fetch_add(1, Ordering::Relaxed);
                assert!(total.seq == seq && total.total > last, "{total:?} after {last}");
                last = total.total;
                // Time stands still while somebody works.
                cx.sleep(Duration::from_millis(5)).await;
            }
            Err(_lost_or_late) => {
                // A loss is accepted: this one wants to go on.
                for member in cx.node().members() {
                    let _ = cx.reconnect(member.id);
                }
                cx.sleep(SECOND / 10).await;
            }
        }
    }
}

/// How many nodes have the process: one, or none once its node is dead.
fn copies(servers: &[CodeServer], counter: Pid) -> usize {
    servers.iter().filter(|server| server.node().holds(counter)).count()
}

async fn storm(world: World, dies: bool) {
    let servers: [CodeServer; 4] = nodes(&world).await;
    run_version(&world, &servers[0], "counter-v1").await;
    let counters: Vec<Pid> = (0..4).map(|_| start(&servers[0], "counter", &())).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let seen: Vec<Arc<Seen>> = counters.iter().map(|_| Arc::default()).collect();
    let senders = of_env("MIDFLIGHT_SENDERS", 8);
    let mut talking = Vec::new();
    for sender in 0..senders {
        let at = usize::try_from(sender).unwrap();
        // On the nodes that live to the end.
        let node = servers[at % 3].node().clone();
        let (counter, seen) = (counters[at % 4], seen[at % 4].clone());
        let stop = stop.clone();
        talking.push(async move {
            node.run("sender", move |cx| async move { sends(&cx, counter, &seen, &stop).await })
                .await
        });
    }
    let moves = of_env("MIDFLIGHT_MOVES", 40);
    let moving = async {
        let (mut moved, mut lost) = (0_u64, 0_u64);
        for nth in 0..moves {
            if dies && nth == moves / 2 {
                servers[3].node().shutdown().await;
            }
            let counter = counters[usize::try_from(nth % 4).unwrap()];
            let to = usize::try_from(world.runtime.random_u64() % 4).unwrap();
            let Some(from) = servers.iter().find(|server| server.node().holds(counter)) else {
                lost += 1;
                continue;
            };
            let to = servers[to].node().id();
            moved += u64::from(from.relocate(counter, to).await.is_ok());
            for counter in &counters {
                assert!(copies(&servers, *counter) <= 1, "two copies of {counter}");
            }
            world.runtime.sleep(Duration::from_millis(1 + world.runtime.random_u64() % 20)).await;
        }
        world.runtime.sleep(3 * SECOND).await;
        stop.store(true, Ordering::Relaxed);
        (moved, lost)
    };
    let (done, (moved, lost)) = futures_util::join!(join_all(talking), moving);
    assert!(done.iter().all(Option::is_some), "a sender has seen what may not be");
    assert!(moved > 0);
    if dies {
        return;
    }
    assert_eq!(lost, 0);
    for (counter, seen) in counters.iter().zip(&seen) {
        assert_eq!(copies(&servers, *counter), 1);
        let node = servers[0].node().clone();
        let (counter, get) = (*counter, counter_v1::Get { seq: 0 });
        let total = node.call::<_, counter_v1::Total>(counter, get, 10 * SECOND).await.unwrap();
        let [sent, answered] = [&seen.sent, &seen.answered].map(|it| it.load(Ordering::Relaxed));
        // Nothing is lost and nothing doubled: no link was lost.
        assert_eq!(u64::try_from(total.total).unwrap(), sent, "{answered} were answered");
        assert_eq!(sent, answered);
    }
}

#[test]
fn while_all_links_live_nothing_is_lost_doubled_or_out_of_order() {
    simulate(of_env("MIDFLIGHT_SEEDS", 4), |world| storm(world, false));
}

#[test]
fn when_a_node_dies_there_is_never_more_than_one_copy_and_no_order_is_broken() {
    simulate(of_env("MIDFLIGHT_SEEDS", 4), |world| storm(world, true));
}

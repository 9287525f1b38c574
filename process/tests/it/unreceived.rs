//! What no receive has taken is told of once it is old (V3).

use std::time::Duration;

use midflight_process::{Context, Limits, Node, Pid, Received};

use super::log::Log;
use super::world::{World, run};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// What the log says of it.
const TOLD: &str = "nobody has received";

/// Runs a scenario under each of a few seeds with the log of what it says.
fn logged<F>(scenario: impl Fn(World, Log) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for seed in 0..5 {
        let log = Log::default();
        // A simulated world is all on this thread.
        tracing::subscriber::with_default(log.clone(), || {
            run(seed, |world| scenario(world, log.clone()));
        });
    }
}

/// A process that takes a `bool`, and before it nothing else.
fn picky(node: &Node) -> Pid {
    let picky = node.spawn("picky", |cx| async move {
        cx.expect::<bool>().await;
    });
    picky.unwrap()
}

/// Has a process of the node do something.
async fn act<F>(node: &Node, what: impl FnOnce(Context) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    node.run("actor", what).await.unwrap();
}

fn reports(log: &Log) -> Vec<String> {
    log.lines().into_iter().filter(|line| line.contains(TOLD)).collect()
}

/// How many messages lie there of each type, and how many of them are old.
fn lying(node: &Node, pid: Pid) -> Vec<(String, usize, usize)> {
    let lying = node.process(pid).unwrap().unreceived.into_iter();
    lying.map(|lying| (lying.type_name.to_string(), lying.count, lying.old)).collect()
}

#[test]
fn what_is_old_is_reported_once_for_each_type() {
    logged(|world, log| async move {
        let (a, b) = world.pair().await;
        let picky = picky(&a);
        a.register("picky", picky).unwrap();
        act(&b, move |cx| async move {
            cx.send(picky, 1_u64).await.unwrap();
            cx.sleep(10 * SECOND).await;
            cx.send(picky, 2_u64).await.unwrap();
            cx.send(picky, String::from("x")).await.unwrap();
            cx.sleep(MINUTE - 11 * SECOND).await;
        })
        .await;
        assert_eq!(lying(&a, picky), [("string".into(), 1, 0), ("u64".into(), 2, 0)]);
        assert_eq!((a.metrics().unreceived, reports(&log).len()), (0, 0));

        a.runtime().sleep(2 * SECOND).await;
        assert_eq!(lying(&a, picky), [("string".into(), 1, 0), ("u64".into(), 2, 1)]);
        let said = reports(&log);
        assert_eq!((a.metrics().unreceived, said.len()), (1, 1), "{said:?}");
        for word in [&picky.to_string(), "picky", "[\"picky\"]", "type_name=u64", "count=2"] {
            assert!(said[0].contains(word), "{word} is not in {}", said[0]);
        }

        a.runtime().sleep(10 * SECOND).await;
        assert_eq!(lying(&a, picky), [("string".into(), 1, 1), ("u64".into(), 2, 2)]);
        let said = reports(&log);
        assert_eq!((a.metrics().unreceived, said.len()), (2, 2), "{said:?}");
        assert!(said[1].contains("type_name=string"), "{said:?}");

        // Neither is told of again, however long they lie there and whatever comes to them.
        act(&b, move |cx| async move {
            cx.send(picky, 3_u64).await.unwrap();
            cx.sleep(5 * MINUTE).await;
        })
        .await;
        assert_eq!(a.metrics().unreceived, 2);
        assert_eq!(reports(&log).len(), 2);
        assert_eq!(b.metrics().unreceived, 0);
    });
}

#[test]
fn a_type_that_is_received_now_and_then_is_not_reported() {
    logged(|world, log| async move {
        let (a, b) = world.pair().await;
        let slow = a.spawn("slow", |cx| async move {
            loop {
                cx.expect::<bool>().await;
                while cx.receive().on(|_: Received<u64>| ()).timeout(Duration::ZERO).await.is_some()
                {
                }
            }
        });
        let slow = slow.unwrap();
        act(&b, move |cx| async move {
            for n in 0..20_u64 {
                cx.send(slow, n).await.unwrap();
                cx.sleep(20 * SECOND).await;
                if n % 2 == 1 {
                    cx.send(slow, true).await.unwrap();
                }
            }
        })
        .await;
        assert_eq!((a.metrics().unreceived, reports(&log).len()), (0, 0));
        // When it is not received any more, it is: the rest of one watch does not hide the next.
        act(&b, move |cx| async move {
            cx.sleep(SECOND).await;
            cx.send(slow, 1_u64).await.unwrap();
            cx.sleep(MINUTE + SECOND).await;
        })
        .await;
        assert_eq!((a.metrics().unreceived, reports(&log).len()), (1, 1));
    });
}

#[test]
fn what_was_emptied_and_is_old_again_is_reported_again() {
    logged(|world, log| async move {
        let a = world.node("a").await;
        let process = a.spawn("process", |cx| async move {
            for _ in 0..3 {
                cx.expect::<bool>().await;
                cx.expect::<u64>().await;
            }
        });
        let process = process.unwrap();
        for round in 1..=3 {
            act(&a, move |cx| async move {
                cx.send(process, 1_u64).await.unwrap();
                cx.sleep(3 * MINUTE).await;
            })
            .await;
            assert_eq!((a.metrics().unreceived, reports(&log).len()), (round, round as usize));
            act(&a, move |cx| async move {
                cx.send(process, true).await.unwrap();
                cx.sleep(SECOND).await;
            })
            .await;
        }
        assert!(a.process(process).is_none());
    });
}

#[test]
fn what_one_receive_has_looked_at_and_left_is_reported_too() {
    logged(|world, log| async move {
        let a = world.node("a").await;
        let process = a.spawn("process", |cx| async move {
            loop {
                cx.receive().on_if(|n: &u64| *n > 100, |_: Received<u64>| ()).forever().await;
            }
        });
        let process = process.unwrap();
        act(&a, move |cx| async move {
            cx.send(process, 1_u64).await.unwrap();
            for n in 101..111_u64 {
                cx.send(process, n).await.unwrap();
                cx.sleep(10 * SECOND).await;
            }
        })
        .await;
        assert_eq!(lying(&a, process), [("u64".into(), 1, 1)]);
        assert_eq!((a.metrics().unreceived, reports(&log).len()), (1, 1));
    });
}

#[test]
fn the_bound_may_be_set_and_left_out() {
    logged(|world, log| async move {
        let bound = |unreceived_after| Limits { unreceived_after, ..Limits::default() };
        let soon = world.node_with("soon", bound(Some(SECOND))).await;
        let never = world.node_with("never", bound(None)).await;
        for (node, reported) in [(&soon, 1), (&never, 0)] {
            let picky = picky(node);
            act(node, move |cx| async move {
                cx.send(picky, 1_u64).await.unwrap();
                cx.sleep(3 * MINUTE).await;
            })
            .await;
            assert_eq!(node.metrics().unreceived, reported);
            assert_eq!(lying(node, picky), [("u64".into(), 1, reported as usize)]);
        }
        assert_eq!(reports(&log).len(), 1);
    });
}

#[test]
fn who_has_ended_is_not_reported() {
    logged(|world, log| async move {
        let a = world.node("a").await;
        let picky = picky(&a);
        act(&a, move |cx| async move {
            cx.send(picky, 1_u64).await.unwrap();
            cx.sleep(30 * SECOND).await;
            cx.send(picky, true).await.unwrap();
            cx.sleep(3 * MINUTE).await;
        })
        .await;
        assert_eq!((a.metrics().unreceived, log.says(TOLD)), (0, false));
    });
}

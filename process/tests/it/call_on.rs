//! Functions that are called by name on this node and on others (P8).

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{
    CallOnError, Context, Down, ExitReason, Function, Node, NodeId, Pid, SpawnOnError,
};
use serde::{Deserialize, Serialize};

use super::world::{World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

const IS_PRIME: Function<u64, bool> = Function::new("test.is_prime");
const FIB: Function<Fib, u64> = Function::new("test.fib");
/// Tells the process who works, then never ends.
const STUCK: Function<Worker, ()> = Function::new("test.stuck");
const PANICS: Function<String, ()> = Function::new("test.panics");

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(name = "test.Fib", version = 1)]
struct Fib {
    n: u64,
    nodes: Vec<u64>,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Worker", version = 1)]
struct Worker(Pid);

async fn is_prime(_: Context, n: u64) -> bool {
    n > 1 && (2..n).all(|divisor| !n.is_multiple_of(divisor))
}

/// Each step asks two other nodes.
async fn fib(cx: Context, Fib { n, nodes }: Fib) -> u64 {
    if n < 2 {
        return n;
    }
    let ask = |less: u64| {
        let node = NodeId(nodes[usize::try_from(n * 2 + less).unwrap() % nodes.len()]);
        cx.call_on(node, FIB, Fib { n: n - less, nodes: nodes.clone() }, 60 * SECOND)
    };
    let (one, two) = futures_util::future::join(ask(1), ask(2)).await;
    one.unwrap() + two.unwrap()
}

async fn stuck(cx: Context, Worker(tell): Worker) {
    cx.send(tell, Worker(cx.me())).await.unwrap();
    std::future::pending::<()>().await;
}

async fn panics(_: Context, text: String) {
    panic!("{text}");
}

async fn node(world: &World, name: &str) -> Node {
    let builder = Node::builder(name).listen(World::address(name));
    let builder = builder.callable(&IS_PRIME, is_prime).callable(&FIB, fib);
    world.start(builder.callable(&STUCK, stuck).callable(&PANICS, panics)).await
}

async fn pair(world: &World) -> (Node, Node) {
    let (a, b) = (node(world, "a").await, node(world, "b").await);
    a.connect(&World::address("b")).await.unwrap();
    (a, b)
}

#[test]
fn a_function_answers_here_and_there_from_a_process_of_its_own() {
    const WHO: Function<(), String> = Function::new("test.who");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        for there in [a.clone(), b] {
            there
                .functions()
                .register_callable(&WHO, |cx, ()| async move { cx.me().to_string() })
                .unwrap();
            let before = there.process_count();
            a.run("caller", move |cx| async move {
                assert!(cx.call_on(there.id(), IS_PRIME, 79, SECOND).await.unwrap());
                assert!(!cx.call_on(there.id(), IS_PRIME, 81, SECOND).await.unwrap());
                let who: Pid =
                    cx.call_on(there.id(), WHO, (), SECOND).await.unwrap().parse().unwrap();
                assert_eq!(who.node, there.id());
                assert_ne!(who, cx.me());
                cx.monitor(who).await;
                assert_eq!(cx.expect::<Down>().await.process, who, "its worker ends");
                let mine = usize::from(there.id() == cx.me().node);
                assert_eq!(there.process_count(), before + mine);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn fib_over_four_nodes() {
    simulate(|world| async move {
        let mut nodes = Vec::new();
        for name in ["a", "b", "c", "d"] {
            let node = node(&world, name).await;
            if let Some(first) = nodes.first() {
                let _: &Node = first;
                node.connect(&World::address("a")).await.unwrap();
            }
            nodes.push(node);
        }
        until(&nodes[0], || nodes.iter().all(|node| node.members().len() == 4)).await;
        let ids: Vec<u64> = nodes.iter().map(|node| node.id().0).collect();
        let asked = nodes[0].run("caller", move |cx| async move {
            let node = NodeId(ids[1]);
            cx.call_on(node, FIB, Fib { n: 10, nodes: ids }, 60 * SECOND).await.unwrap()
        });
        assert_eq!(asked.await.unwrap(), 55);
    });
}

#[test]
fn a_panic_is_an_error_at_the_caller_and_ends_nobody_else() {
    const PLAIN: Function<u64, ()> = Function::new("test.plain");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        b.functions().register(&Function::<u64>::new("test.plain"), |_, _| async {}).unwrap();
        let nodes = [a.id(), b.id()];
        a.run("caller", move |cx| async move {
            for node in nodes {
                let failed = cx.call_on(node, PANICS, "on purpose".into(), SECOND).await;
                let Err(CallOnError::Failed { reason, .. }) = failed else { panic!("{failed:?}") };
                assert!(reason.contains("on purpose"), "{reason}");
                assert!(cx.call_on(node, IS_PRIME, 7, SECOND).await.unwrap());
            }
            let other = Function::<u64, String>::new("test.is_prime");
            let other = cx.call_on(nodes[1], other, 7, SECOND).await.unwrap_err();
            assert!(matches!(other, CallOnError::Unreadable { .. }), "{other}");
            let plain = cx.call_on(nodes[1], PLAIN, 7, SECOND).await.unwrap_err();
            let CallOnError::NotSpawned(plain) = plain else { panic!("{plain}") };
            assert!(matches!(plain, SpawnOnError::NotCallable { .. }), "{plain}");
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_worker_ends_with_its_callers_interest() {
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        world.delay(Duration::from_micros(300));
        let nodes = [a.id(), b.id()];
        a.run("witness", move |cx| async move {
            let me = cx.me();
            for node in nodes {
                // The deadline.
                let late = cx.call_on(node, STUCK, Worker(me), SECOND).await.unwrap_err();
                assert!(matches!(late, CallOnError::TimedOut { .. }), "{late}");
                ends(&cx, None).await;
                // The caller's end.
                let caller = cx.node().spawn("caller", move |cx| async move {
                    cx.call_on(node, STUCK, Worker(me), 3_600 * SECOND).await
                });
                ends(&cx, Some(caller.unwrap())).await;
                // A dropped future, at whatever moment.
                for wait in 0..20 {
                    let calling = cx.call_on(node, STUCK, Worker(me), 3_600 * SECOND);
                    let limit = cx.sleep(Duration::from_micros(wait * 100));
                    let (calling, limit) = (std::pin::pin!(calling), std::pin::pin!(limit));
                    drop(futures_util::future::select(calling, limit).await);
                }
                while let Some(Worker(worker)) = cx.expect_timeout(SECOND).await {
                    cx.monitor(worker).await;
                    cx.expect_timeout::<Down>(SECOND).await.unwrap();
                }
            }
        })
        .await
        .unwrap();
        for node in [&a, &b] {
            let works = || node.processes().into_iter().filter_map(|info| info.label);
            until(node, || !works().any(|label| label.name == "test.stuck")).await;
        }
    });
}

/// The worker that has reported ends; `caller` is killed first.
async fn ends(cx: &Context, caller: Option<Pid>) {
    let Worker(worker) = cx.expect().await;
    let monitor = cx.monitor(worker).await;
    if let Some(caller) = caller {
        cx.kill(caller, "mid-call").await;
    }
    let down: Down = cx.expect_timeout(SECOND).await.unwrap();
    assert_eq!(down.monitor, monitor);
}

#[test]
fn a_worker_ends_when_the_link_to_its_caller_is_lost() {
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        let there = b.id();
        let (told, tells) = futures_channel::oneshot::channel();
        let witness = b.spawn("witness", |cx| async move {
            let Worker(worker) = cx.expect().await;
            cx.monitor(worker).await;
            let _ = told.send(cx.expect::<Down>().await.reason);
        });
        let witness = witness.unwrap();
        a.run("caller", move |cx| async move {
            let calling = cx.call_on(there, STUCK, Worker(witness), 3_600 * SECOND);
            let cut = async {
                cx.sleep(SECOND).await;
                assert!(cx.node().disconnect(there));
            };
            let failed = futures_util::future::join(calling, cut).await.0.unwrap_err();
            assert!(matches!(failed, CallOnError::Failed { .. }), "{failed}");
        })
        .await
        .unwrap();
        let reason = tells.await.unwrap();
        assert!(matches!(reason, ExitReason::NoConnection(_)), "{reason}");
    });
}

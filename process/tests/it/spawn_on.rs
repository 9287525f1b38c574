//! Processes started by name on this node and on others (P8). The cases of Cloud Haskell's closure tests
//! are here where they have a meaning without closures.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use midflight_process::message::{Message, Schema};
use midflight_process::{
    Context, Down, ExitReason, Exited, Function, Limits, Node, NodeBuilder, NodeId, Pid,
    SpawnOnError, SpawnOptions, StartError,
};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, run, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

/// One program's idea of an order …
mod theirs {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Serialize, Deserialize, Schema)]
    pub(super) struct Line {
        pub(super) amount: String,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    pub(super) struct Order {
        pub(super) line: Line,
    }
}

/// … and another's.
mod ours {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Serialize, Deserialize, Schema)]
    pub(super) struct Line {
        pub(super) amount: u32,
        #[serde(default)]
        pub(super) note: String,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    pub(super) struct Order {
        pub(super) line: Line,
    }
}

/// A third, which the second can be read as.
mod older {
    use super::{Deserialize, Message, Schema, Serialize};

    #[derive(Serialize, Deserialize, Schema)]
    pub(super) struct Line {
        pub(super) amount: u32,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "shop.Order", version = 1)]
    pub(super) struct Order {
        pub(super) line: Line,
    }
}

/// Tells the given process its own pid.
const REPORT: Function<Here> = Function::new("test.report");
/// Waits for a text, and ends with it as the reason.
const IDLE: Function<()> = Function::new("test.idle");
/// Tells the given process how many bytes it was given.
const MEASURE: Function<Load> = Function::new("test.measure");

#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Load", version = 1)]
struct Load {
    to: Pid,
    bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.Here", version = 1)]
struct Here(Pid);

async fn report(cx: Context, Here(to): Here) {
    cx.send(to, Here(cx.me())).await.unwrap();
}

async fn idle(cx: Context, _: ()) -> ExitReason {
    ExitReason::Error(cx.expect::<String>().await)
}

async fn measure(cx: Context, load: Load) {
    cx.send(load.to, load.bytes.len() as u64).await.unwrap();
}

fn with_functions(builder: NodeBuilder) -> NodeBuilder {
    builder.function(&REPORT, report).function(&IDLE, idle).function(&MEASURE, measure)
}

async fn pair(world: &World) -> (Node, Node) {
    pair_with(world, Limits::default()).await
}

async fn pair_with(world: &World, limits: Limits) -> (Node, Node) {
    let a = Node::builder("a").listen(World::address("a"));
    let b = Node::builder("b").listen(World::address("b")).limits(limits);
    let (a, b) = (world.start(with_functions(a)).await, world.start(with_functions(b)).await);
    a.connect(&World::address("b")).await.unwrap();
    (a, b)
}

#[test]
fn it_runs_and_is_who_it_says_here_and_there() {
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        for node in [a.id(), b.id()] {
            a.run("spawner", move |cx| async move {
                let pid = cx.spawn_on(node, REPORT, Here(cx.me())).await.unwrap();
                assert_eq!(pid.node, node);
                assert_eq!(cx.expect::<Here>().await, Here(pid));
            })
            .await
            .unwrap();
        }
        let pid = a.spawn_on(b.id(), IDLE, ()).await.unwrap();
        assert_eq!(b.process(pid).unwrap().label.unwrap().name, "test.idle");
    });
}

#[test]
fn a_link_is_made_where_there_is_none_and_a_spawned_process_receives() {
    simulate(|world| async move {
        let (a, b) = (world.node("a").await, world.node("b").await);
        b.functions().register(&IDLE, idle).unwrap();
        a.connect(&World::address("b")).await.unwrap();
        a.disconnect(b.id());
        until(&a, || a.peers().is_empty()).await;
        a.run("spawner", move |cx| async move {
            let options = SpawnOptions::new().monitored().named("sleeper");
            let spawned = cx.spawn_on_with(b.id(), IDLE, (), options).await.unwrap();
            assert_eq!(b.whereis("sleeper"), Some(spawned.pid));
            cx.send(spawned.pid, String::from("the text")).await.unwrap();
            let down: Down = cx.expect().await;
            assert_eq!((Some(down.monitor), down.process), (spawned.monitor, spawned.pid));
            assert_eq!(down.reason, ExitReason::Error("the text".into()));
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_monitor_is_there_before_the_process_runs() {
    const DIES: Function<()> = Function::new("test.dies");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        for node in [a.clone(), b] {
            let dies = |_: Context, ()| async { ExitReason::Error("at once".into()) };
            node.functions().register(&DIES, dies).unwrap();
            a.run("spawner", move |cx| async move {
                let options = SpawnOptions::new().monitored();
                let spawned = cx.spawn_on_with(node.id(), DIES, (), options).await.unwrap();
                let down: Down = cx.expect().await;
                assert_eq!((Some(down.monitor), down.process), (spawned.monitor, spawned.pid));
                assert_eq!(down.reason, ExitReason::Error("at once".into()));
                assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "told twice");
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_linked_process_and_its_spawner_end_together_and_hear_of_it_at_once() {
    const DIES: Function<()> = Function::new("test.dies");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        for node in [a.clone(), b] {
            let dies = |_: Context, ()| async { ExitReason::Error("at once".into()) };
            node.functions().register(&DIES, dies).unwrap();
            a.run("witness", move |cx| async move {
                cx.trap_exits(true);
                let there = node.id();
                let linked = || SpawnOptions::new().linked();
                let spawned = cx.spawn_on_with(there, DIES, (), linked()).await.unwrap();
                let exited: Exited = cx.expect().await;
                assert_eq!(exited.from, spawned.pid);
                assert_eq!(exited.reason, ExitReason::Error("at once".into()));

                // The other way: the spawner ends, a third sees why the child does.
                let me = cx.me();
                let spawner = cx.spawn("spawner", move |cx| async move {
                    let child = cx.spawn_on_with(there, IDLE, (), linked()).await.unwrap();
                    cx.send(me, Here(child.pid)).await.unwrap();
                    cx.expect::<String>().await;
                    ExitReason::Error("supervisor".into())
                });
                let Here(child) = cx.expect().await;
                let monitor = cx.monitor(child).await;
                cx.send(spawner.unwrap(), String::from("end")).await.unwrap();
                let down: Down = cx.expect().await;
                assert_eq!(down.monitor, monitor);
                assert_eq!(down.reason, ExitReason::Error("supervisor".into()));
            })
            .await
            .unwrap();
        }
    });
}

simulated! {
#[test]
fn a_linked_child_does_not_outlive_a_spawner_that_gave_up_died_or_is_out_of_reach() {
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        world.hub.set_delay(Duration::from_micros(300));
        let nodes = [a.id(), b.id()];
        a.run("witness", move |cx| async move {
            for there in nodes {
                let linked = || SpawnOptions::new().linked();
                for wait in 0..20 {
                    let limit = Duration::from_micros(wait * 50);
                    // Its future is dropped at some moment, and it lives on, or it is killed.
                    let hasty = cx.spawn("hasty", move |cx| async move {
                        {
                            let spawning = cx.spawn_on_with(there, IDLE, (), linked());
                            let (spawning, limit) = (pin!(spawning), pin!(cx.sleep(limit)));
                            if let Either::Left((spawned, _)) = select(spawning, limit).await {
                                return ExitReason::Error(spawned.unwrap().pid.to_string());
                            }
                        }
                        cx.sleep(SECOND).await;
                        ExitReason::Normal
                    });
                    let monitor = cx.monitor(hasty.unwrap()).await;
                    if wait % 2 == 0 {
                        cx.sleep(limit).await;
                        cx.kill(hasty.unwrap(), "mid-spawn").await;
                    }
                    let down: Down = cx.expect().await;
                    assert_eq!(down.monitor, monitor);
                    let reason = down.reason.to_string();
                    assert!(!reason.contains("nobody waits"), "its child's end reached it");
                }
                cx.sleep(SECOND).await;
            }
            // The link between the nodes is lost.
            cx.trap_exits(true);
            let options = SpawnOptions::new().linked();
            let spawned = cx.spawn_on_with(nodes[1], IDLE, (), options).await.unwrap();
            assert!(cx.node().disconnect(nodes[1]));
            let exited: Exited = cx.expect().await;
            assert_eq!(exited.from, spawned.pid);
            cx.sleep(SECOND).await;
        })
        .await
        .unwrap();
        for node in [a, b] {
            let mut left = node.processes().into_iter().filter_map(|info| info.label);
            assert_eq!(left.find(|label| label.name == "test.idle"), None);
        }
    });
}
}

#[test]
fn an_unknown_function_and_another_argument_are_errors_at_the_caller() {
    const UNKNOWN: Function<u64> = Function::new("test.unknown");
    const OF_A_NUMBER: Function<u64> = Function::new("test.idle");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        let before = b.process_count();
        let nodes = [a.id(), b.id()];
        a.run("spawner", move |cx| async move {
            for node in nodes {
                let options = || SpawnOptions::new().monitored();
                let unknown = cx.spawn_on_with(node, UNKNOWN, 1, options()).await.unwrap_err();
                assert!(matches!(unknown, SpawnOnError::NoFunction { .. }), "{unknown}");
                let other = cx.spawn_on_with(node, OF_A_NUMBER, 1, options()).await.unwrap_err();
                let mismatch = other.mismatch().unwrap();
                assert!(mismatch.theirs.contains("u64"), "{other}");
                assert!(mismatch.ours.contains("unit"), "{other}");
            }
            let nowhere = cx.spawn_on(NodeId(9), UNKNOWN, 1).await.unwrap_err();
            assert!(matches!(nowhere, SpawnOnError::Unreachable { .. }), "{nowhere}");
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "a monitor of nobody");
        })
        .await
        .unwrap();
        assert_eq!(b.process_count(), before, "what cannot run goes away");
    });
}

#[test]
fn an_argument_of_another_form_is_bridged_or_refused_with_its_field() {
    const OURS: Function<ours::Order> = Function::new("shop.order");
    const THEIRS: Function<theirs::Order> = Function::new("shop.order");
    const OLDER: Function<older::Order> = Function::new("shop.order");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        let order = |_: Context, order: ours::Order| async move {
            ExitReason::Error(format!("{} {:?}", order.line.amount, order.line.note))
        };
        b.functions().register(&OURS, order).unwrap();
        a.run("spawner", move |cx| async move {
            let there = b.id();
            let theirs = theirs::Order { line: theirs::Line { amount: "seven".into() } };
            let refused = cx.spawn_on(there, THEIRS, theirs).await.unwrap_err();
            let mismatch = refused.mismatch().unwrap();
            assert_eq!(mismatch.type_name, "shop.Order");
            assert_eq!(mismatch.field_path, "line.amount", "{refused}");

            let older = older::Order { line: older::Line { amount: 7 } };
            let options = SpawnOptions::new().monitored();
            cx.spawn_on_with(there, OLDER, older, options).await.unwrap();
            assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Error("7 \"\"".into()));
        })
        .await
        .unwrap();
    });
}

#[test]
fn functions_come_and_go_while_the_node_runs_and_two_forms_stand_side_by_side() {
    const OURS: Function<ours::Order> = Function::new("shop.order");
    const THEIRS: Function<theirs::Order> = Function::new("shop.order");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        let functions = b.functions();
        functions.register(&OURS, |_, _| async { ExitReason::Error("ours".into()) }).unwrap();
        functions.register(&THEIRS, |_, _| async { ExitReason::Error("theirs".into()) }).unwrap();
        let twice = functions.register(&OURS, |_, _| async {});
        assert!(twice.unwrap_err().to_string().contains("shop.Order@1"));
        let orders = functions.all().into_iter().filter(|info| info.name == "shop.order");
        assert_eq!(orders.count(), 2);
        a.run("spawner", move |cx| async move {
            let there = b.id();
            let order = || theirs::Order { line: theirs::Line { amount: "seven".into() } };
            let options = SpawnOptions::new().monitored();
            cx.spawn_on_with(there, THEIRS, order(), options).await.unwrap();
            assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Error("theirs".into()));
            assert!(b.functions().unregister(&THEIRS) && !b.functions().unregister(&THEIRS));
            assert!(cx.spawn_on(there, THEIRS, order()).await.unwrap_err().mismatch().is_some());
            assert!(b.functions().unregister(&OURS));
            let gone = cx.spawn_on(there, THEIRS, order()).await.unwrap_err();
            assert!(matches!(gone, SpawnOnError::NoFunction { .. }), "{gone}");
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_full_node_and_a_taken_name_are_errors_at_the_caller() {
    simulate(|world| async move {
        let (a, b) = pair_with(&world, Limits { processes: 1, ..Limits::default() }).await;
        a.run("spawner", move |cx| async move {
            let named = || SpawnOptions::new().named("the name");
            let first = cx.spawn_on_with(b.id(), IDLE, (), named()).await.unwrap();
            let full = cx.spawn_on(b.id(), IDLE, ()).await.unwrap_err();
            assert!(matches!(full, SpawnOnError::Full(node) if node == b.id()), "{full}");
            cx.monitor(first.pid).await;
            cx.send(first.pid, String::from("end")).await.unwrap();
            cx.expect::<Down>().await;
            let second = cx.spawn_on_with(b.id(), IDLE, (), named()).await.unwrap();

            let here = cx.me().node;
            let owner = cx.spawn_on_with(here, IDLE, (), named()).await.unwrap().pid;
            let taken = cx.spawn_on_with(here, IDLE, (), named()).await.unwrap_err();
            let SpawnOnError::NameTaken { owner: who, .. } = taken else { panic!("{taken}") };
            assert_eq!(who, owner);
            let long = SpawnOptions::new().named("x".repeat(256));
            let bad = cx.spawn_on_with(b.id(), IDLE, (), long).await.unwrap_err();
            assert!(matches!(bad, SpawnOnError::BadName(256)), "{bad}");
            assert!(b.process(second.pid).is_some());
        })
        .await
        .unwrap();
    });
}

simulated! {
#[test]
fn large_arguments_arrive_up_to_the_transports_limit_and_many_wait_their_turn() {
    for seed in 0..2 {
        run(seed, |world| async move {
            let limits =
                midflight_transport_api::Limits { max_message: 1 << 20, ..Default::default() };
            let transport = world.hub.transport(world.runtime.clone()).limits(limits);
            let start = |name: &str| {
                let builder = Node::builder(name).listen(World::address(name));
                with_functions(builder).start(&transport, world.runtime.clone())
            };
            let (a, b) = (start("a").await.unwrap(), start("b").await.unwrap());
            a.connect(&World::address("b")).await.unwrap();
            let there = b.id();
            let sizes: Vec<usize> = vec![0, 4_096, 4_097, 100_000, (1 << 20) - 100];
            let spawned = sizes.clone();
            a.run("spawner", move |cx| async move {
                let to = cx.me();
                for &size in &spawned {
                    let load = Load { to, bytes: vec![7; size] };
                    cx.spawn_on(there, MEASURE, load).await.unwrap();
                    assert_eq!(cx.expect::<u64>().await, size as u64);
                }
                // Together they are many times the window: they wait for each other.
                let bytes = 300_000;
                let all = (0..20).map(|_| {
                    let load = Load { to, bytes: vec![7; bytes] };
                    cx.spawn_on(there, MEASURE, load)
                });
                for spawned in futures_util::future::join_all(all).await {
                    spawned.unwrap();
                    assert_eq!(cx.expect::<u64>().await, bytes as u64);
                }
                let load = Load { to, bytes: vec![7; 1 << 20] };
                let large = cx.spawn_on(there, MEASURE, load).await.unwrap_err();
                assert!(matches!(large, SpawnOnError::TooLarge { .. }), "{large}");
            })
            .await
            .unwrap();
            assert_eq!(a.peers().len(), 1, "nobody broke the protocol");
        });
    }
}
}

#[test]
fn what_does_not_encode_is_the_callers_error() {
    #[derive(Deserialize, Message)]
    #[message(name = "test.Refuses", version = 1)]
    struct Refuses {
        number: u64,
    }

    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom(format!("not {}", self.number)))
        }
    }

    const TAKES: Function<Refuses> = Function::new("test.takes");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        b.functions().register(&TAKES, |_, _| async {}).unwrap();
        let there = b.id();
        let error = a.run("spawner", move |cx| async move {
            cx.spawn_on(there, TAKES, Refuses { number: 7 }).await.unwrap_err()
        });
        let error = error.await.unwrap();
        assert!(matches!(error, SpawnOnError::Encode(_)), "{error}");
    });
}

/// Polls a future once and drops it.
async fn only_begin<F: Future>(future: F) {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

#[test]
fn the_child_runs_though_its_spawner_gave_up_or_died() {
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        world.delay(Duration::from_micros(300));
        let there = b.id();
        a.run("witness", move |cx| async move {
            let me = cx.me();
            // The first has begun and been dropped when its spawner ends.
            let hasty = cx.node().spawn("hasty", move |cx| async move {
                only_begin(cx.spawn_on(there, REPORT, Here(me))).await;
            });
            cx.monitor(hasty.unwrap()).await;
            let Here(child) = cx.expect().await;
            assert_eq!(child.node, there);
            // The other is killed while it waits.
            let waiting = cx.node().spawn("waiting", move |cx| async move {
                let options = SpawnOptions::new().monitored();
                cx.send(me, String::from("now")).await.unwrap();
                let _ = cx.spawn_on_with(there, REPORT, Here(me), options).await;
                std::future::pending::<()>().await;
            });
            cx.expect::<String>().await;
            cx.kill(waiting.unwrap(), "mid-spawn").await;
            assert!(cx.expect_timeout::<Here>(SECOND).await.is_some());
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_spawn_that_was_given_up_leaves_nothing_in_the_mailbox() {
    const DIES: Function<()> = Function::new("test.dies");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        world.delay(Duration::from_micros(300));
        b.functions().register(&DIES, |_, ()| async { ExitReason::Error("gone".into()) }).unwrap();
        let there = b.id();
        a.run("spawner", move |cx| async move {
            for wait in 0..40 {
                let options = SpawnOptions::new().monitored();
                let spawning = cx.spawn_on_with(there, DIES, (), options);
                let limit = cx.sleep(Duration::from_micros(wait * 50));
                let (spawning, limit) = (pin!(spawning), pin!(limit));
                if let Either::Left((spawned, _)) = select(spawning, limit).await {
                    let monitor = spawned.unwrap().monitor;
                    assert_eq!(Some(cx.expect::<Down>().await.monitor), monitor);
                }
            }
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_thousand_spawners_that_end_at_once_have_a_thousand_children() {
    for seed in 0..3 {
        run(seed, |world| async move {
            let (a, b) = pair(&world).await;
            let there = b.id();
            a.run("counter", move |cx| async move {
                let me = cx.me();
                for _ in 0..1_000 {
                    let spawner = cx.node().spawn("spawner", move |cx| async move {
                        cx.spawn_on(there, REPORT, Here(me)).await.unwrap();
                    });
                    spawner.unwrap();
                }
                for _ in 0..1_000 {
                    cx.expect::<Here>().await;
                }
                assert_eq!(cx.expect_timeout::<Here>(QUIET).await, None);
            })
            .await
            .unwrap();
        });
    }
}

#[test]
fn a_lost_link_is_an_error_in_time_and_the_next_spawn_makes_another() {
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        let there = b.id();
        a.run("spawner", move |cx| async move {
            let mut told = 0;
            cx.spawn_on(there, REPORT, Here(cx.me())).await.unwrap();
            {
                let spawning = cx.spawn_on(there, REPORT, Here(cx.me()));
                let cut = async {
                    assert!(cx.node().disconnect(there));
                };
                match futures_util::future::join(spawning, cut).await.0 {
                    Ok(_) => told += 1,
                    Err(error) => assert!(matches!(error, SpawnOnError::Lost(_)), "{error}"),
                }
            }
            cx.spawn_on(there, REPORT, Here(cx.me())).await.unwrap();
            let mut ran = 0;
            while cx.expect_timeout::<Here>(SECOND).await.is_some() {
                ran += 1;
            }
            // What the second and the first say may be lost with the link, nothing else.
            assert!((1..=3).contains(&ran) && told <= 1, "{ran} {told}");
        })
        .await
        .unwrap();
    });
}

#[test]
fn an_answer_that_does_not_come_in_time_is_an_error() {
    const SLOW: Function<()> = Function::new("test.slow");
    simulate(|world| async move {
        let (a, b) = pair(&world).await;
        b.functions().register(&SLOW, |_, ()| async {}).unwrap();
        let there = b.id();
        a.run("spawner", move |cx| async move {
            let options = SpawnOptions::new().timeout(Duration::ZERO);
            let late = cx.spawn_on_with(there, SLOW, (), options).await.unwrap_err();
            assert!(matches!(late, SpawnOnError::TimedOut { .. }), "{late}");
        })
        .await
        .unwrap();
    });
}

simulated! {
#[test]
fn bad_functions_stop_the_node_from_starting() {
    simulate(|world| async move {
        let builder = || Node::builder("a").listen(World::address("a"));
        let transport = world.hub.transport(world.runtime.clone());
        let twice = builder().function(&IDLE, idle).function(&IDLE, idle);
        let twice = twice.start(&transport, world.runtime.clone()).await.unwrap_err();
        assert!(matches!(twice, StartError::Function(_)), "{twice}");
        let many = builder().function(&IDLE, idle);
        let many = many.limits(Limits { functions: 0, ..Limits::default() });
        assert!(many.start(&transport, world.runtime.clone()).await.is_err());
    });
}
}

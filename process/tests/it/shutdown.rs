//! A node that is shut down leaves, drains and closes.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::supervisor::{Child, Strategy, Supervisor};
use midflight_process::{Context, ExitReason, Exited, Limits, Node, Pid};
use serde::{Deserialize, Serialize};

use super::world::{World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "test.shutdown.Ended", version = 1)]
struct Ended(String);

/// Says that it has ended, once it is asked to.
async fn last_words(cx: Context, words: String, to: Pid) -> ExitReason {
    cx.trap_exits(true);
    let exited = cx.expect::<Exited>().await;
    cx.send(to, Ended(words)).await.unwrap();
    exited.reason
}

/// A process that hears so many last words; what it has heard comes out of the receiver.
fn listener(
    node: &Node,
    count: usize,
) -> (Pid, impl Future<Output = Result<Vec<String>, futures_channel::oneshot::Canceled>>) {
    let (tell, told) = futures_channel::oneshot::channel();
    let listener = node.spawn("listener", move |cx| async move {
        let mut heard = Vec::new();
        while heard.len() < count {
            heard.push(cx.expect::<Ended>().await.0);
        }
        let _ = tell.send(heard);
    });
    (listener.unwrap(), told)
}

/// A process that takes so long to end.
async fn slow(node: &Node, how_long: Duration) {
    let slow = node.spawn("slow", move |cx| async move {
        cx.trap_exits(true);
        cx.expect::<Exited>().await;
        cx.sleep(how_long).await;
    });
    traps_exits(node, slow.unwrap()).await;
}

async fn traps_exits(node: &Node, pid: Pid) {
    until(node, || node.process(pid).is_some_and(|process| process.traps_exits)).await;
}

fn limits(shutdown_timeout: Duration) -> Limits {
    Limits { shutdown_timeout, ..Limits::default() }
}

simulated! {

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use midflight_process::{Down, Function, MemberEvent, MemberState, Received, SpawnOnError};

use super::world::run;

/// For what takes long to simulate.
fn few_seeds<F: Future<Output = ()> + Send + 'static>(scenario: impl Fn(World) -> F) {
    for seed in 0..3 {
        run(seed, &scenario);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "test.shutdown.Numbered", version = 1)]
struct Numbered {
    number: u32,
    filler: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "test.shutdown.Watch", version = 1)]
struct Watch(Pid);

/// Receives numbers until their sender's end; answers how many, and the reason.
async fn count(cx: Context) -> (u32, ExitReason) {
    let sender = cx.expect::<Watch>().await.0;
    cx.monitor(sender).await;
    let mut next = 0;
    loop {
        let came = cx
            .receive()
            .on(|came: Received<Numbered>| Ok(came.message.number))
            .on(|down: Received<Down>| Err(down.message.reason))
            .forever()
            .await;
        match came {
            Ok(number) => assert_eq!(number, next),
            Err(reason) => return (next, reason),
        }
        next += 1;
    }
}

/// More than a link's batch has room for.
#[test]
fn what_was_sent_just_before_arrives() {
    const RECEIVERS: u32 = 12;
    const EACH: u32 = 14;
    few_seeds(|world| async move {
        let (a, b) = world.pair().await;
        world.hub.set_slow(&World::address("b"), Some(4 << 20));
        let (mut receivers, mut counts) = (Vec::new(), Vec::new());
        for _ in 0..RECEIVERS {
            let (tell, told) = futures_channel::oneshot::channel();
            let receiver = b.spawn("receiver", move |cx| async move {
                let _ = tell.send(count(cx).await);
            });
            receivers.push(receiver.unwrap());
            counts.push(told);
        }
        let (sends, sent) = futures_channel::oneshot::channel();
        let sender = a.spawn("sender", move |cx| async move {
            for receiver in &receivers {
                cx.send(*receiver, Watch(cx.me())).await.unwrap();
            }
            for number in 0..EACH {
                for receiver in &receivers {
                    let message = Numbered { number, filler: vec![7; 64 << 10] };
                    cx.send(*receiver, message).await.unwrap();
                }
            }
            let _ = sends.send(());
            std::future::pending::<()>().await;
        });
        sender.unwrap();
        sent.await.unwrap();
        let report = a.shutdown().await;
        assert!(report.is_clean(), "{report:?}");
        for count in counts {
            assert_eq!(count.await.unwrap(), (EACH, ExitReason::Shutdown));
        }
    });
}

/// Also while its processes take their time to end.
#[test]
fn who_leaves_is_not_suspected_and_is_said_to_have_left() {
    few_seeds(|world| async move {
        let a = world.node("a").await;
        let b = world.node("b").await;
        let leaver = world.node("leaver").await;
        for node in [&b, &leaver] {
            node.connect(&World::address("a")).await.unwrap();
        }
        let id = leaver.id();
        let mut told = Vec::new();
        for node in [&a, &b] {
            let (tell, tells) = futures_channel::oneshot::channel();
            told.push(tells);
            let watcher = node.spawn("watcher", move |cx| async move {
                let known = cx.watch_members();
                let mut is_up = known.iter().any(|member| member.id == id && member.is_up());
                loop {
                    match cx.expect::<MemberEvent>().await {
                        MemberEvent::Up(member) if member.id == id => is_up = true,
                        MemberEvent::Left(member) if member.id == id => break,
                        MemberEvent::Suspect(member) | MemberEvent::Down(member) => {
                            assert_ne!(member.id, id, "it is only ever said to have left");
                        }
                        _ => {}
                    }
                }
                assert!(is_up);
                let _ = tell.send(());
                // Nothing follows, for longer than a suspicion lasts.
                let more = cx.receive().on(|event: Received<MemberEvent>| event.message);
                assert_eq!(more.timeout(20 * SECOND).await, None);
            });
            watcher.unwrap();
        }
        until(&b, || b.members().len() == 3 && a.members().len() == 3).await;
        slow(&leaver, 8 * SECOND).await;
        let began = world.runtime.now();
        let (report, ()) = futures_util::future::join(leaver.shutdown(), async {
            for tells in told {
                tells.await.unwrap();
            }
            assert!(world.runtime.now().since(began) < SECOND, "before it has ended");
        }).await;
        assert!(report.is_clean(), "{report:?}");
        assert!(world.runtime.now().since(began) >= 8 * SECOND);
        world.runtime.sleep(30 * SECOND).await;
        for node in [&a, &b] {
            let of = node.members().into_iter().find(|member| member.id == id);
            assert_eq!(of.map(|member| member.state), Some(MemberState::Left));
        }
    });
}

/// A process ends the node it runs on.
#[test]
fn a_process_may_shut_its_own_node_down() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let watched = b.clone();
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        let suicide = b.spawn("its own end", move |cx| async move {
            cx.expect::<Ended>().await;
            watched.shutdown().await;
            ends.store(true, Ordering::Relaxed);
        });
        let suicide = suicide.unwrap();
        let down = a.run("watcher", move |cx| async move {
            cx.monitor(suicide).await;
            cx.send(suicide, Ended("now".into())).await.unwrap();
            cx.expect::<Down>().await.reason
        });
        assert_eq!(down.await, Some(ExitReason::Shutdown));
        assert!(b.shutdown().await.is_clean(), "the same end");
        assert!(!ended.load(Ordering::Relaxed), "it has ended before its node");
    });
}

#[test]
fn nothing_is_started_from_afar_meanwhile() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let function = Function::<()>::new("test.shutdown.idle");
        b.functions().register(&function, |_cx, ()| std::future::pending::<()>()).unwrap();
        slow(&b, SECOND).await;
        let there = b.id();
        let spawning = async {
            until(&b, || b.spawn("local", |_| async {}).is_err()).await;
            a.run("spawner", move |cx| async move { cx.spawn_on(there, function, ()).await }).await
        };
        let (report, spawned) = futures_util::future::join(b.shutdown(), spawning).await;
        assert!(report.is_clean(), "{report:?}");
        let refused = spawned.unwrap().unwrap_err();
        assert!(matches!(refused, SpawnOnError::Full(node) if node == there), "{refused}");
    });
}

}

#[test]
fn one_that_does_not_end_in_time_is_named() {
    simulate(|world| async move {
        let node = world.node_with("a", limits(SECOND / 2)).await;
        let deaf = node.spawn("deaf", |cx| async move {
            cx.trap_exits(true);
            cx.expect::<()>().await;
        });
        let deaf = deaf.unwrap();
        node.register("the deaf one", deaf).unwrap();
        node.spawn("obedient", |cx| async move { cx.expect::<()>().await }).unwrap();
        traps_exits(&node, deaf).await;
        let report = node.shutdown().await;
        assert_eq!((report.is_clean(), report.abandoned_total), (false, 1));
        let named = &report.abandoned[0];
        assert_eq!((named.pid, &named.names[..]), (deaf, &["the deaf one".to_owned()][..]));
        assert_eq!(node.process_count(), 0, "it was ended all the same");
    });
}

/// A supervisor ends its children in its own order, and their last words arrive.
#[test]
fn supervised_processes_end_in_the_order_of_their_supervisor() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (listener, heard) = listener(&b, 4);
        let child = move |id: &'static str| {
            Child::new(id, move |cx| last_words(cx, id.to_owned(), listener))
        };
        let below = move || {
            Supervisor::new(Strategy::OneForOne).child(child("second")).child(child("third"))
        };
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .child(child("first"))
            .child(Child::supervisor("below", below))
            .child(child("fourth"));
        supervisor.start(&a).await.unwrap();
        let trap = || a.processes().iter().filter(|process| process.traps_exits).count();
        until(&a, || trap() == 6).await;
        let report = a.shutdown().await;
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(heard.await.unwrap(), ["fourth", "third", "second", "first"]);
    });
}

//! Refusals and other notices that nobody reads: they cause nothing more, and fill nothing.

use midflight_process::managed::{Managed, Unhandled};
use midflight_process::message::Message;
use midflight_process::{
    Context, Disconnected, Limits, Node, Pid, ReconnectPolicy, RefusalKind, SendError, SendPort,
    TrySendError, Undelivered,
};
use serde::{Deserialize, Serialize};

use super::scene::scenario;
use super::world::{QUIET, World, simulate, until};

/// Says to whom something is to be sent that is not taken there.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Bother", version = 1)]
struct Bother(Pid);

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Unwanted", version = 1)]
struct Unwanted;

/// A port to be watched.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Watch", version = 1)]
struct Watch(SendPort<u64>);

/// A managed process that has nothing to say about notices.
async fn managed(node: &Node, unhandled: Unhandled) -> Pid {
    let definition = Managed::new().unhandled(unhandled).cast(|(), Bother(whom), server| {
        server.cx().try_send(whom, Unwanted).unwrap();
    });
    definition.start(node, |_| Ok(())).await.unwrap()
}

fn letters(nodes: &[&Node]) -> usize {
    nodes.iter().map(|node| node.dead_letters().len()).sum()
}

#[test]
fn managed_processes_do_not_refuse_each_others_refusals() {
    scenario(|cx, other| async move {
        let here = cx.node().clone();
        for node in [&here, &other] {
            let before = letters(&[&here, &other]);
            let refuses = managed(node, Unhandled::Refuse).await;
            for unhandled in [Unhandled::Refuse, Unhandled::Terminate, Unhandled::Drop] {
                let bothers = managed(&here, unhandled).await;
                cx.send(bothers, Bother(refuses)).await.unwrap();
                cx.sleep(QUIET).await;
                // It is told and has no handler for that, which is no reason to do anything.
                assert!(here.process(bothers).is_some(), "{unhandled:?}");
            }
            assert_eq!(letters(&[&here, &other]) - before, 3, "refusals of refusals");
        }
    });
}

/// The end of a port is told from its owner, who lives on and has sent nothing.
#[test]
fn who_refuses_a_notice_tells_nobody() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let watcher = Managed::new().cast_async(|(), Watch(port), server| {
                Box::pin(async move {
                    server.cx().monitor_port(&port).await;
                })
            });
            let watcher = watcher.start(&node, |_| Ok(())).await.unwrap();
            let (port, received) = cx.channel::<u64>();
            cx.send(watcher, Watch(port)).await.unwrap();
            cx.sleep(QUIET).await;
            drop(received);
            assert_eq!(cx.expect_timeout::<Undelivered>(QUIET).await, None);
            assert_eq!(node.dead_letters().len(), 1, "the notice is kept");
        }
    });
}

#[test]
fn who_sends_to_a_closed_port_is_told_at_once() {
    scenario(|cx, other| async move {
        let me = cx.me();
        for node in [cx.node().clone(), other] {
            let owner = node.spawn("owner", move |cx| async move {
                let (port, received) = cx.channel::<u64>();
                let (never_closed, _received) = cx.channel::<u64>();
                drop(received);
                cx.send(me, Watch(port)).await.unwrap();
                cx.send(me, Watch(never_closed)).await.unwrap();
                cx.expect::<()>().await;
            });
            let owner = owner.unwrap();
            let (Watch(port), Watch(open)) = (cx.expect().await, cx.expect().await);
            if node.id() != cx.node().id() {
                // Not known here yet.
                cx.send_port(&port, 1).await.unwrap();
                let notice: Undelivered = cx.expect().await;
                assert_eq!((notice.to, notice.kind), (owner, RefusalKind::NoPort));
            }
            for _ in 0..100 {
                let sent = cx.send_port(&port, 7).await;
                assert!(matches!(sent, Err(SendError::Closed(pid)) if pid == owner), "{sent:?}");
                assert!(matches!(cx.try_send_port(&port, 7), Err(TrySendError::Closed(7))));
            }
            assert_eq!(cx.expect_timeout::<Undelivered>(QUIET).await, None);
            cx.send_port(&open, 7).await.unwrap();
            // One that has ended takes and tells nothing, as for messages.
            let ended = cx.monitor(owner).await;
            cx.send(owner, ()).await.unwrap();
            assert_eq!(cx.expect::<midflight_process::Down>().await.monitor, ended);
            assert_eq!(cx.expect::<Undelivered>().await.kind, RefusalKind::NoPort, "unreceived");
            cx.send_port(&SendPort::<u64>::new(owner, 3), 7).await.unwrap();
        }
    });
}

fn small() -> Limits {
    Limits { mailbox_messages: 16, ..Limits::default() }
}

/// How many of them lie in the mailbox.
async fn unread<M: Message>(cx: &Context) -> usize {
    let mut count = 0;
    while cx.expect_timeout::<M>(std::time::Duration::ZERO).await.is_some() {
        count += 1;
    }
    count
}

#[test]
fn notices_that_nobody_reads_take_nobodys_room() {
    simulate(|world| async move {
        let (a, b) = (world.node_with("a", small()).await, world.node("b").await);
        a.connect(&World::address("b")).await.unwrap();
        for node in [a.clone(), b] {
            let refuses = managed(&node, Unhandled::Refuse).await;
            a.run("sender", move |cx| async move {
                for _ in 0..200 {
                    cx.send(refuses, Unwanted).await.unwrap();
                }
                cx.sleep(QUIET).await;
                cx.try_send(cx.me(), 7_u64).unwrap();
                assert_eq!(unread::<Undelivered>(&cx).await, 16, "as many as messages");
                // Room for others is there again.
                cx.send(refuses, Unwanted).await.unwrap();
                cx.sleep(QUIET).await;
                assert_eq!(unread::<Undelivered>(&cx).await, 1);
            })
            .await
            .unwrap();
        }
    });
}

simulated! {
    #[test]
    fn losses_that_nobody_reads_take_nobodys_room() {
        simulate(|world| async move {
            let a = world.node_with("a", small()).await;
            let (one, sends) = (a.clone(), world.clone());
            a.run("sender", move |cx| async move {
                for number in 0..20 {
                    let name = format!("life-{number}");
                    let node = sends.node(&name).await;
                    let sink = node.spawn("sink", |_| std::future::pending::<()>()).unwrap();
                    cx.node().connect(&World::address(&name)).await.unwrap();
                    cx.send(sink, Unwanted).await.unwrap();
                    assert!(one.disconnect(node.id()));
                    node.shutdown().await;
                }
                cx.sleep(QUIET).await;
                cx.try_send(cx.me(), 7_u64).unwrap();
                assert_eq!(unread::<Disconnected>(&cx).await, 16);
            })
            .await
            .unwrap();
        });
    }
}

/// As Erlang's servers do; one that asks is told.
#[test]
fn a_managed_process_sends_on_after_a_loss() {
    scenario(|cx, other| async move {
        let me = cx.me();
        for policy in [ReconnectPolicy::Accept, ReconnectPolicy::Ask] {
            let definition = Managed::new()
                .cast_async(move |(), Bother(whom), server| {
                    Box::pin(async move {
                        let sent = server.cx().send(whom, Unwanted).await;
                        server.cx().send(me, sent.is_ok()).await.unwrap();
                    })
                })
                .info(move |(), lost: Disconnected, server| {
                    assert!(server.cx().reconnect(lost.node));
                });
            let definition = match policy {
                // So it is without a word.
                ReconnectPolicy::Accept => definition,
                asks => definition.reconnect_policy(asks),
            };
            let server = definition.start(cx.node(), |_| Ok(())).await.unwrap();
            let sink = other.spawn("sink", |_| std::future::pending::<()>()).unwrap();
            for _ in 0..2 {
                cx.send(server, Bother(sink)).await.unwrap();
                assert!(cx.expect::<bool>().await, "{policy:?}");
                assert!(cx.node().disconnect(other.id()));
                until(cx.node(), || cx.node().peers().is_empty()).await;
            }
            let told = cx.node().accepted_losses();
            assert_eq!(told, 2, "the one that asks has accepted by itself");
        }
    });
}

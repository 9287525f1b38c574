//! What a node counts is what happened.

use std::time::Duration;

use midflight_process::{Down, ExitReason, Node, ProcessInfo, Received};

use super::world::{simulate, until};

const SECOND: Duration = Duration::from_secs(1);

fn sent(node: &Node, to: &Node) -> u64 {
    let peers = node.metrics().peers;
    peers.iter().find(|peer| peer.id == to.id()).map_or(0, |peer| peer.sent.messages)
}

fn received(node: &Node, from: &Node) -> u64 {
    let peers = node.metrics().peers;
    peers.iter().find(|peer| peer.id == from.id()).map_or(0, |peer| peer.received.messages)
}

#[test]
fn messages_between_nodes_are_counted_at_both_ends() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let echo = b.spawn("echo", |cx| async move {
            loop {
                let Received { message, reply_to, .. } = cx.receive_one::<u64>().await;
                if let Some(caller) = reply_to {
                    caller.reply(message);
                }
            }
        });
        let echo = echo.unwrap();
        assert_eq!((sent(&a, &b), received(&a, &b)), (0, 0));
        let asked = a.run("asker", move |cx| async move {
            for n in 0..10_u64 {
                cx.send(echo, n).await.unwrap();
            }
            // Larger than what is copied.
            cx.send(echo, vec![7_u8; 100_000]).await.unwrap();
            cx.call::<_, u64>(echo, 7_u64, SECOND).await.unwrap()
        });
        assert_eq!(asked.await, Some(7));
        assert_eq!((sent(&a, &b), received(&b, &a)), (12, 12));
        assert_eq!((sent(&b, &a), received(&a, &b)), (1, 1));
        let (to, from) = (a.metrics().peers[0].sent.bytes, b.metrics().peers[0].received.bytes);
        assert!(to > 100_000 && from > 100_000, "{to} sent, {from} received");
        assert_eq!(b.metrics().mailbox_messages, 1, "nobody receives lists of bytes");
        assert_eq!(b.metrics().mailbox_longest, Some((echo, 1)));
        assert_eq!((a.metrics().links_made, a.metrics().links_lost), (1, 0));
        b.shutdown().await;
        until(&a, || a.metrics().links_lost > 0).await;
        assert_eq!((a.metrics().links_lost, a.metrics().peers.len()), (1, 0));
    });
}

#[test]
fn processes_turns_and_ends_are_counted() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let before = a.metrics();
        for reason in [ExitReason::Normal, ExitReason::Error("as it was told".into())] {
            let quitter = a.spawn("quitter", |cx| async move {
                cx.expect::<u64>().await;
                reason
            });
            let quitter = quitter.unwrap();
            a.run("watcher", move |cx| async move {
                cx.monitor(quitter).await;
                cx.send(quitter, 1_u64).await.unwrap();
                let _: Down = cx.expect().await;
            })
            .await
            .unwrap();
        }
        // The runner shows its counts when it rests.
        until(&a, || {
            let now = a.metrics();
            now.ended - before.ended == 4 && now.messages_handled - before.messages_handled >= 4
        })
        .await;
        let after = a.metrics();
        assert_eq!(after.spawned - before.spawned, 4);
        assert_eq!(after.ended - before.ended, 4);
        assert_eq!(after.ended_badly - before.ended_badly, 1);
        assert_eq!(after.processes, before.processes);
        assert_eq!((after.runnable, after.mailbox_messages), (0, 0));
        assert!(after.turns - before.turns >= 6, "{after:?}");
        assert!(after.messages_handled - before.messages_handled >= 4, "{after:?}");
    });
}

#[test]
fn the_longest_mailboxes_come_first() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let deaf: Vec<_> =
            (0..5).map(|_| a.spawn("deaf", |_cx| std::future::pending::<()>()).unwrap()).collect();
        let longest = [deaf[3], deaf[1], deaf[0]];
        a.run("sender", move |cx| async move {
            for (to, count) in longest.into_iter().zip([3_u32, 2, 1]) {
                for n in 0..count {
                    cx.send(to, n).await.unwrap();
                }
            }
        })
        .await
        .unwrap();
        until(&a, || a.process_count() == deaf.len()).await;
        let pids =
            |infos: Vec<ProcessInfo>| infos.into_iter().map(|info| info.pid).collect::<Vec<_>>();
        assert_eq!(pids(a.longest_mailboxes(2)), longest[..2]);
        assert_eq!(pids(a.longest_mailboxes(4)), [deaf[3], deaf[1], deaf[0], deaf[2]]);
        assert_eq!(a.longest_mailboxes(100).len(), 5);
        assert_eq!(pids(a.first_processes(2)), deaf[..2]);
    });
}

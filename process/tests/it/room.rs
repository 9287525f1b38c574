//! Room (P6): what is accepted fits, who finds none waits or is told, and credit is given back once.

use std::time::Duration;

use futures_channel::oneshot::channel;
use midflight_process::{
    Down, ExitReason, Exited, Limits, Node, Pid, Received, SendError, TrySendError,
};

use super::world::{QUIET, World, simulate, took, until};

#[test]
fn a_full_receiver_is_told_of_and_holds_up_nobody_else() {
    simulate(|world| async move {
        let limits = Limits {
            mailbox_messages: 4,
            window_messages: 4,
            send_timeout: Duration::from_millis(300),
            ..Limits::default()
        };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        for node in [a.clone(), b] {
            let stuck = node.spawn("stuck", |cx| async move { cx.expect::<()>().await }).unwrap();
            let open = node.spawn("open", |cx| async move {
                for n in 0..100_u64 {
                    assert_eq!(cx.expect::<u64>().await, n);
                }
            });
            let open = open.unwrap();
            a.run("sender", move |cx| async move {
                let mut accepted = 0;
                while cx.try_send(stuck, accepted).is_ok() {
                    accepted += 1;
                }
                assert_eq!(accepted, 4_u64);
                assert!(matches!(cx.try_send(stuck, 9_u64), Err(TrySendError::Full(9))));
                let before = cx.now();
                let sent = cx.send(stuck, 9_u64).await;
                assert!(matches!(sent, Err(SendError::Overloaded(pid)) if pid == stuck));
                assert!(took(cx.now().since(before), Duration::from_millis(300)));
                cx.monitor(open).await;
                for n in 0..100_u64 {
                    cx.send(open, n).await.unwrap();
                }
                assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Normal);
                // A full mailbox takes a signal all the same.
                cx.monitor(stuck).await;
                cx.exit(stuck, ExitReason::Shutdown).await;
                assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Shutdown);
                // And a dead process takes no room.
                for n in 0..50_u64 {
                    cx.send(stuck, n).await.unwrap();
                }
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_cycle_of_full_mailboxes_ends_by_deadline() {
    simulate(|world| async move {
        let send_timeout = Duration::from_millis(300);
        let limits =
            Limits { mailbox_messages: 4, window_messages: 4, send_timeout, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        // Each sends to the next and receives nothing, until it is told that the next is overloaded.
        let fill = |node: &Node| {
            let (tell, told) = channel();
            let (end, ended) = channel();
            let filler = node.spawn("filler", move |cx| async move {
                let next: Pid = told.await.unwrap();
                let mut before = cx.now();
                let error = loop {
                    match cx.send(next, 0_u64).await {
                        Ok(()) => before = cx.now(),
                        Err(error) => break error,
                    }
                };
                let SendError::Overloaded(full) = error else { panic!("{error}") };
                assert_eq!(full, next);
                assert!(took(cx.now().since(before), send_timeout));
                end.send(()).unwrap();
                // Its end would make room for the one before it.
                std::future::pending::<()>().await;
            });
            (filler.unwrap(), tell, ended)
        };
        for nodes in [[&a, &a, &a], [&a, &b, &a]] {
            let ring = nodes.map(fill);
            let fillers = ring.each_ref().map(|(filler, ..)| *filler);
            let ends = ring.into_iter().enumerate().map(|(at, (_, tell, ended))| {
                tell.send(fillers[(at + 1) % fillers.len()]).unwrap();
                ended
            });
            for ended in ends.collect::<Vec<_>>() {
                ended.await.unwrap();
            }
        }
    });
}

#[test]
fn messages_as_large_as_the_window_go_on_passing() {
    simulate(|world| async move {
        let limits = Limits { window_bytes: 10_000, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        let counted = b.run("receiver", move |cx| async move {
            let me = cx.me();
            let sender = a.spawn("sender", move |cx| async move {
                for n in 0..200_usize {
                    // Those between the large ones leave some credit with the receiver.
                    let filling = if n % 3 == 0 { 12_000 } else { 100 * (n % 7) };
                    cx.send(me, vec![0_u8; filling]).await.unwrap();
                }
            });
            cx.monitor(sender.unwrap()).await;
            for _ in 0..200 {
                cx.expect::<Vec<u8>>().await;
            }
            cx.expect::<Down>().await.reason
        });
        assert_eq!(counted.await.unwrap(), ExitReason::Normal);
    });
}

#[test]
fn nodes_with_different_windows_do_not_stall_each_other() {
    simulate(|world| async move {
        let narrow = Limits { window_messages: 5, ..Limits::default() };
        let (a, b) = (world.node_with("a", narrow).await, world.node("b").await);
        a.connect(&World::address("b")).await.unwrap();
        for (from, to) in [(a.clone(), b.clone()), (b, a)] {
            let sink = to.spawn("sink", |cx| async move {
                for n in 0..2_000_u64 {
                    assert_eq!(cx.expect::<u64>().await, n);
                }
            });
            let sink = sink.unwrap();
            from.run("source", move |cx| async move {
                cx.monitor(sink).await;
                for n in 0..2_000_u64 {
                    cx.send(sink, n).await.unwrap();
                }
                assert_eq!(cx.expect::<Down>().await.reason, ExitReason::Normal);
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_process_that_ends_gives_the_credit_of_what_it_handled_back() {
    simulate(|world| async move {
        let limits = Limits { window_messages: 4, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        let short = b.spawn("short", |cx| async move {
            for _ in 0..4 {
                cx.expect::<u64>().await;
            }
        });
        let short = short.unwrap();
        a.run("sender", move |cx| async move {
            cx.monitor(short).await;
            for n in 0..4_u64 {
                cx.try_send(short, n).unwrap();
            }
            cx.expect::<Down>().await;
            for n in 0..100_u64 {
                cx.send(short, n).await.unwrap();
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_lies_unhandled_of_one_node_is_bounded_whichever_processes_it_is_for() {
    simulate(|world| async move {
        let peer_bytes = 64 << 10;
        let limits = Limits { peer_bytes, window_bytes: 16 << 10, ..Limits::default() };
        let (a, b) = (world.node("a").await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        let (done, handled) = futures_channel::mpsc::unbounded();
        let receivers: Vec<_> = (0..16)
            .map(|_| {
                let done = done.clone();
                let receiver = b.spawn("receiver", move |cx| async move {
                    cx.expect::<()>().await;
                    let next = || {
                        let next = cx.receive().on(|_: Received<Vec<u8>>| true);
                        next.on(|_: Received<String>| false).forever()
                    };
                    let mut received = 0;
                    while next().await {
                        received += 1;
                    }
                    done.unbounded_send(received).unwrap();
                });
                receiver.unwrap()
            })
            .collect();
        let far = b.clone();
        a.run("sender", move |cx| async move {
            // Each has room for them, and all together do not.
            let mut sent = 0;
            for receiver in receivers.iter().cycle().take(16 * 12) {
                match cx.try_send(*receiver, vec![7_u8; 1_000]) {
                    Ok(()) => sent += 1,
                    Err(error) => assert!(matches!(error, TrySendError::Full(_)), "{error}"),
                }
            }
            assert!((1_000 * sent..1_100 * sent).contains(&(peer_bytes as usize)), "{sent} sent");
            // Some end, and what lay there counts as handled: others get room.
            for ended in &receivers[..3] {
                far.kill(*ended, "no more");
                until(&far, || far.process(*ended).is_none()).await;
            }
            cx.send(receivers[3], vec![7_u8; 1_000]).await.unwrap();
            sent += 1;
            for receiver in &receivers[3..] {
                far.run("starter", {
                    let receiver = *receiver;
                    move |cx| async move { cx.send(receiver, ()).await.unwrap() }
                })
                .await
                .unwrap();
            }
            for receiver in receivers[3..].iter().cycle().take(13 * 20) {
                cx.send(*receiver, vec![7_u8; 1_000]).await.unwrap();
                sent += 1;
            }
            for receiver in &receivers[3..] {
                cx.send(*receiver, String::from("that was the last")).await.unwrap();
            }
            drop(done);
            let received: usize =
                futures_util::StreamExt::collect::<Vec<usize>>(handled).await.into_iter().sum();
            // But for those of the three that were killed.
            assert!((9..16).contains(&(sent - received)), "{received} of {sent}");
        })
        .await
        .unwrap();
        assert_eq!(a.peers().len(), 1, "whoever keeps to its credit keeps its link");
    });
}

#[test]
fn a_mailbox_is_bounded_in_bytes_as_in_messages() {
    simulate(|world| async move {
        let limits = Limits { mailbox_bytes: 64 * 10, window_bytes: 10_000, ..Limits::default() };
        let (a, b) = (world.node("a").await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        for (sender, many) in [(&b, 10), (&a, 9)] {
            let (go, may_go) = channel();
            let slow = b.spawn("slow", |cx| async move {
                may_go.await.unwrap();
                loop {
                    cx.expect::<Vec<u8>>().await;
                }
            });
            let slow = slow.unwrap();
            sender
                .run("sender", move |cx| async move {
                    let thousand = || vec![7_u8; 1_000];
                    let sent = (0..100).take_while(|_| cx.try_send(slow, thousand()).is_ok());
                    assert_eq!(sent.count(), many);
                    go.send(()).unwrap();
                    // What is received makes room again.
                    for _ in 0..100 {
                        cx.send(slow, thousand()).await.unwrap();
                    }
                })
                .await
                .unwrap();
        }
    });
}

/// A death comes in the place of who has died, and nobody has taken credit for it.
#[test]
fn a_death_gives_no_credit_that_nobody_took() {
    const DEATHS: usize = 240;
    simulate(|world| async move {
        let messages = Limits { window_messages: 64, ..Limits::default() };
        let together = Limits { peer_bytes: 16 << 10, ..Limits::default() };
        let a = world.node("a").await;
        for (name, limits) in [("b", messages), ("c", together)] {
            let b = world.node_with(name, limits).await;
            a.connect(&World::address(name)).await.unwrap();
            let mortal = || a.spawn("mortal", |cx| async move { cx.expect::<()>().await }).unwrap();
            let mortals: Vec<Pid> = (0..DEATHS).map(|_| mortal()).collect();
            let (full, is_full) = channel::<()>();
            let (watched, is_watched) = channel::<()>();
            let (dead, are_dead) = channel::<()>();
            let deaths = mortals.clone();
            let receiver = b.spawn("receiver", move |cx| async move {
                cx.trap_exits(true);
                for (n, mortal) in deaths.iter().enumerate() {
                    if n % 2 == 0 {
                        cx.monitor(*mortal).await;
                    } else {
                        cx.link(*mortal).await;
                    }
                }
                watched.send(()).unwrap();
                for _ in 0..DEATHS / 2 {
                    cx.expect::<Down>().await;
                    cx.expect::<Exited>().await;
                }
                dead.send(()).unwrap();
                cx.expect::<()>().await;
            });
            let receiver = receiver.unwrap();
            let (tell, told) = channel();
            let sender = a.spawn("sender", move |cx| async move {
                let fill = || (0_u32..).take_while(|_| cx.try_send(receiver, 7_u64).is_ok());
                let filled = fill().count();
                full.send(()).unwrap();
                are_dead.await.unwrap();
                cx.sleep(QUIET).await;
                tell.send((filled, fill().count())).unwrap();
            });
            sender.unwrap();
            is_watched.await.unwrap();
            is_full.await.unwrap();
            for mortal in mortals {
                a.exit(mortal, ExitReason::Shutdown);
            }
            let (filled, more) = told.await.unwrap();
            assert!(filled >= 64, "{filled}");
            assert_eq!(more, 0, "room for more, and of the {filled} none has been handled");
        }
    });
}

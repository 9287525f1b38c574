//! Order between pairs (P2), and what shares a lane.

use std::time::Duration;

use futures_channel::oneshot::channel;
use midflight_process::message::Message;
use midflight_process::{Down, ExitReason, Limits, Pid, Received};
use serde::{Deserialize, Serialize};

use super::world::{World, simulate};

#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Numbered", version = 1)]
struct Numbered {
    from: Pid,
    n: u64,
    filling: Vec<u8>,
}

#[test]
fn every_pair_keeps_its_order_and_its_death_comes_last() {
    simulate(|world| async move {
        // What keeps the order is the pair's lane and nothing else.
        world.reorder();
        let limits = Limits { window_messages: 8, turn_messages: 4, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        a.connect(&World::address("b")).await.unwrap();
        let counted = b.run("receiver", move |cx| async move {
            let me = cx.me();
            for sender in 0..5_usize {
                let sender = a.spawn("sender", move |cx| async move {
                    for n in 0..60 {
                        // Some go by reference, most are small.
                        let filling = vec![0; if n % 20 == sender as u64 { 100_000 } else { 8 }];
                        let from = cx.me();
                        cx.send(me, Numbered { from, n, filling }).await.unwrap();
                    }
                });
                cx.monitor(sender.unwrap()).await;
            }
            let mut counts = std::collections::BTreeMap::<Pid, u64>::new();
            let mut ended = 0;
            while ended < 5 {
                enum Next {
                    Numbered(Numbered),
                    Down(Down),
                }
                let next = cx
                    .receive()
                    .on(|received: Received<Numbered>| Next::Numbered(received.message))
                    .on(|received: Received<Down>| Next::Down(received.message));
                match next.forever().await {
                    Next::Numbered(Numbered { from, n, .. }) => {
                        let count = counts.entry(from).or_default();
                        assert_eq!(n, *count, "out of order, lost or twice");
                        *count += 1;
                    }
                    Next::Down(down) => {
                        assert_eq!(down.reason, ExitReason::Normal);
                        assert_eq!(counts[&down.process], 60, "the death overtook messages");
                        ended += 1;
                    }
                }
            }
            counts.values().sum::<u64>()
        });
        assert_eq!(counted.await.unwrap(), 300);
    });
}

simulated! {
/// Four processes send more than a slow link holds; whoever shares no lane with them is answered in a
/// fraction of the time that takes.
#[test]
fn large_messages_hold_up_no_other_lane() {
    let scenario = |world: World| async move {
        let limits =
            Limits { window_bytes: 64 << 20, mailbox_bytes: 64 << 20, ..Limits::default() };
        let (a, b) =
            (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
        let to = World::address("b");
        a.connect(&to).await.unwrap();
        world.hub.set_slow(&to, Some(10_000_000));
        let mut sending = Vec::new();
        for _ in 0..4 {
            let (tell, told) = channel();
            sending.push(told);
            let swallows = b.spawn("swallows", |cx| async move {
                loop {
                    cx.expect::<Numbered>().await;
                }
            });
            let swallows = swallows.unwrap();
            a.spawn("bulk", move |cx| async move {
                let mut tell = Some(tell);
                for n in 0..2 {
                    let numbered = Numbered { from: cx.me(), n, filling: vec![0; 4 << 20] };
                    cx.send(swallows, numbered).await.unwrap();
                    tell.take().into_iter().for_each(|tell| tell.send(()).unwrap());
                }
            })
            .unwrap();
        }
        for told in sending {
            told.await.unwrap();
        }
        let mut asking = Vec::new();
        for _ in 0..12 {
            let answers = b.spawn("answers", |cx| async move {
                let asked = cx.expect::<Numbered>().await;
                cx.send(asked.from, 0_u64).await.unwrap();
            });
            let answers = answers.unwrap();
            let (tell, told) = channel();
            a.spawn("asks", move |cx| async move {
                let began = cx.now();
                let numbered = Numbered { from: cx.me(), n: 0, filling: Vec::new() };
                cx.send(answers, numbered).await.unwrap();
                cx.expect::<u64>().await;
                tell.send(cx.now().since(began)).unwrap();
            })
            .unwrap();
            asking.push(told);
        }
        let mut quick = 0;
        for told in asking {
            quick += u32::from(told.await.unwrap() < Duration::from_millis(100));
        }
        assert!(quick >= 6, "{quick} of 12 were answered while the others sent");
    };
    for seed in 0..2 {
        super::world::run(seed, scenario);
    }
}
}

//! Messages with bytes by reference, wherever in them and however they are sent.

use std::time::Duration;

use midflight_process::message::{Binary, Message};
use midflight_process::{Received, SendPort};
use serde::{Deserialize, Serialize};

use super::world::simulate;

const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.Several", version = 1)]
struct Several {
    name: String,
    parts: Vec<Binary>,
    between: Vec<u32>,
    last: Option<Binary>,
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Answers", version = 1)]
struct Answers(SendPort<Several>);

/// Short and long ones, beside little and beside much.
fn several() -> Vec<Several> {
    let part = |byte: u8, len: usize| -> Binary {
        (0..len).map(|at| byte.wrapping_add((at % 251) as u8)).collect::<Vec<_>>().into()
    };
    let lens = [0, 1, 4_000, 5_000, 16_383, 16_384, 70_000, 300_000];
    let one = |n: usize| Several {
        name: "x".repeat([0, 30, 6_000][n % 3]),
        parts: (0..n % 4).map(|at| part(at as u8, lens[(n + at * 3) % lens.len()])).collect(),
        between: vec![7; [1, 3_000][n % 2]],
        last: (!n.is_multiple_of(5)).then(|| part(9, lens[n % lens.len()])),
    };
    (0..24).map(one).collect()
}

#[test]
fn messages_with_long_parts_arrive_whole_and_in_order_however_they_are_sent() {
    simulate(|world| async move {
        world.reorder();
        let (a, b) = world.pair().await;
        for node in [a.clone(), b] {
            let receiver = node.spawn("receiver", |cx| async move {
                let Received { message: Answers(port), from, .. } = cx.receive_one().await;
                let mut seen = Vec::new();
                while seen.len() < 2 * several().len() {
                    let Received { message, reply_to, .. } = cx.receive_one::<Several>().await;
                    seen.push(message.clone());
                    match reply_to {
                        Some(caller) => caller.reply(message),
                        None => cx.send_port(&port, message).await.unwrap(),
                    }
                }
                // Kept until here, and sent on from where they came.
                let expected = several().into_iter().flat_map(|message| [message.clone(), message]);
                assert!(seen.iter().cloned().eq(expected));
                for message in seen {
                    cx.send(from.unwrap(), message).await.unwrap();
                }
            });
            let receiver = receiver.unwrap();
            let sender = a.run("sender", move |cx| async move {
                let (port, mut values) = cx.channel::<Several>();
                cx.send(receiver, Answers(port)).await.unwrap();
                for message in several() {
                    cx.send(receiver, message.clone()).await.unwrap();
                    let answer: Several = cx.call(receiver, message.clone(), LONG).await.unwrap();
                    assert!(answer == message);
                    assert!(values.receive_timeout(LONG).await.unwrap() == message);
                }
                for message in several() {
                    for _ in 0..2 {
                        assert!(cx.expect_timeout::<Several>(LONG).await.unwrap() == message);
                    }
                }
            });
            sender.await.unwrap();
        }
    });
}

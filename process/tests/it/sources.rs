//! Several ports as one, and receives with ports among their clauses: which source goes first.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Context, ReceivePort, Received, SendPort};
use serde::{Deserialize, Serialize};

use super::world::simulate;

const SECOND: Duration = Duration::from_secs(1);

/// Sends itself everything so that it has arrived when this is over.
async fn fill(cx: &Context, ports: &[(SendPort<letters::Letter>, &str)]) {
    for (port, text) in ports {
        for letter in text.chars() {
            cx.send_port(port, letters::Letter(letter.to_string())).await.unwrap();
        }
    }
    cx.sleep(Duration::from_millis(1)).await;
}

/// A letter as a message.
mod letters {
    use super::{Deserialize, Message, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
    #[message(name = "test.Letter", version = 1)]
    pub(super) struct Letter(pub(super) String);
}

#[test]
fn ports_are_merged_biased_or_in_turns_however_deep() {
    simulate(|world| async move {
        let node = world.node("a").await;
        node.run("receiver", |cx| async move {
            let biased: fn(Vec<_>) -> _ = |ports| ReceivePort::merge_biased(ports);
            let in_turns: fn(Vec<_>) -> _ = |ports| ReceivePort::merge_round_robin(ports);
            let mut seen = Vec::new();
            for (outer, inner) in
                [(biased, biased), (biased, in_turns), (in_turns, biased), (in_turns, in_turns)]
            {
                // Each group of three ports is merged, then the three groups are.
                let mut groups = Vec::new();
                let mut ends = Vec::new();
                for group in ["abc", "def", "ghi"] {
                    let mut ports = Vec::new();
                    for letter in group.chars() {
                        let (end, port) = cx.channel::<letters::Letter>();
                        ends.push((end, [letter; 3].iter().collect::<String>()));
                        ports.push(port);
                    }
                    groups.push(inner(ports));
                }
                let ends: Vec<_> = ends.iter().map(|(end, text)| (*end, text.as_str())).collect();
                fill(&cx, &ends).await;
                let mut merged = outer(groups);
                let mut text = String::new();
                while let Some(letter) = merged.receive_timeout(Duration::ZERO).await {
                    text += &letter.0;
                }
                seen.push(text);
            }
            assert_eq!(
                seen,
                [
                    "aaabbbcccdddeeefffggghhhiii",
                    "abcabcabcdefdefdefghighighi",
                    "adgadgadgbehbehbehcficficfi",
                    "adgbehcfiadgbehcfiadgbehcfi",
                ]
            );
            // One that waits is woken by whichever gets something.
            let (end, port) = cx.channel::<letters::Letter>();
            let (_other, silent) = cx.channel::<letters::Letter>();
            let mut merged = in_turns(vec![silent, port]);
            let receive = merged.receive();
            let send = async {
                cx.sleep(SECOND).await;
                cx.send_port(&end, letters::Letter("z".into())).await.unwrap();
            };
            assert_eq!(futures_util::future::join(receive, send).await.0.0, "z");
        })
        .await
        .unwrap();
    });
}

/// What a scenario of clauses took, in order.
async fn taken(
    cx: &Context,
    scenario: &str,
    ports: &mut [ReceivePort<letters::Letter>; 2],
) -> String {
    let mut text = String::new();
    let [one, two] = ports;
    let message = |received: Received<String>| received.message;
    let value = |letter: letters::Letter| letter.0;
    loop {
        let receive = cx.receive();
        let next = match scenario {
            "port port" => receive.port(one, value).port(two, value).timeout(Duration::ZERO).await,
            "port message" => receive.port(one, value).on(message).timeout(Duration::ZERO).await,
            "message port" => receive.on(message).port(one, value).timeout(Duration::ZERO).await,
            "message port message" => {
                let long = |text: &String| text.len() > 1;
                let receive = receive.on_if(long, message).port(one, value).on(message);
                receive.timeout(Duration::ZERO).await
            }
            "in turns" => {
                let receive = receive.port(one, value).on(message).port(two, value);
                receive.in_turns().timeout(Duration::ZERO).await
            }
            "oldest" => {
                let receive = receive.port(one, value).on(message).port(two, value);
                receive.oldest_first().timeout(Duration::ZERO).await
            }
            other => unreachable!("{other}"),
        };
        match next {
            Some(next) => text += &next,
            None => return text,
        }
    }
}

#[test]
fn sources_are_gone_through_in_their_order_in_turns_or_by_age() {
    simulate(|world| async move {
        let node = world.node("a").await;
        node.run("receiver", |cx| async move {
            let scenarios = [
                ("port port", "aabb"),
                ("port message", "aa1long2"),
                ("message port", "1long2aa"),
                ("message port message", "longaa12"),
                ("in turns", "a1blong2ab"),
                ("oldest", "1ablongab2"),
            ];
            for (scenario, expected) in scenarios {
                let ((one, a), (two, b)) = (cx.channel(), cx.channel());
                let mut ports = [a, b];
                let (me, letter) = (cx.me(), |text: &str| letters::Letter(text.into()));
                let message = |text: &str| cx.send(me, String::from(text));
                message("1").await.unwrap();
                cx.send_port(&one, letter("a")).await.unwrap();
                cx.send_port(&two, letter("b")).await.unwrap();
                message("long").await.unwrap();
                cx.send_port(&one, letter("a")).await.unwrap();
                cx.send_port(&two, letter("b")).await.unwrap();
                message("2").await.unwrap();
                cx.sleep(Duration::from_millis(1)).await;
                let text = taken(&cx, scenario, &mut ports).await;
                if scenario == "in turns" {
                    // Whose turn it is goes on from one receive to the next, whatever they are.
                    let mut letters: Vec<_> = text.chars().collect();
                    letters.sort_unstable();
                    assert_eq!(letters.iter().collect::<String>(), "12aabbglno", "{text}");
                    assert!(!text.contains("aa") && !text.contains("bb"), "{text}");
                } else {
                    assert_eq!(text, expected, "{scenario}");
                }
                // What the scenario did not ask for is gone for the next.
                while cx.expect_timeout::<String>(Duration::ZERO).await.is_some() {}
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_waiting_receive_wakes_for_a_port_and_for_a_message() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        a.run("receiver", move |cx| async move {
            let (port, mut values) = cx.channel::<u64>();
            let me = cx.me();
            for choice in 0..3 {
                b.spawn("sender", move |cx| async move {
                    cx.sleep(SECOND).await;
                    cx.send_port(&port, 1).await.unwrap();
                    cx.sleep(SECOND).await;
                    cx.send(me, String::from("text")).await.unwrap();
                })
                .unwrap();
                for expected in ["1", "text"] {
                    let receive = cx
                        .receive()
                        .port(&mut values, |n| n.to_string())
                        .on(|text: Received<String>| text.message);
                    let receive = match choice {
                        0 => receive,
                        1 => receive.in_turns(),
                        _ => receive.oldest_first(),
                    };
                    assert_eq!(receive.forever().await, expected);
                }
            }
        })
        .await
        .unwrap();
    });
}

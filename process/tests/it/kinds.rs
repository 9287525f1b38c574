//! P2 across all kinds: what one process sends another, and what its end says, is one order, also when the
//! link between them is cut at any moment.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Context, Down, ExitReason, Exited, Limits, Pid, Received};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, run};

/// For how long what must come is waited for.
const LONG: Duration = Duration::from_secs(60);
const COUNT: u64 = 120;

#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Part", version = 1)]
struct Part {
    n: u64,
    filling: Vec<u8>,
}

/// Sends numbers of all kinds, until it is told that the link is lost.
async fn send_all(cx: Context, to: Pid) -> ExitReason {
    cx.expect::<()>().await;
    let lost = cx.monitor_node(to.node).await;
    for n in 0..COUNT {
        let down = cx.expect_timeout::<midflight_process::NodeDown>(Duration::ZERO).await;
        if down.is_some_and(|down| down.monitor == lost) {
            break;
        }
        let filling = vec![0; if n % 9 == 0 { 70_000 } else { 4 }];
        match n % 5 {
            3 => cx.exit(to, ExitReason::Error(n.to_string())).await,
            // Nobody trusts what comes after a loss.
            _ if cx.send(to, Part { n, filling }).await.is_err() => break,
            _ => {}
        }
        if n % 7 == 0 {
            // Other signals of the pair lie between.
            cx.unlink(to);
            cx.link(to).await;
        }
        if n % 4 == 0 {
            cx.sleep(Duration::from_micros(30)).await;
        }
    }
    ExitReason::Error("done".into())
}

/// What came, in order.
#[derive(Debug, PartialEq)]
enum Came {
    Number(u64),
    Down(ExitReason),
    Exited(ExitReason),
}

async fn next(cx: &Context, sender: Pid, within: Duration) -> Option<Came> {
    let next = cx
        .receive()
        .on(|received: Received<Part>| Came::Number(received.message.n))
        .on(|received: Received<Down>| Came::Down(received.message.reason))
        .on(move |received: Received<Exited>| {
            assert_eq!(received.message.from, sender);
            match received.message.reason {
                ExitReason::Error(text) if text != "done" => Came::Number(text.parse().unwrap()),
                reason => Came::Exited(reason),
            }
        });
    next.timeout(within).await
}

/// When the link is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    After(Duration),
    /// When so many numbers have come.
    At(u64),
}

/// Both ends on nodes with little room. Answers how many numbers came before the end.
fn one_order(seed: u64, cut: Option<Cut>) -> u64 {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    run(seed, move |world: World| {
        let tell = tell.clone();
        async move {
            let limits = Limits { window_messages: 6, turn_messages: 3, ..Limits::default() };
            let (a, b) =
                (world.node_with("a", limits.clone()).await, world.node_with("b", limits).await);
            a.connect(&World::address("b")).await.unwrap();
            let (breaker, runtime, there) = (a.clone(), world.runtime.clone(), b.id());
            a.run("receiver", move |cx| async move {
                cx.trap_exits(true);
                let me = cx.me();
                let sender = b.spawn("sender", move |cx| send_all(cx, me)).unwrap();
                cx.link(sender).await;
                cx.monitor(sender).await;
                cx.send(sender, ()).await.unwrap();
                if let Some(Cut::After(cut)) = cut {
                    breaker
                        .spawn("breaker", move |cx| async move {
                            runtime.sleep(cut).await;
                            cx.node().disconnect(there);
                        })
                        .unwrap();
                }
                let (mut count, mut ends) = (0, Vec::new());
                loop {
                    // After both ends nothing more may come but what the next link brings.
                    let within = if ends.len() < 2 { LONG } else { QUIET };
                    match next(&cx, sender, within).await {
                        Some(Came::Number(n)) if ends.is_empty() => {
                            assert_eq!(n, count, "out of order, lost or twice");
                            count += 1;
                            if matches!(cut, Some(Cut::At(at)) if at == count) {
                                cx.node().disconnect(there);
                            }
                        }
                        // Of what is sent over the next link nothing was lost that was sent on it.
                        Some(Came::Number(n)) => assert!(cut.is_some() && n > count),
                        Some(end) => ends.push(end),
                        None => break,
                    }
                }
                let lost = |end: &Came| {
                    matches!(
                        end,
                        Came::Down(ExitReason::NoConnection(_))
                            | Came::Exited(ExitReason::NoConnection(_))
                    )
                };
                let done = ExitReason::Error("done".into());
                if ends.first().is_some_and(lost) {
                    assert!(cut.is_some() && ends.len() >= 2 && lost(&ends[1]), "{ends:?}");
                    assert!(count < COUNT || ends.len() == 2);
                } else {
                    assert_eq!(ends, [Came::Down(done.clone()), Came::Exited(done)]);
                    assert_eq!(count, COUNT);
                }
                tell.send(count).unwrap();
            })
            .await
            .unwrap();
        }
    });
    told.recv().unwrap()
}

#[test]
fn all_kinds_keep_one_order() {
    for seed in 0..20 {
        one_order(seed, None);
    }
}

#[test]
fn all_kinds_keep_one_order_up_to_a_number_at_which_the_link_is_cut() {
    for at in (1..80).step_by(13) {
        let count = one_order(at, Some(Cut::At(at)));
        assert!((at..COUNT).contains(&count), "{count} came, and the link was cut at {at}");
    }
}

// Microseconds are the same moment in virtual time alone.
simulated! {
#[test]
fn all_kinds_keep_one_order_up_to_where_the_link_is_cut() {
    let cut = |seed| Cut::After(Duration::from_micros(37 * seed));
    let counts = (0..60).map(|seed| one_order(seed, Some(cut(seed))));
    let midway = counts.filter(|count| (1..COUNT).contains(count)).count();
    assert!(midway >= 20, "only {midway} were cut midway");
}
}

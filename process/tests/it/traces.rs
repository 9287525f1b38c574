//! Traces: of one process, and of a message's way.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::trace::{TraceError, TraceEvent, TraceFlags, TraceId, Traced};
use midflight_process::{Context, Limits, Node, Pid, ProcessRef, Received, Role, Roles, SendPort};
use serde::{Deserialize, Serialize};

use super::world::{QUIET, World, keep, simulate, until};

/// For how long what must come is waited for.
const LONG: Duration = Duration::from_secs(60);
const NOW: Duration = Duration::ZERO;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "trace.Order", version = 1)]
struct Order {
    number: u32,
    /// Who is to have it next, the last first.
    then: Vec<Pid>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "trace.Done", version = 1)]
struct Done(u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "trace.Events", version = 1)]
struct Events(Vec<TraceEvent>);

/// A process that hands on every order, and answers calls.
fn clerk(node: &Node) -> Pid {
    let clerk = node.spawn("clerk", |cx| async move {
        loop {
            let Received { message: Order { number, mut then }, reply_to, .. } =
                cx.receive_one::<Order>().await;
            if let Some(next) = then.pop() {
                cx.send(next, Order { number, then }).await.unwrap();
            }
            if let Some(caller) = reply_to {
                caller.reply(Done(number));
            }
        }
    });
    clerk.unwrap()
}

/// A process that keeps what it is told, and hands it over.
fn follower(node: &Node) -> Pid {
    node.spawn("follower", |cx| keep(cx, Events)).unwrap()
}

/// What a follower is told: so many events, and no more for a while.
async fn told(cx: &Context, follower: Pid, count: usize) -> Vec<TraceEvent> {
    let news = || async { cx.call::<_, Events>(follower, String::new(), LONG).await.unwrap().0 };
    let mut events = news().await;
    let end = cx.now() + LONG;
    while events.len() < count && cx.now() < end {
        cx.sleep(Duration::from_millis(1)).await;
        events.extend(news().await);
    }
    cx.sleep(QUIET).await;
    events.extend(news().await);
    assert_eq!(events.len(), count, "{events:?}");
    events
}

fn texts(events: &[TraceEvent]) -> Vec<String> {
    events.iter().map(|event| event.what.to_string()).collect()
}

#[test]
fn a_traced_process_tells_what_it_takes_in_and_sends() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (first, last) = (clerk(&a), clerk(&b));
        let events = follower(&b);
        a.trace(first, TraceFlags::ALL, Some(events)).unwrap();
        assert_eq!(a.traced(first), TraceFlags::ALL);
        let node = a.clone();
        a.run("customer", move |cx| async move {
            for number in 1..=3 {
                cx.send(first, Order { number, then: vec![last] }).await.unwrap();
            }
            let _: Done = cx.call(first, Order { number: 4, then: vec![] }, LONG).await.unwrap();
            let me = cx.me();
            let got = told(&cx, events, 8).await;
            let received = format!("received trace.Order@1 from {me}");
            let sent = format!("sent trace.Order@1 to {last}");
            let mut wanted = [received.as_str(), sent.as_str()].repeat(3);
            let call = format!("received trace.Order@1 (call) from {me}");
            let reply = format!("sent trace.Done@1 to {me}");
            wanted.extend([call.as_str(), reply.as_str()]);
            assert_eq!(texts(&got), wanted);
            // Each message is a trace of its own, and what it causes belongs to it.
            let traces: Vec<TraceId> = got.iter().map(|event| event.trace.unwrap()).collect();
            for pair in traces.chunks(2) {
                assert_eq!(pair[0], pair[1]);
            }
            let mut all = traces.clone();
            all.dedup();
            assert_eq!(all.len(), 4, "{traces:?}");
            assert!(got.iter().all(|event| event.pid == first && event.missed == 0));
            let hops: Vec<_> = got.iter().map(|event| event.hops).collect();
            assert_eq!(hops, [0, 1].repeat(4));

            node.trace(first, TraceFlags::NONE, None).unwrap();
            let _: Done = cx.call(first, Order { number: 5, then: vec![] }, LONG).await.unwrap();
            told(&cx, events, 0).await;
            assert_eq!(node.traced(first), TraceFlags::NONE);
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_a_traced_message_causes_is_told_under_its_trace_on_every_node() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let c = world.node("c").await;
        b.connect(&World::address("c")).await.unwrap();
        let (first, second, third) = (clerk(&a), clerk(&b), clerk(&c));
        // The last of the way, of which only what comes with a trace is of interest.
        let events = follower(&c);
        let at_first = follower(&a);
        // The customer asks the follower there.
        until(&a, || a.members().iter().any(|member| member.id == c.id())).await;
        a.trace(first, TraceFlags::SEND, Some(at_first)).unwrap();
        c.trace(third, TraceFlags::RECEIVE, Some(events)).unwrap();
        a.run("customer", move |cx| async move {
            let large = vec![third, second];
            cx.send(first, Order { number: 1, then: large }).await.unwrap();
            let began = told(&cx, at_first, 1).await;
            let came = told(&cx, events, 1).await;
            assert_eq!(began[0].trace, came[0].trace, "one trace over three nodes");
            assert_eq!((began[0].hops, came[0].hops), (1, 2));
            assert_eq!(came[0].what.to_string(), format!("received trace.Order@1 from {second}"));

            // One that is nobody's causes nothing under that trace.
            cx.send(second, Order { number: 2, then: vec![third] }).await.unwrap();
            let came = told(&cx, events, 1).await;
            assert_eq!(came[0].hops, 0, "its own trace, begun where it is traced");
            assert_ne!(began[0].trace, came[0].trace);
        })
        .await
        .unwrap();
    });
}

#[test]
fn who_may_not_inspect_has_nobody_traced() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let roles = Roles::from_iter([Role::Send]);
        let guarded = Node::builder("c").listen(World::address("c")).other_roles(roles);
        let c = world.start(guarded).await;
        a.connect(&World::address("c")).await.unwrap();
        let (first, last) = (clerk(&a), clerk(&c));
        let (began, events) = (follower(&a), follower(&c));
        a.trace(first, TraceFlags::SEND, Some(began)).unwrap();
        c.trace(last, TraceFlags::RECEIVE, Some(events)).unwrap();
        a.run("customer", move |cx| async move {
            cx.send(first, Order { number: 1, then: vec![last] }).await.unwrap();
            told(&cx, began, 1).await;
        })
        .await
        .unwrap();
        c.run("onlooker", move |cx| async move {
            let came = told(&cx, events, 1).await;
            assert_eq!(came[0].hops, 0, "under no trace of another's");
        })
        .await
        .unwrap();
    });
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, Message)]
#[message(name = "trace.Way", version = 1)]
enum Way {
    Send,
    TrySend,
    Name,
    Typed,
    Port,
    TryPort,
    Forward,
    Call,
}

/// A port of one that takes whatever comes and answers who calls.
fn sink(node: &Node) -> SendPort<Done> {
    let sink = node.spawn_channel("sink", |cx, port| async move {
        let _open = port;
        cx.register("sink").unwrap();
        loop {
            if let Some(caller) = cx.receive_one::<Done>().await.reply_to {
                caller.reply(Done(0));
            }
        }
    });
    sink.unwrap()
}

#[test]
fn every_way_of_sending_is_told_once_here_and_afar() {
    const WAYS: [Way; 8] = [
        Way::Send,
        Way::TrySend,
        Way::Name,
        Way::Typed,
        Way::Port,
        Way::TryPort,
        Way::Forward,
        Way::Call,
    ];
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let node = a.clone();
        for port in [sink(&a), sink(&b)] {
            let to = port.owner();
            let sender = a.spawn("sender", move |cx| async move {
                loop {
                    match cx.expect::<Way>().await {
                        Way::Send => cx.send(to, Done(1)).await.unwrap(),
                        Way::TrySend => cx.try_send(to, Done(1)).unwrap(),
                        Way::Name => cx.send(("sink", to.node), Done(1)).await.unwrap(),
                        Way::Typed => {
                            let to = ProcessRef::<Done>::new(to);
                            cx.send(to, Done(1)).await.unwrap();
                        }
                        Way::Port => cx.send_port(&port, Done(1)).await.unwrap(),
                        Way::TryPort => cx.try_send_port(&port, Done(1)).unwrap(),
                        Way::Forward => {
                            let any = cx.receive().any(|any| any).forever().await;
                            any.forward(&cx, to).await.unwrap();
                        }
                        Way::Call => {
                            let _: Done = cx.call(to, Done(1), LONG).await.unwrap();
                        }
                    }
                }
            });
            let sender = sender.unwrap();
            let events = follower(&a);
            node.trace(sender, TraceFlags::SEND, Some(events)).unwrap();
            a.run("customer", move |cx| async move {
                for way in WAYS {
                    cx.send(sender, way).await.unwrap();
                    if matches!(way, Way::Forward) {
                        cx.send(sender, Done(2)).await.unwrap();
                    }
                    let sent = texts(&told(&cx, events, 1).await);
                    assert_eq!(sent, [format!("sent trace.Done@1 to {to}")], "{way:?}");
                }
            })
            .await
            .unwrap();
        }
    });
}

#[test]
fn a_trace_tells_of_ends_links_names_and_children() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let events = follower(&a);
        let other = clerk(&a);
        let process = a.spawn("traced", move |cx| async move {
            let _: String = cx.expect().await;
            let child = cx.spawn("child", |_cx| async {}).unwrap();
            cx.link(other).await;
            cx.unlink(other);
            cx.monitor(other).await;
            cx.register("shop").unwrap();
            let child = child.to_string();
            cx.receive_one::<u32>().await.reply_to.unwrap().reply(child);
            Err::<(), _>("enough".to_owned())
        });
        let process = process.unwrap();
        a.trace(process, TraceFlags::PROCS, Some(events)).unwrap();
        a.run("operator", move |cx| async move {
            cx.send(process, String::new()).await.unwrap();
            let child: String = cx.call(process, 1_u32, LONG).await.unwrap();
            let got = texts(&told(&cx, events, 6).await);
            let wanted = [
                format!("spawned {child}"),
                format!("linked to {other}"),
                format!("unlinked from {other}"),
                format!("monitored {other}"),
                "registered as `shop`".to_owned(),
            ];
            assert_eq!(got[..5], wanted);
            assert!(got[5].starts_with("exited: ") && got[5].contains("enough"), "{got:?}");
        })
        .await
        .unwrap();
    });
}

#[test]
fn a_follower_that_has_no_room_is_told_how_much_it_has_missed() {
    simulate(|world| async move {
        let limits = Limits { mailbox_messages: 4, ..Limits::default() };
        let a = world.node_with("a", limits).await;
        let first = clerk(&a);
        let node = a.clone();
        a.run("follower", move |cx| async move {
            // It receives nothing meanwhile, and what lies with it counts.
            node.trace(first, TraceFlags::RECEIVE, Some(cx.me())).unwrap();
            let order = |number| Order { number, then: vec![] };
            for number in 1..=9 {
                let _: Done = cx.call(first, order(number), LONG).await.unwrap();
            }
            let mut seen = 0;
            while let Some(event) = cx.expect_timeout::<TraceEvent>(NOW).await {
                assert_eq!(event.missed, 0);
                seen += 1;
            }
            assert_eq!(seen, 4);
            // It sleeps, so that the room it has made is known.
            cx.sleep(QUIET).await;
            let _: Done = cx.call(first, order(10), LONG).await.unwrap();
            let event: TraceEvent = cx.expect_timeout(LONG).await.unwrap();
            assert_eq!(event.missed, 5);
            assert!(node.end_trace(first, cx.me()));
            assert!(!node.end_trace(first, cx.me()), "it is not followed any more");
            assert_eq!(node.traced(first), TraceFlags::NONE);
        })
        .await
        .unwrap();
    });
}

#[test]
fn what_cannot_be_traced_is_refused() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let process = clerk(&b);
        assert_eq!(a.trace(process, TraceFlags::ALL, None), Err(TraceError::NotHere(process)));
        let itself = b.trace(process, TraceFlags::ALL, Some(process));
        assert_eq!(itself, Err(TraceError::Itself(process)));
        // Two that follow each other are told nothing of being told.
        let (one, other) = (follower(&b), follower(&b));
        b.trace(one, TraceFlags::ALL, Some(other)).unwrap();
        b.trace(other, TraceFlags::ALL, Some(one)).unwrap();
        b.run("operator", move |cx| async move {
            let _: Events = cx.call(one, String::new(), LONG).await.unwrap();
            cx.sleep(QUIET).await;
            let of_one = cx.call::<_, Events>(other, String::new(), LONG).await.unwrap().0;
            let all = of_one.iter().all(|event| {
                !matches!(&event.what,
                Traced::Received { message, .. } if message.contains("TraceEvent"))
            });
            assert!(all && of_one.len() <= 4, "{of_one:?}");
        })
        .await
        .unwrap();
        b.kill(process, "enough");
        until(&b, || b.process(process).is_none()).await;
        assert_eq!(b.trace(process, TraceFlags::ALL, None), Err(TraceError::NoProcess(process)));
    });
}

//! What behaviours do with other processes and with timers, before and after their code is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use midflight_dsu::code_server::CodeServer;
use midflight_dsu::hash::ContentAddress;
use midflight_process::{Context, Down, ExitReason, Node, Pid, ProcessRef, Received};
use midflight_tests::errands::{Ask, Begin, Errand, News, Question};
use midflight_tests::steps::{self, run_version, stage};
use midflight_tests::teller::{self, TellLater};
use midflight_tests::world::{World, simulate};

use super::{MINUTE, SECOND};

/// Starts one that tells this process of everything.
fn errands(server: &CodeServer, cx: &Context) -> Pid {
    steps::start(server, "errands", &Begin { owner: cx.me() })
}

/// Two nodes, of which the first runs version 1.
async fn two(world: &World) -> (CodeServer, CodeServer) {
    let server = world.node("a", None).await;
    let other = world.node("b", Some("a")).await;
    run_version(world, &server, "errands-v1").await;
    (server, other)
}

/// Runs `client` on the first of two nodes, where version 2 is staged.
fn case<F>(
    client: impl Fn(Context, CodeServer, CodeServer, ContentAddress) -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(5, |world| {
        let client = client.clone();
        async move {
            let (server, other) = two(&world).await;
            let v2 = stage(&world, &server, "errands-v2").await;
            let node = server.node().clone();
            node.run("client", move |cx| client(cx, server, other, v2)).await.unwrap();
        }
    });
}

/// Runs `client` on the node of version 1, and then on another.
fn here_and_there<F>(client: impl Fn(Context, CodeServer) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(5, |world| {
        let client = client.clone();
        async move {
            let (server, other) = two(&world).await;
            for node in [server.node(), other.node()] {
                let (client, server) = (client.clone(), server.clone());
                node.run("client", move |cx| client(cx, server)).await.unwrap();
            }
        }
    });
}

/// What it says next, within `timeout`.
async fn news(cx: &Context, timeout: Duration) -> Option<String> {
    cx.expect_timeout::<News>(timeout).await.map(|news| news.text)
}

#[test]
fn a_behaviour_cancels_its_timers_also_in_new_code() {
    case(|cx, server, _, v2| async move {
        let (node, began) = (server.node(), cx.now());
        let (kept, cancelled) = (errands(&server, &cx), errands(&server, &cx));
        for pid in [kept, cancelled] {
            cx.send(pid, Errand::Remind(3 * SECOND)).await.unwrap();
        }
        cx.sleep(SECOND).await;
        assert_eq!(node.process(cancelled).unwrap().timers, 1);
        server.activate(v2).await.unwrap();
        cx.send(cancelled, Errand::Cancel).await.unwrap();
        assert_eq!(news(&cx, 10 * SECOND).await.unwrap(), "v2: it rings");
        assert_eq!(cx.now().since(began), 3 * SECOND);
        assert_eq!(node.process(cancelled).unwrap().timers, 0);
        // Once more: it is none any more.
        cx.send(cancelled, Errand::Cancel).await.unwrap();
        assert_eq!(news(&cx, 10 * SECOND).await, None, "it was cancelled");
    });
}

#[test]
fn a_behaviour_sets_timers_for_others_here_and_there() {
    here_and_there(|cx, server| async move {
        let began = cx.now();
        let pid = errands(&server, &cx);
        cx.send(pid, Errand::RemindOther(2 * SECOND, cx.me())).await.unwrap();
        assert_eq!(news(&cx, 10 * SECOND).await.unwrap(), "v1: a reminder");
        assert!(cx.now().since(began) >= 2 * SECOND);
        cx.send(pid, Errand::RemindOther(2 * SECOND, cx.me())).await.unwrap();
        cx.send(pid, Errand::Cancel).await.unwrap();
        assert_eq!(news(&cx, 10 * SECOND).await, None, "it was cancelled");
    });
}

/// A process that ends with an error of this text when it is told to.
fn mortal(node: &Node) -> Pid {
    let mortal = node.spawn("mortal", |cx| async move {
        let why: String = cx.expect().await;
        cx.die(ExitReason::Error(why)).await
    });
    mortal.unwrap()
}

#[test]
fn a_behaviour_watches_processes_and_may_stop_also_in_new_code() {
    case(|cx, server, other, v2| async move {
        let (here, there) = (server.node(), other.node());
        let pid = errands(&server, &cx);
        let targets = [mortal(here), mortal(here), mortal(there), mortal(there)];
        cx.sleep(SECOND).await;
        assert!(here.disconnect(there.id()), "it makes the link");
        // Not long, or gossip makes one.
        cx.sleep(Duration::from_millis(20)).await;
        for target in targets {
            cx.send(pid, Errand::Watch(target)).await.unwrap();
            cx.send(pid, Errand::Watch(target)).await.unwrap();
        }
        assert_eq!(news(&cx, SECOND).await, None, "all live, and are in reach");
        server.activate(v2).await.unwrap();
        for forgotten in [targets[1], targets[3]] {
            cx.send(pid, Errand::Unwatch(forgotten)).await.unwrap();
        }
        cx.sleep(SECOND).await;
        cx.reconnect(there.id());
        for target in targets {
            cx.send(target, String::from("why not")).await.unwrap();
            cx.sleep(SECOND).await;
        }
        // Once for each time that it has asked.
        for target in [targets[0], targets[0], targets[2], targets[2]] {
            let told = news(&cx, SECOND).await.unwrap();
            assert_eq!(told, format!("v2: {target} is down: {}", error("why not")));
        }
        assert_eq!(news(&cx, SECOND).await, None);
    });
}

fn error(why: &str) -> ExitReason {
    ExitReason::Error(why.into())
}

#[test]
fn a_behaviour_watches_nodes_and_may_stop() {
    case(|cx, server, other, v2| async move {
        let (here, there) = (server.node(), other.node().id());
        let (watches, stops) = (errands(&server, &cx), errands(&server, &cx));
        cx.sleep(SECOND).await;
        assert!(here.disconnect(there), "it makes the link");
        // Not long, or gossip makes one.
        cx.sleep(Duration::from_millis(20)).await;
        for pid in [watches, stops] {
            cx.send(pid, Errand::WatchNode(there)).await.unwrap();
        }
        assert_eq!(news(&cx, SECOND).await, None, "it is there");
        server.activate(v2).await.unwrap();
        cx.send(stops, Errand::UnwatchNode(there)).await.unwrap();
        cx.sleep(SECOND).await;
        assert!(here.disconnect(there));
        assert_eq!(news(&cx, SECOND).await.unwrap(), format!("v2: node {there} is down"));
        assert_eq!(news(&cx, SECOND).await, None, "once");
    });
}

#[test]
fn a_behaviour_links_unlinks_and_traps_exits_also_in_new_code() {
    case(|cx, server, other, v2| async move {
        let there = other.node();
        let (traps, unlinks, ends) =
            (errands(&server, &cx), errands(&server, &cx), errands(&server, &cx));
        let mortals = [mortal(there), mortal(there), mortal(there)];
        cx.send(traps, Errand::Trap(true)).await.unwrap();
        for (pid, target) in [traps, unlinks, ends].into_iter().zip(mortals) {
            cx.send(pid, Errand::Link(target)).await.unwrap();
            cx.monitor(pid).await;
        }
        cx.sleep(SECOND).await;
        server.activate(v2).await.unwrap();
        cx.send(unlinks, Errand::Unlink(mortals[1])).await.unwrap();
        cx.sleep(SECOND).await;
        for target in mortals {
            cx.send(target, String::from("why not")).await.unwrap();
        }
        let told = news(&cx, SECOND).await.unwrap();
        assert_eq!(told, format!("v2: {} has exited: {}", mortals[0], error("why not")));
        let down: Down = cx.expect_timeout(SECOND).await.unwrap();
        assert_eq!((down.process, down.reason), (ends, error("why not")));
        assert_eq!(cx.expect_timeout::<Down>(SECOND).await, None, "the others live");
        // And the other way round.
        let last = mortal(there);
        cx.send(unlinks, Errand::Link(last)).await.unwrap();
        cx.monitor(last).await;
        cx.exit(unlinks, error("ended")).await;
        let downs = [cx.expect::<Down>().await, cx.expect::<Down>().await];
        assert!(downs.iter().any(|down| down.process == last && down.reason == error("ended")));
    });
}

#[test]
fn a_behaviour_sends_to_typed_handles_and_to_names_here_and_there() {
    here_and_there(|cx, server| async move {
        let pid = errands(&server, &cx);
        cx.send(pid, Errand::Say(ProcessRef::new(cx.me()))).await.unwrap();
        assert_eq!(news(&cx, SECOND).await.unwrap(), "v1: hello");
        let here = cx.node().id() == server.node().id();
        let on = if here { None } else { Some(cx.node().id()) };
        // Nobody has it yet: it goes nowhere, and the process lives.
        cx.send(pid, Errand::SayTo("client".into(), on)).await.unwrap();
        assert_eq!(news(&cx, 5 * SECOND).await, None);
        cx.register("client").unwrap();
        cx.send(pid, Errand::SayTo("client".into(), on)).await.unwrap();
        assert_eq!(news(&cx, 5 * SECOND).await.unwrap(), "v1: hello");
        assert_eq!(news(&cx, 5 * SECOND).await.unwrap(), "v1: again");
        // In its place among what is sent by pid.
        cx.send(pid, Errand::SayTo("client".into(), on)).await.unwrap();
        cx.send(pid, Errand::Remind(Duration::ZERO)).await.unwrap();
        let told = [news(&cx, SECOND).await.unwrap(), news(&cx, SECOND).await.unwrap()];
        assert_eq!(told, ["v1: hello", "v1: it rings"]);
    });
}

#[test]
fn a_behaviour_calls_typed_handles_and_names_here_and_there() {
    simulate(5, |world| async move {
        let (server, other) = two(&world).await;
        for node in [server.node().clone(), other.node().clone()] {
            let oracle = node.spawn("oracle", |cx| async move {
                cx.register("oracle").unwrap();
                loop {
                    let Received { reply_to, .. } = cx.receive_one::<Question>().await;
                    reply_to.unwrap().reply(News { text: cx.node().name().to_owned() });
                }
            });
            let (oracle, server) = (oracle.unwrap(), server.clone());
            let (name, on) = (node.name().to_owned(), node.id());
            let near = server.node().clone();
            let client = near.run("client", move |cx| async move {
                let pid = errands(&server, &cx);
                let ask = async |process, name: &str, node| {
                    let ask = Ask { process, name: name.to_owned(), node, millis: 3_000 };
                    cx.call::<_, News>(pid, ask, MINUTE).await
                };
                let typed = Some(ProcessRef::new(oracle));
                assert_eq!(ask(typed, "", None).await.unwrap().text, name);
                assert_eq!(ask(None, "oracle", Some(on)).await.unwrap().text, name);
                assert_eq!(ask(None, "oracle", None).await.unwrap().text, "a");
                let began = cx.now();
                let gone = ask(None, "nobody", Some(on)).await.unwrap().text;
                assert_eq!(gone, "the process called is gone");
                assert!(cx.now().since(began) < SECOND, "nothing waits for a time-out");
            });
            client.await.unwrap();
        }
    });
}

#[test]
fn a_behaviour_may_choose_to_be_told_of_losses_also_before_new_code() {
    case(|cx, server, other, v2| async move {
        let came = Arc::new(AtomicUsize::new(0));
        let counts = came.clone();
        let counter = other.node().spawn("counter", |cx| async move {
            loop {
                cx.expect::<News>().await;
                counts.fetch_add(1, Ordering::Relaxed);
            }
        });
        let to = ProcessRef::new(counter.unwrap());
        let (here, there) = (server.node(), other.node().id());
        let come = || came.load(Ordering::Relaxed);
        let (first, late) = (errands(&server, &cx), errands(&server, &cx));
        // One has said so before it sends, one after.
        cx.send(first, Errand::AskAboutLosses(true)).await.unwrap();
        for pid in [first, late] {
            cx.send(pid, Errand::Say(to)).await.unwrap();
        }
        cx.send(late, Errand::AskAboutLosses(true)).await.unwrap();
        cx.sleep(SECOND).await;
        server.activate(v2).await.unwrap();
        assert!(here.disconnect(there));
        for _ in [first, late] {
            let told = news(&cx, SECOND).await.unwrap();
            assert_eq!(told, format!("v2: node {there} is disconnected"));
        }
        // Until it has accepted that, nothing goes there.
        cx.send(first, Errand::Say(to)).await.unwrap();
        assert_eq!((news(&cx, SECOND).await, come()), (None, 2));
        cx.send(first, Errand::Reconnect(there)).await.unwrap();
        cx.send(first, Errand::Say(to)).await.unwrap();
        assert_eq!((news(&cx, SECOND).await, come()), (None, 3));
        // And back to what all do: losses are accepted, those from before, too.
        for pid in [first, late] {
            cx.send(pid, Errand::AskAboutLosses(false)).await.unwrap();
        }
        cx.sleep(SECOND).await;
        assert!(here.disconnect(there));
        cx.sleep(SECOND).await;
        for pid in [first, late] {
            cx.send(pid, Errand::Say(to)).await.unwrap();
        }
        assert_eq!((news(&cx, SECOND).await, come()), (None, 5));
        assert_eq!(here.accepted_losses(), 1);
    });
}

#[test]
fn a_behaviour_that_has_no_handler_for_losses_accepts_those_of_its_timers_too() {
    simulate(5, |world| async move {
        let server = world.node("a", None).await;
        let other = world.node("b", Some("a")).await;
        run_version(&world, &server, "teller").await;
        let teller = steps::start(&server, "teller", &());
        let (near, far) = (server.node().clone(), other.node().id());
        let node = other.node().clone();
        let told = node.run("told", move |cx| async move {
            for _ in 0..3 {
                let to = cx.me();
                let client = near.run("client", move |cx| async move {
                    cx.send(teller, TellLater { to }).await.unwrap();
                });
                client.await.unwrap();
                cx.expect_timeout::<teller::News>(5 * SECOND).await.unwrap();
                assert!(near.disconnect(far));
                cx.sleep(SECOND).await;
            }
            assert!(near.dead_letters().is_empty(), "the notice is none of them");
        });
        told.await.unwrap();
    });
}

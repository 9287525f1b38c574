//! Messages, replies and states of other versions and forms, read by behaviours as functions read them.

use std::sync::Arc;

use clerk_v2::{Books, Later, Look, Nap, Relay, Relayed};
use midflight_dsu::code::Code;
use midflight_dsu::code_server::CodeServer;
use midflight_dsu::compare::{Outcome, Part, PartKind, compare};
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::switch::{SwitchLimits, Switcher};
use midflight_dsu::versions::Version;
use midflight_process::message::{Resolution, TypeInfo, resolve};
use midflight_process::{Context, Pid, RefusalKind, SendError, Undelivered};
use midflight_tests::clerk_v3;
use midflight_tests::compiled_format::code;
use midflight_tests::steps::{run_version, stage};
use midflight_tests::world::{World, simulate};

use super::updates::cluster;
use super::{MINUTE, SECOND};

fn clerk(server: &CodeServer) -> Pid {
    midflight_tests::steps::start(server, "clerk", &())
}

async fn look(cx: &Context, clerk: Pid) -> Books {
    cx.call(clerk, Look {}, MINUTE).await.unwrap()
}

fn books(notes: &[(&str, u64)], orders: &[u64], by: u32) -> Books {
    let notes = notes.iter().map(|(text, weight)| ((*text).to_owned(), *weight));
    Books { notes: notes.collect(), orders: orders.to_vec(), by }
}

fn old_note(text: &str) -> clerk_v1::Note {
    clerk_v1::Note { text: text.into(), weight: 7 }
}

fn new_note(body: &str) -> clerk_v2::Note {
    clerk_v2::Note { weight: u64::MAX, about: vec!["us".into()], body: body.into() }
}

fn old_order(pence: u64) -> clerk_v1::Order {
    clerk_v1::Order { item: "tea".into(), pence }
}

#[test]
fn what_lies_in_the_mailbox_is_read_in_the_form_in_which_each_was_written() {
    simulate(8, |world| async move {
        let a = world.node("a", None).await;
        let b = world.node("b", Some("a")).await;
        run_version(&world, &a, "clerk-v1").await;
        let v2 = stage(&world, &a, "clerk-v2").await;
        let clerk = clerk(&a);
        let asleep = a.node().run("asleep", move |cx| async move {
            cx.send(clerk, Later { text: "timer".into(), millis: 1_000 }).await.unwrap();
            cx.send(clerk, Nap { millis: 5_000 }).await.unwrap();
        });
        asleep.await.unwrap();
        // Each of the senders mixes the forms; between them no order is promised.
        let send = |from: &'static str| {
            move |cx: Context| async move {
                for n in 0..24 {
                    let text = format!("{from}{n}");
                    match n % 3 {
                        0 => cx.send(clerk, old_note(&text)).await.unwrap(),
                        1 => cx.send(clerk, new_note(&text)).await.unwrap(),
                        _ => cx.send(clerk, clerk_v3_note(&text)).await.unwrap(),
                    }
                }
                let order = cx.call::<_, clerk_v1::Receipt>(clerk, old_order(275), MINUTE).await;
                order.unwrap().number
            }
        };
        let here = a.node().run("here", send("here "));
        let there = b.node().run("there", send("there "));
        // While it is asleep all of them come.
        world.runtime.sleep(SECOND * 2).await;
        let activated = a.activate(v2).await.unwrap();
        assert_eq!(activated, 1);
        let mut numbers = [here.await.unwrap(), there.await.unwrap()];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        let read = a.node().run("reader", move |cx| async move { look(&cx, clerk).await });
        let books = read.await.unwrap();
        assert_eq!((books.by, &*books.orders), (2, &[275, 275][..]));
        let with = |what: &'static str| books.notes.iter().filter(move |it| it.0.starts_with(what));
        for from in ["here ", "there "] {
            let expected = (0..24).map(|n| match n % 3 {
                0 => (format!("{from}{n} to everyone"), 7),
                1 => (format!("{from}{n} to us"), u64::MAX),
                _ => (format!("{from}{n} to everyone"), 9),
            });
            assert!(with(from).cloned().eq(expected), "{from}: {:?}", books.notes);
        }
        assert_eq!(with("timer").count(), 1, "{:?}", books.notes);
        assert_eq!(books.notes.len(), 49);
        assert_eq!(a.node().dead_letters().len(), 0);
    });
}

fn clerk_v3_note(text: &str) -> clerk_v3::Note {
    clerk_v3::Note { text: text.into(), weight: 9 }
}

#[test]
fn what_nothing_bridges_is_told_to_the_sender_with_its_field() {
    simulate(3, |world| async move {
        let a = world.node("a", None).await;
        let b = world.node("b", Some("a")).await;
        run_version(&world, &a, "clerk-v1").await;
        let clerk = clerk(&a);
        let told = b.node().run("newer", move |cx| async move {
            cx.send(clerk, new_note("news")).await.unwrap();
            let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
            assert_eq!((notice.to, notice.kind), (clerk, RefusalKind::Incompatible));
            assert_eq!((&*notice.type_name, notice.field.as_deref()), ("clerk.Note", Some("text")));
            // From then on it is told at once.
            let Err(SendError::Incompatible { mismatch, .. }) =
                cx.send(clerk, new_note("again")).await
            else {
                panic!("it was sent")
            };
            assert_eq!(mismatch.field_path, "text");
            let order = clerk_v2::Order { item: "tea".into(), price: (1, 0) };
            let called = cx.call::<_, clerk_v2::Receipt>(clerk, order, MINUTE).await;
            let error = called.unwrap_err();
            let mismatch = error.mismatch().unwrap();
            assert_eq!((&*mismatch.theirs, &*mismatch.ours), ("version 2", "version 1"));
            look(&cx, clerk).await
        });
        assert_eq!(told.await.unwrap(), books(&[], &[], 1));
        assert_eq!(a.node().dead_letters().len(), 2);
    });
}

#[test]
fn a_conversion_that_refuses_is_told_and_one_that_panics_ends_the_process() {
    simulate(3, |world| async move {
        let a = world.node("a", None).await;
        run_version(&world, &a, "clerk-v3").await;
        let clerk = clerk(&a);
        let node = a.node().clone();
        let called = node.run("caller", move |cx| async move {
            let order = |item: &str| clerk_v1::Order { item: item.into(), pence: 5 };
            let refused = cx.call::<_, clerk_v3::Receipt>(clerk, order("nothing"), MINUTE).await;
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("version 2 to 3 refused it: nothing is ordered"), "{text}");
            cx.send(clerk, clerk_v1::Note { text: "heavy".into(), weight: 256 }).await.unwrap();
            let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
            assert!(notice.reason.contains("field `weight`: 256"), "{}", notice.reason);
            let taken = cx.call::<_, clerk_v3::Receipt>(clerk, order("tea"), MINUTE).await;
            assert_eq!(taken.unwrap().number, "1");
            assert_eq!(look(&cx, clerk).await.orders, [5]);
            cx.call::<_, clerk_v3::Receipt>(clerk, order("horror"), MINUTE).await.unwrap_err()
        });
        let error = called.await.unwrap();
        assert!(error.to_string().contains("the horror"), "{error}");
        assert!(node.process(clerk).is_none());
    });
}

/// What is predicted of a cast and of a call, each from what both sides say of themselves.
fn predicted(from: &dyn Code, to: &dyn Code) -> (bool, bool) {
    let behaviour = |code: &dyn Code| code.description().behaviours[0].clone();
    let (from, to) = (behaviour(from), behaviour(to));
    let accept = |name: &str| to.accepts.iter().find(|it| it.message.name() == name).unwrap();
    let can = |written: &TypeInfo, read: &TypeInfo| {
        !matches!(resolve(written, read), Resolution::Incompatible(_))
    };
    let call = &from.calls[0];
    let order = accept("clerk.Order");
    let called =
        can(&call.message, &order.message) && can(order.reply.as_ref().unwrap(), &call.reply);
    (can(&from.sends[0], &accept("clerk.Note").message), called)
}

#[test]
fn casts_and_calls_between_all_pairs_of_versions_do_what_is_predicted() {
    const VERSIONS: [&str; 3] = ["clerk-v1", "clerk-v2", "clerk-v3"];
    simulate(2, |world: World| async move {
        let mut nodes = Vec::new();
        for (node, version) in cluster(&world).await.into_iter().zip(VERSIONS) {
            run_version(&world, &node, version).await;
            nodes.push((node, code(version)));
        }
        let mut seen = Vec::new();
        for (near, from) in &nodes {
            for (far, to) in &nodes {
                let (relay, receiver) = (clerk(near), clerk(far));
                let told = near.node().run("client", move |cx| async move {
                    let relayed = Relay { to: receiver, item: "tea".into() };
                    let Relayed { receipt } = cx.call(relay, relayed, MINUTE).await.unwrap();
                    let books = look(&cx, receiver).await;
                    (books.notes.len() == 1, receipt)
                });
                let (cast, called) = told.await.unwrap();
                let what = (from.description().behaviours[0].code_version, called.clone());
                assert_eq!((cast, called.is_ok()), predicted(&**from, &**to), "{what:?}");
                seen.push((cast, called.is_ok()));
            }
        }
        // Of every kind there is one.
        for kind in [(true, true), (true, false), (false, false)] {
            assert!(seen.contains(&kind), "{seen:?}");
        }
    });
}

#[test]
fn the_check_says_how_each_part_is_read() {
    let (v1, v2, v3) = (code("clerk-v1"), code("clerk-v2"), code("clerk-v3"));
    let of = |old: &Arc<dyn Code>, new: &Arc<dyn Code>| {
        compare(old.description(), new.description()).parts
    };
    let part = |parts: &[Part], kind, name: &str| {
        parts.iter().find(|it| (it.kind, &*it.name) == (kind, name)).unwrap().clone()
    };
    let up = of(&v1, &v2);
    assert_eq!(part(&up, PartKind::Message, "clerk.Note").outcome, Outcome::Structural);
    assert_eq!(part(&up, PartKind::Message, "clerk.Order").outcome, Outcome::Conversion);
    assert_eq!(part(&up, PartKind::Reply, "clerk.Receipt").outcome, Outcome::Structural);
    assert_eq!(part(&up, PartKind::State, "clerk").outcome, Outcome::Structural);
    let down = of(&v2, &v1);
    let reason = |part: Part| match part.outcome {
        Outcome::Incompatible(conflict) => conflict.type_and_field().map(|(_, it)| it.to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(part(&down, PartKind::Message, "clerk.Note")).unwrap(), "text");
    assert_eq!(reason(part(&down, PartKind::Message, "clerk.Order")).unwrap(), "");
    let narrower = part(&of(&v2, &v3), PartKind::Message, "clerk.Note");
    let risk = narrower.risk.unwrap().to_string();
    assert_eq!(risk, "field `weight`: the number does not fit into u8");
    let chain = part(&of(&v1, &v3), PartKind::Message, "clerk.Order");
    assert_eq!(chain.outcome, Outcome::Conversion);
    assert!(chain.risk.unwrap().condition.contains("from clerk.Order@2 to clerk.Order@3 refuses"));
}

#[test]
fn a_state_in_another_form_goes_over_and_back_and_so_does_probation() {
    simulate(3, |world| async move {
        let a = world.node("a", None).await;
        let v1 = run_version(&world, &a, "clerk-v1").await;
        let clerk = clerk(&a);
        let node = a.node().clone();
        let fill = node.run("fill", move |cx| async move {
            cx.send(clerk, old_note("first")).await.unwrap();
            cx.call::<_, clerk_v1::Receipt>(clerk, old_order(5), MINUTE).await.unwrap();
        });
        fill.await.unwrap();
        run_version(&world, &a, "clerk-v2").await;
        // The new code takes one order, and fails at the next.
        let failed = node.run("caller", move |cx| async move {
            assert_eq!(look(&cx, clerk).await, books(&[("first", 7)], &[5], 2));
            let good = cx.call::<_, clerk_v1::Receipt>(clerk, old_order(6), MINUTE).await;
            assert_eq!(good.unwrap().number, 2);
            let nothing = clerk_v1::Order { item: "nothing".into(), pence: 7 };
            let back = cx.call::<_, clerk_v1::Receipt>(clerk, nothing, MINUTE).await;
            assert_eq!(back.unwrap().number, 3, "the old code handles it");
            look(&cx, clerk).await
        });
        assert_eq!(failed.await.unwrap(), books(&[("first", 7)], &[5, 6, 7], 1));
        // By hand to and fro once more.
        let version =
            |address: ContentAddress| -> Arc<Version> { a.versions().get(address).unwrap() };
        let v2 = a.current("clerk").unwrap();
        let switcher = Switcher::new(node.clone(), a.versions().clone(), SwitchLimits::default());
        for (to, by) in [(v2, 2), (v1, 1)] {
            switcher.switch(clerk, &version(to)).await.unwrap();
            let there = node.run("looks", move |cx| async move { look(&cx, clerk).await });
            assert_eq!(there.await.unwrap(), books(&[("first", 7)], &[5, 6, 7], by));
        }
        // And to a version that converts from the first, whose form it has not quite.
        let v3 = stage_only(&world, &a, "clerk-v3").await;
        switcher.switch(clerk, &version(v3)).await.unwrap();
        let there = node.run("looks", move |cx| async move { look(&cx, clerk).await });
        assert_eq!(there.await.unwrap(), books(&[("first", 7)], &[5, 6, 7], 3));
    });
}

/// A version that may not take the place of the one that runs, by its messages.
async fn stage_only(world: &World, server: &CodeServer, name: &str) -> ContentAddress {
    let address = midflight_tests::compiled_format::bundle(name, &world.key).0.address();
    let (node, versions) = (server.node(), server.versions());
    versions.add(Version::new(node, "clerk", 3, address, code(name)));
    address
}

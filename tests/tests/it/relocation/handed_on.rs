//! What is handed on to a process that has moved is as if it had been sent there: answered, read, refused.

use midflight_dsu::code_server::CodeServer;
use midflight_process::CallError;
use midflight_process::message::Message;
use midflight_tests::errands::{Begin, Errand, News};
use midflight_tests::recorder::{Ask, Notes};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::{World, simulate};
use serde::{Deserialize, Serialize};
use waiter::{Asked, Flag};

use super::{MINUTE, SECOND, add, nodes};

#[test]
fn a_call_that_is_refused_where_the_process_has_gone_is_told_who_made_it() {
    simulate(20, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        a.relocate(counter, b.node().id()).await.unwrap();
        for server in [&a, &b, &c] {
            let refused = server.node().run("client", move |cx| async move {
                let began = cx.now();
                let refused = cx.call::<_, Asked>(counter, Flag { up: true }, MINUTE).await;
                assert!(cx.now().since(began) < SECOND, "it is told at once");
                refused.unwrap_err()
            });
            let refused = refused.await.unwrap();
            assert!(matches!(refused, CallError::Refused { .. }), "{refused:?}");
        }
        assert_eq!(b.node().dead_letters().len(), 3);
        let client = c.node().run("client", move |cx| async move { add(&cx, counter, 1).await });
        assert_eq!(client.await.unwrap().total, 1);
    });
}

#[test]
fn a_timer_for_a_name_goes_along_and_looks_it_up_where_it_was_set() {
    simulate(10, |world| async move {
        let [a, b] = nodes(&world).await;
        run_version(&world, &a, "errands-v1").await;
        let node = a.node().clone();
        let hears = node.run("hears", move |cx| async move {
            a.node().register("hears", cx.me()).unwrap();
            let errands = start(&a, "errands", &Begin { owner: cx.me() });
            for and_back in [false, true] {
                cx.send(errands, Errand::SayTo("hears".into(), None)).await.unwrap();
                assert_eq!(cx.expect::<News>().await.text, "v1: hello");
                a.relocate(errands, b.node().id()).await.unwrap();
                if and_back {
                    b.relocate(errands, a.node().id()).await.unwrap();
                }
                let again: Option<News> = cx.expect_timeout(MINUTE).await;
                assert_eq!(again.map(|news| news.text).as_deref(), Some("v1: again"));
                if !and_back {
                    b.relocate(errands, a.node().id()).await.unwrap();
                }
            }
        });
        hears.await.unwrap();
    });
}

/// A [`recorder::Note`](midflight_tests::recorder::Note) as another program has it.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "recorder.Note", version = 1)]
struct LongNote {
    by: u32,
    number: u64,
    why: String,
}

#[test]
fn what_has_another_form_is_read_where_its_sender_has_no_link_to() {
    simulate(10, |world| async move {
        let [a, b, c] = nodes(&world).await;
        run_version(&world, &a, "recorder").await;
        let recorder = start(&a, "recorder", &());
        a.relocate(recorder, b.node().id()).await.unwrap();
        let [to_c, to_b] = [&c, &b].map(|server| server.node().id());
        let has = |server: &CodeServer, to| server.node().peers().iter().any(|it| it.id == to);
        let is_linked = || has(&b, to_c) || has(&c, to_b);
        world.hub.cut(&World::address("n1"), &World::address("n2"));
        b.node().disconnect(to_c);
        c.node().disconnect(to_b);
        world.until(MINUTE, "the link is lost", || !is_linked()).await;
        world.hub.set_delay(3 * SECOND / 1_000);
        let client = c.node().run("client", move |cx| async move {
            let note = LongNote { by: 0, number: 1, why: "for the test".into() };
            cx.send(recorder, note).await.unwrap();
            let notes: Notes = cx.call(recorder, Ask {}, MINUTE).await.unwrap();
            assert_eq!(notes.all, [(0, 1)]);
        });
        client.await.unwrap();
        assert!(!is_linked());
    });
}

//! What is handed on to a process that has moved is as if it had been sent there: answered, read, refused.

use midflight_process::CallError;
use midflight_tests::errands::{Begin, Errand, News};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::simulate;
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

//! What a behaviour does not take is refused at once, and a behaviour hears of its own messages that
//! were not taken.

use midflight_process::message::Message;
use midflight_process::{RefusalKind, Undelivered};
use midflight_tests::steps;
use midflight_tests::teller::{Ask, Heard, Tell};
use midflight_tests::world::simulate;
use serde::{Deserialize, Serialize};

use super::{SECOND, run, start};

/// No waiter takes it.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "teller.Wrong", version = 1)]
struct Wrong {}

/// The teller's idea of it has a text.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "teller.News", version = 1)]
struct News {
    text: u64,
}

#[test]
fn a_message_of_a_wrong_type_does_not_wait_for_ever() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "waiter-v1").await;
        let waiter = start(&server);
        for sender in [server.node().clone(), world.node("b", Some("a")).await.node().clone()] {
            let client = sender.run("client", move |cx| async move {
                cx.send(waiter, Wrong {}).await.unwrap();
                let notice: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
                assert_eq!((notice.to, notice.kind), (waiter, RefusalKind::NotAccepted));
                assert_eq!(notice.type_name, "teller.Wrong");
            });
            client.await.unwrap();
        }
        assert_eq!(server.node().dead_letters().len(), 2);
        assert_eq!(server.node().process(waiter).unwrap().mailbox, 0);
    });
}

#[test]
fn a_behaviour_hears_of_its_messages_that_were_not_taken() {
    simulate(3, |world| async move {
        let server = world.node("a", None).await;
        run(&world, &server, "teller").await;
        let mut start = Vec::new();
        midflight_process::message::encode(&(), &mut start).unwrap();
        let teller = server.start("teller", &start).unwrap();
        let there = world.node("b", Some("a")).await.node().clone();
        let reader = |node: &midflight_process::Node| {
            let reader = node.spawn("reader", |cx| async move {
                cx.expect::<News>().await;
            });
            reader.unwrap()
        };
        let readers = [reader(server.node()), reader(&there)];
        let letters = [server.node().clone(), there];
        let client = server.node().run("client", move |cx| async move {
            let mut expected = Vec::new();
            for reader in readers {
                // The first is refused by its receiver, the second where it is sent.
                for _ in 0..2 {
                    cx.send(teller, Tell { to: reader }).await.unwrap();
                    expected.push((reader, "teller.News".into(), Some("text".into())));
                    loop {
                        let heard: Heard = cx.call(teller, Ask {}, SECOND).await.unwrap();
                        if heard.undelivered.len() == expected.len() {
                            let heard = heard.undelivered.into_iter().map(|(to, name, field)| {
                                let field = field.map(|path| path.replace("News.", ""));
                                (to, name, field)
                            });
                            assert_eq!(heard.collect::<Vec<_>>(), expected);
                            break;
                        }
                    }
                }
            }
        });
        client.await.unwrap();
        assert_eq!(letters.map(|node| node.dead_letters().len()), [1, 1]);
        // One that does not want to hear has it logged, and goes on.
        run(&world, &server, "waiter-v1").await;
        let waiter = steps::start(&server, "waiter", &waiter::Begin::default());
        let reader = server.node().spawn("reader", |cx| async move {
            #[derive(Debug, Serialize, Deserialize, Message)]
            #[message(name = "waiter.Question", version = 1)]
            struct Question {
                of: u64,
            }
            cx.expect::<Question>().await;
        });
        let reader = reader.unwrap();
        let client = server.node().run("client", move |cx| async move {
            for _ in 0..3 {
                let told = cx.call(waiter, waiter::Tell { to: reader }, SECOND).await;
                assert_eq!(told.map(|asked: waiter::Asked| asked.how).unwrap(), "told");
            }
        });
        client.await.unwrap();
    });
}

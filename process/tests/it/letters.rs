//! Dead letters: looked at, sent again, thrown away.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{
    Down, ExitReason, Limits, Node, Pid, RedeliverError, Refusal, Undelivered,
};
use serde::{Deserialize, Serialize};

use super::world::simulate;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "shop.Order", version = 1)]
struct Order {
    id: u64,
    note: String,
}

/// What the shop takes for an order.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "shop.Order", version = 1)]
struct ShopOrder {
    id: u64,
    cents: u64,
}

/// A shop that reads no order of ours.
fn shop(node: &Node) -> Pid {
    let shop = node.spawn("shop", |cx| async move {
        loop {
            cx.receive_one::<ShopOrder>().await.reply_to.unwrap().reply(());
        }
    });
    shop.unwrap()
}

/// Has an order refused by a shop on `there`.
async fn refused(a: &Node, there: &Node) -> Pid {
    let shop = shop(there);
    a.run("customer", move |cx| async move {
        cx.send(shop, Order { id: 7, note: "soon".into() }).await.unwrap();
        let _: Undelivered = cx.expect_timeout(SECOND).await.unwrap();
    })
    .await
    .unwrap();
    shop
}

/// The shop serves an order it can read: then it has seen all that came before.
async fn serve(node: &Node, shop: Pid) {
    let served = node.run("customer", move |cx| async move {
        cx.call::<_, ()>(shop, ShopOrder { id: 1, cents: 2 }, SECOND).await.unwrap();
    });
    served.await.unwrap();
}

/// A process that reads orders, and tells what came and by which letter.
async fn desk(node: &Node) -> (Pid, futures_channel::oneshot::Receiver<(Order, Option<u64>)>) {
    let (tell, told) = futures_channel::oneshot::channel();
    let desk = node.spawn("desk", |cx| async move {
        let received = cx.receive_one::<Order>().await;
        assert!(received.from.is_none() && received.reply_to.is_none());
        tell.send((received.message, received.again.map(|letter| letter.get()))).unwrap();
    });
    (desk.unwrap(), told)
}

#[test]
fn a_letter_shows_its_message_field_by_field() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for there in [&a, &b] {
            let shop = refused(&a, there).await;
            let letters = there.dead_letters();
            assert_eq!(letters.len(), 1);
            let letter = there.dead_letter(letters[0].id).unwrap();
            assert_eq!((letter.to, letter.version, letter.again), (shop, 1, None));
            assert_eq!(letter.fingerprint, Order::type_info().fingerprint());
            assert!(matches!(letter.refusal, Refusal::Incompatible(_)));
            let text = there.render(&letter).await.unwrap();
            assert_eq!(text, "shop.Order {\n    id: 7,\n    note: \"soon\",\n}");
        }
    });
}

#[test]
fn a_letter_is_sent_again_marked_here_and_to_another_node() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for to in [&b, &a] {
            refused(&a, &b).await;
            let letter = b.dead_letters()[0].id;
            let (desk, told) = desk(to).await;
            assert_eq!(b.redeliver(letter, Some(desk)), Ok(desk));
            let order = Order { id: 7, note: "soon".into() };
            assert_eq!(told.await.unwrap(), (order, Some(letter.get())));
            assert!(b.dead_letters().is_empty(), "it is kept no longer");
            assert_eq!(b.redeliver(letter, Some(desk)), Err(RedeliverError::NoLetter(letter)));
        }
    });
}

#[test]
fn a_letter_refused_again_is_a_new_one_that_says_so() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let to = refused(&a, &b).await;
        let first = b.dead_letters()[0].id;
        assert_eq!(b.redeliver(first, None), Ok(to));
        // One on another node, too.
        let there = shop(&a);
        serve(&b, to).await;
        let second = b.dead_letters().pop().unwrap();
        assert_eq!((second.again, second.from), (Some(first), None));
        assert_eq!(b.redeliver(second.id, Some(there)), Ok(there));
        // From outside any process too, so on the same lane.
        a.whereis_on(b.id(), "nobody").await.unwrap();
        serve(&a, there).await;
        let third = a.dead_letters().pop().unwrap();
        assert_eq!((third.again, third.from, third.to), (Some(second.id), None, there));
        assert!(matches!(third.refusal, Refusal::Incompatible(_)), "{}", third.refusal);
    });
}

#[test]
fn what_cannot_be_sent_again_is_kept() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let to = refused(&a, &b).await;
        let letter = b.dead_letters()[0].id;
        a.run("undertaker", move |cx| async move {
            cx.monitor(to).await;
            cx.exit(to, ExitReason::Error("the end".into())).await;
            let _: Down = cx.expect().await;
        })
        .await
        .unwrap();
        assert_eq!(b.redeliver(letter, None), Err(RedeliverError::NoProcess(to)));
        let nowhere = Pid { node: midflight_process::NodeId(1), ..to };
        let unreachable = Err(RedeliverError::NotConnected(nowhere));
        assert_eq!(b.redeliver(letter, Some(nowhere)), unreachable);
        assert_eq!(b.dead_letters().len(), 1);
        assert!(b.drop_dead_letter(letter).is_some());
        assert!(b.drop_dead_letter(letter).is_none());
        assert_eq!(b.clear_dead_letters(), 0);
    });
}

#[test]
fn letters_of_a_node_are_bounded() {
    simulate(|world| async move {
        let b = world.node_with("b", Limits { dead_letters: 3, ..Limits::default() }).await;
        for _ in 0..5 {
            refused(&b, &b).await;
        }
        let totals = b.dead_letter_totals();
        assert_eq!((totals.letters, totals.lost), (3, 2));
        let kept: Vec<_> = b.dead_letters().iter().map(|letter| letter.id.get()).collect();
        assert_eq!(kept, [3, 4, 5]);
    });
}

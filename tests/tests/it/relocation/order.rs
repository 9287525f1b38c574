//! What a pair sends keeps its order while the receiver moves, wherever the sender is: nothing is called, so that
//! nobody waits for anything.

use futures_util::future::join_all;
use midflight_dsu::code_server::CodeServer;
use midflight_process::{Baggage, Context, Disconnected, Moved, Pid, SendError};
use midflight_tests::recorder::{Ask, Note, Notes};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::simulate;

use super::{MINUTE, SECOND, nodes};

const NUMBERS: u64 = 1_000;

/// Sends its numbers, as fast as they are taken.
async fn sends(cx: Context, recorder: Pid, by: u32) {
    for number in 1..=NUMBERS {
        cx.send(recorder, Note { by, number }).await.unwrap();
        if number % 10 == 0 {
            // Others have a turn, and the moves theirs.
            cx.sleep(SECOND / 1_000).await;
        }
    }
}

/// Starts one sender on each of these nodes; ends when all have sent everything.
async fn all_send(servers: &[CodeServer], recorder: Pid) {
    let senders = (0..)
        .zip(servers)
        .map(|(by, server)| server.node().run("sender", move |cx| sends(cx, recorder, by)));
    assert!(join_all(senders).await.iter().all(Option::is_some));
}

/// Waits a minute for what so many have sent, and looks at the order of each sender's.
async fn all_came_in_order(server: &CodeServer, recorder: Pid, senders: u32) {
    let node = server.node().clone();
    let came = node.run("asks", move |cx| async move {
        let mut notes = Notes { all: Vec::new() };
        for _ in 0..60 {
            notes = cx.call(recorder, Ask {}, MINUTE).await.unwrap();
            if notes.all.len() as u64 >= u64::from(senders) * NUMBERS {
                break;
            }
            cx.sleep(SECOND).await;
        }
        notes.all
    });
    let came = came.await.unwrap();
    for by in 0..senders {
        let of: Vec<u64> = came.iter().filter(|note| note.0 == by).map(|note| note.1).collect();
        let wrong = (1..=NUMBERS).zip(&of).find(|(number, came)| number != *came);
        assert_eq!((wrong, of.len() as u64), (None, NUMBERS), "of {by}");
    }
}

#[test]
fn who_sends_from_where_a_process_comes_to_is_heard_in_order() {
    simulate(20, |world| async move {
        let servers: [CodeServer; 3] = nodes(&world).await;
        run_version(&world, &servers[0], "recorder").await;
        let recorder = start(&servers[0], "recorder", &());
        world.hub.set_delay(3 * SECOND / 1_000);
        world.hub.set_reorder(true);
        let moves = async {
            for (from, to) in [(0, 1), (1, 2), (2, 1)] {
                let to = servers[to].node().id();
                servers[from].relocate(recorder, to).await.unwrap();
                world.runtime.sleep(SECOND / 100).await;
            }
        };
        futures_util::join!(all_send(&servers, recorder), moves);
        all_came_in_order(&servers[1], recorder, 3).await;
    });
}

#[test]
fn a_move_that_is_called_off_loses_nothing_of_who_sends_from_where_it_was_to_go() {
    simulate(20, |world| async move {
        let servers: [CodeServer; 2] = nodes(&world).await;
        run_version(&world, &servers[0], "recorder").await;
        let recorder = start(&servers[0], "recorder", &());
        world.hub.set_delay(3 * SECOND / 1_000);
        world.hub.set_reorder(true);
        let moves = async {
            let [holder, target] = [0, 1].map(|at: usize| servers[at].node());
            let moved = Moved { pid: recorder, epoch: 1, lived_on: vec![holder.id()], attempt: 1 };
            for _ in 0..10 {
                let lodging = target.lodge(&moved, Baggage::default(), holder.id()).unwrap();
                world.runtime.sleep(SECOND / 1_000).await;
                drop(lodging);
                world.runtime.sleep(SECOND / 1_000).await;
            }
        };
        futures_util::join!(all_send(&servers, recorder), moves);
        all_came_in_order(&servers[0], recorder, 2).await;
    });
}

#[test]
fn who_has_sent_by_a_home_that_is_gone_accepts_the_loss_before_it_goes_another_way() {
    simulate(20, |world| async move {
        let [home, host, other] = nodes(&world).await;
        run_version(&world, &home, "recorder").await;
        let recorder = start(&home, "recorder", &());
        home.relocate(recorder, host.node().id()).await.unwrap();
        let client = other.node().run("client", move |cx| async move {
            let note = |number| Note { by: 0, number };
            cx.send(recorder, note(1)).await.unwrap();
            let _: Notes = cx.call(recorder, Ask {}, MINUTE).await.unwrap();
            home.node().shutdown().await;
            assert_eq!(cx.expect::<Disconnected>().await.node, home.node().id());
            let refused = cx.send(recorder, note(2)).await.unwrap_err();
            assert!(matches!(refused, SendError::Disconnected(_)), "{refused}");
            assert!(cx.reconnect(recorder));
            cx.send(recorder, note(3)).await.unwrap();
            let notes: Notes = cx.call(recorder, Ask {}, MINUTE).await.unwrap();
            assert_eq!(notes.all, [(0, 1), (0, 3)]);
        });
        client.await.unwrap();
    });
}

//! Moves that are called off: nothing of them is left, and the process goes on where it was.

use midflight_process::{Baggage, LinkLost, Moved, NotLodged};
use midflight_tests::steps::{run_version, start};
use midflight_tests::world::simulate;

use super::{MINUTE, SECOND, add, nodes};

#[test]
fn a_move_that_is_called_off_before_it_has_come_does_not_come_and_the_next_one_does() {
    simulate(5, |world| async move {
        let [a, b] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let (counter, holder) = (start(&a, "counter", &()), a.node().id());
        let moved = |attempt| Moved { pid: counter, epoch: 1, lived_on: vec![holder], attempt };
        let lodge = |attempt| b.node().lodge(&moved(attempt), Baggage::default(), holder);
        b.node().unlodge(&moved(1), holder);
        assert_eq!(lodge(1).unwrap_err(), NotLodged::CalledOff);
        let lodging = lodge(2).unwrap();
        assert_eq!((b.node().metrics().guests, lodging.pid()), (1, counter));
        b.node().unlodge(&moved(1), holder);
        assert_eq!(b.node().metrics().guests, 1, "another attempt");
        b.node().unlodge(&moved(2), holder);
        assert_eq!(b.node().metrics().guests, 0);
        drop(lodging);
        a.relocate(counter, b.node().id()).await.unwrap();
        assert!(b.node().holds(counter));
    });
}

#[test]
fn a_process_is_not_given_up_over_another_link_than_it_was_offered_by() {
    simulate(5, |world| async move {
        let [a, b] = nodes(&world).await;
        run_version(&world, &a, "counter-v1").await;
        let counter = start(&a, "counter", &());
        let (node, to) = (a.node().clone(), b.node().id());
        let frozen = node.freeze(counter, world.runtime.now() + SECOND).await.unwrap();
        let mut packed = frozen.pack().unwrap();
        assert!(packed.offer(to));
        // What was set aside for it there is forgotten with the link, whatever comes after.
        assert!(node.disconnect(to));
        world
            .until(MINUTE, "the link is lost", || !node.peers().iter().any(|peer| peer.id == to))
            .await;
        node.connect_node(to).await.unwrap();
        let refused = packed.give_up(counter).map(drop).unwrap_err();
        assert_eq!(refused, LinkLost);
        assert!(node.holds(counter));
        let client = node.run("client", move |cx| async move { add(&cx, counter, 1).await });
        assert_eq!(client.await.unwrap().total, 1);
        a.relocate(counter, to).await.unwrap();
    });
}

//! Entries that are woken, and those that are given up.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Wake};
use std::time::Duration;

use midflight_runtime::SimRuntime;
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;

use super::*;
use crate::peer::wire::Place;
use crate::{Context, Function, Limits, Node, Pid, TrySendError};

/// How often one may give up.
const OFTEN: u32 = 100_000;

/// A waker like no other.
#[derive(Default)]
struct Counts(AtomicU32);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_waits_is_woken_once_in_order_and_who_does_not_is_not() {
    let waiters = Waiters::default();
    waiters.wake();
    let counts: [Arc<Counts>; 3] = Default::default();
    let [first, second, third] =
        counts.each_ref().map(|counts| waiters.enter(&counts.clone().into()));
    drop(second);
    assert_eq!(waiters.len(), 2);
    waiters.wake();
    // Who was woken has no entry left, and the number of none is used again.
    let again = waiters.enter(&counts[1].clone().into());
    drop((first, third));
    assert_eq!(waiters.len(), 1);
    waiters.wake();
    drop(again);
    waiters.wake();
    assert_eq!(counts.map(|counts| counts.0.load(Ordering::Relaxed)), [1, 1, 1]);
}

/// Begins to wait, and gives up.
fn give_up<F: Future>(future: F) {
    let waker = Arc::new(Counts::default()).into();
    let polled = pin!(future).poll(&mut TaskContext::from_waker(&waker));
    assert!(polled.is_pending(), "there was room");
}

/// All who wait for room for `to`, wherever they are entered.
fn waiting(node: &Node, to: Pid) -> usize {
    let (inner, place) = (&node.inner, Place::of(to));
    if let Some(peer) = inner.peer(to.node) {
        return peer.waiting() + peer.accounts.waiting(place);
    }
    let slot = inner.table.slot(place.index).unwrap().lock();
    slot.rare.as_ref().map_or(0, |rare| rare.room.len())
}

fn fill(cx: &Context, to: Pid) {
    loop {
        match cx.try_send(to, [7_u8; 32].to_vec()) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn waits_for_room_that_are_given_up_leave_nothing() {
    const NEVER: Function<Vec<u8>> = Function::new("test.never");
    let sim = SimRuntime::new(0);
    let (hub, runtime) = (Hub::new(0), sim.handle());
    sim.run(1_000_000, async move {
        let limits = Limits { window_messages: 4, mailbox_messages: 4, ..Limits::default() };
        let transport = hub.transport(runtime.clone());
        let start = |name| {
            let address = Address::new("mem", name).unwrap();
            let never = |_: Context, _| std::future::pending::<()>();
            let builder = Node::builder(name).listen(address).limits(limits.clone());
            builder.function(&NEVER, never).start(&transport, runtime.clone())
        };
        let (a, b) = (start("a").await.unwrap(), start("b").await.unwrap());
        let there = a.connect(&Address::new("mem", "b").unwrap()).await.unwrap();
        for node in [a.clone(), b.clone()] {
            let deaf = node.spawn("deaf", |_| std::future::pending::<()>()).unwrap();
            let outside = a.clone();
            let gives_up = a.run("gives up", move |cx| async move {
                fill(&cx, deaf);
                for _ in 0..OFTEN {
                    give_up(cx.send(deaf, vec![1_u8]));
                    give_up(outside.send(deaf, vec![1_u8]));
                }
                // One that still waits is there, in each of its lists.
                let mut waits = Box::pin(cx.send(deaf, vec![1_u8]));
                assert!(futures_util::poll!(&mut waits).is_pending());
                assert_ne!(waiting(cx.node(), deaf), 0);
                drop(waits);
                assert_eq!(waiting(cx.node(), deaf), 0);
            });
            gives_up.await.unwrap();
        }
        // Starts wait for room that all of them share.
        hub.set_delay(Duration::from_secs(1));
        let starts = a.run("starts", move |cx| async move {
            let begin = || cx.spawn_on(there, NEVER, vec![1_u8]);
            let mut under_way: Vec<_> = (0..4).map(|_| Box::pin(begin())).collect();
            for start in &mut under_way {
                assert!(futures_util::poll!(start).is_pending());
            }
            let peer = cx.node().inner.peer(there).unwrap();
            let waiting = || peer.waiting() + peer.accounts.waiting(Place::NOBODY);
            assert_eq!(waiting(), 0, "these have room");
            let mut waits = Box::pin(begin());
            assert!(futures_util::poll!(&mut waits).is_pending());
            assert_eq!(waiting(), 2);
            for _ in 0..OFTEN {
                give_up(begin());
            }
            assert_eq!(waiting(), 2);
        });
        starts.await.unwrap();
    })
    .unwrap();
}

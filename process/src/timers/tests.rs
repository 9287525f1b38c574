//! What waiting leaves on the wheels.

use std::time::Duration;

use futures_util::future::{join_all, select};
use midflight_runtime::{Instant, SimRuntime};
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;

use super::expiry::{Interval, What};
use crate::destination::OwnedAddress;
use crate::mailbox::envelope::Content;
use crate::{Context, Down, Node, TimerRef};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

impl Node {
    /// Entries on all wheels.
    fn waits(&self) -> usize {
        self.inner.timers.shards.iter().map(|shard| shard.state.lock().wheel.len()).sum()
    }
}

/// Runs `scenario` with a node of its own, simulated.
fn on_a_node<F: Future<Output = ()> + Send + 'static>(
    scenario: impl FnOnce(Node) -> F + Send + 'static,
) {
    let sim = SimRuntime::new(7);
    let (hub, runtime) = (Hub::new(0), sim.handle());
    sim.run(10_000_000, async move {
        let builder = Node::builder("a").listen(Address::new("mem", "a").unwrap());
        let node = builder.start(&hub.transport(runtime.clone()), runtime).await.unwrap();
        scenario(node).await;
    })
    .unwrap();
}

/// They keep to their beat, and what was missed does not come in a bunch.
#[test]
fn the_tick_after_a_late_one_is_the_next_of_its_beat() {
    let interval = Interval::new(SECOND, Box::new(|| Content::Value(Box::new(0_u64))));
    let due = Instant::from_nanos(0) + HOUR;
    for (late, next) in [(0, 1_000), (1, 1_000), (999, 1_000), (1_000, 2_000), (3_500, 4_000)] {
        let at = due + Duration::from_millis(late);
        assert_eq!(interval.next(due, at), due + Duration::from_millis(next), "{late} ms late");
    }
}

async fn echo(cx: Context) {
    loop {
        let received = cx.receive_one::<u64>().await;
        if let Some(caller) = received.reply_to {
            caller.reply(received.message);
        }
    }
}

#[test]
fn calls_that_are_answered_in_time_leave_one_alarm_and_a_process_that_ends_none() {
    on_a_node(|node| async move {
        let (echo, before) = (node.spawn("echo", echo).unwrap(), node.waits());
        let calls = move |cx: Context| async move {
            for n in 0..1_000 {
                assert_eq!(cx.call::<u64, u64>(echo, n, HOUR).await.unwrap(), n);
                assert_eq!(cx.node().waits(), before + 1);
                if n % 10 == 0 {
                    // An earlier wait moves it, and has it ring.
                    cx.expect_timeout::<u64>(SECOND).await;
                    assert_eq!(cx.node().waits(), before);
                }
            }
        };
        node.run("calls", calls).await.unwrap();
        assert_eq!(node.waits(), before);
    });
}

#[test]
fn parts_of_a_process_wait_each_for_its_own_and_leave_nothing() {
    on_a_node(|node| async move {
        let before = node.waits();
        let parts = |cx: Context| async move {
            let began = cx.now();
            // So many that each is polled by a waker of its own.
            let mut waits = Vec::new();
            for n in (1..=100).rev() {
                let cx = &cx;
                waits.push(async move {
                    cx.sleep(n * SECOND).await;
                    cx.now().since(began)
                });
            }
            let given_up = waits.split_off(50);
            let ended = join_all(waits).await;
            assert_eq!(ended, (51..=100).rev().map(|n| n * SECOND).collect::<Vec<_>>());
            let given_up = select(join_all(given_up), Box::pin(cx.sleep(SECOND)));
            drop(given_up.await);
        };
        node.run("parts", parts).await.unwrap();
        assert_eq!(node.waits(), before);
    });
}

/// A process that has moved brings along timers whose numbers another node has chosen.
#[test]
fn timers_of_two_processes_under_one_number_have_nothing_to_do_with_each_other() {
    on_a_node(|node| async move {
        let idle = |_| node.spawn("idle", |cx: Context| async move { cx.sleep(HOUR).await });
        let idle: Vec<_> = (0..16).map(|n| idle(n).unwrap()).collect();
        let timers = idle.iter().map(|pid| {
            let what = What::Send(Content::Value(Box::new(0_u64)));
            let timer = TimerRef::new(*pid, 5);
            node.inner.set_named_timer(timer, SECOND, OwnedAddress::Pid(*pid), what).unwrap();
            timer
        });
        let timers: Vec<_> = timers.collect();
        assert!(node.inner.cancel_timer(timers[0]).is_some());
        assert!(node.inner.cancel_timer(timers[0]).is_none());
        let ended = idle[1];
        let kills = move |cx: Context| async move {
            cx.monitor(ended).await;
            cx.kill(ended, "it ends with its timers").await;
            cx.expect::<Down>().await;
        };
        node.run("kills", kills).await.unwrap();
        assert!(node.inner.read_timer(timers[1]).is_none());
        for timer in &timers[2..] {
            assert!(node.inner.read_timer(*timer).is_some(), "another's is set still");
            assert!(node.inner.cancel_timer(*timer).is_some());
        }
    });
}

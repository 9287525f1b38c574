//! A node that restarts is another node (P1).

use std::time::Duration;

use midflight_process::{CallError, Down, ExitReason, SendError};

use crate::world::{World, simulate};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_restarted_node_is_another_and_what_is_sent_to_the_one_before_is_told() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let server = |cx: midflight_process::Context| async move {
            loop {
                cx.expect::<u64>().await;
            }
        };
        let old = b.spawn("server", server).unwrap();
        let first = b.id();
        let (told, tells) = futures_channel::oneshot::channel();
        let watched = a.spawn("watcher", move |cx| async move {
            cx.monitor(old).await;
            let down: Down = cx.expect().await;
            assert_eq!(cx.expect_timeout::<Down>(SECOND).await, None, "told twice");
            let _ = told.send(down.reason);
        });
        watched.unwrap();
        b.shutdown().await;
        drop(b);
        let b = world.node("b").await;
        let new = b.spawn("server", server).unwrap();
        assert_ne!(b.id(), first);
        assert_eq!((new.index, new.generation), (old.index, old.generation), "the same place");
        a.connect(&World::address("b")).await.unwrap();
        a.run("sender", move |cx| async move {
            cx.send(new, 1_u64).await.unwrap();
            let told = cx.send(old, 2_u64).await.unwrap_err();
            assert!(matches!(told, SendError::Unreachable { to, .. } if to == old), "{told}");
            let told = cx.call::<u64, u64>(old, 3, SECOND).await.unwrap_err();
            assert!(matches!(told, CallError::NotSent(SendError::Unreachable { .. })), "{told}");
            assert!(cx.try_send(old, 4_u64).is_err());
            cx.monitor(old).await;
            let down: Down = cx.expect().await;
            assert!(matches!(down.reason, ExitReason::NoConnection(_)), "{}", down.reason);
        })
        .await
        .unwrap();
        let reason = tells.await.unwrap();
        assert!(matches!(reason, ExitReason::NoConnection(_)), "{reason}");
    });
}

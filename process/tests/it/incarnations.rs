//! A node that restarts is another node (P1).

use std::time::Duration;

use midflight_process::{CallError, Context, Down, ExitReason, Exited, SendError};

use super::world::{QUIET, World, simulate, until};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_restarted_node_is_another_and_what_is_sent_to_the_one_before_is_told() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let server = |cx: Context| async move {
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
            assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None, "told twice");
            let _ = told.send(down.reason);
        });
        watched.unwrap();
        until(&b, || b.process(old).is_none_or(|info| info.watchers > 0)).await;
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
        assert_eq!(reason, ExitReason::Shutdown);
    });
}

#[test]
fn a_node_that_is_shut_down_says_so_for_its_processes() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        // It is called once it is watched and linked.
        let (calls, called) = futures_channel::oneshot::channel();
        let idle = |cx: Context| async move {
            let _caller = cx.receive_one::<u64>().await.reply_to;
            let _ = calls.send(());
            std::future::pending::<()>().await;
        };
        let server = b.spawn("server", idle).unwrap();
        let (told, tells) = futures_channel::oneshot::channel();
        let watcher = a.spawn("watcher", move |cx| async move {
            cx.trap_exits(true);
            cx.monitor(server).await;
            cx.link(server).await;
            let call = cx.call::<u64, u64>(server, 1, 3_600 * SECOND).await;
            let down: Down = cx.expect().await;
            let exited: Exited = cx.expect().await;
            let _ = told.send((call.unwrap_err().to_string(), down.reason, exited.reason));
        });
        watcher.unwrap();
        called.await.unwrap();
        b.shutdown().await;
        let (call, down, exited) = tells.await.unwrap();
        assert!(call.contains("without a reply"), "{call}");
        assert_eq!((down, exited), (ExitReason::Shutdown, ExitReason::Shutdown));
    });
}

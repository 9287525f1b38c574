//! Calls: request, reply, deadline, refusal.

use std::time::Duration;

use midflight_process::{CallError, Refusal};

use super::world::{simulate, took};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_call_is_replied_to_or_told_why_not() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        for server in [a.clone(), b] {
            let doubler = server.spawn("doubler", |cx| async move {
                loop {
                    let received = cx.receive_one::<u64>().await;
                    let reply_to = received.reply_to.unwrap();
                    match received.message {
                        0 => drop(reply_to),
                        1 => std::mem::forget(reply_to),
                        2 => panic!("two"),
                        n => reply_to.reply(n * 2),
                    }
                }
            });
            let doubler = doubler.unwrap();
            a.run("caller", move |cx| async move {
                for n in 3..50 {
                    assert_eq!(cx.call::<u64, u64>(doubler, n, SECOND).await.unwrap(), n * 2);
                }
                let dropped = cx.call::<u64, u64>(doubler, 0, SECOND).await.unwrap_err();
                assert!(dropped.to_string().contains("without a reply"), "{dropped}");
                let before = cx.now();
                let silent = cx.call::<u64, u64>(doubler, 1, SECOND).await;
                assert!(matches!(silent, Err(CallError::TimedOut { .. })));
                assert!(took(cx.now().since(before), SECOND));
                let panicked = cx.call::<u64, u64>(doubler, 2, SECOND).await.unwrap_err();
                assert!(matches!(
                    panicked,
                    CallError::Refused { refusal: Refusal::Aborted { .. }, .. }
                ));
                let dead = cx.call::<u64, u64>(doubler, 9, SECOND).await.unwrap_err();
                let no_process =
                    matches!(dead, CallError::Refused { refusal: Refusal::NoProcess, .. });
                assert!(no_process, "{dead}");
            })
            .await
            .unwrap();
        }
    });
}

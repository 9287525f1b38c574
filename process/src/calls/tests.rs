//! What a call leaves behind.

use std::time::Duration;

use midflight_runtime::SimRuntime;
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;

use crate::{Node, PendingReply};

const SECOND: Duration = Duration::from_secs(1);

/// Neither with who asked nor with the node, which could not tell a reply that comes in a week from one that
/// never does.
#[test]
fn a_call_that_is_given_up_or_too_late_leaves_nothing() {
    let sim = SimRuntime::new(7);
    let (hub, runtime) = (Hub::new(0), sim.handle());
    sim.run(1_000_000, async move {
        let transport = hub.transport(runtime.clone());
        let address = |name| Address::new("mem", name).unwrap();
        let a = Node::builder("a").listen(address("a")).start(&transport, runtime.clone());
        let b = Node::builder("b").listen(address("b")).start(&transport, runtime.clone());
        let (a, b) = (a.await.unwrap(), b.await.unwrap());
        a.connect(&address("b")).await.unwrap();
        let deaf = b.spawn("deaf", |_| std::future::pending::<()>()).unwrap();
        let asks = a.run("asks", move |cx| async move {
            let peer = cx.node.inner.peer(deaf.node).unwrap();
            let asked: PendingReply<u64> = cx.send_request(deaf, 1_u64, SECOND).await.unwrap();
            let given_up = asked.awaited.guard.call;
            drop(asked);
            let asked: PendingReply<u64> = cx.send_request(deaf, 1_u64, SECOND).await.unwrap();
            let late = asked.awaited.guard.call;
            asked.await.unwrap_err();
            for call in [given_up, late] {
                assert!(peer.pending.take_call(call).is_none(), "the node waits for it still");
            }
            assert!(cx.shared.lock().calls.is_empty(), "a place for a reply is kept");
        });
        asks.await.unwrap();
    })
    .unwrap();
}

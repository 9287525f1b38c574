//! Pings, and notices silence: drives the kernel of the same name.

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Handle, Instant, timeout_at};
use midflight_transport_api::{Heartbeat, LinkLoss, LossKind};

use crate::link::StreamLink;

/// Runs until the link has ended.
pub(crate) async fn run(link: Arc<StreamLink>, bound: Duration, runtime: Handle) {
    let now = || Duration::from_nanos(runtime.now().as_nanos());
    let mut heartbeat = Heartbeat::new(bound, link.peer_bound, now());
    loop {
        let (heard, sent) = link.heard_and_sent();
        let beat = heartbeat.look(now(), heard, sent);
        if beat.ping {
            link.outbox.ping();
        }
        if beat.silent {
            let detail = format!("nothing was heard for {bound:?}");
            link.outbox.fail(LinkLoss::new(LossKind::Silent, detail));
        }
        let next = Instant::default() + beat.next;
        let fate = std::future::poll_fn(|cx| link.outbox.poll_fate(cx));
        if timeout_at(&*runtime, next, fate).await.is_ok() {
            return;
        }
    }
}

//! The tasks of one side of a link: reader, writer, heartbeat.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use midflight_runtime::{Handle, Instant, timeout_at};
use midflight_transport_api::{
    Address, Batch, Control, Heartbeat, Incoming, LinkEvent, LinkLoss, LinkSink, LossKind, Taken,
};

use crate::Hub;
use crate::endpoint::Local;
use crate::link::Side;

/// Shows the link to the acceptor, gives its events, and tells its loss.
pub(crate) async fn read(hub: Hub, local: Arc<Local>, side: Arc<Side>) {
    let mut sink = local.acceptor.link_up(side.clone());
    side.set_up();
    hub.changed();
    let mut incoming = Incoming::new(local.settings.limits.max_message);
    let loss = loop {
        match next(&side, &mut *sink).await {
            Err(loss) => break loss,
            // The peer has said goodbye, and we are about to.
            Ok(None) if incoming.is_over() => {
                break std::future::poll_fn(|cx| side.outbox.poll_fate(cx)).await;
            }
            Ok(None) => {
                side.outbox.fail(LinkLoss::new(LossKind::Broken, "the peer broke it off"));
            }
            Ok(Some(batch)) => {
                side.heard.store(side.now().as_nanos(), Ordering::Relaxed);
                let mut control = |control| match control {
                    Control::Ping => side.outbox.pong(),
                    Control::Bye if side.outbox.bye_heard() => side.limit_close(),
                    _ => {}
                };
                let fed = incoming.feed(&batch, &mut *sink, &mut control);
                sink.batch_end();
                if let Err(violation) = fed {
                    side.outbox.fail(violation.into());
                }
            }
        }
    };
    sink.event(LinkEvent::Lost(loss));
    sink.batch_end();
    drop(sink);
    hub.with(|_| local.links.lock().remove(&side.peer_address()));
    hub.changed();
}

/// The next batch, when the sink takes one; none when the wire has ended.
async fn next(side: &Side, sink: &mut dyn LinkSink) -> Result<Option<Bytes>, LinkLoss> {
    let mut ready = false;
    std::future::poll_fn(|cx| {
        if side.outbox.is_lost()
            && let Poll::Ready(loss) = side.outbox.poll_fate(cx)
        {
            return Poll::Ready(Err(loss));
        }
        ready = ready || sink.poll_ready(cx).is_ready();
        if side.paused.swap(!ready, Ordering::Relaxed) {
            side.heard.store(side.now().as_nanos(), Ordering::Relaxed);
        }
        if ready && let Poll::Ready(batch) = side.wire.poll_next(cx) {
            return Poll::Ready(Ok(batch));
        }
        side.outbox.poll_fate(cx).map(Err)
    })
    .await
}

/// Carries batches to the other side, in order, past cuts and delays.
pub(crate) async fn write(hub: Hub, address: Address, side: Arc<Side>, other: Arc<Side>) {
    let mut batch = Batch::new();
    let peer = side.peer_address();
    loop {
        let taken = std::future::poll_fn(|cx| side.outbox.poll_take(cx, &mut batch)).await;
        // A lost link's news are held up by a cut like everything else.
        if taken == Taken::End {
            open_path(&hub, &address, &peer, &other).await;
            other.wire.end();
            hub.changed();
            return;
        }
        let delay = hub.with(|hub| hub.delay());
        if !delay.is_zero() {
            let until = side.now() + delay;
            side.sleep_until(until).await;
        }
        open_path(&hub, &address, &peer, &other).await;
        let room = std::future::poll_fn(|cx| {
            if side.outbox.is_lost() {
                return Poll::Ready(());
            }
            match other.wire.poll_room(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => side.outbox.poll_fate(cx).map(|_| ()),
            }
        });
        room.await;
        if !side.outbox.is_lost() {
            other.wire.push(batch.to_bytes());
            side.sent.store(side.now().as_nanos(), Ordering::Relaxed);
        }
    }
}

/// Ends when the path is not cut, or when the other side does not care any more.
async fn open_path(hub: &Hub, here: &Address, there: &Address, other: &Side) {
    hub.until(|hub| (!hub.is_cut(here, there) || other.outbox.is_lost()).then_some(())).await;
}

/// Pings, and notices silence.
pub(crate) async fn heartbeat(
    side: Arc<Side>,
    bound: Duration,
    peer_bound: Duration,
    runtime: Handle,
) {
    let since_start = |instant: Instant| Duration::from_nanos(instant.as_nanos());
    let mut heartbeat = Heartbeat::new(bound, peer_bound, since_start(runtime.now()));
    loop {
        let excused = side.paused.load(Ordering::Relaxed) || side.outbox.is_bye_heard();
        if excused || !side.wire.is_empty() {
            side.heard.store(runtime.now().as_nanos(), Ordering::Relaxed);
        }
        let heard = Duration::from_nanos(side.heard.load(Ordering::Relaxed));
        let sent = Duration::from_nanos(side.sent.load(Ordering::Relaxed));
        let beat = heartbeat.look(since_start(runtime.now()), heard, sent);
        if beat.ping {
            side.outbox.ping();
        }
        if beat.silent {
            let detail = format!("nothing was heard for {bound:?}");
            side.outbox.fail(LinkLoss::new(LossKind::Silent, detail));
        }
        let next = Instant::from_nanos(u64::try_from(beat.next.as_nanos()).unwrap_or(u64::MAX));
        let fate = std::future::poll_fn(|cx| side.outbox.poll_fate(cx));
        if timeout_at(&*runtime, next, fate).await.is_ok() {
            return;
        }
    }
}

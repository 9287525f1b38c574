//! Reads, and gives what came to the link's sink; it alone owns the sink, and so tells the loss.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use midflight_transport_api::frame::{FRAGMENT_MAX, HEADER_LEN};
use midflight_transport_api::{Control, Incoming, LinkEvent, LinkLoss, LinkSink, LossKind};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use crate::link::StreamLink;
use crate::shared::{Links, Shared};
use crate::turn::Turn;

/// Bytes read into the buffer at once while a message comes in fragments: enough for the head of the next
/// and whatever small there is between them, and little of what has a place of its own to be read to.
const AMID_FRAGMENTS: usize = 8 * 1024;

/// Bytes read at once after the end of a link: mostly there are none.
const SCRAP: usize = 512;

/// What was read and is not used up yet.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// With room for the longest frame, and `first` in it.
    fn new(len: usize, first: &[u8]) -> Self {
        let len = len.max(FRAGMENT_MAX + HEADER_LEN).max(first.len());
        let mut bytes = vec![0; len];
        bytes[..first.len()].copy_from_slice(first);
        Self { bytes, start: 0, end: first.len() }
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn use_up(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room to read into; what is left of a frame moves to the front when there is little.
    fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }
}

/// Shows the link to the acceptor, gives its events, and tells its loss.
pub(crate) async fn run(
    shared: Arc<Shared>,
    link: Arc<StreamLink>,
    mut read: impl AsyncRead + Unpin,
    first: Vec<u8>,
) {
    let mut sink = shared.acceptor.link_up(link.clone());
    shared.change(|_| link.set_up());
    let mut buffer = Buffer::new(shared.config.read_buffer, &first);
    drop(first);
    let mut incoming = Incoming::new(shared.config.limits.max_message);
    let mut turn = Turn::default();
    let mut came = 0;
    let loss = loop {
        give(&link, &mut buffer, &mut incoming, &mut *sink);
        turn.take(came).await;
        match next(&link, &mut read, &mut buffer, &mut incoming, &mut *sink).await {
            Next::Lost(loss) => break loss,
            Next::Read(Ok(count)) if count > 0 => {
                if link.heard_now() {
                    shared.change(|_| ());
                }
                came = count;
            }
            // The peer has said goodbye, and we are about to: however its stream ends, it is no loss.
            Next::Read(_) if incoming.is_over() => {
                break std::future::poll_fn(|cx| link.outbox.poll_fate(cx)).await;
            }
            Next::Read(Ok(_)) => {
                link.outbox.fail(LinkLoss::new(LossKind::Broken, "the peer closed the stream"));
            }
            Next::Read(Err(error)) => {
                let detail = format!("cannot read: {error}");
                link.outbox.fail(LinkLoss::new(LossKind::Broken, detail));
            }
        }
    };
    let peer = &link.canonical;
    match loss.kind {
        LossKind::Closed | LossKind::Cut => tracing::debug!(%peer, %loss, "link ended"),
        _ => shared.mourn(peer, &loss),
    }
    let agreed = loss.kind == LossKind::Closed;
    sink.event(LinkEvent::Lost(loss));
    sink.batch_end();
    drop(sink);
    drop(buffer);
    let lingers = shared.change(|links| {
        links.remove(peer);
        agreed && links.linger()
    });
    if lingers {
        link.limit_end(linger(read)).await;
        shared.change(Links::lingered);
    }
}

/// Takes what still comes until the peer has ended its stream.
///
/// A socket that is closed with something unread, or that gets something afterwards, is reset, and what
/// it has not yet sent is thrown away: our last messages and our bye, to a peer that reads slowly. What comes
/// here is no message, but a carrier may have an end of its own to say, as TLS has its `close_notify`.
/// (RFC 9112, section 9.6, has web servers do the same.)
async fn linger(mut read: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut scrap = vec![0; SCRAP];
    while read.read(&mut scrap).await? > 0 {}
    Ok(())
}

/// Gives every whole frame.
fn give(link: &StreamLink, buffer: &mut Buffer, incoming: &mut Incoming, sink: &mut dyn LinkSink) {
    // What came after the link was broken here is nobody's any more.
    if buffer.filled().is_empty() || link.outbox.is_lost() {
        return;
    }
    let mut control = |control| match control {
        Control::Ping => link.outbox.pong(),
        Control::Bye if link.outbox.bye_heard() => link.limit_close(),
        _ => {}
    };
    match incoming.feed(buffer.filled(), sink, &mut control) {
        Ok(used) => buffer.use_up(used),
        Err(violation) => {
            link.outbox.fail(violation.into());
        }
    }
    sink.batch_end();
}

enum Next {
    Lost(LinkLoss),
    Read(io::Result<usize>),
}

/// Reads once, when the sink takes more; or says that the link has ended.
async fn next(
    link: &StreamLink,
    read: &mut (impl AsyncRead + Unpin),
    buffer: &mut Buffer,
    incoming: &mut Incoming,
    sink: &mut dyn LinkSink,
) -> Next {
    let mut ready = false;
    std::future::poll_fn(|cx| {
        if link.outbox.is_lost()
            && let Poll::Ready(loss) = link.outbox.poll_fate(cx)
        {
            return Poll::Ready(Next::Lost(loss));
        }
        ready = ready || sink.poll_ready(cx).is_ready();
        link.set_paused(!ready);
        if ready && let Poll::Ready(count) = poll_read(read, buffer, incoming, sink, cx) {
            return Poll::Ready(Next::Read(count));
        }
        link.outbox.poll_fate(cx).map(Next::Lost)
    })
    .await
}

/// Reads to the place of a long message's bytes, or into the buffer.
fn poll_read(
    read: &mut (impl AsyncRead + Unpin),
    buffer: &mut Buffer,
    incoming: &mut Incoming,
    sink: &mut dyn LinkSink,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if let Some(mut room) = incoming.room() {
        let count = ready!(pin!(read.read_buf(&mut room)).poll(cx))?;
        incoming.came(count, sink);
        sink.batch_end();
        return Poll::Ready(Ok(count));
    }
    let room = buffer.room();
    let len =
        if incoming.is_amid_fragments() { room.len().min(AMID_FRAGMENTS) } else { room.len() };
    let mut room = ReadBuf::new(&mut room[..len]);
    ready!(Pin::new(read).poll_read(cx, &mut room))?;
    let count = room.filled().len();
    buffer.end += count;
    Poll::Ready(Ok(count))
}

//! Writes what the outbox holds: all of it at once, as soon as the last write is done.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Buf as _;
use midflight_transport_api::{Batch, LinkLoss, LossKind, Taken};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::link::StreamLink;
use crate::turn::Turn;

/// Runs until the link has ended, or has said goodbye; then the socket's sending side is closed.
pub(crate) async fn run(link: Arc<StreamLink>, mut write: impl AsyncWrite + Unpin, first: Vec<u8>) {
    let (mut batch, mut turn) = (Batch::new(), Turn::default());
    let begins = async {
        write.write_all(&first).await?;
        write.flush().await
    };
    let mut wrote = unless_lost(&link, begins).await;
    loop {
        match wrote {
            None => return,
            Some(Err(error)) => {
                link.outbox.fail(LinkLoss::new(LossKind::Broken, format!("cannot write: {error}")));
                return;
            }
            Some(Ok(())) => link.sent_now(),
        }
        match std::future::poll_fn(|cx| link.outbox.poll_take(cx, &mut batch)).await {
            Taken::Batch => {
                turn.take(batch.remaining()).await;
                let writes = async {
                    write.write_all_buf(&mut batch).await?;
                    // A carrier that encrypts may still hold some of it.
                    write.flush().await
                };
                wrote = unless_lost(&link, writes).await;
            }
            Taken::End => {
                // A carrier that says goodbye itself may find no room for it.
                link.limit_end(write.shutdown()).await;
                return;
            }
        }
    }
}

/// Awaits `write`, but not when the link has ended: a peer that does not read must not hold it.
async fn unless_lost(
    link: &StreamLink,
    write: impl Future<Output = io::Result<()>>,
) -> Option<io::Result<()>> {
    let mut write = pin!(write);
    std::future::poll_fn(|cx| match write.as_mut().poll(cx) {
        Poll::Ready(wrote) => Poll::Ready(Some(wrote)),
        Poll::Pending => link.outbox.poll_fate(cx).map(|_| None),
    })
    .await
}

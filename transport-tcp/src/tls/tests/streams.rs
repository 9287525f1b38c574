//! Streams, with rustls's own session on the other side.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use midflight_transport_stream::Stream;
use rustls::ContentType;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::super::configs::Configs;
use super::super::handshake::{accept, connect};
use super::{limited, localhost, pattern, sealed, sessions, sockets, usual};

type Client = client::TlsStream<TcpStream>;
type Server = server::TlsStream<TcpStream>;

/// We have dialled.
async fn dialled(configs: &Configs) -> (Stream, Server) {
    let (dialled, accepted) = sockets().await;
    let theirs = TlsAcceptor::from(configs.server.clone()).accept(accepted);
    let (ours, theirs) =
        tokio::join!(connect(configs.client.clone(), localhost(), dialled), theirs);
    (ours.unwrap(), theirs.unwrap())
}

/// We have accepted.
async fn accepted(configs: &Configs) -> (Stream, Client) {
    let (dialled, accepted) = sockets().await;
    let theirs = TlsConnector::from(configs.client.clone()).connect(localhost(), dialled);
    let (ours, theirs) = tokio::join!(accept(configs.server.clone(), accepted), theirs);
    (ours.unwrap(), theirs.unwrap())
}

/// Writes so much on one side and reads it on the other.
async fn carry(
    write: &mut (impl AsyncWrite + Unpin + ?Sized),
    read: &mut (impl AsyncRead + Unpin + ?Sized),
    len: usize,
) {
    let (bytes, mut came) = (pattern(len), vec![0; len]);
    let writes = async {
        write.write_all(&bytes).await.unwrap();
        write.flush().await.unwrap();
    };
    tokio::join!(writes, async { read.read_exact(&mut came).await.unwrap() });
    assert!(came == bytes);
}

#[tokio::test]
async fn both_ways_with_either_side() {
    let configs = usual();
    let (mut ours, mut theirs) = dialled(&configs).await;
    let (mut ours_too, mut theirs_too) = accepted(&configs).await;
    for len in [1, 16_384, 16_385, 3_000_000] {
        carry(&mut ours.write, &mut theirs, len).await;
        carry(&mut theirs, &mut ours.read, len).await;
        carry(&mut ours_too.write, &mut theirs_too, len).await;
        carry(&mut theirs_too, &mut ours_too.read, len).await;
    }
}

/// rustls takes and gives new keys when they are spent, and so do we.
#[tokio::test]
async fn keys_that_are_spent_are_renewed() {
    let configs = limited(6);
    let (mut ours, mut theirs) = dialled(&configs).await;
    let (mut ours_too, mut theirs_too) = accepted(&configs).await;
    carry(&mut ours.write, &mut theirs, 1 << 20).await;
    carry(&mut theirs, &mut ours.read, 1 << 20).await;
    carry(&mut theirs_too, &mut ours_too.read, 1 << 20).await;
    carry(&mut ours_too.write, &mut theirs_too, 1 << 20).await;
}

#[tokio::test]
async fn a_peer_that_wants_new_keys_gets_them() {
    let configs = usual();
    let (mut ours, mut theirs) = dialled(&configs).await;
    let (mut ours_too, mut theirs_too) = accepted(&configs).await;
    // More often than without data between would be borne.
    for _ in 0..100 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        theirs_too.get_mut().1.refresh_traffic_keys().unwrap();
        carry(&mut theirs, &mut ours.read, 100).await;
        carry(&mut ours.write, &mut theirs, 100).await;
        carry(&mut theirs_too, &mut ours_too.read, 100).await;
        carry(&mut ours_too.write, &mut theirs_too, 100).await;
    }
}

/// Ours are spent while the peer wants new ones and takes new ones itself.
#[tokio::test]
async fn both_sides_take_new_keys_at_once() {
    let (mut ours, mut theirs) = dialled(&limited(6)).await;
    for _ in 0..50 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
        let (mut read, mut write) = tokio::io::split(&mut theirs);
        tokio::join!(
            carry(&mut ours.write, &mut read, 100_000),
            carry(&mut write, &mut ours.read, 100_000)
        );
    }
}

#[tokio::test]
async fn new_keys_without_end_are_refused() {
    let (mut ours, mut theirs) = dialled(&usual()).await;
    for _ in 0..33 {
        theirs.get_mut().1.refresh_traffic_keys().unwrap();
    }
    // If they were not, this would be an end.
    theirs.shutdown().await.unwrap();
    let error = ours.read.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
}

#[tokio::test]
async fn tickets_change_nothing() {
    let mut configs = usual();
    let mut server = (*configs.server).clone();
    server.send_tls13_tickets = 4;
    configs.server = Arc::new(server);
    let (mut ours, mut theirs) = dialled(&configs).await;
    carry(&mut theirs, &mut ours.read, 100).await;
    carry(&mut ours.write, &mut theirs, 100).await;
}

#[tokio::test]
async fn only_a_goodbye_is_an_end() {
    let configs = usual();
    let (mut ours, mut theirs) = dialled(&configs).await;
    theirs.write_all(b"last").await.unwrap();
    theirs.shutdown().await.unwrap();
    let mut came = Vec::new();
    ours.read.read_to_end(&mut came).await.unwrap();
    assert_eq!(came, b"last");

    let (mut ours, mut theirs) = dialled(&configs).await;
    theirs.write_all(b"last").await.unwrap();
    theirs.flush().await.unwrap();
    drop(theirs);
    let mut came = Vec::new();
    let error = ours.read.read_to_end(&mut came).await.unwrap_err();
    assert_eq!((error.kind(), &came[..]), (io::ErrorKind::UnexpectedEof, &b"last"[..]));

    let (mut ours, mut theirs) = dialled(&configs).await;
    ours.write.write_all(b"ours").await.unwrap();
    ours.write.shutdown().await.unwrap();
    came.clear();
    theirs.read_to_end(&mut came).await.unwrap();
    assert_eq!(came, b"ours");
    assert_eq!(ours.write.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn an_alert_is_an_error_and_stays_one() {
    let (client, mut server) = sessions(&usual()).await;
    let mut ours = client.into_stream();
    let alert = server.sealer.record(ContentType::Alert, (&[2, 80][..]).into()).unwrap();
    server.socket.write_all(&alert).await.unwrap();
    for _ in 0..2 {
        let error = ours.read.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("InternalError"), "{error}");
    }
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_record_is_none() {
    let (client, mut server) = sessions(&usual()).await;
    let mut ours = client.into_stream();
    let record = sealed(&mut server.sealer, b"data", 10);
    server.socket.write_all(&record[..record.len() - 1]).await.unwrap();
    drop(server.socket);
    let error = ours.read.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
}

/// What the socket had no room for goes before the goodbye.
#[tokio::test]
async fn a_goodbye_waits_for_what_was_written_before() {
    let (mut ours, mut theirs) = dialled(&usual()).await;
    let (chunk, mut wrote) = (pattern(60_000), 0);
    let full = poll_fn(|cx| {
        while let Poll::Ready(count) = Pin::new(&mut ours.write).poll_write(cx, &chunk) {
            assert_eq!(count.unwrap(), chunk.len());
            wrote += chunk.len();
        }
        Poll::Ready(())
    });
    full.await;
    let mut came = Vec::new();
    let (ended, read) = tokio::join!(ours.write.shutdown(), theirs.read_to_end(&mut came));
    ended.unwrap();
    assert_eq!(read.unwrap(), wrote, "and a goodbye behind it");
    assert!(came.chunks(chunk.len()).all(|came| came == chunk));
}

/// Who says something that was not protected is told so, by an alert that is.
#[tokio::test]
async fn a_peer_is_told_what_it_did_wrong() {
    let (mut ours, mut theirs) = dialled(&usual()).await;
    let record = [&[23, 3, 3, 0, 40][..], &[1; 40]].concat();
    theirs.get_mut().0.write_all(&record).await.unwrap();
    let error = ours.read.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("cannot decrypt"), "{error}");
    drop(ours);
    let error = theirs.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

/// What was read before it is not lost by it.
#[tokio::test]
async fn an_error_waits_until_what_came_before_is_taken() {
    let (mut ours, mut theirs) = dialled(&usual()).await;
    theirs.write_all(b"before").await.unwrap();
    theirs.flush().await.unwrap();
    theirs.get_mut().0.write_all(&[22, 3, 3, 0, 1, 1]).await.unwrap();
    let mut came = [0; 6];
    ours.read.read_exact(&mut came).await.unwrap();
    assert_eq!(came, *b"before");
    assert!(ours.read.read_u8().await.is_err());
}

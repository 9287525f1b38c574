//! Attacks on TLS itself.

use std::io::{self, Cursor, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::ground::Ground;
use crate::raw::Raw;
use crate::raw_tls;
use crate::speech::{OPEN, confirmation, frame, hello};

/// A client's first flight, and the client that waits for the answer.
fn first_flight(ground: &Ground) -> (ClientConnection, Vec<u8>) {
    let config = raw_tls::client_config(Some(&ground.enrolled), &[&TLS13]);
    let host = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), host).unwrap();
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    (client, bytes)
}

/// The second flight, on a stream on which the first has been said.
async fn second_flight(raw: &mut Raw, mut client: ClientConnection) -> Vec<u8> {
    let mut buffer = [0; 4096];
    while client.is_handshaking() {
        let count = raw.stream.read(&mut buffer).await.unwrap();
        let mut bytes = Cursor::new(&buffer[..count]);
        while client.read_tls(&mut bytes).unwrap() > 0 {
            client.process_new_packets().unwrap();
        }
    }
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

pub(crate) async fn early_close_at_every_byte_of_tls(ground: &Ground) {
    let (_, first) = first_flight(ground);
    for cut in 0..first.len() {
        let (socket, from) = ground.socket().await;
        let mut raw = Raw { stream: Box::new(socket), from };
        raw.say(&first[..cut]).await.unwrap();
        let from = format!("from={}", raw.from);
        drop(raw);
        if cut < 3 {
            ground.logged(&from, "in the handshake: ").await;
        }
    }
    // Its length differs from run to run by some bytes.
    for cut in (0..900).step_by(9) {
        let (socket, from) = ground.socket().await;
        let mut raw = Raw { stream: Box::new(socket), from };
        let (client, first) = first_flight(ground);
        raw.say(&first).await.unwrap();
        let second = second_flight(&mut raw, client).await;
        raw.say(&second[..cut.min(second.len() - 1)]).await.unwrap();
    }
}

/// Somebody on the way changes one byte: each one that can be, in turn.
pub(crate) async fn a_byte_changed_anywhere_in_the_handshake(ground: &Ground) {
    for at in 0..first_flight(ground).1.len() {
        let (socket, from) = ground.socket().await;
        let mut raw = Raw { stream: Box::new(socket), from };
        let (_, mut first) = first_flight(ground);
        let at = at.min(first.len() - 1);
        first[at] ^= 0x15;
        raw.say(&first).await.unwrap();
        // An unknown wish may be granted, so that an answer to it is no fault; and a longer message is
        // waited for.
        drop(raw);
    }
    for at in (0..900).step_by(9) {
        let (socket, from) = ground.socket().await;
        let mut raw = Raw { stream: Box::new(socket), from };
        let (client, first) = first_flight(ground);
        raw.say(&first).await.unwrap();
        let mut second = second_flight(&mut raw, client).await;
        let at = at.min(second.len() - 1);
        second[at] ^= 0x15;
        raw.say(&second).await.unwrap();
        // Nothing is served on it: neither a hello would be heard, nor is one answered.
        let _ = raw.say(&hello(ground.name().as_str())).await;
        drop(raw);
    }
    assert_eq!(ground.panics(), 0, "a task has panicked");
}

/// Writes down what is written.
struct Recording {
    socket: TcpStream,
    record: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Recording {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, into)
    }
}

impl AsyncWrite for Recording {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = wrote {
            self.record.lock().unwrap().extend_from_slice(&bytes[..count]);
        }
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Somebody on the way says all that a decent peer has said once more.
pub(crate) async fn a_recorded_session_again(ground: &Ground) {
    let record = Arc::new(Mutex::new(Vec::new()));
    let (socket, from) = ground.socket().await;
    let mut raw = ground.wrap(Recording { socket, record: record.clone() }, from).await;
    let name = ground.name();
    raw.say(&hello(name.as_str())).await.unwrap();
    raw.message().await;
    raw.say(&confirmation()).await.unwrap();
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    raw.is_echoed(1, b"do this once").await;
    drop(raw);
    ground.lost(&name, "broken").await;

    let record = record.lock().unwrap().clone();
    let (socket, from) = ground.socket().await;
    let mut raw = Raw { stream: Box::new(socket), from };
    let _ = raw.say(&record).await;
    raw.end().await;
    ground.logged(&format!("from={}", raw.from), "in the handshake: ").await;
    assert!(ground.host.living(&name).is_none() && !ground.host.has_lost(&name));
}

/// Somebody on the way puts something in.
pub(crate) async fn a_byte_changed_on_the_way(ground: &Ground) {
    let (socket, from) = ground.socket().await;
    let socket = socket.into_std().unwrap();
    let mut back_door = socket.try_clone().unwrap();
    let mut raw = ground.wrap(TcpStream::from_std(socket).unwrap(), from).await;
    let name = ground.name();
    raw.say(&hello(name.as_str())).await.unwrap();
    raw.message().await;
    raw.say(&confirmation()).await.unwrap();
    ground.host.link(&name).await;
    // A record of the right form, of which the rest is wrong.
    let record = [&[23, 3, 3, 0, 40][..], &[1; 40]].concat();
    back_door.write_all(&record).unwrap();
    ground.lost(&name, "cannot read: cannot decrypt").await;
    // Nothing was being written: who ends the link tells why, and says no goodbye as if all were well.
    let error = raw.stream.read_to_end(&mut Vec::new()).await.expect_err("no goodbye");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
}

/// A record of TLS's handshake, not protected.
fn record(payload: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &(payload.len() as u16).to_be_bytes(), payload].concat()
}

/// A message of TLS's handshake that says it is 16 MiB long, in as many records as that takes.
pub(crate) async fn a_handshake_record_without_end(ground: &Ground) {
    let (socket, from) = ground.socket().await;
    let mut raw = Raw { stream: Box::new(socket), from };
    let mut said = raw.say(&record(&[1, 0xff, 0xff, 0xff, 3, 3])).await.is_ok();
    let mut records = 0;
    while said && records < 4000 {
        said = raw.say(&record(&[0; 16_000])).await.is_ok();
        records += 1;
    }
    raw.end().await;
    // What lies in sockets' buffers has been taken by nobody.
    assert!(records < 2000, "it takes a handshake without end");
    ground.logged(&format!("from={}", raw.from), "in the handshake: ").await;
}

/// As long a message of TLS's handshake as there may be, in records of one byte.
pub(crate) async fn a_handshake_message_in_crumbs(ground: &Ground) {
    let (socket, from) = ground.socket().await;
    let mut raw = Raw { stream: Box::new(socket), from };
    let message = [&[1, 0, 0xfd, 0xe8][..], &[3; 65_000]].concat();
    let crumbs: Vec<u8> = message.iter().flat_map(|byte| record(&[*byte])).collect();
    let _ = raw.say(&crumbs).await;
    raw.end().await;
    ground.logged(&format!("from={}", raw.from), "too many records").await;
}

/// `first`, a client's hello, which says that data comes before the handshake is over.
fn with_early_data(first: &[u8]) -> Vec<u8> {
    let mut hello = first.to_vec();
    // Head of the record, of the message, version and random; then what has lengths.
    let mut at = 5 + 4 + 2 + 32;
    at += 1 + usize::from(hello[at]);
    at += 2 + usize::from(u16::from_be_bytes([hello[at], hello[at + 1]]));
    at += 1 + usize::from(hello[at]);
    let wish = [0, 42, 0, 0];
    for len in [3, 7, at] {
        let longer = u16::from_be_bytes([hello[len], hello[len + 1]]) + wish.len() as u16;
        hello[len..len + 2].copy_from_slice(&longer.to_be_bytes());
    }
    hello.splice(at + 2..at + 2, wish);
    hello
}

/// What claims to be data from before the handshake is over is skipped, and there must be an end to it.
pub(crate) async fn early_data_that_is_nothing(ground: &Ground) {
    let (socket, from) = ground.socket().await;
    let mut raw = Raw { stream: Box::new(socket), from };
    let mut bytes = with_early_data(&first_flight(ground).1);
    for _ in 0..26_000 {
        bytes.extend_from_slice(&[23, 3, 3, 0, 0]);
    }
    let _ = raw.say(&bytes).await;
    raw.end().await;
    // At once, and not when the time for a handshake has run out.
    ground.logged(&format!("from={}", raw.from), "a protected record with nothing in it").await;

    // Something in each, that cannot be opened.
    let (socket, from) = ground.socket().await;
    let mut raw = Raw { stream: Box::new(socket), from };
    let mut bytes = with_early_data(&first_flight(ground).1);
    for _ in 0..100 {
        bytes.extend_from_slice(&[23, 3, 3, 0, 1, 1]);
    }
    let _ = raw.say(&bytes).await;
    raw.end().await;
    ground.logged(&format!("from={}", raw.from), "too many records").await;
}

//! What comes behind the handshake, in the same write as its last message.

use std::io::{Cursor, Write as _};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::version::TLS13;
use rustls::{ClientConnection, ServerConfig, ServerConnection, SideData};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::configs::Configs;
use super::super::handshake::{accept, connect};
use super::{localhost, pattern, sockets, usual};

/// How much comes, and how much of the last record does so later.
const CASES: [(usize, usize); 6] =
    [(1, 0), (1, 10), (100, 60), (4_000, 4_010), (16_384, 8_000), (100_000, 17)];

/// Everything that there is to say.
fn said<D: SideData>(side: &mut rustls::ConnectionCommon<D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while side.wants_write() {
        side.write_tls(&mut bytes).unwrap();
    }
    bytes
}

/// Reads once from the socket.
async fn hear<D: SideData>(side: &mut rustls::ConnectionCommon<D>, socket: &mut TcpStream) {
    let mut buffer = [0; 16 * 1024];
    let count = socket.read(&mut buffer).await.unwrap();
    assert!(count > 0, "the peer has left");
    let mut bytes = Cursor::new(&buffer[..count]);
    while side.read_tls(&mut bytes).unwrap() > 0 {
        side.process_new_packets().unwrap();
    }
}

/// Says all and ends, so much of it later. The socket stays open to hear.
async fn say_all(mut socket: TcpStream, bytes: &[u8], later: usize) -> TcpStream {
    let (now, rest) = bytes.split_at(bytes.len() - later);
    socket.write_all(now).await.unwrap();
    socket.write_all(rest).await.unwrap();
    socket.shutdown().await.unwrap();
    socket
}

/// A client whose data begin behind its last message; what it says last, and of that so much later.
async fn dials(configs: &Configs, mut socket: TcpStream, data: &[u8], later: usize) -> TcpStream {
    let mut client = ClientConnection::new(configs.client.clone(), localhost()).unwrap();
    socket.write_all(&said(&mut client)).await.unwrap();
    while client.is_handshaking() {
        hear(&mut client, &mut socket).await;
    }
    // All of them, however many.
    client.set_buffer_limit(None);
    client.writer().write_all(data).unwrap();
    let bytes = said(&mut client);
    say_all(socket, &bytes, later).await
}

#[tokio::test]
async fn data_of_who_dialled() {
    let configs = usual();
    for (len, later) in CASES {
        let data = pattern(len);
        let (dialled, accepted) = sockets().await;
        let ours = accept(configs.server.clone(), accepted);
        let (ours, _open) = tokio::join!(ours, dials(&configs, dialled, &data, later));
        let mut came = vec![0; len];
        ours.unwrap().read.read_exact(&mut came).await.unwrap();
        assert!(came == data, "{len} bytes, {later} of them later");
    }
}

/// A server that asks for no certificate may say something before it has heard the client's last.
async fn answers(configs: &Configs, mut socket: TcpStream, data: &[u8], later: usize) -> TcpStream {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config = builder
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(configs.server.cert_resolver.clone());
    config.alpn_protocols.clone_from(&configs.server.alpn_protocols);
    config.send_half_rtt_data = true;
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    server.set_buffer_limit(None);
    server.writer().write_all(data).unwrap();
    while !server.wants_write() {
        hear(&mut server, &mut socket).await;
    }
    let bytes = said(&mut server);
    assert!(bytes.len() > data.len(), "the data are among it");
    say_all(socket, &bytes, later).await
}

#[tokio::test]
async fn data_of_who_accepted() {
    let configs = usual();
    for (len, later) in CASES {
        let data = pattern(len);
        let (dialled, accepted) = sockets().await;
        let ours = connect(configs.client.clone(), localhost(), dialled);
        let (ours, _open) = tokio::join!(ours, answers(&configs, accepted, &data, later));
        let mut came = vec![0; len];
        ours.unwrap().read.read_exact(&mut came).await.unwrap();
        assert!(came == data, "{len} bytes, {later} of them later");
    }
}

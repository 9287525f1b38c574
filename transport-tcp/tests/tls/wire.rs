//! What somebody on the way can read.

use std::sync::{Arc, Mutex};

use midflight_transport_api::conformance::{Party, send};
use midflight_transport_api::{Address, Bind, Transport};
use midflight_transport_tcp::TcpTransport;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::certificates;
use crate::net::{Net, run};

const MARKER: &[u8] = b"for your eyes only";

/// Passes on what comes, and writes it down.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    record: &Mutex<Vec<u8>>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        record.lock().unwrap().extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// Sends the marker there and back through a listener in the middle; answers all that passed it.
async fn recorded(net: &Net, transport: Arc<dyn Transport>) -> Vec<u8> {
    let middle = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scheme = transport.scheme();
    let advertise: Address = format!("{scheme}:{}", middle.local_addr().unwrap()).parse().unwrap();
    let listen = format!("{scheme}:127.0.0.1:0").parse().unwrap();
    // The endpoint says it is where the middle is, and where it really is nobody knows but us.
    let real = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let bind = Bind::Listen {
        listen: format!("{scheme}:{real}").parse().unwrap_or(listen),
        advertise: Some(advertise.clone()),
    };
    let server = Party::with(&*transport, bind, true).await;
    let record = Arc::new(Mutex::new(Vec::new()));
    let recorder = record.clone();
    midflight_runtime::spawn(&net.runtime(), "middle", async move {
        let (near, _) = middle.accept().await.unwrap();
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = TcpStream::connect(real).await.unwrap().into_split();
        tokio::join!(pass(near_read, far_write, &recorder), pass(far_read, near_write, &recorder));
    });
    let client = Party::with(&*transport, Bind::DialOnly, false).await;
    let link = client.connect(&server).await;
    let connection = link.open().unwrap();
    for _ in 0..10 {
        send(&*link, connection, MARKER).await.unwrap();
        assert_eq!(client.received().await.1[..], *MARKER);
    }
    let record = record.lock().unwrap();
    record.clone()
}

fn shows_the_marker(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|window| window == MARKER)
}

#[test]
fn nothing_can_be_read_on_the_way() {
    run(async |net| {
        let bytes = recorded(net, certificates::tls(Net::config(), net.runtime())).await;
        assert!(bytes.len() > 20 * MARKER.len(), "it did pass here");
        assert!(!shows_the_marker(&bytes));
        assert!(!bytes.windows(8).any(|window| window == b"midflght"), "nor the handshake");
    });
}

/// The test can see what is not encrypted.
#[test]
fn bare_tcp_can() {
    run(async |net| {
        let bare = Arc::new(TcpTransport::new(Net::config(), net.runtime()));
        assert!(shows_the_marker(&recorded(net, bare).await));
    });
}

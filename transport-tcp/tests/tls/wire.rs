//! What somebody on the way can read.

use std::sync::Arc;

use midflight_transport_api::conformance::{Party, send};
use midflight_transport_api::{Bind, Transport};
use midflight_transport_tcp::TcpTransport;

use crate::certificates;
use crate::net::{Net, run};
use crate::relay::Relay;

const MARKER: &[u8] = b"for your eyes only";

/// Sends the marker there and back through somebody in the middle; answers all that passed there.
async fn recorded(net: &Net, transport: Arc<dyn Transport>) -> Vec<u8> {
    let middle = Relay::open(&net.runtime(), true);
    let server = Party::with(&*transport, middle.bind(transport.scheme()), true).await;
    let client = Party::with(&*transport, Bind::DialOnly, false).await;
    let link = client.connect(&server).await;
    let connection = link.open().unwrap();
    for _ in 0..10 {
        send(&*link, connection, MARKER).await.unwrap();
        assert_eq!(client.received().await.1[..], *MARKER);
    }
    middle.record()
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

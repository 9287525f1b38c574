//! No session is resumed: each link is proven by what is valid when it is made.

use std::sync::Arc;

use rustls::HandshakeKind;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::certificates::Authority;
use crate::net::run;
use crate::raw_tls::{accept, client_config, connect, server_config};
use crate::refusals::raw_listener;
use crate::speech;

#[test]
fn an_endpoint_gives_no_tickets() {
    run(async |net| {
        let issued = Authority::common().issue(&["node", "127.0.0.1"]);
        let victim = net.party(&issued).await;
        let mut config = client_config(Some(&issued), &[&TLS13]);
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(16)));
        for n in 0..3 {
            let mut stream = connect(victim.address().rest(), config.clone()).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
            // Tickets come behind the handshake: with an answer they are read.
            stream.write_all(&speech::hello(&format!("tls:~{n}"))).await.unwrap();
            let mut head = [0; speech::HEAD_LEN];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(head[8], speech::WELCOME);
            assert_eq!(stream.get_ref().1.tls13_tickets_received(), 0);
        }
    });
}

#[test]
fn an_endpoint_uses_no_tickets() {
    run(async |net| {
        let issued = Authority::common().issue(&["node", "127.0.0.1"]);
        let victim = net.party(&issued).await;
        let (listener, address) = raw_listener("tls").await;
        let config = Arc::new(server_config(&issued, &[&TLS13]));
        assert!(config.send_tls13_tickets > 0, "this server gives some");
        for _ in 0..3 {
            let answers = async {
                let (socket, _) = listener.accept().await.unwrap();
                let mut stream = accept(socket, config.clone()).await.unwrap();
                assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
                stream.read_u8().await.unwrap();
            };
            let dials = async { victim.end().connect(&address).await.unwrap_err() };
            tokio::join!(dials, answers);
        }
    });
}

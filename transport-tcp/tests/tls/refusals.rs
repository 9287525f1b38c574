//! Whom an endpoint does not talk to, and what it says then.

use midflight_transport_api::conformance::Party;
use midflight_transport_api::{Address, Bind, ConnectErrorKind};
use midflight_transport_tcp::TcpTransport;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::certificates::{Authority, Issued};
use crate::net::{Net, refused, run};
use crate::raw_tls::{accept, client_config, connect, server_config};

const NAMES: [&str; 2] = ["node", "127.0.0.1"];

/// Both dial `wrong`, and are dialled by it: neither may get a link, and who dials is told `says`.
async fn refused_both_ways(net: &Net, good: &Issued, wrong: &Issued, says: [&str; 2]) {
    let (good, wrong) = (net.party(good).await, net.party(wrong).await);
    for ((from, to), says) in [(&good, &wrong), (&wrong, &good)].into_iter().zip(says) {
        let error = refused(from, to).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(says), "{says}: {error}");
    }
    assert!(good.links().is_empty(), "{:?}", good.links());
}

#[test]
fn a_certificate_from_an_authority_that_is_not_believed() {
    run(async |net| {
        let rogue = Authority::new("rogue");
        let good = Authority::common().issue(&NAMES);
        // It believes the good one, so that the refusal is the good one's alone.
        let wrong = rogue.issue(&NAMES).believing(&[Authority::common()]);
        refused_both_ways(net, &good, &wrong, ["UnknownIssuer", "UnknownCA"]).await;
    });
}

#[test]
fn an_authority_of_the_same_name_is_another() {
    run(async |net| {
        let rogue = Authority::new("everybody's");
        let good = Authority::common().issue(&NAMES);
        let wrong = rogue.issue(&NAMES).believing(&[Authority::common()]);
        refused_both_ways(net, &good, &wrong, ["BadSignature", "DecryptError"]).await;
    });
}

#[test]
fn an_expired_certificate() {
    run(async |net| {
        let good = Authority::common().issue(&NAMES);
        let wrong = Authority::common().issue_expired(&NAMES);
        refused_both_ways(net, &good, &wrong, ["expired", "CertificateExpired"]).await;
    });
}

/// What a raw client is told after its side of the handshake: nothing but an end, with why.
async fn told(victim: &Party, config: rustls::ClientConfig) -> std::io::Error {
    let mut stream = match connect(victim.address().rest(), config).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    stream.read_u8().await.expect_err("no endpoint speaks first")
}

#[test]
fn no_certificate_at_all() {
    run(async |net| {
        let victim = net.party(&Authority::common().issue(&NAMES)).await;
        let error = told(&victim, client_config(None, &[&TLS13])).await;
        assert!(error.to_string().contains("CertificateRequired"), "{error}");
    });
}

#[test]
fn an_older_tls() {
    run(async |net| {
        let issued = Authority::common().issue(&NAMES);
        let victim = net.party(&issued).await;
        let error = told(&victim, client_config(Some(&issued), &[&TLS12])).await;
        assert!(error.to_string().contains("ProtocolVersion"), "{error}");

        let (listener, address) = raw_listener("tls").await;
        let config = std::sync::Arc::new(server_config(&issued, &[&TLS12]));
        let answers = async {
            let (socket, _) = listener.accept().await.unwrap();
            accept(socket, config).await.map(drop).expect_err("it must not speak 1.2")
        };
        let dials = async { victim.end().connect(&address).await.unwrap_err() };
        let (error, _) = tokio::join!(dials, answers);
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
    });
}

#[test]
fn another_protocol_in_tls() {
    run(async |net| {
        let issued = Authority::common().issue(&NAMES);
        let victim = net.party(&issued).await;
        let mut config = client_config(Some(&issued), &[&TLS13]);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let error = told(&victim, config).await;
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    });
}

/// A certificate that is good for something else proves nothing here.
#[test]
fn no_protocol_in_tls() {
    run(async |net| {
        let issued = Authority::common().issue(&NAMES);
        let victim = net.party(&issued).await;
        let mut config = client_config(Some(&issued), &[&TLS13]);
        config.alpn_protocols = vec![];
        let error = told(&victim, config).await;
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");

        let (listener, address) = raw_listener("tls").await;
        let mut config = server_config(&issued, &[&TLS13]);
        config.alpn_protocols = vec![];
        let answers = async {
            let (socket, _) = listener.accept().await.unwrap();
            let mut stream = accept(socket, config.into()).await?;
            stream.read_u8().await
        };
        let dials = async { victim.end().connect(&address).await.unwrap_err() };
        let (error, told) = tokio::join!(dials, answers);
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("any known protocol"), "{error}");
        let told = told.expect_err("nothing is said to it").to_string();
        assert!(told.contains("NoApplicationProtocol"), "{told}");
    });
}

/// Bare TCP to a port where TLS is spoken, and the other way round.
#[test]
fn the_wrong_transport_for_the_port() {
    run(async |net| {
        let tls = net.party(&Authority::common().issue(&NAMES)).await;
        let bare = TcpTransport::new(Net::config(), net.runtime());
        let listen = "tcp:127.0.0.1:0".parse().unwrap();
        let tcp = Party::with(&bare, Bind::Listen { listen, advertise: None }, false).await;
        for (from, to, scheme) in [(&tcp, &tls, "tcp"), (&tls, &tcp, "tls")] {
            let wrong: Address = format!("{scheme}:{}", to.address().rest()).parse().unwrap();
            let error = from.end().connect(&wrong).await.unwrap_err();
            let kinds = [ConnectErrorKind::Refused, ConnectErrorKind::Unreachable];
            assert!(kinds.contains(error.kind()), "{error}");
        }
        assert!(tls.links().is_empty() && tcp.links().is_empty());
    });
}

pub(crate) async fn raw_listener(scheme: &str) -> (TcpListener, Address) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("{scheme}:{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, address)
}

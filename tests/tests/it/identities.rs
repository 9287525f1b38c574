//! Who a node is over TLS: its certificate says so, and its name may say nothing else.

use std::time::Duration;

use midflight_process::{JoinError, MemberEvent, Node, StartError};
use midflight_runtime::TokioRuntime;
use midflight_transport_api::{Address, OpenErrorKind};
use midflight_transport_tcp::{Credentials, TcpConfig, TcpTransport, TlsTransport};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Authority::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A node that calls itself `name`, with a certificate for `certified`.
async fn node(authority: &Authority, name: &str, certified: &str) -> Node {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([certified, "127.0.0.1"].map(String::from)).unwrap();
    let chain = params.signed_by(&key, authority).unwrap();
    let credentials = Credentials::from_pem(
        authority.pem().as_bytes(),
        chain.pem().as_bytes(),
        key.serialize_pem().as_bytes(),
    );
    let runtime = TokioRuntime::current();
    let transport =
        TlsTransport::new(TcpConfig::default(), credentials.unwrap(), runtime.clone()).unwrap();
    let listen: Address = "tls:127.0.0.1:0".parse().unwrap();
    let builder = Node::builder(name).listen(listen).proven_names();
    builder.start(&transport, runtime).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_called_what_its_certificate_says() {
    let authority = authority();
    let a = node(&authority, "a", "a").await;
    let at = a.address().unwrap();
    let honest = node(&authority, "b", "b").await;
    assert_eq!(honest.connect(&at).await.unwrap(), a.id());
    let liar = node(&authority, "c", "d").await;
    let refused = liar.connect(&at).await.unwrap_err();
    assert!(matches!(refused, JoinError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("calls itself `c`"), "{refused}");
    // Whoever dials a liar finds out as well.
    a.connect(&liar.address().unwrap()).await.unwrap_err();
    assert_eq!(a.peers().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_is_on_the_tls_links_and_no_udp_socket_is_opened() {
    let authority = authority();
    let (a, b, c) = (
        node(&authority, "a", "a").await,
        node(&authority, "b", "b").await,
        node(&authority, "c", "c").await,
    );
    let at = a.address().unwrap();
    b.connect(&at).await.unwrap();
    c.connect(&at).await.unwrap();
    // Nobody has told c of b but a, and nobody has sent a message.
    let patience = Duration::from_secs(30);
    let wanted = b.id();
    let learnt = c.run("watcher", move |cx| async move {
        let mut known = cx.watch_members().iter().any(|member| member.id == wanted);
        while !known {
            let event = cx.expect_timeout::<MemberEvent>(patience).await.unwrap();
            known = matches!(event, MemberEvent::Up(member) if member.id == wanted);
        }
    });
    learnt.await.unwrap();
    let metrics = c.metrics();
    let from_a = metrics.peers.iter().find(|peer| peer.id == a.id()).unwrap();
    assert_eq!(from_a.received.messages, 0);
    assert!(from_a.received.bytes > 0, "it came on the link");
    assert_eq!(udp_sockets(), Vec::<String>::new());
    // The same look sees one that is there.
    let _udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(udp_sockets().len(), usize::from(cfg!(target_os = "linux")));
}

/// This process's UDP sockets, by the system's own account; none where it has no such account.
fn udp_sockets() -> Vec<String> {
    let own: Vec<_> = std::fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|to| {
            let to = to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(to.to_owned())
        })
        .collect();
    let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let tables = tables.iter().filter_map(|table| std::fs::read_to_string(table).ok());
    tables
        .flat_map(|table| table.lines().map(str::to_owned).collect::<Vec<_>>())
        // The tenth column is the socket's number.
        .filter_map(|line| line.split_whitespace().nth(9).map(str::to_owned))
        .filter(|number| own.contains(number))
        .collect()
}

#[tokio::test]
async fn a_transport_that_proves_nothing_is_not_enough() {
    let runtime = TokioRuntime::current();
    let transport = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let started = Node::builder("a").proven_names().start(&transport, runtime).await;
    let Err(StartError::Open(refused)) = started else { panic!("it started") };
    let wanted = OpenErrorKind::Unsupported("proof of who the peer is");
    assert_eq!(*refused.kind(), wanted);
}

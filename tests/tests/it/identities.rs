//! Who a node is over TLS: its certificate says so, and its name may say nothing else.

use midflight_process::{JoinError, Node, StartError};
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

#[tokio::test]
async fn a_transport_that_proves_nothing_is_not_enough() {
    let runtime = TokioRuntime::current();
    let transport = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let started = Node::builder("a").proven_names().start(&transport, runtime).await;
    let Err(StartError::Open(refused)) = started else { panic!("it started") };
    let wanted = OpenErrorKind::Unsupported("proof of who the peer is");
    assert_eq!(*refused.kind(), wanted);
}

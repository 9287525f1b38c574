//! T10: IPv4, IPv6, host names, an advertised address, port 0.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use midflight_runtime::{TokioRuntime, timeout};
use midflight_transport_api::conformance::{Party, nobody, send};
use midflight_transport_api::{Address, Bind, ConnectErrorKind, OpenErrorKind, Transport as _};
use midflight_transport_tcp::{TcpConfig, TcpTransport};

fn listen(listen: &str, advertise: Option<&str>) -> Bind {
    Bind::Listen {
        listen: listen.parse().unwrap(),
        advertise: advertise.map(|address| address.parse().unwrap()),
    }
}

fn run(case: impl AsyncFnOnce(&TcpTransport)) {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let transport = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let case = case(&transport);
    tokio.block_on(timeout(&*runtime, Duration::from_secs(30), case)).expect("no hang");
}

async fn talks(transport: &TcpTransport, to: &Party, name: &Address) {
    let client = Party::with(transport, Bind::DialOnly, false).await;
    let link = client.end().connect(name).await.unwrap();
    assert_eq!(link.peer().address, *name, "the one dialled");
    assert_eq!(client.end().connect(name).await.unwrap().id(), link.id());
    assert_eq!(client.connect(to).await.id(), link.id(), "by either name it is the same link");
    let connection = link.open().unwrap();
    send(&*link, connection, b"hello").await.unwrap();
    assert_eq!(to.received().await.1[..], *b"hello");
    assert!(client.end().break_link(name));
}

#[test]
fn ipv4_ipv6_and_names() {
    run(async |transport| {
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            let bind = listen(&format!("tcp:{host}:0"), None);
            let party = match transport.open(bind.clone(), nobody()).await {
                Ok(_) => Party::with(transport, bind, false).await,
                Err(error) if *error.kind() == OpenErrorKind::System => {
                    println!("{host} skipped: this machine has none: {error}");
                    continue;
                }
                Err(error) => panic!("{host}: {error}"),
            };
            assert!(!party.address().rest().ends_with(":0"), "the real port");
            talks(transport, &party, party.address()).await;
        }
    });
}

#[test]
fn an_advertised_name_and_another_for_the_same() {
    run(async |transport| {
        // The port must be known beforehand: one that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let advertised = format!("tcp:localhost:{port}");
        let bind = listen(&format!("tcp:127.0.0.1:{port}"), Some(&advertised));
        let party = Party::with(transport, bind, false).await;
        assert_eq!(party.address().as_str(), advertised);
        talks(transport, &party, party.address()).await;
        talks(transport, &party, &format!("tcp:127.0.0.1:{port}").parse().unwrap()).await;
    });
}

#[test]
fn what_cannot_be_bound_says_why() {
    run(async |transport| {
        for (address, kind) in [
            ("tcp:127.0.0.1", OpenErrorKind::BadAddress),
            ("tcp:::1:80", OpenErrorKind::BadAddress),
            ("tcp:~00:80", OpenErrorKind::BadAddress),
            ("tcp:no-such-host.invalid:0", OpenErrorKind::System),
        ] {
            let opened = transport.open(listen(address, None), nobody()).await;
            assert_eq!(*opened.unwrap_err().kind(), kind, "{address}");
        }
    });
}

/// Who has dialled us is found by another of its names, too: it says itself which link that is.
#[test]
fn another_name_for_one_who_has_dialled() {
    run(async |transport| {
        let party = Party::with(transport, listen("tcp:127.0.0.1:0", None), false).await;
        let dialler = Party::with(transport, listen("tcp:127.0.0.1:0", None), false).await;
        dialler.connect(&party).await;
        let link = party.link(0).await;
        assert_eq!(link.peer().address, *dialler.address());
        let port = dialler.address().rest().rsplit_once(':').unwrap().1;
        let alias: Address = format!("tcp:localhost:{port}").parse().unwrap();
        assert_eq!(party.end().connect(&alias).await.unwrap().id(), link.id());
    });
}

/// What a name stands for can be dialled, one by one; where there is no name, there is nothing to look up.
#[test]
fn a_name_is_resolved_to_all_of_its_addresses() {
    run(async |transport| {
        let party = Party::with(transport, listen("tcp:127.0.0.1:0", None), false).await;
        let port = party.address().rest().rsplit_once(':').unwrap().1;
        let client = Party::with(transport, Bind::DialOnly, false).await;
        let resolve = async |rest: &str| {
            let address = Address::new("tcp", rest).unwrap();
            client.end().resolve(&address).await
        };
        let found = resolve(&format!("localhost:{port}")).await.unwrap();
        assert!(found.contains(party.address()), "{found:?}");
        let distinct: std::collections::BTreeSet<_> = found.iter().collect();
        assert_eq!(distinct.len(), found.len(), "each once: {found:?}");
        let ours = found.iter().find(|address| *address == party.address()).unwrap();
        assert_eq!(
            client.end().connect(ours).await.unwrap().id(),
            client.connect(&party).await.id()
        );
        for literal in ["127.0.0.1:80", "[::1]:80"] {
            let itself = Address::new("tcp", literal).unwrap();
            assert_eq!(resolve(literal).await.unwrap(), [itself]);
        }
        let unknown = resolve("no-such-host.invalid:80").await.unwrap_err();
        assert_eq!(*unknown.kind(), ConnectErrorKind::Unreachable, "{unknown}");
        let bad = resolve("no-port").await.unwrap_err();
        assert_eq!(*bad.kind(), ConnectErrorKind::BadAddress, "{bad}");
    });
}

//! Who a peer is, and where it may say that it is.

use midflight_transport_api::conformance::{Party, send};
use midflight_transport_api::{Bind, ConnectErrorKind, Transport as _};
use midflight_transport_tcp::{Credentials, CredentialsError, TlsTransport};

use crate::certificates::{Authority, Issued};
use crate::net::{Net, listening, refused, run, talk};

fn issue(names: &[&str]) -> Issued {
    Authority::common().issue(names)
}

#[test]
fn both_sides_see_the_first_dns_name() {
    run(async |net| {
        let alpha = net.party(&issue(&["alpha", "another", "127.0.0.1"])).await;
        let beta = net.party(&issue(&["127.0.0.1", "beta", "alpha"])).await;
        let link = alpha.connect(&beta).await;
        assert_eq!(link.peer().identity.as_deref(), Some("beta"));
        assert_eq!(beta.link(0).await.peer().identity.as_deref(), Some("alpha"));
        talk(&*link, &beta).await;
    });
}

#[test]
fn who_only_dials_has_an_identity_too() {
    run(async |net| {
        let server = net.party(&issue(&["server", "127.0.0.1"])).await;
        let transport = net.transport(issue(&["visitor"]).credentials());
        let visitor = Party::with(&transport, Bind::DialOnly, false).await;
        talk(&*visitor.connect(&server).await, &server).await;
        assert_eq!(server.link(0).await.peer().identity.as_deref(), Some("visitor"));
    });
}

#[test]
fn a_certificate_must_be_for_the_host_dialled() {
    run(async |net| {
        let other = net.party(&issue(&["other.example"])).await;
        let dialler = net.party(&issue(&["dialler", "127.0.0.1"])).await;
        let error = refused(&dialler, &other).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("not valid for name"), "{error}");
    });
}

/// A node with a good certificate says it is at another's address.
#[test]
fn nobody_takes_an_address_that_is_not_its_own() {
    run(async |net| {
        let victim = net.party(&issue(&["victim", "127.0.0.1"])).await;
        let decent = net.party(&issue(&["decent", "127.0.0.1"])).await;
        let link = decent.connect(&victim).await;
        talk(&*link, &victim).await;

        let impostor = net.impostor(&issue(&["mallory"]), decent.address()).await;
        let error = refused(&impostor, &victim).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("does not cover"), "{error}");

        // Its certificate is for the same host, so that the address alone is no proof.
        let neighbour = net.impostor(&issue(&["mallory", "127.0.0.1"]), decent.address()).await;
        let error = refused(&neighbour, &victim).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("another identity"), "{error}");

        assert_eq!(victim.links().len(), 1, "nobody else got a link");
        let connection = link.open().unwrap();
        send(&*link, connection, b"still here").await.unwrap();
        victim.received_keeping(b"still here").await;
        assert_eq!(decent.connect(&victim).await.id(), link.id());
    });
}

/// The other way round: who is dialled says it is somebody else.
#[test]
fn nobody_answers_in_the_name_of_another() {
    run(async |net| {
        let victim = net.party(&issue(&["victim", "127.0.0.1"])).await;
        let real = "tls:real.example:7400".parse().unwrap();
        let liar = issue(&["mallory", "127.0.0.1"]);
        // Where the liar really is, it learns from the system; the name it gives is another's.
        let listens = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let at = format!("tls:{listens}").parse().unwrap();
        let bind = Bind::Listen { listen: at, advertise: Some(real) };
        let transport = net.transport(liar.credentials());
        let _liar = Party::with(&transport, bind, false).await;
        let at = format!("tls:{listens}").parse().unwrap();
        let error = victim.end().connect(&at).await.unwrap_err();
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("may not call itself tls:real.example:7400"), "{error}");
        assert!(victim.links().is_empty());
    });
}

/// Of a name that stands for several, each must show a certificate for that name, whatever its own.
#[test]
fn what_a_name_is_resolved_to_is_proven_by_the_name() {
    run(async |net| {
        let service = net.party(&issue(&["pod-0", "localhost", "127.0.0.1"])).await;
        let other = net.party(&issue(&["other", "127.0.0.1"])).await;
        let dialler = net.party(&issue(&["dialler", "127.0.0.1"])).await;
        for (party, is_good) in [(&service, true), (&other, false)] {
            let port = party.address().rest().rsplit_once(':').unwrap().1;
            let name = format!("tls:localhost:{port}").parse().unwrap();
            let found = dialler.end().resolve(&name).await.unwrap();
            let at = format!("tls:localhost@127.0.0.1:{port}").parse().unwrap();
            assert!(found.contains(&at), "{found:?}");
            assert_eq!(dialler.end().resolve(&at).await.unwrap(), vec![at.clone()], "itself");
            match dialler.end().connect(&at).await {
                Ok(link) => {
                    assert!(is_good, "{name} is not what its certificate says");
                    assert_eq!(link.peer().identity.as_deref(), Some("pod-0"));
                    talk(&*link, party).await;
                    let by_address = dialler.end().connect(party.address()).await.unwrap();
                    assert_eq!(by_address.id(), link.id(), "by either address the same link");
                }
                Err(error) => {
                    assert!(!is_good, "{error}");
                    assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
                    assert!(error.to_string().contains("not valid for name"), "{error}");
                }
            }
        }
        // Nobody is called that.
        let pinned = "tls:localhost@127.0.0.1:7400".parse().unwrap();
        let impostor = net.impostor(&issue(&["localhost", "127.0.0.1"]), &pinned).await;
        let error = refused(&impostor, &service).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("does not cover"), "{error}");
    });
}

#[test]
fn the_capabilities_say_so() {
    run(async |net| {
        let transport = net.transport(issue(&["node"]).credentials());
        let capabilities = transport.capabilities();
        assert!(capabilities.encrypted && capabilities.peer_identity);
        assert!(
            transport
                .open(listening(None), midflight_transport_api::conformance::nobody())
                .await
                .is_ok()
        );
    });
}

#[test]
fn credentials_that_cannot_be_used_say_why() {
    let Issued { authority, chain, key } = issue(&["node"]);
    let read = |authority: &str, chain: &str, key: &str| {
        Credentials::from_pem(authority.as_bytes(), chain.as_bytes(), key.as_bytes())
    };
    assert_eq!(read(&authority, &chain, &key).unwrap().identity(), "node");
    for (credentials, says) in [
        (read("", &chain, &key), "no authority's certificate in PEM"),
        (read(&authority, "nonsense", &key), "no certificate in PEM"),
        (read(&authority, &chain, &chain), "no private key in PEM"),
    ] {
        let error = credentials.unwrap_err();
        assert!(error.to_string().starts_with(says), "{error}");
    }
    let nameless = issue(&["127.0.0.1"]);
    let error = read(&authority, &nameless.chain, &nameless.key).unwrap_err();
    assert!(matches!(error, CredentialsError::NoName(_)), "{error}");

    run(async |net| {
        let foreign = read(&authority, &chain, &issue(&["node"]).key).unwrap();
        let error = TlsTransport::new(Net::config(), foreign, net.runtime()).unwrap_err();
        assert!(matches!(error, CredentialsError::Certificate(_)), "{error}");
    });
}

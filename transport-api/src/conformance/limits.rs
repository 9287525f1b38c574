//! What there is not more of, and what two endpoints can do together.

use super::{Fixture, Outcome, Party, send};
use crate::frame::CONNECTIONS_MAX;
use crate::{ConnectErrorKind, Link, Room, SendErrorKind};

/// T6: a link carries so many connections and no more; what is closed makes room.
pub async fn connections_of_a_link(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let mut open: Vec<_> =
        (0..CONNECTIONS_MAX).map(|_| link.open().expect("there is room")).collect();
    let is_full = |link: &dyn Link| {
        let refused = link.open().expect_err("there are no more");
        assert_eq!(*refused.kind(), SendErrorKind::TooMany);
    };
    is_full(&*link);
    // The link has taken no harm: not here, and not at the other end.
    for connection in [open[0], open[CONNECTIONS_MAX - 1]] {
        send(&*link, connection, b"x").await.expect("it is sent");
        assert_eq!(server.received().await.0, connection);
    }
    for connection in open.drain(..10) {
        link.close_connection(connection).expect("it closes");
    }
    for _ in 0..10 {
        let connection = link.open().expect("there is room again");
        send(&*link, connection, b"y").await.expect("it is sent");
        assert_eq!(server.received().await.0, connection);
    }
    is_full(&*link);
    Ok(())
}

/// T12: the capabilities say what links do. (The longest message has a case of its own,
/// [`unsupported_size_refused`](super::sending::unsupported_size_refused).)
pub async fn capabilities_tell_the_truth(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let said = f.transport.capabilities();
    let links = [a.connect(&b).await, b.link(0).await];
    for (party, link) in [&a, &b].into_iter().zip(&links) {
        assert_eq!(party.end().capabilities(), said, "an endpoint offers what its transport does");
        let identity = &link.peer().identity;
        assert_eq!(identity.is_some(), said.peer_identity, "{identity:?}");
        let mut max = None;
        link.write(Room::Small, &mut |outgoing| max = Some(outgoing.max_message()))
            .expect("there is room");
        assert_eq!(max, Some(said.max_message), "both take the same");
    }
    Ok(())
}

/// T9: two that have a version in common use it.
pub async fn a_common_version_is_found(f: Fixture) -> Outcome {
    let (old, new) = (f.speaking(1, 1)?, f.speaking(1, 9)?);
    for (round, (one, two)) in [(&old, &new), (&new, &old)].into_iter().enumerate() {
        let a = Party::with(&**one, (f.bind)(&format!("a{round}")), true).await;
        let b = Party::with(&**two, (f.bind)(&format!("b{round}")), false).await;
        let link = b.connect(&a).await;
        let connection = link.open().expect("it opens");
        send(&*link, connection, b"x").await.expect("it is sent");
        assert_eq!(b.received().await.1[..], *b"x", "there and back");
    }
    Ok(())
}

/// T9: two that have no version in common are told both ranges, each from its side; both go on.
pub async fn no_common_version(f: Fixture) -> Outcome {
    let (old, new) = (f.speaking(1, 1)?, f.speaking(7, 9)?);
    let a = Party::with(&*old, (f.bind)("a"), false).await;
    let b = Party::with(&*new, (f.bind)("b"), false).await;
    for (from, to, ours, theirs) in [(&a, &b, (1, 1), (7, 9)), (&b, &a, (7, 9), (1, 1))] {
        let error = from.end().connect(to.address()).await.expect_err("they cannot talk");
        assert_eq!(*error.kind(), ConnectErrorKind::NoCommonVersion { ours, theirs }, "{error}");
    }
    for party in [&a, &b] {
        assert_eq!(party.links().len(), 0, "there was no link");
    }
    let decent = Party::with(&*old, (f.bind)("decent"), false).await;
    decent.connect(&a).await;
    Ok(())
}

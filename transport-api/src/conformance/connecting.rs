//! How two endpoints get their one link.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{Fixture, Outcome, Party, Seen, nobody, send};
use crate::{Bind, ConnectErrorKind, OpenErrorKind};

/// Many who connect at once get one link.
pub async fn parallel_connects(f: Fixture) -> Outcome {
    const MANY: usize = 32;
    let server = Party::open(&f, "server").await;
    let client = Arc::new(Party::open(&f, "client").await);
    for n in 0..MANY {
        let (client, to) = (client.clone(), server.address().clone());
        f.spawn(async move {
            let link = client.end().connect(&to).await.expect("it connects");
            let connection = link.open().expect("it opens");
            for _ in 0..2 {
                send(&*link, connection, &[n as u8]).await.expect("it is sent");
            }
            link.close_connection(connection).expect("it closes");
        });
    }
    let mut messages = Vec::new();
    for _ in 0..2 * MANY {
        messages.push(server.received().await);
    }
    messages.sort();
    for pair in messages.chunks(2) {
        assert_eq!(pair[0], pair[1], "each connection carries two equal messages");
    }
    for _ in 0..MANY {
        server.closed().await;
    }
    let ups = server.seen().iter().filter(|(_, seen)| *seen == Seen::Up).count();
    assert_eq!(ups, 1);
    Ok(())
}

/// T4: both sides connect at once and get one link, which works both ways.
pub async fn crossing(f: Fixture) -> Outcome {
    for round in 0..10 {
        let a = Arc::new(Party::open(&f, &format!("a{round}")).await);
        let b = Arc::new(Party::open(&f, &format!("b{round}")).await);
        for (from, to) in [(&a, &b), (&b, &a)] {
            let (from, to) = (from.clone(), to.address().clone());
            f.spawn(async move {
                let link = from.end().connect(&to).await.expect("it connects");
                let connection = link.open().expect("it opens");
                send(&*link, connection, b"hello").await.expect("it is sent");
            });
        }
        for party in [&a, &b] {
            assert_eq!(party.received().await.1[..], *b"hello");
            let others: Vec<_> = party
                .seen()
                .into_iter()
                .filter(|(_, seen)| !matches!(seen, Seen::Opened(_)))
                .collect();
            assert!(matches!(&others[..], [(_, Seen::Up)]), "one link and no loss: {others:?}");
        }
    }
    Ok(())
}

/// Nobody there is an answer, not a hang.
pub async fn connect_to_nobody(f: Fixture) -> Outcome {
    let client = Party::open(&f, "client").await;
    let error = client.end().connect(&f.nobody).await.expect_err("nobody is there");
    assert_eq!(*error.kind(), ConnectErrorKind::NotFound, "{error}");
    Ok(())
}

/// A closed endpoint is not there any more, and does not connect.
pub async fn connect_closed_end_point(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    server.end().close().await;
    let error = client.end().connect(server.address()).await.expect_err("it is closed");
    assert_eq!(*error.kind(), ConnectErrorKind::NotFound, "{error}");
    let error = server.end().connect(client.address()).await.expect_err("it is closed");
    assert_eq!(*error.kind(), ConnectErrorKind::Closed, "{error}");
    Ok(())
}

/// An address of another scheme is refused.
pub async fn connect_bad_address(f: Fixture) -> Outcome {
    let client = Party::open(&f, "client").await;
    let address = "pigeon:loft".parse().expect("it is an address");
    let error = client.end().connect(&address).await.expect_err("no pigeons here");
    assert_eq!(*error.kind(), ConnectErrorKind::BadAddress, "{error}");
    let bind = Bind::Listen { listen: address, advertise: None };
    let opened = f.transport.open(bind, nobody()).await;
    assert_eq!(*opened.expect_err("no pigeons here").kind(), OpenErrorKind::BadAddress);
    Ok(())
}

/// An endpoint has no link to itself, and says so.
pub async fn connect_to_self(f: Fixture) -> Outcome {
    let client = Party::open(&f, "client").await;
    match client.end().connect(client.address()).await {
        Ok(_) => Err("the backend links endpoints to themselves; nothing promises how".into()),
        Err(error) => {
            assert_eq!(*error.kind(), ConnectErrorKind::BadAddress, "{error}");
            Ok(())
        }
    }
}

/// An endpoint that only dials has links, and cannot be dialled.
pub async fn dial_only(f: Fixture) -> Outcome {
    let server = Party::echo(&f, "server").await;
    let client = Party::with(&*f.transport, Bind::DialOnly, false).await;
    let other = Party::with(&*f.transport, Bind::DialOnly, false).await;
    assert_ne!(client.address(), other.address());
    let error = other.end().connect(client.address()).await.expect_err("it cannot be dialled");
    assert_eq!(*error.kind(), ConnectErrorKind::BadAddress, "{error}");
    let link = client.connect(&server).await;
    let connection = link.open().expect("it opens");
    send(&*link, connection, b"x").await.expect("it is sent");
    assert_eq!(client.received().await.1[..], *b"x");
    // While there is a link, the name finds it.
    let back = server.connect(&client).await;
    assert_eq!(back.peer().address, *client.address());
    Ok(())
}

/// Two cannot listen at one address.
pub async fn listening_twice_is_refused(f: Fixture) -> Outcome {
    let first = Party::open(&f, "first").await;
    let bind = Bind::Listen { listen: first.address().clone(), advertise: None };
    let second = f.transport.open(bind.clone(), nobody()).await;
    assert_eq!(*second.expect_err("it is taken").kind(), OpenErrorKind::InUse);
    first.end().close().await;
    f.transport.open(bind, nobody()).await.expect("it is free again");
    Ok(())
}

/// While a link lives there is no other, whoever connects.
pub async fn a_second_connect_gives_the_same_link(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    assert_eq!(a.connect(&b).await.id(), link.id());
    assert_eq!(b.connect(&a).await.id(), b.link(0).await.id());
    Ok(())
}

/// Who gives up connecting harms nobody: not another who waits for the same link, not the endpoint.
pub async fn a_cancelled_connect_harms_nothing(f: Fixture) -> Outcome {
    let client = Party::open(&f, "client").await;
    is_ready(&mut client.end().connect(&f.nobody)).await;
    for round in 0..12_u8 {
        let server = Party::open(&f, &format!("server{round}")).await;
        let mut first = client.end().connect(server.address());
        let mut second = client.end().connect(server.address());
        let begun = !is_ready(&mut first).await;
        // A quick backend may have its link by the second look.
        let waits = begun && round % 3 > 0 && !is_ready(&mut second).await;
        if round % 2 > 0 {
            f.sleep(Duration::from_millis(u64::from(round / 2))).await;
        }
        drop(first);
        // Who asked together with the one that gave up, or only afterwards.
        let link = match waits {
            true => second.await.expect("the other goes on"),
            false => client.connect(&server).await,
        };
        let connection = link.open().expect("it opens");
        send(&*link, connection, &[round]).await.expect("it is sent");
        assert_eq!(server.received().await.1[..], [round]);
        let ups = server.seen().iter().filter(|(_, seen)| *seen == Seen::Up).count();
        assert_eq!(ups, 1);
    }
    client.end().close().await;
    Ok(())
}

/// Polls `future` once.
async fn is_ready<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send + '_>>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

//! How links end, and that both sides learn of it once and in time.

use std::future::Future as _;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::sending::fill_up;
use super::{Fixture, Outcome, Party, Seen, send, send_large};
use crate::{ConnectErrorKind, LossKind, Room, SendErrorKind};

/// T2: each side is told each loss once, and before anything of the next link.
pub async fn lost_told_once_and_before_reconnect(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    for round in 0..10_u8 {
        // It may come back before the other has noticed that it was gone.
        let link = a.connect(&b).await;
        let connection = link.open().expect("it opens");
        send(&*link, connection, &[round]).await.expect("it is sent");
        b.received_keeping(&[round]).await;
        assert!(a.end().break_link(b.address()));
    }
    for party in [&a, &b] {
        ups_and_losses(party, 10).await;
    }
    Ok(())
}

/// Each of so many links is told up, and lost before the next is up.
async fn ups_and_losses(party: &Party, links: usize) {
    let mut before = None;
    for _ in 0..links {
        let (up, seen) = party.pick(|link, seen| relevant(seen).map(|s| (link, s))).await;
        assert_eq!(seen, "up");
        assert!(before.replace(up) < Some(up), "incarnations have growing numbers");
        let (lost, seen) = party.pick(|link, seen| relevant(seen).map(|s| (link, s))).await;
        let told = "the loss of a link is told before the next is up";
        assert_eq!((lost, seen), (up, "lost"), "{told}");
    }
}

const fn relevant(seen: &Seen) -> Option<&'static str> {
    match seen {
        Seen::Up => Some("up"),
        Seen::Lost(_) => Some("lost"),
        _ => None,
    }
}

/// T2: one side breaks the link and connects again before the other knows of anything: that one is
/// told the loss first, and what it wrote to the old link does not come.
pub async fn a_half_open_link_is_told_lost_before_the_next(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    for round in 0..5_u8 {
        let old = a.connect(&b).await;
        let connection = old.open().expect("it opens");
        send(&*old, connection, &[round]).await.expect("it is sent");
        b.received_keeping(&[round]).await;
        f.cut(a.address(), b.address())?;
        assert!(a.end().break_link(b.address()));
        let unknowing = b.link(usize::from(round)).await;
        let late = unknowing.open().expect("it knows nothing");
        send(&*unknowing, late, b"late").await.expect("it knows nothing");
        f.heal(a.address(), b.address())?;
    }
    let last = a.connect(&b).await;
    let connection = last.open().expect("it opens");
    send(&*last, connection, b"last").await.expect("it is sent");
    b.received_keeping(b"last").await;
    assert!(!a.seen().iter().any(|(_, seen)| matches!(seen, Seen::Received { .. })));
    last.close();
    for party in [&a, &b] {
        ups_and_losses(party, 6).await;
    }
    Ok(())
}

/// T2: handles from before a loss refuse, also when there is a new link.
pub async fn handles_refuse_after_loss(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let old = a.connect(&b).await;
    let connection = old.open().expect("it opens");
    assert!(a.end().break_link(b.address()));
    for _ in 0..2 {
        let refused = [
            send(&*old, connection, b"x").await.expect_err("it is lost"),
            old.open().expect_err("it is lost"),
            old.close_connection(connection).expect_err("it is lost"),
            std::future::poll_fn(|cx| old.poll_ready(Room::Small, cx))
                .await
                .expect_err("it is lost"),
        ];
        assert!(refused.iter().all(|error| *error.kind() == SendErrorKind::LinkLost));
        old.close();
        let new = a.connect(&b).await;
        assert_ne!(new.id(), old.id());
        let connection = new.open().expect("it opens");
        send(&*new, connection, b"new").await.expect("it is sent");
        assert_eq!(b.received().await.1[..], *b"new");
    }
    Ok(())
}

/// T13: breaking a link tells both sides, and says whether there was one.
pub async fn break_link(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    assert!(!a.end().break_link(b.address()), "there is none");
    let link = a.connect(&b).await;
    assert!(a.end().break_link(b.address()));
    let (id, loss) = a.lost().await;
    assert_eq!((id, loss.kind), (link.id(), LossKind::Cut));
    assert_ne!(b.lost().await.1.kind, LossKind::Closed);
    assert!(!a.end().break_link(b.address()), "it is gone");
    Ok(())
}

/// Both sides break it at once, and each is told once.
pub async fn break_link_from_both_sides(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    for _ in 0..5 {
        a.connect(&b).await;
        b.connect(&a).await;
        a.end().break_link(b.address());
        b.end().break_link(a.address());
        a.lost().await;
        b.lost().await;
    }
    for party in [a, b] {
        assert!(!party.seen().iter().any(|(_, seen)| matches!(seen, Seen::Lost(_))));
    }
    Ok(())
}

/// Aborting gives the words to the own sink.
pub async fn abort(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    link.abort("enough of it");
    link.abort("once is enough");
    let (_, loss) = a.lost().await;
    assert_eq!((loss.kind, &loss.detail[..]), (LossKind::Cut, "enough of it"));
    b.lost().await;
    Ok(())
}

/// A polite close delivers everything first.
pub async fn polite_close_delivers_first(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    let (bulk, quick) = (link.open().expect("it opens"), link.open().expect("it opens"));
    let large = Bytes::from(vec![1; 1 << 20]);
    for _ in 0..5 {
        send_large(&*link, bulk, large.clone()).await.expect("it is sent");
        send(&*link, quick, b"x").await.expect("it is sent");
    }
    link.close();
    link.close();
    let refused = send(&*link, quick, b"x").await.expect_err("it is closing");
    assert_eq!(*refused.kind(), SendErrorKind::LinkLost);
    for _ in 0..10 {
        b.received().await;
    }
    assert_eq!(b.lost().await.1.kind, LossKind::Closed);
    assert_eq!(a.lost().await.1.kind, LossKind::Closed);
    Ok(())
}

/// Both close it politely while messages are under way; none is lost.
pub async fn polite_close_from_both_sides(f: Fixture) -> Outcome {
    for _ in 0..5 {
        let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
        let links = [a.connect(&b).await, b.connect(&a).await];
        for link in &links {
            let connection = link.open().expect("it opens");
            for _ in 0..50 {
                send(&**link, connection, b"x").await.expect("it is sent");
            }
        }
        links.iter().for_each(|link| link.close());
        for party in [&a, &b] {
            for _ in 0..50 {
                party.received().await;
            }
            assert_eq!(party.lost().await.1.kind, LossKind::Closed);
            party.end().close().await;
        }
    }
    Ok(())
}

/// Who connects while the old link is being closed gets a new one, and nothing of the old is lost.
pub async fn closing_and_connecting_again(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    for round in 0..10_u8 {
        let link = a.connect(&b).await;
        let connection = link.open().expect("a new link can be written to");
        send_large(&*link, connection, Bytes::from(vec![round; 100_000])).await.expect("sent");
        link.close();
        if round % 2 == 0 {
            b.link(usize::from(round)).await.close();
        }
    }
    for round in 0..10_u8 {
        assert_eq!(b.received().await.1[0], round);
        assert_eq!(a.lost().await.1.kind, LossKind::Closed);
        assert_eq!(b.lost().await.1.kind, LossKind::Closed);
    }
    Ok(())
}

/// Closing an endpoint closes its links politely, and can be done twice.
pub async fn end_point_close(f: Fixture) -> Outcome {
    let a = Party::open(&f, "a").await;
    let peers = [Party::open(&f, "b").await, Party::open(&f, "c").await];
    for peer in &peers {
        let link = a.connect(peer).await;
        let connection = link.open().expect("it opens");
        send(&*link, connection, b"last").await.expect("it is sent");
    }
    a.end().close().await;
    a.end().close().await;
    for peer in &peers {
        assert_eq!(peer.received().await.1[..], *b"last");
        assert_eq!(peer.lost().await.1.kind, LossKind::Closed);
    }
    for _ in 0..2 {
        assert_eq!(a.lost().await.1.kind, LossKind::Closed);
    }
    let error = a.end().connect(peers[0].address()).await.expect_err("it is closed");
    assert_eq!(*error.kind(), ConnectErrorKind::Closed);
    for link in [a.link(0).await, a.link(1).await, peers[0].link(0).await, peers[1].link(0).await] {
        assert_eq!(*link.open().expect_err("it is closed").kind(), SendErrorKind::LinkLost);
        link.close();
    }
    Ok(())
}

/// Closing an endpoint leaves the others of its transport alone.
pub async fn end_point_close_leaves_another(f: Fixture) -> Outcome {
    let server = Party::echo(&f, "server").await;
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    a.connect(&server).await;
    let link = b.connect(&server).await;
    a.end().close().await;
    let connection = link.open().expect("it lives");
    send(&*link, connection, b"x").await.expect("it is sent");
    assert_eq!(b.received().await.1[..], *b"x");
    a.end().connect(server.address()).await.expect_err("it is closed");
    Ok(())
}

/// Closing an endpoint ends in time, also when a peer takes nothing; that peer's link is cut.
pub async fn end_point_close_has_a_deadline(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    let connection = link.open().expect("it opens");
    b.pause(true);
    fill_up(&f, &*link, connection, &Bytes::from(vec![1; 1 << 20])).await;
    let began = f.now();
    a.end().close().await;
    let took = f.now() - began;
    assert!(took <= f.drain + f.heartbeat, "after {took:?}, and {:?} are allowed", f.drain);
    assert_eq!(a.lost().await.1.kind, LossKind::Cut);
    b.pause(false);
    assert_ne!(b.lost().await.1.kind, LossKind::Closed, "not everything has come");
    Ok(())
}

/// An endpoint that is dropped takes its links with it.
pub async fn dropped_end_point(f: Fixture) -> Outcome {
    let (mut a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    a.connect(&b).await;
    a.endpoint = None;
    b.lost().await;
    // Nobody waited for its end: it may still be going.
    for _ in 0..100 {
        let error = b.end().connect(a.address()).await.expect_err("it is gone");
        match error.kind() {
            ConnectErrorKind::NotFound => return Ok(()),
            ConnectErrorKind::Unreachable => {}
            other => panic!("{other}"),
        }
    }
    panic!("it is still going");
}

/// T5: a silent peer is noticed in time, with and without traffic, and not too early.
pub async fn silent_peer_noticed(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    let connection = link.open().expect("it opens");
    b.opened().await;
    f.sleep(f.heartbeat).await;
    f.cut(a.address(), b.address())?;
    let began = f.now();
    send(&*link, connection, b"into the void").await.expect("nobody knows yet");
    for party in [&a, &b] {
        assert_eq!(party.lost().await.1.kind, LossKind::Silent);
        let (took, bound) = (f.now() - began, f.heartbeat);
        assert!(took >= bound.mul_f64(0.8) && took <= bound.mul_f64(1.2), "after {took:?}");
    }
    Ok(())
}

/// T5: a link without traffic lives.
pub async fn idle_link_lives(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    f.sleep(f.heartbeat * 4).await;
    let connection = link.open().expect("it lives");
    send(&*link, connection, b"x").await.expect("it is sent");
    assert_eq!(b.received().await.1[..], *b"x");
    Ok(())
}

/// A peer whose sink takes nothing for long is slow, not silent.
pub async fn a_paused_reader_is_not_silent(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    let connection = link.open().expect("it opens");
    b.opened().await;
    b.pause(true);
    for _ in 0..8 {
        send(&*link, connection, b"x").await.expect("it lives");
        f.sleep(f.heartbeat / 2).await;
    }
    b.pause(false);
    for _ in 0..8 {
        b.received().await;
    }
    Ok(())
}

/// Who waits for room is woken by the loss.
pub async fn who_waits_for_room_learns_of_the_loss(f: Fixture) -> Outcome {
    let (a, b) = (Arc::new(Party::open(&f, "a").await), Party::open(&f, "b").await);
    b.pause(true);
    let link = a.connect(&b).await;
    let connection = link.open().expect("it opens");
    let (breaker, to, heartbeat) = (a.clone(), b.address().clone(), f.sleep(f.heartbeat));
    f.spawn(async move {
        heartbeat.await;
        breaker.end().break_link(&to);
    });
    let large = Bytes::from(vec![1; 1 << 20]);
    let error = loop {
        if let Err(error) = send_large(&*link, connection, large.clone()).await {
            break error;
        }
    };
    assert_eq!(*error.kind(), SendErrorKind::LinkLost);
    // It is told to the sink although that takes nothing.
    let mut lost = std::pin::pin!(b.lost());
    let mut bound = f.sleep(f.heartbeat * 2);
    std::future::poll_fn(|cx| match lost.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => bound.as_mut().poll(cx).map(|()| b.pause(false)),
    })
    .await;
    Ok(())
}

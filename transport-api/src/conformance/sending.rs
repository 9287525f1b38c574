//! Messages on connections: order, separation, bounds, refusals.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::{Fixture, Outcome, Party, Seen, send, send_large};
use crate::{ConnectionId, Link, Room, SMALL_MAX, SendErrorKind, frame};

const PINGS: u32 = 500;

/// A peer that sends everything back does so, and closing goes both ways.
pub async fn ping_pong(f: Fixture) -> Outcome {
    let (server, client) = (Party::echo(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    assert_eq!(link.peer().address, *server.address());
    let there = link.open().expect("it opens");
    let back = client.opened().await;
    for n in 0..PINGS {
        send(&*link, there, &n.to_le_bytes()).await.expect("it is sent");
        assert_eq!(client.received().await, (back, Bytes::from(n.to_le_bytes().to_vec())));
    }
    link.close_connection(there).expect("it closes");
    assert_eq!(client.closed().await, back);
    Ok(())
}

/// Two clients of one server never get each other's answers.
pub async fn end_points(f: Fixture) -> Outcome {
    let server = Party::echo(&f, "server").await;
    let clients = [Party::open(&f, "a").await, Party::open(&f, "b").await];
    let links = [clients[0].connect(&server).await, clients[1].connect(&server).await];
    let connections = links.each_ref().map(|link| link.open().expect("it opens"));
    for _ in 0..PINGS {
        for who in 0..2 {
            send(&*links[who], connections[who], &[who as u8]).await.expect("it is sent");
        }
    }
    for _ in 0..PINGS {
        for (who, client) in clients.iter().enumerate() {
            assert_eq!(client.received().await.1[..], [who as u8]);
        }
    }
    Ok(())
}

/// What is sent on one connection does not come on another.
pub async fn connections_are_separate(f: Fixture) -> Outcome {
    let (server, client) = (Party::echo(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let connections = [link.open().expect("it opens"), link.open().expect("it opens")];
    // Connections have no order among each other: which is whose shows with the first message.
    let mut backs = BTreeMap::new();
    for n in 0..PINGS {
        for (which, connection) in connections.iter().enumerate() {
            let payload = [&[which as u8][..], &n.to_le_bytes()].concat();
            send(&*link, *connection, &payload).await.expect("it is sent");
        }
    }
    let mut next = [0_u32; 2];
    for _ in 0..2 * PINGS {
        let (connection, payload) = client.received().await;
        let which = usize::from(payload[0]);
        assert_eq!(*backs.entry(connection).or_insert(which), which);
        assert_eq!(payload[1..], next[which].to_le_bytes());
        next[which] += 1;
    }
    assert_eq!(backs.len(), 2);
    Ok(())
}

/// Closing one connection does not disturb another.
pub async fn close_one_connection(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let (one, two) = (link.open().expect("it opens"), link.open().expect("it opens"));
    for n in 0..2 * PINGS {
        if n < PINGS {
            send(&*link, one, b"one").await.expect("it is sent");
        }
        send(&*link, two, b"two").await.expect("it is sent");
        if n == PINGS {
            link.close_connection(one).expect("it closes");
        }
    }
    let mut counts = BTreeMap::new();
    for _ in 0..3 * PINGS {
        *counts.entry(server.received().await.1).or_insert(0) += 1;
    }
    assert_eq!(counts[&b"one"[..]], PINGS);
    assert_eq!(counts[&b"two"[..]], 2 * PINGS);
    assert_eq!(server.closed().await, one);
    Ok(())
}

/// The other direction outlives the closing of one.
pub async fn close_one_direction(f: Fixture) -> Outcome {
    let (a, b) = (Party::open(&f, "a").await, Party::open(&f, "b").await);
    let link = a.connect(&b).await;
    let there = link.open().expect("it opens");
    b.opened().await;
    let link_back = b.link(0).await;
    let back = link_back.open().expect("it opens");
    link.close_connection(there).expect("it closes");
    assert_eq!(b.closed().await, there);
    for _ in 0..PINGS {
        send(&*link_back, back, b"still").await.expect("it is sent");
    }
    link_back.close_connection(back).expect("it closes");
    for _ in 0..PINGS {
        assert_eq!(a.received().await.0, back);
    }
    assert_eq!(a.closed().await, back);
    Ok(())
}

/// A connection opened after another was closed has its own whole stream.
pub async fn close_reopen(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let mut before = None;
    for round in 0..3_u32 {
        let connection = link.open().expect("it opens");
        assert_ne!(before.replace(connection), Some(connection), "a number is not used again");
        for n in 0..PINGS {
            send(&*link, connection, &(round * PINGS + n).to_le_bytes()).await.expect("sent");
        }
        link.close_connection(connection).expect("it closes");
        assert_eq!(server.opened().await, connection);
        for n in 0..PINGS {
            let wanted = Bytes::from((round * PINGS + n).to_le_bytes().to_vec());
            let next = server.received().await;
            assert_eq!(next, (connection, wanted), "the next message of the connection");
        }
        assert_eq!(server.closed().await, connection);
    }
    Ok(())
}

/// A closed connection refuses, whether others are open or not.
pub async fn send_after_close(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    for _ in 0..100 {
        let (one, two) = (link.open().expect("it opens"), link.open().expect("it opens"));
        send(&*link, one, b"x").await.expect("it is sent");
        link.close_connection(one).expect("it closes");
        let refused = send(&*link, one, b"x").await.expect_err("it is closed");
        assert_eq!(*refused.kind(), SendErrorKind::Closed);
        send(&*link, two, b"x").await.expect("the other is open");
        link.close_connection(two).expect("it closes");
        let refused = send(&*link, two, b"x").await.expect_err("it is closed");
        assert_eq!(*refused.kind(), SendErrorKind::Closed);
    }
    Ok(())
}

/// Closing twice does nothing more.
pub async fn close_twice(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    for _ in 0..100 {
        let connection = link.open().expect("it opens");
        send(&*link, connection, b"x").await.expect("it is sent");
        link.close_connection(connection).expect("it closes");
        link.close_connection(connection).expect("it closes again");
    }
    let last = link.open().expect("it opens");
    send(&*link, last, b"last").await.expect("it is sent");
    while server.received().await.0 != last {}
    let closed = server.seen().iter().filter(|(_, seen)| matches!(seen, Seen::Closed(_))).count();
    assert_eq!(closed, 100);
    Ok(())
}

/// T7: small messages pass a large one that began before them.
pub async fn large_message_does_not_starve_small(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let (bulk, quick) = (link.open().expect("it opens"), link.open().expect("it opens"));
    let large = Bytes::from(vec![7; link_max(&f).min(8 << 20)]);
    // While the server takes nothing, the large one is under way but cannot end.
    server.pause(true);
    send_large(&*link, bulk, large.clone()).await.expect("it is sent");
    f.sleep(Duration::from_millis(20)).await;
    for n in 0..100_u8 {
        send(&*link, quick, &[n]).await.expect("it is sent");
    }
    server.pause(false);
    for n in 0..100_u8 {
        assert_eq!(
            server.received().await,
            (quick, Bytes::from(vec![n])),
            "ahead of the large one"
        );
    }
    assert_eq!(server.received().await, (bulk, large));
    Ok(())
}

/// T1: whatever the sizes and however they were given, a connection keeps the order.
pub async fn messages_of_all_sizes_keep_their_order(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let connections: Vec<_> = (0..3).map(|_| link.open().expect("it opens")).collect();
    let sizes = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000];
    let mut sent: BTreeMap<ConnectionId, Vec<Bytes>> = BTreeMap::new();
    for n in 0..81_usize {
        let connection = connections[n % 3];
        let payload = Bytes::from(vec![n as u8; sizes[n * 7 % sizes.len()]]);
        match n % 2 {
            0 => send_large(&*link, connection, payload.clone()).await.expect("it is sent"),
            _ => send(&*link, connection, &payload).await.expect("it is sent"),
        }
        sent.entry(connection).or_default().push(payload);
    }
    let mut got: BTreeMap<ConnectionId, Vec<Bytes>> = BTreeMap::new();
    for _ in 0..81 {
        let (connection, payload) = server.received().await;
        got.entry(connection).or_default().push(payload);
    }
    assert!(got == sent, "every stream is whole and in order");
    Ok(())
}

/// T6: a peer that takes nothing makes the batch full, and nothing is lost by it.
pub async fn bounded_outgoing_says_full(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let connection = link.open().expect("it opens");
    server.opened().await;
    server.pause(true);
    let payload = Bytes::from(vec![1; 4000]);
    let count = fill_up(&f, &*link, connection, &payload).await;
    server.pause(false);
    std::future::poll_fn(|cx| link.poll_ready(Room::Small, cx)).await.expect("there is room again");
    for _ in 0..count {
        assert_eq!(server.received().await.1.len(), payload.len());
    }
    Ok(())
}

/// Sends to a peer that takes nothing until nothing more goes in, and says how many were taken.
pub(super) async fn fill_up(
    f: &Fixture,
    link: &dyn Link,
    connection: ConnectionId,
    payload: &Bytes,
) -> usize {
    let mut count = 0;
    loop {
        let full = link.write(Room::of(payload.len()), &mut |outgoing| {
            outgoing.message_bytes(connection, &[], payload.clone()).expect("it is open");
        });
        match full {
            Ok(()) => count += 1,
            Err(error) => {
                assert_eq!(*error.kind(), SendErrorKind::Full);
                // What is under way still makes room for a while.
                if !ready_within(link, Room::of(payload.len()), f.sleep(Duration::from_millis(100)))
                    .await
                {
                    return count;
                }
            }
        }
        assert!(count * payload.len() < 64 << 20, "nothing bounds it");
    }
}

/// Whether the link has room before `tick` ends.
async fn ready_within(link: &dyn Link, room: Room, mut tick: super::CaseFuture) -> bool {
    std::future::poll_fn(|cx| match link.poll_ready(room, cx) {
        Poll::Ready(ready) => Poll::Ready(ready.is_ok()),
        Poll::Pending => tick.as_mut().poll(cx).map(|()| false),
    })
    .await
}

/// T7: where there is no room for more long messages there is some for short ones.
pub async fn long_messages_leave_room_for_short(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let (bulk, quick) = (link.open().expect("it opens"), link.open().expect("it opens"));
    server.pause(true);
    let large = Bytes::from(vec![1; 1 << 20]);
    let count = fill_up(&f, &*link, bulk, &large).await;
    let short = link.write(Room::Small, &mut |outgoing| {
        outgoing.message(quick, b"short").expect("it is open");
    });
    short.expect("there is room for it");
    std::future::poll_fn(|cx| link.poll_ready(Room::Small, cx)).await.expect("and for more");
    // But not behind the long ones, without end.
    let filled = fill_up(&f, &*link, quick, &Bytes::from_static(&[2; 4000])).await;
    server.pause(false);
    for _ in 0..count + filled + 1 {
        server.received().await;
    }
    Ok(())
}

/// T6: a slow reader slows its own sender and no one else.
pub async fn a_slow_reader_slows_no_one_else(f: Fixture) -> Outcome {
    let (slow, quick) = (Party::open(&f, "slow").await, Party::open(&f, "quick").await);
    let sender = Party::open(&f, "sender").await;
    slow.pause(true);
    let links = [sender.connect(&slow).await, sender.connect(&quick).await];
    let connections = links.each_ref().map(|link| link.open().expect("it opens"));
    let large = Bytes::from(vec![1; 1 << 20]);
    while links[0]
        .write(Room::Large, &mut |outgoing| {
            outgoing.message_bytes(connections[0], &[], large.clone()).expect("it is open");
        })
        .is_ok()
    {}
    for _ in 0..PINGS {
        send(&*links[1], connections[1], b"x").await.expect("it is sent");
        assert_eq!(quick.received().await.1[..], *b"x");
    }
    slow.pause(false);
    slow.received().await;
    Ok(())
}

/// T12: a message longer than the capabilities say is refused, and the link goes on.
pub async fn unsupported_size_refused(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let connection = link.open().expect("it opens");
    let max = link_max(&f);
    let refused = send_large(&*link, connection, Bytes::from(vec![0; max + 1])).await;
    assert_eq!(*refused.expect_err("it is too long").kind(), SendErrorKind::TooLarge);
    let longest = Bytes::from(vec![0; max]);
    send_large(&*link, connection, longest).await.expect("just short enough");
    assert_eq!(server.received().await.1.len(), max);
    Ok(())
}

/// Extensions come with their message, small or large.
pub async fn extensions_arrive(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let connection = link.open().expect("it opens");
    let mut entries = Vec::new();
    frame::push_extension(&mut entries, 3, b"trace");
    for len in [10, 300_000] {
        let payload = Bytes::from(vec![1; len]);
        link.write(Room::Large, &mut |outgoing| {
            outgoing
                .message_parts(connection, &entries, &[], std::slice::from_ref(&payload))
                .expect("it is open");
        })
        .expect("there is room");
        let extensions = server.pick(|_, seen| match seen {
            Seen::Received { extensions, payload, .. } if payload.len() == len => {
                Some(extensions.clone())
            }
            _ => None,
        });
        assert_eq!(extensions.await, entries);
    }
    Ok(())
}

/// What panics while it fills the batch loses its own message and nothing else.
pub async fn a_fill_that_panics_harms_nothing(f: Fixture) -> Outcome {
    let (server, client) = (Party::open(&f, "server").await, Party::open(&f, "client").await);
    let link = client.connect(&server).await;
    let connections = [link.open().expect("it opens"), link.open().expect("it opens")];
    for size in [10, SMALL_MAX + 1, 100_000] {
        let fill = AssertUnwindSafe(|| {
            link.write(Room::Large, &mut |outgoing| {
                for connection in connections {
                    let before = Bytes::from(vec![b'b'; size]);
                    outgoing.message_bytes(connection, &[], before).expect("it is open");
                }
                let half = outgoing.message_with(connections[0], &[], |buffer| {
                    buffer.extend_from_slice(&[b'h'; 100]);
                    panic!("on purpose, while a message is written");
                });
                half.expect("it is not reached");
            })
        });
        std::panic::catch_unwind(fill).expect_err("it panics").downcast::<&str>().expect("ours");
        for connection in connections {
            send(&*link, connection, b"after").await.expect("the link lives");
        }
        let mut got: BTreeMap<ConnectionId, Vec<Bytes>> = BTreeMap::new();
        for _ in 0..4 {
            let (connection, payload) = server.received().await;
            got.entry(connection).or_default().push(payload);
        }
        let wanted = [Bytes::from(vec![b'b'; size]), Bytes::from_static(b"after")];
        assert!(got.values().all(|got| *got == wanted), "what was whole comes, the half does not");
    }
    Ok(())
}

fn link_max(f: &Fixture) -> usize {
    f.transport.capabilities().max_message
}

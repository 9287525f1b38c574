//! Peers that do not read, or do not hear that it is over.

use std::time::Duration;

use midflight_runtime::timeout;
use midflight_transport_api::{Link, LossKind, Outgoing, Room, SendErrorKind};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;

use crate::ground::Ground;
use crate::speech::{BYE, DATA, OPEN, PING, frame};

/// Whether it is not done within a while.
async fn is_stuck<T>(ground: &Ground, task: impl Future<Output = T>) -> bool {
    timeout(&*ground.runtime, Duration::from_millis(300), task).await.is_err()
}

pub(crate) async fn asks_and_reads_nothing(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(OPEN, 1, &[])).await.unwrap();
    let question = frame(DATA, 1, &[1; 60_000]);
    let mut asked = 0;
    while !is_stuck(ground, raw.say(&question)).await {
        asked += question.len();
        // That is what the sockets' buffers hold, both ways.
        assert!(asked < 64 << 20, "it takes without end");
    }
    // It is slow, not silent: what it says is not read because it does not read.
    ground.pause(1500).await;
    assert!(ground.host.living(&name).is_some());
    drop(raw);
    ground.lost(&name, "broken").await;
}

/// Sends to the peer until there is no room, and none comes.
async fn fill_up(ground: &Ground, link: &dyn Link) {
    let connection = link.open().unwrap();
    let mut append = |outgoing: &mut Outgoing| outgoing.message(connection, &[7; 4096]).unwrap();
    loop {
        match link.write(Room::Small, &mut append) {
            Ok(()) => {}
            Err(error) if *error.kind() == SendErrorKind::Full => {
                let room = std::future::poll_fn(|cx| link.poll_ready(Room::Small, cx));
                if is_stuck(ground, room).await {
                    return;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn is_sent_to_and_reads_nothing(ground: &Ground) {
    let (raw, name) = ground.linked().await;
    let link = ground.host.link(&name).await;
    fill_up(ground, &*link).await;
    // Who waits for room is woken when there is no link any more.
    let error = std::future::poll_fn(|cx| link.poll_ready(Room::Small, cx)).await.unwrap_err();
    assert_eq!(*error.kind(), SendErrorKind::LinkLost);
    assert_eq!(ground.lost(&name, "nothing was heard for").await.kind, LossKind::Silent);
    drop(raw);
}

pub(crate) async fn says_nothing_to_our_bye(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    let link = ground.host.link(&name).await;
    fill_up(ground, &*link).await;
    // Its silence is not what ends the link.
    raw.say(&frame(PING, 0, &[])).await.unwrap();
    let began = ground.now();
    link.close();
    let loss = ground.lost(&name, "not drained within").await;
    assert_eq!(loss.kind, LossKind::Cut);
    assert!(ground.now() - began >= ground.config.links.drain_deadline);
    drop(raw);
}

/// It hears the bye, and goes on as if nothing had been said.
pub(crate) async fn ignores_our_bye(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    let link = ground.host.link(&name).await;
    let began = ground.now();
    link.close();
    while raw.frame().await.0 != BYE {}
    while raw.say(&frame(PING, 0, &[])).await.is_ok() {
        ground.pause(20).await;
    }
    let loss = ground.lost(&name, "not drained within").await;
    assert_eq!(loss.kind, LossKind::Cut);
    assert!(ground.now() - began >= ground.config.links.drain_deadline);
}

/// It says bye, and then keeps the stream open and goes on talking.
pub(crate) async fn says_bye_and_stays(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    raw.say(&frame(BYE, 0, &[])).await.unwrap();
    while raw.frame().await.0 != BYE {}
    let loss = ground.lost(&name, "both sides said goodbye").await;
    assert_eq!(loss.kind, LossKind::Closed);
    let talks_on = async {
        while raw.say(b"whatever").await.is_ok() {
            ground.pause(20).await;
        }
    };
    ground.soon("the end of a stream that is over", talks_on).await;
}

/// It says bye and ends its stream, and takes what is on its way to it only then. Not hostile at all: all of
/// it must come, though the link has ended by agreement. What TLS says at a stream's end reaches the endpoint
/// after that, and must not be answered with a reset.
pub(crate) async fn says_bye_and_reads_late(ground: &Ground) {
    const LEN: usize = 50_000;
    let socket = TcpSocket::new_v4().unwrap();
    // So that most of it is still with the endpoint.
    socket.set_recv_buffer_size(4096).unwrap();
    let at = ground.endpoint.address().rest().parse().unwrap();
    let socket = socket.connect(at).await.unwrap();
    let (name, from) = (ground.name(), socket.local_addr().unwrap().to_string());
    let mut raw = ground.linked_on(ground.wrap(socket, from).await, &name).await;
    let link = ground.host.link(&name).await;
    let connection = link.open().unwrap();
    let mut append = |outgoing: &mut Outgoing| outgoing.message(connection, &[7; LEN]).unwrap();
    link.write(Room::Large, &mut append).unwrap();
    raw.say(&frame(BYE, 0, &[])).await.unwrap();
    let loss = ground.lost(&name, "both sides said goodbye").await;
    assert_eq!(loss.kind, LossKind::Closed);
    // Time to close the socket, had it a mind to.
    ground.pause(50).await;
    raw.stream.shutdown().await.unwrap();
    let mut came = Vec::new();
    let everything = async {
        loop {
            let (kind, _, payload) = raw.frame().await;
            came.extend_from_slice(&payload);
            if kind == BYE {
                return;
            }
        }
    };
    ground.soon("all that was sent", everything).await;
    assert_eq!(came, [7; LEN]);
}

/// It says bye, and does not take what is still on its way to it.
pub(crate) async fn says_bye_and_reads_nothing(ground: &Ground) {
    let (mut raw, name) = ground.linked().await;
    let link = ground.host.link(&name).await;
    fill_up(ground, &*link).await;
    let began = ground.now();
    raw.say(&frame(BYE, 0, &[])).await.unwrap();
    let loss = ground.lost(&name, "not drained within").await;
    assert_eq!(loss.kind, LossKind::Cut);
    assert!(ground.now() - began >= ground.config.links.drain_deadline);
}

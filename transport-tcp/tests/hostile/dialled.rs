//! Peers that are dialled, and do not answer as they should.

use midflight_transport_api::{Address, ConnectError, ConnectErrorKind};
use tokio::net::TcpListener;

use crate::ground::Ground;
use crate::raw::Raw;
use crate::speech::{
    CONFIRMATION, CROSSED, DATA, HELLO, OPEN, REFUSAL, WELCOME, frame, introduction, message,
};

/// The error of the dial while the peer does as in `answer`, after it has heard the hello.
async fn error(
    ground: &Ground,
    (listener, address): &(TcpListener, Address),
    answer: impl AsyncFnOnce(&mut Raw),
) -> ConnectError {
    let answers = async {
        let mut raw = ground.dialled(listener).await;
        assert_eq!(raw.message().await.0, HELLO);
        answer(&mut raw).await;
        raw
    };
    let (connected, _) = tokio::join!(ground.endpoint.connect(address), answers);
    connected.expect_err("it must not connect")
}

fn welcome(name: &Address) -> Vec<u8> {
    message(WELCOME, (1, 1), &introduction(name.as_str(), 9))
}

pub(crate) async fn answers_that_are_none(ground: &Ground) {
    let peer = ground.listener().await;
    for (answer, why) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "does not speak Midflight's protocol"),
        (message(WELCOME, (1, 1), b"?"), "malformed handshake message"),
        (message(WELCOME, (1, 1), &introduction("mem:x", 9)), "one of another transport"),
        (message(HELLO, (1, 1), &introduction(peer.1.as_str(), 9)), "out of turn"),
        (message(CONFIRMATION, (1, 1), &[]), "out of turn"),
        (message(REFUSAL, (1, 1), &[]), "malformed handshake message"),
        (message(REFUSAL, (1, 1), &[200]), "reason 200, unknown here"),
        (frame(DATA, 0, b"x"), "does not speak Midflight's protocol"),
        (b"midflght\x02\x01\0\x01\0\xff\xff".to_vec(), "handshake message of 65535 bytes"),
    ] {
        let error =
            error(ground, &peer, async |raw: &mut Raw| raw.say(&answer).await.unwrap()).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(why), "{why:?} is not in: {error}");
    }
    let later = message(WELCOME, (7, 9), b"of a later version");
    let error = error(ground, &peer, async |raw: &mut Raw| raw.say(&later).await.unwrap()).await;
    let wanted = ConnectErrorKind::NoCommonVersion { ours: (1, 1), theirs: (7, 9) };
    assert_eq!(*error.kind(), wanted, "{error}");
}

pub(crate) async fn closes_at_every_byte_of_the_welcome(ground: &Ground) {
    let peer = ground.listener().await;
    let welcome = welcome(&peer.1);
    for cut in 0..welcome.len() {
        let answers = async {
            let mut raw = ground.dialled(&peer.0).await;
            assert_eq!(raw.message().await.0, HELLO);
            raw.say(&welcome[..cut]).await.unwrap();
        };
        let (connected, ()) = tokio::join!(ground.endpoint.connect(&peer.1), answers);
        let error = connected.unwrap_err();
        assert_eq!(*error.kind(), ConnectErrorKind::Unreachable, "{error}");
    }
}

pub(crate) async fn a_dripped_welcome(ground: &Ground) {
    let peer = ground.listener().await;
    let long = message(WELCOME, (1, 1), &[b'x'; 1000]);
    let began = ground.now();
    let error = error(ground, &peer, async |raw: &mut Raw| {
        for byte in &long {
            if raw.say(&[*byte]).await.is_err() {
                return;
            }
            ground.pause(40).await;
        }
        panic!("it listened for all too long");
    })
    .await;
    assert_eq!(*error.kind(), ConnectErrorKind::TimedOut, "{error}");
    assert!(ground.now() - began >= ground.config.links.handshake_deadline);
}

pub(crate) async fn never_answers(ground: &Ground) {
    // Neither TLS nor the handshake.
    let (_listener, address) = ground.listener().await;
    let began = ground.now();
    let error = ground.endpoint.connect(&address).await.unwrap_err();
    assert_eq!(*error.kind(), ConnectErrorKind::TimedOut, "{error}");
    assert!(ground.now() - began >= ground.config.links.handshake_deadline);
}

/// It says that its own dial counts, and never dials.
pub(crate) async fn crossed_for_ever(ground: &Ground) {
    let (listener, address) = ground.listener().await;
    let mut dials = 0;
    let answers = async {
        loop {
            let mut raw = ground.dialled(&listener).await;
            dials += 1;
            assert_eq!(raw.message().await.0, HELLO);
            let _ = raw.say(&message(REFUSAL, (1, 1), &[CROSSED])).await;
        }
    };
    let error = tokio::select! {
        connected = ground.endpoint.connect(&address) => connected.unwrap_err(),
        () = answers => unreachable!("it never ends"),
    };
    assert_eq!(*error.kind(), ConnectErrorKind::TimedOut, "{error}");
    assert!((2..50).contains(&dials), "it dials again, and not all the time: {dials}");
}

/// What comes behind the welcome, before the confirmation, are frames already.
pub(crate) async fn welcomes_with_frames_at_once(ground: &Ground) {
    let (listener, address) = ground.listener().await;
    let answers = async {
        let mut raw = ground.dialled(&listener).await;
        assert_eq!(raw.message().await.0, HELLO);
        let bytes = [welcome(&address), frame(OPEN, 1, &[]), frame(DATA, 1, b"first")].concat();
        raw.say(&bytes).await.unwrap();
        assert_eq!(raw.message().await.0, CONFIRMATION);
        while raw.frame().await.2 != b"first" {}
        raw
    };
    let (connected, mut raw) = tokio::join!(ground.endpoint.connect(&address), answers);
    assert_eq!(ground.host.link(&address).await.id(), connected.unwrap().id());
    raw.is_echoed(1, b"second").await;
    raw.say(b"and now for something else").await.unwrap();
    ground.lost(&address, "protocol violation").await;
}

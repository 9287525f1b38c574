//! Attacks before and within the handshake.

use midflight_message::NodeId;

use super::ground::End::{Cut, Ignored, Over, Refused};
use super::ground::{End, Ground};
use super::raw::{Raw, announcement, message};
use crate::peer::wire::{Hello, Place, Signal};

pub(super) async fn a_message_before_the_handshake(ground: Ground) -> (Raw, End) {
    let raw = ground.dial().await;
    raw.send(&message(Place::of(ground.echo), b"x")).await;
    (raw, Cut("a message before the handshake"))
}

pub(super) async fn a_signal_before_the_handshake(ground: Ground) -> (Raw, End) {
    let raw = ground.dial().await;
    raw.say(&announcement(0, "hostile.Type", 0)).await;
    (raw, Cut("a signal before the handshake"))
}

pub(super) async fn a_proof_before_the_hello(ground: Ground) -> (Raw, End) {
    let raw = ground.dial().await;
    raw.say(&Signal::Proof { mac: [0; 32] }).await;
    (raw, Refused("a proof came before the hello"))
}

pub(super) async fn a_proof_where_no_secret_is(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.say(&Signal::Proof { mac: [0; 32] }).await;
    (raw, Refused("a second proof"))
}

pub(super) async fn silence(ground: Ground) -> (Raw, End) {
    (ground.dial().await, Refused("the handshake took too long"))
}

pub(super) async fn a_hello_without_a_welcome(ground: Ground) -> (Raw, End) {
    let raw = ground.dial().await;
    raw.say(&Signal::Hello(raw.hello.clone())).await;
    assert!(raw.is_cut().await);
    // It has never been a peer, and nobody looks where it says it is.
    assert_eq!(ground.node.metrics().links_lost, 0);
    assert!(!ground.log.says("node down") && !ground.log.says("node up peer=hostile"));
    (raw, Refused("the handshake took too long"))
}

/// Both are verified before the first is welcome.
pub(super) async fn one_identity_over_two_links(ground: Ground) -> (Raw, End) {
    let (first, second) = (ground.dial().await, ground.dial().await);
    for raw in [&first, &second] {
        raw.say(&Signal::Hello(raw.hello.clone())).await;
        raw.hears(|signal| matches!(signal, Signal::Welcome)).await;
    }
    first.say(&Signal::Welcome).await;
    ground.still_answers(&first).await;
    second.say(&Signal::Welcome).await;
    assert!(second.is_cut().await);
    ground.still_answers(&first).await;
    assert_eq!((ground.node.peers().len(), ground.node.metrics().links_lost), (2, 0));
    (second, Refused("has a link to that incarnation already"))
}

pub(super) async fn a_second_hello(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.say(&Signal::Hello(raw.hello.clone())).await;
    (raw, Refused("a second hello"))
}

/// Says a hello that was changed.
async fn says(ground: &Ground, change: impl FnOnce(&mut Hello)) -> Raw {
    let mut raw = ground.dial().await;
    change(&mut raw.hello);
    raw.say(&Signal::Hello(raw.hello.clone())).await;
    raw
}

pub(super) async fn another_cluster(ground: Ground) -> (Raw, End) {
    let raw = says(&ground, |hello| hello.cluster = "é".repeat(1 << 18)).await;
    let words = "is in cluster `midflight`, not in";
    raw.hears(|signal| matches!(signal, Signal::Refused { reason } if reason.len() < 2_000)).await;
    (raw, Refused(words))
}

pub(super) async fn no_common_protocol(ground: Ground) -> (Raw, End) {
    let raw = says(&ground, |hello| hello.protocol = (200, 300)).await;
    (raw, Refused("no common node protocol"))
}

pub(super) async fn a_name_that_is_none(ground: Ground) -> (Raw, End) {
    let raw = says(&ground, |hello| hello.member.name = "n".repeat(1 << 18)).await;
    (raw, Refused("the node's name is not"))
}

pub(super) async fn an_address_that_is_none(ground: Ground) -> (Raw, End) {
    let address = format!("mem:{}", "a".repeat(1 << 18));
    let raw = says(&ground, |hello| hello.member.address = Some(address)).await;
    (raw, Refused("the node's address is none"))
}

pub(super) async fn the_nodes_own_identity(ground: Ground) -> (Raw, End) {
    let own = ground.node.id();
    let raw = says(&ground, |hello| hello.member.id = own).await;
    (raw, Refused("the node's identity is ours"))
}

pub(super) async fn an_identity_that_is_linked(ground: Ground) -> (Raw, End) {
    let other = ground.decent.id();
    let mut raw = says(&ground, |hello| hello.member.id = other).await;
    assert!(raw.is_cut().await);
    assert!(ground.node.peers().iter().any(|peer| peer.id == other && peer.name == "decent"));
    // The judge ends the link of whoever has this identity.
    raw.hello.member.id = NodeId(666);
    (raw, Refused("has a link to that incarnation already"))
}

pub(super) async fn the_name_of_a_living_node(ground: Ground) -> (Raw, End) {
    let raw = says(&ground, |hello| hello.member.name = "decent".into()).await;
    (raw, Refused("another node called `decent` is in the cluster"))
}

pub(super) async fn a_refusal_of_a_megabyte(ground: Ground) -> (Raw, End) {
    let raw = ground.dial().await;
    raw.say(&Signal::Refused { reason: "no! ".repeat(1 << 18) }).await;
    assert!(raw.is_cut().await);
    assert!(ground.log.lines().iter().all(|line| line.len() < 2_000));
    (raw, Over("the peer refused"))
}

pub(super) async fn more_peers_than_may_be(ground: Ground) -> (Raw, End) {
    let mut others = Vec::new();
    for number in 0..8 {
        let raw = ground.dial_as(&format!("hostile-{number}"), 700 + number).await;
        raw.say(&Signal::Hello(raw.hello.clone())).await;
        raw.say(&Signal::Welcome).await;
        others.push(raw);
    }
    let last = others.pop().unwrap();
    assert!(last.is_cut().await);
    assert!(ground.log.says("as many peers as it may"));
    for other in &others {
        ground.node.disconnect(other.hello.member.id);
    }
    let again = ground.peer().await;
    (again, Ignored)
}

//! Every sentence of the model has a history that breaks it.

use bytes::Bytes;

use super::*;
use crate::LinkLoss;

const ON: ConnectionId = ConnectionId(3);

fn link(number: u64) -> LinkId {
    LinkId(number)
}

/// A message that endpoint 0 sent on its link.
fn message(far: u64, number: u32) -> Seen {
    let stream = Stream { end: 0, link: link(far), connection: ON };
    let payload = Bytes::from(Tag { stream, number }.encode());
    Seen::Received { connection: ON, payload, extensions: Vec::new() }
}

fn lost(kind: LossKind) -> Seen {
    Seen::Lost(LinkLoss::new(kind, "in a test"))
}

/// Endpoint 0 has sent so many messages on its links 7 and 8, and this is what endpoint 1 was told.
fn told(sent: u32, told: &[(u64, Seen)]) -> History {
    let told: Vec<_> = told.iter().map(|(number, seen)| (link(*number), seen.clone())).collect();
    let peers = told.iter().map(|(link, _)| (*link, 0)).collect();
    let sent = [7, 8].map(|far| (Stream { end: 0, link: link(far), connection: ON }, sent));
    History {
        ends: vec![
            End { who: 0, peers: BTreeMap::new(), told: Vec::new() },
            End { who: 1, peers, told },
        ],
        sent: BTreeMap::from(sent),
        peaceful: false,
        problems: Vec::new(),
    }
}

#[track_caller]
fn refused(history: &History, words: &str) {
    let why = check(history).expect_err("the model takes it");
    assert!(why.contains(words), "{why}");
}

#[test]
fn what_may_be_is_taken() {
    let whole = [
        (1, Seen::Up),
        (1, Seen::Opened(ON)),
        (1, message(7, 0)),
        (1, message(7, 1)),
        (1, Seen::Closed(ON)),
        (1, lost(LossKind::Closed)),
        (2, Seen::Up),
        (2, Seen::Opened(ON)),
        (2, message(8, 0)),
        (2, lost(LossKind::Broken)),
    ];
    assert_eq!(check(&told(2, &whole)), Ok(()), "of the link that broke only a beginning came");
    assert_eq!(check(&told(2, &[])), Ok(()));
}

#[test]
fn a_loss_is_told_once_and_before_the_next_link() {
    refused(&told(0, &[(1, Seen::Up)]), "never told");
    refused(&told(0, &[(1, Seen::Up), (2, Seen::Up)]), "before the loss of LinkId(1) is told");
    let cut = || lost(LossKind::Cut);
    refused(&told(0, &[(1, Seen::Up), (1, cut()), (1, cut())]), "after its loss");
    refused(&told(0, &[(1, cut())]), "before it is up");
}

#[test]
fn nothing_of_an_old_link_comes_after_its_loss() {
    let late = [
        (1, Seen::Up),
        (1, Seen::Opened(ON)),
        (1, lost(LossKind::Cut)),
        (2, Seen::Up),
        (1, message(7, 0)),
    ];
    refused(&told(1, &late), "after its loss");
    let on_the_next = [
        (1, Seen::Up),
        (1, Seen::Opened(ON)),
        (1, message(7, 0)),
        (1, lost(LossKind::Cut)),
        (2, Seen::Up),
        (2, Seen::Opened(ON)),
        (2, message(7, 0)),
    ];
    refused(&told(1, &on_the_next), "another link");
}

#[test]
fn a_connection_carries_a_beginning_in_order() {
    let with = |messages: &[Seen]| {
        let mut all = vec![(1, Seen::Up), (1, Seen::Opened(ON))];
        all.extend(messages.iter().map(|seen| (1, seen.clone())));
        all.push((1, lost(LossKind::Cut)));
        told(3, &all)
    };
    assert_eq!(check(&with(&[message(7, 0), message(7, 1)])), Ok(()));
    refused(&with(&[message(7, 1)]), "out of order");
    refused(&with(&[message(7, 0), message(7, 0)]), "again");
    refused(&with(&[message(7, 0), message(8, 1)]), "another link");
    refused(&with(&[Seen::Opened(ON)]), "opened twice");
    refused(&with(&[Seen::Closed(ON), message(7, 0)]), "not open");
    refused(&with(&[Seen::Closed(ON), Seen::Closed(ON)]), "was not open");
    let nobodys = Seen::Received { connection: ON, payload: Bytes::new(), extensions: Vec::new() };
    refused(&with(&[nobodys]), "nobody sent");
}

#[test]
fn what_was_closed_by_agreement_is_whole() {
    let start = [(1, Seen::Up), (1, Seen::Opened(ON)), (1, message(7, 0))];
    let closed = [&start[..], &[(1, Seen::Closed(ON))]].concat();
    refused(&told(2, &closed), "was closed, and 1 of 2 came");
    let agreed = [&start[..], &[(1, lost(LossKind::Closed))]].concat();
    refused(&told(2, &agreed), "by agreement, and 1 of 2 came");
    assert_eq!(check(&told(1, &agreed)), Ok(()));
}

#[test]
fn where_nothing_was_broken_nothing_is_lost() {
    let peaceful = |told| History { peaceful: true, ..told };
    let up = (1, Seen::Up);
    refused(&peaceful(told(1, &[up.clone(), (1, lost(LossKind::Closed))])), "0 of 1 came");
    refused(&peaceful(told(0, &[up.clone(), (1, lost(LossKind::Silent))])), "and yet");
    assert_eq!(check(&peaceful(told(0, &[up, (1, lost(LossKind::Closed))]))), Ok(()));
}

#[test]
fn violations_and_problems_are_refused() {
    refused(&told(0, &[(1, Seen::Up), (1, lost(LossKind::Violation))]), "a violation");
    let problems = vec![String::from("it rained")];
    refused(&History { problems, ..told(0, &[]) }, "it rained");
}

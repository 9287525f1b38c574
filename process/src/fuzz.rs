//! What meets the bytes of other nodes, as functions over bytes, for the fuzz targets. No part of the API.

use std::num::NonZeroU32;

use midflight_message::{Fingerprint, NodeId, Pid, TypeInfo};
use midflight_runtime::Instant;

use crate::functions::spawned::{NotSpawned, SpawnHead};
use crate::groups::GroupNews;
use crate::mailbox::envelope::{CallRef, Refusal};
use crate::membership::{Action, Card, Input, Kernel};
use crate::peer::ask::{Answer, Question};
use crate::peer::wire::{self, Frame, Hello, PROTOCOL, Place, Signal, WireError};
use crate::relocation::directory::Location;
use crate::relocation::word::{Notice, Word};
use crate::send::account::Window;
use crate::{ExitReason, Limits, MonitorRef};

const HERE: Place = Place { index: 1, generation: 2 };
const THERE: Place = Place { index: 3, generation: 300 };
const MEMBERS_MAX: usize = 16;

/// Reads one frame of the nodes' protocol. What was read is written and read again as it was. Answers
/// its kind and, of a signal, which.
///
/// # Errors
/// What is wrong with it.
///
/// # Panics
/// When it does not come back as it was.
pub fn frame(bytes: &[u8]) -> Result<(u8, u8), &'static str> {
    let frame = wire::read(bytes).map_err(|WireError(why)| why)?;
    let mut again = Vec::new();
    match &frame {
        Frame::Message { to, from, ty, payload } => {
            wire::put_message(&mut again, *to, *from, *ty);
            again.extend_from_slice(payload);
        }
        Frame::Call { to, from, ty, call, payload } => {
            wire::put_call(&mut again, *to, *from, *ty, *call);
            again.extend_from_slice(payload);
        }
        Frame::Reply { to, from, ty, call, payload } => {
            wire::put_reply(&mut again, *to, *from, *ty, *call);
            again.extend_from_slice(payload);
        }
        Frame::Port { to, from, ty, port, payload } => {
            wire::put_port(&mut again, *to, *from, *ty, *port);
            again.extend_from_slice(payload);
        }
        Frame::Signal(signal) => wire::put_signal(&mut again, signal),
        Frame::Spawn { head, argument } => {
            wire::put_spawn(&mut again, head);
            again.extend_from_slice(argument);
        }
    }
    assert_eq!(wire::read(&again).as_ref(), Ok(&frame), "it does not come back");
    Ok((again[0], again[1]))
}

/// Frames of every kind, by name.
#[must_use]
pub fn frames() -> Vec<(&'static str, Vec<u8>)> {
    let put = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        put(&mut bytes);
        bytes.extend_from_slice(b"payload");
        bytes
    };
    let head = SpawnHead {
        request: 300,
        from: THERE,
        ty: 5,
        function: "work".into(),
        name: Some("name".into()),
        monitor: Some(MonitorRef(6)),
        link: true,
        call: Some(CallRef(7)),
        channel: Some("a.B".into()),
    };
    let mut frames = vec![
        ("message", put(&|bytes| wire::put_message(bytes, HERE, THERE, 5))),
        ("call", put(&|bytes| wire::put_call(bytes, HERE, THERE, 5, CallRef(9)))),
        ("reply", put(&|bytes| wire::put_reply(bytes, HERE, THERE, 5, CallRef(9)))),
        ("port", put(&|bytes| wire::put_port(bytes, HERE, THERE, 5, 9))),
        ("spawn", put(&|bytes| wire::put_spawn(bytes, &head))),
    ];
    let all = [greetings(), questions(), relations(), moves(), others()];
    frames.extend(all.into_iter().flatten().map(|(name, signal)| {
        let mut bytes = Vec::new();
        wire::put_signal(&mut bytes, &signal);
        (name, bytes)
    }));
    frames
}

/// The frame that tells the schema of a type.
#[must_use]
pub fn schema_of(info: &TypeInfo) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (fingerprint, info) = (info.fingerprint(), Some(info.clone()));
    wire::put_signal(&mut bytes, &Signal::Schema { fingerprint, info });
    bytes
}

type Named = (&'static str, Signal);

fn greetings() -> Vec<Named> {
    let hello = Hello {
        protocol: PROTOCOL,
        features: 0,
        cluster: "midflight".into(),
        member: card(2, "peer"),
        authenticated: true,
        nonce: [7; 32],
        window: Window { messages: 1_024, bytes: 1 << 20, together: 1 << 30 },
    };
    let fingerprint = Fingerprint([1; 16]);
    let member = card(3, "member").member(crate::MemberState::Suspect);
    vec![
        ("hello", Signal::Hello(hello)),
        ("proof", Signal::Proof { mac: [3; 32] }),
        ("welcome", Signal::Welcome),
        ("refused", Signal::Refused { reason: "no".into() }),
        ("announce", Signal::Announce { ty: 5, name: "a.B".into(), version: 1, fingerprint }),
        ("schema-request", Signal::SchemaRequest { fingerprint }),
        ("schema-none", Signal::Schema { fingerprint, info: None }),
        ("members", Signal::Members(vec![member])),
        ("gossip", Signal::Gossip(vec![1, 2, 3])),
        ("outranked", Signal::Outranked { started: 1 << 40 }),
    ]
}

fn questions() -> Vec<Named> {
    let pid = Pid { node: NodeId(1), index: 1, generation: 2 };
    let (name, process) = (String::from("name"), pid);
    let register = Question::Register { name: name.clone(), process, again: true };
    let ask = |question| Signal::Ask { request: 4, question };
    let answer = |answer| Signal::Answer { request: 4, answer };
    vec![
        ("ask-whereis", ask(Question::Whereis(name.clone()))),
        ("ask-register", ask(register)),
        ("ask-unregister", ask(Question::Unregister(name))),
        ("ask-process", ask(Question::Process(HERE))),
        ("ask-stats", ask(Question::Stats)),
        ("answer-whereis", answer(Answer::Whereis(Some(pid)))),
        ("answer-register", answer(Answer::Register(Err(crate::RegisterError::TooMany)))),
        ("answer-unregister", answer(Answer::Unregister(true))),
        ("answer-process", answer(Answer::Process(None))),
    ]
}

fn relations() -> Vec<Named> {
    let (to, from, monitor, number) = (HERE, THERE, MonitorRef(8), 9);
    let reason = ExitReason::Error("why".into());
    vec![
        ("monitor", Signal::Monitor { to, from, monitor }),
        ("monitor-port", Signal::MonitorPort { to, from, monitor, port: 300 }),
        ("monitoring", Signal::Monitoring { to, from, monitor }),
        ("demonitor", Signal::Demonitor { to, from, monitor }),
        ("down", Signal::Down { to, from, monitor, reason: reason.clone() }),
        ("exit", Signal::Exit { to, from, reason: reason.clone() }),
        ("kill", Signal::Kill { to, from, reason: "why".into() }),
        ("link", Signal::Link { to, from }),
        ("unlink", Signal::Unlink { to, from, number }),
        ("unlink-acknowledged", Signal::UnlinkAcknowledged { to, from, number }),
        ("link-ended", Signal::LinkEnded { to, from, reason }),
    ]
}

fn moves() -> Vec<Named> {
    let (to, from) = (HERE, THERE);
    let process = Pid { node: NodeId(1), index: 1, generation: 2 };
    let down = crate::Down { monitor: MonitorRef(8), process, reason: ExitReason::Normal };
    let relocated = |word| Signal::Relocated { to, from, word };
    vec![
        ("begin", relocated(Word::Begin { process, epoch: 3 })),
        ("begun", relocated(Word::Begun { epoch: 3 })),
        (
            "lives",
            relocated(Word::Lives {
                process,
                at: Location { node: NodeId(4), place: from, epoch: 3 },
            }),
        ),
        ("end-moved", relocated(Word::End { reason: ExitReason::Normal })),
        ("told-moved", relocated(Word::Told { notice: Notice::Down(down) })),
    ]
}

fn others() -> Vec<Named> {
    let (to, from) = (HERE, THERE);
    let refusal = Refusal::Aborted { reason: "why".into() };
    let text = |text: &str| text.to_owned();
    let [theirs, ours] = ["string", "u64"].map(text);
    let kind = midflight_message::MismatchReason::Kind;
    let mismatch = midflight_message::Mismatch::new("a.B", text("b"), theirs, ours, kind);
    let fingerprint = Fingerprint([1; 16]);
    let group = text("group");
    vec![
        ("credit", Signal::Credit { process: to, messages: 300, bytes: 4 }),
        ("gone", Signal::Gone { process: to }),
        ("handled", Signal::Handled { bytes: 300 }),
        ("unhandled", Signal::Unhandled { bytes: 300 }),
        ("refuse", Signal::Refuse { to, from, call: CallRef(9), refusal: refusal.clone() }),
        ("undelivered", Signal::Undelivered { to, from, refusal }),
        ("code-switched", Signal::CodeSwitched),
        ("code", Signal::Code { details: Some(vec![1, 2, 3]) }),
        ("may-close", Signal::MayClose),
        ("stays-open", Signal::StaysOpen),
        ("spawned", Signal::Spawned { to, from, request: 4, result: Ok(None) }),
        (
            "spawned-channel",
            Signal::Spawned { to, from, request: 4, result: Ok(NonZeroU32::new(1)) },
        ),
        ("not-spawned", Signal::Spawned { to, from, request: 4, result: Err(NotSpawned::Full) }),
        (
            "unreadable",
            Signal::Unreadable {
                process: from,
                name: text("a.B"),
                version: 1,
                fingerprint,
                switches: 2,
                reader: Some(3),
                mismatch: Box::new(mismatch),
            },
        ),
        (
            "again",
            Signal::Again {
                to,
                letter: 4,
                name: text("a.B"),
                version: 1,
                fingerprint,
                bytes: vec![1, 2, 3],
            },
        ),
        ("groups-anew", Signal::Groups(GroupNews::Anew)),
        (
            "groups-joined",
            Signal::Groups(GroupNews::Joined { group: group.clone(), processes: vec![to, from] }),
        ),
        ("groups-left", Signal::Groups(GroupNews::Left { group, processes: vec![to] })),
    ]
}

fn card(id: u64, name: &str) -> Card {
    let address = Some(format!("mem:{name}"));
    let (name, id) = (name.into(), NodeId(id));
    Card { name, id, address, started: 0, revision: 0, catalogue: [0; 32], leaves: false }
}

/// A member of a cluster of two.
fn member(id: u64, name: &str, other: &Card) -> (Kernel, Vec<Action>) {
    let own = card(id, name);
    let limits = Limits { members: MEMBERS_MAX, ..Limits::default() };
    let mut kernel = Kernel::new(own.clone(), &limits, Instant::default());
    kernel.opened(own.address, [7; 32]);
    let actions = kernel.take(Instant::default(), Input::Met(other));
    (kernel, actions)
}

/// Takes a packet of gossip of a peer, and lets some time pass. Answers how many members are known and
/// whether the node has come back under another card.
///
/// # Panics
/// When more members are kept than may be, or time does not pass.
#[must_use]
pub fn gossip(bytes: &[u8]) -> (usize, bool) {
    let peer = card(2, "peer");
    let (mut kernel, _) = member(1, "own", &peer);
    let before = kernel.own().revision;
    kernel.take(Instant::default(), Input::Packet { peer: &peer, bytes });
    for _ in 0..8 {
        let Some(due) = kernel.next_wake() else { break };
        kernel.take(due, Input::Wake);
    }
    let members = kernel.members();
    assert!(members.len() <= MEMBERS_MAX + 1, "{} members", members.len());
    assert!(members.iter().any(|member| member.id == NodeId(1)), "the node has forgotten itself");
    (members.len(), kernel.own().revision != before)
}

/// Packets that a decent peer sends.
#[must_use]
pub fn packets() -> Vec<Vec<u8>> {
    let own = card(1, "own");
    let (mut kernel, mut actions) = member(2, "peer", &own);
    for number in 3..8 {
        let third = card(number, &format!("third-{number}"));
        actions.extend(kernel.take(Instant::default(), Input::Met(&third)));
    }
    for _ in 0..40 {
        let Some(due) = kernel.next_wake() else { break };
        actions.extend(kernel.take(due, Input::Wake));
    }
    let packets = actions.into_iter().filter_map(|action| match action {
        Action::Send { to, packet } if to.card().id == own.id => Some(packet),
        _ => None,
    });
    let mut packets: Vec<_> = packets.collect();
    packets.sort();
    packets.dedup();
    packets.truncate(8);
    packets
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_is_a_frame_of_every_kind_and_a_packet_of_gossip() {
        let kinds: BTreeSet<_> = frames()
            .iter()
            .map(|(name, bytes)| frame(bytes).unwrap_or_else(|why| panic!("{name}: {why}")))
            .filter(|(kind, _)| *kind == 4)
            .map(|(_, signal)| signal)
            .collect();
        let last = kinds.last().copied().unwrap_or_default();
        assert_eq!(kinds, (0..=last).collect());
        // The first that is none.
        assert!(frame(&[4, last + 1]).is_err() && frame(&[4, last + 1, 0, 0, 0, 0, 0]).is_err());
        assert!(packets().len() > 2);
        packets().iter().for_each(|packet| assert!(gossip(packet).0 > 1));
    }
}

//! More of everything than may be.

use midflight_message::Pid;

use super::ground::End::{Cut, Ignored, Logged, Over};
use super::ground::{End, Ground, WORK};
use super::raw::{FROM, Raw, announcement, call, frame_of, message};
use crate::functions::spawned::{NotSpawned, SpawnHead};
use crate::groups::GroupNews;
use crate::mailbox::envelope::Refusal;
use crate::names::registry::RegisterError;
use crate::peer::ask::{Answer, Question};
use crate::peer::wire::{Place, Signal, put_spawn};
use crate::{ExitReason, MonitorRef};

pub(super) async fn messages_beyond_credit(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    let stuck = Place::of(ground.stuck);
    raw.flood(10_000, |_| message(stuck, &[1; 100])).await;
    (raw, Cut("more messages than their receiver gave credit for"))
}

/// To none more than it may have, and to all together more than the node gave credit for.
pub(super) async fn messages_to_many(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    let stuck = || ground.node.spawn("stuck", |_| std::future::pending::<()>()).unwrap();
    let many: Vec<_> = (0..20).map(|_| Place::of(stuck())).collect();
    raw.flood(400, |n| message(many[n as usize % many.len()], &[1; 1_000])).await;
    (raw, Cut("more messages than this node gave credit for"))
}

pub(super) async fn calls_beyond_credit(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    let stuck = Place::of(ground.stuck);
    raw.flood(10_000, |n| call(stuck, n)).await;
    (raw, Cut("more than their receiver gave credit for"))
}

fn start(request: u64, ty: u32, function: &str, name: Option<String>) -> Vec<u8> {
    let head = SpawnHead {
        request,
        from: FROM,
        ty,
        function: function.into(),
        name,
        monitor: Some(MonitorRef(request)),
        link: true,
        call: None,
        channel: None,
    };
    let mut bytes = Vec::new();
    put_spawn(&mut bytes, &head);
    bytes
}

/// The argument's type has the name of what the function takes: each start waits for the schema,
/// which is never told.
pub(super) async fn starts_beyond_credit(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.say(&announcement(0, <u64 as midflight_message::Message>::type_info().name(), 1)).await;
    raw.flood(1_000, |n| start(n, 0, WORK, None)).await;
    (raw, Cut("more functions to be started than may be under way"))
}

pub(super) async fn a_start_of_a_long_name(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    raw.send(&start(1, 0, &"f".repeat(1 << 16), None)).await;
    raw.send(&start(2, 0, WORK, Some("n".repeat(1 << 16)))).await;
    for request in [1, 2] {
        let refused = raw
            .hears(|signal| matches!(signal, Signal::Spawned { request: r, .. } if *r == request));
        let Signal::Spawned { result, .. } = refused.await else { unreachable!() };
        assert_eq!(result, Err(NotSpawned::BadName(1 << 16)));
    }
    (raw, Ignored)
}

pub(super) async fn exit_signals(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let to = Place::of(ground.trapping);
    let reason = ExitReason::Error("go".into());
    raw.flood(10_000, |_| frame_of(&Signal::Exit { to, from: FROM, reason: reason.clone() })).await;
    (raw, Cut("more signals than their receiver has room for"))
}

/// Notices of messages that were never sent.
pub(super) async fn notices(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let to = Place::of(ground.stuck);
    let refusal = Refusal::Aborted { reason: "x".repeat(1_000) };
    let notice = frame_of(&Signal::Undelivered { to, from: FROM, refusal });
    raw.flood(5_000, |_| notice.clone()).await;
    assert_eq!(ground.mailbox(ground.stuck), 0, "they take nobody's room");
    assert_eq!(ground.notices(ground.stuck), 16, "and have a bound of their own");
    (raw, Logged("no room for a notice"))
}

pub(super) async fn monitors(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let to = Place::of(ground.echo);
    let watch = |n| Signal::Monitor { to, from: FROM, monitor: MonitorRef(n) };
    raw.flood(2_000, |n| frame_of(&watch(n))).await;
    raw.flood(2_000, |_| frame_of(&watch(0))).await;
    raw.hears(|signal| matches!(signal, Signal::Down { reason: ExitReason::NoConnection(_), .. }))
        .await;
    (raw, Ignored)
}

pub(super) async fn links(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    // It traps no exits: it is not ended by links that were too many, which it has not asked for.
    let to = Place::of(ground.stuck);
    let from = |n| Place { index: n as u32, generation: 0 };
    raw.flood(64, |n| frame_of(&Signal::Link { to, from: from(n) })).await;
    let excess = |signal: &Signal| matches!(signal, Signal::LinkEnded { .. });
    raw.hears(excess).await;
    (raw, Ignored)
}

pub(super) async fn names(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let process = ground.stuck;
    let ask = |request, name: String, process: Pid| {
        let question = Question::Register { name, process, again: false };
        frame_of(&Signal::Ask { request, question })
    };
    raw.flood(1_000, |n| ask(n, format!("name-{n}"), process)).await;
    raw.send(&ask(5_000, "n".repeat(1 << 16), process)).await;
    raw.send(&ask(5_001, "far".into(), Pid { node: ground.decent.id(), index: 3, generation: 0 }))
        .await;
    for (request, why) in [(999, RegisterError::TooMany), (5_000, RegisterError::BadName(1 << 16))]
    {
        let answer = raw
            .hears(|signal| matches!(signal, Signal::Answer { request: r, .. } if *r == request))
            .await;
        assert!(
            matches!(&answer, Signal::Answer { answer: Answer::Register(Err(e)), .. } if *e == why),
            "{answer:?}"
        );
    }
    (raw, Ignored)
}

pub(super) async fn groups(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let joined = |n: u64| {
        let processes = (0..1_000).map(|index| Place { index, generation: 0 }).collect();
        Signal::Groups(GroupNews::Joined { group: format!("group-{n}"), processes })
    };
    raw.flood(100, |n| frame_of(&joined(n))).await;
    let members: usize =
        ground.node.groups().iter().map(|group| ground.node.group_members(group).len()).sum();
    assert!(members <= 16, "{members}");
    (raw, Logged("more in groups than may be"))
}

pub(super) async fn a_group_of_no_name(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    for group in [String::new(), "g".repeat(1 << 16)] {
        raw.say(&Signal::Groups(GroupNews::Joined { group, processes: vec![FROM] })).await;
    }
    raw.pause(std::time::Duration::from_millis(20)).await;
    assert!(ground.node.groups().is_empty());
    (raw, Logged("a group with a bad name was not taken"))
}

/// It asks and asks, and reads no answer.
pub(super) async fn questions_without_end(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    ground.node.run("named", |cx| async move { cx.register("somebody").is_ok() }).await.unwrap();
    raw.turn_deaf();
    let (echo, name) = (ground.echo, "n".repeat(255));
    let question = Question::Register { name, process: echo, again: true };
    let ask = frame_of(&Signal::Ask { request: 1, question });
    raw.flood(20_000, |_| ask.clone()).await;
    (raw, Over("it reads nothing, and what it causes to be sent to it has piled up"))
}

pub(super) async fn letters_sent_again(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let again = |n: u64, to| Signal::Again {
        to,
        letter: n + 1,
        name: format!("hostile.T{n}"),
        version: 1,
        fingerprint: midflight_message::Fingerprint([n as u8; 16]),
        bytes: vec![1; 1_000],
    };
    raw.flood(500, |n| frame_of(&again(n, FROM))).await;
    let stuck = Place::of(ground.stuck);
    raw.flood(500, |n| frame_of(&again(n, stuck))).await;
    assert!(ground.mailbox(ground.stuck) <= 16);
    (raw, Logged("a letter of a type this node may not know"))
}

pub(super) async fn switches_without_end(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.flood(5_000, |_| frame_of(&Signal::CodeSwitched)).await;
    (raw, Ignored)
}

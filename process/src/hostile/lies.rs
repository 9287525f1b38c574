//! What is said of others, and answers that nobody asked for.

use std::time::Duration;

use midflight_message::{Message, Mismatch, MismatchReason, NodeId, Pid};

use super::ground::End::{Cut, Ignored, Logged};
use super::ground::{End, Ground, early};
use super::raw::{FROM, Raw, frame_of, reply};
use crate::mailbox::envelope::{CallRef, Refusal};
use crate::membership::member::{Member, MemberState};
use crate::peer::ask::Answer;
use crate::peer::wire::{Place, Signal};
use crate::{Down, ExitReason, MonitorRef};

const SECOND: Duration = Duration::from_secs(1);

/// A process of the node calls one of the decent peer's; the hostile one answers every call that
/// there may be.
pub(super) async fn replies_that_nobody_waits_for(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.announce().await;
    let slow = ground.decent.spawn("slow", |cx| async move {
        let received = cx.receive_one::<u64>().await;
        cx.sleep(SECOND).await;
        received.reply_to.unwrap().reply(received.message + 1);
    });
    let slow = slow.unwrap();
    let caller = ground.node.spawn("caller", move |cx| async move {
        let answer = cx.call::<u64, u64>(slow, 41, 5 * SECOND).await;
        assert_eq!(answer.unwrap(), 42);
        std::future::pending::<()>().await;
    });
    let caller = caller.unwrap();
    let to = Place::of(caller);
    raw.pause(Duration::from_millis(50)).await;
    for call in early() {
        raw.send(&reply(to, call)).await;
        let refusal = Refusal::Aborted { reason: "no".into() };
        raw.say(&Signal::Refuse { to, from: FROM, call: CallRef(call), refusal }).await;
    }
    raw.pause(2 * SECOND).await;
    assert!(ground.node.process(caller).is_some(), "the caller was lied to");
    (raw, Ignored)
}

/// A process of the node watches, and is linked to, one of the decent peer's.
async fn related(ground: &Ground) -> (Pid, Pid) {
    let watched = ground.decent.spawn("watched", |_| std::future::pending::<()>()).unwrap();
    let watcher = ground.node.spawn("watcher", move |cx| async move {
        cx.monitor(watched).await;
        cx.link(watched).await;
        let _: Down = cx.expect().await;
    });
    (watched, watcher.unwrap())
}

pub(super) async fn ends_of_others_processes(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let (watched, watcher) = related(&ground).await;
    raw.pause(Duration::from_millis(50)).await;
    for number in early() {
        let (to, from) = (Place::of(watcher), Place::of(watched));
        let monitor = MonitorRef(number);
        raw.say(&Signal::Down { to, from, monitor, reason: ExitReason::Normal }).await;
        raw.say(&Signal::Demonitor { to: from, from: to, monitor }).await;
        raw.say(&Signal::Monitoring { to, from, monitor }).await;
    }
    the_truth_alone_is_told(&ground, &raw, watched, watcher).await;
    (raw, Ignored)
}

pub(super) async fn ends_of_others_links(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let (watched, watcher) = related(&ground).await;
    raw.pause(Duration::from_millis(50)).await;
    let (to, from) = (Place::of(watcher), Place::of(watched));
    let reason = ExitReason::Error("a lie".into());
    raw.say(&Signal::LinkEnded { to, from, reason }).await;
    raw.say(&Signal::UnlinkAcknowledged { to, from, number: 1 }).await;
    raw.say(&Signal::Unlink { to, from, number: 1 }).await;
    the_truth_alone_is_told(&ground, &raw, watched, watcher).await;
    (raw, Ignored)
}

/// After what the raw peer has said of others' processes.
async fn the_truth_alone_is_told(ground: &Ground, raw: &Raw, watched: Pid, watcher: Pid) {
    raw.pause(SECOND).await;
    assert!(ground.node.process(watcher).is_some(), "the watcher was lied to");
    ground.decent.kill(watched, "now it is true");
    raw.pause(SECOND).await;
    assert!(ground.node.process(watcher).is_none(), "the watcher is not told the truth");
}

pub(super) async fn schemas_that_nobody_asked_for(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let types = ground.node.inner.types.len();
    let info = <Vec<u8>>::type_info();
    for info in [Some(info.clone()), None] {
        let fingerprint = <u64 as Message>::type_info().fingerprint();
        raw.say(&Signal::Schema { fingerprint, info }).await;
    }
    raw.pause(Duration::from_millis(50)).await;
    assert_eq!(ground.node.inner.types.len(), types);
    (raw, Ignored)
}

pub(super) async fn answers_to_no_question(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    for request in early() {
        raw.say(&Signal::Answer { request, answer: Answer::Whereis(Some(ground.echo)) }).await;
        let (to, from) = (Place::of(ground.echo), FROM);
        raw.say(&Signal::Spawned { to, from, request, result: Ok(None) }).await;
    }
    (raw, Ignored)
}

pub(super) async fn credit_without_end(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.flood(2_000, |n| {
        let process = Place { index: n as u32, generation: 0 };
        frame_of(&match n % 2 {
            0 => Signal::Credit { process, messages: u32::MAX, bytes: u32::MAX },
            _ => Signal::Gone { process },
        })
    })
    .await;
    (raw, Ignored)
}

pub(super) async fn a_refusal_too_long_to_keep(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let info = <u64 as Message>::type_info();
    let long = "x".repeat(1 << 18);
    let text = || String::from("a");
    let mut mismatch = Mismatch::new("T", text(), text(), text(), MismatchReason::Kind);
    mismatch.field_path = long;
    raw.say(&Signal::Unreadable {
        process: FROM,
        name: info.name().into(),
        version: info.version(),
        fingerprint: info.fingerprint(),
        switches: 9,
        reader: None,
        mismatch: Box::new(mismatch),
    })
    .await;
    (raw, Cut("a signal that does not decode"))
}

pub(super) async fn gossip_that_is_none(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    raw.flood(500, |n| {
        let len = (ground.random() % 400) as usize;
        let bytes = match n {
            0 => vec![1; 9 << 10],
            _ => (0..len).map(|_| ground.random() as u8).collect(),
        };
        frame_of(&Signal::Gossip(bytes))
    })
    .await;
    (raw, Logged("gossip refused"))
}

/// Members told outside the gossip, which only those believe that are no members themselves.
pub(super) async fn absurd_members(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let member = |n: u64| Member {
        id: NodeId(n + 10_000),
        name: "m".repeat(n as usize),
        address: Some("nowhere".into()),
        state: MemberState::Alive,
        catalogue: [0; 32],
    };
    raw.say(&Signal::Members((0..500).map(member).collect())).await;
    raw.pause(Duration::from_millis(50)).await;
    assert!(
        ground.node.members().iter().all(|member| member.id.0 < 10_000 || member.id.0 > 11_000)
    );
    (raw, Ignored)
}

pub(super) async fn a_life_at_the_end_of_time(ground: Ground) -> (Raw, End) {
    let raw = ground.peer().await;
    let started = || ground.node.inner.gossip.kernel.lock().own().started;
    let before = started();
    for claimed in [u64::MAX, u64::MAX - 1, before + (1 << 50)] {
        raw.say(&Signal::Outranked { started: claimed }).await;
    }
    raw.pause(Duration::from_millis(50)).await;
    assert_eq!(started(), before);
    (raw, Ignored)
}

//! Types that receivers have, in forms that the peer does not explain, or explains late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midflight_message::{Message, Pid, SendPort, encode};
use serde::{Deserialize, Serialize};

use super::ground::End::{Ignored, Logged};
use super::ground::{End, Ground};
use super::raw::{FROM, Raw, announcement, frame_of, message_of};
use crate::managed::Managed;
use crate::peer::wire::{self, Place, Signal};

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_millis(20);
const SILENT: &str = "a peer does not say what its types are";

/// The peer's form …
mod theirs {
    use super::{Deserialize, Message, Serialize};

    #[derive(Debug, Serialize, Deserialize, Message)]
    #[message(name = "test.Count", version = 1)]
    pub(super) struct Count {
        pub(super) n: u64,
    }
}

/// … and the node's, which reads it.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.Count", version = 1)]
struct Count {
    #[serde(default)]
    label: String,
    n: u64,
}

/// Says how much it has been told, by messages, by messages to a managed process, and by values.
struct Receivers {
    pids: [Pid; 3],
    told: Arc<AtomicU64>,
}

impl Receivers {
    async fn new(ground: &Ground) -> Self {
        let (told, node) = (Arc::new(AtomicU64::new(0)), &ground.node);
        let add = {
            let told = told.clone();
            move |Count { n, .. }| _ = told.fetch_add(n, Ordering::SeqCst)
        };
        let plain = node.spawn("plain", {
            let add = add.clone();
            |cx| async move {
                loop {
                    add(cx.expect().await);
                }
            }
        });
        let port = node.spawn("port", {
            let add = add.clone();
            |cx| async move {
                let (_, mut counts) = cx.channel();
                loop {
                    add(counts.receive().await);
                }
            }
        });
        let managed = Managed::new().cast(move |(), count, _| add(count));
        let managed = managed.start(node, |_| Ok(())).await.unwrap();
        Self { pids: [plain.unwrap(), managed, port.unwrap()], told }
    }

    /// What `raw` sends to each.
    async fn send(&self, raw: &Raw, ty: u32, n: u64) {
        let mut payload = Vec::new();
        encode(&theirs::Count { n }, &mut payload).unwrap();
        let [plain, managed, port] = self.pids.map(Place::of);
        raw.send(&message_of(ty, plain, &payload)).await;
        raw.send(&message_of(ty, managed, &payload)).await;
        let mut value = Vec::new();
        wire::put_port(&mut value, port, FROM, ty, 1);
        raw.send(&[value, payload].concat()).await;
        raw.pause(SOON).await;
    }

    /// A process of the decent node sends to each.
    async fn are_reached(&self, ground: &Ground) {
        let (before, [plain, managed, port]) = (self.told(), self.pids);
        let sent = ground.decent.run("sender", move |cx| async move {
            let count = |n| Count { label: "decent".into(), n };
            cx.send(plain, count(1)).await.unwrap();
            cx.send(managed, count(10)).await.unwrap();
            cx.send_port(&SendPort::new(port, 1), count(100)).await.unwrap();
            cx.sleep(SOON).await;
        });
        sent.await.unwrap();
        assert_eq!(self.told() - before, 111, "somebody is held up");
    }

    fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }
}

fn refused(ground: &Ground) -> u64 {
    ground.node.refused().iter().map(|count| count.times).sum()
}

/// Each message would have its receiver wait.
pub(super) async fn schemas_that_never_come(ground: Ground) -> (Raw, End) {
    let (raw, receivers) = (ground.peer().await, Receivers::new(&ground).await);
    receivers.are_reached(&ground).await;
    for ty in 0..4 {
        raw.say(&announcement(ty, Count::NAME, 100 + ty)).await;
        receivers.send(&raw, ty, 1 << 32).await;
        receivers.are_reached(&ground).await;
    }
    assert_eq!(refused(&ground), 0, "an answer may still come");
    raw.pause(6 * SECOND).await;
    assert_eq!(refused(&ground), 12);
    // From now on nobody waits for it.
    raw.say(&announcement(4, Count::NAME, 104)).await;
    receivers.send(&raw, 4, 1 << 32).await;
    assert_eq!(refused(&ground), 15);
    receivers.are_reached(&ground).await;
    (raw, Logged(SILENT))
}

/// Later than anybody waits: the next message is read.
pub(super) async fn a_schema_that_comes_late(ground: Ground) -> (Raw, End) {
    let (raw, receivers) = (ground.peer().await, Receivers::new(&ground).await);
    receivers.are_reached(&ground).await;
    let info = theirs::Count::type_info();
    let (name, version, fingerprint) = (info.name().into(), info.version(), info.fingerprint());
    raw.say(&Signal::Announce { ty: 0, name, version, fingerprint }).await;
    receivers.send(&raw, 0, 1).await;
    raw.pause(6 * SECOND).await;
    assert_eq!(refused(&ground), 3);
    raw.say(&Signal::Schema { fingerprint, info: Some(info.clone()) }).await;
    let before = receivers.told();
    receivers.send(&raw, 0, 1_000).await;
    assert_eq!(receivers.told() - before, 3_000);
    // And it is waited for again.
    raw.say(&announcement(1, Count::NAME, 101)).await;
    receivers.send(&raw, 1, 1).await;
    assert_eq!(refused(&ground), 3);
    (raw, Logged(SILENT))
}

/// It is asked once, and again after a while, by one task whatever it says.
pub(super) async fn schemas_that_it_does_not_have(ground: Ground) -> (Raw, End) {
    let (raw, receivers) = (ground.peer().await, Receivers::new(&ground).await);
    receivers.are_reached(&ground).await;
    let before = ground.tasks();
    for ty in 0..14 {
        let announced = announcement(ty, Count::NAME, 100 + ty);
        let Signal::Announce { fingerprint, .. } = announced else { unreachable!() };
        raw.say(&announced).await;
        raw.say(&Signal::Schema { fingerprint, info: None }).await;
        raw.pause(SOON).await;
        raw.send(&frame_of(&Signal::Schema { fingerprint, info: None })).await;
        receivers.send(&raw, ty, 1).await;
    }
    assert_eq!(refused(&ground), 3 * 14);
    assert!(ground.tasks() <= before + 1, "{} tasks, before {before}", ground.tasks());
    receivers.are_reached(&ground).await;
    (raw, Ignored)
}

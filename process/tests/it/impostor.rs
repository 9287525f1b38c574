//! A peer that speaks the nodes' protocol by hand, and tries to speak for another node (P9).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midflight_process::{Context, Down, JoinError, Node, NodeId, Received};
use midflight_transport_api::{
    Bind, ConnectionId, EndPoint, Link, LinkAcceptor, LinkEvent, LinkSink, Room, Transport as _,
};
use parking_lot::Mutex;
use serde::Serialize;

use crate::world::{World, simulate};

const SECOND: Duration = Duration::from_secs(1);

/// The first bytes of a frame, and the numbers of signals, as they are on the wire.
const MESSAGE: u8 = 1;
const REPLY: u8 = 3;
const SIGNAL: u8 = 4;
const HELLO: u32 = 0;
const WELCOME: u32 = 2;
const ANNOUNCE: u32 = 4;
const DOWN: u32 = 14;

#[derive(Serialize)]
struct Hello<'a> {
    protocol: (u16, u16),
    features: u64,
    cluster: &'a str,
    member: Card<'a>,
    authenticated: bool,
    nonce: [u8; 32],
    window: (u32, u32, u64),
}

#[derive(Serialize)]
struct Card<'a> {
    name: &'a str,
    id: NodeId,
    address: Option<&'a str>,
    started: u64,
    revision: u32,
    catalogue: [u8; 32],
    leaves: bool,
}

fn hello<'a>(name: &'a str, id: NodeId, address: &'a str) -> Hello<'a> {
    Hello {
        protocol: (1, 1),
        features: 0,
        cluster: "midflight",
        member: Card {
            name,
            id,
            address: Some(address),
            started: 0,
            revision: 0,
            catalogue: [0; 32],
            leaves: false,
        },
        authenticated: false,
        nonce: [7; 32],
        window: (1_024, 1 << 20, 1 << 30),
    }
}

/// Takes nothing in.
struct Deaf;

impl LinkAcceptor for Deaf {
    fn link_up(&self, _: Arc<dyn Link>) -> Box<dyn LinkSink> {
        Box::new(Self)
    }
}

impl LinkSink for Deaf {
    fn event(&mut self, _: LinkEvent<'_>) {}
}

struct Impostor {
    link: Arc<dyn Link>,
    connection: ConnectionId,
    _end_point: Arc<dyn EndPoint>,
}

impl Impostor {
    /// Dials node `a` and presents itself.
    async fn presented(world: &World, place: &str, name: &str, id: NodeId) -> Self {
        let transport = world.hub.transport(world.runtime.clone());
        let at = World::address(place);
        let bind = Bind::Listen { listen: at.clone(), advertise: None };
        let end_point = transport.open(bind, Arc::new(Deaf)).await.unwrap();
        let link = end_point.connect(&World::address("a")).await.unwrap();
        let connection = link.open().unwrap();
        let impostor = Self { link, connection, _end_point: end_point };
        let address = at.to_string();
        impostor.signal(&(HELLO, hello(name, id, &address)));
        impostor.signal(&WELCOME);
        impostor
    }

    fn say(&self, frame: &[u8]) {
        // A link that was cut says so by refusing.
        let _ = self.link.write(Room::Small, &mut |batch| {
            batch.message(self.connection, frame).unwrap();
        });
    }

    fn signal(&self, signal: &impl Serialize) {
        let mut frame = vec![SIGNAL];
        frame.extend(postcard::to_stdvec(signal).unwrap());
        self.say(&frame);
    }

    /// A message's head: to, from, and the type's number.
    fn head(kind: u8, to: (u32, u32), from: (u32, u32), ty: u32) -> Vec<u8> {
        let words = [to.0, to.1, from.0, from.1, ty];
        std::iter::once(kind).chain(words.into_iter().flat_map(u32::to_le_bytes)).collect()
    }
}

/// A program of another version: it presents itself on every link, and keeps what it is told.
struct Foreign {
    protocol: (u16, u16),
    name: String,
    id: NodeId,
    address: String,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl LinkAcceptor for Foreign {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        let hello = Hello { protocol: self.protocol, ..hello(&self.name, self.id, &self.address) };
        let connection = link.open().unwrap();
        for signal in [postcard::to_stdvec(&(HELLO, hello)), postcard::to_stdvec(&WELCOME)] {
            let frame = [vec![SIGNAL], signal.unwrap()].concat();
            link.write(Room::Small, &mut |batch| batch.message(connection, &frame).unwrap())
                .unwrap();
        }
        Box::new(Hears(self.heard.clone()))
    }
}

struct Hears(Arc<Mutex<Vec<u8>>>);

impl LinkSink for Hears {
    fn event(&mut self, event: LinkEvent<'_>) {
        if let LinkEvent::Received { payload, .. } = event {
            self.0.lock().extend_from_slice(payload.as_slice());
        }
    }
}

#[test]
fn programs_of_different_versions_meet_where_their_ranges_do() {
    simulate(|world| async move {
        let a = world.node("a").await;
        let ranges = [((1, 9), true), ((0, 1), true), ((2, 9), false), ((0, 0), false)];
        for (number, (protocol, meets)) in ranges.into_iter().enumerate() {
            let (name, id) = (format!("foreign{number}"), NodeId(79 + number as u64));
            let at = World::address(&name);
            let heard = Arc::new(Mutex::new(Vec::new()));
            let foreign =
                Foreign { protocol, name, id, address: at.to_string(), heard: heard.clone() };
            let transport = world.hub.transport(world.runtime.clone());
            let bind = Bind::Listen { listen: at.clone(), advertise: None };
            let _end_point = transport.open(bind, Arc::new(foreign)).await.unwrap();
            let joined = a.connect(&at).await;
            if meets {
                assert_eq!(joined.unwrap(), id);
                a.disconnect(id);
                crate::world::until(&a, || a.peers().is_empty()).await;
                continue;
            }
            match joined.unwrap_err() {
                JoinError::NoCommonProtocol { ours, theirs, .. } => {
                    assert_eq!((ours, theirs), ((1, 1), protocol));
                }
                error => panic!("{error}"),
            }
            world.runtime.sleep(Duration::from_millis(10)).await;
            let heard = String::from_utf8_lossy(&heard.lock()).into_owned();
            let told = format!("speaks {} to {}: update", protocol.0, protocol.1);
            assert!(heard.contains(&told), "the other is told so: {heard}");
        }
    });
}

/// Asks, watches and receives; is well when it was told the truth.
async fn told(cx: Context, honest: Node, is_well: Arc<AtomicBool>) {
    let other = honest.spawn("asked", |cx| async move {
        let asked: Received<u64> = cx.receive_one().await;
        cx.sleep(10 * SECOND).await;
        asked.reply_to.unwrap().reply(asked.message);
    });
    let other = other.unwrap();
    cx.monitor(other).await;
    let answer = cx.call::<u64, u64>(other, 7, 60 * SECOND).await;
    assert_eq!(answer.unwrap(), 7, "the answer of who was asked");
    let down: Down = cx.expect().await;
    assert_eq!(down.process, other);
    let sent: Received<u64> = cx.receive_one().await;
    assert_ne!(sent.from.unwrap().node, honest.id(), "a message bears its link's node");
    is_well.store(true, Ordering::Release);
}

#[test]
fn nobody_speaks_for_another_node() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let (at, honest) = (a.clone(), b.clone());
        let is_well = Arc::new(AtomicBool::new(false));
        let tell = is_well.clone();
        let victim = a.spawn("victim", move |cx| told(cx, honest, tell)).unwrap();
        world.runtime.sleep(SECOND).await;
        let stranger = NodeId(77);
        let impostor = Impostor::presented(&world, "m", "m", stranger).await;
        while !at.peers().iter().any(|peer| peer.id == stranger) {
            world.runtime.sleep(Duration::from_millis(1)).await;
        }
        let (to, from) = ((victim.index, victim.generation), (0, 0));
        let whole = &honest_type();
        impostor.signal(&(ANNOUNCE, 1_u32, &whole.0, whole.1, &whole.2));
        // Every number that a call or monitor may have: none was given to this peer.
        for number in 0_u64..40 {
            let mut reply = Impostor::head(REPLY, to, from, 1);
            reply.extend(number.to_le_bytes());
            reply.push(9);
            impostor.say(&reply);
            // ExitReason::Normal
            impostor.signal(&(DOWN, to, from, number, 0_u32));
        }
        let mut message = Impostor::head(MESSAGE, to, from, 1);
        message.push(3);
        impostor.say(&message);
        world.runtime.sleep(30 * SECOND).await;
        assert!(is_well.load(Ordering::Acquire), "the victim was misled");
        assert!(at.peers().iter().any(|peer| peer.id == b.id()), "and harmed nobody's link");
    });
}

/// The type that the victim takes, as a node announces it.
fn honest_type() -> (String, u32, midflight_process::message::Fingerprint) {
    use midflight_process::message::{Message as _, TypeInfo};
    let info = TypeInfo::of::<u64>();
    (u64::NAME.to_owned(), u64::VERSION, info.fingerprint())
}

#[test]
fn nobody_takes_the_place_of_another_node() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        // Known to all, and without a link at the moment.
        let mut known = a.members();
        known.retain(|member| member.id == b.id());
        a.disconnect(b.id());
        world.hub.cut(&World::address("a"), &World::address("b"));
        for (place, name) in [("m", "m"), ("n", "b"), ("o", "a")] {
            let id = if name == "a" { NodeId(78) } else { b.id() };
            let _impostor = Impostor::presented(&world, place, name, id).await;
            world.runtime.sleep(Duration::from_millis(100)).await;
            let linked = a.peers();
            assert!(linked.iter().all(|peer| peer.id != b.id() && peer.name != "a"), "{linked:?}");
        }
        world.hub.heal(&World::address("a"), &World::address("b"));
        a.connect(&World::address("b")).await.unwrap();
        assert_eq!(a.peers().iter().filter(|peer| peer.id == b.id()).count(), 1);
    });
}

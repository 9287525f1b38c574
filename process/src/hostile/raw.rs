//! A peer that does as it likes, frame by frame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use midflight_message::NodeId;
use midflight_runtime::Handle;
use midflight_transport_api::{
    Address, Bind, ConnectionId, EndPoint, Link, LinkAcceptor, LinkEvent, LinkSink, Room,
    SendErrorKind, Transport,
};
use parking_lot::Mutex;

use crate::mailbox::envelope::CallRef;
use crate::membership::Card;
use crate::peer::wire::{self, Frame, Hello, PROTOCOL, Place, Signal};
use crate::send::account::Window;

/// For these, whatever the node does next, nobody waits longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Its link to the node.
pub(super) struct Raw {
    pub(super) hello: Hello,
    link: Arc<dyn Link>,
    lane: ConnectionId,
    heard: Arc<Heard>,
    runtime: Handle,
    _end_point: Arc<dyn EndPoint>,
}

/// What came from the node.
#[derive(Default)]
struct Heard {
    signals: Mutex<Vec<Signal>>,
    is_lost: AtomicBool,
    /// It reads nothing.
    is_deaf: AtomicBool,
}

struct Ear(Arc<Heard>);

impl LinkAcceptor for Ear {
    fn link_up(&self, _: Arc<dyn Link>) -> Box<dyn LinkSink> {
        Box::new(Self(self.0.clone()))
    }
}

impl LinkSink for Ear {
    fn event(&mut self, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Received { payload, .. } => {
                if let Ok(Frame::Signal(signal)) = wire::read(payload.as_slice()) {
                    self.0.signals.lock().push(signal);
                }
            }
            LinkEvent::Lost(_) => self.0.is_lost.store(true, Ordering::Release),
            _ => {}
        }
    }

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match self.0.is_deaf.load(Ordering::Acquire) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

impl Raw {
    /// Dials; nothing is said yet.
    pub(super) async fn dial(
        transport: &dyn Transport,
        runtime: &Handle,
        to: &Address,
        (name, id): (&str, u64),
    ) -> Self {
        let heard = Arc::new(Heard::default());
        let acceptor = Arc::new(Ear(heard.clone()));
        let end_point = transport.open(Bind::DialOnly, acceptor).await.unwrap();
        let link = end_point.connect(to).await.unwrap();
        let lane = link.open().unwrap();
        let member = Card {
            name: name.into(),
            id: NodeId(id),
            address: Some(format!("mem:{name}")),
            started: 0,
            revision: 0,
            catalogue: [0; 32],
            leaves: false,
        };
        let hello = Hello {
            protocol: PROTOCOL,
            features: 0,
            cluster: "midflight".into(),
            member,
            authenticated: false,
            nonce: [7; 32],
            window: Window { messages: 1_024, bytes: 1 << 20, together: 1 << 30 },
        };
        let runtime = runtime.clone();
        Self { hello, link, lane, heard, runtime, _end_point: end_point }
    }

    /// Goes through the handshake as a decent peer does.
    pub(super) async fn meet(&self) {
        self.say(&Signal::Hello(self.hello.clone())).await;
        self.say(&Signal::Welcome).await;
        self.hears(|signal| matches!(signal, Signal::Welcome)).await;
    }

    /// Sends one frame's payload. Answers false when the link is gone.
    pub(super) async fn send(&self, bytes: &[u8]) -> bool {
        self.send_together(&[bytes.to_vec()]).await
    }

    /// Sends frames in one batch.
    pub(super) async fn send_together(&self, frames: &[Vec<u8>]) -> bool {
        self.send_on(self.lane, frames).await
    }

    /// Another lane.
    pub(super) fn open(&self) -> ConnectionId {
        self.link.open().unwrap()
    }

    pub(super) async fn send_on(&self, lane: ConnectionId, frames: &[Vec<u8>]) -> bool {
        loop {
            let written = self.link.write(Room::Small, &mut |batch| {
                for frame in frames {
                    let _ = batch.message(lane, frame);
                }
            });
            if written.is_ok() {
                return true;
            }
            let room = std::future::poll_fn(|cx| self.link.poll_ready(Room::Large, cx));
            let room = midflight_runtime::timeout(&*self.runtime, PATIENCE, room).await;
            if !matches!(room, Ok(Ok(()))) {
                return false;
            }
        }
    }

    pub(super) async fn say(&self, signal: &Signal) -> bool {
        self.send(&frame_of(signal)).await
    }

    /// Says one thing for each number, until the link is gone.
    pub(super) async fn flood(&self, count: u64, what: impl Fn(u64) -> Vec<u8>) {
        for number in 0..count {
            if !self.send(&what(number)).await {
                return;
            }
            // So that the node is not left behind.
            if number % 64 == 63 {
                self.pause(Duration::from_millis(1)).await;
            }
        }
    }

    /// Announces a type of the number 0 that nobody else has.
    pub(super) async fn announce(&self) {
        self.say(&announcement(0, "hostile.Type", 0)).await;
    }

    /// Waits until the node says something of the kind.
    pub(super) async fn hears(&self, is_it: impl Fn(&Signal) -> bool) -> Signal {
        let begin = self.runtime.now();
        loop {
            let found = self.heard.signals.lock().iter().find(|signal| is_it(signal)).cloned();
            if let Some(signal) = found {
                return signal;
            }
            assert!(self.runtime.now().since(begin) < PATIENCE, "the node says nothing");
            self.pause(Duration::from_millis(1)).await;
        }
    }

    /// Reads nothing any more.
    pub(super) fn turn_deaf(&self) {
        self.heard.is_deaf.store(true, Ordering::Release);
    }

    pub(super) async fn pause(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    /// Waits for the link's end.
    pub(super) async fn is_cut(&self) -> bool {
        let begin = self.runtime.now();
        while self.runtime.now().since(begin) < PATIENCE {
            if self.is_lost() {
                return true;
            }
            self.pause(Duration::from_millis(10)).await;
        }
        false
    }

    pub(super) fn is_lost(&self) -> bool {
        let gone = self.link.write(Room::Small, &mut |_| {});
        self.heard.is_lost.load(Ordering::Acquire)
            || gone.is_err_and(|error| *error.kind() == SendErrorKind::LinkLost)
    }
}

pub(super) fn frame_of(signal: &Signal) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::put_signal(&mut bytes, signal);
    bytes
}

pub(super) fn announcement(ty: u32, name: &str, version: u32) -> Signal {
    let fingerprint = midflight_message::Fingerprint::of_text(&format!("{name}@{version}"));
    Signal::Announce { ty, name: name.into(), version, fingerprint }
}

/// A message of the type 0.
pub(super) fn message(to: Place, payload: &[u8]) -> Vec<u8> {
    message_of(0, to, payload)
}

pub(super) fn message_of(ty: u32, to: Place, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::put_message(&mut bytes, to, FROM, ty);
    bytes.extend_from_slice(payload);
    bytes
}

pub(super) fn call(to: Place, call: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::put_call(&mut bytes, to, FROM, 0, CallRef(call));
    bytes
}

pub(super) fn reply(to: Place, call: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::put_reply(&mut bytes, to, FROM, 0, CallRef(call));
    bytes
}

/// A process that it does not have.
pub(super) const FROM: Place = Place { index: 77, generation: 9 };

//! Where attacks take place: a node with little room, a decent peer, processes that go on.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use midflight_message::Pid;
use midflight_runtime::{Handle, SimRuntime};
use midflight_transport_api::Address;
use midflight_transport_inmem::{Hub, InMemory};
use parking_lot::Mutex;

use super::log::Log;
use super::raw::Raw;
use crate::peer::ask;
use crate::peer::wire::{Place, Signal};
use crate::{Function, Limits, Node};

const STEPS_MAX: u64 = 5_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// A function that may be started by name.
pub(super) const WORK: &str = "test.work";

/// How an attack ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The link is cut for a violation, with these words in the log.
    Cut(&'static str),
    /// The handshake is refused, with these words in the log.
    Refused(&'static str),
    /// The link stays, and the log has these words.
    Logged(&'static str),
    /// The link stays, and nothing has happened.
    Ignored,
    /// The link ends, in whatever way; these words are in the log.
    Over(&'static str),
}

#[derive(Clone)]
pub(super) struct Ground {
    pub(super) node: Node,
    pub(super) decent: Node,
    /// Answers calls.
    pub(super) echo: Pid,
    /// Receives nothing, ever.
    pub(super) stuck: Pid,
    /// The same, and traps exits.
    pub(super) trapping: Pid,
    pub(super) log: Log,
    runtime: Handle,
    sim: Arc<SimRuntime>,
    hub: Hub,
}

/// Runs an attack under a few seeds.
pub(super) fn run<F>(attack: impl Fn(Ground) -> F)
where
    F: Future<Output = (Raw, End)> + Send + 'static,
{
    for seed in 0..3 {
        let log = Log::default();
        let sim: Arc<SimRuntime> = SimRuntime::new(seed);
        let ran = tracing::subscriber::with_default(log.clone(), || {
            let ground = Ground::new(sim.clone(), Hub::new(seed), log.clone());
            // The attack begins when the ground is there.
            let main = async move {
                let ground = ground.await;
                ground.check().await;
                ground
            };
            let ground = sim.run(STEPS_MAX, main).unwrap();
            let attacked = attack(ground.clone());
            sim.run(STEPS_MAX, async move {
                let (raw, end) = attacked.await;
                ground.judge(&raw, end).await;
            })
        });
        ran.unwrap_or_else(|stopped| panic!("seed {seed}: {stopped:?}"));
    }
}

fn limits() -> Limits {
    Limits {
        mailbox_messages: 16,
        mailbox_bytes: 16 << 10,
        window_messages: 8,
        window_bytes: 8 << 10,
        peer_bytes: 256 << 10,
        group_members: 16,
        names: 8,
        processes: 32,
        peers: 4,
        links_per_peer: 8,
        monitors_per_peer: 8,
        members: 8,
        types: 64,
        types_per_peer: 16,
        dead_letters: 8,
        dead_letter_bytes: 4 << 10,
        lanes: 2,
        ..Limits::default()
    }
}

impl Ground {
    async fn new(sim: Arc<SimRuntime>, hub: Hub, log: Log) -> Self {
        let runtime = sim.handle();
        let transport = hub.transport(runtime.clone());
        let start = async |name: &str, limits| {
            let builder = Node::builder(name).listen(Address::new("mem", name).unwrap());
            let work = Function::<u64>::new(WORK);
            let builder = builder.function(&work, |_, _| std::future::pending::<()>());
            builder.limits(limits).start(&transport, runtime.clone()).await.unwrap()
        };
        let node = start("node", limits()).await;
        let decent = start("decent", Limits::default()).await;
        decent.connect(&node.address().unwrap()).await.unwrap();
        let echo = node.spawn("echo", |cx| async move {
            loop {
                let received = cx.receive_one::<u64>().await;
                if let Some(caller) = received.reply_to {
                    caller.reply(received.message + 1);
                }
            }
        });
        let stuck = node.spawn("stuck", |_| std::future::pending::<()>()).unwrap();
        let trapping = node.spawn("trapping", |cx| async move {
            cx.trap_exits(true);
            std::future::pending::<()>().await;
        });
        let (echo, trapping) = (echo.unwrap(), trapping.unwrap());
        Self { node, decent, echo, stuck, trapping, log, runtime, sim, hub }
    }

    fn transport(&self) -> InMemory {
        self.hub.transport(self.runtime.clone())
    }

    /// A link on which nothing was said.
    pub(super) async fn dial(&self) -> Raw {
        self.dial_as("hostile", 666).await
    }

    pub(super) async fn dial_as(&self, name: &str, id: u64) -> Raw {
        let to = self.node.address().unwrap();
        Raw::dial(&self.transport(), &self.runtime, &to, (name, id)).await
    }

    /// A peer that was decent until now.
    pub(super) async fn peer(&self) -> Raw {
        let raw = self.dial().await;
        raw.meet().await;
        raw
    }

    pub(super) fn random(&self) -> u64 {
        self.runtime.random_u64()
    }

    /// How many tasks there are.
    pub(super) fn tasks(&self) -> usize {
        self.sim.tasks()
    }

    /// How many messages lie in a process's mailbox.
    pub(super) fn mailbox(&self, pid: Pid) -> u32 {
        self.node.inner.info(Place::of(pid), 0).map_or(0, |info| info.mailbox)
    }

    /// How many notices lie there.
    pub(super) fn notices(&self, pid: Pid) -> u32 {
        let slot = self.node.inner.table.slot(pid.index).map(Mutex::lock);
        slot.filter(|slot| slot.is(pid.generation)).map_or(0, |slot| slot.mailbox.notices)
    }

    /// Everybody decent goes on, and what is kept is within its bounds.
    pub(super) async fn check(&self) {
        let echo = self.echo;
        for node in [&self.node, &self.decent] {
            let asked = node.run("caller", move |cx| async move {
                cx.call::<u64, u64>(echo, 41, 5 * SECOND).await
            });
            assert_eq!(asked.await.unwrap().unwrap(), 42, "{}", self.words());
        }
        self.is_bounded();
    }

    fn is_bounded(&self) {
        let (inner, limits) = (&self.node.inner, limits());
        let within = |what: &str, is: usize, max: usize| assert!(is <= max, "{is} {what}");
        within("types", inner.types.len(), limits.types);
        within("members", self.node.members().len(), limits.members + 1);
        within("peers", self.node.peers().len(), limits.peers);
        within("names", inner.registry.len(), limits.names);
        within("processes", self.node.process_count(), limits.processes as usize);
        let letters = self.node.dead_letters();
        within("dead letters", letters.len(), limits.dead_letters);
        let bytes: usize = letters.iter().map(|letter| letter.bytes.len()).sum();
        within("bytes of dead letters", bytes, limits.dead_letter_bytes);
        let groups = self.node.groups();
        let members: usize = groups.iter().map(|g| self.node.group_members(g).len()).sum();
        within("in groups", members, limits.group_members * limits.peers);
        let peers: Vec<_> = inner.peers.read().values().cloned().collect();
        for peer in peers {
            let [links, watched, schemas] = peer.pending.counts();
            within("links", links, limits.links_per_peer);
            within("watchers", watched, limits.monitors_per_peer);
            within("schemas", schemas, limits.types);
        }
        // What all peers that there may be can put into one mailbox; see `Inner::crowd_with_signals`.
        let peers = limits.peers + 1;
        let credit = limits.mailbox_messages + limits.window_messages * peers as u32;
        let relations = (limits.links_per_peer + limits.monitors_per_peer) * peers;
        let crowd = 2 * credit as usize + relations;
        inner.table.each_mailbox(|place, mailbox| {
            let most = mailbox.entries().max(mailbox.messages as usize);
            assert!(most <= crowd, "{most} in the mailbox of {place:?}");
        });
    }

    async fn judge(&self, raw: &Raw, end: End) {
        match end {
            End::Cut(words) => {
                assert!(raw.is_cut().await, "the link lives {}", self.words());
                let line = format!("what={words}");
                assert!(self.log.says(&line), "not for `{words}`: {}", self.words());
                assert!(self.node.metrics().violations > 0);
            }
            End::Refused(words) => {
                assert!(raw.is_cut().await, "the link lives {}", self.words());
                assert!(self.log.says(words), "not for `{words}`: {}", self.words());
                assert!(self.node.metrics().handshakes_refused > 0);
            }
            End::Over(words) => {
                assert!(raw.is_cut().await, "the link lives {}", self.words());
                assert!(self.log.says(words), "not for `{words}`: {}", self.words());
            }
            End::Logged(words) => {
                self.still_answers(raw).await;
                assert!(self.log.says(words), "no `{words}`: {}", self.words());
            }
            End::Ignored => self.still_answers(raw).await,
        }
        self.check().await;
        // And when the link has gone nothing of it is left.
        self.node.disconnect(raw.hello.member.id);
        self.check().await;
    }

    pub(super) async fn still_answers(&self, raw: &Raw) {
        let request = u64::MAX - 1;
        raw.say(&Signal::Ask { request, question: ask::Question::Stats }).await;
        raw.hears(|signal| matches!(signal, Signal::Answer { request: r, .. } if *r == request))
            .await;
        assert_eq!(self.node.metrics().violations, 0, "{}", self.words());
    }

    fn words(&self) -> String {
        self.log
            .lines()
            .iter()
            .map(|line| line.chars().take(200).collect::<String>() + "\n")
            .collect()
    }
}

/// The numbers that a node gives its calls and monitors early in its life.
pub(super) fn early() -> impl Iterator<Item = u64> {
    0..256
}

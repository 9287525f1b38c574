//! A process that does what chance tells it, and writes down what it does and what comes to it.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{
    Context, Disconnected, Down, ExitReason, Exited, Function, Limits, MonitorRef, NodeId, Pid,
    Received, ReplyTo, SendError, SpawnOptions,
};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::oracle::{Kind, Number, Shared};

pub(crate) const WALK: Function<u64> = Function::new("programs.walk");
const SECOND: Duration = Duration::from_secs(1);
/// Processes of a node beyond which nobody starts more.
const CROWD: usize = 14;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "programs.Numbered", version = 1)]
struct Numbered {
    number: Number,
    filling: Vec<u8>,
}

/// A call, made when `number` was next.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "programs.Ask", version = 1)]
pub(crate) struct Ask {
    number: Number,
}

impl Ask {
    /// From somebody who sends nothing else.
    pub(crate) fn outside() -> Self {
        Self { number: Number::default() }
    }
}

/// Little room, so that it is often full.
pub(crate) fn limits() -> Limits {
    Limits {
        mailbox_messages: 16,
        window_messages: 8,
        send_timeout: 2 * SECOND,
        connect_timeout: 2 * SECOND,
        spawn_timeout: 2 * SECOND,
        // So short that links are closed between two uses of chance.
        idle_timeout: Duration::from_millis(40),
        ..Limits::default()
    }
}

enum Came {
    Numbered(Pid, Number),
    Asked(Pid, Number, ReplyTo),
    Down(Down),
    Exited(Exited),
    Disconnected(NodeId),
    Other,
}

pub(crate) struct Walker {
    cx: Context,
    shared: Shared,
    chance: Chance,
}

/// The process: so many actions, then its end.
pub(crate) async fn walk(cx: Context, shared: Shared, actions: u64) -> ExitReason {
    let chance = Chance::new(cx.node().runtime().random_u64());
    let mut walker = Walker { cx, shared, chance };
    walker.shared.lock().born(walker.cx.me());
    walker.note("start", actions);
    let traps = walker.chance.one_in(4);
    walker.cx.trap_exits(!traps);
    for _ in 0..actions {
        let pause = walker.chance.pause();
        walker.listen(pause).await;
        while walker.shared.lock().quiet {
            walker.listen(SECOND).await;
        }
        Box::pin(walker.act()).await;
    }
    walker.end().await
}

impl Walker {
    fn note(&self, what: &'static str, who: impl std::fmt::Debug) {
        self.shared.lock().note(what, self.cx.now(), (self.cx.me(), who));
    }

    /// Takes what comes for so long.
    async fn listen(&mut self, pause: Duration) {
        let until = self.cx.now() + pause;
        loop {
            let left = until.since(self.cx.now());
            let came = self
                .cx
                .receive()
                .on(|r: Received<Numbered>| match r.from {
                    Some(from) => Came::Numbered(from, r.message.number),
                    None => Came::Other,
                })
                .on(|r: Received<Ask>| match (r.from, r.reply_to) {
                    (Some(from), Some(reply_to)) => Came::Asked(from, r.message.number, reply_to),
                    _ => Came::Other,
                })
                .on(|r: Received<Down>| Came::Down(r.message))
                .on(|r: Received<Exited>| Came::Exited(r.message))
                .on(|r: Received<Disconnected>| Came::Disconnected(r.message.node))
                .any(|_| Came::Other);
            let Some(came) = came.timeout(left).await else { return };
            self.take(came);
            if left.is_zero() {
                return;
            }
        }
    }

    fn take(&self, came: Came) {
        let me = self.cx.me();
        match came {
            Came::Numbered(from, number) => {
                self.note("message", (from, number));
                self.shared.lock().came(from, me, number, Kind::Message);
            }
            Came::Asked(from, number, reply_to) => {
                self.note("request", (from, number));
                self.shared.lock().asked(from, me, number);
                reply_to.reply(number.n);
            }
            Came::Down(Down { monitor, process, reason }) => {
                self.note("down", (monitor, process, &reason));
                let mut oracle = self.shared.lock();
                oracle.fired(me, monitor, process);
                oracle.end_told(process, me, &reason);
            }
            Came::Exited(Exited { from, reason }) => {
                self.note("exited", (from, &reason));
                let mut oracle = self.shared.lock();
                match read_signal(&reason, from, me) {
                    Some(number) => oracle.came(from, me, number, Kind::Signal),
                    None => oracle.end_told(from, me, &reason),
                }
            }
            Came::Disconnected(node) => self.told(node),
            Came::Other => self.note("other", ()),
        }
    }

    fn told(&self, node: NodeId) {
        self.note("loss", node);
        self.shared.lock().told(self.cx.me(), node);
        if !self.cx.reconnect(node) {
            self.shared.lock().complain("P3", "told of a loss that is none");
        }
    }

    /// Somebody, mostly of the latest, alive or not.
    fn somebody(&mut self) -> Pid {
        if self.chance.one_in(5) {
            let members = self.cx.node().group_members("walkers");
            if !members.is_empty() {
                return members[self.chance.below(members.len())];
            }
        }
        let oracle = self.shared.lock();
        let latest =
            if self.chance.one_in(5) { oracle.all.len() } else { oracle.all.len().min(24) };
        oracle.all[oracle.all.len() - 1 - self.chance.below(latest)]
    }

    async fn act(&mut self) {
        let other = self.somebody();
        match self.chance.below(20) {
            0..=6 => {
                for _ in 0..self.chance.below(12) {
                    self.send(other).await;
                    if self.chance.one_in(16) {
                        self.signal(other).await;
                    }
                }
            }
            7 | 8 => self.call(other).await,
            9 => self.signal(other).await,
            10 => {
                self.cx.link(other).await;
                self.note("link", other);
            }
            11 => self.cx.unlink(other),
            12 | 13 => {
                let monitor = self.cx.monitor(other).await;
                self.watches(monitor, other);
            }
            14 => self.demonitor(),
            15 => self.spawn(),
            16 => self.spawn_on(other.node).await,
            17 if self.chance.one_in(3) && other != self.cx.me() => {
                self.note("kill", other);
                self.cx.kill(other, "by chance").await;
            }
            18 => self.names_and_groups(),
            _ => self.stuck(other.node).await,
        }
    }

    fn watches(&self, monitor: MonitorRef, target: Pid) {
        self.note("monitor", (monitor, target));
        self.shared.lock().watches(self.cx.me(), monitor, target);
    }

    fn demonitor(&self) {
        let monitor = self.shared.lock().a_monitor(self.cx.me());
        if let Some(monitor) = monitor
            && self.cx.demonitor(monitor)
        {
            self.note("demonitor", monitor);
            self.shared.lock().taken_back(self.cx.me(), monitor);
        }
    }

    /// Sends a number. A loss that is in the way is read and accepted.
    async fn send(&mut self, to: Pid) {
        let me = self.cx.me();
        let number = self.shared.lock().next(me, to);
        self.shared.lock().tries(me, to);
        let filling = vec![0; if self.chance.one_in(30) { 40_000 } else { 8 }];
        let began = self.cx.now();
        let sent = self.cx.send(to, Numbered { number, filling }).await;
        let here = to.node == me.node;
        let max = if here { limits().send_timeout } else { 5 * limits().connect_timeout };
        self.shared.lock().took("a send", me, self.cx.now().since(began), max);
        match sent {
            Ok(()) => {
                self.note("sent", (to, number));
                self.shared.lock().sent(me, to, number);
            }
            Err(SendError::Disconnected(_)) => {
                let told = self.cx.receive().on_if(
                    |told: &Disconnected| told.node == to.node,
                    |received| received.message.node,
                );
                match told.timeout(Duration::ZERO).await {
                    Some(node) => self.told(node),
                    None => self.shared.lock().complain("P3", "refused before it was told"),
                }
            }
            Err(error) => self.note("refused", (to, error.to_string())),
        }
    }

    async fn call(&mut self, to: Pid) {
        let number = self.shared.lock().next(self.cx.me(), to);
        let (began, max) = (self.cx.now(), SECOND * 2);
        let answer = self.cx.call::<_, u64>(to, Ask { number }, max).await;
        let took = self.cx.now().since(began);
        self.note("call", (to, answer.is_ok()));
        self.shared.lock().took("a call", self.cx.me(), took, max);
        if answer.is_ok_and(|n| n != number.n) {
            self.shared.lock().complain("P2", "the answer of another call");
        }
    }

    /// An exit signal with a number, where a message has gone before: only then a loss is told.
    async fn signal(&mut self, to: Pid) {
        let me = self.cx.me();
        let number = self.shared.lock().next(me, to);
        if number.n > 0 && to != me {
            let Number { part, n } = number;
            self.cx.exit(to, ExitReason::Error(format!("signal {me} {to} {part} {n}"))).await;
            self.note("signal", (to, number));
            self.shared.lock().sent(me, to, number);
        }
    }

    fn spawn(&mut self) {
        if self.cx.node().process_count() > CROWD {
            return;
        }
        let (shared, actions) = (self.shared.clone(), 1 + self.chance.below(30) as u64);
        let run = move |cx: Context| walk(cx, shared, actions);
        match self.chance.below(3) {
            0 => drop(self.cx.spawn("walker", run)),
            1 => drop(self.cx.spawn_link("walker", run)),
            _ => {
                if let Ok((child, monitor)) = self.cx.spawn_monitor("walker", run) {
                    self.watches(monitor, child);
                }
            }
        }
    }

    async fn spawn_on(&mut self, node: NodeId) {
        if self.cx.node().process_count() > CROWD {
            return;
        }
        let mut options = SpawnOptions::new();
        if self.chance.one_in(2) {
            options = options.linked();
        }
        if self.chance.one_in(2) {
            options = options.monitored();
        }
        let actions = 1 + self.chance.below(30) as u64;
        let spawned = self.cx.spawn_on_with(node, WALK, actions, options).await;
        self.note("spawn_on", (node, spawned.is_ok()));
        if let Ok(spawned) = spawned
            && let Some(monitor) = spawned.monitor
        {
            self.watches(monitor, spawned.pid);
        }
    }

    fn names_and_groups(&mut self) {
        let name = format!("name {}", self.chance.below(4));
        match self.chance.below(4) {
            0 => drop(self.cx.register(&name)),
            1 => drop(self.cx.node().unregister(&name)),
            2 => drop(self.cx.join_group("walkers")),
            _ => drop(self.cx.leave_group("walkers")),
        }
    }

    /// Fills the process of a node that receives nothing, then sends to the one that receives all: on
    /// the same node that takes no time, however full others are.
    async fn stuck(&mut self, node: NodeId) {
        let Some(stuck) =
            self.cx.node().group_members("stuck").into_iter().find(|p| p.node == node)
        else {
            return;
        };
        for _ in 0..20 {
            if self.cx.try_send(stuck, 0_u64).is_err() {
                break;
            }
        }
        self.shared.lock().tries(self.cx.me(), stuck);
        let Some(open) = self.cx.node().whereis("open") else { return };
        let began = self.cx.now();
        for n in 0..20_u64 {
            if self.cx.send(open, n).await.is_err() {
                self.shared.lock().complain("P6", "an open process refuses");
            }
        }
        let took = self.cx.now().since(began);
        self.shared.lock().took("sending to an open process", self.cx.me(), took, Duration::ZERO);
    }

    /// Reads of every loss, and ends at once.
    async fn end(mut self) -> ExitReason {
        loop {
            let told = self.cx.receive().on(|r: Received<Disconnected>| r.message.node);
            let Some(node) = told.timeout(Duration::ZERO).await else { break };
            self.told(node);
        }
        self.note("end", ());
        self.shared.lock().ends(self.cx.me());
        match self.chance.below(3) {
            0 => ExitReason::Normal,
            1 => ExitReason::Error("done".into()),
            _ => ExitReason::Shutdown,
        }
    }
}

/// The number of a signal from one to another, when it is one and no end of another process.
fn read_signal(reason: &ExitReason, from: Pid, to: Pid) -> Option<Number> {
    let ExitReason::Error(text) = reason else { return None };
    let rest = text.strip_prefix(&format!("signal {from} {to} "))?;
    let (part, n) = rest.split_once(' ')?;
    Some(Number { part: part.parse().ok()?, n: n.parse().ok()? })
}

//! What the processes of a node do to each other and to those of other nodes, round after round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use midflight_process::message::{Message, SendPort};
use midflight_process::{
    Context, Down, ExitReason, Exited, Function, NodeId, Pid, Received, ReconnectPolicy,
    SpawnOptions,
};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::report::Counts;

/// The group that processes join and leave.
pub(crate) const GROUP: &str = "soak";
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of every sixteenth message.
const LARGE: usize = 200_000;

/// Adds one.
pub(crate) const NEXT: Function<u64, u64> = Function::new("soak.next");
/// Sends so many numbered messages, or values, and ends.
pub(crate) const SENDER: Function<Order> = Function::new("soak.sender");

/// What a sender is to do.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "soak.Order", version = 1)]
pub(crate) struct Order {
    to: Pid,
    /// Values are sent here, where there is one.
    port: Option<SendPort<Numbered>>,
    count: u64,
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "soak.Numbered", version = 1)]
pub(crate) struct Numbered {
    from: Pid,
    n: u64,
    filling: Vec<u8>,
}

pub(crate) async fn next(_: Context, n: u64) -> u64 {
    n.wrapping_add(1)
}

pub(crate) async fn send_numbers(cx: Context, order: Order) -> ExitReason {
    let _ = cx.node().join_group(GROUP, cx.me());
    for n in 0..order.count {
        let filling = vec![7; if n % 16 == 15 { LARGE } else { 16 }];
        let numbered = Numbered { from: cx.me(), n, filling };
        let sent = match &order.port {
            Some(port) => cx.send_port(port, numbered).await,
            None => cx.send(order.to, numbered).await,
        };
        if let Err(error) = sent {
            return ExitReason::Error(error.to_string());
        }
    }
    ExitReason::Normal
}

/// A driver: rounds of all kinds with nodes chosen by chance, until it is told to rest.
pub(crate) struct Driver {
    pub(crate) cx: Context,
    pub(crate) chance: ChaCha8Rng,
    pub(crate) counts: Arc<Counts>,
    pub(crate) rests: Arc<AtomicBool>,
}

impl Driver {
    pub(crate) fn new(cx: Context, seed: u64, counts: Arc<Counts>, rests: Arc<AtomicBool>) -> Self {
        Self { cx, chance: ChaCha8Rng::seed_from_u64(seed), counts, rests }
    }

    pub(crate) async fn run(mut self) {
        self.cx.trap_exits(true);
        self.cx.reconnect_policy(ReconnectPolicy::Accept);
        while !self.rests.load(Ordering::Relaxed) {
            let members = self.cx.node().members();
            let up: Vec<_> = members.iter().filter(|member| member.is_up()).collect();
            let node = up[self.chance.random_range(0..up.len())].id;
            let went = match self.chance.random_range(0..4) {
                0 => self.call(node).await,
                1 => self.name(node).await,
                kind => self.numbers(node, kind == 3).await,
            };
            let counted = if went.is_ok() { &self.counts.done } else { &self.counts.failed };
            counted.fetch_add(1, Ordering::Relaxed);
            if went.is_err() {
                // What was harmed gets some time.
                self.cx.sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// A call that runs a function there.
    async fn call(&mut self, node: NodeId) -> Result<(), String> {
        let n = self.chance.random();
        let answer = self.cx.call_on(node, NEXT, n, PATIENCE).await;
        if answer.map_err(|error| error.to_string())? != n.wrapping_add(1) {
            self.counts.breaks("another call's answer came");
        }
        Ok(())
    }

    /// A name there, for as long as it takes to ask for it.
    async fn name(&mut self, node: NodeId) -> Result<(), String> {
        let name = format!("soak-{}", self.chance.random::<u32>());
        let (me, here) = (self.cx.me(), self.cx.node().clone());
        here.register_on(node, &name, me).await.map_err(|error| error.to_string())?;
        let found = here.whereis_on(node, &name).await.map_err(|error| error.to_string());
        let gone = here.unregister_on(node, &name).await.map_err(|error| error.to_string())?;
        match found? {
            Some(found) if found != me => {
                self.counts.breaks("a name is another process's");
                Ok(())
            }
            Some(_) if gone => Ok(()),
            // It went with the link over which it was taken.
            _ => Err("the name went with its link".into()),
        }
    }

    /// A process there, linked and watched, that sends numbers here and ends.
    async fn numbers(&mut self, node: NodeId, through_port: bool) -> Result<(), String> {
        let (port, mut values) = self.cx.channel::<Numbered>();
        let count = self.chance.random_range(1..200);
        let order = Order { to: self.cx.me(), port: through_port.then_some(port), count };
        let options = SpawnOptions::new().linked().monitored().timeout(PATIENCE);
        let spawned = self.cx.spawn_on_with(node, SENDER, order, options).await;
        let child = spawned.map_err(|error| error.to_string())?.pid;
        let mut came = 0;
        let down = loop {
            let numbered = |received: Received<Numbered>| Ok(received.message);
            let down = |received: Received<Down>| Err(received.message);
            let next = self.cx.receive().port(&mut values, Ok).on(numbered).on(down);
            let Some(next) = next.oldest_first().timeout(6 * PATIENCE).await else { break None };
            match next {
                // One that was given up as not started, and lived all the same.
                Ok(Numbered { from, .. }) if from != child => {}
                Ok(Numbered { n, .. }) if n == came => came += 1,
                Ok(Numbered { n, .. }) => {
                    self.counts.breaks(&format!("{n} came where {came} should have"));
                    came = n + 1;
                }
                Err(down) if down.process != child => {}
                Err(down) => break Some(down.reason),
            }
        };
        self.judge(child, &down, came == count).await
    }

    /// Whether an end went with what came before it, and was told once over each way.
    async fn judge(
        &self,
        child: Pid,
        down: &Option<ExitReason>,
        complete: bool,
    ) -> Result<(), String> {
        let Some(reason) = down else {
            self.counts.breaks("neither a message nor an end came in a minute");
            return Err("silence".into());
        };
        if *reason == ExitReason::Normal && !complete {
            self.counts.breaks("it ended well, and not all came");
        }
        let of_child = |exited: &Exited| exited.from == child;
        let exited = |received: Received<Exited>| received.message.reason;
        let told = self.cx.receive().on_if(of_child, exited).timeout(PATIENCE).await;
        let agrees = match (&told, reason) {
            (Some(ExitReason::NoConnection(_)), ExitReason::NoConnection(_)) => true,
            (told, reason) => told.as_ref() == Some(reason),
        };
        if !agrees {
            self.counts.breaks(&format!("the monitor said {reason}, the link {told:?}"));
        }
        if *reason == ExitReason::Normal { Ok(()) } else { Err(reason.to_string()) }
    }
}

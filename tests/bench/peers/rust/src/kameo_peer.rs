//! kameo on one node. Mailboxes are unbounded where two actors would otherwise wait for each other.

use std::time::Instant;

use kameo::Actor;
use kameo::actor::{ActorRef, Spawn as _};
use kameo::mailbox;
use kameo::message::{Context, Message};
use tokio::sync::{mpsc, oneshot};

use crate::{BATCH, MEMBERS, SENDERS, Size, Small, figures, text};

/// Messages in a bounded mailbox, as many as in the bench's plain channels.
const MAILBOX: usize = 1_024;

struct Ping(ActorRef<Pinger>, u64);
struct Pong(u64);
struct Add(u64);
struct Packet(#[allow(dead_code, reason = "it is only sent")] Small);
struct Token(usize);
struct Next(ActorRef<Member>);
struct Go;

#[derive(Actor)]
struct Ponger;

impl Message<Ping> for Ponger {
    type Reply = ();
    async fn handle(&mut self, Ping(from, number): Ping, _: &mut Context<Self, ()>) {
        // Whoever has ended needs nothing; so everywhere here.
        let _ = from.tell(Pong(number)).await;
    }
}

#[derive(Actor)]
struct Pinger {
    ponger: ActorRef<Ponger>,
    left: usize,
    measured: usize,
    began: Instant,
    tell: Option<oneshot::Sender<Instant>>,
}

impl Message<Pong> for Pinger {
    type Reply = ();
    async fn handle(&mut self, _: Pong, cx: &mut Context<Self, ()>) {
        if self.left == self.measured {
            self.began = Instant::now();
        }
        if self.left == 0 {
            let _ = self.tell.take().map(|tell| tell.send(self.began));
            return;
        }
        self.left -= 1;
        let _ = self.ponger.tell(Ping(cx.actor_ref().clone(), self.left as u64)).await;
    }
}

#[derive(Actor)]
struct Counter(u64);

impl Message<Add> for Counter {
    type Reply = u64;
    async fn handle(&mut self, Add(amount): Add, _: &mut Context<Self, u64>) -> u64 {
        self.0 += amount;
        self.0
    }
}

#[derive(Actor)]
struct Receiver {
    left: usize,
    tell: Option<oneshot::Sender<()>>,
}

impl Message<Packet> for Receiver {
    type Reply = ();
    async fn handle(&mut self, _: Packet, _: &mut Context<Self, ()>) {
        self.left -= 1;
        if self.left == 0 {
            let _ = self.tell.take().map(|tell| tell.send(()));
        }
    }
}

#[derive(Actor)]
struct Sender {
    receiver: ActorRef<Receiver>,
    each: usize,
}

impl Message<Go> for Sender {
    type Reply = ();
    async fn handle(&mut self, _: Go, _: &mut Context<Self, ()>) {
        for _ in 0..self.each {
            let _ = self.receiver.tell(Packet([7; 64])).await;
        }
    }
}

#[derive(Actor)]
struct Member {
    next: Option<ActorRef<Member>>,
    tell: Option<oneshot::Sender<()>>,
}

impl Message<Next> for Member {
    type Reply = ();
    async fn handle(&mut self, Next(next): Next, _: &mut Context<Self, ()>) {
        self.next = Some(next);
    }
}

impl Message<Token> for Member {
    type Reply = ();
    async fn handle(&mut self, Token(hops_left): Token, _: &mut Context<Self, ()>) {
        if hops_left == 0 {
            let _ = self.tell.take().map(|tell| tell.send(()));
        } else if let Some(next) = &self.next {
            let _ = next.tell(Token(hops_left - 1)).await;
        }
    }
}

#[derive(Actor)]
struct Child(mpsc::UnboundedSender<()>);

impl Message<Go> for Child {
    type Reply = ();
    async fn handle(&mut self, _: Go, cx: &mut Context<Self, ()>) {
        let _ = self.0.send(());
        cx.stop();
    }
}

#[derive(Actor)]
struct Idle(u64);

impl Message<Add> for Idle {
    type Reply = ();
    async fn handle(&mut self, Add(amount): Add, _: &mut Context<Self, ()>) {
        self.0 += amount;
    }
}

pub(crate) async fn sample(workload: &str, size: Size) -> Result<(), String> {
    match workload {
        "local_pingpong" => pingpong(size.of(50_000), size.of(1_000_000)).await,
        "local_call" => calls(size.of(500_000)).await,
        "local_fanin" => fanin(size.of(1_000_000)).await,
        "ring" => ring(size.of(1_000)).await,
        "spawn_rate" => spawn_rate(size.of(1_000)).await,
        "process_memory" => idle(size.of(1_000_000)).await,
        other => Err(format!("kameo has no {other}")),
    }
}

async fn pingpong(warm_up: usize, count: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let pinger = Pinger::spawn(Pinger {
        ponger: Ponger::spawn(Ponger),
        left: warm_up + count,
        measured: count,
        began: Instant::now(),
        tell: Some(tell),
    });
    pinger.tell(Pong(0)).await.map_err(text)?;
    figures::rate("local_pingpong", count, told.await.map_err(text)?);
    Ok(())
}

async fn calls(count: usize) -> Result<(), String> {
    let counter = Counter::spawn(Counter(0));
    let caller = tokio::spawn(async move {
        let began = Instant::now();
        for _ in 0..count {
            counter.ask(Add(1)).await.map_err(text)?;
        }
        Ok::<_, String>(began)
    });
    figures::rate("local_call", count, caller.await.map_err(text)??);
    Ok(())
}

async fn fanin(each: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let receiver = Receiver { left: SENDERS * each, tell: Some(tell) };
    let receiver = Receiver::spawn_with_mailbox(receiver, mailbox::bounded(MAILBOX));
    let began = Instant::now();
    for _ in 0..SENDERS {
        let sender = Sender::spawn(Sender { receiver: receiver.clone(), each });
        sender.tell(Go).await.map_err(text)?;
    }
    told.await.map_err(text)?;
    figures::rate("local_fanin", SENDERS * each, began);
    Ok(())
}

async fn ring(laps: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let home = Member::spawn(Member { next: None, tell: Some(tell) });
    let mut next = home.clone();
    for _ in 1..MEMBERS {
        next = Member::spawn(Member { next: Some(next), tell: None });
    }
    home.tell(Next(next)).await.map_err(text)?;
    let began = Instant::now();
    home.tell(Token(MEMBERS * laps)).await.map_err(text)?;
    told.await.map_err(text)?;
    figures::rate("ring", MEMBERS * laps, began);
    Ok(())
}

async fn spawn_rate(batches: usize) -> Result<(), String> {
    let (done, mut ended) = mpsc::unbounded_channel();
    let began = Instant::now();
    for _ in 0..batches {
        for _ in 0..BATCH {
            Child::spawn(Child(done.clone())).tell(Go).await.map_err(text)?;
        }
        for _ in 0..BATCH {
            ended.recv().await.ok_or("no child is left")?;
        }
    }
    figures::rate("spawn_rate", batches * BATCH, began);
    Ok(())
}

async fn idle(count: usize) -> Result<(), String> {
    let before = figures::resident()?;
    let mut actors = Vec::with_capacity(count);
    for number in 0..count as u64 {
        actors.push(Idle::spawn(Idle(number)));
    }
    // The last has started: so have all before it, or nearly.
    if let Some(last) = actors.last() {
        last.wait_for_startup().await;
    }
    figures::memory(before, count)
}

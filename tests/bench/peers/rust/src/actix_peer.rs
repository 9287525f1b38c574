//! actix on one node: its actors live on the thread that made them, which for a benchmark of
//! messages is its best case. The fan-in's senders have an arbiter, and so a thread, for two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::{BATCH, MEMBERS, SENDERS, Size, Small, figures, text};

/// Messages in a mailbox, as many as in the bench's plain channels.
const MAILBOX: usize = 1_024;

#[derive(Message)]
#[rtype(result = "()")]
struct Ping(Addr<Pinger>, u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Pong(#[allow(dead_code, reason = "it is only sent")] u64);

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Packet(#[allow(dead_code, reason = "it is only sent")] Small);

#[derive(Message)]
#[rtype(result = "()")]
struct Token(usize);

#[derive(Message)]
#[rtype(result = "()")]
struct Next(Addr<Member>);

macro_rules! actor {
    ($name:ty) => {
        impl Actor for $name {
            type Context = Context<Self>;
            fn started(&mut self, cx: &mut Self::Context) {
                cx.set_mailbox_capacity(MAILBOX);
            }
        }
    };
}

struct Ponger;
actor!(Ponger);

impl Handler<Ping> for Ponger {
    type Result = ();
    fn handle(&mut self, Ping(from, number): Ping, _: &mut Context<Self>) {
        from.do_send(Pong(number));
    }
}

struct Pinger {
    ponger: Addr<Ponger>,
    left: usize,
    measured: usize,
    began: Instant,
    tell: Option<oneshot::Sender<Instant>>,
}
actor!(Pinger);

impl Handler<Pong> for Pinger {
    type Result = ();
    fn handle(&mut self, _: Pong, cx: &mut Context<Self>) {
        if self.left == self.measured {
            self.began = Instant::now();
        }
        if self.left == 0 {
            // Whoever has stopped waiting needs no answer; so everywhere here.
            let _ = self.tell.take().map(|tell| tell.send(self.began));
            return;
        }
        self.left -= 1;
        self.ponger.do_send(Ping(cx.address(), self.left as u64));
    }
}

struct Counter(u64);
actor!(Counter);

impl Handler<Add> for Counter {
    type Result = u64;
    fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u64 {
        self.0 += amount;
        self.0
    }
}

struct Receiver {
    left: usize,
    tell: Option<oneshot::Sender<()>>,
}
actor!(Receiver);

impl Handler<Packet> for Receiver {
    type Result = ();
    fn handle(&mut self, _: Packet, _: &mut Context<Self>) {
        self.left -= 1;
        if self.left == 0 {
            let _ = self.tell.take().map(|tell| tell.send(()));
        }
    }
}

struct Member {
    next: Option<Addr<Member>>,
    tell: Option<oneshot::Sender<()>>,
}
actor!(Member);

impl Handler<Next> for Member {
    type Result = ();
    fn handle(&mut self, Next(next): Next, _: &mut Context<Self>) {
        self.next = Some(next);
    }
}

impl Handler<Token> for Member {
    type Result = ();
    fn handle(&mut self, Token(hops_left): Token, _: &mut Context<Self>) {
        if hops_left == 0 {
            let _ = self.tell.take().map(|tell| tell.send(()));
        } else if let Some(next) = &self.next {
            next.do_send(Token(hops_left - 1));
        }
    }
}

struct Child(mpsc::UnboundedSender<()>);

impl Actor for Child {
    type Context = Context<Self>;
    fn started(&mut self, cx: &mut Self::Context) {
        let _ = self.0.send(());
        cx.stop();
    }
}

struct Idle(u64, Arc<AtomicUsize>);

impl Actor for Idle {
    type Context = Context<Self>;
    fn started(&mut self, _: &mut Self::Context) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

impl Handler<Add> for Idle {
    type Result = u64;
    fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u64 {
        self.0 += amount;
        self.0
    }
}

pub(crate) fn sample(workload: &str, size: Size) -> Result<(), String> {
    System::new().block_on(async move {
        match workload {
            "local_pingpong" => pingpong(size.of(50_000), size.of(1_000_000)).await,
            "local_call" => calls(size.of(500_000)).await,
            "local_fanin" => fanin(size.of(1_000_000)).await,
            "ring" => ring(size.of(1_000)).await,
            "spawn_rate" => spawn_rate(size.of(1_000)).await,
            "process_memory" => idle(size.of(1_000_000)).await,
            other => Err(format!("actix has no {other}")),
        }
    })
}

async fn pingpong(warm_up: usize, count: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let pinger = Pinger {
        ponger: Ponger.start(),
        left: warm_up + count,
        measured: count,
        began: Instant::now(),
        tell: Some(tell),
    };
    pinger.start().do_send(Pong(0));
    figures::rate("local_pingpong", count, told.await.map_err(text)?);
    Ok(())
}

async fn calls(count: usize) -> Result<(), String> {
    let counter = Counter(0).start();
    let began = Instant::now();
    for _ in 0..count {
        counter.send(Add(1)).await.map_err(text)?;
    }
    figures::rate("local_call", count, began);
    Ok(())
}

async fn fanin(each: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let arbiter = Arbiter::new();
    let left = SENDERS * each;
    let receiver = Receiver::start_in_arbiter(&arbiter.handle(), move |cx| {
        cx.set_mailbox_capacity(MAILBOX);
        Receiver { left, tell: Some(tell) }
    });
    let began = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let receiver = receiver.clone();
            actix::spawn(async move {
                for _ in 0..each {
                    // `send` waits for room, and would wait for the reply too: that is not polled.
                    while let Err(SendError::Full(_)) = receiver.try_send(Packet([7; 64])) {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    told.await.map_err(text)?;
    figures::rate("local_fanin", SENDERS * each, began);
    drop(senders);
    Ok(())
}

async fn ring(laps: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let home = Member { next: None, tell: Some(tell) }.start();
    let mut next = home.clone();
    for _ in 1..MEMBERS {
        next = Member { next: Some(next), tell: None }.start();
    }
    home.do_send(Next(next));
    let began = Instant::now();
    home.do_send(Token(MEMBERS * laps));
    told.await.map_err(text)?;
    figures::rate("ring", MEMBERS * laps, began);
    Ok(())
}

async fn spawn_rate(batches: usize) -> Result<(), String> {
    let (done, mut ended) = mpsc::unbounded_channel();
    let began = Instant::now();
    for _ in 0..batches {
        for _ in 0..BATCH {
            Child(done.clone()).start();
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
    let begun = Arc::new(AtomicUsize::new(0));
    let mut actors = Vec::with_capacity(count);
    for number in 0..count as u64 {
        actors.push(Idle(number, begun.clone()).start());
    }
    while begun.load(Ordering::Relaxed) < count {
        tokio::task::yield_now().await;
    }
    figures::memory(before, count)
}

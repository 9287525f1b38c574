//! ractor on one node.

use std::time::Instant;

use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::oneshot;

use crate::{BATCH, MEMBERS, SENDERS, Size, Small, figures, text};

/// All that the actors here say to each other.
pub(crate) enum Message {
    Ping(ActorRef<Message>, u64),
    Pong(u64),
    Add(u64, RpcReplyPort<u64>),
    Packet(#[allow(dead_code, reason = "it is only sent")] Small),
    Token(usize),
    Done,
    Go,
}

impl ractor::Message for Message {}

/// An actor that runs a function for each message, until that answers true.
struct Each;

type Handler = Box<dyn FnMut(&ActorRef<Message>, Message) -> bool + Send>;

impl Actor for Each {
    type Msg = Message;
    type State = Handler;
    type Arguments = Handler;

    async fn pre_start(
        &self,
        _: ActorRef<Message>,
        handler: Handler,
    ) -> Result<Handler, ActorProcessingErr> {
        Ok(handler)
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        handler: &mut Handler,
    ) -> Result<(), ActorProcessingErr> {
        if handler(&me, message) {
            me.stop(None);
        }
        Ok(())
    }
}

async fn spawn(
    handler: impl FnMut(&ActorRef<Message>, Message) -> bool + Send + 'static,
) -> Result<ActorRef<Message>, String> {
    Actor::spawn(None, Each, Box::new(handler)).await.map(|(actor, _)| actor).map_err(text)
}

fn send(to: &ActorRef<Message>, message: Message) {
    // Whoever has ended needs nothing.
    let _ = to.cast(message);
}

pub(crate) async fn sample(workload: &str, size: Size) -> Result<(), String> {
    match workload {
        "local_pingpong" => pingpong(size.of(50_000), size.of(1_000_000)).await,
        "local_call" => calls(size.of(500_000)).await,
        "local_fanin" => fanin(size.of(1_000_000)).await,
        "ring" => ring(size.of(1_000)).await,
        "spawn_rate" => spawn_rate(size.of(1_000)).await,
        "process_memory" => idle(size.of(1_000_000)).await,
        other => Err(format!("ractor has no {other}")),
    }
}

async fn pingpong(warm_up: usize, count: usize) -> Result<(), String> {
    let ponger = spawn(|_, message| {
        if let Message::Ping(from, number) = message {
            send(&from, Message::Pong(number));
        }
        false
    })
    .await?;
    let (tell, told) = oneshot::channel();
    let (mut tell, mut began, mut left) = (Some(tell), Instant::now(), warm_up + count);
    let pinger = spawn(move |me, _| {
        if left == count {
            began = Instant::now();
        }
        if left == 0 {
            let _ = tell.take().map(|tell| tell.send(began));
            return true;
        }
        left -= 1;
        send(&ponger, Message::Ping(me.clone(), left as u64));
        false
    })
    .await?;
    send(&pinger, Message::Go);
    figures::rate("local_pingpong", count, told.await.map_err(text)?);
    Ok(())
}

async fn calls(count: usize) -> Result<(), String> {
    let mut sum = 0;
    let counter = spawn(move |_, message| {
        if let Message::Add(amount, reply) = message {
            sum += amount;
            let _ = reply.send(sum);
        }
        false
    })
    .await?;
    let caller = tokio::spawn(async move {
        let began = Instant::now();
        for _ in 0..count {
            ractor::call!(counter, |reply| Message::Add(1, reply)).map_err(text)?;
        }
        Ok::<_, String>(began)
    });
    figures::rate("local_call", count, caller.await.map_err(text)??);
    Ok(())
}

async fn fanin(each: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let (mut tell, mut left) = (Some(tell), SENDERS * each);
    let receiver = spawn(move |_, _| {
        left -= 1;
        if left == 0 {
            let _ = tell.take().map(|tell| tell.send(()));
        }
        left == 0
    })
    .await?;
    let began = Instant::now();
    for _ in 0..SENDERS {
        let receiver = receiver.clone();
        let sender = spawn(move |_, _| {
            (0..each).for_each(|_| send(&receiver, Message::Packet([7; 64])));
            true
        })
        .await?;
        send(&sender, Message::Go);
    }
    told.await.map_err(text)?;
    figures::rate("local_fanin", SENDERS * each, began);
    Ok(())
}

async fn ring(laps: usize) -> Result<(), String> {
    let (tell, told) = oneshot::channel();
    let mut tell = Some(tell);
    let mut first: Option<ActorRef<Message>> = None;
    let (hand, mut handed) = tokio::sync::watch::channel(None::<ActorRef<Message>>);
    let home = spawn(move |_, message| {
        let Message::Token(hops_left) = message else { return false };
        if hops_left == 0 {
            let _ = tell.take().map(|tell| tell.send(()));
            return true;
        }
        if first.is_none() {
            first = handed.borrow_and_update().clone();
        }
        if let Some(first) = &first {
            send(first, Message::Token(hops_left - 1));
        }
        false
    })
    .await?;
    let mut next = home.clone();
    for _ in 1..MEMBERS {
        let to = next;
        next = spawn(move |_, message| {
            if let Message::Token(hops_left) = message {
                send(&to, Message::Token(hops_left - 1));
            }
            false
        })
        .await?;
    }
    hand.send_replace(Some(next));
    let began = Instant::now();
    send(&home, Message::Token(MEMBERS * laps));
    told.await.map_err(text)?;
    figures::rate("ring", MEMBERS * laps, began);
    Ok(())
}

async fn spawn_rate(batches: usize) -> Result<(), String> {
    let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let parent = spawn(move |_, _| done.send(()).is_err()).await?;
    let began = Instant::now();
    for _ in 0..batches {
        for _ in 0..BATCH {
            let parent = parent.clone();
            let child = spawn(move |_, _| {
                send(&parent, Message::Done);
                true
            })
            .await?;
            send(&child, Message::Go);
        }
        for _ in 0..BATCH {
            ended.recv().await.ok_or("the parent has ended")?;
        }
    }
    figures::rate("spawn_rate", batches * BATCH, began);
    Ok(())
}

async fn idle(count: usize) -> Result<(), String> {
    let before = figures::resident()?;
    let mut actors = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let mut held = number;
        let actor = spawn(move |_, message| {
            if let Message::Pong(more) = message {
                held += more;
                std::hint::black_box(held);
            }
            false
        });
        actors.push(actor.await?);
    }
    figures::memory(before, count)
}

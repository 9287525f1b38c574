//! Workloads on one node.

use std::time::Duration;

use midflight_process::{Context, Down, Node, Pid};

use crate::args::{Size, Workload};
use crate::payload::{Add, Done, Packet, Ping, Pong, SMALL, Small, Token};
use crate::report::Figure;

/// A call that takes longer has failed.
const CALL_MAX: Duration = Duration::from_secs(10);

/// Runs a local workload once.
pub(crate) async fn sample(
    node: &Node,
    workload: Workload,
    size: Size,
) -> Result<Vec<Figure>, String> {
    let (count, seconds) = match workload {
        Workload::LocalPingpong => {
            let count = size.of(1_000_000);
            (count, pingpong(node, size.of(50_000), count).await?)
        }
        Workload::LocalCall => {
            let count = size.of(500_000);
            (count, calls(node, count).await?)
        }
        Workload::LocalFanin => {
            let each = size.of(1_000_000);
            (4 * each, fanin(node, 4, each).await?)
        }
        Workload::Ring => {
            let laps = size.of(1_000);
            (1_000 * laps, ring(node, 1_000, laps).await?)
        }
        Workload::SpawnRate => {
            let batches = size.of(1_000);
            (1_000 * batches, spawn_rate(node, batches).await?)
        }
        Workload::SpawnMonitorRate => {
            let batches = size.of(1_000);
            (1_000 * batches, spawn_monitor_rate(node, batches).await?)
        }
        other => return Err(format!("{other:?} is no local workload")),
    };
    Ok(vec![Figure::rate(&workload.name(), count, seconds)])
}

/// Runs `function` as a process; answers what it measured.
pub(crate) async fn run<T, F>(node: &Node, function: impl FnOnce(Context) -> F) -> Result<T, String>
where
    T: Send + 'static,
    F: Future<Output = Result<T, String>> + Send + 'static,
{
    node.run("measure", function).await.ok_or("the measuring process ended early")?
}

/// A started process, or why it could not start.
pub(crate) fn spawn<F>(node: &Node, function: impl FnOnce(Context) -> F) -> Result<Pid, String>
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    node.spawn("measured", function).map_err(|error| error.to_string())
}

/// What is wrong, in words.
pub(crate) fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Answers every ping, for ever.
pub(crate) async fn ponger(cx: Context) -> Result<(), String> {
    loop {
        let Ping { reply_to, number } = cx.expect().await;
        cx.send(reply_to, Pong { number }).await.map_err(text)?;
    }
}

async fn pingpong(node: &Node, warm_up: usize, count: usize) -> Result<f64, String> {
    let ponger = spawn(node, ponger)?;
    run(node, async move |cx| {
        let mut began = cx.now();
        for number in 0..warm_up + count {
            if number == warm_up {
                began = cx.now();
            }
            cx.send(ponger, Ping { reply_to: cx.me(), number: number as u64 })
                .await
                .map_err(text)?;
            cx.expect::<Pong>().await;
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

async fn calls(node: &Node, count: usize) -> Result<f64, String> {
    let counter = spawn(node, async |cx| {
        let mut sum = 0;
        loop {
            let received = cx.receive_one::<Add>().await;
            sum += received.message.amount;
            if let Some(caller) = received.reply_to {
                caller.reply(sum);
            }
        }
    })?;
    run(node, async move |cx| {
        let began = cx.now();
        let mut sum = 0;
        for _ in 0..count {
            let reply = cx.call::<_, u64>(counter, Add { amount: 1 }, CALL_MAX).await;
            sum = reply.map_err(|error| error.to_string())?;
        }
        if sum != count as u64 {
            return Err(format!("{count} calls were made, and {sum} counted"));
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

async fn fanin(node: &Node, senders: usize, each: usize) -> Result<f64, String> {
    run(node, async move |cx| {
        let receiver = cx.me();
        let began = cx.now();
        for _ in 0..senders {
            spawn(cx.node(), async move |cx| {
                for _ in 0..each {
                    cx.send(receiver, Packet(Small([7; SMALL]))).await.map_err(text)?;
                }
                Ok(())
            })?;
        }
        for _ in 0..senders * each {
            cx.expect::<Packet>().await;
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

async fn ring(node: &Node, members: usize, laps: usize) -> Result<f64, String> {
    run(node, async move |cx| {
        let home = cx.me();
        let mut next = home;
        for _ in 1..members {
            next = spawn(cx.node(), async move |cx| {
                loop {
                    let Token { hops_left } = cx.expect().await;
                    cx.send(next, Token { hops_left: hops_left - 1 }).await.map_err(text)?;
                }
            })?;
        }
        let began = cx.now();
        let mut hops_left = members * laps;
        while hops_left > 0 {
            cx.send(next, Token { hops_left: hops_left - 1 }).await.map_err(text)?;
            hops_left = cx.expect::<Token>().await.hops_left;
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

async fn spawn_rate(node: &Node, batches: usize) -> Result<f64, String> {
    run(node, async move |cx| {
        let parent = cx.me();
        let began = cx.now();
        for _ in 0..batches {
            for _ in 0..1_000 {
                spawn(cx.node(), async move |cx| {
                    cx.send(parent, Done { count: 1 }).await.map_err(text)
                })?;
            }
            for _ in 0..1_000 {
                cx.expect::<Done>().await;
            }
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

async fn spawn_monitor_rate(node: &Node, batches: usize) -> Result<f64, String> {
    run(node, async move |cx| {
        let began = cx.now();
        for _ in 0..batches {
            for _ in 0..1_000 {
                let child = spawn(cx.node(), async |_| Ok(()))?;
                cx.monitor(child).await;
            }
            for _ in 0..1_000 {
                cx.expect::<Down>().await;
            }
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

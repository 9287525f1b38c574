//! Workloads on two nodes, each in an OS process of its own, over loopback TCP or TLS.

use midflight_process::message::{Binary, Message};
use midflight_process::{Context, Node, Pid};
use midflight_transport_api::Address;
use rustix::process::Signal;

use crate::args::{Own, Remote, Size, Workload};
use crate::far_side::{self, FarSide};
use crate::local::{ponger, run, spawn, text};
use crate::payload::{Begin, Block, Done, Packet, Ping, Pong, SMALL, Small};
use crate::report::{Figure, Unit};
use crate::transport::{Certificates, Wire};
use crate::{detection, nodes};

const PONGER: &str = "ponger";
const COUNTER: &str = "counter";

/// Runs a remote workload once.
pub(crate) async fn sample(
    workload: Workload,
    wire: Wire,
    remote: Remote,
    size: Size,
) -> Result<Vec<Figure>, String> {
    let (near, far) = Certificates::for_wire(wire)?;
    let far_side = FarSide::start(Own::Midflight, far.as_ref())?;
    let node = nodes::start("near", near.as_ref()).await?;
    let address: Address = far_side.address.parse().map_err(|error| format!("{error:?}"))?;
    let peer = node.connect(&address).await.map_err(text)?;
    let name = if matches!(remote, Remote::RoundTrips) { PONGER } else { COUNTER };
    let found = node.whereis_on(peer, name).await.map_err(text)?;
    let target = found.ok_or("the far side has not what it should")?;
    let figures = match remote {
        Remote::RoundTrips => {
            round_trips(&node, target, size).await.map(|nanos| round_trip_figures(workload, nanos))
        }
        Remote::Stream64B => {
            let count = size.of(2_000_000);
            let packet = || Packet(Small([7; SMALL]));
            let seconds = stream(&node, target, count, packet).await?;
            Ok(vec![Figure::rate(&workload.name(), count, seconds)])
        }
        Remote::Blocks(len) => blocks(&node, target, workload, len, size).await,
        Remote::Killed => detection::sample(&node, target, &far_side, workload, Signal::KILL).await,
        Remote::Stopped => {
            detection::sample(&node, target, &far_side, workload, Signal::STOP).await
        }
    };
    node.shutdown().await;
    figures
}

/// The far side.
pub(crate) async fn serve() -> Result<(), String> {
    let node = nodes::start("far", far_side::told()?.as_ref()).await?;
    for (name, pid) in [(PONGER, spawn(&node, ponger)?), (COUNTER, spawn(&node, counter)?)] {
        node.register(name, pid).map_err(text)?;
    }
    let address = node.address().ok_or("the node does not listen")?;
    far_side::serve_until_abandoned(&address.to_string())
}

async fn round_trips(node: &Node, ponger: Pid, size: Size) -> Result<Vec<u64>, String> {
    let (warm_up, count) = (size.of(10_000), size.of(100_000));
    run(node, async move |cx| {
        let mut nanos = Vec::with_capacity(count);
        for number in 0..(warm_up + count) as u64 {
            let began = cx.now();
            cx.send(ponger, Ping { reply_to: cx.me(), number }).await.map_err(text)?;
            if cx.expect::<Pong>().await.number != number {
                return Err("a reply is not the one to the last ping".into());
            }
            if nanos.len() < count && number >= warm_up as u64 {
                nanos.push(cx.now().as_nanos() - began.as_nanos());
            }
        }
        Ok(nanos)
    })
    .await
}

/// Median, 99th percentile and rate of sequential round trips.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a few minutes")]
pub(crate) fn round_trip_figures(workload: Workload, mut nanos: Vec<u64>) -> Vec<Figure> {
    let sum: u64 = nanos.iter().sum();
    nanos.sort_unstable();
    let at = |share: usize| nanos.get(nanos.len() * share / 100).copied().unwrap_or_default();
    let micros = |nanos: u64| (nanos as f64 / 1e3, Unit::Microseconds);
    let rate = (nanos.len() as f64 / (sum as f64 / 1e9), Unit::PerSecond);
    let named = workload.metrics().iter().zip([micros(at(50)), micros(at(99)), rate]);
    named.map(|(metric, (value, unit))| Figure::new(metric, value, unit)).collect()
}

/// Counts streams, and acknowledges each.
async fn counter(cx: Context) -> Result<(), String> {
    loop {
        let Begin { count, reply_to } = cx.expect().await;
        for _ in 0..count {
            cx.receive::<()>()
                .on(|packet: midflight_process::Received<Packet>| drop(packet))
                .on(|block: midflight_process::Received<Block>| drop(block))
                .forever()
                .await;
        }
        cx.send(reply_to, Done { count }).await.map_err(text)?;
    }
}

async fn blocks(
    node: &Node,
    counter: Pid,
    workload: Workload,
    len: usize,
    size: Size,
) -> Result<Vec<Figure>, String> {
    let count = size.of(1 << 30) / len;
    let bytes = Binary::from(vec![7; len]);
    let seconds = stream(node, counter, count, move || Block(bytes.clone())).await?;
    Ok(vec![throughput(workload, count * len, seconds)])
}

/// Bytes per second, in MB of 10^6.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn throughput(workload: Workload, bytes: usize, seconds: f64) -> Figure {
    Figure::new(&workload.name(), bytes as f64 / 1e6 / seconds, Unit::MegabytesPerSecond)
}

async fn stream<M: Message>(
    node: &Node,
    counter: Pid,
    count: usize,
    message: impl Fn() -> M + Send + 'static,
) -> Result<f64, String> {
    run(node, async move |cx| {
        let began = cx.now();
        let count = count as u64;
        cx.send(counter, Begin { count, reply_to: cx.me() }).await.map_err(text)?;
        for _ in 0..count {
            cx.send(counter, message()).await.map_err(text)?;
        }
        if cx.expect::<Done>().await.count != count {
            return Err("the far side has counted otherwise".into());
        }
        Ok(cx.now().since(began).as_secs_f64())
    })
    .await
}

//! What an idle process costs.

use std::sync::atomic::{AtomicUsize, Ordering};

use midflight_process::{Node, Pid};

use crate::args::Size;
use crate::report::{Figure, Unit};

const METRIC: &str = "process_memory";

/// How many are made.
pub(crate) const fn processes(size: Size) -> usize {
    size.of(1_000_000)
}

/// The figure for so many processes between two values of [`resident`].
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn figure(before: u64, after: u64, processes: usize) -> Figure {
    let growth = after.saturating_sub(before) as f64;
    Figure::new(METRIC, growth / processes as f64, Unit::Bytes)
}

/// Resident bytes of this OS process.
pub(crate) fn resident() -> Result<u64, String> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|error| format!("memory is measured through /proc: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    Ok(kib.ok_or("/proc/self/status has no VmRSS")? * 1_024)
}

/// Every process has been polled once, so that what it makes then is there.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

pub(crate) async fn sample(node: &Node, size: Size) -> Result<Vec<Figure>, String> {
    let count = processes(size);
    let before = resident()?;
    let mut pids: Vec<Pid> = Vec::with_capacity(count);
    for number in 0..count as u64 {
        let pid = node.spawn("idle", move |cx| async move {
            let mut held = number;
            BEGUN.fetch_add(1, Ordering::Relaxed);
            loop {
                held += cx.expect::<u64>().await;
                std::hint::black_box(held);
            }
        });
        pids.push(pid.map_err(|error| error.to_string())?);
    }
    while BEGUN.load(Ordering::Relaxed) < count {
        node.runtime().sleep(std::time::Duration::from_millis(1)).await;
    }
    let after = resident()?;
    drop(pids);
    Ok(vec![figure(before, after, count)])
}

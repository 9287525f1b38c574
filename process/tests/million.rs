//! One million idle processes on one node: what they cost, that each is there, and that nothing is left of them.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use midflight_process::{Context, Node, Pid, Received};
use midflight_runtime::TokioRuntime;
use midflight_transport_inmem::Hub;

const COUNT: usize = 1_000_000;
/// What an idle process may take, with its function's future: twice what it does.
const BYTES_EACH_MAX: usize = 1_024;
const LONG: Duration = Duration::from_secs(60);

/// How many have run once, so that what they make then is there.
static BEGUN: AtomicUsize = AtomicUsize::new(0);

/// Bytes of memory that this program has: it runs no other test.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() << 10
}

/// Answers each number with its own added.
async fn idle(cx: Context, own: u64) {
    BEGUN.fetch_add(1, Ordering::Relaxed);
    loop {
        let Received { message, reply_to, .. } = cx.receive_one::<u64>().await;
        reply_to.unwrap().reply(own + message);
    }
}

async fn until(node: &Node, what: &str, holds: impl Fn() -> bool) {
    let runtime = node.runtime();
    let began = runtime.now();
    while !holds() {
        assert!(runtime.now().since(began) < LONG, "in vain: {what}");
        tokio::task::yield_now().await;
    }
}

/// Starts them, looks at them, and ends them. Answers the memory with all of them there.
async fn round(node: &Node) -> usize {
    let began = node.runtime().now();
    BEGUN.store(0, Ordering::Relaxed);
    let spawn = |own| node.spawn("idle", move |cx| idle(cx, own)).unwrap();
    let pids: Vec<Pid> = (0..COUNT as u64).map(spawn).collect();
    until(node, "all run", || BEGUN.load(Ordering::Relaxed) == COUNT).await;
    let memory = resident();
    println!("{COUNT} have begun after {:?}", node.runtime().now().since(began));
    assert_eq!(node.process_count(), COUNT);
    assert!(pids.iter().all(|pid| node.process(*pid).is_some()));

    let middle = pids[COUNT / 2];
    let answer = node.run("wakes one", move |cx| async move {
        cx.call::<u64, u64>(middle, 7, LONG).await.unwrap()
    });
    assert_eq!(answer.await.unwrap(), COUNT as u64 / 2 + 7);
    for pid in &pids {
        node.kill(*pid, "enough");
    }
    until(node, "all end", || node.process_count() == 0).await;
    assert!(pids.iter().all(|pid| node.process(*pid).is_none()));
    memory
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_idle_processes_cost_little_and_leave_nothing() {
    let runtime = TokioRuntime::current();
    let transport = Hub::new(1).transport(runtime.clone());
    let node = Node::builder("a").start(&transport, runtime).await.unwrap();
    let before = resident();
    let first = round(&node).await;
    let each = (first - before) / COUNT;
    println!("{each} bytes for each, {} MiB in all, {} after", first >> 20, resident() >> 20);
    assert!(each <= BYTES_EACH_MAX, "{each} bytes for each process");
    // The second million has the places and the memory of the first: kept, it would be twice as much. (Between is what the
    // allocator of each thread keeps for itself.)
    let second = round(&node).await;
    println!("{} MiB the second time, {} after", second >> 20, resident() >> 20);
    assert!(second - before < (first - before) / 2 * 3, "{before}, {first}, {second}");
}

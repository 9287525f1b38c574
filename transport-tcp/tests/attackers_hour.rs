//! All attacks at once, again and again, against one endpoint on TCP and one under TLS, while decent
//! peers work: compressed into a few seconds, or as many as `MIDFLIGHT_HOUR_SECONDS` says.
//!
//! It has a process of its own, whose memory and descriptors are measured, the attackers' included.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, timeout};
use peak_alloc::PeakAlloc;
use tokio::task::JoinSet;

#[path = "shared/certificates.rs"]
mod certificates;
#[path = "shared/clock.rs"]
mod clock;
#[path = "shared/decent.rs"]
mod decent;
#[path = "shared/log.rs"]
mod log;
#[path = "shared/raw_tls.rs"]
mod raw_tls;
#[path = "shared/speech.rs"]
mod speech;

#[path = "hostile/deaf.rs"]
mod deaf;
#[path = "hostile/dialled.rs"]
mod dialled;
#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/ground.rs"]
mod ground;
#[path = "hostile/handshakes.rs"]
mod handshakes;
#[path = "hostile/host.rs"]
mod host;
#[path = "hostile/links.rs"]
mod links;
#[macro_use]
#[path = "hostile/list.rs"]
mod list;
#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/raw.rs"]
mod raw;
#[path = "hostile/records.rs"]
mod records;

use decent::Decent;
use ground::{Ground, Under};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const SECONDS: &str = "MIDFLIGHT_HOUR_SECONDS";

/// What all of it may take at any time, attackers included. Of the endpoints' bounds, those that count:
/// some 50 links each at a time, of which each may hold 2 MiB of unfinished messages, 1 MiB that goes
/// out and 256 KiB of buffers, and 3000 handshakes with 64 KiB of buffer under TLS.
const HEAP_MAX: usize = 600 << 20;
/// The same with what the allocator keeps, the program and its threads.
const RESIDENT_MAX: usize = 700 << 20;
const DESCRIPTORS_MAX: usize = 16_000;
/// What may be left afterwards: lines of the log, and up to `half_open_max` handles of handshakes that have
/// ended. (Of what is given back, the allocator keeps some pages, so that of the resident size only the
/// peak is bounded.)
const HEAP_LEFT: usize = 16 << 20;
const DESCRIPTORS_LEFT: usize = 16;
/// The longest that a decent peer may wait for an answer while two cores do all of this.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Room for all of them, so that none is in the way of another.
fn config() -> midflight_transport_tcp::TcpConfig {
    let mut config = ground::config();
    config.links.heartbeat = Duration::from_secs(3);
    config.links.handshake_deadline = Duration::from_secs(10);
    config.links.drain_deadline = Duration::from_secs(1);
    config.links.half_open_max = 8192;
    config.links.links_max = 1024;
    config
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Does each attack again and again until `end`.
macro_rules! again_and_again {
    ($($group:ident: $($case:ident),*;)*) => {
        pub(crate) fn start(attacks: &mut JoinSet<()>, ground: &Arc<Ground>, end: Duration) {
            $($({
                let ground = ground.clone();
                attacks.spawn(async move {
                    while ground.now() < end {
                        $group::$case(&ground).await;
                    }
                });
            })*)*
        }
    };
}

mod on_both {
    use super::*;
    cases!(again_and_again);
}

mod on_tls {
    use super::*;
    cases_of_tls!(again_and_again);
}

async fn thousands(ground: Arc<Ground>, end: Duration) {
    while ground.now() < end {
        floods::thousands_of_half_open_handshakes(&ground).await;
    }
}

/// Decent peers come and go.
async fn newcomers(ground: Arc<Ground>, end: Duration) {
    while ground.now() < end {
        let newcomer = Decent::begin(&ground).await;
        newcomer.served().await;
        assert!(newcomer.longest() < ANSWER_MAX, "an answer took {:?}", newcomer.longest());
        newcomer.leave().await;
        ground.pause(200).await;
    }
}

async fn hour(runtime: &Handle, seconds: u64) {
    let mut grounds = Vec::new();
    for under in [Under::Tcp, Under::Tls] {
        let mut ground = Ground::open(under, config(), runtime.clone()).await;
        ground.is_crowded = true;
        let ground = Arc::new(ground);
        let decent = Decent::begin(&ground).await;
        decent.served().await;
        // What is made once has been made.
        names::a_replayed_hello(&ground).await;
        grounds.push((ground, decent));
    }
    let (heap, open) = (HEAP.current_usage(), descriptors());
    println!(
        "before: {} KiB of heap, {} KiB resident, {open} descriptors",
        heap >> 10,
        resident() >> 10
    );

    let end = clock::now(runtime) + Duration::from_secs(seconds);
    let mut attacks = JoinSet::new();
    for (ground, _) in &grounds {
        on_both::start(&mut attacks, ground, end);
        attacks.spawn(thousands(ground.clone(), end));
        attacks.spawn(newcomers(ground.clone(), end));
    }
    on_tls::start(&mut attacks, &grounds[1].0, end);
    let (mut heap_peak, mut open_peak, mut resident_peak) = (0, 0, 0);
    while !attacks.is_empty() {
        let tick = timeout(&**runtime, Duration::from_millis(100), attacks.join_next()).await;
        if let Ok(Some(ended)) = tick {
            ended.unwrap();
            continue;
        }
        heap_peak = heap_peak.max(HEAP.current_usage());
        resident_peak = resident_peak.max(resident());
        open_peak = open_peak.max(descriptors());
        assert!(heap_peak < HEAP_MAX, "{} MiB of heap", heap_peak >> 20);
        assert!(resident_peak < RESIDENT_MAX, "{} MiB resident", resident_peak >> 20);
        assert!(open_peak < DESCRIPTORS_MAX, "{open_peak} descriptors");
    }
    println!(
        "at most: {} KiB of heap, {} KiB resident, {open_peak} descriptors",
        heap_peak >> 10,
        resident_peak >> 10
    );
    for (ground, decent) in &grounds {
        decent.served().await;
        println!("{} answers, the longest after {:?}", decent.answers(), decent.longest());
        assert!(decent.longest() < ANSWER_MAX, "an answer took {:?}", decent.longest());
        assert_eq!(ground.panics(), 0, "a task has panicked");
    }
    let settles = async {
        while HEAP.current_usage() > heap + HEAP_LEFT || descriptors() > open + DESCRIPTORS_LEFT {
            clock::pause(runtime, Duration::from_millis(100)).await;
        }
    };
    let settled = timeout(&**runtime, Duration::from_secs(20), settles).await;
    let (left, still_open) = (HEAP.current_usage(), descriptors());
    println!(
        "after: {} KiB of heap, {} KiB resident, {still_open} descriptors",
        left >> 10,
        resident() >> 10
    );
    settled.expect("memory and descriptors are given back");
    for (ground, _) in &grounds {
        assert_eq!(ground.host.links(), 1, "the decent peer's, and no other");
    }
}

#[test]
fn attackers_hour() {
    let seconds = std::env::var(SECONDS).map_or(15, |text| text.parse().unwrap());
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    // Attacks that have begun are let end.
    let deadline = Duration::from_secs(seconds + 120);
    tokio.block_on(timeout(&*runtime, deadline, hour(&runtime, seconds))).expect("no hang");
}

//! Random programs of processes on two to five nodes, under crashes, cuts, delays and slow ends: P1, P2, P3,
//! P5 and P6 hold. The nodes are the real ones, on the network in memory and in virtual time.
//!
//! `MIDFLIGHT_SIM_HOURS` says how much virtual time all seeds together take (a quarter of an hour unless
//! set); `MIDFLIGHT_SEED` runs one seed alone.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod chance;
mod faults;
mod oracle;
mod walker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midflight_runtime::{Instant, SimRuntime};
use midflight_transport_inmem::Hub;
use parking_lot::Mutex;

use crate::faults::Cluster;
use crate::oracle::{Oracle, Shared};

/// How long a program runs before all is healed.
const PROGRAM: Duration = Duration::from_secs(300);
/// Steps of one program: more than ten times what they take.
const STEPS_MAX: u64 = 50_000_000;

/// What is left of a program.
#[derive(Debug, PartialEq)]
struct Trace {
    hash: u64,
    steps: u64,
    virtual_time: Duration,
    counts: BTreeMap<&'static str, u64>,
    complaints: Vec<String>,
}

fn run(seed: u64, length: Duration) -> Trace {
    let sim = SimRuntime::new(seed);
    let shared = Shared::new(Mutex::new(Oracle::default()));
    let (hub, runtime, oracle) = (Hub::new(seed), sim.handle(), shared.clone());
    let program = async move {
        let mut cluster = Cluster::start(hub, runtime.clone(), oracle).await;
        cluster.run(length).await;
        cluster.settle().await;
        runtime.now().since(Instant::default())
    };
    let ran = sim.run(STEPS_MAX, program);
    let mut oracle = shared.lock();
    if let Err(stopped) = ran {
        oracle.complain("P6", stopped.to_string());
    }
    Trace {
        hash: oracle.hash,
        steps: sim.steps(),
        virtual_time: ran.unwrap_or_default(),
        counts: std::mem::take(&mut oracle.counts),
        complaints: std::mem::take(&mut oracle.complaints),
    }
}

/// Runs seeds on two threads until there is enough virtual time. Answers what all did, and the first seed
/// that failed.
fn run_for(enough: Duration) -> (Duration, BTreeMap<&'static str, u64>, Option<(u64, Trace)>) {
    let next = Arc::new(AtomicU64::new(0));
    let sum = Mutex::new((Duration::ZERO, BTreeMap::<_, u64>::new(), None));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let done = sum.lock();
                    if done.0 >= enough || done.2.is_some() {
                        break;
                    }
                    drop(done);
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let trace = run(seed, PROGRAM);
                    let mut sum = sum.lock();
                    sum.0 += trace.virtual_time;
                    for (what, count) in &trace.counts {
                        *sum.1.entry(*what).or_default() += count;
                    }
                    *sum.1.entry("seeds").or_default() += 1;
                    if !trace.complaints.is_empty() {
                        sum.2.get_or_insert((seed, trace));
                    }
                }
            });
        }
    });
    sum.into_inner()
}

fn fail(seed: u64, trace: &Trace) -> ! {
    eprintln!(
        "replay: MIDFLIGHT_SEED={seed} cargo test -p midflight-process --test programs promises"
    );
    panic!("seed {seed} breaks promises: {:#?}", trace.complaints);
}

#[test]
fn promises_hold_for_random_programs_under_faults() {
    if let Ok(seed) = std::env::var("MIDFLIGHT_SEED") {
        let seed = seed.parse().unwrap();
        let trace = run(seed, PROGRAM);
        eprintln!("{trace:#?}");
        if !trace.complaints.is_empty() {
            fail(seed, &trace);
        }
        return;
    }
    let hours = std::env::var("MIDFLIGHT_SIM_HOURS").map_or(0.25, |hours| hours.parse().unwrap());
    let (time, counts, failed) = run_for(Duration::from_secs_f64(hours * 3_600.0));
    eprintln!("{} s of virtual time: {counts:?}", time.as_secs());
    if let Some((seed, trace)) = failed {
        fail(seed, &trace);
    }
    assert!(counts["fault"] * 10 >= time.as_secs(), "too few faults");
    for what in
        ["message", "signal", "exited", "down", "loss", "request", "crash", "refused", "idle"]
    {
        assert!(counts.get(what).is_some_and(|count| *count > 20), "too little of {what}");
    }
}

#[test]
fn one_seed_one_trace() {
    let run = |seed| run(seed, PROGRAM / 4);
    let (one, again, other) = (run(1), run(1), run(2));
    assert_eq!(one, again);
    assert_ne!(one.hash, other.hash);
}

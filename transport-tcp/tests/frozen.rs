//! T5 with peers that are processes of their own: one that is stopped is reported within the bound,
//! one that is killed at once, and one that lives is not, however busy the machine.
//!
//! The peer is this program again, told by its environment to be one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, spawn, timeout};
use midflight_transport_api::conformance::{Party, send};
use midflight_transport_api::{Bind, LinkLoss, LossKind, Transport};
use midflight_transport_tcp::{TcpConfig, TcpTransport, TlsTransport};
use rustix::process::{Pid, Signal, kill_process};

#[path = "shared/certificates.rs"]
mod certificates;
#[path = "shared/clock.rs"]
mod clock;

use certificates::{Authority, Issued};
use clock::{now, pause};

/// Where the peer is to connect; this program is one when it is set.
const CONNECT: &str = "MIDFLIGHT_FROZEN_CONNECT";
const BOUND: &str = "MIDFLIGHT_FROZEN_BOUND_MS";
const CREDENTIALS: [&str; 3] =
    ["MIDFLIGHT_FROZEN_AUTHORITY", "MIDFLIGHT_FROZEN_CHAIN", "MIDFLIGHT_FROZEN_KEY"];
/// For how many seconds a living peer is watched on a busy machine.
const BUSY_SECONDS: &str = "MIDFLIGHT_BUSY_SECONDS";

/// The tests here are about time: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

const SCHEMES: [&str; 2] = ["tcp", "tls"];

fn run(case: impl AsyncFnOnce(&Handle)) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    tokio.block_on(case(&runtime));
}

fn transport(
    scheme: &str,
    bound: Duration,
    issued: &Issued,
    runtime: &Handle,
) -> Arc<dyn Transport> {
    let mut config = TcpConfig::default();
    config.links.heartbeat = bound;
    match scheme {
        "tcp" => Arc::new(TcpTransport::new(config, runtime.clone())),
        _ => {
            let credentials = issued.credentials();
            Arc::new(TlsTransport::new(config, credentials, runtime.clone()).unwrap())
        }
    }
}

/// What the other process does: connects, and answers until its standard input ends.
#[test]
fn peer() {
    let Ok(address) = std::env::var(CONNECT) else { return };
    let bound = std::env::var(BOUND).unwrap().parse().unwrap();
    let [authority, chain, key] = CREDENTIALS.map(|name| std::env::var(name).unwrap());
    let issued = Issued { authority, chain, key };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let scheme = address.split_once(':').unwrap().0;
    let transport = transport(scheme, Duration::from_millis(bound), &issued, &runtime);
    let party = tokio.block_on(async {
        let party = Party::with(&*transport, Bind::DialOnly, true).await;
        party.end().connect(&address.parse().unwrap()).await.unwrap();
        party
    });
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    drop(party);
}

/// An endpoint here, and a process that is linked to it.
struct Pair {
    party: Party,
    process: Process,
}

struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pair {
    /// Both are linked; with `traffic`, messages go there and back all the time.
    async fn open(scheme: &str, bound: Duration, traffic: bool, runtime: &Handle) -> Self {
        let issued = Authority::common().issue(&["node", "127.0.0.1"]);
        let transport = transport(scheme, bound, &issued, runtime);
        let listen = format!("{scheme}:127.0.0.1:0").parse().unwrap();
        let bind = Bind::Listen { listen, advertise: None };
        let party = Party::with(&*transport, bind, false).await;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "peer"])
            .env(CONNECT, party.address().as_str())
            .env(BOUND, bound.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        for (name, pem) in CREDENTIALS.into_iter().zip([issued.authority, issued.chain, issued.key])
        {
            command.env(name, pem);
        }
        let process = Process(command.spawn().unwrap());
        let linked = timeout(&**runtime, Duration::from_secs(30), party.link(0));
        let link = linked.await.expect("the other process connects");
        let connection = link.open().unwrap();
        send(&*link, connection, b"first").await.unwrap();
        party.received().await;
        if traffic {
            let runtime = runtime.clone();
            spawn(&runtime.clone(), "traffic", async move {
                // It goes on for as long as the link takes it, answered or not.
                while send(&*link, connection, &[1; 64]).await.is_ok() {
                    pause(&runtime, Duration::from_millis(5)).await;
                }
            });
        }
        Self { party, process }
    }

    /// Does `what` to the process, and says how the link ended and after how long.
    async fn lost_after(&self, what: Signal, runtime: &Handle) -> (LinkLoss, Duration) {
        self.process.signal(what);
        let began = now(runtime);
        let (_, loss) = self.party.lost().await;
        (loss, now(runtime) - began)
    }
}

/// Measures how late this process is at worst: what it can be blamed for is not the link's fault.
fn lateness(runtime: &Handle) -> Arc<AtomicU64> {
    const TICK: Duration = Duration::from_millis(2);
    let worst = Arc::new(AtomicU64::new(0));
    let (clock, to) = (runtime.clone(), Arc::downgrade(&worst));
    spawn(runtime, "lateness", async move {
        while let Some(worst) = to.upgrade() {
            let began = now(&clock);
            pause(&clock, TICK).await;
            let late = (now(&clock) - began).saturating_sub(TICK).as_nanos();
            worst.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    });
    worst
}

/// Whether one frozen process is told in time.
async fn is_told_in_time(scheme: &str, bound: Duration, traffic: bool, runtime: &Handle) -> bool {
    let pair = Pair::open(scheme, bound, traffic, runtime).await;
    // Whatever the rhythm of pings is by then.
    pause(runtime, bound.min(Duration::from_secs(2)) * 2).await;
    let late = lateness(runtime);
    let (loss, took) = pair.lost_after(Signal::STOP, runtime).await;
    assert_eq!(loss.kind, LossKind::Silent, "{loss}");
    let late = Duration::from_nanos(late.load(Ordering::Relaxed));
    let (share, allowed) = (took.as_secs_f64() / bound.as_secs_f64(), bound.mul_f64(1.2) + late);
    println!("{scheme}, traffic {traffic}, {bound:?}: {share:.3} of it, {late:?} late at worst");
    took >= bound.mul_f64(0.8) && took <= allowed
}

/// Four at once: bare and under TLS, with and without traffic. On a machine that others use as well,
/// a short bound may be missed by the clock of the peer, which nobody here can see: twice at most.
fn frozen(bound: Duration) {
    run(async |runtime| {
        let one = |scheme, traffic| async move {
            for _ in 0..3 {
                if is_told_in_time(scheme, bound, traffic, runtime).await {
                    return;
                }
            }
            panic!("{scheme}, traffic {traffic}: not within 0.8 to 1.2 of {bound:?}");
        };
        tokio::join!(one("tcp", false), one("tcp", true), one("tls", false), one("tls", true));
    });
}

#[test]
fn a_frozen_peer_is_told_within_200_ms() {
    frozen(Duration::from_millis(200));
}

#[test]
fn a_frozen_peer_is_told_within_1_s() {
    frozen(Duration::from_secs(1));
}

#[test]
fn a_frozen_peer_is_told_within_10_s() {
    frozen(Duration::from_secs(10));
}

/// A short sleep is none.
#[test]
fn a_peer_that_is_stopped_for_less_is_not_lost() {
    run(async |runtime| {
        let bound = Duration::from_secs(2);
        for scheme in SCHEMES {
            let pair = Pair::open(scheme, bound, false, runtime).await;
            pair.process.signal(Signal::STOP);
            pause(runtime, bound / 2).await;
            pair.process.signal(Signal::CONT);
            let lost = timeout(&**runtime, bound.mul_f64(1.5), pair.party.lost()).await;
            assert!(lost.is_err(), "{lost:?}");
        }
    });
}

#[test]
fn a_killed_peer_is_told_at_once() {
    run(async |runtime| {
        let bound = Duration::from_secs(10);
        for scheme in SCHEMES {
            for traffic in [false, true] {
                let pair = Pair::open(scheme, bound, traffic, runtime).await;
                let (loss, took) = pair.lost_after(Signal::KILL, runtime).await;
                assert_eq!(loss.kind, LossKind::Broken, "{loss}");
                assert!(took < Duration::from_secs(1), "after {took:?}");
            }
        }
    });
}

/// Every core has something better to do.
#[test]
fn no_living_peer_is_lost_on_a_busy_machine() {
    let seconds = std::env::var(BUSY_SECONDS).map_or(10, |text| text.parse().unwrap());
    run(async |runtime| {
        let bound = Duration::from_secs(1);
        let mut pairs = Vec::new();
        for scheme in SCHEMES {
            for traffic in [false, true] {
                pairs.push(Pair::open(scheme, bound, traffic, runtime).await);
            }
        }
        let over = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        for _ in 0..cores {
            let over = over.clone();
            let spin = move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            };
            runtime.spawn_blocking("busy", Box::new(spin));
        }
        pause(runtime, Duration::from_secs(seconds)).await;
        over.store(true, Ordering::Relaxed);
        for pair in &pairs {
            let lost = timeout(&**runtime, Duration::ZERO, pair.party.lost()).await;
            assert!(lost.is_err(), "a living peer was lost: {lost:?}");
            pair.party.link(0).await.open().unwrap();
        }
    });
}

//! A node whose operating system process is killed: whoever was linked to or watches one of its 100,000 processes is told
//! once (P5), over TCP. The node is this program again, told by its environment to be one.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Context, Down, ExitReason, Exited, Node, Pid, Received};
use midflight_runtime::{Handle, TokioRuntime};
use midflight_transport_tcp::{TcpConfig, TcpTransport};
use serde::{Deserialize, Serialize};

/// Where the other node is to connect; this program is one when it is set.
const CONNECT: &str = "MIDFLIGHT_KILLED_CONNECT";
const WATCHERS: usize = 100;
const EACH: usize = 1_000;
const LONG: Duration = Duration::from_secs(120);
/// For how long nothing may come after all has.
const QUIET: Duration = Duration::from_millis(300);

/// Who hands over the processes of the other node, so many each time.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "killed.Hands", version = 1)]
struct Hands(Pid);

#[derive(Serialize, Deserialize, Message)]
#[message(name = "killed.Targets", version = 1)]
struct Targets(Vec<Pid>);

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn on_tokio<F: Future<Output = ()>>(run: impl FnOnce(Handle) -> F) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let tokio = tokio.unwrap();
    tokio.block_on(run(TokioRuntime::on(tokio.handle().clone())));
}

async fn node(name: &str, listen: bool, runtime: Handle) -> Node {
    let transport = TcpTransport::new(TcpConfig::default(), runtime.clone());
    let mut builder = Node::builder(name);
    if listen {
        builder = builder.listen("tcp:127.0.0.1:0".parse().unwrap());
    }
    builder.start(&transport, runtime).await.unwrap()
}

/// What the other node does, until it is killed.
#[test]
fn other_node() {
    let Ok(address) = std::env::var(CONNECT) else { return };
    on_tokio(|runtime| async move {
        let node = node("far", false, runtime).await;
        let near = node.connect(&address.parse().unwrap()).await.unwrap();
        let hands = node.spawn("hands over", |cx| async move {
            loop {
                let Received { reply_to, .. } = cx.receive_one::<()>().await;
                let idle = |_| cx.node().spawn("idle", |_| std::future::pending::<()>()).unwrap();
                reply_to.unwrap().reply(Targets((0..EACH).map(idle).collect()));
            }
        });
        node.send(("watched", near), Hands(hands.unwrap())).await.unwrap();
        std::future::pending::<()>().await;
    });
}

/// Links to and watches its share; tells when all is set, and who it was told of and how often at the end.
async fn watcher(cx: Context, hands: Pid, all: Pid) {
    cx.trap_exits(true);
    let Targets(targets) = cx.call(hands, (), LONG).await.unwrap();
    for target in &targets {
        cx.link(*target).await;
        cx.monitor(*target).await;
    }
    cx.send(all, ()).await.unwrap();
    let mut told = BTreeMap::<Pid, (u32, u32)>::new();
    for _ in 0..EACH {
        let Down { process, reason, .. } = cx.expect_timeout(LONG).await.unwrap();
        assert!(matches!(reason, ExitReason::NoConnection(_)), "{reason}");
        told.entry(process).or_default().0 += 1;
        let Exited { from, reason } = cx.expect_timeout(LONG).await.unwrap();
        assert!(matches!(reason, ExitReason::NoConnection(_)), "{reason}");
        told.entry(from).or_default().1 += 1;
    }
    assert!(targets.iter().all(|target| told.get(target) == Some(&(1, 1))), "once each");
    assert_eq!(cx.expect_timeout::<Down>(QUIET).await, None);
    assert_eq!(cx.expect_timeout::<Exited>(QUIET).await, None);
    cx.send(all, told.len() as u64).await.unwrap();
}

#[test]
fn a_hundred_thousand_that_are_linked_and_watched_are_told_of_once_when_their_node_is_killed() {
    on_tokio(|runtime| async move {
        let near = node("near", true, runtime).await;
        let address = near.address().unwrap();
        let all = near.run("all", move |cx| async move {
            cx.register("watched").unwrap();
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "other_node"]).env(CONNECT, address.as_str());
            let mut far = Process(command.stdout(Stdio::null()).spawn().unwrap());
            let Hands(hands) = cx.expect_timeout(LONG).await.unwrap();
            let all = cx.me();
            for _ in 0..WATCHERS {
                cx.spawn("watcher", move |cx| watcher(cx, hands, all)).unwrap();
            }
            for _ in 0..WATCHERS {
                cx.expect_timeout::<()>(LONG).await.unwrap();
            }
            far.0.kill().unwrap();
            let mut told = 0;
            for _ in 0..WATCHERS {
                told += cx.expect_timeout::<u64>(LONG).await.unwrap();
            }
            assert_eq!(told, (WATCHERS * EACH) as u64);
        });
        all.await.unwrap();
    });
}

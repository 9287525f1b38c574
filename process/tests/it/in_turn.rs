//! Processes that are in their turn when their node is shut down: on real threads, since in the simulator
//! a turn is over before anything else happens. Gates say when; nothing sleeps.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::supervisor::{Child, Strategy, Supervisor};
use midflight_process::{
    Context, Down, ExitReason, Exited, Limits, Node, Pid, Received, ShutdownReport,
};
use midflight_runtime::{TokioRuntime, timeout};
use midflight_transport_inmem::Hub;
use serde::{Deserialize, Serialize};

use super::world::{World, until};

/// More than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Less than a gate stays shut.
const SHORT: Duration = Duration::from_millis(50);

/// Two linked nodes on real threads, the first of which may take so long to shut down.
fn on_threads<F: Future<Output = ()>>(
    shutdown_timeout: Duration,
    scenario: impl FnOnce(Node, Node) -> F,
) {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let tokio = tokio.unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let world = World { hub: Hub::new(0), runtime: runtime.clone() };
    let case = async {
        let limits = Limits { shutdown_timeout, ..Limits::default() };
        let (a, b) = (world.node_with("a", limits).await, world.node("b").await);
        a.connect(&World::address("b")).await.unwrap();
        scenario(a, b).await;
    };
    tokio.block_on(timeout(&*runtime, PATIENCE, case)).expect("it ends in its time");
}

/// A place where a process stays until the test lets it go on.
struct Gate {
    inside: SyncSender<()>,
    go_on: Receiver<()>,
}

/// The test's side of a [`Gate`].
struct Keeper {
    is_inside: Receiver<()>,
    let_go: SyncSender<()>,
}

fn gate() -> (Gate, Keeper) {
    let ((inside, is_inside), (let_go, go_on)) = (sync_channel(1), sync_channel(1));
    (Gate { inside, go_on }, Keeper { is_inside, let_go })
}

impl Gate {
    fn pass(&self) {
        self.inside.send(()).unwrap();
        self.go_on.recv_timeout(PATIENCE).unwrap();
    }
}

impl Keeper {
    async fn wait(&self, node: &Node) {
        until(node, || self.is_inside.try_recv().is_ok()).await;
    }

    fn let_go(&self) {
        self.let_go.send(()).unwrap();
    }

    /// Waits until the other side is dropped.
    async fn wait_for_the_end(&self, node: &Node) {
        until(node, || self.is_inside.try_recv() == Err(TryRecvError::Disconnected)).await;
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(name = "test.Said", version = 1)]
struct Said(String);

#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Listener", version = 1)]
struct Listener(Pid);

/// Watches `who` from another node, tells it so, and answers all that it hears of it.
fn listen(node: &Node, who: Pid) -> impl Future<Output = Vec<String>> + use<> {
    let (tell, told) = futures_channel::oneshot::channel();
    let listener = node.spawn("listener", move |cx| async move {
        cx.monitor(who).await;
        cx.send(who, Listener(cx.me())).await.unwrap();
        let mut heard = Vec::new();
        let mut next = Some(PATIENCE);
        while let Some(within) = next {
            let word = cx
                .receive()
                .on(|said: Received<Said>| (said.message.0, PATIENCE))
                .on(|down: Received<Down>| (kind(&down.message.reason).into(), Duration::ZERO))
                .timeout(within)
                .await;
            next = word.as_ref().map(|(_, within)| *within);
            heard.extend(word.map(|(word, _)| word));
        }
        tell.send(heard).unwrap();
    });
    listener.unwrap();
    async { told.await.unwrap() }
}

const fn kind(reason: &ExitReason) -> &'static str {
    match reason {
        ExitReason::Normal => "normal",
        ExitReason::Shutdown => "shutdown",
        ExitReason::NoConnection(_) => "no connection",
        _ => "another reason",
    }
}

/// Is kept in a turn, and acts in that very turn.
async fn kept(cx: Context, gate: Gate) {
    let Listener(listener) = cx.expect().await;
    gate.pass();
    // Whether anybody hears of it is what the cases are about.
    let _ = cx.try_send(listener, Said("a word".into()));
    let _ = cx.node().register("late", cx.me());
    cx.expect::<()>().await;
}

async fn leaves(node: &Node) {
    until(node, || node.spawn("another", |_| async {}).is_err()).await;
}

/// Has `node` shut down by a process of another.
fn shut_down(other: &Node, node: Node) -> impl Future<Output = ShutdownReport> + use<> {
    let (tell, told) = futures_channel::oneshot::channel();
    let operator = other.spawn("operator", move |_| async move {
        tell.send(node.shutdown().await).unwrap();
    });
    operator.unwrap();
    async { told.await.unwrap() }
}

#[test]
fn a_turn_that_ends_in_time_is_heard_and_then_its_end() {
    on_threads(PATIENCE, |a, b| async move {
        let (gate, keeper) = gate();
        let process = a.spawn("kept", move |cx| kept(cx, gate)).unwrap();
        let heard = listen(&b, process);
        keeper.wait(&a).await;
        let shut_down = shut_down(&b, a.clone());
        leaves(&a).await;
        keeper.let_go();
        assert!(shut_down.await.is_clean());
        assert_eq!(heard.await, ["a word", "shutdown"]);
        assert_eq!((a.whereis("late"), a.process_count()), (None, 0));
    });
}

#[test]
fn who_is_in_its_turn_still_is_gone_with_the_link_and_says_nothing_after() {
    on_threads(SHORT, |a, b| async move {
        let (gate, keeper) = gate();
        let process = a.spawn("kept", move |cx| kept(cx, gate)).unwrap();
        let heard = listen(&b, process);
        keeper.wait(&a).await;
        a.register("kept", process).unwrap();
        let report = a.shutdown().await;
        assert_eq!((report.abandoned_total, report.abandoned[0].pid), (1, process));
        assert_eq!((a.whereis("kept"), a.process_count()), (None, 0));
        keeper.let_go();
        keeper.wait_for_the_end(&b).await;
        assert_eq!(heard.await, ["no connection"], "nobody says that it has ended before it has");
        assert_eq!((a.whereis("late"), a.process_count()), (None, 0));
    });
}

static GATE: Mutex<Option<Gate>> = Mutex::new(None);

/// Its destructor is kept at the gate.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Kept", version = 1)]
struct Kept;

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(gate) = GATE.lock().unwrap().take() {
            gate.pass();
        }
    }
}

#[test]
fn who_is_held_up_by_a_destructor_is_counted_and_is_gone_with_the_link() {
    on_threads(SHORT, |a, b| async move {
        let (gate, keeper) = gate();
        let process = a.spawn("full", |cx| async move { cx.expect::<()>().await }).unwrap();
        let heard = listen(&b, process);
        until(&a, || a.process(process).is_some_and(|process| process.watchers == 1)).await;
        a.run("sender", move |cx| async move {
            *GATE.lock().unwrap() = Some(gate);
            cx.send(process, Kept).await.unwrap();
            cx.kill(process, "a test").await;
        })
        .await
        .unwrap();
        keeper.wait(&a).await;
        let report = a.shutdown().await;
        assert_eq!((report.is_clean(), report.abandoned_total), (false, 1));
        keeper.let_go();
        keeper.wait_for_the_end(&b).await;
        assert_eq!(heard.await, ["no connection"]);
    });
}

static BOMBS: AtomicUsize = AtomicUsize::new(0);

/// Two of a row in one destructor would end the program.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "test.Bomb", version = 1)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        BOMBS.fetch_add(1, Ordering::SeqCst);
        panic!("a bomb");
    }
}

#[test]
fn what_lies_unreceived_when_a_turn_outlives_its_node_is_dropped_one_by_one() {
    on_threads(SHORT, |a, _| async move {
        let (gate, keeper) = gate();
        let process = a.spawn("kept", move |cx| async move {
            cx.expect::<()>().await;
            gate.pass();
        });
        let process = process.unwrap();
        a.run("sender", move |cx| async move {
            cx.send(process, Bomb).await.unwrap();
            cx.send(process, Bomb).await.unwrap();
            cx.send(process, ()).await.unwrap();
        })
        .await
        .unwrap();
        keeper.wait(&a).await;
        a.shutdown().await;
        keeper.let_go();
        until(&a, || BOMBS.load(Ordering::SeqCst) == 2).await;
    });
}

#[test]
fn a_child_in_its_turn_keeps_its_place_in_the_order_of_the_end() {
    on_threads(PATIENCE, |a, b| async move {
        let (gate, keeper) = gate();
        let gate = Arc::new(Mutex::new(Some(gate)));
        let order = Arc::new(Mutex::new(Vec::new()));
        let child = |id: &'static str, gate: Arc<Mutex<Option<Gate>>>| {
            let order = order.clone();
            Child::new(id, move |cx| {
                let (gate, order) = (gate.clone(), order.clone());
                async move {
                    cx.trap_exits(true);
                    if let Some(gate) = gate.lock().unwrap().take() {
                        gate.pass();
                    }
                    let exited = cx.expect::<Exited>().await;
                    order.lock().unwrap().push(id);
                    exited.reason
                }
            })
        };
        Supervisor::new(Strategy::OneForOne)
            .child(child("first", Arc::default()))
            .child(child("second", gate))
            .start(&a)
            .await
            .unwrap();
        keeper.wait(&a).await;
        let shut_down = shut_down(&b, a.clone());
        leaves(&a).await;
        keeper.let_go();
        assert!(shut_down.await.is_clean());
        assert_eq!(*order.lock().unwrap(), ["second", "first"]);
    });
}

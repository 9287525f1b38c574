//! Supervisors among real processes. Who is restarted when, in every combination, is in the tests of
//! the kernel (`src/supervisor/kernel/tests.rs`); here is what needs processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use midflight_process::managed::{Managed, Request, ServerRef};
use midflight_process::supervisor::{
    Child, ChildError, ChildProblem, ChildRef, ChildState, NoStart, Order, Placement, Restart,
    Shutdown, ShutdownOrder, Strategy, Supervisor, SupervisorEvent, SupervisorRef, Template,
};
use midflight_process::{
    Context, Down, ExitReason, Exited, Function, MonitorRef, Node, NodeId, Pid,
};

use super::scene::scenario;
use super::world::{simulate, took, until};

const SECOND: Duration = Duration::from_secs(1);

/// Ends with the reason it is told.
async fn obedient(cx: Context) -> ExitReason {
    match cx.expect::<String>().await.as_str() {
        "normal" => ExitReason::Normal,
        "shutdown" => ExitReason::Shutdown,
        "panic" => panic!("as told"),
        text => ExitReason::Error(text.into()),
    }
}

/// Hears no exit signal.
async fn deaf(cx: Context) {
    cx.trap_exits(true);
    cx.expect::<()>().await;
}

/// Ends well when it is told to, after a while.
async fn slow(cx: Context) {
    cx.trap_exits(true);
    cx.expect::<Exited>().await;
    cx.sleep(SECOND / 2).await;
}

fn worker(id: &'static str, restart: Restart) -> Child {
    Child::new(id, obedient).restart(restart)
}

fn often(strategy: Strategy) -> Supervisor {
    Supervisor::new(strategy).intensity(1_000, SECOND)
}

async fn state(supervisor: SupervisorRef, cx: &Context, id: &str) -> Option<ChildState> {
    supervisor.lookup_child(cx, id).await.unwrap().map(|child| child.state)
}

async fn pid(supervisor: SupervisorRef, cx: &Context, id: &str) -> Pid {
    match state(supervisor, cx, id).await {
        Some(ChildState::Running(pid)) => pid,
        other => panic!("{id}: {other:?}"),
    }
}

/// Waits until all children trap exits: one that has not run yet does not.
async fn all_trap(supervisor: SupervisorRef, cx: &Context) {
    for child in supervisor.which_children(cx).await.unwrap() {
        let child = child.pid().unwrap();
        until(cx.node(), || cx.node().process(child).is_some_and(|info| info.traps_exits)).await;
    }
}

/// Waits for the end of a process.
async fn reason(cx: &Context, of: Pid) -> ExitReason {
    cx.monitor(of).await;
    loop {
        let down: Down = cx.expect().await;
        if down.process == of {
            return down.reason;
        }
    }
}

/// Tells a child to end and waits until it has. The supervisor has seen it when it answers next.
async fn end(cx: &Context, child: Pid, how: &str) {
    let monitor = cx.monitor(child).await;
    cx.send(child, String::from(how)).await.unwrap();
    while cx.expect::<Down>().await.monitor != monitor {}
    cx.sleep(SECOND / 10).await;
}

fn problem<T: std::fmt::Debug>(result: Result<T, ChildError>) -> ChildProblem {
    result.unwrap_err().problem().unwrap().clone()
}

#[test]
fn a_supervisor_starts_and_ends_with_its_children() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let supervisor = often(Strategy::OneForOne)
                .child(worker("a", Restart::Permanent))
                .child(worker("b", Restart::Permanent).register("the name"))
                .register("supervisor")
                .start(&node)
                .await
                .unwrap();
            assert_eq!(node.whereis("supervisor"), Some(supervisor.pid()));
            let children = supervisor.which_children(&cx).await.unwrap();
            assert_eq!(children.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
            assert_eq!(node.whereis("the name"), children[1].pid());
            let counts = supervisor.count_children(&cx).await.unwrap();
            assert_eq!((counts.specs, counts.active, counts.workers), (2, 2, 2));
            // What it does not know does it no harm, however much of it comes: it is refused.
            for n in 0..5_000_u64 {
                cx.send(supervisor.pid(), n).await.unwrap();
                if n % 100 == 99 {
                    assert_eq!(supervisor.count_children(&cx).await.unwrap().active, 2);
                }
            }

            // Who waits for its end takes the news of no other.
            let watched = cx.monitor(children[0].pid().unwrap()).await;
            assert_eq!(supervisor.shut_down(&cx).await.unwrap(), ExitReason::Shutdown);
            assert_eq!(cx.expect::<Down>().await.monitor, watched);
            for child in children {
                assert_eq!(reason(&cx, child.pid().unwrap()).await, ExitReason::NoProcess);
            }
            assert!(matches!(supervisor.which_children(&cx).await, Err(ChildError::Call(_))));
        }
    });
}

#[test]
fn children_are_added_started_stopped_and_deleted_from_here_and_afar() {
    scenario(|cx, other| async move {
        let supervisor = often(Strategy::OneForOne).start(cx.node()).await.unwrap();
        let a = || worker("a", Restart::Transient);
        assert_eq!(problem(supervisor.restart_child(&cx, "a").await), ChildProblem::NotFound);
        supervisor.add_child(&cx, a()).await.unwrap();
        assert_eq!(state(supervisor, &cx, "a").await, Some(ChildState::Stopped));
        let again = problem(supervisor.add_child(&cx, a()).await);
        assert_eq!(again, ChildProblem::AlreadyPresent);
        let again = problem(supervisor.start_child(&cx, a()).await);
        assert_eq!(again, ChildProblem::AlreadyPresent);

        let first = supervisor.restart_child(&cx, "a").await.unwrap().unwrap();
        let again = problem(supervisor.start_child(&cx, a()).await);
        assert_eq!(again, ChildProblem::Running(first));
        let again = problem(supervisor.restart_child(&cx, "a").await);
        assert_eq!(again, ChildProblem::Running(first));
        assert_eq!(
            problem(supervisor.delete_child(&cx, first).await),
            ChildProblem::Running(first)
        );

        // A supervisor can be asked from anywhere; functions do not travel.
        let afar = other.run("afar", move |cx| async move {
            let travels =
                problem(supervisor.start_child(&cx, worker("b", Restart::Permanent)).await);
            assert_eq!(travels, ChildProblem::NotLocal);
            assert_eq!(pid(supervisor, &cx, "a").await, first);
            supervisor.terminate_child(&cx, "a").await.unwrap();
            assert_eq!(reason(&cx, first).await, ExitReason::NoProcess);
            let second = supervisor.restart_child(&cx, "a").await.unwrap().unwrap();
            assert_ne!(first, second);
            supervisor.terminate_child(&cx, second).await.unwrap();
            supervisor.delete_child(&cx, ChildRef::from("a")).await.unwrap();
        });
        afar.await.unwrap();
        assert_eq!(problem(supervisor.delete_child(&cx, "a").await), ChildProblem::NotFound);

        let temporary = worker("t", Restart::Temporary);
        let t = supervisor.start_child(&cx, temporary).await.unwrap().unwrap();
        supervisor.terminate_child(&cx, "t").await.unwrap();
        assert_eq!(reason(&cx, t).await, ExitReason::NoProcess);
        assert_eq!(problem(supervisor.delete_child(&cx, "t").await), ChildProblem::NotFound);
    });
}

#[test]
fn children_are_restarted_as_their_kind_says() {
    use Restart::{Intrinsic, Permanent, Temporary, Transient};
    scenario(|cx, _| async move {
        let error = || ExitReason::Error("error".into());
        let cases = [
            (Permanent, "normal", ExitReason::Normal, "restarted"),
            (Permanent, "error", error(), "restarted"),
            (Permanent, "panic", ExitReason::Panic("as told".into()), "restarted"),
            (Temporary, "normal", ExitReason::Normal, "forgotten"),
            (Temporary, "error", error(), "forgotten"),
            (Transient, "normal", ExitReason::Normal, "stopped"),
            (Transient, "shutdown", ExitReason::Shutdown, "stopped"),
            (Transient, "error", error(), "restarted"),
            (Intrinsic, "error", error(), "restarted"),
            (Intrinsic, "normal", ExitReason::Normal, "supervisor ends"),
        ];
        for (restart, how, expected, outcome) in cases {
            let supervisor = often(Strategy::OneForOne)
                .child(worker("a", restart))
                .child(worker("sibling", Permanent))
                .observer(cx.me())
                .start(cx.node())
                .await
                .unwrap();
            let first = pid(supervisor, &cx, "a").await;
            let sibling = pid(supervisor, &cx, "sibling").await;
            end(&cx, first, how).await;
            let died = loop {
                if let SupervisorEvent::Died { reason, .. } = cx.expect().await {
                    break reason;
                }
            };
            assert_eq!(died, expected);
            if outcome == "supervisor ends" {
                assert_eq!(reason(&cx, supervisor.pid()).await, ExitReason::NoProcess);
                assert_eq!(reason(&cx, sibling).await, ExitReason::NoProcess);
                continue;
            }
            let now = match state(supervisor, &cx, "a").await {
                Some(ChildState::Running(pid)) if pid != first => "restarted",
                Some(ChildState::Stopped) => "stopped",
                None => "forgotten",
                other => panic!("{other:?}"),
            };
            assert_eq!(now, outcome, "{restart:?} {how}");
            assert_eq!(pid(supervisor, &cx, "sibling").await, sibling);
            supervisor.shut_down(&cx).await.unwrap();
        }
    });
}

#[test]
fn a_killed_child_is_restarted() {
    scenario(|cx, _| async move {
        let supervisor = often(Strategy::OneForOne)
            .child(worker("a", Restart::Transient).register("a"))
            .start(cx.node())
            .await
            .unwrap();
        let first = pid(supervisor, &cx, "a").await;
        cx.kill(first, "a test").await;
        until(cx.node(), || cx.node().whereis("a").is_some_and(|pid| pid != first)).await;
        let second = pid(supervisor, &cx, "a").await;
        assert_ne!(first, second);
        assert_eq!(cx.node().whereis("a"), Some(second), "its name is its successor's");
        // A signal that names a child as its sender is no end of it.
        cx.node().exit(supervisor.pid(), ExitReason::Shutdown);
        assert_eq!(reason(&cx, second).await, ExitReason::Shutdown);
    });
}

#[test]
fn a_message_that_says_a_child_is_down_is_none_of_its_ends() {
    scenario(|cx, other| async move {
        for node in [cx.node().clone(), other] {
            let supervisor = often(Strategy::OneForOne)
                .child(worker("a", Restart::Permanent))
                .start(&node)
                .await
                .unwrap();
            let child = pid(supervisor, &cx, "a").await;
            let nobody = Pid { node: node.id(), index: u32::MAX, generation: u32::MAX };
            let reason = ExitReason::Error("said".into());
            for monitor in (0..100).map(MonitorRef) {
                let down = Down { monitor, process: child, reason: reason.clone() };
                cx.send(supervisor.pid(), down).await.unwrap();
            }
            let exited = Exited { from: nobody, reason };
            cx.send(supervisor.pid(), exited).await.unwrap();
            assert_eq!(pid(supervisor, &cx, "a").await, child);
            assert_eq!(supervisor.count_children(&cx).await.unwrap().active, 1);
            assert_eq!(node.dead_letters().len(), 101, "refused and kept");
        }
    });
}

#[test]
fn starts_that_come_to_nothing() {
    scenario(|cx, _| async move {
        let node = cx.node().clone();
        let fails = |id: &'static str| {
            Child::with(id, |starter| async move {
                starter.node().runtime().sleep(SECOND).await;
                Err::<Pid, _>(NoStart::failed("no such thing"))
            })
        };
        let panics = Child::with("panics", |_| async { panic!("at once") as Result<Pid, NoStart> });
        let ignores =
            |id: &'static str| Child::with(id, |_| async { Err::<Pid, _>(NoStart::Ignore) });

        // As it is configured: the supervisor does not start, and who had started is ended.
        let (tell, told) = futures_channel::oneshot::channel();
        let tell = Arc::new(std::sync::Mutex::new(Some(tell)));
        let first = Child::new("first", move |cx| {
            let tell = tell.lock().unwrap().take();
            async move {
                tell.unwrap().send(cx.me()).unwrap();
                cx.expect::<()>().await;
            }
        });
        let failed = often(Strategy::OneForOne).child(first).child(fails("bad")).start(&node).await;
        let why = failed.unwrap_err().to_string();
        assert!(why.contains("`bad`") && why.contains("no such thing"), "{why}");
        assert_eq!(reason(&cx, told.await.unwrap()).await, ExitReason::NoProcess);
        let twice = worker("twice", Restart::Permanent);
        let supervisor = often(Strategy::OneForOne).child(twice).child(fails("twice"));
        assert!(supervisor.start(&node).await.is_err());

        // Whoever wants not to run is no failure; only a temporary one is forgotten.
        let supervisor = often(Strategy::OneForOne)
            .child(ignores("kept").restart(Restart::Transient))
            .child(ignores("gone").restart(Restart::Temporary))
            .start(&node)
            .await
            .unwrap();
        assert_eq!(state(supervisor, &cx, "kept").await, Some(ChildState::Ignored));
        assert_eq!(state(supervisor, &cx, "gone").await, None);

        // As it runs: the command fails and nothing else does.
        for (id, child) in [("bad", fails("bad")), ("panics", panics)] {
            let why = problem(supervisor.start_child(&cx, child).await);
            assert!(matches!(why, ChildProblem::NotStarted(_)), "{why}");
            assert_eq!(state(supervisor, &cx, id).await, None);
        }
        let transient = ignores("another").restart(Restart::Transient);
        assert_eq!(supervisor.start_child(&cx, transient).await.unwrap(), None);
        assert_eq!(state(supervisor, &cx, "another").await, Some(ChildState::Ignored));
        let temporary = ignores("a third").restart(Restart::Temporary);
        assert_eq!(supervisor.start_child(&cx, temporary).await.unwrap(), None);
        assert_eq!(state(supervisor, &cx, "a third").await, None);
    });
}

#[test]
fn a_start_that_takes_too_long_leaves_nothing_behind() {
    scenario(|cx, _| async move {
        let me = cx.me();
        let supervisor = often(Strategy::OneForOne).start(cx.node()).await.unwrap();
        let child = Child::with("slow", move |starter| async move {
            let pid = starter.spawn("half made", move |cx| async move {
                cx.trap_exits(true);
                cx.send(me, Born(cx.me())).await.unwrap();
                cx.expect::<()>().await;
            })?;
            std::future::pending::<()>().await;
            Ok::<_, NoStart>(pid)
        });
        let before = cx.now();
        let late = supervisor.start_child(&cx, child.start_timeout(2 * SECOND)).await;
        assert!(matches!(problem(late), ChildProblem::NotStarted(_)));
        assert!(took(cx.now().since(before), 2 * SECOND));
        let Born(made) = cx.expect().await;
        cx.sleep(SECOND / 10).await;
        assert_eq!(reason(&cx, made).await, ExitReason::NoProcess);
        assert_eq!(state(supervisor, &cx, "slow").await, None);
    });
}

#[derive(Debug, serde::Serialize, serde::Deserialize, midflight_process::message::Message)]
#[message(name = "test.Born", version = 1)]
struct Born(Pid);

#[test]
fn children_are_ended_as_they_ask_to_be() {
    scenario(|cx, _| async move {
        let supervisor = often(Strategy::OneForOne)
            .child(Child::new("brutal", slow).shutdown(Shutdown::BrutalKill))
            .child(Child::new("deaf", deaf).shutdown(Shutdown::Timeout(2 * SECOND)))
            .child(Child::new("slow", slow).shutdown(Shutdown::Timeout(2 * SECOND)))
            .child(Child::new("patient", deaf).shutdown(Shutdown::Infinity))
            .shutdown_max(4 * SECOND)
            .start(cx.node())
            .await
            .unwrap();
        let cases = [
            ("brutal", Duration::ZERO, "killed: shut down by its supervisor"),
            ("deaf", 2 * SECOND, "killed: shut down by its supervisor"),
            ("slow", SECOND / 2, "normal"),
            ("patient", 4 * SECOND, "killed: shut down by its supervisor"),
        ];
        all_trap(supervisor, &cx).await;
        for (id, takes, expected) in cases {
            let child = pid(supervisor, &cx, id).await;
            let monitor = cx.monitor(child).await;
            let before = cx.now();
            supervisor.terminate_child(&cx, id).await.unwrap();
            assert!(took(cx.now().since(before), takes), "{id}");
            let down: Down = cx.expect().await;
            assert_eq!(
                (down.monitor, down.reason.to_string().as_str()),
                (monitor, expected),
                "{id}"
            );
        }
    });
}

#[test]
fn the_end_goes_from_right_to_left_one_after_the_other() {
    scenario(|cx, _| async move {
        let orders = [
            (ShutdownOrder::default(), vec!["app", "core"], SECOND),
            (ShutdownOrder::Sequential(Order::LeftToRight), vec!["core", "app"], SECOND),
            (ShutdownOrder::Parallel, vec!["app", "core"], SECOND / 2),
        ];
        for (order, expected, takes) in orders {
            let supervisor = often(Strategy::RestForOne)
                .child(Child::new("core", slow))
                .child(Child::new("app", slow))
                .shutdown_order(order)
                .observer(cx.me())
                .start(cx.node())
                .await
                .unwrap();
            all_trap(supervisor, &cx).await;
            let before = cx.now();
            cx.exit(supervisor.pid(), ExitReason::Shutdown).await;
            cx.node().exit(supervisor.pid(), ExitReason::Error("enough".into()));
            let end = reason(&cx, supervisor.pid()).await;
            assert_eq!(end, ExitReason::Error("enough".into()), "a stranger is not obeyed");
            assert!(took(cx.now().since(before), takes));
            let mut stopped = Vec::new();
            while let Some(event) = cx.expect_timeout(Duration::ZERO).await {
                if let SupervisorEvent::Stopped { id, .. } = event {
                    stopped.push(id);
                }
            }
            if order == ShutdownOrder::Parallel {
                stopped.sort();
            }
            assert_eq!(stopped, expected);
        }
    });
}

#[test]
fn who_depends_on_whom_is_restarted_together() {
    scenario(|cx, _| async move {
        let cases = [
            (Strategy::OneForOne, [false, true, false, false]),
            (Strategy::OneForAll, [true, true, true, true]),
            (Strategy::RestForOne, [false, true, true, true]),
            (Strategy::RestartLeft, [true, true, false, false]),
        ];
        let ids = ["a", "b", "c", "d"];
        for (strategy, expected) in cases {
            let children = ids.map(|id| worker(id, Restart::Permanent));
            let supervisor = children.into_iter().fold(often(strategy), Supervisor::child);
            let supervisor = supervisor.start(cx.node()).await.unwrap();
            let mut before = Vec::new();
            for id in ids {
                before.push(pid(supervisor, &cx, id).await);
            }
            end(&cx, before[1], "error").await;
            for ((id, before), is_new) in ids.into_iter().zip(before).zip(expected) {
                assert_eq!(pid(supervisor, &cx, id).await != before, is_new, "{strategy:?} {id}");
            }
            // A child that is stopped by command is no reason to restart anybody.
            let a = pid(supervisor, &cx, "a").await;
            supervisor.terminate_child(&cx, "b").await.unwrap();
            assert_eq!(pid(supervisor, &cx, "a").await, a);
            supervisor.shut_down(&cx).await.unwrap();
        }
    });
}

#[test]
fn hundreds_are_restarted_in_order() {
    scenario(|cx, _| async move {
        let supervisor = often(Strategy::OneForAll).start(cx.node()).await.unwrap();
        for number in 0..100 {
            let child = worker("x", Restart::Permanent).id(number.to_string());
            supervisor.start_child(&cx, child).await.unwrap();
        }
        let before = supervisor.which_children(&cx).await.unwrap();
        end(&cx, before[50].pid().unwrap(), "error").await;
        let after = supervisor.which_children(&cx).await.unwrap();
        assert_eq!(after.len(), 100);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.id, after.id);
            assert_ne!(before.pid(), after.pid());
        }
        let pids: Vec<_> = after.iter().map(|child| child.pid().unwrap()).collect();
        assert_eq!(supervisor.shut_down(&cx).await.unwrap(), ExitReason::Shutdown);
        for pid in pids {
            assert_eq!(reason(&cx, pid).await, ExitReason::NoProcess);
        }
    });
}

#[test]
fn too_many_restarts_are_the_end_and_fewer_are_not() {
    scenario(|cx, _| async move {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = starts.clone();
        // Its first three lives are short.
        let child = Child::new("short-lived", move |cx| {
            let life = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                if life < 3 {
                    return ExitReason::Error("too early".into());
                }
                obedient(cx).await
            }
        });
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(3, 60 * SECOND)
            .child(child)
            .child(worker("sibling", Restart::Permanent))
            .start(cx.node())
            .await
            .unwrap();
        cx.sleep(SECOND).await;
        let fourth = pid(supervisor, &cx, "short-lived").await;
        assert_eq!(starts.load(Ordering::Relaxed), 4);
        let sibling = pid(supervisor, &cx, "sibling").await;
        cx.monitor(sibling).await;
        let monitor = cx.monitor(supervisor.pid()).await;
        cx.send(fourth, String::from("once more")).await.unwrap();
        let down: Down = cx.expect().await;
        assert_eq!((down.process, down.reason), (sibling, ExitReason::Shutdown));
        let down: Down = cx.expect().await;
        assert_eq!((down.monitor, down.reason), (monitor, ExitReason::Shutdown));
    });
}

#[test]
fn a_delayed_restart_comes_after_its_delay() {
    scenario(|cx, _| async move {
        let supervisor = Supervisor::new(Strategy::OneForOne)
            .intensity(1, 60 * SECOND)
            .child(worker("a", Restart::Permanent).restart_delay(3 * SECOND))
            .start(cx.node())
            .await
            .unwrap();
        let first = pid(supervisor, &cx, "a").await;
        end(&cx, first, "error").await;
        let second = pid(supervisor, &cx, "a").await;
        end(&cx, second, "error").await;
        assert_eq!(state(supervisor, &cx, "a").await, Some(ChildState::Restarting));
        assert_eq!(problem(supervisor.restart_child(&cx, "a").await), ChildProblem::Restarting);
        assert_eq!(problem(supervisor.delete_child(&cx, "a").await), ChildProblem::Restarting);
        let runs_again = runs_on(supervisor, &cx, "a", &[cx.node().id()]).await;
        assert_ne!(runs_again, second);
    });
}

#[test]
fn trees_start_from_the_root_and_end_from_the_leaves() {
    scenario(|cx, _| async move {
        let me = cx.me();
        let leaf = |id: &'static str| Child::new(id, slow);
        let below = Child::supervisor("below", move || {
            often(Strategy::OneForAll).child(leaf("left")).child(leaf("right")).observer(me)
        });
        let root = often(Strategy::OneForOne)
            .child(worker("worker", Restart::Permanent))
            .child(below)
            .start_link(&cx)
            .await
            .unwrap();
        let counts = root.count_children(&cx).await.unwrap();
        assert_eq!((counts.workers, counts.supervisors), (1, 1));
        let below = SupervisorRef::of(pid(root, &cx, "below").await);
        let leaf = pid(below, &cx, "left").await;

        // A supervisor that dies takes its children with it, and comes back with new ones.
        cx.kill(below.pid(), "a test").await;
        cx.sleep(SECOND).await;
        assert_eq!(reason(&cx, leaf).await, ExitReason::NoProcess);
        let below = SupervisorRef::of(pid(root, &cx, "below").await);
        let leaf = pid(below, &cx, "left").await;

        // One that gives up is its supervisor's to restart.
        cx.exit(below.pid(), ExitReason::Error("not its parent".into())).await;
        assert_eq!(pid(below, &cx, "left").await, leaf, "only its parent is obeyed");
        cx.unlink(root.pid());
        assert_eq!(root.shut_down(&cx).await.unwrap(), ExitReason::Shutdown);
        for gone in [leaf, below.pid()] {
            assert_eq!(reason(&cx, gone).await, ExitReason::NoProcess);
        }
    });
}

#[test]
fn a_parent_that_ends_ends_its_supervisor() {
    scenario(|cx, _| async move {
        let me = cx.me();
        let parent = cx.spawn("parent", move |cx| async move {
            let root = often(Strategy::OneForOne).child(Child::new("child", slow));
            let root = root.start_link(&cx).await.unwrap();
            cx.send(me, Born(root.pid())).await.unwrap();
            cx.expect::<()>().await;
            ExitReason::Normal
        });
        let parent = parent.unwrap();
        let Born(root) = cx.expect().await;
        cx.exit(parent, ExitReason::Error("x".into())).await;
        assert_eq!(reason(&cx, root).await, ExitReason::Error("x".into()));
    });
}

#[test]
fn dynamic_children_are_made_of_one_template() {
    scenario(|cx, other| async move {
        let template = Template::new("adder", |cx: Context, start: u64| async move {
            let mut sum = start;
            loop {
                let received = cx.receive_one::<u64>().await;
                sum += received.message;
                assert!(sum < 1_000, "it adds up to too much");
                if let Some(caller) = received.reply_to {
                    caller.reply(sum);
                }
            }
        });
        let permanent = Child::new("like this", obedient).restart(Restart::Permanent);
        let supervisor = often(Strategy::OneForOne)
            .template(template.like(permanent))
            .children_max(11)
            .start(cx.node())
            .await
            .unwrap();
        // From afar, too: the argument travels, the function is there.
        let first = other
            .run(
                "afar",
                move |cx| async move { supervisor.start_dynamic(&cx, 500_u64).await.unwrap() },
            )
            .await
            .unwrap();
        for start in 0..10_u64 {
            let adder = supervisor.start_dynamic(&cx, start).await.unwrap();
            assert_eq!(cx.call::<u64, u64>(adder, 1, SECOND).await.unwrap(), start + 1);
        }
        let one_more = problem(supervisor.start_dynamic(&cx, 0_u64).await);
        assert_eq!(one_more, ChildProblem::TooManyChildren);
        let unknown = problem(supervisor.start_dynamic(&cx, String::new()).await);
        assert_eq!(unknown, ChildProblem::NoTemplate("string".into()));

        assert_eq!(cx.call::<u64, u64>(first, 400, SECOND).await.unwrap(), 900);
        assert!(cx.call::<u64, u64>(first, 400, SECOND).await.is_err());
        cx.sleep(SECOND / 10).await;
        // It begins again, from its own argument.
        let again = pid(supervisor, &cx, "adder-1").await;
        assert_eq!(cx.call::<u64, u64>(again, 1, SECOND).await.unwrap(), 501);
        supervisor.terminate_child(&cx, again).await.unwrap();
        supervisor.delete_child(&cx, "adder-1").await.unwrap();
        assert_eq!(supervisor.count_children(&cx).await.unwrap().specs, 10);
    });
}

/// A child that other nodes have, too.
const COUNTER: Function<u64> = Function::new("test.counter");

impl Request for Born {
    type Reply = u64;
}

fn give_counter(node: &Node) {
    let counter = || Managed::new().call(|total: &mut u64, _: Born, _| *total);
    let run = move |cx, start| counter().serve(cx, move |_| Ok(start));
    node.functions().register(&COUNTER, run).unwrap();
}

/// Waits until the child runs on one of these nodes.
async fn runs_on(supervisor: SupervisorRef, cx: &Context, id: &str, nodes: &[NodeId]) -> Pid {
    for _ in 0..300 {
        if let Some(ChildState::Running(pid)) = state(supervisor, cx, id).await
            && nodes.contains(&pid.node)
        {
            return pid;
        }
        cx.sleep(SECOND / 10).await;
    }
    panic!("{:?}", supervisor.lookup_child(cx, id).await);
}

#[test]
fn a_child_whose_node_dies_comes_back_on_another() {
    simulate(|world| async move {
        let (a, b) = world.pair().await;
        let c = world.node("c").await;
        a.connect(&super::world::World::address("c")).await.unwrap();
        for node in [&b, &c] {
            give_counter(node);
        }
        let (on_b, on_c, none) = (b.id(), c.id(), Placement::nodes(["nobody"]));
        let run = move |cx: Context| async move {
            let placed = |id: &'static str, placement| Child::on(id, placement, COUNTER, &7);
            let supervisor = often(Strategy::OneForOne)
                .child(placed("first", Placement::nodes(["b", "c"])))
                .child(placed("any", Placement::any()))
                .template(Template::on("dynamic", Placement::nodes(["b"]), COUNTER))
                .start(cx.node())
                .await
                .unwrap();
            let first = runs_on(supervisor, &cx, "first", &[on_b]).await;
            // Its own node has no such function: the next is taken.
            let any = runs_on(supervisor, &cx, "any", &[on_b, on_c]).await;
            let dynamic = supervisor.start_dynamic(&cx, 9_u64).await.unwrap();
            for (child, expected) in [(first, 7), (any, 7), (dynamic, 9)] {
                let child = ServerRef::from(child);
                assert_eq!(child.call(&cx, Born(first)).await.unwrap(), expected);
            }
            let nowhere = problem(supervisor.start_child(&cx, placed("nowhere", none)).await);
            assert!(matches!(nowhere, ChildProblem::NotStarted(_)), "{nowhere}");

            // Its process dies: it comes back where it was. Its node dies: elsewhere.
            cx.kill(first, "a test").await;
            cx.sleep(SECOND).await;
            assert_ne!(runs_on(supervisor, &cx, "first", &[on_b]).await, first);
            b.shutdown().await;
            let second = runs_on(supervisor, &cx, "first", &[on_c]).await;
            runs_on(supervisor, &cx, "any", &[on_c]).await;
            assert_eq!(ServerRef::from(second).call(&cx, Born(first)).await.unwrap(), 7);
            assert_eq!(state(supervisor, &cx, "dynamic-1").await, None);

            // It ends them all, wherever they are.
            assert_eq!(supervisor.shut_down(&cx).await.unwrap(), ExitReason::Shutdown);
            assert_eq!(reason(&cx, second).await, ExitReason::NoProcess);
        };
        a.run("scenario", run).await.unwrap();
    });
}

//! The kernel against a small world of processes that start, die, obey and refuse at random.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midflight_message::{NodeId, Pid};
use midflight_runtime::Instant;
use proptest::prelude::{
    Just, ProptestConfig, any, prop_assert, prop_assert_eq, prop_oneof, proptest,
};
use proptest::strategy::Strategy as _;

use super::{Action, Command, Event, Kernel, Key, State, Ticket, Which};
use crate::ExitReason;
use crate::supervisor::error::NoStart;
use crate::supervisor::spec::{
    AutoShutdown, Bounds, ChildKind, ChildSpec, Intensity, Order, Policy, Restart, RestartMode,
    Shutdown, ShutdownOrder, Strategy, SupervisorEvent,
};

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn pid(number: u32) -> Pid {
    Pid { node: NodeId(1), index: number, generation: 1 }
}

pub(super) fn spec(id: &str, restart: Restart) -> ChildSpec {
    ChildSpec {
        id: id.into(),
        kind: ChildKind::Worker,
        restart,
        shutdown: Shutdown::Timeout(SECOND),
        significant: false,
        delay: None,
        start_timeout: SECOND,
    }
}

/// What there is outside the kernel.
#[derive(Debug, Default)]
struct World {
    now: Instant,
    starting: Option<Key>,
    /// The living, with what they were told.
    alive: BTreeMap<Pid, Told>,
    of: BTreeMap<Pid, Key>,
    next: u32,
    open: BTreeSet<Ticket>,
    next_ticket: u64,
    restarts: Vec<Instant>,
    told_in_the_end: Vec<Key>,
    is_ending: bool,
    ended: Option<ExitReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Exit,
    Kill,
}

impl World {
    fn give(&mut self, kernel: &mut Kernel, event: Event) {
        let mut out = Vec::new();
        // A restart counts from when it is decided: its end, which is reported, may come much later.
        let counted =
            |kernel: &Kernel| kernel.restarts.iter().filter(|at| **at == self.now).count();
        let before = counted(kernel);
        kernel.step(event, self.now, &mut out);
        let decided = counted(kernel) - before;
        self.restarts.extend(std::iter::repeat_n(self.now, decided));
        for action in out {
            self.act(action);
        }
    }

    /// Does what the kernel wants, and checks that it may want it.
    fn act(&mut self, action: Action) {
        assert!(
            self.ended.is_none() || matches!(action, Action::Reply(..)),
            "{action:?} after the end"
        );
        match action {
            Action::Start(key) => {
                assert_eq!(self.starting, None, "one start at a time");
                let twice = self.alive.keys().any(|pid| self.of[pid] == key);
                assert!(!twice, "{key:?} would run twice");
                assert!(!self.is_ending, "nothing is started in the end");
                self.starting = Some(key);
            }
            Action::CancelStart(key) => assert_eq!(self.starting.take(), Some(key)),
            Action::Exit(pid) => {
                assert_eq!(self.alive.insert(pid, Told::Exit), Some(Told::Nothing));
                self.told(pid);
            }
            Action::Kill(pid) => {
                let before = self.alive.insert(pid, Told::Kill);
                assert!(matches!(before, Some(Told::Nothing | Told::Exit)), "{before:?}");
                if before == Some(Told::Nothing) {
                    self.told(pid);
                }
            }
            Action::Reply(ticket, _) => assert!(self.open.remove(&ticket), "{ticket:?} twice"),
            Action::Report(SupervisorEvent::ShuttingDown { .. }) => self.is_ending = true,
            Action::Report(SupervisorEvent::LeftBehind { pid, .. }) => {
                assert_eq!(self.alive.remove(&pid), Some(Told::Kill));
            }
            Action::Adopt(..) | Action::Forget(_) | Action::Ready | Action::Report(_) => {}
            Action::End(reason) => {
                assert!(self.alive.is_empty(), "it ends before its children");
                self.ended = Some(reason);
            }
        }
    }

    fn told(&mut self, pid: Pid) {
        if self.is_ending {
            self.told_in_the_end.push(self.of[&pid]);
        }
    }

    fn nth_alive(&self, n: u8) -> Option<Pid> {
        let at = usize::from(n) % self.alive.len().max(1);
        self.alive.keys().nth(at).copied()
    }

    /// Lets something happen that may happen now.
    fn random(&mut self, kernel: &mut Kernel, (what, which): (u8, u8)) {
        match what % 16 {
            0..=5 => self.finish_start(kernel, which),
            6..=8 => {
                let reasons =
                    [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Error("x".into())];
                let reason = reasons[usize::from(what % 3)].clone();
                let Some(pid) = self.nth_alive(which) else { return };
                self.die(kernel, pid, reason);
            }
            9..=11 => {
                let told = self.alive.iter().find(|(_, told)| **told != Told::Nothing);
                let Some((pid, _)) = told.map(|(pid, told)| (*pid, *told)) else { return };
                self.die(kernel, pid, ExitReason::Shutdown);
            }
            12 => self.pass(kernel, Duration::from_millis(u64::from(which) * 20)),
            13 => {
                // A process that is no child.
                self.give(kernel, Event::Exited(pid(u32::MAX), ExitReason::Normal));
            }
            _ => self.command(kernel, which),
        }
    }

    fn finish_start(&mut self, kernel: &mut Kernel, which: u8) {
        let Some(key) = self.starting.take() else { return };
        match which % 8 {
            0 => self.give(kernel, Event::NotStarted(key, NoStart::Ignore)),
            1 => self.give(kernel, Event::NotStarted(key, NoStart::failed("no"))),
            _ => self.start(kernel, key),
        }
    }

    fn start(&mut self, kernel: &mut Kernel, key: Key) {
        self.next += 1;
        let pid = pid(self.next);
        self.alive.insert(pid, Told::Nothing);
        self.of.insert(pid, key);
        self.give(kernel, Event::Started(key, pid));
    }

    fn die(&mut self, kernel: &mut Kernel, pid: Pid, reason: ExitReason) {
        self.alive.remove(&pid);
        self.give(kernel, Event::Exited(pid, reason));
    }

    fn pass(&mut self, kernel: &mut Kernel, time: Duration) {
        self.now = self.now + time;
        self.give(kernel, Event::Tick);
    }

    fn command(&mut self, kernel: &mut Kernel, which: u8) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.open.insert(ticket);
        let child = Which::Id(format!("child {}", which % 8));
        let command = match which / 32 {
            0 => Command::Restart(child),
            1 => Command::Terminate(child),
            2 => Command::Delete(child),
            3 => Command::List,
            4 => Command::Count,
            5 => Command::Look(child),
            _ => {
                let restart = restart_of(which);
                let Which::Id(id) = child else { return };
                Command::Add { spec: spec(&id, restart), start: which.is_multiple_of(2) }
            }
        };
        self.give(kernel, Event::Command(ticket, command));
    }

    /// From here on everybody obeys and every start succeeds: the kernel comes to rest.
    fn settle(&mut self, kernel: &mut Kernel) {
        for _ in 0..10_000 {
            if let Some(key) = self.starting.take() {
                self.start(kernel, key);
            } else if let Some(pid) =
                self.alive.iter().find(|(_, told)| **told != Told::Nothing).map(|(pid, _)| *pid)
            {
                self.die(kernel, pid, ExitReason::Shutdown);
            } else if let Some(deadline) = kernel.deadline() {
                assert!(deadline > self.now, "a deadline is passed");
                self.now = deadline;
                self.give(kernel, Event::Tick);
            } else {
                return;
            }
        }
        panic!("it never comes to rest: {kernel:?}");
    }
}

fn restart_of(number: u8) -> Restart {
    let all = [Restart::Permanent, Restart::Transient, Restart::Intrinsic, Restart::Temporary];
    all[usize::from(number) % 4]
}

fn policies() -> impl proptest::strategy::Strategy<Value = Policy> {
    let order = || prop_oneof![Just(Order::LeftToRight), Just(Order::RightToLeft)];
    let strategy = prop_oneof![
        Just(Strategy::OneForOne),
        Just(Strategy::OneForAll),
        Just(Strategy::RestForOne),
        Just(Strategy::RestartLeft)
    ];
    let mode = prop_oneof![
        order().prop_map(RestartMode::Each),
        order().prop_map(RestartMode::InOrder),
        order().prop_map(RestartMode::RevOrder)
    ];
    let auto = prop_oneof![
        Just(AutoShutdown::Never),
        Just(AutoShutdown::AnySignificant),
        Just(AutoShutdown::AllSignificant)
    ];
    let down =
        prop_oneof![order().prop_map(ShutdownOrder::Sequential), Just(ShutdownOrder::Parallel)];
    (strategy, mode, auto, down, 0_u32..20).prop_map(
        |(strategy, mode, auto_shutdown, shutdown_order, restarts)| Policy {
            strategy,
            mode,
            intensity: Intensity { restarts, period: SECOND },
            auto_shutdown,
            shutdown_order,
            bounds: Bounds { commands: 3, children: 6, ..Bounds::default() },
        },
    )
}

fn children(kinds: &[u8]) -> Vec<ChildSpec> {
    let child = |(number, kind): (usize, &u8)| ChildSpec {
        significant: kind & 4 != 0,
        delay: (kind & 8 != 0).then_some(SECOND / 2),
        shutdown: if kind & 16 != 0 { Shutdown::BrutalKill } else { Shutdown::Timeout(SECOND) },
        ..spec(&format!("child {number}"), restart_of(*kind))
    };
    kinds.iter().enumerate().map(child).collect()
}

/// What holds once nothing is under way any more.
fn check_rest(world: &World, kernel: &Kernel) {
    assert!(world.open.is_empty(), "never answered: {:?}", world.open);
    assert!(kernel.work.is_none() || world.ended.is_some());
    for child in kernel.children.values() {
        let at_rest = matches!(child.state, State::Running(_) | State::Stopped | State::Ignored);
        assert!(at_rest, "{child:?}");
    }
    let running = kernel.children.values().filter(|c| matches!(c.state, State::Running(_)));
    assert_eq!(running.count(), world.alive.len(), "the kernel and the world agree");
}

/// Of several restarts no more lie within a period than the intensity says.
fn check_intensity(world: &World, policy: &Policy) {
    let at_most = policy.intensity.restarts as usize;
    for (number, at) in world.restarts.iter().enumerate() {
        let earlier = world.restarts[..number].iter().filter(|e| at.since(**e) <= SECOND).count();
        assert!(earlier < at_most.max(1), "{} restarts in a period", earlier + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_children_are_accounted_for(
        policy in policies(),
        kinds in proptest::collection::vec(any::<u8>(), 0..6),
        happenings in proptest::collection::vec(any::<(u8, u8)>(), 0..150),
    ) {
        let (mut kernel, _) = Kernel::new(policy, children(&kinds)).unwrap();
        let mut world = World::default();
        world.give(&mut kernel, Event::Tick);
        for happening in happenings {
            world.random(&mut kernel, happening);
        }
        world.settle(&mut kernel);
        check_rest(&world, &kernel);
        if !kinds.iter().any(|kind| kind & 8 != 0) {
            check_intensity(&world, &policy);
        }

        // And it can be ended from here.
        let was_alive = world.ended.is_none();
        world.told_in_the_end.clear();
        world.give(&mut kernel, Event::ShutDown(ExitReason::Shutdown));
        world.settle(&mut kernel);
        prop_assert!(world.ended.is_some() && world.alive.is_empty());
        if was_alive {
            let mut expected = world.told_in_the_end.clone();
            expected.sort_unstable();
            if let ShutdownOrder::Sequential(Order::RightToLeft) = policy.shutdown_order {
                expected.reverse();
            }
            prop_assert_eq!(&world.told_in_the_end, &expected);
        }
        world.command(&mut kernel, 200);
        prop_assert!(world.open.is_empty(), "a command after the end is answered");
    }

    #[test]
    fn permanent_children_run_in_the_end(
        policy in policies(),
        count in 1_usize..6,
        happenings in proptest::collection::vec((0_u8..13, any::<u8>()), 0..100),
    ) {
        let kinds = vec![0; count];
        let (mut kernel, _) = Kernel::new(policy, children(&kinds)).unwrap();
        let mut world = World::default();
        world.give(&mut kernel, Event::Tick);
        for happening in happenings {
            // No start is ignored.
            let (what, which) = happening;
            world.random(&mut kernel, (what, if which % 8 == 0 { 1 } else { which }));
        }
        world.settle(&mut kernel);
        if world.ended.is_none() {
            prop_assert_eq!(world.alive.len(), count);
        }
    }
}

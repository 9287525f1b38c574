//! The supervisor's decisions, case by case. A start is written `+a`, an exit signal `-a`, a kill
//! `!a`; everybody does at once as it is told, unless a case says otherwise.

use super::command::Success;
use super::model::{SECOND, pid, spec};
use super::*;
use crate::supervisor::spec::{Intensity, Order, Restart, RestartMode, Strategy};
use Order::{LeftToRight, RightToLeft};
use RestartMode::{Each, InOrder, RevOrder};

mod lives;

/// A kernel among obedient processes.
struct Case {
    kernel: Kernel,
    now: Instant,
    pids: FxHashMap<Key, Pid>,
    next: u32,
    log: Vec<String>,
    answers: Vec<Answer>,
    /// Whose starts fail, and how.
    refusing: Vec<(&'static str, NoStart)>,
    /// Who does not hear exit signals, or (`deaf` twice) not even kills.
    deaf: Vec<&'static str>,
    /// Starts that are not answered.
    slow: Vec<&'static str>,
}

impl Case {
    fn new(policy: Policy, specs: Vec<ChildSpec>) -> Self {
        Self::refusing(policy, specs, Vec::new())
    }

    fn refusing(
        policy: Policy,
        specs: Vec<ChildSpec>,
        refusing: Vec<(&'static str, NoStart)>,
    ) -> Self {
        let (kernel, _) = Kernel::new(policy, specs).unwrap();
        let mut case = Self {
            kernel,
            now: Instant::default(),
            pids: FxHashMap::default(),
            next: 0,
            log: Vec::new(),
            answers: Vec::new(),
            refusing,
            deaf: Vec::new(),
            slow: Vec::new(),
        };
        case.give(Event::Tick);
        case
    }

    fn give(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut out = Vec::new();
            self.kernel.step(event, self.now, &mut out);
            for action in out {
                events.extend(self.act(action));
            }
        }
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        let named = |case: &Self, pid| case.kernel.pids.get(&pid).map(|key| case.kernel.id(*key));
        match action {
            Action::Start(key) => {
                let id = self.kernel.id(key);
                self.log.push(format!("+{id}"));
                if self.slow.contains(&id.as_str()) {
                    return None;
                }
                if let Some((_, why)) = self.refusing.iter().find(|(who, _)| *who == id) {
                    return Some(Event::NotStarted(key, why.clone()));
                }
                self.next += 1;
                self.pids.insert(key, pid(self.next));
                Some(Event::Started(key, pid(self.next)))
            }
            Action::CancelStart(_) => {
                self.log.push("cancel".into());
                None
            }
            Action::Exit(pid) => {
                let id = named(self, pid).unwrap();
                self.log.push(format!("-{id}"));
                let hears = !self.deaf.contains(&id.as_str());
                hears.then_some(Event::Exited(pid, ExitReason::Shutdown))
            }
            Action::Kill(pid) => {
                let id = named(self, pid).unwrap();
                self.log.push(format!("!{id}"));
                let hears = self.deaf.iter().filter(|who| **who == id).count() < 2;
                hears.then(|| Event::Exited(pid, ExitReason::Killed("killed".into())))
            }
            Action::Reply(_, answer) => {
                self.answers.push(answer);
                None
            }
            Action::End(reason) => {
                self.log.push(format!("end: {reason}"));
                None
            }
            Action::Report(SupervisorEvent::LeftBehind { id, .. }) => {
                self.log.push(format!("left behind: {id}"));
                None
            }
            Action::Adopt(..) | Action::Forget(_) | Action::Ready | Action::Report(_) => None,
        }
    }

    /// What was done since the last look.
    fn log(&mut self) -> String {
        std::mem::take(&mut self.log).join(" ")
    }

    fn pid(&self, id: &str) -> Pid {
        self.pids[&self.kernel.ids[id]]
    }

    fn dies(&mut self, id: &str, reason: ExitReason) -> String {
        let pid = self.pid(id);
        self.log.clear();
        self.give(Event::Exited(pid, reason));
        self.log()
    }

    fn ask(&mut self, command: Command) -> Answer {
        self.give(Event::Command(Ticket(0), command));
        self.answers.pop().expect("it is answered at once")
    }

    fn pass(&mut self, time: Duration) -> String {
        self.now = self.now + time;
        self.give(Event::Tick);
        self.log()
    }

    fn state(&mut self, id: &str) -> Option<ChildState> {
        match self.ask(Command::Look(which(id))) {
            Ok(Success::Child(child)) => child.map(|child| child.state),
            other => panic!("{other:?}"),
        }
    }
}

fn which(id: &str) -> Which {
    Which::Id(id.into())
}

fn failure() -> ExitReason {
    ExitReason::Error("a reason".into())
}

fn often() -> Policy {
    Policy { intensity: Intensity { restarts: 100, period: SECOND }, ..Policy::default() }
}

fn group(strategy: Strategy, mode: RestartMode) -> Policy {
    Policy { strategy, mode, ..often() }
}

fn permanent(ids: &str) -> Vec<ChildSpec> {
    ids.chars().map(|id| spec(&id.to_string(), Restart::Permanent)).collect()
}

#[test]
fn who_is_restarted_and_in_which_order() {
    use Strategy::{OneForAll, OneForOne, RestForOne, RestartLeft};
    let erlang = RestartMode::default();
    let cases = [
        (OneForOne, erlang, 'b', "+b"),
        (OneForOne, Each(RightToLeft), 'a', "+a"),
        (OneForAll, erlang, 'b', "-d -c -a +a +b +c +d"),
        (OneForAll, Each(LeftToRight), 'b', "-a +a +b -c +c -d +d"),
        (OneForAll, Each(RightToLeft), 'b', "-d +d -c +c +b -a +a"),
        (OneForAll, InOrder(LeftToRight), 'b', "-a -c -d +a +b +c +d"),
        (OneForAll, InOrder(RightToLeft), 'b', "-d -c -a +d +c +b +a"),
        (OneForAll, RevOrder(LeftToRight), 'b', "-a -c -d +d +c +b +a"),
        (OneForAll, RevOrder(RightToLeft), 'b', "-d -c -a +a +b +c +d"),
        (RestartLeft, Each(LeftToRight), 'c', "-a +a -b +b +c"),
        (RestartLeft, Each(LeftToRight), 'a', "+a"),
        (RestartLeft, InOrder(LeftToRight), 'c', "-a -b +a +b +c"),
        (RestartLeft, InOrder(RightToLeft), 'c', "-b -a +c +b +a"),
        (RestartLeft, RevOrder(LeftToRight), 'c', "-a -b +c +b +a"),
        (RestartLeft, RevOrder(RightToLeft), 'c', "-b -a +a +b +c"),
        (RestForOne, erlang, 'b', "-d -c +b +c +d"),
        (RestForOne, Each(LeftToRight), 'b', "+b -c +c -d +d"),
        (RestForOne, Each(LeftToRight), 'd', "+d"),
        (RestForOne, InOrder(LeftToRight), 'b', "-c -d +b +c +d"),
        (RestForOne, InOrder(RightToLeft), 'b', "-d -c +d +c +b"),
        (RestForOne, RevOrder(LeftToRight), 'b', "-c -d +d +c +b"),
        (RestForOne, RevOrder(RightToLeft), 'b', "-d -c +b +c +d"),
    ];
    for (strategy, mode, who, expected) in cases {
        let mut case = Case::new(group(strategy, mode), permanent("abcd"));
        assert_eq!(case.log(), "+a +b +c +d");
        let done = case.dies(&who.to_string(), failure());
        assert_eq!(done, expected, "{strategy:?} {mode:?}, {who} ends");
    }
}

#[test]
fn who_is_restarted_after_which_reason() {
    use Restart::{Intrinsic, Permanent, Temporary, Transient};
    let killed = || ExitReason::Killed("x".into());
    let away = || ExitReason::NoConnection("x".into());
    let cases = [
        (Permanent, ExitReason::Normal, "+a", true),
        (Permanent, ExitReason::Shutdown, "+a", true),
        (Permanent, failure(), "+a", true),
        (Transient, ExitReason::Normal, "", true),
        (Transient, ExitReason::Shutdown, "", true),
        (Transient, failure(), "+a", true),
        (Transient, killed(), "+a", true),
        (Transient, away(), "+a", true),
        (Temporary, ExitReason::Normal, "", false),
        (Temporary, failure(), "", false),
        (Intrinsic, failure(), "+a", true),
        (Intrinsic, ExitReason::Normal, "-b end: normal", true),
        (Intrinsic, ExitReason::Shutdown, "-b end: normal", true),
    ];
    for (restart, reason, expected, is_kept) in cases {
        let children = vec![spec("a", restart), spec("b", Permanent)];
        let mut case = Case::new(often(), children);
        assert_eq!(case.dies("a", reason.clone()), expected, "{restart:?} {reason}");
        if !expected.contains("end") {
            assert_eq!(case.state("a").is_some(), is_kept, "{restart:?} {reason}");
        }
    }
}

#[test]
fn of_a_group_temporary_children_are_stopped_and_forgotten() {
    let mut children = permanent("abc");
    children[1].restart = Restart::Temporary;
    let mut case = Case::new(group(Strategy::OneForAll, RestartMode::default()), children);
    assert_eq!(case.dies("a", failure()), "-c -b +a +c");
    assert_eq!(case.state("b"), None);
    assert_eq!(case.dies("c", failure()), "-a +a +c");
}

#[test]
fn a_temporary_or_transient_end_leaves_the_siblings_alone() {
    let mut children = permanent("abc");
    children[0].restart = Restart::Temporary;
    children[1].restart = Restart::Transient;
    let mut case = Case::new(group(Strategy::OneForAll, RestartMode::default()), children);
    assert_eq!(case.dies("a", failure()), "");
    assert_eq!(case.dies("b", ExitReason::Normal), "");
    // As in Erlang, a restart of all starts those again, too, that had ended well.
    assert_eq!(case.dies("c", failure()), "+b +c");
}

#[test]
fn the_intensity_is_counted_as_erlang_does() {
    let policy =
        Policy { intensity: Intensity { restarts: 3, period: 2 * SECOND }, ..Policy::default() };
    let mut case = Case::new(policy, permanent("ab"));
    for _ in 0..3 {
        assert_eq!(case.dies("a", failure()), "+a");
    }
    case.pass(2 * SECOND);
    let done = case.dies("a", failure());
    assert_eq!(done, "-b end: shutdown", "a restart counts to the end of its period");

    let mut case = Case::new(policy, permanent("ab"));
    for _ in 0..10 {
        case.pass(SECOND);
        assert_eq!(case.dies("a", failure()), "+a");
    }
    // A restart of several counts once.
    let strategy = Strategy::OneForAll;
    let mut case = Case::new(Policy { strategy, ..policy }, permanent("abc"));
    for _ in 0..3 {
        assert_eq!(case.dies("b", failure()), "-c -a +a +b +c");
    }
    assert_eq!(case.dies("b", failure()), "-c -a end: shutdown");
}

#[test]
fn a_restart_that_fails_is_tried_again_and_counted() {
    let policy =
        Policy { intensity: Intensity { restarts: 3, period: SECOND }, ..Policy::default() };
    let mut case = Case::new(policy, permanent("ab"));
    case.refusing = vec![("a", NoStart::failed("no"))];
    assert_eq!(case.dies("a", failure()), "+a +a +a -b end: shutdown");

    // In a group, only what failed is tried again.
    let mut case = Case::new(Policy { strategy: Strategy::OneForAll, ..policy }, permanent("abc"));
    case.slow = vec!["b"];
    assert_eq!(case.dies("c", failure()), "-b -a +a +b");
    let key = case.kernel.ids["b"];
    case.slow.clear();
    case.give(Event::NotStarted(key, NoStart::failed("not yet")));
    assert_eq!(case.log(), "+b +c");
}

#[test]
fn a_restart_with_a_delay_waits_where_it_would_be_too_many() {
    let mut children = permanent("ab");
    children[0].delay = Some(3 * SECOND);
    let mut case = Case::new(Policy::default(), children);
    assert_eq!(case.dies("a", failure()), "+a");
    assert_eq!(case.dies("a", failure()), "");
    assert_eq!(case.state("a"), Some(ChildState::Restarting));
    assert_eq!(case.ask(Command::Restart(which("a"))), Err(ChildProblem::Restarting));
    assert_eq!(case.ask(Command::Delete(which("a"))), Err(ChildProblem::Restarting));
    assert_eq!(case.pass(2 * SECOND), "");
    assert_eq!(case.kernel.deadline(), Some(case.now + SECOND));
    assert_eq!(case.pass(SECOND), "+a");

    // Whoever is waiting can be stopped.
    assert_eq!(case.dies("a", failure()), "");
    assert_eq!(case.ask(Command::Terminate(which("a"))), Ok(Success::Done));
    assert_eq!(case.pass(10 * SECOND), "");
    assert_eq!(case.state("a"), Some(ChildState::Stopped));
}

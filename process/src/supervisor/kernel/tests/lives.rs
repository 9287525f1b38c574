//! Starts, commands and ends.

use super::*;
use crate::supervisor::spec::{AutoShutdown, Bounds, Shutdown, ShutdownOrder};

#[test]
fn the_first_start_is_all_or_nothing() {
    let refusing = vec![("c", NoStart::failed("no"))];
    let mut case = Case::refusing(often(), permanent("abcd"), refusing);
    let end = "end: error: child `c` did not start: no";
    assert_eq!(case.log(), format!("+a +b +c -b -a {end}"));

    // Whoever wants not to run is no failure.
    let refusing = vec![("a", NoStart::Ignore), ("b", NoStart::Ignore)];
    let children = vec![spec("a", Restart::Transient), spec("b", Restart::Temporary)];
    let mut case = Case::refusing(often(), children, refusing);
    assert_eq!(case.log(), "+a +b");
    assert_eq!((case.state("a"), case.state("b")), (Some(ChildState::Ignored), None));

    assert!(Kernel::new(often(), permanent("aba")).is_err(), "two children of one id");
}

#[test]
fn a_start_has_a_time_out() {
    let mut case = Case::new(often(), permanent("a"));
    case.slow = vec!["b"];
    case.give(Event::Command(
        Ticket(1),
        Command::Add { spec: spec("b", Restart::Permanent), start: true },
    ));
    assert!(case.answers.is_empty());
    assert_eq!(case.state("b"), Some(ChildState::Starting));
    assert_eq!(case.pass(SECOND), "+a +b cancel");
    let why = "it had not started after 1s";
    assert_eq!(case.answers, [Err(ChildProblem::NotStarted(why.into()))]);
    assert_eq!(case.state("b"), None, "a new child that cannot be started is forgotten");
}

#[test]
fn children_are_added_started_stopped_and_deleted() {
    let mut case = Case::new(often(), permanent("a"));
    let b = || spec("b", Restart::Transient);
    let add = |start| Command::Add { spec: b(), start };
    assert_eq!(case.ask(Command::Restart(which("b"))), Err(ChildProblem::NotFound));
    assert_eq!(case.ask(add(false)), Ok(Success::Done));
    assert_eq!(case.state("b"), Some(ChildState::Stopped));
    assert_eq!(case.ask(add(false)), Err(ChildProblem::AlreadyPresent));
    assert_eq!(case.ask(add(true)), Err(ChildProblem::AlreadyPresent));
    let Ok(Success::Started(Some(pid))) = case.ask(Command::Restart(which("b"))) else {
        panic!("it starts");
    };
    assert_eq!(case.ask(add(true)), Err(ChildProblem::Running(pid)));
    assert_eq!(case.ask(Command::Restart(which("b"))), Err(ChildProblem::Running(pid)));
    assert_eq!(case.ask(Command::Delete(which("b"))), Err(ChildProblem::Running(pid)));
    let Ok(Success::Counts(counts)) = case.ask(Command::Count) else { panic!() };
    assert_eq!((counts.specs, counts.active, counts.workers), (2, 2, 2));
    // By pid as well as by id; the siblings notice nothing.
    case.log();
    assert_eq!(case.ask(Command::Terminate(Which::Pid(pid))), Ok(Success::Done));
    assert_eq!(case.log(), "-b");
    assert_eq!(case.ask(Command::Terminate(which("b"))), Ok(Success::Done));
    assert!(matches!(case.ask(Command::Restart(which("b"))), Ok(Success::Started(Some(_)))));
    assert_eq!(case.ask(Command::Terminate(which("b"))), Ok(Success::Done));
    assert_eq!(case.ask(Command::Delete(which("b"))), Ok(Success::Done));
    assert_eq!(case.ask(Command::Delete(which("b"))), Err(ChildProblem::NotFound));
    assert_eq!(case.ask(Command::Terminate(which("b"))), Err(ChildProblem::NotFound));

    let temporary = Command::Add { spec: spec("t", Restart::Temporary), start: true };
    assert!(matches!(case.ask(temporary), Ok(Success::Started(Some(_)))));
    assert_eq!(case.ask(Command::Terminate(which("t"))), Ok(Success::Done));
    assert_eq!(case.ask(Command::Delete(which("t"))), Err(ChildProblem::NotFound));
}

#[test]
fn a_child_that_does_not_end_is_killed_and_then_left_behind() {
    let mut children = permanent("abc");
    children[0].shutdown = Shutdown::BrutalKill;
    children[2].shutdown = Shutdown::Infinity;
    let bounds = Bounds { shutdown_max: 60 * SECOND, ..Bounds::default() };
    let mut case = Case::new(Policy { bounds, ..often() }, children);
    case.deaf = vec!["a", "a", "b", "c"];
    case.log();
    case.give(Event::ShutDown(ExitReason::Shutdown));
    assert_eq!(case.log(), "-c");
    assert_eq!(case.pass(59 * SECOND), "");
    assert_eq!(case.pass(SECOND), "!c -b");
    assert_eq!(case.pass(SECOND), "!b !a");
    assert_eq!(case.pass(KILL_WAIT), "left behind: a end: shutdown");
    assert_eq!(case.kernel.deadline(), None);
}

#[test]
fn the_end_comes_in_the_order_asked_for() {
    let orders = [
        (ShutdownOrder::default(), "-c -b -a end: shutdown"),
        (ShutdownOrder::Sequential(LeftToRight), "-a -b -c end: shutdown"),
        (ShutdownOrder::Parallel, "-a -b -c end: shutdown"),
    ];
    for (shutdown_order, expected) in orders {
        let mut case = Case::new(Policy { shutdown_order, ..often() }, permanent("abc"));
        case.log();
        case.give(Event::ShutDown(ExitReason::Shutdown));
        assert_eq!(case.log(), expected);
        let late = case.ask(Command::Terminate(which("a")));
        assert_eq!(late, Err(ChildProblem::ShuttingDown));
    }
    let parallel = Policy { shutdown_order: ShutdownOrder::Parallel, ..often() };
    let mut case = Case::new(parallel, permanent("abc"));
    case.deaf = vec!["a", "b", "c"];
    case.log();
    case.give(Event::ShutDown(ExitReason::Shutdown));
    assert_eq!(case.log(), "-a -b -c", "nobody waits for another");
    assert_eq!(case.pass(SECOND), "!a !b !c end: shutdown");
}

#[test]
fn the_end_interrupts_a_start_and_answers_who_waits() {
    let mut case = Case::new(often(), permanent("a"));
    case.slow = vec!["b"];
    let add = |id| Command::Add { spec: spec(id, Restart::Permanent), start: true };
    case.give(Event::Command(Ticket(1), add("b")));
    case.give(Event::Command(Ticket(2), add("c")));
    case.log();
    case.give(Event::ShutDown(ExitReason::Shutdown));
    assert_eq!(case.log(), "cancel -a end: shutdown");
    let ending = || Err(ChildProblem::ShuttingDown);
    assert_eq!(case.answers, [ending(), ending()]);
}

#[test]
fn deaths_come_before_commands_and_both_wait_their_turn() {
    let mut case = Case::new(often(), permanent("ab"));
    case.slow = vec!["c"];
    let add = |id| Command::Add { spec: spec(id, Restart::Permanent), start: true };
    case.give(Event::Command(Ticket(1), add("c")));
    case.give(Event::Command(Ticket(2), add("d")));
    case.log();
    assert_eq!(case.dies("a", failure()), "", "one thing at a time");
    assert_eq!(case.state("a"), Some(ChildState::Restarting), "questions are answered at once");
    let c = case.kernel.ids["c"];
    case.give(Event::Started(c, pid(99)));
    assert_eq!(case.log(), "+a +d");

    let bounds = Bounds { commands: 1, ..Bounds::default() };
    let mut case = Case::new(Policy { bounds, ..often() }, permanent("a"));
    case.slow = vec!["c"];
    for ticket in 0..3 {
        case.give(Event::Command(Ticket(ticket), add("c")));
    }
    assert_eq!(case.answers, [Err(ChildProblem::Busy)]);
}

#[test]
fn a_supervisor_ends_with_its_significant_children() {
    use AutoShutdown::{AllSignificant, AnySignificant, Never};
    let cases = [(Never, "", ""), (AnySignificant, "-c -b end: shutdown", "")]
        .into_iter()
        .chain([(AllSignificant, "", "-c end: shutdown")]);
    for (auto_shutdown, first, second) in cases {
        let mut children = permanent("abc");
        for child in &mut children[..2] {
            (child.restart, child.significant) = (Restart::Transient, true);
        }
        let mut case = Case::new(Policy { auto_shutdown, ..often() }, children);
        assert_eq!(case.dies("a", failure()), "+a", "abnormally: it is restarted");
        assert_eq!(case.dies("a", ExitReason::Normal), first);
        if first.is_empty() {
            assert_eq!(case.dies("b", ExitReason::Normal), second);
        }
        // One that is stopped by command does not count.
        let mut child = spec("a", Restart::Transient);
        child.significant = true;
        let mut case = Case::new(Policy { auto_shutdown, ..often() }, vec![child]);
        case.log();
        assert_eq!(case.ask(Command::Terminate(which("a"))), Ok(Success::Done));
        assert_eq!(case.log(), "-a");
    }
}

#[test]
fn the_number_of_children_is_bounded() {
    let bounds = Bounds { children: 2, ..Bounds::default() };
    let mut case = Case::new(Policy { bounds, ..often() }, permanent("ab"));
    let third = Command::Add { spec: spec("c", Restart::Permanent), start: false };
    assert_eq!(case.ask(third), Err(ChildProblem::TooManyChildren));
    assert!(Kernel::new(Policy { bounds, ..often() }, permanent("abc")).is_err());
}

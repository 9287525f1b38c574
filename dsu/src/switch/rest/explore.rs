//! Every order of events in small groups: members and others that send and call each other, a group that is asked to come to
//! rest at any moment, and may be given up at any other. What decides is the real thing; processes and mailboxes are a model.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use midflight_message::{NodeId, Pid};

use super::{At, Rest, Verdict, look};

/// What a process does at a message, or an outsider from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Cast(usize, u8),
    Call(usize, u8),
}

use Step::{Call, Cast};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Mail {
    from: usize,
    kind: u8,
    is_call: bool,
    by_new: bool,
}

/// A handler in its middle.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Doing {
    steps: VecDeque<Step>,
    awaits: Option<usize>,
    caller: Option<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Process {
    mailbox: VecDeque<Mail>,
    doing: Option<Doing>,
    is_new: bool,
    is_frozen: bool,
    /// Whom it takes messages of, and whether it has looked.
    gate: Option<(BTreeSet<usize>, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    /// Nobody has asked for a switch yet.
    Before,
    ComesToRest,
    Switched,
    GivenUp,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    processes: Vec<Process>,
    group: Group,
    /// What was sent and handled, by sender and receiver.
    sent: BTreeMap<(usize, usize), Vec<u8>>,
    handled: BTreeMap<(usize, usize), Vec<u8>>,
    /// Whether new code has handled what old code of a member has sent it.
    is_mixed: bool,
}

struct Case {
    members: usize,
    /// What each outsider does from the start, behind the members.
    outsiders: &'static [&'static [Step]],
    /// What a process does at a message of that kind.
    program: fn(usize, u8) -> &'static [Step],
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Step(usize),
    Begin,
    Freeze(usize),
    Look,
    GiveUp,
}

fn pid(process: usize) -> Pid {
    Pid { node: NodeId(1), index: u32::try_from(process).unwrap(), generation: 1 }
}

fn number(pid: Pid) -> usize {
    pid.index as usize
}

impl World {
    fn new(case: &Case) -> Self {
        let members = (0..case.members).map(|_| Process::default());
        let outsiders = case.outsiders.iter().map(|steps| Process {
            doing: Some(Doing {
                steps: steps.iter().copied().collect(),
                awaits: None,
                caller: None,
            }),
            ..Process::default()
        });
        Self {
            processes: members.chain(outsiders).collect(),
            group: Group::Before,
            sent: BTreeMap::new(),
            handled: BTreeMap::new(),
            is_mixed: false,
        }
    }

    fn events(&self, case: &Case, rest: Rest) -> Vec<Event> {
        let all = 0..self.processes.len();
        let mut events: Vec<_> = all.filter(|at| self.can_step(*at)).map(Event::Step).collect();
        match self.group {
            Group::Before => events.push(Event::Begin),
            Group::ComesToRest => {
                let members = 0..case.members;
                events.extend(members.filter(|at| self.can_freeze(*at)).map(Event::Freeze));
                events.push(Event::GiveUp);
                if self.verdict(case, rest) != Verdict::Wait {
                    events.push(Event::Look);
                }
            }
            Group::Switched | Group::GivenUp => {}
        }
        events
    }

    fn next_mail(&self, at: usize) -> Option<usize> {
        let process = &self.processes[at];
        let is_admitted = |mail: &Mail| {
            process.gate.as_ref().is_none_or(|(admitted, _)| admitted.contains(&mail.from))
        };
        process.mailbox.iter().position(is_admitted)
    }

    fn can_step(&self, at: usize) -> bool {
        let process = &self.processes[at];
        !process.is_frozen
            && match &process.doing {
                Some(doing) => doing.awaits.is_none(),
                None => self.next_mail(at).is_some(),
            }
    }

    fn can_freeze(&self, at: usize) -> bool {
        let process = &self.processes[at];
        let is_due = process.gate.as_ref().is_some_and(|(_, has_looked)| !has_looked);
        !process.is_frozen && process.doing.is_none() && !is_due
    }

    fn verdict(&self, case: &Case, rest: Rest) -> Verdict {
        let waits_on = |at: usize| {
            let doing = self.processes[at].doing.as_ref();
            doing.and_then(|doing| doing.awaits).into_iter().map(pid).collect::<Vec<_>>()
        };
        let members = (0..case.members).map(|at| {
            let process = &self.processes[at];
            let seen = match process.is_frozen {
                true => {
                    At::Resting { mail_from: process.mailbox.iter().map(|m| pid(m.from)).collect() }
                }
                false => At::Going { waits_on: waits_on(at) },
            };
            (pid(at), seen)
        });
        look(rest, &members.collect(), |outsider| waits_on(number(outsider)))
    }

    fn after(mut self, event: Event, case: &Case, rest: Rest) -> Self {
        match event {
            Event::Step(at) => self.step(at, case),
            Event::Begin => self.group = Group::ComesToRest,
            Event::Freeze(at) => self.processes[at].is_frozen = true,
            Event::GiveUp => {
                self.group = Group::GivenUp;
                for process in &mut self.processes {
                    (process.is_frozen, process.gate) = (false, None);
                }
            }
            Event::Look => match self.verdict(case, rest) {
                Verdict::Wait => {}
                Verdict::Rests => self.switch(case, rest),
                Verdict::LetGo { pids, admitted } => {
                    let admitted: BTreeSet<_> = admitted.into_iter().map(number).collect();
                    for process in pids.into_iter().map(number) {
                        let process = &mut self.processes[process];
                        (process.is_frozen, process.gate) =
                            (false, Some((admitted.clone(), false)));
                    }
                }
            },
        }
        self
    }

    fn switch(&mut self, case: &Case, rest: Rest) {
        for at in 0..case.members {
            let process = &mut self.processes[at];
            assert!(process.is_frozen && process.doing.is_none(), "{self:?}");
            let from_within = process.mailbox.iter().any(|mail| mail.from < case.members);
            assert!(rest == Rest::Tranquil || !from_within, "{self:?}");
            (process.is_frozen, process.gate, process.is_new) = (false, None, true);
        }
        self.group = Group::Switched;
    }

    fn step(&mut self, at: usize, case: &Case) {
        let is_new = self.processes[at].is_new;
        let Some(doing) = &mut self.processes[at].doing else {
            return self.take(at, case);
        };
        let Some(step) = doing.steps.pop_front() else {
            let caller = doing.caller;
            self.processes[at].doing = None;
            if let Some(caller) = caller {
                let waiting = self.processes[caller].doing.as_mut().expect("it awaits the reply");
                assert_eq!(waiting.awaits.take(), Some(at));
            }
            return;
        };
        let (to, kind, is_call) = match step {
            Cast(to, kind) => (to, kind, false),
            Call(to, kind) => (to, kind, true),
        };
        doing.awaits = is_call.then_some(to);
        self.sent.entry((at, to)).or_default().push(kind);
        let mail = Mail { from: at, kind, is_call, by_new: is_new };
        self.processes[to].mailbox.push_back(mail);
    }

    fn take(&mut self, at: usize, case: &Case) {
        let next = self.next_mail(at).expect("it can step");
        let process = &mut self.processes[at];
        if let Some((_, has_looked)) = &mut process.gate {
            *has_looked = true;
        }
        let Mail { from, kind, is_call, by_new } = process.mailbox.remove(next).unwrap();
        self.is_mixed |= from < case.members && process.is_new && !by_new;
        self.handled.entry((from, at)).or_default().push(kind);
        let steps = (case.program)(at, kind).iter().copied().collect();
        process.doing = Some(Doing { steps, awaits: None, caller: is_call.then_some(from) });
    }
}

/// Explores a case. Answers how many states there are, and whether new code has met what old code of a member has sent.
fn explore(case: &Case, rest: Rest) -> (usize, bool) {
    let first = World::new(case);
    let (mut seen, mut next) = (HashSet::from([first.clone()]), vec![first]);
    let (mut switched, mut is_mixed) = (false, false);
    while let Some(world) = next.pop() {
        let events = world.events(case, rest);
        if events.is_empty() {
            assert!(matches!(world.group, Group::Switched | Group::GivenUp), "stuck: {world:?}");
            assert!(world.processes.iter().all(|it| it.doing.is_none()), "stuck: {world:?}");
            assert_eq!(world.sent, world.handled, "all is handled, in the order of each pair");
        }
        switched |= world.group == Group::Switched;
        is_mixed |= world.is_mixed;
        for event in events {
            let after = world.clone().after(event, case, rest);
            if seen.insert(after.clone()) {
                next.push(after);
            }
        }
    }
    assert!(switched, "it never switches");
    (seen.len(), is_mixed)
}

/// Nobody waits for ever, nothing is lost, and with [`Rest::Quiescent`] nothing that old code has sent within meets new code.
fn explore_both(case: &Case) {
    let (quiescent, is_mixed) = explore(case, Rest::Quiescent);
    assert!(!is_mixed);
    let (tranquil, _) = explore(case, Rest::Tranquil);
    assert!(quiescent > 10 && tranquil > 10);
}

#[test]
fn a_pipeline_of_three() {
    // 0 makes, 1 writes, 2 reads; 3 and 4 are outside.
    let case = Case {
        members: 3,
        outsiders: &[&[Cast(0, 1), Cast(0, 1)], &[Cast(2, 9)]],
        program: |at, _| match at {
            0 => &[Cast(1, 2)],
            1 => &[Cast(2, 3)],
            _ => &[],
        },
    };
    explore_both(&case);
    assert!(explore(&case, Rest::Tranquil).1, "that is what tranquil leaves open");
}

#[test]
fn calls_from_member_to_member() {
    explore_both(&Case {
        members: 3,
        outsiders: &[&[Call(0, 1), Cast(1, 9)], &[Cast(0, 1)]],
        program: |at, kind| match (at, kind) {
            (0, 1) => &[Call(1, 2)],
            (1, 2) => &[Call(2, 3)],
            _ => &[],
        },
    });
}

#[test]
fn a_call_that_goes_through_somebody_outside() {
    // 2 is outside, and asks a member before it answers one: held up, it would hold up the group.
    explore_both(&Case {
        members: 2,
        outsiders: &[&[], &[Cast(0, 1), Cast(1, 9), Call(0, 1)]],
        program: |at, kind| match (at, kind) {
            (0, 1) => &[Call(2, 2)],
            (2, 2) => &[Call(1, 3)],
            _ => &[],
        },
    });
}

#[test]
fn members_that_go_on_talking_for_a_while() {
    explore_both(&Case {
        members: 2,
        outsiders: &[&[Cast(0, 5), Cast(1, 3)]],
        program: |at, kind| match (at, kind) {
            (_, 0) => &[],
            (0, 5) => &[Cast(1, 4)],
            (1, 4) => &[Cast(0, 2), Call(0, 0)],
            (0, 2) => &[Cast(1, 1)],
            (1, 1) => &[Cast(1, 0)],
            (1, 3) => &[Cast(0, 0)],
            _ => &[],
        },
    });
}

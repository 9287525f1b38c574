//! One rollout of a name at a time, one decision of each, and who may take it.

use super::*;

fn party(name: &str) -> Party {
    Party { name: name.into(), id: NodeId(u64::from(name.as_bytes()[0])) }
}

fn plan(bundle: &str) -> Plan {
    let waves = vec![vec![party("a"), party("b")]];
    let (bundle, address) = (bundle.to_owned(), "00".repeat(32));
    Plan {
        bundle,
        address,
        version: 2,
        policy: Policy::Migrate,
        waves,
        gates: None,
        back: None,
        goes_back: false,
    }
}

fn begin(ledger: &mut Ledger, bundle: &str, token: u64, by: &str) -> Answer {
    let by = party(by);
    ledger.apply(Command::Begin { token, by, plan: plan(bundle), after: 3 })
}

fn ticket(answer: Answer) -> Ticket {
    let Answer::Yours(ticket) = answer else { panic!("{answer:?}") };
    ticket
}

fn decide(ledger: &mut Ledger, ticket: &Ticket, commit: bool) -> Answer {
    let verdict = Verdict { commit, why: String::new() };
    ledger.apply(Command::Decide { ticket: ticket.clone(), verdict })
}

fn is_commit(answer: &Answer) -> bool {
    matches!(answer, Answer::Decided(Verdict { commit: true, .. }))
}

#[test]
fn of_one_name_one_rollout_is_open_and_of_two_names_two() {
    let mut ledger = Ledger::default();
    let first = ticket(begin(&mut ledger, "x", 1, "a"));
    assert_eq!((first.number, first.epoch), (4, 1), "higher than what is known elsewhere");
    assert_eq!(ticket(begin(&mut ledger, "x", 1, "a")), first, "asked again");
    assert_eq!(begin(&mut ledger, "x", 2, "b"), Answer::Held(party("a")));
    assert_eq!(begin(&mut ledger, "x", 1, "b"), Answer::Held(party("a")), "by chance the same");
    ticket(begin(&mut ledger, "y", 2, "b"));
    assert!(is_commit(&decide(&mut ledger, &first, true)));
    assert_eq!(begin(&mut ledger, "x", 2, "b"), Answer::Held(party("a")), "not all know yet");
    assert_eq!(ledger.apply(Command::Close { ticket: first.clone() }), Answer::Done);
    assert_eq!(ledger.apply(Command::Close { ticket: first }), Answer::Done);
    assert_eq!(ticket(begin(&mut ledger, "x", 2, "b")).number, 5);
}

#[test]
fn the_first_decision_stands_also_when_it_is_over() {
    let mut ledger = Ledger::default();
    let first = ticket(begin(&mut ledger, "x", 1, "a"));
    assert!(!is_commit(&decide(&mut ledger, &first, false)));
    assert!(!is_commit(&decide(&mut ledger, &first, true)), "it was aborted");
    ledger.apply(Command::Close { ticket: first.clone() });
    assert!(!is_commit(&decide(&mut ledger, &first, true)));
    let second = ticket(begin(&mut ledger, "x", 2, "a"));
    assert!(is_commit(&decide(&mut ledger, &second, true)));
    let name = ledger.name("x").unwrap();
    assert_eq!(name.verdict(second.number).map(|it| it.commit), Some(true));
    assert_eq!(name.verdict(first.number).map(|it| it.commit), Some(false));
    assert_eq!(name.verdict(77).map(|it| it.commit), Some(false), "never begun");
}

#[test]
fn who_was_taken_over_from_decides_nothing() {
    let mut ledger = Ledger::default();
    let old = ticket(begin(&mut ledger, "x", 1, "a"));
    assert_eq!(ledger.name("x").unwrap().verdict(old.number), None);
    let take = |by: &str| Command::Take { ticket: old.clone(), by: party(by) };
    let new = ticket(ledger.apply(take("b")));
    assert_eq!(new.epoch, 2);
    assert_eq!(ticket(ledger.apply(take("b"))), new, "asked again");
    assert_eq!(ledger.apply(take("c")), Answer::Fenced(party("b")), "too late");
    assert_eq!(decide(&mut ledger, &old, true), Answer::Fenced(party("b")));
    assert!(!is_commit(&decide(&mut ledger, &new, false)));
    assert_eq!(ledger.apply(Command::Close { ticket: old }), Answer::Fenced(party("b")));
}

#[test]
fn an_operators_abort_before_the_decision_counts_and_after_it_does_not() {
    let mut ledger = Ledger::default();
    let first = ticket(begin(&mut ledger, "x", 1, "a"));
    let abort_of = |bundle: &str, number| {
        let (bundle, why) = (bundle.to_owned(), "an operator aborted it".to_owned());
        Command::Abort { bundle, number, why }
    };
    let abort = || abort_of("x", None);
    let other = ledger.apply(abort_of("x", Some(first.number + 1)));
    assert_eq!(other, Answer::None, "it is another one that is meant");
    assert_eq!(ledger.apply(abort()), Answer::Wanted(party("a")));
    assert!(!is_commit(&decide(&mut ledger, &first, true)));
    ledger.apply(Command::Close { ticket: first });
    let second = ticket(begin(&mut ledger, "x", 2, "a"));
    decide(&mut ledger, &second, true);
    assert!(is_commit(&ledger.apply(abort())));
    assert_eq!(ledger.apply(abort_of("z", None)), Answer::None);
}

#[test]
fn the_past_and_the_names_are_bounded() {
    let mut ledger = Ledger::default();
    for token in 0..3 * PAST_MAX as u64 {
        let ticket = ticket(begin(&mut ledger, "x", token, "a"));
        decide(&mut ledger, &ticket, true);
        ledger.apply(Command::Close { ticket });
    }
    assert_eq!(ledger.name("x").unwrap().past.len(), PAST_MAX);
    for n in 0..=NAMES_MAX {
        let ticket = ticket(begin(&mut ledger, &format!("n{n}"), 0, "a"));
        decide(&mut ledger, &ticket, true);
        ledger.apply(Command::Close { ticket });
    }
    assert_eq!(ledger.names().count(), NAMES_MAX);
}

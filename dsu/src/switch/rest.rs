//! When a group of processes may change code together: what decides, as data and functions.
//!
//! Every member is frozen as it comes to rest between two messages. One that rests is let go once more where others need it
//! to come to rest: it may owe them a reply, or they have sent it something that old code is to handle. What comes from
//! outside waits in the mailboxes, so that nothing new begins, and what has begun comes to its end.

use std::collections::{BTreeMap, BTreeSet};

use midflight_message::Pid;

#[cfg(test)]
mod explore;

/// How far a group comes to rest before it changes code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rest {
    /// All are between two messages, none awaits a reply, and nothing that one member has sent another lies in a mailbox: no
    /// new code ever meets what old code of the group has sent.
    Quiescent,
    /// All are between two messages at once, and none awaits a reply. What they have sent each other may lie in mailboxes,
    /// where the new code meets it.
    Tranquil,
}

/// Where a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// In the middle of something; it waits for these.
    Going { waits_on: Vec<Pid> },
    /// Frozen between two messages; messages of these lie in its mailbox.
    Resting { mail_from: BTreeSet<Pid> },
}

/// What is to be done about a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may change code now.
    Rests,
    /// These are let go once more, and take what comes from those.
    LetGo { pids: Vec<Pid>, admitted: BTreeSet<Pid> },
    /// Somebody is in the middle of something.
    Wait,
}

/// Why a member keeps its group from changing code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HoldsUp {
    /// It is in the middle of something; it waits for these.
    Going { waits_on: Vec<Pid> },
    /// There is always something more for it, from these.
    Mail { from: Vec<Pid> },
}

/// Looks at all members of a group. `waits_on` says whom a process waits for that is no member.
pub(super) fn look(
    rest: Rest,
    members: &BTreeMap<Pid, At>,
    waits_on: impl Fn(Pid) -> Vec<Pid>,
) -> Verdict {
    let needed = needed(members, waits_on);
    let is_going = |(pid, at): (&Pid, &At)| matches!(at, At::Going { .. }).then_some(*pid);
    let going: BTreeSet<_> = members.iter().filter_map(is_going).collect();
    let mut admitted: BTreeSet<_> = needed.union(&going).copied().collect();
    if rest == Rest::Quiescent {
        admitted.extend(members.keys());
    }
    let is_to_go = |(pid, at): (&Pid, &At)| match at {
        At::Going { .. } => None,
        At::Resting { mail_from } => {
            let is_asked = rest == Rest::Quiescent || needed.contains(pid);
            (is_asked && !mail_from.is_disjoint(&admitted)).then_some(*pid)
        }
    };
    let pids: Vec<_> = members.iter().filter_map(is_to_go).collect();
    match (pids.is_empty(), going.is_empty()) {
        (true, true) => Verdict::Rests,
        (true, false) => Verdict::Wait,
        (false, _) => Verdict::LetGo { pids, admitted },
    }
}

/// Whom those that are in the middle of something wait for, and whom these wait for, and so on.
fn needed(members: &BTreeMap<Pid, At>, waits_on: impl Fn(Pid) -> Vec<Pid>) -> BTreeSet<Pid> {
    let mut needed = BTreeSet::new();
    let mut next: Vec<Pid> = members.values().flat_map(At::waits_on).copied().collect();
    while let Some(pid) = next.pop() {
        // Its own waits are known already where it is a member.
        if needed.insert(pid) && !members.contains_key(&pid) {
            next.extend(waits_on(pid));
        }
    }
    needed
}

/// Who holds a group up, as it was when it was looked at last.
pub(super) fn held_up_by(rest: Rest, members: &BTreeMap<Pid, At>) -> Vec<(Pid, HoldsUp)> {
    let why = |at: &At| match at {
        At::Going { waits_on } => Some(HoldsUp::Going { waits_on: waits_on.clone() }),
        At::Resting { mail_from } if rest == Rest::Quiescent => {
            let from: Vec<_> = mail_from.iter().filter(|it| members.contains_key(it)).collect();
            (!from.is_empty()).then(|| HoldsUp::Mail { from: from.into_iter().copied().collect() })
        }
        At::Resting { .. } => None,
    };
    members.iter().filter_map(|(pid, at)| Some((*pid, why(at)?))).collect()
}

impl At {
    fn waits_on(&self) -> &[Pid] {
        match self {
            Self::Going { waits_on } => waits_on,
            Self::Resting { .. } => &[],
        }
    }
}

//! Which of the addresses that a source has named are dialled, and when: a kernel. Pure: answers, outcomes
//! and a time go in, addresses come out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midflight_message::NodeId;
use midflight_runtime::Instant;
use midflight_transport_api::Address;

/// Addresses of one source that are looked at.
pub(crate) const CANDIDATES_MAX: usize = 1_024;
/// Those that are dialled in one round.
pub(crate) const DIALS_MAX: usize = 16;
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Between two rounds, when nothing has come of the last ones or nothing is to be done.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a source is asked once members are known.
const ASKED_EVERY: Duration = Duration::from_secs(30);

/// What is known of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This node is there.
    Reached(NodeId),
    /// It cannot be dialled from here at all: it is the node's own, or none of its transport.
    Useless(String),
    /// Whoever is there wants nothing to do with this node.
    Refused(String),
    /// Nobody answered.
    Failed(String),
}

#[derive(Debug, Default)]
struct Candidate {
    /// What the last dial came to.
    outcome: Option<Outcome>,
    /// In which round that was.
    round: u64,
}

/// The search for members through one source.
#[derive(Debug)]
pub(crate) struct Search {
    candidates: BTreeMap<Address, Candidate>,
    /// When the source was asked last.
    asked: Option<Instant>,
    /// Why it did not answer last.
    failure: Option<String>,
    has_too_many: bool,
    round: u64,
    pause: Duration,
}

/// What a source's answer has changed, for the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) appeared: usize,
    pub(crate) gone: usize,
    /// It names more than are looked at, as it did not before.
    pub(crate) too_many: bool,
}

impl Search {
    pub(crate) const fn new() -> Self {
        Self {
            candidates: BTreeMap::new(),
            asked: None,
            failure: None,
            has_too_many: false,
            round: 0,
            pause: PAUSE_MIN,
        }
    }

    /// Whether the source is to be asked: in each round while this node is alone, and every now and then.
    pub(crate) fn asks(&self, now: Instant, is_alone: bool) -> bool {
        is_alone || self.asked.is_none_or(|asked| now.since(asked) >= ASKED_EVERY)
    }

    /// The source has named these; `own` is this node's. What is known of those that it named before stays.
    pub(crate) fn named(&mut self, now: Instant, found: Vec<Address>, own: &Address) -> Changes {
        self.asked = Some(now);
        self.failure = None;
        let mut found: BTreeSet<_> = found.into_iter().filter(|address| address != own).collect();
        let has_too_many = found.len() > CANDIDATES_MAX;
        let too_many = has_too_many && !std::mem::replace(&mut self.has_too_many, has_too_many);
        self.has_too_many = has_too_many;
        while found.len() > CANDIDATES_MAX {
            found.pop_last();
        }
        let before = self.candidates.len();
        self.candidates.retain(|address, _| found.contains(address));
        let kept = self.candidates.len();
        for address in found {
            self.candidates.entry(address).or_default();
        }
        Changes { appeared: self.candidates.len() - kept, gone: before - kept, too_many }
    }

    /// The source has not answered. Says whether that is news.
    pub(crate) fn unanswered(&mut self, now: Instant, why: String) -> bool {
        self.asked = Some(now);
        let is_news = self.failure.as_ref() != Some(&why);
        self.failure = Some(why);
        is_news
    }

    /// Whom to dial now: those of whom nothing is known, who did not answer, or whose node `is_up` no more;
    /// those first whose turn was longest ago, and among them by chance, so that nodes that start together
    /// do not all dial the same ones. `known` are addresses of members that are up.
    pub(crate) fn due(
        &mut self,
        is_up: impl Fn(NodeId) -> bool,
        known: &BTreeSet<Address>,
        chance: u64,
    ) -> Vec<Address> {
        self.round += 1;
        let wants = |address: &Address, candidate: &Candidate| match &candidate.outcome {
            Some(Outcome::Reached(id)) => !is_up(*id),
            Some(Outcome::Useless(_)) => false,
            Some(Outcome::Refused(_) | Outcome::Failed(_)) | None => !known.contains(address),
        };
        let mut due: Vec<_> = self
            .candidates
            .iter()
            .filter(|(address, candidate)| wants(address, candidate))
            .zip(0_u64..)
            .map(|((address, candidate), number)| {
                (candidate.round, mixed(chance ^ number), address.clone())
            })
            .collect();
        due.sort_unstable();
        due.truncate(DIALS_MAX);
        let due: Vec<_> = due.into_iter().map(|(_, _, address)| address).collect();
        for address in &due {
            if let Some(candidate) = self.candidates.get_mut(address) {
                candidate.round = self.round;
            }
        }
        due
    }

    /// What a dial came to. Says whether that is news.
    pub(crate) fn dialled(&mut self, address: &Address, outcome: Outcome) -> bool {
        let Some(candidate) = self.candidates.get_mut(address) else { return false };
        let is_news = candidate.outcome.as_ref() != Some(&outcome);
        if is_news && matches!(outcome, Outcome::Reached(_)) {
            self.pause = PAUSE_MIN;
        }
        candidate.outcome = Some(outcome);
        is_news
    }

    /// How long to rest before the next round: longer each time, up to a bound, and never the same on two
    /// nodes.
    pub(crate) fn rest(&mut self, chance: u64) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        // Four fifths to six fifths.
        let jitter = u32::try_from(chance % 401).unwrap_or_default();
        pause * (800 + jitter) / 1_000
    }
}

/// Spreads a number over all others (the finaliser of SplitMix64).
const fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: fn(NodeId) -> bool = |_| true;

    fn addresses(names: &[&str]) -> Vec<Address> {
        names.iter().map(|name| Address::new("mem", name).unwrap()).collect()
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_secs(seconds)
    }

    fn named(search: &mut Search, names: &[&str]) -> Changes {
        search.named(at(0), addresses(names), &addresses(&["me"])[0])
    }

    fn due(search: &mut Search) -> Vec<Address> {
        let mut due = search.due(UP, &BTreeSet::new(), 7);
        due.sort();
        due
    }

    #[test]
    fn what_a_source_names_is_dialled_until_it_is_reached() {
        let mut search = Search::new();
        let changes = named(&mut search, &["a", "b", "me", "b"]);
        assert_eq!(changes, Changes { appeared: 2, ..Changes::default() });
        let both = addresses(&["a", "b"]);
        assert_eq!(due(&mut search), both, "itself it does not dial");
        assert!(search.dialled(&both[0], Outcome::Reached(NodeId(1))));
        assert!(search.dialled(&both[1], Outcome::Failed("no".into())));
        assert_eq!(due(&mut search), both[1..], "who was reached is not dialled again");
        assert!(!search.dialled(&both[1], Outcome::Failed("no".into())), "said once");
        assert!(search.dialled(&both[1], Outcome::Refused("no".into())), "another matter");
        let dead = search.due(|_| false, &BTreeSet::new(), 0);
        assert!(dead.contains(&both[0]), "until its node is up no more");
    }

    #[test]
    fn who_is_a_member_already_is_not_dialled() {
        let mut search = Search::new();
        named(&mut search, &["a", "b"]);
        let known = addresses(&["a"]).into_iter().collect();
        assert_eq!(search.due(UP, &known, 0), addresses(&["b"]));
    }

    #[test]
    fn what_cannot_be_dialled_is_tried_once_while_it_is_named() {
        let mut search = Search::new();
        named(&mut search, &["a"]);
        let a = &addresses(&["a"])[0];
        search.dialled(a, Outcome::Useless("this is the same endpoint".into()));
        named(&mut search, &["a", "b"]);
        assert_eq!(due(&mut search), addresses(&["b"]));
        assert_eq!(named(&mut search, &["b"]).gone, 1);
        named(&mut search, &["a"]);
        assert_eq!(due(&mut search), addresses(&["a"]), "another may be there now");
    }

    #[test]
    fn of_very_many_a_few_are_dialled_at_a_time_and_each_has_its_turn() {
        let mut search = Search::new();
        let names: Vec<_> = (0..3_000).map(|number| format!("n{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let changes = named(&mut search, &names);
        assert_eq!((changes.appeared, changes.too_many), (CANDIDATES_MAX, true));
        assert!(!named(&mut search, &names).too_many, "said once");
        let mut seen = BTreeSet::new();
        for round in 0..CANDIDATES_MAX / DIALS_MAX {
            let due = search.due(UP, &BTreeSet::new(), round as u64);
            assert_eq!(due.len(), DIALS_MAX);
            for address in due {
                search.dialled(&address, Outcome::Failed("no".into()));
                assert!(seen.insert(address), "nobody twice before everybody once");
            }
        }
        let mut other = Search::new();
        named(&mut other, &names);
        assert_ne!(other.due(UP, &BTreeSet::new(), 1), other_first(&names), "by chance");
    }

    fn other_first(names: &[&str]) -> Vec<Address> {
        let mut search = Search::new();
        named(&mut search, names);
        search.due(UP, &BTreeSet::new(), 2)
    }

    #[test]
    fn a_source_is_asked_while_the_node_is_alone_and_now_and_then_after() {
        let mut search = Search::new();
        assert!(search.asks(at(0), false));
        named(&mut search, &["a"]);
        assert!(!search.asks(at(29), false) && search.asks(at(30), false));
        assert!(search.asks(at(1), true));
        assert!(search.unanswered(at(30), "no such name".into()));
        assert!(!search.unanswered(at(60), "no such name".into()), "said once");
        assert!(search.unanswered(at(90), "timed out".into()));
        assert_eq!(due(&mut search), addresses(&["a"]), "what was named last stays");
        named(&mut search, &["a"]);
        assert!(search.unanswered(at(90), "timed out".into()), "it had answered in between");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let mut search = Search::new();
        let rests: Vec<_> = (0..10).map(|_| search.rest(200)).collect();
        assert_eq!(rests[0], PAUSE_MIN);
        assert_eq!(rests[9], PAUSE_MAX);
        assert!(rests.is_sorted());
        assert_eq!(search.rest(0), PAUSE_MAX * 4 / 5);
        assert_eq!(search.rest(400), PAUSE_MAX * 6 / 5);
        named(&mut search, &["a"]);
        search.dialled(&addresses(&["a"])[0], Outcome::Reached(NodeId(1)));
        assert_eq!(search.rest(200), PAUSE_MIN, "where one is, the next may be soon");
        search.dialled(&addresses(&["a"])[0], Outcome::Reached(NodeId(1)));
        assert_eq!(search.rest(200), PAUSE_MIN * 2, "one that was there before is no news");
    }
}

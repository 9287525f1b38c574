//! The links and monitors of one process, and whether it traps exits: tables with what comes as
//! inputs, and what is to be done as answers. Pure.
//!
//! A link has two ends, each in the table of its own process. Either process may end it, and both may
//! make it anew at once, so that what ends the old one must not meet the new: whoever unlinks ignores
//! everything about the link until the other side has acknowledged that, as in Erlang/OTP.

pub(crate) mod exits;
mod losses;
pub(crate) mod monitoring;
mod monitors;

use crate::ExitReason;
use crate::mailbox::envelope::Sender;
use crate::small_map::SmallMap;
use losses::Losses;
pub use losses::ReconnectPolicy;
pub(crate) use monitors::{Monitors, Watched, Watcher};

/// What a process has to do with the ends of others, and they with its own.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Whether exit signals become messages.
    pub(crate) traps_exits: bool,
    /// Whether it is a supervisor: what it is linked to and watches is in its care.
    pub(crate) supervises: bool,
    /// By the process at the other end.
    links: SmallMap<Sender, Link>,
    pub(crate) monitors: Monitors,
    pub(crate) losses: Losses,
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    /// Which link between nodes it goes over; [`HERE`] within one node.
    via: u64,
    /// The number of an unlink that has not been acknowledged.
    unlinking: Option<u64>,
}

/// Both ends are on this node.
pub(crate) const HERE: u64 = u64::MAX;

/// What an exit signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Ignored,
    /// It becomes a message.
    Message,
    /// It ends the process.
    End,
}

impl Relations {
    /// The process links itself to `other`. Answers whether `other` is to be told.
    pub(crate) fn link(&mut self, other: Sender, via: u64) -> bool {
        let link = Link { via, unlinking: None };
        self.links.insert(other, link) != Some(link)
    }

    /// `other` has linked itself to this process. Answers whether the link is new here.
    pub(crate) fn linked(&mut self, other: Sender, via: u64) -> bool {
        let known = self.links.get(&other);
        // Said before it knew that the link had been ended here: so it ends there too.
        if known.is_some_and(|link| link.via == via && link.unlinking.is_some()) {
            return false;
        }
        self.link(other, via)
    }

    /// The process unlinks itself from `other`. Answers whether `other` is to be told, and over which
    /// link between nodes.
    pub(crate) fn unlink(&mut self, other: Sender, number: u64) -> Option<u64> {
        let link = self.links.get_mut(&other).filter(|link| link.unlinking.is_none())?;
        link.unlinking = Some(number);
        Some(link.via)
    }

    /// `other` has unlinked itself from this process; it is owed an acknowledgement in any case.
    /// When the entry is gone, answers over which link between nodes the link was.
    pub(crate) fn unlinked(&mut self, other: Sender) -> Option<u64> {
        self.links.get(&other).filter(|link| link.unlinking.is_none())?;
        self.links.remove(&other).map(|link| link.via)
    }

    /// `other` knows of the unlink of this number. Answers as [`Relations::unlinked`].
    pub(crate) fn unlink_acknowledged(&mut self, other: Sender, number: u64) -> Option<u64> {
        self.links.get(&other).filter(|link| link.unlinking == Some(number))?;
        self.links.remove(&other).map(|link| link.via)
    }

    /// The link to `other` over this link between nodes has ended: `other` has, or is out of reach.
    /// Answers what its exit signal does; `None`: there was no such link.
    pub(crate) fn link_ended(
        &mut self,
        other: Sender,
        via: u64,
        reason: &ExitReason,
    ) -> Option<Verdict> {
        self.links.get(&other).filter(|link| link.via == via)?;
        let link = self.links.remove(&other)?;
        if link.unlinking.is_some() {
            return Some(Verdict::Ignored);
        }
        Some(self.verdict(reason))
    }

    /// What an exit signal with this reason does.
    pub(crate) const fn verdict(&self, reason: &ExitReason) -> Verdict {
        match reason {
            _ if self.traps_exits => Verdict::Message,
            ExitReason::Normal => Verdict::Ignored,
            _ => Verdict::End,
        }
    }

    /// The processes at the other ends, in order, with the link between nodes.
    pub(crate) fn links(&self) -> impl Iterator<Item = (Sender, u64)> {
        let active = self.links.iter().filter(|(_, link)| link.unlinking.is_none());
        active.map(|(other, link)| (*other, link.via))
    }

    /// How many links there are, until an unlink has been acknowledged with that one.
    pub(crate) fn link_count(&self) -> usize {
        self.links.len()
    }

    /// As [`Relations::links`], with those whose unlink has not been acknowledged.
    pub(crate) fn all_links(&self) -> impl Iterator<Item = (Sender, u64)> {
        self.links.iter().map(|(other, link)| (*other, link.via))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Sender = Sender { node: 0, index: 1, generation: 0 };
    const Q: Sender = Sender { node: 0, index: 2, generation: 0 };

    /// What two processes say to each other about their link.
    #[derive(Debug, Clone, Copy)]
    enum Word {
        Link,
        Unlink(u64),
        Acknowledged(u64),
    }

    /// Two processes that do what `script` says, each word of one on its way until it is taken.
    struct Pair {
        ends: [Relations; 2],
        under_way: [std::collections::VecDeque<Word>; 2],
        number: u64,
    }

    impl Pair {
        fn other(me: usize) -> Sender {
            if me == 0 { Q } else { P }
        }

        fn act(&mut self, me: usize, step: u8) {
            let end = &mut self.ends[me];
            match step {
                0 => {
                    if end.link(Self::other(me), HERE) {
                        self.under_way[me].push_back(Word::Link);
                    }
                }
                1 => {
                    self.number += 1;
                    if end.unlink(Self::other(me), self.number).is_some() {
                        self.under_way[me].push_back(Word::Unlink(self.number));
                    }
                }
                // Takes the oldest word of the other.
                _ => match self.under_way[1 - me].pop_front() {
                    Some(Word::Link) => drop(end.linked(Self::other(me), HERE)),
                    Some(Word::Unlink(number)) => {
                        end.unlinked(Self::other(me));
                        self.under_way[me].push_back(Word::Acknowledged(number));
                    }
                    Some(Word::Acknowledged(number)) => {
                        end.unlink_acknowledged(Self::other(me), number);
                    }
                    None => {}
                },
            }
        }

        fn settle(&mut self) {
            while self.under_way.iter().any(|words| !words.is_empty()) {
                self.act(0, 2);
                self.act(1, 2);
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
        #[test]
        fn both_ends_agree_once_all_words_have_come(
            script in proptest::collection::vec((0..2_usize, 0_u8..3), 0..24)
        ) {
            let mut pair = Pair {
                ends: Default::default(), under_way: Default::default(), number: 0,
            };
            for (me, step) in script {
                pair.act(me, step);
            }
            pair.settle();
            let linked = pair.ends.each_ref().map(|end| end.links().count());
            assert_eq!(linked[0], linked[1]);
            assert_eq!(pair.ends.each_ref().map(|end| end.all_links().count()), linked, "all told");
        }
    }

    #[test]
    fn exit_signals_do_what_erlangs_do() {
        let error = ExitReason::Error("x".into());
        let mut process = Relations::default();
        assert_eq!(process.verdict(&ExitReason::Normal), Verdict::Ignored);
        assert_eq!(process.verdict(&error), Verdict::End);
        process.traps_exits = true;
        assert_eq!(process.verdict(&ExitReason::Normal), Verdict::Message);
        assert_eq!(process.verdict(&error), Verdict::Message);
    }

    #[test]
    fn a_link_ends_once_and_not_after_unlinking() {
        let error = ExitReason::Error("x".into());
        let mut process = Relations::default();
        assert_eq!(process.link_ended(Q, HERE, &error), None, "never linked");
        assert!(process.link(Q, 3) && !process.link(Q, 3), "told once");
        assert_eq!(process.link_ended(Q, 2, &error), None, "a link between nodes from before");
        assert_eq!(process.link_ended(Q, 3, &error), Some(Verdict::End));
        assert_eq!(process.link_ended(Q, 3, &error), None);
        process.link(Q, 3);
        assert_eq!(process.unlink(Q, 7), Some(3));
        assert!(!process.linked(Q, 3), "said before it knew");
        assert_eq!(process.link_ended(Q, 3, &error), Some(Verdict::Ignored));
        assert_eq!(process.unlink_acknowledged(Q, 7), None);
    }
}

//! Who has sent what a cell has handed on, for the moment at which its next cell is lost: what was sent last may be
//! lost with it, and is told to who has sent it. Pure.

use std::collections::BTreeSet;

use crate::mailbox::envelope::Sender;

/// Senders that one cell remembers: of more, it is logged that they are not told.
const SENDERS_MAX: usize = 4_096;

/// Those who have sent messages that nobody answers.
#[derive(Debug, Default)]
pub(super) struct Senders {
    /// Who has sent here itself.
    direct: BTreeSet<Sender>,
    /// Who has sent to a cell before this one, which is told when this one ends.
    before: BTreeSet<Sender>,
    /// Whether there were more.
    more: bool,
}

impl Senders {
    /// Something is handed on that `origin` has sent; `hops` is 1 where it has sent it here.
    pub(super) fn add(&mut self, origin: Sender, hops: u8) {
        if origin == Sender::NOBODY {
            return;
        }
        let is_full = self.direct.len() + self.before.len() >= SENDERS_MAX;
        let senders = if hops <= 1 { &mut self.direct } else { &mut self.before };
        match is_full {
            true => self.more |= !senders.contains(&origin),
            false => drop(senders.insert(origin)),
        }
    }

    /// The next cell is lost. Who is to be told, each once, in order, and whether there are more; where this cell
    /// `ends`, the cells before it tell those who have sent there.
    pub(super) fn lost(&mut self, ends: bool) -> (Vec<Sender>, bool) {
        let Self { direct, before, more } = std::mem::take(self);
        let before = before.into_iter().filter(|_| !ends);
        (direct.into_iter().chain(before).collect(), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn sender(index: u32) -> Sender {
        Sender { node: 1, index, generation: 0 }
    }

    #[test]
    fn each_is_told_once_by_the_first_cell_that_knows() {
        let mut senders = Senders::default();
        for (index, hops) in [(2, 1), (1, 1), (2, 1), (3, 2)] {
            senders.add(sender(index), hops);
        }
        senders.add(Sender::NOBODY, 1);
        assert_eq!(senders.lost(false), (vec![sender(1), sender(2), sender(3)], false));
        assert_eq!(senders.lost(false), (vec![], false), "once");
        senders.add(sender(1), 1);
        senders.add(sender(3), 2);
        assert_eq!(senders.lost(true), (vec![sender(1)], false), "those before are told there");
    }

    #[test]
    fn no_more_than_so_many_are_remembered() {
        let mut senders = Senders::default();
        for index in 0..10_000 {
            senders.add(sender(index), 1);
        }
        let (told, more) = senders.lost(true);
        assert_eq!((told.len(), more), (SENDERS_MAX, true));
    }
}

//! What a client knows of its counter: every call it made, in order, and what each answer proves.
//! Pure: it believes only its own records and the answers.
//!
//! A counter's answer says how many messages it has handled and its sum. Between two answers the
//! count must rise by one and the sum by the amount of the call answered. What does not fit is a
//! fault; after it the ledger goes on from what the answer says, so that one fault counts once.

use std::collections::VecDeque;

use counter_v2::Total;

/// Amounts that are kept, to recognise a call that was handled again, or late.
const RECENT: usize = 8;

/// The calls of a client and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    /// No answer came in time.
    pub(crate) lost: u64,
    /// Handled more often than sent.
    pub(crate) duplicated: u64,
    /// Handled after a call that was made later.
    pub(crate) reordered: u64,
    /// Answers that no record explains.
    pub(crate) garbled: u64,
}

/// The records of one client and its counter.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counts: Counts,
    in_flight: VecDeque<Sent>,
    /// Where the counter stood in its last answer.
    handled: u64,
    total: i64,
    recent: VecDeque<i64>,
    /// The latest amounts of calls that were lost: they may have been handled after all.
    gone: VecDeque<i64>,
    /// Calls made and not refused, and the sum of their amounts: where the counter must end.
    expected_handled: u64,
    expected_total: i64,
}

#[derive(Debug)]
struct Sent {
    seq: u64,
    amount: i64,
    /// A call made later was answered before.
    overtaken: bool,
}

impl Ledger {
    /// Enters a call that adds `amount`. Answers its number.
    pub(crate) fn sent(&mut self, amount: i64) -> u64 {
        let seq = self.counts.calls;
        self.counts.calls += 1;
        self.expected_handled += 1;
        self.expected_total += amount;
        self.in_flight.push_back(Sent { seq, amount, overtaken: false });
        seq
    }

    /// A call was answered.
    pub(crate) fn answered(&mut self, seq: u64, answer: &Total) {
        let Some(sent) = self.take(seq) else { return };
        self.counts.answered += 1;
        for earlier in self.in_flight.iter_mut().take_while(|earlier| earlier.seq < seq) {
            earlier.overtaken = true;
        }
        if sent.overtaken {
            self.counts.reordered += 1;
        }
        if answer.seq != seq {
            self.counts.garbled += 1;
            return;
        }
        if sent.overtaken && answer.handled <= self.handled {
            // The answer alone came late; what it says is older than what is known.
            return;
        }
        self.judge(&sent, answer);
        self.handled = answer.handled;
        self.total = answer.total;
        keep(&mut self.recent, sent.amount);
    }

    /// A call was refused: the counter has not handled it.
    pub(crate) fn refused(&mut self, seq: u64) {
        let Some(sent) = self.take(seq) else { return };
        self.counts.refused += 1;
        self.expected_handled -= 1;
        self.expected_total -= sent.amount;
    }

    /// No answer came in time.
    pub(crate) fn lost(&mut self, seq: u64) {
        let Some(sent) = self.take(seq) else { return };
        self.counts.lost += 1;
        keep(&mut self.gone, sent.amount);
    }

    /// Whether the counter's last answer is what all calls together must give.
    pub(crate) fn is_kept(&self) -> bool {
        self.in_flight.is_empty()
            && self.handled == self.expected_handled
            && self.total == self.expected_total
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    fn take(&mut self, seq: u64) -> Option<Sent> {
        let at = self.in_flight.iter().position(|sent| sent.seq == seq)?;
        self.in_flight.remove(at)
    }

    /// Compares an answer with the one before it.
    fn judge(&mut self, sent: &Sent, answer: &Total) {
        let step = answer.total.wrapping_sub(self.total);
        let excess = step.wrapping_sub(sent.amount);
        match answer.handled.checked_sub(self.handled) {
            Some(1) if excess == 0 => {}
            Some(more @ 2..) if self.is_late(more - 1, excess) => {}
            Some(more @ 2..) if self.is_again(more - 1, excess, sent.amount) => {
                self.counts.duplicated += more - 1;
            }
            _ => self.counts.garbled += 1,
        }
    }

    /// Whether what was handled besides is a call whose answer is missing still.
    fn is_late(&self, more: u64, excess: i64) -> bool {
        let overtaken = self.in_flight.iter().filter(|sent| sent.overtaken);
        let mut late = overtaken.map(|sent| sent.amount).chain(self.gone.iter().copied());
        more == 1 && late.any(|amount| amount == excess)
    }

    /// Whether what was handled besides are calls that had been handled before: some `more` of the
    /// latest amounts make up `excess`.
    fn is_again(&self, more: u64, excess: i64, own: i64) -> bool {
        let amounts: Vec<_> = self.recent.iter().copied().chain([own]).collect();
        (1_u32..1 << amounts.len()).any(|chosen| {
            let picked = amounts.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            u64::from(chosen.count_ones()) == more
                && picked.map(|(_, amount)| amount).sum::<i64>() == excess
        })
    }
}

/// Adds the latest amount; the oldest goes.
fn keep(latest: &mut VecDeque<i64>, amount: i64) {
    if latest.len() == RECENT {
        latest.pop_front();
    }
    latest.push_back(amount);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter, and a client that has made 20 calls to it.
    struct Pair {
        ledger: Ledger,
        handled: u64,
        total: i64,
    }

    impl Pair {
        fn new() -> Self {
            let mut pair = Self { ledger: Ledger::default(), handled: 0, total: 0 };
            for n in 0..20 {
                let seq = pair.ledger.sent(1_000 + n * n);
                let answer = pair.handle(seq, 1_000 + n * n);
                pair.ledger.answered(seq, &answer);
            }
            assert_eq!(
                pair.ledger.counts(),
                Counts { calls: 20, answered: 20, ..Counts::default() }
            );
            assert!(pair.ledger.is_kept());
            pair
        }

        fn handle(&mut self, seq: u64, amount: i64) -> Total {
            self.handled += 1;
            self.total += amount;
            Total { seq, total: self.total, handled: self.handled, code_version: 1 }
        }

        /// A last call, as it should be.
        fn close(&mut self) {
            let seq = self.ledger.sent(0);
            let answer = self.handle(seq, 0);
            self.ledger.answered(seq, &answer);
        }
    }

    #[test]
    fn a_lost_call_is_lost_once() {
        let mut pair = Pair::new();
        let lost = pair.ledger.sent(7);
        pair.close();
        pair.ledger.lost(lost);
        let counts = pair.ledger.counts();
        assert_eq!(
            (counts.lost, counts.duplicated, counts.reordered, counts.garbled),
            (1, 0, 0, 0)
        );
        assert!(!pair.ledger.is_kept());
    }

    #[test]
    fn a_lost_answer_is_lost_and_the_state_is_kept() {
        let mut pair = Pair::new();
        let lost = pair.ledger.sent(7);
        pair.handle(lost, 7);
        pair.close();
        pair.ledger.lost(lost);
        let counts = pair.ledger.counts();
        assert_eq!(
            (counts.lost, counts.duplicated, counts.reordered, counts.garbled),
            (1, 0, 0, 0)
        );
        assert!(pair.ledger.is_kept());
    }

    #[test]
    fn a_second_copy_is_a_duplicate() {
        let mut pair = Pair::new();
        let seq = pair.ledger.sent(7);
        let answer = pair.handle(seq, 7);
        pair.ledger.answered(seq, &answer);
        pair.handle(seq, 7);
        pair.close();
        let counts = pair.ledger.counts();
        assert_eq!(
            (counts.lost, counts.duplicated, counts.reordered, counts.garbled),
            (0, 1, 0, 0)
        );
        assert!(!pair.ledger.is_kept());
    }

    #[test]
    fn swapped_calls_are_out_of_order() {
        let mut pair = Pair::new();
        let (first, second) = (pair.ledger.sent(7), pair.ledger.sent(9));
        for (seq, amount) in [(second, 9), (first, 7)] {
            let answer = pair.handle(seq, amount);
            pair.ledger.answered(seq, &answer);
        }
        pair.close();
        let counts = pair.ledger.counts();
        assert_eq!(
            (counts.lost, counts.duplicated, counts.reordered, counts.garbled),
            (0, 0, 1, 0)
        );
        assert!(pair.ledger.is_kept(), "the sum does not depend on the order");
    }

    #[test]
    fn another_amount_is_garbled() {
        let mut pair = Pair::new();
        let seq = pair.ledger.sent(7);
        let answer = pair.handle(seq, 8);
        pair.ledger.answered(seq, &answer);
        pair.close();
        let counts = pair.ledger.counts();
        assert_eq!(
            (counts.lost, counts.duplicated, counts.reordered, counts.garbled),
            (0, 0, 0, 1)
        );
        assert!(!pair.ledger.is_kept());
    }

    #[test]
    fn a_forgotten_state_is_not_kept() {
        let mut pair = Pair::new();
        // A reset that the client knows nothing of.
        (pair.handled, pair.total) = (pair.handled + 1, 0);
        pair.close();
        assert_eq!(pair.ledger.counts().garbled, 1);
        assert!(!pair.ledger.is_kept());
        let mut pair = Pair::new();
        // A process that began anew.
        (pair.handled, pair.total) = (0, 0);
        pair.close();
        assert_eq!(pair.ledger.counts().garbled, 1);
        assert!(!pair.ledger.is_kept());
    }

    #[test]
    fn a_refused_call_is_not_expected() {
        let mut pair = Pair::new();
        let seq = pair.ledger.sent(7);
        pair.ledger.refused(seq);
        pair.close();
        let counts = pair.ledger.counts();
        assert_eq!((counts.calls, counts.answered, counts.refused), (22, 21, 1));
        assert_eq!(counts.garbled, 0);
        assert!(pair.ledger.is_kept());
    }
}

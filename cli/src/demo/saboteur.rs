//! The saboteur stands between a client's records and the wire: the records cannot know of it. It
//! does its deed once, on one client, and shows that the deed would be seen.

use clap::ValueEnum;

/// A fault to inject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// A call is not sent
    Lose,
    /// A call is sent twice
    Duplicate,
    /// Two calls to a counter change places
    Reorder,
    /// An amount is altered
    Garble,
    /// A counter's state is wiped behind its client's back
    ForgetState,
}

/// A call as the client means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) seq: u64,
    pub(crate) amount: i64,
}

/// What goes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnWire {
    /// A call.
    Add(Meant),
    /// Nothing: the client waits in vain.
    Silence {
        /// The call that is not sent.
        seq: u64,
    },
    /// A call that the records know nothing of.
    Copy(Meant),
    /// A reset that the records know nothing of.
    Wipe,
}

/// The saboteur of one client.
#[derive(Debug, Default)]
pub(crate) struct Saboteur {
    /// What is still to be done.
    deed: Option<Sabotage>,
    held: Option<Meant>,
}

impl Saboteur {
    pub(crate) const fn new(deed: Option<Sabotage>) -> Self {
        Self { deed, held: None }
    }

    /// Lets a call pass, or not. `now`: it is time for the deed.
    pub(crate) fn pass(&mut self, call: Meant, now: bool) -> Vec<OnWire> {
        if let Some(held) = self.held.take() {
            return vec![OnWire::Add(call), OnWire::Add(held)];
        }
        match self.deed.take_if(|_| now) {
            None => vec![OnWire::Add(call)],
            Some(Sabotage::Lose) => vec![OnWire::Silence { seq: call.seq }],
            Some(Sabotage::Duplicate) => vec![OnWire::Add(call), OnWire::Copy(call)],
            Some(Sabotage::Garble) => {
                vec![OnWire::Add(Meant { amount: call.amount + 1, ..call })]
            }
            Some(Sabotage::ForgetState) => vec![OnWire::Wipe, OnWire::Add(call)],
            Some(Sabotage::Reorder) => {
                self.held = Some(call);
                Vec::new()
            }
        }
    }

    /// Whatever is held still, when no other call comes.
    pub(crate) fn rest(&mut self) -> Option<OnWire> {
        self.held.take().map(OnWire::Add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Meant = Meant { seq: 0, amount: 7 };
    const B: Meant = Meant { seq: 1, amount: 9 };

    #[test]
    fn each_deed_is_done_once_and_in_time() {
        for (deed, expected) in [
            (Sabotage::Lose, vec![OnWire::Silence { seq: 0 }]),
            (Sabotage::Duplicate, vec![OnWire::Add(A), OnWire::Copy(A)]),
            (Sabotage::Garble, vec![OnWire::Add(Meant { seq: 0, amount: 8 })]),
            (Sabotage::ForgetState, vec![OnWire::Wipe, OnWire::Add(A)]),
        ] {
            let mut saboteur = Saboteur::new(Some(deed));
            assert_eq!(saboteur.pass(A, false), [OnWire::Add(A)]);
            assert_eq!(saboteur.pass(A, true), expected);
            assert_eq!(saboteur.pass(A, true), [OnWire::Add(A)]);
        }
    }

    #[test]
    fn two_calls_change_places() {
        let mut saboteur = Saboteur::new(Some(Sabotage::Reorder));
        assert_eq!(saboteur.pass(A, true), []);
        assert_eq!(saboteur.pass(B, true), [OnWire::Add(B), OnWire::Add(A)]);
        assert_eq!(saboteur.pass(A, true), [OnWire::Add(A)]);
        let mut saboteur = Saboteur::new(Some(Sabotage::Reorder));
        assert_eq!(saboteur.pass(A, true), []);
        assert_eq!(saboteur.rest(), Some(OnWire::Add(A)));
    }
}

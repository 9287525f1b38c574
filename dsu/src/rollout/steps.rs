//! What a rollout consists of: what nodes are asked and say, what happens and what is to be done.

use crate::protocol::Objection;
use crate::rollout::ledger::{Answer, Verdict};

/// What a node is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ask {
    /// To keep others away from the bundle's name.
    Claim,
    /// To get it to where it could run.
    Stage,
    /// To run it.
    Activate,
    /// To run what it ran before.
    Deactivate,
    /// To take in that it was committed, or aborted.
    Settle {
        /// Which of the two.
        commit: bool,
    },
}

/// What a node says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Said {
    /// It has.
    Yes,
    /// It has not, and is as it was before it was asked.
    No(Objection),
    /// It does not say; whether it has is not known.
    Silent(Objection),
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// A node has said something.
    Said { member: usize, ask: Ask, said: Said },
    /// A node is gone for good: this life of it will never run anything again.
    Gone { member: usize },
    /// The log has answered.
    Logged(Answer),
    /// The log could not be asked: no majority of the voters answers.
    NoMajority(String),
    /// An operator wants it to stop before the next wave, or to go on.
    Paused(bool),
    /// An operator, or who drives it, wants it to end.
    Abort(String),
    /// It is time to ask again what was not answered.
    Again,
    /// This wave was looked at.
    Looked { wave: usize, looked: Looked },
}

/// What a look at a wave has shown, with the numbers in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Looked {
    /// The next one may follow.
    Go(String),
    /// It is worse than before.
    Stop(String),
    /// It is too early to say.
    NotYet,
    /// It has been for too long: a person is to say.
    Unsure(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Ask a node.
    Ask { member: usize, ask: Ask },
    /// Have the log decide.
    Decide(Verdict),
    /// Have the log close it.
    Close,
    /// Ask again, by and by.
    AgainLater,
    /// Look at a wave, when it is time.
    Look { wave: usize },
    /// It is over.
    End(End),
}

/// How it was, for who asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// All run what is new.
    Committed {
        /// The nodes that have not said so, with why; they do so as soon as they can be heard again.
        late: Vec<Objection>,
    },
    /// All run what they ran before.
    Aborted {
        /// Why.
        because: Vec<Objection>,
        /// The nodes of which not all is as it was, with why.
        left: Vec<Objection>,
    },
    /// Somebody else drives it now.
    TakenOver(String),
}

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Phase {
    /// The nodes before the `usize` are claimed.
    Claim(usize),
    /// All are staging.
    Stage,
    /// This wave activates.
    Wave(usize),
    /// This wave has activated, and is looked at.
    Gate(usize),
    /// It was looked at for long, and cannot be told: a person is to say whether the next one may follow.
    Held(usize),
    /// The wave before has gone well; an operator has it wait before this one.
    Paused(usize),
    /// The log is to decide.
    Decide {
        /// What is wanted of it.
        commit: bool,
    },
    /// Those that run what is new go back.
    Back,
    /// All are told.
    Settle {
        /// What was decided.
        commit: bool,
    },
    /// The log is to close it.
    Close,
    /// Nothing is to be done any more.
    Over,
}

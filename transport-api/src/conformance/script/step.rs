//! What a script is made of, and how one is drawn.

use proptest::prelude::*;

/// One step. A connection is meant by its place among all that the script has opened, counted round;
/// an endpoint that means itself means one that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are who and what")]
pub enum Step {
    /// Lets a little time go by.
    Rest,
    /// Lets half the heartbeat bound go by.
    Wait,
    /// Connects and opens a connection.
    Open { from: usize, to: usize },
    /// Both connect at once, and each opens a connection.
    Cross { a: usize, b: usize },
    /// Sends one message.
    Send { connection: usize, bytes: usize },
    /// Closes a connection.
    CloseConnection { connection: usize },
    /// Closes a connection's link politely.
    CloseLink { connection: usize },
    /// Breaks the link.
    Break { from: usize, to: usize },
    /// Closes an endpoint and opens it again at its address.
    Restart { who: usize },
    /// Silences a path.
    Cut { a: usize, b: usize },
    /// Lets it speak again.
    Heal { a: usize, b: usize },
}

impl Step {
    /// Whether messages may be lost by it. By a restart, when the endpoint that is closed does not know
    /// yet of a link that the other side has just made.
    #[must_use]
    pub const fn breaks(&self) -> bool {
        matches!(self, Self::Break { .. } | Self::Cut { .. } | Self::Restart { .. })
    }
}

/// What may happen in a script besides sending and closing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) breaks: bool,
    pub(super) cuts: bool,
}

const STEPS_MAX: usize = 60;
const CONNECTIONS: usize = 16;

/// Scripts of so many endpoints.
pub(super) fn scripts(
    endpoints: usize,
    trouble: Trouble,
) -> impl Strategy<Value = Vec<Step>, Tree: Send> {
    let pair = (0..endpoints, 0..endpoints);
    let connection = 0..CONNECTIONS;
    let bytes = prop::sample::select(&[0_usize, 10, 5000, 150_000][..]);
    let (breaks, cuts) = (u32::from(trouble.breaks), u32::from(trouble.cuts));
    // Two levels: a union of more than ten is boxed, and not `Send` then.
    let bad = prop_oneof![
        2 => pair.clone().prop_map(|(from, to)| Step::Break { from, to }),
        1 => (0..endpoints).prop_map(|who| Step::Restart { who }),
        cuts => Just(Step::Wait),
        cuts => pair.clone().prop_map(|(a, b)| Step::Cut { a, b }),
        2 * cuts => pair.clone().prop_map(|(a, b)| Step::Heal { a, b }),
    ];
    let step = prop_oneof![
        8 => (connection.clone(), bytes)
            .prop_map(|(connection, bytes)| Step::Send { connection, bytes }),
        5 => pair.clone().prop_map(|(from, to)| Step::Open { from, to }),
        2 => Just(Step::Rest),
        1 => pair.prop_map(|(a, b)| Step::Cross { a, b }),
        2 => connection.clone().prop_map(|connection| Step::CloseConnection { connection }),
        1 => connection.prop_map(|connection| Step::CloseLink { connection }),
        4 * breaks => bad,
    ];
    prop::collection::vec(step, 1..=STEPS_MAX)
}

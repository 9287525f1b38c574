//! A member of the cluster, as the others know it, and the news of it.

use midflight_message::{Message, NodeId, Schema};
use serde::{Deserialize, Serialize};

/// One incarnation of a node, as another knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Member {
    /// The incarnation.
    pub id: NodeId,
    /// The node's name. Of a name the latest incarnation alone is a member.
    pub name: String,
    /// What others dial; `None` for a node that only dials, such as the operator's program.
    pub address: Option<String>,
    /// Whether it lives, as far as is known here.
    pub state: MemberState,
    /// A hash over the code it has; all zeros before it has any.
    pub catalogue: [u8; 32],
}

/// Whether a member lives, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Schema)]
#[non_exhaustive]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It did not answer when it was last asked, nor to others who asked in our place. It is a member
    /// until it has failed to object for `Limits::suspect_timeout`.
    Suspect,
    /// It is known to be gone, or was suspected for too long. It may live on behind a cut, and comes
    /// back when that is healed.
    Down,
    /// It has said that it leaves, as a node does that is [shut down](crate::Node::shutdown). Its
    /// processes may still be ending, and links to it live until they have.
    Left,
}

impl Member {
    /// The longest name, in bytes.
    pub const NAME_MAX: usize = 64;

    /// Whether a name can be a node's: 1 to 64 letters, digits, `-`, `_` or `.`, which is not the
    /// first (a name is also a folder's).
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        (1..=Self::NAME_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }

    /// Whether it is neither down nor has left.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !matches!(self.state, MemberState::Down | MemberState::Left)
    }
}

/// News of a member, for processes that have asked with
/// [`Context::watch_members`](crate::Context::watch_members). What changes and changes back within a
/// moment may be no news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "midflight.process.MemberEvent", version = 1)]
#[non_exhaustive]
pub enum MemberEvent {
    /// It is new, or back.
    Up(Member),
    /// It does not answer.
    Suspect(Member),
    /// It was suspected, and answers.
    Recovered(Member),
    /// Its address or code is another.
    Changed(Member),
    /// It is down, or a later incarnation has its name.
    Down(Member),
    /// The process had no room for news, and gets no more until it watches again.
    Missed,
    /// It leaves, as it says itself: it is up no more, and no [`Down`](Self::Down) follows.
    Left(Member),
}

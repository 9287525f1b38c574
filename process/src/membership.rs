//! Who is in the cluster: a kernel that merges what nodes tell each other. Pure.
//!
//! Thin for now: every node tells its whole list to each peer when they meet and when the list
//! grows. A gossip crate takes this place behind the same kernel.

use std::collections::{BTreeMap, VecDeque};

use midflight_message::NodeId;
use serde::{Deserialize, Serialize};

/// One incarnation of a node, as the others know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The incarnation.
    pub id: NodeId,
    /// The node's name.
    pub name: String,
    /// What others dial; `None` for a node that only dials, such as the operator's program.
    pub address: Option<String>,
}

impl Member {
    /// The longest name, in bytes.
    pub const NAME_MAX: usize = 64;

    /// Whether what a peer tells of a member can be one.
    fn is_sound(&self) -> bool {
        let address_max = midflight_transport_api::Address::LEN_MAX;
        Self::is_name(&self.name) && self.address.as_ref().is_some_and(|a| a.len() <= address_max)
    }

    /// Whether a name can be a node's: 1 to 64 letters, digits, `-`, `_` or `.`, which is not the
    /// first (a name is also a folder's).
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        (1..=Self::NAME_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }
}

/// The members one node knows, itself included.
#[derive(Debug)]
pub(crate) struct Membership {
    own: NodeId,
    members: BTreeMap<NodeId, Member>,
    members_max: usize,
    /// Incarnations that are gone, oldest first: what others still tell of them is old news.
    gone: VecDeque<NodeId>,
}

impl Membership {
    pub(crate) fn new(own: Member, members_max: usize) -> Self {
        Self {
            own: own.id,
            members: BTreeMap::from([(own.id, own)]),
            members_max,
            gone: VecDeque::new(),
        }
    }

    /// Takes over what a peer tells. Answers those that were news.
    pub(crate) fn merge(&mut self, told: Vec<Member>) -> Vec<Member> {
        let mut news = Vec::new();
        for member in told {
            if self.members.len() >= self.members_max {
                break;
            }
            let known = self.members.contains_key(&member.id) || self.gone.contains(&member.id);
            if known || !member.is_sound() {
                continue;
            }
            self.members.insert(member.id, member.clone());
            news.push(member);
        }
        news
    }

    /// Enters the address at which this node can be dialled, once it is known.
    pub(crate) fn set_own_address(&mut self, address: Option<String>) {
        if let Some(own) = self.members.get_mut(&self.own) {
            own.address = address;
        }
    }

    /// A member has been met in person: whatever was thought of it, it is there.
    pub(crate) fn meet(&mut self, member: Member) {
        self.gone.retain(|id| *id != member.id);
        self.merge(vec![member]);
    }

    /// A member has been seen to be gone for good.
    pub(crate) fn forget(&mut self, id: NodeId) {
        if id != self.own && self.members.remove(&id).is_some() {
            if self.gone.len() >= self.members_max {
                self.gone.pop_front();
            }
            self.gone.push_back(id);
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Member> {
        self.members.get(&id)
    }

    pub(crate) fn all(&self) -> Vec<Member> {
        self.members.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str) -> Member {
        Member { id: NodeId(id), name: name.into(), address: Some(format!("mem:{name}")) }
    }

    #[test]
    fn only_news_is_news() {
        let mut membership = Membership::new(member(1, "a"), 3);
        let told = vec![member(1, "a"), member(2, "b"), member(3, "no name"), member(4, "d")];
        assert_eq!(membership.merge(told), [member(2, "b"), member(4, "d")]);
        assert_eq!(membership.merge(vec![member(5, "e")]), [], "full");
        membership.forget(NodeId(2));
        assert_eq!(membership.all().len(), 2);
    }

    #[test]
    fn old_news_does_not_bring_back_who_is_gone_but_meeting_does() {
        let mut membership = Membership::new(member(1, "a"), 3);
        membership.merge(vec![member(2, "b")]);
        membership.forget(NodeId(2));
        membership.forget(NodeId(1));
        assert_eq!(membership.merge(vec![member(2, "b")]), []);
        assert_eq!(membership.all(), [member(1, "a")], "a node never forgets itself");
        membership.meet(member(2, "b"));
        assert_eq!(membership.all(), [member(1, "a"), member(2, "b")]);
    }
}

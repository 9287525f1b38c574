//! What a node says of itself, and the same as gossip passes it on.

use std::sync::Arc;

use midflight_message::NodeId;
use midflight_transport_api::Address;
use serde::{Deserialize, Serialize};

use crate::membership::member::{Member, MemberState};

/// One node in one of its lives, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    pub(crate) name: String,
    pub(crate) id: NodeId,
    /// What others dial; `None` for a node that only dials.
    pub(crate) address: Option<String>,
    /// When this life began, in milliseconds since 1970; more where an earlier one of the name is said
    /// to have begun later. The later life is the one that counts.
    pub(crate) started: u64,
    /// How often the node has changed what the card says, or had to come back after it was taken for
    /// down.
    pub(crate) revision: u32,
    pub(crate) catalogue: [u8; 32],
    /// Whether it has said that it leaves.
    pub(crate) leaves: bool,
}

impl Card {
    /// What decides between two cards of one name: the greater one counts.
    pub(crate) const fn rank(&self) -> (u64, u64, u32) {
        (self.started, self.id.0, self.revision)
    }

    /// Whether what is told of a node can be a member: one that can be dialled, and did not begin after
    /// `started_max`, since whoever claims that could never be replaced.
    pub(crate) fn is_sound(&self, started_max: u64) -> bool {
        let address = self.address.as_ref();
        Member::is_name(&self.name)
            && self.id != NodeId(0)
            && self.started <= started_max
            && address.is_some_and(|address| address.parse::<Address>().is_ok())
    }

    /// As users see it, who lives as far as `state` says: who has said that it leaves has left.
    pub(crate) fn member(&self, state: MemberState) -> Member {
        let state = if self.leaves { MemberState::Left } else { state };
        Member {
            id: self.id,
            name: self.name.clone(),
            address: self.address.clone(),
            state,
            catalogue: self.catalogue,
        }
    }
}

/// A card as the gossip kernel holds it: cheap to copy and to compare by name.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    card: Arc<Card>,
    key: u128,
}

impl Identity {
    pub(crate) fn new(card: Card) -> Self {
        Self { key: key(&card.name), card: Arc::new(card) }
    }

    pub(crate) fn card(&self) -> &Card {
        &self.card
    }

    /// Stands for the name.
    pub(crate) const fn key(&self) -> u128 {
        self.key
    }
}

/// Stands for a name: as good as the name, and quicker to compare.
pub(crate) fn key(name: &str) -> u128 {
    let hash = blake3::hash(name.as_bytes());
    let (head, _) = hash.as_bytes().split_at(16);
    u128::from_le_bytes(head.try_into().expect("split at 16"))
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.card, &other.card) || self.card == other.card
    }
}

impl Eq for Identity {}

impl foca::Identity for Identity {
    type Addr = u128;

    fn renew(&self) -> Option<Self> {
        let revision = self.card.revision.checked_add(1)?;
        Some(Self::new(Card { revision, ..(*self.card).clone() }))
    }

    fn addr(&self) -> u128 {
        self.key
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.card.rank() >= adversary.card.rank()
    }
}

impl Serialize for Identity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.card.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Card::deserialize(deserializer).map(Self::new)
    }
}

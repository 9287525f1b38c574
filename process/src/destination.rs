//! Finding the process that a [`Destination`](midflight_message::Destination) means.

use midflight_message::{Address, NodeId, Pid};
use serde::{Deserialize, Serialize};

use crate::error::SendError;
use crate::node::Node;

/// An [`Address`] that is kept, and may travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OwnedAddress {
    Pid(Pid),
    Name(String),
    NameOn(String, NodeId),
}

impl OwnedAddress {
    pub(crate) fn get(&self) -> Address<'_> {
        match self {
            Self::Pid(pid) => Address::Pid(*pid),
            Self::Name(name) => Address::Name(name),
            Self::NameOn(name, node) => Address::NameOn(name, *node),
        }
    }
}

impl From<Address<'_>> for OwnedAddress {
    fn from(address: Address<'_>) -> Self {
        match address {
            Address::Pid(pid) => Self::Pid(pid),
            Address::Name(name) => Self::Name(name.to_owned()),
            Address::NameOn(name, node) => Self::NameOn(name.to_owned(), node),
        }
    }
}

impl Node {
    /// The process that is meant; asks another node where it must.
    pub(crate) async fn find(&self, address: Address<'_>) -> Result<Pid, SendError> {
        let (found, name, node) = match address {
            Address::Pid(pid) => return Ok(pid),
            Address::Name(name) => (self.whereis(name), name, self.id()),
            Address::NameOn(name, node) => {
                // Boxed, as it is rare and large: every send would carry it along otherwise.
                let found = Box::pin(self.whereis_on(node, name)).await;
                (found.map_err(SendError::Whereis)?, name, node)
            }
        };
        found.ok_or_else(|| SendError::NoName { name: name.to_owned(), node })
    }
}

//! Where members may be: the seam. A source names addresses; whether anybody is there, and who, the node
//! finds out by dialling ([`Search`](super::search::Search)).

use std::sync::{Arc, Weak};

use midflight_runtime::BoxFuture;
use midflight_transport_api::{Address, ConnectError, ConnectErrorKind, EndPoint};

use crate::node::inner::Inner;

/// What a source answers: addresses, or why there are none to be had now.
pub type Found = Result<Vec<Address>, Box<dyn std::error::Error + Send + Sync>>;

/// Says where members of the cluster may be, for [`Node::join_through`](crate::Node::join_through): the
/// peers of a file, what a cloud's interface lists. (Addresses that are given, and names in DNS, need none:
/// [`Node::join`](crate::Node::join) takes these.)
pub trait Source: Send + Sync + 'static {
    /// What it is called in the log.
    fn name(&self) -> String;

    /// The addresses at which members may be now. This node's own may be among them, and such as lead
    /// nowhere; beyond the first 1,024 they are not looked at. After an error the node goes by what was
    /// found last.
    ///
    /// It is asked again while the node knows nobody, and every half a minute after that, but never before it
    /// has answered. It must not block: use
    /// [`Runtime::spawn_blocking`](midflight_runtime::Runtime::spawn_blocking) where it would.
    fn find(&self) -> BoxFuture<Found>;
}

/// An address that was given: itself, or, where it is a name that stands for several, these.
pub(crate) struct Seed {
    pub(crate) node: Weak<Inner>,
    pub(crate) address: Address,
}

impl Source for Seed {
    fn name(&self) -> String {
        self.address.to_string()
    }

    fn find(&self) -> BoxFuture<Found> {
        let end_point = self.node.upgrade().and_then(|inner| inner.end_point.get().map(Arc::clone));
        let address = self.address.clone();
        Box::pin(async move {
            let Some(end_point) = end_point else { return Ok(Vec::new()) };
            Ok(resolve(&*end_point, &address).await?)
        })
    }
}

/// What a seed stands for.
pub(crate) async fn resolve(
    end_point: &dyn EndPoint,
    seed: &Address,
) -> Result<Vec<Address>, ConnectError> {
    match end_point.resolve(seed).await {
        // It may have a link all the same; dialling it says what is wrong.
        Err(error) if *error.kind() == ConnectErrorKind::BadAddress => Ok(vec![seed.clone()]),
        resolved => resolved,
    }
}

//! Talking to a node's control process, as an operator or as the demo.

use std::time::Duration;

use midflight_dsu::protocol::CONTROL;
use midflight_process::message::Message;
use midflight_process::{Node, NodeBuilder, Pid, Secret};
use midflight_runtime::Handle;
use midflight_transport_api::{Address, Transport};

use crate::args::Reach;
use crate::certs::OPERATOR;
use crate::error::Error;
use crate::network::Network;
use crate::secret;

/// How long a node may take to answer a question about itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long a process may take to move: its target may have to fetch and try its code.
pub(crate) const MOVED_WITHIN: Duration = Duration::from_secs(240);

/// How long the processes of a node may take to move.
pub(crate) const DRAINED_WITHIN: Duration = Duration::from_secs(1_830);

/// A node's control process, and the node through which it is reached.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) through: Node,
    pub(crate) pid: Pid,
    /// How the node was named.
    pub(crate) node: String,
}

/// Starts a node that only dials, as an operator's program does. Where the transport proves who it
/// is, it bears the operators' name, and another one, made for this run, elsewhere.
pub(crate) async fn dialling_node(
    transport: &dyn Transport,
    runtime: &Handle,
    role: &str,
    secret: Option<Secret>,
) -> Result<Node, Error> {
    let name = if transport.capabilities().peer_identity {
        OPERATOR.to_owned()
    } else {
        format!("{role}-{:08x}", runtime.random_u64() >> 32)
    };
    guarded(Node::builder(name), transport, secret)
        .start(transport, runtime.clone())
        .await
        .map_err(|source| Error::Start { listen: "no address".into(), source })
}

/// Has a node check who its peers are by all there is: what the transport proves, and the secret.
pub(crate) fn guarded(
    builder: NodeBuilder,
    transport: &dyn Transport,
    secret: Option<Secret>,
) -> NodeBuilder {
    let proves = transport.capabilities().peer_identity;
    let builder = if proves { builder.proven_names() } else { builder };
    match secret {
        Some(secret) => builder.secret(secret),
        None => builder,
    }
}

/// Starts an operator's node and reaches the node that was named.
pub(crate) async fn reach(runtime: &Handle, reach: &Reach) -> Result<Control, Error> {
    let secret = secret::read_if_named(reach.secret_file.as_deref())?;
    let network = Network::open(runtime, &reach.wire, OPERATOR).await?;
    let transport = network.transport();
    let node = dialling_node(transport, runtime, OPERATOR, secret).await?;
    Control::connect(&node, &reach.node.address(transport)?).await
}

/// Reaches the node that was named, asks it one thing, and says goodbye.
pub(crate) async fn ask<M: Message, R: Message>(
    runtime: &Handle,
    of: &Reach,
    message: M,
) -> Result<R, Error> {
    ask_within(runtime, of, message, ANSWER_WITHIN).await
}

/// As [`ask`], for what takes its time.
pub(crate) async fn ask_within<M: Message, R: Message>(
    runtime: &Handle,
    of: &Reach,
    message: M,
    within: Duration,
) -> Result<R, Error> {
    let control = reach(runtime, of).await?;
    let answer = control.ask_within(message, within).await;
    control.through.shutdown().await;
    answer
}

impl Control {
    /// Reaches the node at `address` through `through`.
    pub(crate) async fn connect(through: &Node, address: &Address) -> Result<Self, Error> {
        let node = address.rest().to_owned();
        let reached = through
            .connect(address)
            .await
            .map_err(|source| Error::Join { node: node.clone(), source })?;
        let found = through
            .whereis_on(reached, CONTROL)
            .await
            .map_err(|source| Error::Whereis { node: node.clone(), source })?;
        let pid = found.ok_or_else(|| Error::NoControl { node: node.clone() })?;
        Ok(Self { through: through.clone(), pid, node })
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask<M: Message, R: Message>(&self, message: M) -> Result<R, Error> {
        self.ask_within(message, ANSWER_WITHIN).await
    }

    /// As [`Control::ask`], for what takes its time.
    async fn ask_within<M: Message, R: Message>(
        &self,
        message: M,
        within: Duration,
    ) -> Result<R, Error> {
        let answer = self.through.call::<M, R>(self.pid, message, within).await;
        answer.map_err(|source| Error::Call {
            node: self.node.clone(),
            request: M::NAME,
            source: Box::new(source),
        })
    }
}

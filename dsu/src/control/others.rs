//! Other nodes as a control process meets them: who is there, and asking one.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Context, Member, MemberState, Node, NodeId, Pid};

use super::Control;
use crate::protocol::CONTROL;

/// A node's control process. `Err`: why it is not to be had, in words.
pub(crate) async fn control_of(node: &Node, of: NodeId) -> Result<Pid, String> {
    let found = node.whereis_on(of, CONTROL).await.map_err(|error| error.to_string())?;
    found.ok_or_else(|| "the node has no control process".into())
}

/// Asks a node's control process. `Err`: why there is no answer, in words.
pub(super) async fn ask<M: Message, R: Message>(
    cx: &Context,
    node: NodeId,
    message: M,
    within: Duration,
) -> Result<R, String> {
    let control = control_of(cx.node(), node).await?;
    cx.call(control, message, within).await.map_err(|error| error.to_string())
}

impl Control {
    /// The other members that are alive, as far as this node knows.
    pub(super) fn others(&self) -> Vec<Member> {
        let node = self.server.node();
        let mut others = node.members();
        others.retain(|it| it.state == MemberState::Alive && it.id != node.id());
        others
    }
}

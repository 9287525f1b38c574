//! What the node itself tells its processes, as behaviours know it.

use std::any::Any;

use midflight_message::{Message, NodeId, encode};
use midflight_process::{
    Caller, Disconnected, Down, Exited, NodeDown, Origin, Refusal, Turn, TypeNo, Undelivered, View,
};

use super::Hosted;

impl Hosted {
    /// A message as bytes. What the node itself tells its processes becomes what behaviours know;
    /// `None`: it has been dealt with.
    pub(super) fn as_bytes<'v>(
        &self,
        turn: &mut Turn<'_>,
        from: Origin,
        content: View<'v>,
        caller: Option<Caller>,
    ) -> Option<View<'v>> {
        let View::Value(value) = &content else { return Some(content) };
        let info = value.type_info();
        let any: &dyn Any = &**value;
        if let Some(undelivered) = any.downcast_ref::<Undelivered>()
            && caller.is_none()
        {
            return self.undelivered(turn, undelivered);
        }
        if let Some(Disconnected { node, reason }) = any.downcast_ref()
            && caller.is_none()
        {
            return self.disconnected(turn, *node, reason);
        }
        let encoded = self.notice(any).or_else(|| turn.encoded(content));
        if encoded.is_none() {
            let type_name = info.name().to_owned();
            let refusal = Refusal::Garbled { type_name, detail: "it does not encode".into() };
            tracing::warn!(me = %turn.me(), %refusal, "a message cannot be taken");
            match (self.node.type_no(info), caller) {
                (Some(ty), _) => turn.refuse(from, caller, View::Bytes(ty, &[]), refusal),
                (None, Some(caller)) => self.node.refuse_call(caller, refusal),
                (None, None) => {}
            }
        }
        encoded
    }

    /// The notice of a message that was not taken, as behaviours know it; logged for those that do not.
    fn undelivered(&self, turn: &Turn<'_>, notice: &Undelivered) -> Option<View<'static>> {
        let Undelivered { to, type_name, field, reason, .. } = notice.clone();
        let ty = self.version().types[self.behaviour as usize].undelivered;
        if ty.is_none() {
            tracing::warn!(me = %turn.me(), %to, reason, "a message was not taken");
        }
        large(ty, &midflight_abi::Undelivered { to, type_name, field, reason })
    }

    /// The notice of a lost link, as behaviours know it; a version that has no handler for it accepts the loss.
    fn disconnected(
        &self,
        turn: &mut Turn<'_>,
        node: NodeId,
        reason: &str,
    ) -> Option<View<'static>> {
        let ty = self.version().types[self.behaviour as usize].disconnected;
        if ty.is_none() {
            tracing::info!(me = %turn.me(), reason, "a loss that nobody handles is accepted");
            turn.reconnect(node);
        }
        large(ty, &midflight_abi::Disconnected { node, reason: reason.to_owned() })
    }

    /// What the node tells of others' ends, as behaviours know it; `None`: it is something else.
    fn notice(&self, told: &dyn Any) -> Option<View<'static>> {
        let types = &self.version().types[self.behaviour as usize];
        if let Some(Down { process, reason, .. }) = told.downcast_ref() {
            let down = midflight_abi::Down { pid: *process, reason: reason.to_string() };
            return large(types.down, &down);
        }
        if let Some(NodeDown { node, reason, .. }) = told.downcast_ref() {
            let down = midflight_abi::NodeDown { node: *node, reason: reason.clone() };
            return large(types.node_down, &down);
        }
        let Exited { from, reason } = told.downcast_ref()?;
        let exited = midflight_abi::Exited { from: *from, reason: reason.to_string() };
        large(types.exited, &exited)
    }
}

/// A notice of the node's as a behaviour reads it.
fn large<M: Message>(ty: Option<TypeNo>, notice: &M) -> Option<View<'static>> {
    let mut bytes = Vec::new();
    encode(notice, &mut bytes).ok()?;
    Some(View::Large(ty?, bytes.into()))
}

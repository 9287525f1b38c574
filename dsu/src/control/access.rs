//! Who may ask the control process for what (P9).

use midflight_process::{NodeId, NotAllowed, Received, ReplyTo, Role};

use super::{Control, Request};

impl Control {
    /// Hands a request on when its sender may ask for it; tells the sender when it may not.
    pub(super) fn allowed(&self, request: Request) -> Option<Request> {
        let role = request.role();
        match self.may(request.node(), role) {
            Ok(()) => Some(request),
            Err(no) => {
                tracing::warn!(node = ?request.node(), %role, "not allowed");
                if let Some(reply_to) = request.into_reply_to() {
                    reply_to.not_allowed(no);
                }
                None
            }
        }
    }

    /// Rights are those of the node that has proven itself on the link, never of the pid's: a process that has moved
    /// there is called by the pid of another. Whoever asks from outside any process cannot be told apart from others, and
    /// may nothing.
    fn may(&self, node: Option<NodeId>, role: Role) -> Result<(), NotAllowed> {
        let node = node.ok_or(NotAllowed { role, link: false })?;
        self.server.node().may(node, role)
    }
}

/// The same for every kind of request.
macro_rules! of_each {
    ($request:expr, $received:pat => $answer:expr) => {
        match $request {
            Request::Offer($received) => $answer,
            Request::Chunk($received) => $answer,
            Request::Fetch($received) => $answer,
            Request::Claim($received) => $answer,
            Request::Release($received) => $answer,
            Request::Stage($received) => $answer,
            Request::Activate($received) => $answer,
            Request::Deactivate($received) => $answer,
            Request::Deploy($received) => $answer,
            Request::Start($received) => $answer,
            Request::Status($received) => $answer,
            Request::Processes($received) => $answer,
            Request::Letters($received) => $answer,
            Request::Numbers($received) => $answer,
            Request::Takes($received) => $answer,
            Request::Trace($received) => $answer,
            Request::History($received) => $answer,
            Request::Rollback($received) => $answer,
            Request::Propose($received) => $answer,
            Request::Voter($received) => $answer,
            Request::Rollouts($received) => $answer,
            Request::Wish($received) => $answer,
            Request::Measure($received) => $answer,
            Request::Told($received) => $answer,
            Request::Relocate($received) => $answer,
            Request::MayCome($received) => $answer,
            Request::Come($received) => $answer,
            Request::Stays($received) => $answer,
            Request::Drain($received) => $answer,
        }
    };
}

impl Request {
    /// What it takes. A bundle is signed, and to bring one is still not to run it.
    const fn role(&self) -> Role {
        match self {
            Self::Offer(_) | Self::Chunk(_) => Role::Publish,
            Self::Claim(_)
            | Self::Release(_)
            | Self::Stage(_)
            | Self::Activate(_)
            | Self::Deactivate(_)
            | Self::Deploy(_)
            | Self::Rollback(_)
            | Self::Relocate(_)
            | Self::MayCome(_)
            | Self::Come(_)
            | Self::Stays(_)
            | Self::Propose(_)
            | Self::Voter(_)
            | Self::Wish(_)
            | Self::Measure(_)
            | Self::Drain(_)
            | Self::Start(_) => Role::Deploy,
            Self::Fetch(_)
            | Self::Status(_)
            | Self::Processes(_)
            | Self::Letters(_)
            | Self::Numbers(_)
            | Self::History(_)
            | Self::Rollouts(_)
            | Self::Takes(_)
            | Self::Told(_)
            | Self::Trace(_) => Role::Inspect,
        }
    }

    const fn node(&self) -> Option<NodeId> {
        of_each!(self, Received { node, .. } => *node)
    }

    fn into_reply_to(self) -> Option<ReplyTo> {
        of_each!(self, Received { reply_to, .. } => reply_to)
    }
}

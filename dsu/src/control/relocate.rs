//! Moving processes for operators, wherever they live.

use std::time::Duration;

use midflight_message::NodeId;
use midflight_process::{Context, MemberState, Received};

use super::others::ask;
use super::{Control, Request, reply};
use crate::code_server::with_sources;
use crate::protocol::{Relocate, Relocated};
use crate::relocation::RelocateError;

/// How long another node may take: it has a minute or two to have its target fetch the code.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(180);

/// How often a process is followed that moves on while it is looked for.
const ASKED_MAX: usize = 8;

impl Control {
    /// Takes a request about a process that moves; nothing else is given here that wants an answer.
    pub(super) fn take_move(&self, request: Request) {
        match request {
            Request::Relocate(Received { message, reply_to, .. }) => {
                self.apart("midflight.relocate", reply_to, |control, cx| async move {
                    control.relocate(&cx, message).await
                });
            }
            Request::MayCome(Received { message, reply_to, .. }) => {
                self.apart("midflight.may_come", reply_to, |control, cx| async move {
                    control.may_come(&cx, message).await
                });
            }
            Request::Come(Received { message, node, reply_to, .. }) => {
                self.apart("midflight.come", reply_to, move |control, _cx| async move {
                    control.come(message, node).await
                });
            }
            Request::Drain(Received { message, reply_to, .. }) => {
                self.apart("midflight.drain", reply_to, |control, cx| async move {
                    control.drain(&cx, message).await
                });
            }
            Request::Stays(Received { message, node, reply_to, .. }) => {
                self.stays(&message, node);
                reply(reply_to, ());
            }
            // What another node has told is looked at by who waits for it.
            _ => {}
        }
    }

    /// Moves a process: from here, or by asking whoever has it.
    pub(super) async fn relocate(&self, cx: &Context, request: Relocate) -> Relocated {
        let mut at = match self.relocate_here(&request).await {
            Relocated::Elsewhere(node) if request.ask_others => node,
            done => return done,
        };
        let asked = Relocate { ask_others: false, ..request };
        for _ in 0..ASKED_MAX {
            at = match ask_for_it(cx, at, &asked).await {
                Ok(Relocated::Elsewhere(node)) => node,
                Ok(done) => return done,
                // Its home may be gone.
                Err(_unreachable) => return self.ask_everybody(cx, &asked).await,
            };
        }
        Relocated::Refused(format!("{} moves faster than it can be asked for", asked.pid))
    }

    async fn ask_everybody(&self, cx: &Context, asked: &Relocate) -> Relocated {
        for member in self.others() {
            match ask_for_it(cx, member.id, asked).await {
                Ok(Relocated::Elsewhere(_)) | Err(_) => {}
                Ok(done) => return done,
            }
        }
        Relocated::Refused(format!("no member that can be asked has {}", asked.pid))
    }

    async fn relocate_here(&self, request: &Relocate) -> Relocated {
        let node = self.server.node();
        let Some(to) = self.member(&request.to) else {
            let to = &request.to;
            return Relocated::Refused(format!("no living member is called `{to}`"));
        };
        let pid = request.pid;
        match self.server.relocate(pid, to).await {
            Ok(still) => {
                tracing::info!(%pid, %to, ?still, "relocated");
                let micros = u64::try_from(still.as_micros()).unwrap_or(u64::MAX);
                Relocated::Done { from: node.name().to_owned(), micros }
            }
            Err(RelocateError::Elsewhere { node, .. }) => Relocated::Elsewhere(node),
            Err(error) => {
                let error = with_sources(&error);
                tracing::warn!(%pid, %to, error, "not relocated");
                Relocated::Refused(error)
            }
        }
    }

    /// The living member of a name, or of an id as text.
    pub(super) fn member(&self, named: &str) -> Option<NodeId> {
        let members = self.server.node().members().into_iter();
        let mut alive = members.filter(|member| member.state == MemberState::Alive);
        alive.find(|it| it.name == named || it.id.to_string() == named).map(|member| member.id)
    }
}

async fn ask_for_it(cx: &Context, node: NodeId, asked: &Relocate) -> Result<Relocated, String> {
    ask(cx, node, asked.clone(), OTHERS_TIMEOUT).await
}

//! Requests of rollouts: to a node that is part of one, that drives one, or that decides.

use midflight_process::Received;

use super::{Control, Request, reply};
use crate::protocol::Deactivated;

impl Control {
    /// Whatever may make the node wait for others is done apart; what settles an order is done here, as it comes.
    pub(super) fn take_of_a_rollout(&self, request: Request) {
        match request {
            Request::Claim(Received { message, node, reply_to, .. }) => {
                reply(reply_to, self.claim(message, node));
            }
            Request::Release(Received { message, reply_to, .. }) => {
                self.apart("midflight.release", reply_to, |control, _cx| async move {
                    control.release(message).await
                });
            }
            Request::Propose(Received { message, reply_to, .. }) => {
                self.apart("midflight.propose", reply_to, |control, _cx| async move {
                    control.voting.proposed(message).await
                });
            }
            Request::Voter(Received { message, node, reply_to, .. }) => {
                let from = node.and_then(|node| self.name_of(node));
                self.apart("midflight.vote", reply_to, |control, _cx| async move {
                    control.voting.voter_says(from.as_deref(), message).await
                });
            }
            Request::Rollouts(Received { message, reply_to, .. }) => {
                reply(reply_to, self.rollouts(&message));
            }
            Request::Wish(Received { message, reply_to, .. }) => {
                self.apart("midflight.wish", reply_to, |control, _cx| async move {
                    control.wish(message).await
                });
            }
            Request::Measure(Received { message, reply_to, .. }) => {
                let control = self.clone();
                self.beside("measure", reply_to, move |node| control.measure(node, &message));
            }
            Request::Stage(Received { message, reply_to, .. }) => {
                self.apart("midflight.stage", reply_to, |control, cx| async move {
                    control.stage(&cx, message).await
                });
            }
            Request::Activate(Received { message, reply_to, .. }) => {
                if let Some(no) = self.begin_activation(&message) {
                    return reply(reply_to, no);
                }
                self.apart("midflight.activate", reply_to, |control, _cx| async move {
                    control.activate(message).await
                });
            }
            Request::Deactivate(Received { message, reply_to, .. }) => {
                match self.begin_way_back(&message.ticket) {
                    Ok(true) => {}
                    Ok(false) => {
                        return reply(reply_to, Deactivated { objection: None, again: false });
                    }
                    Err(no) => return reply(reply_to, self.not_back(&no)),
                }
                self.apart("midflight.deactivate", reply_to, |control, _cx| async move {
                    control.deactivate(message).await
                });
            }
            Request::Rollback(Received { message, reply_to, .. }) => {
                self.apart("midflight.rollback", reply_to, |control, cx| async move {
                    control.rollback(&cx, message).await
                });
            }
            Request::Deploy(Received { message, reply_to, .. }) => {
                self.apart("midflight.deploy", reply_to, |control, cx| async move {
                    control.deploy(&cx, message).await
                });
            }
            other => self.take_move(other),
        }
    }
}

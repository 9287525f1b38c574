//! What handlers did, on its way out of the process.
//!
//! Effects leave in order. One that has no room waits, and the process with it, until its deadline.

mod named;
mod one;

use std::sync::Arc;

use midflight_abi::effect::Effects as EffectList;
use midflight_message::{Pid, TypeInfo};
use midflight_process::{Caller, ExitReason, Node, Turn, Wait, WaitKind};
use midflight_runtime::Instant;
use tokio::sync::oneshot;

use super::suspended::Suspended;
use super::types::BehaviourTypes;
use crate::versions::Versions;
use one::{Left, One};

/// The effects of a process that have not left yet.
#[derive(Default)]
pub(super) struct Effects {
    list: Option<List>,
    waiting: Option<Box<Waiting>>,
    /// The process ends once all have left.
    exit: Option<ExitReason>,
}

/// What one call into the code did. The next call comes when it has left.
struct List {
    bytes: Vec<u8>,
    /// How many of its effects have left.
    left: usize,
    /// Whom it may reply to.
    caller: Option<Caller>,
    /// The pids that it may spawn under.
    reserved: Vec<Pid>,
}

/// The oldest effect cannot leave yet.
struct Waiting {
    /// Whom it is for, where that is a process, and since when it waits.
    to: Option<Pid>,
    since: Instant,
    /// Then it is given up.
    until: Instant,
    /// A link is being made for it, or has been: the sender tells why there is none.
    connecting: Option<oneshot::Receiver<String>>,
    /// Another node is asked who has the name that it is for.
    asking: Option<oneshot::Receiver<Result<Pid, String>>>,
    /// Who has it.
    found: Option<Pid>,
}

/// How far it came.
pub(super) enum Applied {
    All,
    /// One has no room: the process is woken when there may be.
    Blocked,
    Exit(ExitReason),
}

/// What effects may touch of their process.
pub(super) struct Surroundings<'a> {
    pub(super) types: &'a BehaviourTypes,
    pub(super) sends: &'a [TypeInfo],
    pub(super) versions: &'a Arc<Versions>,
    pub(super) suspended: Option<&'a mut Suspended>,
}

impl Effects {
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_none()
    }

    /// What the oldest waits for.
    pub(super) fn waits(&self, now: Instant) -> Option<Wait> {
        let waiting = self.waiting.as_ref()?;
        let links = waiting.connecting.is_some() || waiting.asking.is_some();
        let kind = if links { WaitKind::Link } else { WaitKind::Room };
        Some(Wait::new(kind, waiting.to, Some(now.since(waiting.since))))
    }

    /// Who may still be replied to.
    pub(super) fn caller(&self) -> Option<Caller> {
        self.list.as_ref()?.caller
    }

    /// Takes what a call into the code did, and the pids it has reserved. What earlier calls did
    /// has left.
    pub(super) fn begin(
        &mut self,
        node: &Node,
        bytes: Vec<u8>,
        caller: Option<Caller>,
        reserved: Vec<Pid>,
    ) {
        debug_assert!(self.list.is_none(), "one list leaves before the next comes");
        let mut list = List { bytes, left: 0, caller, reserved };
        if list.bytes.is_empty() {
            list.give_back(node);
        } else {
            self.list = Some(list);
        }
    }

    /// Gives back the pids that nothing will be spawned under.
    pub(super) fn give_back(&mut self, node: &Node) {
        if let Some(list) = &mut self.list {
            list.give_back(node);
        }
    }

    /// Lets out what can leave now.
    pub(super) fn apply(&mut self, turn: &mut Turn<'_>, around: Surroundings<'_>) -> Applied {
        let Some(mut list) = self.list.take() else { return Applied::All };
        let bytes = std::mem::take(&mut list.bytes);
        let Surroundings { types, sends, versions, mut suspended } = around;
        for effect in EffectList::new(&bytes).skip(list.left) {
            let left = effect.map_err(|error| error.to_string()).and_then(|effect| {
                let one = One {
                    turn,
                    types,
                    sends,
                    versions,
                    suspended: suspended.as_deref_mut(),
                    caller: &mut list.caller,
                    reserved: &mut list.reserved,
                    exit: &mut self.exit,
                    waiting: &mut self.waiting,
                };
                one.apply(&effect)
            });
            match left {
                Ok(Left::Yes) => self.waiting = None,
                Ok(Left::Not) => {
                    self.list = Some(List { bytes, ..list });
                    return Applied::Blocked;
                }
                Err(why) => {
                    // Whoever waits for a reply is told when the process ends.
                    self.list = Some(list);
                    let why = format!("the code breaks its contract: {why}");
                    return Applied::Exit(ExitReason::Error(why));
                }
            }
            list.left += 1;
        }
        list.give_back(turn.node());
        self.exit.take().map_or(Applied::All, Applied::Exit)
    }
}

impl List {
    fn give_back(&mut self, node: &Node) {
        for pid in self.reserved.drain(..) {
            node.unreserve(pid);
        }
    }
}

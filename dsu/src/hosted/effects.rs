//! What handlers did, on its way out of the process.
//!
//! Effects leave in order. One that has no room waits, and the process with it, until its deadline.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midflight_abi::effect::{Effect, Effects as EffectList, UNIT_REPLY};
use midflight_message::Pid;
use midflight_process::{CallRef, Caller, ExitReason, Turn, TypeNo, Unsent};
use midflight_runtime::Instant;

use super::start_reserved;
use super::suspended::Suspended;
use super::types::BehaviourTypes;
use crate::versions::Versions;

/// How long one effect waits for room.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The effects of a process that have not left yet.
#[derive(Default)]
pub(super) struct Effects {
    /// Lists that have been begun or not, oldest first, with the caller each may reply to.
    lists: VecDeque<List>,
    /// Since when the oldest effect has been waiting for room.
    blocked_since: Option<Instant>,
    /// The process ends once all have left.
    exit: Option<ExitReason>,
    reserved: Vec<Pid>,
}

struct List {
    bytes: Vec<u8>,
    /// How many of its effects have left.
    left: usize,
    caller: Option<Caller>,
}

/// How far it came.
pub(super) enum Applied {
    All,
    /// One has no room: the process is woken when there may be.
    Blocked,
    Exit(ExitReason),
}

enum Left {
    Yes,
    Blocked,
}

impl Effects {
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Takes the list of a call that replies to nobody.
    pub(super) fn queue(&mut self, bytes: Vec<u8>) {
        self.begin(bytes, None);
    }

    /// Takes the list of a handler.
    pub(super) fn begin(&mut self, bytes: Vec<u8>, caller: Option<Caller>) {
        if !bytes.is_empty() {
            self.lists.push_back(List { bytes, left: 0, caller });
        }
    }

    /// Takes the pids that a handler has reserved.
    pub(super) fn reserve(&mut self, mut pids: Vec<Pid>) {
        self.reserved.append(&mut pids);
    }

    /// Lets out what can leave now.
    pub(super) fn apply(
        &mut self,
        turn: &mut Turn<'_>,
        types: &BehaviourTypes,
        versions: &Arc<Versions>,
        mut suspended: Option<&mut Suspended>,
    ) -> Applied {
        while let Some(mut list) = self.lists.pop_front() {
            let bytes = std::mem::take(&mut list.bytes);
            for effect in EffectList::new(&bytes).skip(list.left) {
                let effect = match effect {
                    Ok(effect) => effect,
                    Err(error) => return contract(&error.to_string()),
                };
                let mut one = One {
                    turn,
                    types,
                    versions,
                    caller: list.caller,
                    suspended: suspended.as_deref_mut(),
                    exit: &mut self.exit,
                    reserved: &mut self.reserved,
                };
                match one.apply(&effect) {
                    Err(why) => return contract(&why),
                    Ok(Left::Yes) => self.blocked_since = None,
                    Ok(Left::Blocked) if self.overdue(turn, &effect) => self.blocked_since = None,
                    Ok(Left::Blocked) => {
                        self.lists.push_front(List { bytes, ..list });
                        return Applied::Blocked;
                    }
                }
                list.left += 1;
            }
            self.give_back_reserved(turn);
        }
        self.exit.take().map_or(Applied::All, Applied::Exit)
    }

    /// Whether the oldest effect has waited long enough: then it is given up, aloud.
    fn overdue(&mut self, turn: &mut Turn<'_>, effect: &Effect<'_>) -> bool {
        let now = turn.node().runtime().now();
        let Some(since) = self.blocked_since else {
            self.blocked_since = Some(now);
            turn.wake_at(now + SEND_TIMEOUT);
            return false;
        };
        if now.since(since) < SEND_TIMEOUT {
            return false;
        }
        if let Effect::Send { to, .. } | Effect::Call { to, .. } = effect {
            tracing::warn!(me = %turn.me(), %to, after = ?SEND_TIMEOUT, "overloaded: given up");
        }
        true
    }

    fn give_back_reserved(&mut self, turn: &Turn<'_>) {
        for pid in self.reserved.drain(..) {
            turn.node().unreserve(pid);
        }
    }
}

fn contract(why: &str) -> Applied {
    Applied::Exit(ExitReason::Error(format!("the code breaks its contract: {why}")))
}

/// One effect and what it may touch.
struct One<'a, 't> {
    turn: &'a mut Turn<'t>,
    types: &'a BehaviourTypes,
    versions: &'a Arc<Versions>,
    caller: Option<Caller>,
    suspended: Option<&'a mut Suspended>,
    exit: &'a mut Option<ExitReason>,
    reserved: &'a mut Vec<Pid>,
}

impl One<'_, '_> {
    /// `Err`: the code breaks its contract.
    fn apply(&mut self, effect: &Effect<'_>) -> Result<Left, String> {
        match *effect {
            Effect::Send { to, type_index, payload } => {
                let ty = self.types.send(type_index).ok_or("a message it does not send")?;
                return Ok(self.send(to, ty, payload, None));
            }
            Effect::Reply { call, type_index, payload } => self.reply(call, type_index, payload)?,
            Effect::SendAfter { millis, type_index, payload } => {
                let ty = self.types.accept(type_index);
                let ty = ty.ok_or("a timer for a message it does not accept")?;
                self.turn.send_after(Duration::from_millis(millis), ty, payload);
            }
            Effect::Monitor { target } => {
                self.turn.monitor(target);
            }
            Effect::Spawn { pid, behaviour, payload, .. } => self.spawn(pid, behaviour, payload)?,
            Effect::Exit { reason } => {
                let reason = match reason {
                    "normal" => ExitReason::Normal,
                    other => ExitReason::Error(other.to_owned()),
                };
                self.exit.get_or_insert(reason);
            }
            Effect::Call { op, to, type_index, timeout_millis, payload } => {
                return self.call(op, to, type_index, timeout_millis, payload);
            }
            Effect::Sleep { op, millis } => {
                let deadline = self.now() + Duration::from_millis(millis);
                if let Some(suspended) = &mut self.suspended {
                    suspended.sleep(op, deadline);
                    self.turn.wake_at(deadline);
                }
            }
            _ => return Err("an effect this node does not know".into()),
        }
        Ok(Left::Yes)
    }

    fn send(&mut self, to: Pid, ty: TypeNo, payload: &[u8], call: Option<CallRef>) -> Left {
        match self.turn.try_send(to, ty, payload, call) {
            Ok(()) => Left::Yes,
            Err(Unsent::Full) => {
                self.turn.wait_for_room(to);
                // Room made in between is not missed.
                if self.turn.try_send(to, ty, payload, call).is_ok() {
                    Left::Yes
                } else {
                    Left::Blocked
                }
            }
            Err(Unsent::NotConnected(node)) => {
                self.turn.connect(node);
                Left::Blocked
            }
            Err(Unsent::Never(why)) => {
                tracing::warn!(me = %self.turn.me(), %to, why, "a message cannot be sent");
                Left::Yes
            }
            Err(_) => Left::Yes,
        }
    }

    fn call(
        &mut self,
        op: u64,
        to: Pid,
        type_index: u32,
        timeout_millis: u64,
        payload: &[u8],
    ) -> Result<Left, String> {
        let ty = self.types.call(type_index).ok_or("a call it does not make")?;
        let number = self.turn.next_call();
        if let Left::Blocked = self.send(to, ty, payload, Some(number)) {
            return Ok(Left::Blocked);
        }
        let deadline = self.now() + Duration::from_millis(timeout_millis);
        if let Some(suspended) = &mut self.suspended {
            suspended.call(op, number, deadline);
            self.turn.wake_at(deadline);
        }
        Ok(Left::Yes)
    }

    fn reply(&mut self, call: u64, type_index: u32, payload: &[u8]) -> Result<(), String> {
        let caller = self.caller.filter(|caller| caller.number() == call);
        let caller = caller.ok_or("a reply to a call it is not handling")?;
        let ty = match type_index {
            UNIT_REPLY => self.types.unit_reply(),
            index => self.types.reply(index),
        };
        let ty = ty.ok_or("a reply to a message that has none")?;
        self.turn.reply(caller, ty, payload);
        Ok(())
    }

    fn spawn(&mut self, pid: Pid, behaviour: &str, payload: &[u8]) -> Result<(), String> {
        let at = self.reserved.iter().position(|reserved| *reserved == pid);
        self.reserved.swap_remove(at.ok_or("a spawn under a pid it has not reserved")?);
        let node = self.turn.node().clone();
        if let Err(error) = start_reserved(&node, self.versions, behaviour, payload, pid) {
            tracing::warn!(me = %self.turn.me(), behaviour, %error, "a process was not started");
            node.unreserve(pid);
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        self.turn.node().runtime().now()
    }
}

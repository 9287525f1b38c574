//! One effect, from the list to where it goes.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use midflight_abi::effect::{Effect, UNIT_REPLY};
use midflight_message::{Address, Mismatch, NodeId, Pid, TypeInfo};
use midflight_process::{
    CallRef, Caller, ExitReason, ReconnectPolicy, Refusal, TimerRef, Turn, TypeNo, Unsent,
};
use midflight_runtime::{Instant, spawn};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::Waiting;
use super::named::Found;
use crate::hosted::start::start_reserved;
use crate::hosted::suspended::{How, Suspended};
use crate::hosted::types::BehaviourTypes;
use crate::versions::Versions;

/// How long an effect waits for room. A call that is awaited has its own deadline.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(5);

/// An effect and what it may touch.
pub(super) struct One<'a, 't> {
    pub(super) turn: &'a mut Turn<'t>,
    pub(super) types: &'a BehaviourTypes,
    /// The messages that the behaviour sends, by their index.
    pub(super) sends: &'a [TypeInfo],
    pub(super) versions: &'a Arc<Versions>,
    pub(super) suspended: Option<&'a mut Suspended>,
    pub(super) caller: &'a mut Option<Caller>,
    pub(super) reserved: &'a mut Vec<Pid>,
    pub(super) exit: &'a mut Option<ExitReason>,
    pub(super) waiting: &'a mut Option<Box<Waiting>>,
}

/// Whether it has left, or come to nothing; else the process waits.
pub(super) enum Left {
    Yes,
    Not,
}

/// What came of sending.
pub(super) enum Sent {
    Yes,
    /// There is no room, or no link, yet: the process is woken.
    NotYet,
    /// It has waited as long as it may.
    Overdue,
    /// There is no link, and none could be made.
    NoLink(String),
    /// It can never be sent.
    Never(String),
    /// The receiver has said before that it cannot read such.
    Incompatible(Box<Mismatch>),
}

impl One<'_, '_> {
    /// `Err`: the code breaks its contract.
    pub(super) fn apply(mut self, effect: &Effect<'_>) -> Result<Left, String> {
        match *effect {
            Effect::Send { to, type_index, payload } => {
                let ty = self.types.send(type_index).ok_or("a message it does not send")?;
                return Ok(self.send(to, ty, payload));
            }
            Effect::Reply { call, type_index, payload } => self.reply(call, type_index, payload)?,
            Effect::SendAfter { timer, to, millis, type_index, payload } => {
                let ty = match to {
                    None => self.types.accept(type_index),
                    Some(_) => self.types.send(type_index),
                };
                let ty = ty.ok_or("a timer for a message it does not accept or send")?;
                self.send_after(timer, to, millis, (ty, payload));
            }
            Effect::CancelTimer { set_by, timer } => {
                self.turn.cancel_timer(TimerRef::new(set_by, timer));
            }
            Effect::Demonitor { target } => self.turn.demonitor(target),
            Effect::DemonitorNode { node } => self.turn.demonitor_node(node),
            Effect::Unlink { target } => self.turn.unlink(target),
            Effect::TrapExits { traps } => self.turn.trap_exits(traps),
            Effect::AskAboutLosses { asks: true } => {
                self.turn.reconnect_policy(ReconnectPolicy::Ask);
            }
            Effect::AskAboutLosses { asks: false } => {
                self.turn.reconnect_policy(ReconnectPolicy::Accept);
            }
            Effect::Reconnect { node } => self.turn.reconnect(node),
            Effect::Monitor { .. } | Effect::MonitorNode { .. } | Effect::Link { .. } => {
                return Ok(self.relate(effect));
            }
            Effect::Spawn { pid, behaviour, type_index, payload } => {
                let start = self.sends.get(type_index as usize);
                let start = start.ok_or("a start message it does not send")?;
                self.spawn(pid, behaviour, (start, payload))?;
            }
            Effect::Exit { reason } => {
                let reason = match reason {
                    "normal" => ExitReason::Normal,
                    other => ExitReason::Error(other.to_owned()),
                };
                self.exit.get_or_insert(reason);
            }
            Effect::Call { op, to, type_index, timeout_millis, payload } => {
                let ty = self.types.call(type_index).ok_or("a call it does not make")?;
                let timeout = Duration::from_millis(timeout_millis);
                return Ok(self.call(op, to, (ty, type_index), timeout, payload));
            }
            Effect::Sleep { op, millis } => {
                let deadline = self.now() + Duration::from_millis(millis);
                if let Some(suspended) = &mut self.suspended {
                    suspended.sleep(op, deadline);
                }
            }
            Effect::Receive => self.receive(),
            Effect::UpdatePoint { op } => {
                if let Some(suspended) = &mut self.suspended {
                    suspended.come_to(op);
                }
            }
            _ => return Err("an effect this node does not know".into()),
        }
        Ok(Left::Yes)
    }

    fn send(&mut self, to: Address<'_>, ty: TypeNo, payload: &[u8]) -> Left {
        let to = match self.find(to, None) {
            Found::Process(to) => to,
            Found::NotYet => return Left::Not,
            Found::Overdue | Found::Nobody => return Left::Yes,
        };
        match self.try_send(to, ty, payload, None, None) {
            Sent::NotYet => Left::Not,
            Sent::Incompatible(mismatch) => {
                // It is told as it would be if the receiver had said so now.
                self.turn.tell_undelivered(to, mismatch);
                Left::Yes
            }
            sent => {
                self.log(to, &sent);
                Left::Yes
            }
        }
    }

    /// Watches or links, once a link to the other's node is there. Where there can be none, the process is
    /// told as if it had been lost.
    fn relate(&mut self, effect: &Effect<'_>) -> Left {
        let (to, node) = match *effect {
            Effect::Monitor { target } | Effect::Link { target } => {
                (Some(target), self.turn.out_of_reach(target))
            }
            Effect::MonitorNode { node } => (None, Some(node).filter(|n| !self.turn.reaches(*n))),
            _ => return Left::Yes,
        };
        if let Some(node) = node
            && matches!(self.connect(to, node, None), Sent::NotYet)
        {
            return Left::Not;
        }
        match *effect {
            Effect::Monitor { target } => drop(self.turn.monitor(target)),
            Effect::MonitorNode { node } => drop(self.turn.monitor_node(node)),
            Effect::Link { target } => self.turn.link(target),
            _ => {}
        }
        Left::Yes
    }

    fn send_after(
        &mut self,
        timer: u64,
        to: Option<Address<'_>>,
        millis: u64,
        what: (TypeNo, &[u8]),
    ) {
        let to = to.unwrap_or_else(|| Address::Pid(self.turn.me()));
        let (number, delay) = (NonZeroU64::new(timer), Duration::from_millis(millis));
        if let Err(why) = self.turn.send_after(number, delay, to, what) {
            tracing::warn!(me = %self.turn.me(), %why, "a timer is not set");
        }
    }

    /// A call's operation is there before it is sent for the first time: however the call comes to
    /// nothing, the handler that awaits it goes on.
    fn call(
        &mut self,
        op: u64,
        to: Address<'_>,
        (ty, index): (TypeNo, u32),
        timeout: Duration,
        payload: &[u8],
    ) -> Left {
        let now = self.now();
        let deadline = now + timeout;
        let number = self.turn.next_call();
        let again = self.waiting.is_some();
        let (number, until) = match &mut self.suspended {
            // The handler is done: it has given the reply up already.
            None => (number, None),
            Some(suspended) if again => match suspended.awaited(op) {
                Some((number, deadline)) => (number, Some(deadline)),
                None => return Left::Yes,
            },
            Some(suspended) => {
                suspended.call(op, number, index, (now, deadline));
                (number, Some(deadline))
            }
        };
        let to = match self.find(to, until) {
            Found::Process(to) => to,
            Found::NotYet => return Left::Not,
            Found::Overdue => return Left::Yes,
            Found::Nobody => {
                if let Some(suspended) = &mut self.suspended {
                    suspended.end(op, How::Gone);
                }
                return Left::Yes;
            }
        };
        if let Some(suspended) = &mut self.suspended {
            suspended.found(op, to);
        }
        let sent = self.try_send(to, ty, payload, Some(number), until);
        self.log(to, &sent);
        let how = match sent {
            Sent::NotYet => return Left::Not,
            // Its deadline ends an overdue one.
            Sent::Yes | Sent::Overdue => return Left::Yes,
            Sent::NoLink(_) => How::Gone,
            Sent::Never(why) => How::Refused(why),
            Sent::Incompatible(mismatch) => {
                How::Refused(Refusal::Incompatible(mismatch).to_string())
            }
        };
        if let Some(suspended) = &mut self.suspended {
            suspended.end(op, how);
        }
        Left::Yes
    }

    fn log(&self, to: Pid, sent: &Sent) {
        let why = match sent {
            Sent::Yes | Sent::NotYet | Sent::Incompatible(_) => return,
            Sent::Overdue => "the receiver had no room for as long as it may take",
            Sent::NoLink(why) | Sent::Never(why) => why,
        };
        tracing::warn!(me = %self.turn.me(), %to, why, "a message is given up");
    }

    fn try_send(
        &mut self,
        to: Pid,
        ty: TypeNo,
        payload: &[u8],
        call: Option<CallRef>,
        until: Option<Instant>,
    ) -> Sent {
        match self.turn.try_send(to, ty, payload, call) {
            Ok(()) => Sent::Yes,
            Err(Unsent::Full) => {
                self.turn.wait_for_room(to);
                // Room made in between is not missed.
                match self.turn.try_send(to, ty, payload, call) {
                    Ok(()) => Sent::Yes,
                    Err(_) => self.wait(Some(to), until),
                }
            }
            Err(Unsent::NotConnected(node)) => self.connect(Some(to), node, until),
            Err(Unsent::Never(why)) => Sent::Never(why),
            Err(Unsent::Incompatible(mismatch)) => Sent::Incompatible(mismatch),
            Err(other) => Sent::Never(format!("{other:?}")),
        }
    }

    pub(super) fn wait(&mut self, to: Option<Pid>, until: Option<Instant>) -> Sent {
        let now = self.now();
        let waiting = begun(self.waiting, to, now, until.unwrap_or(now + SEND_TIMEOUT));
        waiting.to = to;
        if waiting.until <= now {
            return Sent::Overdue;
        }
        self.turn.wake_at(waiting.until);
        Sent::NotYet
    }

    /// Makes a link to `node`, once for each effect.
    fn connect(&mut self, to: Option<Pid>, node: NodeId, until: Option<Instant>) -> Sent {
        let now = self.now();
        let until = until.unwrap_or(now + SEND_TIMEOUT);
        let waiting = begun(self.waiting, to, now, until);
        match waiting.connecting.as_mut().map(oneshot::Receiver::try_recv) {
            None => {
                waiting.connecting = Some(connect(self.turn, node));
                self.wait(to, Some(until))
            }
            Some(Err(TryRecvError::Empty)) => self.wait(to, Some(until)),
            Some(Err(TryRecvError::Closed)) => Sent::NoLink("the link was lost at once".into()),
            Some(Ok(why)) => Sent::NoLink(why),
        }
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
        self.answered();
        Ok(())
    }

    /// A loop takes the next message: a reply that it owes will not come.
    fn receive(&mut self) {
        if let Some(caller) = *self.caller {
            self.turn.abort(caller, "its receiver went on without a reply".into());
            self.answered();
        }
        if let Some(suspended) = &mut self.suspended {
            suspended.receive();
        }
    }

    fn answered(&mut self) {
        *self.caller = None;
        if let Some(suspended) = &mut self.suspended {
            suspended.answered();
        }
    }

    fn spawn(
        &mut self,
        pid: Pid,
        behaviour: &str,
        (written, payload): (&TypeInfo, &[u8]),
    ) -> Result<(), String> {
        let at = self.reserved.iter().position(|reserved| *reserved == pid);
        self.reserved.swap_remove(at.ok_or("a spawn under a pid it has not reserved")?);
        let node = self.turn.node().clone();
        if let Err(error) =
            start_reserved(&node, self.versions, behaviour, (Some(written), payload), pid)
        {
            tracing::warn!(me = %self.turn.me(), behaviour, %error, "a process was not started");
            node.unreserve(pid);
        }
        Ok(())
    }

    pub(super) fn now(&self) -> Instant {
        self.turn.node().runtime().now()
    }
}

pub(super) fn begun(
    waiting: &mut Option<Box<Waiting>>,
    to: Option<Pid>,
    since: Instant,
    until: Instant,
) -> &mut Waiting {
    waiting.get_or_insert_with(|| {
        Box::new(Waiting { to, since, until, connecting: None, asking: None, found: None })
    })
}

/// Makes a link apart, and gives the process another turn when that is done or has failed.
fn connect(turn: &mut Turn<'_>, to: NodeId) -> oneshot::Receiver<String> {
    let (tell, told) = oneshot::channel();
    let (waker, node) = (turn.waker(), turn.node().clone());
    let runtime = node.runtime().clone();
    spawn(&runtime, "connect for a process", async move {
        match node.connect_node(to).await {
            Ok(()) => drop(tell),
            Err(error) => {
                // A process that has ended meanwhile need not know.
                let _ = tell.send(error.to_string());
            }
        }
        waker.wake();
    });
    told
}

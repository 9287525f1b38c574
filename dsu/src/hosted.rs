//! A process of a behaviour whose code can be replaced: an instance behind the seam of
//! [`code`](crate::code), in a cell of the process layer.
//!
//! One message at a time goes in as bytes; what the handler did comes out as one list of effects,
//! which leave when it has returned or suspended well. A handler that failed did nothing.

mod effects;
mod ending;
pub(crate) mod gate;
mod health;
mod held;
mod looping;
mod measured;
mod notices;
pub(crate) mod probation;
mod saved;
mod start;
mod suspended;
mod types;
mod view;

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use midflight_abi::BehaviourDescription;
use midflight_message::Pid;
use midflight_process::{
    Batch, Body, Caller, ExitReason, Flow, Label, Node, Origin, Pace, Refusal, Turn, View, Wait,
    WaitKind,
};
use midflight_runtime::Instant;

use crate::code::{Call, CodeError, Instance, Progress, Reader};
use crate::versions::{Failure, Residence, StateBytes, Version, Versions};
use effects::{Applied, Effects, Surroundings};
use gate::Gate;
use health::Health;
use held::Held;
use probation::Probation;
pub use probation::ProbationLimits;
pub use saved::SavedState;
pub use start::{StartError, start};
use suspended::{Ended, Suspended};
pub(crate) use types::BehaviourTypes;
use types::{Form, Taken};
use view::HostView;

/// A hosted behaviour.
pub struct Hosted {
    node: Node,
    versions: Arc<Versions>,
    /// Goes before its version.
    instance: Box<dyn Instance>,
    residence: Residence,
    behaviour: u32,
    effects: Effects,
    held: Option<Box<Held>>,
    suspended: Option<Box<Suspended>>,
    /// The buffer that effects come back in, kept for the next message.
    spare: Vec<u8>,
    pace: Pace,
    probation: Option<Box<Probation>>,
    health: Health,
    /// While its group comes to rest.
    gate: Option<Box<Gate>>,
    state_bytes: StateBytes,
    /// Messages handled well in this turn.
    handled: u32,
}

impl Hosted {
    /// The body for an instance of `version`'s behaviour of that index.
    pub(crate) fn new(
        node: &Node,
        versions: &Arc<Versions>,
        version: Arc<Version>,
        behaviour: u32,
        pid: Pid,
        instance: Box<dyn Instance>,
    ) -> Self {
        Self {
            node: node.clone(),
            versions: versions.clone(),
            residence: Residence::new(version, pid),
            behaviour,
            suspended: looping::begun(&*instance, node.runtime().now()),
            instance,
            effects: Effects::default(),
            held: None,
            spare: Vec::new(),
            pace: Pace::default(),
            probation: None,
            health: Health::default(),
            gate: None,
            state_bytes: StateBytes::default(),
            handled: 0,
        }
    }

    /// The version it runs in.
    #[must_use]
    pub fn version(&self) -> &Arc<Version> {
        &self.residence.version
    }

    /// The behaviour's name.
    #[must_use]
    pub fn behaviour(&self) -> &str {
        &self.description().name
    }

    fn description(&self) -> &BehaviourDescription {
        &self.version().code.description().behaviours[self.behaviour as usize]
    }

    /// Works until nothing is left to do now.
    fn work(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        let mut was_busy = self.suspended.is_some() || !self.effects.is_empty();
        while turn.goes_on(&mut self.pace) {
            match self.apply_effects(turn) {
                Applied::All => {}
                Applied::Blocked => return Flow::Park,
                Applied::Exit(reason) => return Flow::Exit(reason),
            }
            if self.suspended.is_some() {
                match self.resume(batch, turn) {
                    Some(flow) => return flow,
                    None => {
                        was_busy = true;
                        continue;
                    }
                }
            }
            // One that always has mail would be at rest at the end of no turn: with the next message it may wait, too.
            if std::mem::take(&mut was_busy) && turn.is_wanted() {
                return Flow::Wait;
            }
            let Some(delivery) = self.next(batch, turn) else { return self.waits_for_next(turn) };
            if let Some(flow) = self.deliver(turn, delivery) {
                return flow;
            }
        }
        // Its turn is over; what the last handler did leaves all the same.
        match self.apply_effects(turn) {
            Applied::Exit(reason) => Flow::Exit(reason),
            Applied::Blocked => Flow::Park,
            Applied::All => {
                // What a handler awaits is looked after when it is resumed, and this one had no time for that.
                if self.suspended.is_some() {
                    turn.waker().wake();
                }
                Flow::Wait
            }
        }
    }

    fn apply_effects(&mut self, turn: &mut Turn<'_>) -> Applied {
        if self.effects.is_empty() {
            return Applied::All;
        }
        let around = Surroundings {
            types: &self.residence.version.types[self.behaviour as usize],
            sends: &self.residence.version.code.description().behaviours[self.behaviour as usize]
                .sends,
            versions: &self.versions,
            suspended: self.suspended.as_deref_mut(),
        };
        let applied = self.effects.apply(turn, around);
        if let Applied::Exit(ExitReason::Error(_)) = &applied {
            self.count_failure(turn, self.version(), Failure::Ended);
        }
        applied
    }

    fn message(
        &mut self,
        turn: &mut Turn<'_>,
        from: Origin,
        content: View<'_>,
        caller: Option<Caller>,
    ) -> Option<Flow> {
        let content = self.as_bytes(turn, from, content, caller)?;
        let (ty, bytes) = match &content {
            View::Bytes(ty, bytes) => (*ty, *bytes),
            View::Large(ty, bytes) => (*ty, &bytes[..]),
            View::Value(_) => return None,
        };
        if self.is_elsewhere() {
            // The code that took it has failed, and that which it is back in has a loop to begin.
            self.held = Some(Box::new(Held::new(from, ty, bytes, caller)));
            return None;
        }
        let version = self.residence.version.clone();
        let types = &version.types[self.behaviour as usize];
        match types.take(turn, &version, self.behaviour, (from, ty)) {
            Taken::By(index, form) => match self.handle(turn, from, (index, form), bytes, caller) {
                Err(error) if error.ends_process() && self.returns(turn, &error) => {
                    self.message(turn, from, content, caller)
                }
                Err(CodeError::Decode(detail)) => {
                    self.count_failure(turn, &version, Failure::Message);
                    let type_name = turn.type_name(ty).0.to_string();
                    turn.refuse(from, caller, content, Refusal::Garbled { type_name, detail });
                    None
                }
                Err(error) => self.failed(turn, caller, &error),
                Ok(()) => {
                    self.handled += 1;
                    None
                }
            },
            Taken::Refused(refusal) => {
                turn.refuse(from, caller, content, refusal);
                None
            }
            Taken::Later => {
                self.held = Some(Box::new(Held::new(from, ty, bytes, caller)));
                Some(Flow::Park)
            }
        }
    }

    /// Lets the instance handle a message.
    fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        from: Origin,
        (index, form): (u32, Form),
        bytes: &[u8],
        caller: Option<Caller>,
    ) -> Result<(), CodeError> {
        // First: a conversion of a message may fail as a handler does.
        self.keep_state(turn);
        let began = self.begins();
        let bytes = self.own_form(Reader::Message(index), &form, bytes)?;
        let bytes = &*bytes;
        let progress = self.enter(turn, Some(from), caller, |instance, call, effects| {
            instance.start(index, bytes, call, effects)
        })?;
        match (progress, &mut self.suspended) {
            (Progress::Done, _) => {
                self.suspended = None;
                self.took(began);
            }
            (Progress::Suspended, Some(looping)) => looping.came(from, caller),
            (Progress::Suspended, None) => {
                let now = turn.node().runtime().now();
                self.suspended = Some(Box::new(Suspended::new(from, caller, now)));
            }
        }
        Ok(())
    }

    /// What was written in that form, as the code reads it.
    fn own_form<'b>(
        &self,
        reader: Reader,
        form: &Form,
        bytes: &'b [u8],
    ) -> Result<Cow<'b, [u8]>, CodeError> {
        let Form::Other(written) = form else { return Ok(Cow::Borrowed(bytes)) };
        let code = &self.version().code;
        code.translate(self.behaviour, reader, written, bytes).map(Cow::Owned)
    }

    /// Calls into the code, and keeps what it did.
    fn enter(
        &mut self,
        turn: &Turn<'_>,
        from: Option<Origin>,
        caller: Option<Caller>,
        run: impl FnOnce(&mut dyn Instance, &Call<'_>, &mut Vec<u8>) -> Result<Progress, CodeError>,
    ) -> Result<Progress, CodeError> {
        let host = HostView::new(&self.node);
        let call = Call {
            me: turn.me(),
            from: from.and_then(|from| turn.pid(from)),
            reply_to: caller.map(|caller| caller.number()),
            is_wanted: self.instance.is_loop() && turn.is_wanted(),
            host: &host,
        };
        let progress = run(&mut *self.instance, &call, &mut self.spare);
        if progress.is_ok() {
            if let Some(suspended) = self.suspended.as_mut().filter(|it| it.is_loop()) {
                suspended.called(self.node.runtime().now());
            }
            let effects = std::mem::take(&mut self.spare);
            self.effects.begin(&self.node, effects, caller, host.into_reserved());
        } else {
            host.give_back();
        }
        progress
    }

    /// A handler failed: its caller is told; when the state went with it, the process ends.
    fn failed(
        &mut self,
        turn: &mut Turn<'_>,
        caller: Option<Caller>,
        error: &CodeError,
    ) -> Option<Flow> {
        let text = format!("{} version {}: {error}", self.behaviour(), self.version().version);
        tracing::warn!(me = %turn.me(), error = text, "a handler failed");
        if let Some(caller) = caller {
            turn.abort(caller, text.clone());
        }
        if !error.ends_process() {
            self.count_failure(turn, self.version(), Failure::Message);
            return None;
        }
        if self.returns(turn, error) {
            return None;
        }
        self.count_failure(turn, self.version(), Failure::Ended);
        Some(Flow::Exit(match error {
            CodeError::Panicked(_) => ExitReason::Panic(text),
            _ => ExitReason::Error(text),
        }))
    }

    /// Goes on with a suspended handler, as far as what it awaits has come. `Some`: that is all for
    /// this turn.
    fn resume(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Option<Flow> {
        let suspended = self.suspended.as_mut()?;
        let version = &self.residence.version;
        let Some(ended) = suspended.next_ended(batch, turn, (version, self.behaviour)) else {
            suspended.arm(turn);
            return match suspended.exit() {
                Some(reason) => Some(Flow::Exit(reason)),
                None => self.wait(batch, turn),
            };
        };
        self.go_on(turn, ended)
    }

    /// Goes on with a suspended handler or loop: an operation it awaits has ended.
    fn go_on(&mut self, turn: &mut Turn<'_>, ended: Ended) -> Option<Flow> {
        let suspended = self.suspended.as_ref()?;
        let (from, caller, began) = (suspended.from(), suspended.caller(), suspended.began());
        let ended = ended.read(|call, form, bytes| {
            Ok(Bytes::from(self.own_form(Reader::Reply(call), form, bytes)?.into_owned()))
        });
        let progress = ended.and_then(|ended| {
            self.enter(turn, from, caller, |instance, call, effects| {
                instance.resume(ended.op, ended.end(), call, effects)
            })
        });
        match progress {
            Ok(Progress::Suspended) => None,
            Ok(Progress::Done) => {
                self.suspended = None;
                self.took(began);
                None
            }
            Err(error) => {
                self.suspended = None;
                self.failed(turn, caller, &error)
            }
        }
    }

    /// Takes up the message that waited for its writer's schema, if that has come.
    fn take_up_held(&mut self, turn: &mut Turn<'_>) -> Option<Flow> {
        let held = self.held.take()?;
        self.message(turn, held.from, held.view(), held.caller)
    }
}

impl Body for Hosted {
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        // A loop takes it up where it receives.
        let is_free = self.effects.is_empty() && self.suspended.is_none();
        let held = if is_free { self.take_up_held(turn) } else { None };
        let flow = held.unwrap_or_else(|| self.work(batch, turn));
        self.count_handled();
        if !matches!(flow, Flow::Exit(_)) {
            self.measure_state();
            self.ask_health(turn);
        }
        match flow {
            // What it waits for does not keep it from its end.
            Flow::Park => batch.take_exit().map_or(Flow::Park, Flow::Exit),
            flow => flow,
        }
    }

    fn is_quiescent(&self) -> bool {
        self.suspended.as_ref().is_none_or(|suspended| suspended.rests())
            && self.effects.is_empty()
            && self.held.is_none()
            && !self.gate.as_ref().is_some_and(|gate| gate.is_due())
    }

    fn has_work(&self) -> bool {
        self.suspended.is_some() || self.health_is_due()
    }

    fn label(&self) -> Label {
        let mut label = Label::new(self.behaviour(), self.version().version);
        let suspended = self.suspended.as_ref().filter(|suspended| !suspended.rests());
        label.suspended = suspended.map(|suspended| suspended.describe(&self.node));
        label
    }

    fn waits(&self, now: Instant) -> Vec<Wait> {
        let held = self.held.as_ref().map(|_| Wait::new(WaitKind::Schema, None, None));
        let suspended = self.suspended.iter().flat_map(|suspended| suspended.waits(now));
        let waits = self.effects.waits(now).into_iter().chain(held).chain(suspended);
        match self.is_quiescent() {
            true => vec![Wait::new(WaitKind::Message, None, None)],
            false => waits.collect(),
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

//! A process of a behaviour whose code can be replaced: an instance behind the seam of
//! [`code`](crate::code), in a cell of the process layer.
//!
//! One message at a time goes in as bytes; what the handler did comes out as one list of effects,
//! which leave when it has returned or suspended well. A handler that failed did nothing.

mod effects;
mod held;
mod suspended;
mod types;
mod view;

use std::any::Any;
use std::sync::Arc;

use midflight_abi::BehaviourDescription;
use midflight_message::{Pid, encode};
use midflight_process::{
    Batch, Body, Caller, Delivery, ExitReason, Flow, Label, Node, Origin, Refusal, SpawnError,
    Turn, Undelivered, View,
};

use crate::code::{Call, CodeError, Instance, Progress};
use crate::versions::{Residence, Version, Versions};
use effects::{Applied, Effects};
use held::Held;
use suspended::Suspended;
pub(crate) use types::BehaviourTypes;
use types::Taken;
use view::HostView;

/// A hosted behaviour.
pub struct Hosted {
    node: Node,
    versions: Arc<Versions>,
    residence: Residence,
    behaviour: u32,
    /// `None` once its state is lost.
    instance: Option<Box<dyn Instance>>,
    effects: Effects,
    held: Option<Box<Held>>,
    suspended: Option<Box<Suspended>>,
    /// The buffer that effects come back in, kept for the next message.
    spare: Vec<u8>,
}

/// A process of a behaviour could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No current version has the behaviour.
    #[error("no version of the behaviour `{0}` is current on this node: push its bundle")]
    UnknownBehaviour(String),
    /// Its `init` failed, or the start message is not its.
    #[error("the behaviour `{behaviour}` did not start")]
    Init {
        /// The behaviour.
        behaviour: String,
        /// Why.
        #[source]
        source: CodeError,
    },
    /// The node has no room.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Starts a process of `behaviour`, in the version that is current, from its encoded start message.
///
/// # Errors
/// [`StartError`].
pub fn start(
    node: &Node,
    versions: &Arc<Versions>,
    behaviour: &str,
    start: &[u8],
) -> Result<Pid, StartError> {
    let pid = node.reserve()?;
    start_reserved(node, versions, behaviour, start, pid).inspect_err(|_| node.unreserve(pid))?;
    Ok(pid)
}

/// As [`start`], under a pid that has been reserved.
pub(crate) fn start_reserved(
    node: &Node,
    versions: &Arc<Versions>,
    behaviour: &str,
    start: &[u8],
    pid: Pid,
) -> Result<(), StartError> {
    let unknown = || StartError::UnknownBehaviour(behaviour.to_owned());
    let version = versions.current_of_behaviour(behaviour).ok_or_else(unknown)?;
    let (index, _) = version.behaviour(behaviour).ok_or_else(unknown)?;
    let mut spare = Vec::new();
    let host = HostView::new(node);
    let call = Call { me: pid, from: None, reply_to: None, host: &host };
    let instance = version
        .code
        .create(index, start, &call, &mut spare)
        .map_err(|source| StartError::Init { behaviour: behaviour.to_owned(), source })?;
    let mut hosted = Hosted::new(node, versions, version, index, pid, instance);
    hosted.effects.queue(spare);
    host.keep_reserved(&mut hosted.effects);
    node.fill(pid, Box::new(hosted));
    Ok(())
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
            instance: Some(instance),
            effects: Effects::default(),
            held: None,
            suspended: None,
            spare: Vec::new(),
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

    /// The state in its own version: the copy that a conversion works on.
    ///
    /// # Errors
    /// [`CodeError`].
    pub fn save(&self) -> Result<SavedState, CodeError> {
        let version = self.description().state.version();
        let instance = self.instance.as_ref().ok_or(CodeError::Lost)?;
        Ok(SavedState { version, bytes: instance.save(version)? })
    }

    /// How many bytes the saved state would take.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.instance.as_ref().map_or(0, |instance| instance.size())
    }

    /// Works until nothing is left to do now.
    fn work(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        for _ in 0..turn.messages_max() {
            match self.apply_effects(turn) {
                Applied::All => {}
                Applied::Blocked => return Flow::Park,
                Applied::Exit(reason) => return Flow::Exit(reason),
            }
            if self.suspended.is_some() {
                match self.resume(batch, turn) {
                    Some(flow) => return flow,
                    None => continue,
                }
            }
            let Some(delivery) = batch.take_next() else { return Flow::Wait };
            match delivery {
                Delivery::Exit(reason) => return Flow::Exit(reason),
                Delivery::Message { from, content, caller } => {
                    if let Some(flow) = self.message(turn, from, content, caller) {
                        return flow;
                    }
                }
                // A reply that nobody waits for any more.
                _ => {}
            }
        }
        // Its turn is over; what the last handler did leaves all the same.
        match self.apply_effects(turn) {
            Applied::Exit(reason) => Flow::Exit(reason),
            Applied::Blocked => Flow::Park,
            Applied::All => Flow::Wait,
        }
    }

    fn apply_effects(&mut self, turn: &mut Turn<'_>) -> Applied {
        if self.effects.is_empty() {
            return Applied::All;
        }
        let types = &self.residence.version.types[self.behaviour as usize];
        self.effects.apply(turn, types, &self.versions, self.suspended.as_deref_mut())
    }

    fn message(
        &mut self,
        turn: &mut Turn<'_>,
        from: Origin,
        content: View<'_>,
        caller: Option<Caller>,
    ) -> Option<Flow> {
        let content = self.as_bytes(turn, content)?;
        let (ty, bytes) = match &content {
            View::Bytes(ty, bytes) => (*ty, *bytes),
            View::Large(ty, bytes) => (*ty, &bytes[..]),
            View::Value(_) => return None,
        };
        let version = self.residence.version.clone();
        let types = &version.types[self.behaviour as usize];
        let behaviour = &version.code.description().behaviours[self.behaviour as usize];
        match types.take(turn, behaviour, from, ty) {
            Taken::Index(index) => self.handle(turn, from, index, bytes, caller).err(),
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

    /// A message as bytes. What the node itself tells its processes becomes what behaviours know;
    /// `None`: it was for the log.
    fn as_bytes<'v>(&self, turn: &Turn<'_>, content: View<'v>) -> Option<View<'v>> {
        let View::Value(value) = &content else { return Some(content) };
        let value = (**value).as_any();
        if let Some(undelivered) = value.downcast_ref::<Undelivered>() {
            let Undelivered { to, reason, .. } = undelivered;
            tracing::warn!(me = %turn.me(), %to, reason, "a message was not taken");
            return None;
        }
        let Some(down) = value.downcast_ref::<midflight_process::Down>() else {
            return turn.encoded(content);
        };
        let ty = self.version().types[self.behaviour as usize].down?;
        let down = midflight_abi::Down { pid: down.process, reason: down.reason.to_string() };
        let mut bytes = Vec::new();
        encode(&down, &mut bytes).ok()?;
        Some(View::Large(ty, bytes.into()))
    }

    /// Lets the instance handle a message. `Err`: the process ends.
    fn handle(
        &mut self,
        turn: &mut Turn<'_>,
        from: Origin,
        index: u32,
        bytes: &[u8],
        caller: Option<Caller>,
    ) -> Result<(), Flow> {
        let Some(instance) = &mut self.instance else { return Err(lost("its state is lost")) };
        let host = HostView::new(&self.node);
        let call = Call {
            me: turn.me(),
            from: turn.pid(from),
            reply_to: caller.map(|caller| caller.number()),
            host: &host,
        };
        let progress = instance.start(index, bytes, &call, &mut self.spare);
        match progress {
            Ok(progress) => {
                self.effects.begin(std::mem::take(&mut self.spare), caller);
                host.keep_reserved(&mut self.effects);
                if progress == Progress::Suspended {
                    self.suspended =
                        Some(Box::new(Suspended::new(from, caller, turn.node().runtime().now())));
                }
                Ok(())
            }
            Err(error) => {
                host.give_back();
                self.failed(turn, caller, &error)
            }
        }
    }

    /// A handler failed: its caller is told; when the state went with it, the process ends.
    fn failed(
        &mut self,
        turn: &mut Turn<'_>,
        caller: Option<Caller>,
        error: &CodeError,
    ) -> Result<(), Flow> {
        let text = format!("{} version {}: {error}", self.behaviour(), self.version().version);
        tracing::warn!(me = %turn.me(), error = text, "a handler failed");
        if let Some(caller) = caller {
            turn.abort(caller, text.clone());
        }
        match error {
            CodeError::Panicked(_) => Err(Flow::Exit(ExitReason::Panic(text))),
            CodeError::Stuck(_) | CodeError::Lost | CodeError::Contract(_) => Err(lost(&text)),
            _ => Ok(()),
        }
    }

    /// Goes on with a suspended handler, as far as what it awaits has come. `Some`: that is all for
    /// this turn.
    fn resume(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Option<Flow> {
        let suspended = self.suspended.as_mut()?;
        let Some(ended) = suspended.next_ended(batch, turn) else {
            return Some(suspended.exit().map_or(Flow::Suspend, Flow::Exit));
        };
        let Some(instance) = &mut self.instance else { return Some(lost("its state is lost")) };
        let (from, caller) = (suspended.from(), suspended.caller());
        let host = HostView::new(&self.node);
        let call = Call {
            me: turn.me(),
            from: turn.pid(from),
            reply_to: caller.map(|caller| caller.number()),
            host: &host,
        };
        match instance.resume(ended.op, ended.end(), &call, &mut self.spare) {
            Ok(progress) => {
                self.effects.begin(std::mem::take(&mut self.spare), caller);
                host.keep_reserved(&mut self.effects);
                if progress == Progress::Done {
                    self.suspended = None;
                }
                None
            }
            Err(error) => {
                host.give_back();
                self.suspended = None;
                self.failed(turn, caller, &error).err()
            }
        }
    }

    /// Takes up the message that waited for its writer's schema, if that has come.
    fn take_up_held(&mut self, turn: &mut Turn<'_>) -> Option<Flow> {
        let held = self.held.take()?;
        self.message(turn, held.from, held.view(), held.caller)
    }
}

fn lost(text: &str) -> Flow {
    Flow::Exit(ExitReason::Error(text.to_owned()))
}

impl Body for Hosted {
    fn turn(&mut self, batch: &mut Batch, turn: &mut Turn<'_>) -> Flow {
        if self.effects.is_empty()
            && let Some(flow) = self.take_up_held(turn)
        {
            return flow;
        }
        self.work(batch, turn)
    }

    fn is_quiescent(&self) -> bool {
        self.suspended.is_none() && self.effects.is_empty() && self.held.is_none()
    }

    fn label(&self) -> Label {
        let mut label = Label::new(self.behaviour(), self.version().version);
        label.suspended = self.suspended.as_ref().map(|suspended| suspended.describe(&self.node));
        label
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if let Some(caller) = self.suspended.as_ref().and_then(|s| s.caller()) {
            let reason = String::from("the process ended before it replied");
            self.node.refuse_call(caller, Refusal::Aborted { reason });
        }
    }
}

impl std::fmt::Debug for Hosted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hosted({} version {})", self.behaviour(), self.version().version)
    }
}

/// A state that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// Its version.
    pub version: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

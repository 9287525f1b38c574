//! Moving a process of a behaviour to another node (M2, M4): the holder's side.
//!
//! First the target is asked whether it may come: that one fetches the code, or sees that its own reads the
//! state. Only then is the process frozen, its state saved, and all of it sent. When the target says that it is there,
//! and not before, the process is given up, which is one step on this node. Whatever fails before, or takes too
//! long, leaves it where it is.

mod error;
pub(crate) mod lodging;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use midflight_message::{Message, NodeId, Pid, TypeInfo};
use midflight_process::{Frozen, LinkLost, Lost, Moved, Node, Packed};
use midflight_runtime::timeout;

use crate::code_server::CodeServer;
use crate::control::others::control_of;
use crate::hosted::{Hosted, SavedState};
use crate::protocol::{Answer, CONTROL, Came, Come, MayCome, Stays};
use crate::versions::Version;
pub use error::RelocateError;

/// The largest state that moves, in bytes: it goes in one message, and the process stands still meanwhile.
pub const STATE_MAX: usize = 8 << 20;

/// How long the target may take to have the code: it may fetch and try it.
const CODE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long the target may take to have the process. It stands still for as long.
const LODGE_TIMEOUT: Duration = Duration::from_secs(10);

impl CodeServer {
    /// Moves a process of a behaviour that lives here to the node `to`, with its state, mailbox and timers; its
    /// pid, and what others have tied to it, stays. Answers how long it stood still.
    ///
    /// # Errors
    /// [`RelocateError`]: it goes on here as it was, except after `Unknown`.
    ///
    /// # Cancel safety
    /// Of a dropped future the process has moved, or goes on here.
    pub async fn relocate(&self, pid: Pid, to: NodeId) -> Result<Duration, RelocateError> {
        let node = self.node();
        let version = self.version_to_move(pid, to)?;
        let target = Target::reach(node, to).await?;
        let (behaviour, forms) = self.forms(pid, &version)?;
        let may_come = MayCome {
            bundle: version.name.clone(),
            address: version.address.to_string(),
            behaviour: behaviour.clone(),
            forms: forms.iter().map(form_bytes).collect(),
            from: node.whereis(CONTROL).unwrap_or(pid),
        };
        let (address, state) = match target.ask(may_come, CODE_TIMEOUT).await? {
            Answer::Yes { address, state } => (address, state),
            Answer::No(why) => return Err(target.refuses(why)),
        };
        let deadline = node.runtime().now() + self.switch_limits().rest_timeout;
        let frozen = node.freeze(pid, deadline).await?;
        let began = node.runtime().now();
        let (packed, saved) = self.pack(frozen, &version, state).await?;
        let come = Come {
            moved: packed.moved().clone(),
            address,
            behaviour,
            form: form_bytes(&saved.form),
            state: saved.bytes,
            baggage: packed.baggage().to_bytes(),
        };
        target.take(packed, come).await?;
        Ok(node.runtime().now().since(began))
    }

    /// The node on which a process lives that does not live here, as far as this one knows; `None`: there is none.
    pub(crate) fn lives_elsewhere(&self, pid: Pid) -> Option<NodeId> {
        let node = self.node();
        node.moved_to(pid).or_else(|| (pid.node != node.id()).then_some(pid.node))
    }

    /// The version in which a process runs that is to move to `to`.
    fn version_to_move(&self, pid: Pid, to: NodeId) -> Result<Arc<Version>, RelocateError> {
        let node = self.node();
        if !node.holds(pid) {
            return Err(self.lives_elsewhere(pid).map_or(RelocateError::NoProcess(pid), |node| {
                RelocateError::Elsewhere { pid, node }
            }));
        }
        if to == node.id() {
            return Err(RelocateError::Here(pid));
        }
        self.versions().of_process(pid).ok_or_else(|| {
            let label = node.process(pid).and_then(|process| process.label);
            let what = label.map_or_else(|| "nothing that is known".into(), |label| label.name);
            RelocateError::NoBehaviour { pid, what }
        })
    }

    /// A process's behaviour, and the forms in which it can save its state: its own first.
    fn forms(&self, pid: Pid, version: &Version) -> Result<(String, Vec<TypeInfo>), RelocateError> {
        let label = self.node().process(pid).and_then(|process| process.label);
        let name = label.map(|label| label.name).ok_or(RelocateError::NoProcess(pid))?;
        let Some((_, behaviour)) = version.behaviour(&name) else {
            return Err(RelocateError::NoBehaviour { pid, what: name });
        };
        let others = behaviour.conversions.iter().filter(|conversion| conversion.to);
        let own = std::iter::once(behaviour.state.clone());
        let forms = own.chain(others.map(|conversion| conversion.state.clone())).collect();
        Ok((name, forms))
    }

    /// Saves the state of a frozen process in that version of it, and packs the rest.
    async fn pack(
        &self,
        mut frozen: Frozen,
        version: &Arc<Version>,
        state: u32,
    ) -> Result<(Packed, SavedState), RelocateError> {
        let pid = frozen.pid();
        let hosted = hosted(&mut frozen).filter(|it| Arc::ptr_eq(it.version(), version));
        let Some(hosted) = hosted else { return Err(RelocateError::Changed(pid)) };
        if hosted.is_on_probation(self.node().runtime().now()) {
            return Err(RelocateError::Probation(pid));
        }
        let save = move || {
            let saved = hosted_of(&mut frozen).map(|hosted| hosted.save_as(state));
            (frozen, saved)
        };
        let ended = self.on_a_thread("save a state that moves", save).await;
        let Some((frozen, saved)) = ended else {
            return Err(RelocateError::Saving { pid, after: self.switch_limits().convert_timeout });
        };
        let saved = saved.ok_or(RelocateError::Changed(pid))?;
        let saved = saved.map_err(|source| RelocateError::Save { pid, source })?;
        let bytes = saved.bytes.len();
        if bytes > STATE_MAX {
            return Err(RelocateError::TooLarge { pid, bytes });
        }
        Ok((frozen.pack().map_err(|source| RelocateError::Pack { pid, source })?, saved))
    }
}

fn hosted_of(frozen: &mut Frozen) -> Option<&mut Hosted> {
    let body: &mut dyn Any = &mut **frozen.body();
    body.downcast_mut::<Hosted>()
}

fn hosted(frozen: &mut Frozen) -> Option<&Hosted> {
    hosted_of(frozen).map(|hosted| &*hosted)
}

/// A type's description as it travels.
fn form_bytes(form: &TypeInfo) -> Vec<u8> {
    // Plain data, which always encodes; an empty one is refused where it is read.
    postcard::to_allocvec(form).unwrap_or_default()
}

/// The control process of the node to which a process is to move.
struct Target<'n> {
    node: &'n Node,
    to: NodeId,
    control: Pid,
}

impl<'n> Target<'n> {
    async fn reach(node: &'n Node, to: NodeId) -> Result<Self, RelocateError> {
        let unreachable = |why: String| RelocateError::Unreachable { node: to, why };
        let control = control_of(node, to).await.map_err(unreachable)?;
        Ok(Self { node, to, control })
    }

    async fn ask<M: Message, R: Message>(
        &self,
        request: M,
        timeout: Duration,
    ) -> Result<R, RelocateError> {
        let answer = self.node.call(self.control, request, timeout).await;
        answer.map_err(|error| RelocateError::Unreachable { node: self.to, why: error.to_string() })
    }

    fn is_out_of_reach(&self, why: LinkLost) -> RelocateError {
        RelocateError::Unreachable { node: self.to, why: why.to_string() }
    }

    fn refuses(&self, why: String) -> RelocateError {
        RelocateError::Refused { node: self.to, why }
    }

    /// Has a packed process there, and gives it up.
    async fn take(&self, mut packed: Packed, come: Come) -> Result<(), RelocateError> {
        let moved = come.moved.clone();
        if !packed.offer(self.to) {
            return Err(self.is_out_of_reach(LinkLost));
        }
        match self.ask::<_, Came>(come, LODGE_TIMEOUT).await {
            Ok(Came::Lodged(cell)) if cell.node == self.to => {
                let begun = packed.give_up(cell).map_err(|lost| {
                    self.calls_off(moved.clone());
                    self.is_out_of_reach(lost)
                })?;
                let begun = timeout(&**self.node.runtime(), LODGE_TIMEOUT, begun).await;
                let pid = moved.pid;
                begun
                    .unwrap_or(Err(Lost))
                    .map_err(|_lost| RelocateError::Unknown { pid, node: self.to })
            }
            Ok(Came::Lodged(_)) => Err(self.refuses("it says that it is somewhere else".into())),
            Ok(Came::No(why)) => Err(self.refuses(why)),
            Err(error) => {
                drop(packed);
                self.calls_off(moved);
                Err(error)
            }
        }
    }

    /// The process stays here: what the target may have for it is not wanted. Nobody waits for that.
    fn calls_off(&self, moved: Moved) {
        let (node, control) = (self.node.clone(), self.control);
        let work = async move {
            let stays = Stays { moved };
            if let Err(error) = node.call::<_, ()>(control, stays, LODGE_TIMEOUT).await {
                tracing::debug!(%error, "a move that was called off is not known to be");
            }
        };
        midflight_runtime::spawn(self.node.runtime(), "call a move off", work);
    }
}

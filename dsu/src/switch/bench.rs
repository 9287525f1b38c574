//! Where the states of a group of frozen processes are saved and converted, on a thread apart.
//!
//! The thread works from process to process; all that it is not saving at the moment can be taken
//! away from it at any time. So a state that never ends being converted costs its process nothing
//! but the wait. One that never ends being *saved* keeps its process: the state is in use.

use std::any::Any;
use std::sync::Arc;

use midflight_message::Pid;
use midflight_process::Frozen;
use parking_lot::Mutex;

use crate::code::Instance;
use crate::convert::{ConvertError, convert};
use crate::hosted::{Hosted, SavedState};
use crate::versions::Version;

/// What came of one process.
pub(super) enum Outcome {
    /// It is no hosted behaviour, or runs in the new version already.
    Nothing,
    /// It has an instance of this behaviour in the new version, and came from this one.
    Converted {
        old: Arc<Version>,
        /// What it has saved there.
        saved: SavedState,
        behaviour: u32,
        instance: Box<dyn Instance>,
    },
    Failed(ConvertError),
}

/// A process on the bench.
pub(super) struct Piece {
    pub(super) pid: Pid,
    pub(super) stage: Stage,
}

/// How far the work at a process came.
pub(super) enum Stage {
    /// Nothing was done to it.
    Untouched(Frozen),
    /// It is being saved: it goes on as it was when that has ended.
    Saving,
    /// Its copy is being converted.
    Converting(Frozen),
    Done(Frozen, Outcome),
}

/// The processes of a group, in order. None once they were taken off.
#[derive(Clone)]
pub(super) struct Bench(Arc<Mutex<Vec<Piece>>>);

struct State {
    old: Arc<Version>,
    behaviour: String,
    saved: SavedState,
}

impl Bench {
    pub(super) fn new(group: Vec<Frozen>) -> Self {
        let piece = |frozen: Frozen| Piece { pid: frozen.pid(), stage: Stage::Untouched(frozen) };
        Self(Arc::new(Mutex::new(group.into_iter().map(piece).collect())))
    }

    /// Takes all off. The one that is being saved then goes on as it was once that has ended.
    pub(super) fn clear(&self) -> Vec<Piece> {
        std::mem::take(&mut *self.0.lock())
    }

    /// Saves and converts, one process after the other, until all are done or were taken off.
    pub(super) fn work(&self, new: &Version, state_bytes: u64) {
        for at in 0.. {
            let Some(Stage::Untouched(mut frozen)) = self.swap(at, Stage::Saving) else { return };
            let state = match save(&mut frozen, new) {
                Ok(Some(state)) => state,
                Ok(None) => {
                    self.swap(at, Stage::Done(frozen, Outcome::Nothing));
                    continue;
                }
                Err(error) => {
                    self.swap(at, Stage::Done(frozen, Outcome::Failed(error)));
                    continue;
                }
            };
            if self.swap(at, Stage::Converting(frozen)).is_none() {
                return;
            }
            let State { old, behaviour, saved } = state;
            let outcome = match convert(&old, new, &behaviour, saved.clone(), state_bytes) {
                Ok((behaviour, instance)) => Outcome::Converted { old, saved, behaviour, instance },
                Err(error) => Outcome::Failed(error),
            };
            self.finish(at, outcome);
        }
    }

    /// Puts a process into that stage and answers the one it was in. Where the bench was cleared,
    /// nothing is put there, and a process given goes on as it was.
    fn swap(&self, at: usize, stage: Stage) -> Option<Stage> {
        let mut pieces = self.0.lock();
        let piece = pieces.get_mut(at)?;
        Some(std::mem::replace(&mut piece.stage, stage))
    }

    fn finish(&self, at: usize, outcome: Outcome) {
        let mut pieces = self.0.lock();
        let Some(piece) = pieces.get_mut(at) else { return };
        if let Stage::Converting(frozen) = std::mem::replace(&mut piece.stage, Stage::Saving) {
            piece.stage = Stage::Done(frozen, outcome);
        }
    }
}

/// Copies the state of a frozen process. `None`: it is no hosted behaviour, or runs in `new`
/// already.
fn save(frozen: &mut Frozen, new: &Version) -> Result<Option<State>, ConvertError> {
    let body: &mut dyn Any = &mut **frozen.body();
    let Some(hosted) = body.downcast_mut::<Hosted>() else { return Ok(None) };
    if hosted.version().address == new.address {
        return Ok(None);
    }
    let behaviour = hosted.behaviour().to_owned();
    let saved = hosted
        .save()
        .map_err(|source| ConvertError::Code { behaviour: behaviour.clone(), source })?;
    Ok(Some(State { old: hosted.version().clone(), behaviour, saved }))
}

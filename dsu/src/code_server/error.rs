//! Why the code server did not do what it was asked.

use std::time::Duration;

use midflight_message::Pid;

use crate::bundle::BundleError;
use crate::check::CheckError;
use crate::compare::Conflict;
use crate::hash::ContentAddress;
use crate::library::LoadError;
use crate::probe::ProbeError;
use crate::store::StoreError;
use crate::switch::SwitchError;

/// A bundle was not taken. The node is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The bytes are no bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// They are another bundle than was announced.
    #[error("the bundle is {found}, not {announced}, which was announced")]
    OtherBundle {
        /// What was announced.
        announced: ContentAddress,
        /// What came.
        found: ContentAddress,
    },
    /// It may not run here.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A bundle was not staged. The node is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// It is not here, or not whole.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It may not run here.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Something else is being done with the bundle's name.
    #[error("another update of `{0}` is under way on this node")]
    Busy(String),
    /// It cannot take the place of the version that runs.
    #[error(transparent)]
    Conflicts(#[from] Conflicts),
    /// The library failed in the child process.
    #[error("the probe failed: {0}")]
    Probe(#[from] ProbeError),
    /// A copy of a real state does not convert.
    #[error("a copy of the state of {pid} does not convert: {why}")]
    State {
        /// Whose state.
        pid: Pid,
        /// Why.
        why: String,
    },
    /// The version that runs does not bring copies of its states into the form of the other one.
    #[error(
        "the way back of the version that runs did not end within {after:?} on copies of its states"
    )]
    WayBack {
        /// The limit.
        after: Duration,
    },
    /// So many libraries are in memory that no other is loaded.
    #[error(
        "{mapped} libraries are in this node's memory, which is as many as may be: see `midflight status` for \
         why they stay, and restart the node to take updates again"
    )]
    TooManyMapped {
        /// How many are.
        mapped: usize,
    },
    /// The library cannot be loaded.
    #[error("{}", with_sources(.0))]
    Load(#[from] LoadError),
}

/// A version cannot take the place of the one that runs.
#[derive(Debug, thiserror::Error)]
#[error("incompatible with version {running}: {}", .conflicts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Conflicts {
    /// The version that runs.
    pub running: u32,
    /// Every conflict.
    pub conflicts: Vec<Conflict>,
}

/// A bundle was not activated. Everything runs as before, where `Switch` says nothing else.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActivateError {
    /// It was not staged.
    #[error("the bundle {0} is not loaded: stage it first")]
    NotStaged(ContentAddress),
    /// Something else is being done with the bundle's name.
    #[error("another update of `{0}` is under way on this node")]
    Busy(String),
    /// It cannot take the place of the version that runs, which is another than when it was staged.
    #[error(transparent)]
    Conflicts(#[from] Conflicts),
    /// It is the way back from a version that is not current any more.
    #[error("another version of `{0}` has taken the place of the one to go back from")]
    Replaced(String),
    /// It was to follow an earlier decision, and a deployment has claimed the name or decided otherwise since.
    #[error("another update of `{0}` is under way, or was decided since")]
    Overtaken(String),
    /// Processes could not be switched; those that had been were switched back.
    #[error("{} processes could not be switched, the first: {}{}", .failed.len(), first(.failed), and_not_back(.not_back))]
    Switch {
        /// Those that could not be switched.
        failed: Vec<SwitchError>,
        /// Those that could not be switched back: they run in the new version.
        not_back: Vec<NotBack>,
    },
    /// The processes were to change together and did not come to rest in time. None was switched.
    #[error("none was switched, for {} held the others up: {}", .0.len(), listed(.0))]
    HeldUp(Vec<SwitchError>),
    /// The node is shutting down, or what did it has panicked.
    #[error("it was broken off: the node is shutting down, or has a bug")]
    BrokenOff,
}

/// A bundle was not deactivated, or not wholly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DeactivateError {
    /// Something else is being done with the bundle's name.
    #[error("another update of `{0}` is under way on this node")]
    Busy(String),
    /// Another version has taken its place since.
    #[error("another version of `{0}` has taken its place since")]
    Replaced(String),
    /// The deployment has ended here, and with it the way back.
    #[error("the deployment of `{0}` has ended here: `midflight rollback {0}` is the way back now")]
    Over(String),
    /// New processes start in what was current before, but some still run in it.
    #[error("{} processes still run in it, the first: {}", .0.len(), first(.0))]
    NotBack(Vec<NotBack>),
    /// The node is shutting down, or what did it has panicked.
    #[error("it was broken off: the node is shutting down, or has a bug")]
    BrokenOff,
}

/// A process goes on in a version that was given up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotBack {
    /// It could not be switched.
    #[error("{}", with_sources(.0))]
    Switch(SwitchError),
    /// It was started in that version, and there was none before.
    #[error("{0} was started in it meanwhile, and no version was current before")]
    Nowhere(Pid),
}

/// Processes that are listed of those that hold up others of a bundle.
pub(super) const LISTED_MAX: usize = 8;

/// The first few.
fn listed(errors: &[SwitchError]) -> String {
    let listed: Vec<_> = errors.iter().take(LISTED_MAX).map(with_sources).collect();
    let more = if errors.len() > LISTED_MAX { "; and more" } else { "" };
    listed.join("; ") + more
}

fn first<E: std::error::Error>(errors: &[E]) -> String {
    errors.first().map(with_sources).unwrap_or_default()
}

fn and_not_back(not_back: &[NotBack]) -> String {
    if not_back.is_empty() {
        return String::new();
    }
    format!(
        "; {} processes could not be switched back, the first: {}",
        not_back.len(),
        first(not_back)
    )
}

/// An error with what is behind it, in one line.
pub(crate) fn with_sources(error: &impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

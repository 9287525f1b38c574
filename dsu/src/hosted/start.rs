//! Starting a process of a behaviour, in the version that is current.

use std::borrow::Cow;
use std::sync::Arc;

use midflight_message::{Pid, TypeInfo, resolve};
use midflight_process::{Node, SpawnError};

use super::Hosted;
use super::view::HostView;
use crate::code::{Call, CodeError, Reader};
use crate::convert::{Reading, Reads};
use crate::versions::{Failure, Version, Versions};

/// How often a start begins anew because another version has become current meanwhile.
const BEGINNINGS_MAX: usize = 8;

/// A process of a behaviour could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No current version has the behaviour.
    #[error("no version of the behaviour `{0}` is current on this node: push its bundle")]
    UnknownBehaviour(String),
    /// The cluster has decided to run another version of its bundle, which this node has yet to fetch and to
    /// switch to.
    #[error(
        "this node is catching up with what the cluster runs of the bundle `{0}`: ask another, or again"
    )]
    CatchingUp(String),
    /// Its `init` failed, or the start message is not its.
    #[error("the behaviour `{behaviour}` did not start")]
    Init {
        /// The behaviour.
        behaviour: String,
        /// Why.
        #[source]
        source: CodeError,
    },
    /// Its version changed again and again while it was started.
    #[error("the version of the behaviour `{0}` changes faster than it starts")]
    Unsettled(String),
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
    start_reserved(node, versions, behaviour, (None, start), pid)
        .inspect_err(|_| node.unreserve(pid))?;
    Ok(pid)
}

/// As [`start`], under a pid that has been reserved; after an error it still is. The message is of the type
/// given, or of the behaviour's own.
pub(crate) fn start_reserved(
    node: &Node,
    versions: &Arc<Versions>,
    behaviour: &str,
    start: (Option<&TypeInfo>, &[u8]),
    pid: Pid,
) -> Result<(), StartError> {
    for _ in 0..BEGINNINGS_MAX {
        let hosted = begin(node, versions, behaviour, start, pid)?;
        // From here on it is in the list of its version, where an activation finds it. One that
        // has looked there before has made another version current before that.
        let current = versions.current_of_behaviour(behaviour);
        if current.is_some_and(|current| current.address == hosted.version().address) {
            let filled = node.fill(pid, Box::new(hosted));
            return if filled { Ok(()) } else { Err(SpawnError.into()) };
        }
    }
    Err(StartError::Unsettled(behaviour.to_owned()))
}

/// Lets the current version's `init` make the process's state.
fn begin(
    node: &Node,
    versions: &Arc<Versions>,
    behaviour: &str,
    start: (Option<&TypeInfo>, &[u8]),
    pid: Pid,
) -> Result<Hosted, StartError> {
    if let Some(bundle) = versions.fenced(behaviour) {
        return Err(StartError::CatchingUp(bundle));
    }
    let unknown = || StartError::UnknownBehaviour(behaviour.to_owned());
    let version = versions.current_of_behaviour(behaviour).ok_or_else(unknown)?;
    let (index, _) = version.behaviour(behaviour).ok_or_else(unknown)?;
    let mut effects = Vec::new();
    let host = HostView::new(node);
    let call = Call { me: pid, from: None, reply_to: None, is_wanted: false, host: &host };
    let created = own_form(&version, index, start)
        .and_then(|start| version.code.create(index, &start, &call, &mut effects));
    match created {
        Ok(instance) => {
            let mut hosted = Hosted::new(node, versions, version, index, pid, instance);
            hosted.effects.begin(node, effects, None, host.into_reserved());
            Ok(hosted)
        }
        Err(source) => {
            host.give_back();
            if source.ends_process() {
                let (left, now) = (version.process_count(), node.runtime().now());
                versions.failed(&version, Failure::Ended, left, now);
            }
            Err(StartError::Init { behaviour: behaviour.to_owned(), source })
        }
    }
}

/// A start message in the form that the code reads.
fn own_form<'s>(
    version: &Version,
    behaviour: u32,
    (written, start): (Option<&TypeInfo>, &'s [u8]),
) -> Result<Cow<'s, [u8]>, CodeError> {
    let Some(written) = written else { return Ok(Cow::Borrowed(start)) };
    let description = version.code.description();
    let resolution = resolve(written, &description.behaviours[behaviour as usize].start);
    match Reads::of(description).reading(&resolution) {
        Reading::AsTheyAre => Ok(Cow::Borrowed(start)),
        Reading::Translated => {
            version.code.translate(behaviour, Reader::Start, written, start).map(Cow::Owned)
        }
        Reading::Incompatible(mismatch) => Err(CodeError::Decode(mismatch.to_string())),
        Reading::OwnFormOnly => Err(CodeError::OwnFormOnly),
    }
}

//! Draining a node: all that can move goes to the other members.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::iter;
use midflight_message::{NodeId, Pid};
use midflight_process::Context;

use super::Control;
use super::others::ask;
use crate::code_server::with_sources;
use crate::protocol::{Drain, Drained, Left};
use crate::relocation::RelocateError;

/// Processes that move at one time.
const AT_ONCE: usize = 16;

/// Processes that stay and are named, at the most.
const LEFT_MAX: usize = 1_000;

/// How long a whole node may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1_800);

/// What Midflight's own processes are called: they belong to their node.
const OWN: &str = "midflight.";

/// What a drained node says to what would come to it or start on it.
pub(crate) const DRAINED: &str =
    "the node has been drained: it takes nothing new until it is started again";

impl Control {
    /// Whether this node has been drained, or is being.
    pub(crate) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire)
    }

    /// Drains a node: this one, or by asking the one that is meant.
    pub(super) async fn drain(&self, cx: &Context, request: Drain) -> Drained {
        let node = self.server.node();
        let Some(meant) = self.member(&request.node) else {
            return Drained::Refused(format!("no living member is called `{}`", request.node));
        };
        if meant == node.id() {
            return self.drain_this().await;
        }
        let name = request.node.clone();
        let answer = ask(cx, meant, request, DRAIN_TIMEOUT).await;
        answer.unwrap_or_else(|why| Drained::Refused(format!("{name}: {why}")))
    }

    async fn drain_this(&self) -> Drained {
        let targets = self.targets();
        if targets.is_empty() {
            return Drained::Refused("there is no other living member to move processes to".into());
        }
        // From here on nothing comes, so that two nodes that are drained do not send each other what they have.
        self.drained.store(true, Ordering::Release);
        let mut moved = BTreeMap::new();
        let mut left = BTreeMap::new();
        // Once more for what has come or started just before, and for what the first have started meanwhile.
        for _ in 0..2 {
            self.move_all(&targets, &mut moved, &mut left).await;
        }
        let stay = left.len() as u64;
        let mut left: Vec<_> = left.into_values().collect();
        left.sort_by_key(|left| (left.pid.index, left.pid.generation));
        left.truncate(LEFT_MAX);
        tracing::info!(?moved, stay, "drained");
        Drained::Done { moved: moved.into_iter().collect(), left, stay }
    }

    /// Moves all that can move and is not among `left` yet; counts what has moved, by its new node.
    async fn move_all(
        &self,
        targets: &[(NodeId, String)],
        moved: &mut BTreeMap<String, u64>,
        left: &mut BTreeMap<Pid, Left>,
    ) {
        let (mut movable, stays) = self.to_be_moved();
        movable.retain(|(pid, _)| !left.contains_key(pid));
        left.extend(stays.into_iter().map(|stays| (stays.pid, stays)));
        let moving = movable.into_iter().enumerate().map(|(nth, (pid, name))| async move {
            (pid, name, self.move_to_any(pid, nth, targets).await)
        });
        let mut done = iter(moving).buffer_unordered(AT_ONCE);
        while let Some((pid, name, outcome)) = done.next().await {
            match outcome {
                Ok(Some(to)) => *moved.entry(to.to_owned()).or_default() += 1,
                Ok(None) => {}
                Err(why) => drop(left.insert(pid, Left { pid, name, why })),
            }
        }
    }

    /// The other living members, by name.
    fn targets(&self) -> Vec<(NodeId, String)> {
        let others = self.others().into_iter();
        let mut targets: Vec<_> = others.map(|member| (member.id, member.name)).collect();
        targets.sort_by(|a, b| a.1.cmp(&b.1));
        targets
    }

    /// The processes of behaviours that live here, and those that never move.
    fn to_be_moved(&self) -> (Vec<(Pid, String)>, Vec<Left>) {
        let versions = self.server.versions().all();
        let (mut movable, mut left) = (Vec::new(), Vec::new());
        for process in self.server.node().processes() {
            let name = process.label.map(|label| label.name).unwrap_or_default();
            if versions.iter().any(|(version, _)| version.has(process.pid)) {
                movable.push((process.pid, name));
            // One that has no name yet has just been started, as the one that does this.
            } else if !name.is_empty() && !name.starts_with(OWN) {
                let why =
                    String::from("it is made of an async function, whose state cannot be saved");
                left.push(Left { pid: process.pid, name, why });
            }
        }
        (movable, left)
    }

    /// Moves a process to one of the targets, which take turns. `None`: it has ended meanwhile.
    async fn move_to_any<'t>(
        &self,
        pid: Pid,
        nth: usize,
        targets: &'t [(NodeId, String)],
    ) -> Result<Option<&'t str>, String> {
        let mut why = String::new();
        for turn in 0..targets.len() {
            let (to, name) = &targets[(nth + turn) % targets.len()];
            match self.server.relocate(pid, *to).await {
                Ok(_still) => return Ok(Some(name)),
                Err(RelocateError::NoProcess(_) | RelocateError::Elsewhere { .. }) => {
                    return Ok(None);
                }
                // Another target may take it.
                Err(
                    error @ (RelocateError::Unreachable { .. } | RelocateError::Refused { .. }),
                ) => why = with_sources(&error),
                Err(error) => return Err(with_sources(&error)),
            }
        }
        Err(why)
    }
}

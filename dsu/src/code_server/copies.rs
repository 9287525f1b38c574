//! Copies of real states for the probe: of many processes, the largest included.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use midflight_abi::Description;
use midflight_message::Pid;
use midflight_runtime::{Instant, timeout};
use tokio::sync::oneshot;

use super::{CodeServer, StageError};
use crate::convert::for_restoring;
use crate::hosted::{Hosted, SavedState};
use crate::probe::{ProbeRequest, ProbeState};
use crate::switch::copy_state;
use crate::versions::Version;

/// Copies that a probe converts.
const STATES_MAX: usize = 1_000;
/// Their bytes together: they go to the probe as text of twice the length, within its deadline.
const BYTES_MAX: u64 = 16 << 20;
/// Of so many processes the state's size is asked for, to find the largest.
const SIZED_MAX: usize = 100_000;
/// So many of the largest are among the copies.
const LARGEST: usize = 100;
/// How long a process may take to give a copy.
const COPY_TIMEOUT: Duration = Duration::from_millis(200);
/// How long asking for sizes, and then for copies, may take: after it there are no more.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the code that runs may take to bring them into the form of an earlier version.
const BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Processes that are asked at once.
const GROUP: usize = 30;

type Copied = (Pid, (Arc<Version>, String, SavedState));

impl CodeServer {
    /// Copies of real states, in a form the new code says it restores.
    pub(super) async fn copies(
        &self,
        running: Option<&Arc<Version>>,
        new: &Description,
    ) -> Result<(Vec<Pid>, ProbeRequest), StageError> {
        let state_bytes_max = Some(self.inner.switcher.limits().state_bytes);
        let mut request = ProbeRequest { state_bytes_max, ..ProbeRequest::default() };
        let Some(running) = running else { return Ok((Vec::new(), request)) };
        let sizes = self.sizes(running.processes()).await;
        let copies = self.copy(&chosen(sizes)).await;
        let new = new.clone();
        let (tell, told) = oneshot::channel();
        // The code that runs may be asked for its way back, and that may never end.
        let work = move || drop(tell.send(in_form_of(&new, copies)));
        self.node().runtime().spawn_blocking("convert copies", Box::new(work));
        let after = BACK_TIMEOUT;
        let (pids, states) = match timeout(&**self.node().runtime(), after, told).await {
            Ok(Ok(converted)) => converted,
            // It panicked: the switch itself will say so.
            Ok(Err(_)) => Default::default(),
            Err(_elapsed) => return Err(StageError::WayBack { after }),
        };
        request.states = states;
        Ok((pids, request))
    }

    /// The sizes of the states of those that are between two messages.
    async fn sizes(&self, pids: Vec<Pid>) -> Vec<(Pid, u64)> {
        let (node, until) = (self.node(), self.look_until());
        let mut sizes = Vec::new();
        let step = pids.len().div_ceil(SIZED_MAX).max(1);
        for (nth, pid) in pids.into_iter().step_by(step).enumerate() {
            let now = node.runtime().now();
            if now >= until {
                break;
            }
            // One that is in the middle of a message is not waited for.
            if let Ok(mut frozen) = node.freeze(pid, now).await {
                let body: &mut dyn Any = &mut **frozen.body();
                let size = body.downcast_mut::<Hosted>().map_or(0, |hosted| hosted.size());
                sizes.push((pid, size));
            } else {
                sizes.push((pid, 0));
            }
            if nth % GROUP == GROUP - 1 {
                node.runtime().yield_now().await;
            }
        }
        sizes
    }

    async fn copy(&self, pids: &[Pid]) -> Vec<Copied> {
        let (node, until) = (self.node(), self.look_until());
        let (mut copies, mut bytes) = (Vec::new(), 0);
        for group in pids.chunks(GROUP) {
            if node.runtime().now() >= until {
                break;
            }
            let copied = join_all(group.iter().map(|pid| copy_state(node, *pid, COPY_TIMEOUT)));
            for (pid, copy) in group.iter().zip(copied.await) {
                let Some(copy) = copy else { continue };
                // It may have grown since.
                bytes += copy.2.bytes.len() as u64;
                if bytes <= BYTES_MAX {
                    copies.push((*pid, copy));
                }
            }
        }
        copies
    }

    fn look_until(&self) -> Instant {
        self.node().runtime().now() + LOOK_TIMEOUT
    }
}

/// Whose states are copied: the largest that fit, and others evenly from all.
fn chosen(mut sizes: Vec<(Pid, u64)>) -> Vec<Pid> {
    // By size, and else by place.
    sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let others = sizes.split_off(LARGEST.min(sizes.len()));
    let wanted = STATES_MAX - LARGEST;
    let step = others.len().div_ceil(wanted).max(1);
    let mut left = BYTES_MAX;
    let mut chosen = Vec::new();
    for (pid, size) in sizes.into_iter().chain(others.into_iter().step_by(step)) {
        if size <= left {
            left -= size;
            chosen.push(pid);
        }
    }
    chosen
}

fn in_form_of(new: &Description, copies: Vec<Copied>) -> (Vec<Pid>, Vec<ProbeState>) {
    let converted = copies.into_iter().filter_map(|(pid, (old, behaviour, saved))| {
        // What the old code makes of it fails aloud when the process itself is switched.
        let SavedState { form, bytes } = for_restoring(&*old.code, new, &behaviour, saved).ok()?;
        Some((pid, ProbeState { behaviour, form, bytes }))
    });
    converted.unzip()
}

#[cfg(test)]
mod tests {
    use midflight_message::NodeId;

    use super::*;

    fn pid(index: u32) -> Pid {
        Pid { node: NodeId(1), index, generation: 1 }
    }

    fn of(sizes: impl IntoIterator<Item = u64>) -> Vec<u32> {
        let sizes = sizes.into_iter().zip(0..).map(|(size, index)| (pid(index), size));
        chosen(sizes.collect()).into_iter().map(|pid| pid.index).collect()
    }

    #[test]
    fn all_are_chosen_where_they_are_few() {
        let mut few = of([1, 3, 2]);
        assert_eq!(few, [1, 2, 0], "the largest first");
        few = of((0..1_000).map(|_| 10));
        few.sort_unstable();
        assert_eq!(few, (0..1_000).collect::<Vec<_>>());
        assert_eq!(of([]), [0; 0]);
    }

    #[test]
    fn of_many_there_are_the_largest_and_some_of_all_sizes() {
        let many = of(0..5_000);
        assert!(many.len() <= STATES_MAX && many.len() > STATES_MAX / 2, "{}", many.len());
        let largest: Vec<_> = (0..LARGEST as u32).map(|nth| 4_999 - nth).collect();
        assert_eq!(many[..LARGEST], largest);
        assert!(many.iter().any(|index| *index < 10), "small ones too");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_keeps_no_other_out() {
        assert_eq!(of([BYTES_MAX + 1, BYTES_MAX - 5, 6, 5]), [1, 3]);
    }
}
